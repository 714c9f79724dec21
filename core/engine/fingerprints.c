/* core/engine/fingerprints.c: hashes of a job's files, computed beside it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/fingerprints.h"

#include "core/store/about.h"
#include "core/store/hash.h"

struct FbFingerprints
{
  GThread      *thread;
  GCancellable *cancellable;
  char         *model_path;
  char         *vae_path;         /* NULL: none */
  GPtrArray    *lora_paths;       /* of the request */
  char         *own_lora_path;    /* NULL: the model adds none */

  int           is_done;          /* atomic: what follows is complete */
  /* written by the thread */
  char         *model;            /* NULL: could not be read */
  char         *vae;
  GPtrArray    *loras;            /* "" where it could not be read */
  char         *own_lora;
};

static char *
hash_entry (FbFingerprints *self, FbStoreKind kind, const char *path)
{
  g_auto(GStrv)      files = fb_about_files (kind, path);
  g_autoptr(GError)  error = NULL;
  char              *hash  = fb_hash_files ((const char * const *) files, self->cancellable, &error);

  if (error != NULL && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_warning ("no fingerprint: %s", error->message);
  return hash;
}

static gpointer
hash_all (gpointer user_data)
{
  FbFingerprints *self = user_data;

  self->model = hash_entry (self, FB_STORE_MODELS, self->model_path);
  if (self->vae_path != NULL)
    self->vae = hash_entry (self, FB_STORE_VAE, self->vae_path);
  for (guint i = 0; i < self->lora_paths->len; i++)
    {
      char *hash = hash_entry (self, FB_STORE_LORAS, self->lora_paths->pdata[i]);

      g_ptr_array_add (self->loras, hash != NULL ? hash : g_strdup (""));
    }
  if (self->own_lora_path != NULL)
    self->own_lora = hash_entry (self, FB_STORE_LORAS, self->own_lora_path);
  g_atomic_int_set (&self->is_done, TRUE);
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
  for (int i = 0; i < use->n_asked; i++)
    g_ptr_array_add (self->lora_paths, g_strdup (use->loras[i].path));
  if (use->n_loras > use->n_asked)
    self->own_lora_path = g_strdup (use->loras[use->n_asked].path);
  self->thread = g_thread_new ("fingerprints", hash_all, self);
  return self;
}

void
fb_fingerprints_add (FbFingerprints *self, GVariantDict *metadata)
{
  if (!g_atomic_int_get (&self->is_done))
    return;
  if (self->model != NULL)
    g_variant_dict_insert (metadata, "model-hash", "s", self->model);
  if (self->vae != NULL)
    g_variant_dict_insert (metadata, "vae-hash", "s", self->vae);
  g_variant_dict_insert_value (metadata, "lora-hashes", g_variant_new_strv ((const char * const *) self->loras->pdata, self->loras->len));
  if (self->own_lora != NULL)
    g_variant_dict_insert (metadata, "model-lora-hash", "s", self->own_lora);
}

void
fb_fingerprints_finish (FbFingerprints *self, GVariantDict *metadata)
{
  g_thread_join (self->thread);
  fb_fingerprints_add (self, metadata);

  g_ptr_array_unref (self->lora_paths);
  g_ptr_array_unref (self->loras);
  g_object_unref (self->cancellable);
  g_free (self->model_path);
  g_free (self->vae_path);
  g_free (self->own_lora_path);
  g_free (self->model);
  g_free (self->vae);
  g_free (self->own_lora);
  g_free (self);
}
