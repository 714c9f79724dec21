/* core/formats/checkpoint.c: gives the tensors of a component their canonical names. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/checkpoint.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "core/formats/checkpoint-files.h"
#include "core/formats/json-file.h"
#include "core/formats/keymap.h"
#include "core/formats/safetensors-private.h"

/**
 * Source:
 * @prefix: of the component's names in the file
 * @probe: a name, after the prefix, that tells this source from the others
 * @keymap: (nullable): %NULL means that names are canonical
 * @or_same: a name the key map does not know is canonical already
 * @refusal: (nullable): why this source cannot be used
 *
 * The first row whose probe is in the file wins.
 */
typedef struct
{
  const char *component, *prefix, *probe, *keymap, *section;
  gboolean    or_same;
  const char *refusal;
} Source;

#define CLIP_PROBE      "text_model.embeddings.token_embedding.weight"
#define BARE_CLIP_PROBE "embeddings.token_embedding.weight"
#define OPENCLIP        N_("an OpenCLIP text encoder (SD 2, SDXL) in a single file is not supported yet; use the model's diffusers folder")
#define NEWER_FAMILY    N_("it is a transformer model (SD 3, Flux or later), which is not supported yet")

static const Source sources[] =
{
  /* component           prefix                                 probe                                        keymap           section     or same */
  { "unet",              "",                                    "time_embedding.linear_1.weight",            NULL                                 },
  { "unet",              "model.diffusion_model.",              "time_embed.0.weight",                       "unet-ldm",      ""                  },
  { "unet",              "",                                    "time_embed.0.weight",                       "unet-ldm",      ""                  },
  { "unet",              "model.diffusion_model.",              "joint_blocks.0.x_block.attn.qkv.weight",    .refusal = NEWER_FAMILY              },
  { "unet",              "model.diffusion_model.",              "double_blocks.0.img_attn.qkv.weight",       .refusal = NEWER_FAMILY              },
  { "unet",              "",                                    "double_blocks.0.img_attn.qkv.weight",       .refusal = NEWER_FAMILY              },

  { "vae",               "",                                    "decoder.up_blocks.0.resnets.0.norm1.weight", "vae-diffusers", "",        TRUE   },
  { "vae",               "first_stage_model.",                  "decoder.up.3.block.0.norm1.weight",         "vae-ldm",       "4 levels"          },
  { "vae",               "vae.",                                "decoder.up.3.block.0.norm1.weight",         "vae-ldm",       "4 levels"          },
  { "vae",               "",                                    "decoder.up.3.block.0.norm1.weight",         "vae-ldm",       "4 levels"          },
  { "vae",               "first_stage_model.",                  "decoder.up.2.block.0.norm1.weight",         "vae-ldm",       "3 levels"          },
  { "vae",               "",                                    "decoder.up.2.block.0.norm1.weight",         "vae-ldm",       "3 levels"          },

  { "text_encoder",      "",                                    CLIP_PROBE,                                  NULL                                 },
  { "text_encoder",      "",                                    BARE_CLIP_PROBE,                             "text-encoder",  "",         TRUE    },
  { "text_encoder",      "cond_stage_model.transformer.",       CLIP_PROBE,                                  NULL                                 },
  { "text_encoder",      "cond_stage_model.transformer.",       BARE_CLIP_PROBE,                             "text-encoder",  "",         TRUE    },
  { "text_encoder",      "conditioner.embedders.0.transformer.", CLIP_PROBE,                                 NULL                                 },
  { "text_encoder",      "cond_stage_model.model.",             "token_embedding.weight",                    .refusal = OPENCLIP                  },
  { "text_encoder_2",    "",                                    CLIP_PROBE,                                  NULL                                 },
  { "text_encoder_2",    "",                                    BARE_CLIP_PROBE,                             "text-encoder",  "",         TRUE    },
  { "text_encoder_2",    "conditioner.embedders.1.model.",      "token_embedding.weight",                    .refusal = OPENCLIP                  },

  { "taesd",             "",                                    "decoder.layers.0.weight",                   NULL                                 },
  { "taesd",             "",                                    "encoder.layers.0.weight",                   NULL                                 },
  { "taesd",             "",                                    "0.weight",                                  "taesd",         "encoder"           },
  { "taesd",             "",                                    "1.weight",                                  "taesd",         "decoder"           },

  { "lpips",             "",                                    "net.slice1.0.weight",                       NULL                                 },
};

