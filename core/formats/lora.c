/* core/formats/lora.c: opens LoRA files and finds out which layers they change. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/lora-private.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "core/formats/json-file.h"
#include "core/formats/safetensors-private.h"

static void
layer_free (gpointer data)
{
  FbLoraLayer *layer = data;

  g_free (layer->key);
  g_free (layer->component);
  g_free (layer->module);
  g_free (layer);
}

/* --- opening ------------------------------------------------------------------------------------------------------------- */

/* The file within a folder. */
static char *
find_in_folder (const char *folder, GError **error)
{
  static const char * const names[] = { "adapter_model.safetensors", "pytorch_lora_weights.safetensors" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (folder, names[i], NULL);

      if (g_file_test (path, G_FILE_TEST_EXISTS))
        return g_steal_pointer (&path);
    }

  fb_safetensors_fail (error, FB_MODEL_ERROR_NOT_FOUND, folder,
                       _("the folder has neither “%s” nor “%s”; choose the LoRA's file itself"), names[0], names[1]);
  return NULL;
}

/* adapter_config.json belongs to the adapter_model.safetensors beside it; diffusers writes the same into the header. */
static gboolean
load_config (FbLora *self, GError **error)
{
  g_autofree char *name   = g_path_get_basename (fb_safetensors_path (self->file));
  g_autofree char *folder = g_path_get_dirname (fb_safetensors_path (self->file));
  g_autofree char *beside = g_build_filename (folder, "adapter_config.json", NULL);
  const char      *header = fb_safetensors_metadata (self->file, "lora_adapter_metadata");

  if (strcmp (name, "adapter_model.safetensors") == 0 && g_file_test (beside, G_FILE_TEST_EXISTS))
    {
      g_ptr_array_add (self->files, g_strdup (beside));
      self->config = fb_json_load_object (beside, error);
    }
  else if (header != NULL)
    self->config = fb_json_parse_object (header, strlen (header), fb_safetensors_path (self->file), error);
  else
    return TRUE;

  return self->config != NULL && fb_lora_config_check (self->config, self->path, error);
}

static gboolean
add_tensor (FbLora *self, const FbTensorInfo *info, GError **error)
{
  const char  *kind = fb_lora_refused_kind (info->name);
  gsize        key_length;
  FbLoraPart   part;
  FbLoraLayer *layer;

  if (kind != NULL)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_UNSUPPORTED, self->path,
                           _("it is a %s (tensor “%s”); only plain LoRA is supported"), kind, info->name);
      return FALSE;
    }

  if (!fb_lora_split_name (info->name, &key_length, &part))
    {
      g_ptr_array_add (self->strays, (char *) info->name);
      return TRUE;
    }

  {
    g_autofree char *key = g_strndup (info->name, key_length);

    layer = g_hash_table_lookup (self->by_key, key);
    if (layer == NULL)
      {
        layer      = g_new0 (FbLoraLayer, 1);
        layer->key = g_steal_pointer (&key);
        g_ptr_array_add (self->layers, layer);
        g_hash_table_insert (self->by_key, layer->key, layer);
      }
  }

  if (layer->part[part] != NULL)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, self->path, _("tensors “%s” and “%s” are for the same place"),
                           layer->part[part]->name, info->name);
      return FALSE;
    }
  layer->part[part] = info;
  return TRUE;
}

/* Every layer needs both factors, with one rank. */
static gboolean
check_layer (FbLora *self, FbLoraLayer *layer, GError **error)
{
  const FbTensorInfo *down = layer->part[FB_LORA_DOWN];
  const FbTensorInfo *up   = layer->part[FB_LORA_UP];

  if (down == NULL || up == NULL)
    fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, self->path, _("one of the two factors of layer “%s” is missing"), layer->key);
  else if (down->n_dims < 2 || up->n_dims < 2 || down->shape[0] < 1 || down->shape[0] > G_MAXINT || up->shape[1] != down->shape[0])
    {
      g_autofree char *down_shape = fb_tensor_info_shape_string (down);
      g_autofree char *up_shape   = fb_tensor_info_shape_string (up);

      fb_safetensors_fail (error, FB_MODEL_ERROR_SHAPE, self->path, _("the factors of layer “%s” do not fit together: %s and %s"),
                           layer->key, down_shape, up_shape);
    }
  else
    {
      layer->rank = down->shape[0];
      return TRUE;
    }

  return FALSE;
}

static gboolean
add_all (FbLora *self, GError **error)
{
  for (guint i = 0; i < fb_safetensors_n_tensors (self->file); i++)
    if (!add_tensor (self, fb_safetensors_tensor (self->file, i), error))
      return FALSE;

  for (guint i = 0; i < self->layers->len; i++)
    if (!check_layer (self, self->layers->pdata[i], error))
      return FALSE;

  if (self->layers->len == 0)
    fb_safetensors_fail (error, FB_MODEL_ERROR_NOT_FOUND, self->path, _("it contains no LoRA; a checkpoint is chosen as the model instead"));
  return self->layers->len > 0;
}

