/* core/engine/fingerprints.c: hashes of a job's files, computed beside it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/fingerprints.h"

#include "core/formats/checkpoint.h"
#include "core/store/hash.h"

struct FbFingerprints
{
  GThread      *thread;
  GCancellable *cancellable;
  char         *model_path;
  char         *vae_path;         /* NULL: none */
  GPtrArray    *lora_paths;

  /* written by the thread */
  char         *model;            /* NULL: could not be read */
  char         *vae;
  GPtrArray    *loras;            /* "" where it could not be read */
};

/* adds the files of @component that are not listed yet: a single-file checkpoint holds them all */
static void
add_files (GPtrArray *files, const char *path, const char *component)
{
  g_autoptr(FbCheckpoint)  checkpoint = fb_checkpoint_open (path, component, NULL);
  const char * const      *names      = checkpoint != NULL ? fb_checkpoint_files (checkpoint) : NULL;

  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    if (!g_ptr_array_find_with_equal_func (files, names[i], g_str_equal, NULL))
      g_ptr_array_add (files, g_strdup (names[i]));
}

static char *
hash_components (const char *path, const char * const *components, GCancellable *cancellable, GError **error)
{
  g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func (g_free);

  for (gsize i = 0; components[i] != NULL; i++)
    add_files (files, path, components[i]);
  if (files->len == 0)
    g_ptr_array_add (files, g_strdup (path));
  g_ptr_array_add (files, NULL);
  return fb_hash_files ((const char * const *) files->pdata, cancellable, error);
}

char *
fb_fingerprint_model (const char *path, GCancellable *cancellable, GError **error)
{
  static const char * const components[] = { "text_encoder", "unet", "vae", NULL };

  return hash_components (path, components, cancellable, error);
}

static gpointer
hash_all (gpointer user_data)
{
  static const char * const vae[] = { "vae", NULL };
  FbFingerprints           *self  = user_data;
  g_autoptr(GError)         error = NULL;

  self->model = fb_fingerprint_model (self->model_path, self->cancellable, &error);
  if (self->vae_path != NULL && error == NULL)
    self->vae = hash_components (self->vae_path, vae, self->cancellable, &error);
  for (guint i = 0; i < self->lora_paths->len; i++)
    {
      char *hash = error == NULL ? fb_hash_file (self->lora_paths->pdata[i], self->cancellable, &error) : NULL;

      g_ptr_array_add (self->loras, hash != NULL ? hash : g_strdup (""));
    }
  if (error != NULL && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_warning ("no fingerprint: %s", error->message);
  return NULL;
}

FbFingerprints *
fb_fingerprints_start (const FbModelUse *use, GCancellable *cancellable)
{
  FbFingerprints *self = g_new0 (FbFingerprints, 1);

  self->cancellable = g_object_ref (cancellable);
  self->model_path  = g_strdup (use->path);
  self->vae_path    = g_strdup (use->vae);
  self->lora_paths  = g_ptr_array_new_with_free_func (g_free);
  self->loras       = g_ptr_array_new_with_free_func (g_free);
  for (int i = 0; i < use->n_loras; i++)
    g_ptr_array_add (self->lora_paths, g_strdup (use->loras[i].path));
  self->thread = g_thread_new ("fingerprints", hash_all, self);
  return self;
}

void
fb_fingerprints_finish (FbFingerprints *self, GVariantDict *metadata)
{
  g_thread_join (self->thread);
  if (self->model != NULL)
    g_variant_dict_insert (metadata, "model-hash", "s", self->model);
  if (self->vae != NULL)
    g_variant_dict_insert (metadata, "vae-hash", "s", self->vae);
  g_variant_dict_insert_value (metadata, "lora-hashes", g_variant_new_strv ((const char * const *) self->loras->pdata, self->loras->len));

  g_ptr_array_unref (self->lora_paths);
  g_ptr_array_unref (self->loras);
  g_object_unref (self->cancellable);
  g_free (self->model_path);
  g_free (self->vae_path);
  g_free (self->model);
  g_free (self->vae);
  g_free (self);
}