/* Beginnings of names in single files that belong to some component, or to none by design: averages kept for training, the noise
 * schedule's constants, the loss network. */
static const char * const component_prefixes[] =
{
  "model.diffusion_model.", "first_stage_model.", "vae.", "cond_stage_model.", "conditioner.",
};
static const char * const ignored_prefixes[] =
{
  "model_ema.", "alphas_cumprod", "betas", "denoiser.sigmas", "log_one_minus_alphas_cumprod", "logvar", "loss.", "lvlb_weights",
  "posterior_", "sqrt_",
};

typedef struct
{
  FbSafetensors      *file;     /* owned by the checkpoint */
  const FbTensorInfo *info;
  gint                was_read;
} Entry;

struct FbCheckpoint
{
  int         ref_count;
  char       *path;
  char       *component;
  GPtrArray  *parts;            /* of FbSafetensors */
  GHashTable *entries;          /* canonical name -> Entry */
  GPtrArray  *names;            /* keys of @entries, sorted, and NULL */
  GPtrArray  *strays;           /* names in the files that no key map knows; not owned */
  GPtrArray  *files;            /* of char *, and NULL */
  JsonObject *config;
  JsonObject *scheduler_config;
  JsonObject *low_res_config;
};

static gboolean
has_any_prefix (const char *name, const char * const *prefixes, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (g_str_has_prefix (name, prefixes[i]))
      return TRUE;
  return FALSE;
}

static gboolean
is_ballast (const char *name)
{
  return g_str_has_suffix (name, "position_ids") || has_any_prefix (name, ignored_prefixes, G_N_ELEMENTS (ignored_prefixes));
}

static const Source *
find_source (const char *component, GPtrArray *part)
{
  for (guint s = 0; s < G_N_ELEMENTS (sources); s++)
    {
      g_autofree char *probe = g_strconcat (sources[s].prefix, sources[s].probe, NULL);

      if (strcmp (sources[s].component, component) == 0)
        for (guint i = 0; i < part->len; i++)
          if (fb_safetensors_lookup (part->pdata[i], probe) != NULL)
            return &sources[s];
    }

  return NULL;
}

/* Our name for the file's @name, or NULL. */
static char *
canonical_name (const Source *source, const char *name)
{
  char *ours;

  if (!g_str_has_prefix (name, source->prefix))
    return NULL;
  name += strlen (source->prefix);
  if (source->keymap == NULL)
    return g_strdup (name);

  ours = fb_keymap_to_ours (fb_keymap_get (source->keymap), source->section, name);
  return ours == NULL && source->or_same ? g_strdup (name) : ours;
}

static gboolean
add_tensors (FbCheckpoint *self, const Source *source, FbSafetensors *file, GError **error)
{
  for (guint i = 0; i < fb_safetensors_n_tensors (file); i++)
    {
      const FbTensorInfo *info = fb_safetensors_tensor (file, i);
      g_autofree char    *name = is_ballast (info->name) ? NULL : canonical_name (source, info->name);
      Entry              *entry;

      if (name == NULL)
        {
          gboolean ours = g_str_has_prefix (info->name, source->prefix) ||
                          (strcmp (self->component, "unet") == 0 &&
                           !has_any_prefix (info->name, component_prefixes, G_N_ELEMENTS (component_prefixes)));

          if (ours && !is_ballast (info->name))
            g_ptr_array_add (self->strays, (char *) info->name);
          continue;
        }

      if (g_hash_table_contains (self->entries, name))
        {
          fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, fb_safetensors_path (file),
                               _("tensor “%s” is there a second time, under another name or in another file"), info->name);
          return FALSE;
        }
      entry  = g_new0 (Entry, 1);
      *entry = (Entry) { .file = file, .info = info };
      g_hash_table_insert (self->entries, g_steal_pointer (&name), entry);
    }

  return TRUE;
}