FbLora *
fb_lora_open (const char *path, GError **error)
{
  g_autoptr(FbLora) self = g_new0 (FbLora, 1);
  g_autofree char  *file = NULL;

  self->ref_count = 1;
  self->path      = g_strdup (path);
  self->layers    = g_ptr_array_new_with_free_func (layer_free);
  self->by_key    = g_hash_table_new (g_str_hash, g_str_equal);
  self->matched   = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->strays    = g_ptr_array_new ();
  self->files     = g_ptr_array_new_with_free_func (g_free);

  file = g_file_test (path, G_FILE_TEST_IS_DIR) ? find_in_folder (path, error) : g_strdup (path);
  if (file == NULL || (self->file = fb_safetensors_open (file, error)) == NULL)
    return NULL;
  g_ptr_array_add (self->files, g_steal_pointer (&file));
  if (!add_all (self, error) || !load_config (self, error))
    return NULL;
  g_ptr_array_add (self->files, NULL);

  return g_steal_pointer (&self);
}

FbLora *
fb_lora_ref (FbLora *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
fb_lora_unref (FbLora *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  g_hash_table_unref (self->matched);
  g_hash_table_unref (self->by_key);
  g_ptr_array_unref (self->layers);
  g_ptr_array_unref (self->strays);
  g_ptr_array_unref (self->files);
  g_clear_pointer (&self->config, json_object_unref);
  g_clear_pointer (&self->file, fb_safetensors_unref);
  g_free (self->path);
  g_free (self);
}

/* --- matching ------------------------------------------------------------------------------------------------------------ */

const char *
fb_lora_base (const FbLora *self)
{
  static const struct { const char *mark, *family; } marks[] =
  {
    { "lora_te2_", "SDXL" }, { "text_encoder_2.", "SDXL" }, { "add_embedding", "SDXL" }, { "label_emb", "SDXL" },
    { "double_blocks", "Flux" }, { "single_transformer_blocks", "Flux" }, { "joint_blocks", "SD 3" }, { "adaln_single", "PixArt" },
    { "transformer.transformer_blocks", "SD 3" },
  };
  const char *says = fb_safetensors_metadata (self->file, "ss_base_model_version");

  says = says != NULL ? says : fb_safetensors_metadata (self->file, "modelspec.architecture");
  if (says != NULL)
    return says;

  for (guint m = 0; m < G_N_ELEMENTS (marks); m++)
    for (guint i = 0; i < self->layers->len; i++)
      if (strstr (((FbLoraLayer *) self->layers->pdata[i])->key, marks[m].mark) != NULL)
        return marks[m].family;

  return NULL;
}

static void
fail_family (const FbLora *self, GError **error, const char *reason)
{
  const char *family = fb_lora_base (self);

  if (family != NULL)
    fb_safetensors_fail (error, FB_MODEL_ERROR_FAMILY, self->path,
                         _("this LoRA was made for another family of models, “%s”, and does not fit this model: %s"), family, reason);
  else
    fb_safetensors_fail (error, FB_MODEL_ERROR_FAMILY, self->path,
                         _("this LoRA was made for another family of models and does not fit this model: %s"), reason);
}

/* Equal up to trailing ones on either side. */
static gboolean
has_shape (const FbTensorInfo *info, int a, int b, int c, int d)
{
  const int shape[FB_SAFETENSORS_MAX_DIMS] = { a, b, c, d, 1, 1, 1, 1 };

  for (int i = 0; i < FB_SAFETENSORS_MAX_DIMS; i++)
    if ((i < info->n_dims ? info->shape[i] : 1) != shape[i])
      return FALSE;
  return TRUE;
}

static gboolean
check_shape (const FbLora *self, const FbLoraLayer *layer, const FbLoraModule *module, GError **error)
{
  const FbTensorInfo *down = layer->part[FB_LORA_DOWN], *up = layer->part[FB_LORA_UP], *mid = layer->part[FB_LORA_MID];
  int                 kh   = module->n_dims > 2 ? module->shape[2] : 1;
  int                 kw   = module->n_dims > 3 ? module->shape[3] : 1;
  int                 r    = layer->rank;
  g_autofree char    *down_shape = NULL, *up_shape = NULL, *reason = NULL;

  if (has_shape (up, module->shape[0], r, 1, 1) &&
      (mid != NULL ? has_shape (down, r, module->shape[1], 1, 1) && has_shape (mid, r, r, kh, kw)
                   : has_shape (down, r, module->shape[1], kh, kw)))
    return TRUE;

  down_shape = fb_tensor_info_shape_string (down);
  up_shape   = fb_tensor_info_shape_string (up);
  reason     = g_strdup_printf (_("its factors %s and %s for the layer “%s” make no change for a weight of %d × %d"), down_shape, up_shape,
                                layer->key, module->shape[0], module->shape[1]);
  fail_family (self, error, reason);
  return FALSE;
}

/* The alpha tensor, else what PEFT's configuration says, else 1. */
static gboolean
find_scale (FbLora *self, FbLoraLayer *layer, GError **error)
{
  const FbTensorInfo *info = layer->part[FB_LORA_ALPHA];
  float               alpha;

  if (info == NULL)
    {
      layer->scale = fb_lora_config_scale (self->config, layer->component, layer->module, layer->rank);
      return TRUE;
    }
  if (fb_tensor_info_n_elements (info) != 1)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_SHAPE, self->path, _("tensor “%s” is not a single number"), info->name);
      return FALSE;
    }
  if (!fb_safetensors_read_f32 (self->file, info, 0, 1, &alpha, NULL, error))
    return FALSE;

  layer->scale = alpha / layer->rank;
  return TRUE;
}