/* Opens files that share one naming and adds their tensors. */
static gboolean
add_part (FbCheckpoint *self, GPtrArray *paths, GError **error)
{
  g_autoptr(GPtrArray) part = g_ptr_array_new ();
  const Source        *source;

  for (guint i = 0; i < paths->len; i++)
    {
      FbSafetensors *file = fb_safetensors_open (paths->pdata[i], error);

      if (file == NULL)
        return FALSE;
      g_ptr_array_add (self->parts, file);
      g_ptr_array_add (part, file);
      g_ptr_array_add (self->files, g_strdup (paths->pdata[i]));
    }

  source = find_source (self->component, part);
  if (source == NULL || source->refusal != NULL)
    {
      if (source != NULL)
        fb_safetensors_fail (error, FB_MODEL_ERROR_UNSUPPORTED, self->path, "%s", _(source->refusal));
      else
        fb_safetensors_fail (error, FB_MODEL_ERROR_NOT_FOUND, self->path,
                             _("it contains no %s of a known kind; choose another file, or one that has it"), self->component);
      return FALSE;
    }

  for (guint i = 0; i < part->len; i++)
    if (!add_tensors (self, source, part->pdata[i], error))
      return FALSE;

  return TRUE;
}

static gboolean
load_config (FbCheckpoint *self, const char *path, JsonObject **config, GError **error)
{
  if (path == NULL)
    return TRUE;
  g_ptr_array_add (self->files, g_strdup (path));
  *config = fb_json_load_object (path, error);
  return *config != NULL;
}

static void
list_names (FbCheckpoint *self)
{
  GHashTableIter iter;
  gpointer       name;

  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (self->names, name);
  g_ptr_array_sort_values (self->names, (GCompareFunc) strcmp);
  g_ptr_array_add (self->names, NULL);
  g_ptr_array_add (self->files, NULL);
}

FbCheckpoint *
fb_checkpoint_open (const char *path, const char *component, GError **error)
{
  g_autoptr(FbCheckpoint) self  = g_new0 (FbCheckpoint, 1);
  FbCheckpointFiles       files = { 0 };
  gboolean                ok;

  self->ref_count = 1;
  self->path      = g_strdup (path);
  self->component = g_strdup (component);
  self->parts     = g_ptr_array_new_with_free_func ((GDestroyNotify) fb_safetensors_unref);
  self->entries   = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->names     = g_ptr_array_new ();
  self->strays    = g_ptr_array_new ();
  self->files     = g_ptr_array_new_with_free_func (g_free);

  ok = fb_checkpoint_files_find (&files, path, component, error) &&
       add_part (self, files.weights, error) &&
       (files.weights_2 == NULL || add_part (self, files.weights_2, error)) &&
       load_config (self, files.config, &self->config, error) &&
       load_config (self, files.scheduler_config, &self->scheduler_config, error) &&
       load_config (self, files.low_res_config, &self->low_res_config, error);
  if (ok && files.index != NULL)
    g_ptr_array_add (self->files, g_strdup (files.index));
  fb_checkpoint_files_clear (&files);
  if (!ok)
    return NULL;

  list_names (self);
  return g_steal_pointer (&self);
}