static gboolean
bind (FbLora *self, FbLoraLayer *layer, const char *component, const FbLoraModule *module, GError **error)
{
  g_autofree char *place = g_strdup_printf ("%s %s", component, module->path);
  FbLoraLayer     *other = g_hash_table_lookup (self->matched, place);

  if (other != NULL)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, self->path, _("“%s” and “%s” are the same layer"), other->key, layer->key);
      return FALSE;
    }
  if (!check_shape (self, layer, module, error))
    return FALSE;

  layer->component = g_strdup (component);
  layer->module    = g_strdup (module->path);
  layer->n_out     = module->shape[0];
  layer->n_in      = module->shape[1];
  layer->n_kernel  = (module->n_dims > 2 ? module->shape[2] : 1) * (module->n_dims > 3 ? module->shape[3] : 1);
  g_hash_table_insert (self->matched, g_steal_pointer (&place), layer);

  return find_scale (self, layer, error);
}

gboolean
fb_lora_match (FbLora *self, const char *component, const FbLoraModule *modules, size_t n_modules, GError **error)
{
  for (size_t m = 0; m < n_modules; m++)
    {
      g_auto(GStrv) keys = fb_lora_spellings (component, modules[m].path);

      for (guint k = 0; keys[k] != NULL; k++)
        {
          FbLoraLayer *layer = g_hash_table_lookup (self->by_key, keys[k]);

          if (layer != NULL && layer->module == NULL && !bind (self, layer, component, &modules[m], error))
            return FALSE;
        }
    }

  return TRUE;
}

gboolean
fb_lora_check (const FbLora *self, GError **error)
{
  g_autofree char *reason = NULL;

  if (fb_lora_n_matched (self) > 0 && fb_lora_n_matched (self) >= fb_lora_n_layers (self) / 2)
    return TRUE;                  /* a few layers of another family may happen to fit; that is not a match */

  reason = g_strdup_printf (ngettext ("the model has %u of its %u layer", "the model has %u of its %u layers", fb_lora_n_layers (self)),
                            fb_lora_n_matched (self), fb_lora_n_layers (self));
  fail_family (self, error, reason);
  return FALSE;
}

/* Whether @key is of a cross-attention's keys in a UNet: "lora_unet_down_blocks_0_…_attn2_to_k", "unet.mid_block.….attn2.to_k" … */
static gboolean
is_context_key (const char *key)
{
  static const char * const blocks[] = { "down_blocks", "mid_block", "up_blocks", "input_blocks", "middle_block", "output_blocks" };
  const char               *attention = strstr (key, "attn2");

  if (attention == NULL || strstr (attention, "to_k") == NULL)
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (blocks); i++)
    if (strstr (key, blocks[i]) != NULL)
      return TRUE;
  return FALSE;
}

int
fb_lora_context_width (const FbLora *self)
{
  for (guint i = 0; i < self->layers->len; i++)
    {
      const FbLoraLayer  *layer = self->layers->pdata[i];
      const FbTensorInfo *down  = layer->part[FB_LORA_DOWN];

      if (is_context_key (layer->key) && down->n_dims >= 2 && down->shape[1] > 0 && down->shape[1] <= 1 << 20)
        return (int) down->shape[1];
    }
  return 0;
}

/* --- questions ----------------------------------------------------------------------------------------------------------- */

const char *
fb_lora_path (const FbLora *self)
{
  return self->path;
}

const char * const *
fb_lora_files (const FbLora *self)
{
  return (const char * const *) self->files->pdata;
}

guint
fb_lora_n_layers (const FbLora *self)
{
  return self->layers->len;
}

guint
fb_lora_n_matched (const FbLora *self)
{
  return g_hash_table_size (self->matched);
}

char **
fb_lora_unmatched (const FbLora *self)
{
  GPtrArray *names = g_ptr_array_new ();

  for (guint i = 0; i < self->layers->len; i++)
    {
      const FbLoraLayer *layer = self->layers->pdata[i];

      if (layer->module == NULL)
        g_ptr_array_add (names, g_strdup (layer->key));
    }
  for (guint i = 0; i < self->strays->len; i++)
    g_ptr_array_add (names, g_strdup (self->strays->pdata[i]));

  g_ptr_array_sort_values (names, (GCompareFunc) strcmp);
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (names, FALSE);
}

gboolean
fb_lora_changes (const FbLora *self, const char *component, const char *module)
{
  g_autofree char *place = g_strdup_printf ("%s %s", component, module);

  return g_hash_table_contains (self->matched, place);
}