FbCheckpoint *
fb_checkpoint_ref (FbCheckpoint *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
fb_checkpoint_unref (FbCheckpoint *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  g_ptr_array_unref (self->names);
  g_ptr_array_unref (self->strays);
  g_ptr_array_unref (self->files);
  g_hash_table_unref (self->entries);
  g_ptr_array_unref (self->parts);
  g_clear_pointer (&self->config, json_object_unref);
  g_clear_pointer (&self->scheduler_config, json_object_unref);
  g_clear_pointer (&self->low_res_config, json_object_unref);
  g_free (self->component);
  g_free (self->path);
  g_free (self);
}

const char *
fb_checkpoint_path (const FbCheckpoint *self)
{
  return self->path;
}

const char *
fb_checkpoint_component (const FbCheckpoint *self)
{
  return self->component;
}

const FbTensorInfo *
fb_checkpoint_lookup (const FbCheckpoint *self, const char *name)
{
  const Entry *entry = g_hash_table_lookup (self->entries, name);

  return entry != NULL ? entry->info : NULL;
}

/* Equal up to trailing ones on either side. */
static gboolean
shapes_agree (const FbTensorInfo *info, int n_dims, const int *shape)
{
  for (int d = 0; d < MAX (n_dims, info->n_dims); d++)
    if ((d < n_dims ? shape[d] : 1) != (d < info->n_dims ? info->shape[d] : 1))
      return FALSE;
  return TRUE;
}

static Entry *
find_entry (FbCheckpoint *self, const char *name, int n_dims, const int *shape, GError **error)
{
  Entry *entry = g_hash_table_lookup (self->entries, name);

  if (entry == NULL)
    fb_safetensors_fail (error, FB_MODEL_ERROR_MISSING_TENSOR, self->path,
                         _("tensor “%s” of its %s is missing; the file is incomplete or of another kind"), name, self->component);
  else if (!shapes_agree (entry->info, n_dims, shape))
    {
      FbTensorInfo     expected = { .n_dims = n_dims };
      g_autofree char *theirs   = fb_tensor_info_shape_string (entry->info);
      g_autofree char *ours     = NULL;

      for (int d = 0; d < n_dims; d++)
        expected.shape[d] = shape[d];
      ours = fb_tensor_info_shape_string (&expected);
      fb_safetensors_fail (error, FB_MODEL_ERROR_SHAPE, fb_safetensors_path (entry->file),
                           _("tensor “%s” has the shape %s where %s is needed; the model is of another kind"),
                           entry->info->name, theirs, ours);
      entry = NULL;
    }

  return entry;
}

gboolean
fb_checkpoint_check (FbCheckpoint *self, const char *name, int n_dims, const int *shape, GError **error)
{
  const Entry *entry = find_entry (self, name, n_dims, shape, error);

  return entry != NULL && fb_safetensors_check_dtype (entry->file, entry->info, TRUE, error);
}

gboolean
fb_checkpoint_read_f32 (FbCheckpoint *self, const char *name, int n_dims, const int *shape, float *dst, GCancellable *cancellable,
                        GError **error)
{
  Entry *entry = find_entry (self, name, n_dims, shape, error);

  if (entry == NULL || !fb_safetensors_read_f32 (entry->file, entry->info, 0, fb_tensor_info_n_elements (entry->info), dst,
                                                 cancellable, error))
    return FALSE;

  g_atomic_int_set (&entry->was_read, TRUE);
  return TRUE;
}

gboolean
fb_checkpoint_read_raw (FbCheckpoint *self, const char *name, int n_dims, const int *shape, void *dst, GCancellable *cancellable,
                        GError **error)
{
  Entry *entry = find_entry (self, name, n_dims, shape, error);

  if (entry == NULL || !fb_safetensors_read_finite (entry->file, entry->info, dst, cancellable, error))
    return FALSE;

  g_atomic_int_set (&entry->was_read, TRUE);
  return TRUE;
}

const char * const *
fb_checkpoint_names (const FbCheckpoint *self)
{
  return (const char * const *) self->names->pdata;
}

char **
fb_checkpoint_unclaimed (FbCheckpoint *self)
{
  GPtrArray     *names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer       value;

  for (guint i = 0; i < self->strays->len; i++)
    g_ptr_array_add (names, g_strdup (self->strays->pdata[i]));

  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Entry *entry = value;

      if (!g_atomic_int_get (&entry->was_read))
        g_ptr_array_add (names, g_strdup (entry->info->name));
    }

  g_ptr_array_sort_values (names, (GCompareFunc) strcmp);
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (names, FALSE);
}

const char * const *
fb_checkpoint_files (const FbCheckpoint *self)
{
  return (const char * const *) self->files->pdata;
}

JsonObject *
fb_checkpoint_config (const FbCheckpoint *self)
{
  return self->config;
}

JsonObject *
fb_checkpoint_scheduler_config (const FbCheckpoint *self)
{
  return self->scheduler_config;
}

JsonObject *
fb_checkpoint_low_res_config (const FbCheckpoint *self)
{
  return self->low_res_config;
}
