/* core/models/model-parts.c: loads and drops a model's parts. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/model-private.h"

FbLoader
fb_model_loader (FbModel *model, FbModelPart part)
{
  FbLoader loader = { .dev = model->dev, .dtype = model->dtype, .half = model->half && model->dtype == FB_DTYPE_F32 };

  switch (part)
    {
    case FB_MODEL_TEXT_ENCODER:
      loader.params = fb_clip_text_params (model->text);
      loader.checkpoint = model->text_file;
      break;
    case FB_MODEL_UNET:
      loader.params = fb_unet_params (model->unet);
      loader.checkpoint = model->unet_file;
      break;
    case FB_MODEL_VAE_ENCODER:
      loader.params = fb_vae_encoder_params (model->encoder);
      loader.checkpoint = model->vae_file;
      break;
    case FB_MODEL_VAE_DECODER:
      loader.params = fb_vae_decoder_params (model->decoder);
      loader.checkpoint = model->vae_file;
      break;
    case FB_MODEL_TAESD:
      loader.params = model->taesd != NULL ? fb_taesd_decoder_params (model->taesd) : NULL;
      loader.checkpoint = model->taesd_file;
      break;
    case FB_MODEL_TAESD_ENCODER:
      loader.params = model->taesd_encoder != NULL ? fb_taesd_encoder_params (model->taesd_encoder) : NULL;
      loader.checkpoint = model->taesd_file;
      break;
    }
  fb_model_add_loras_to_loader (model, part, &loader);

  return loader;
}

gboolean
fb_model_load (FbModel *model, FbModelPart part, FbModelProgressFunc progress, gpointer user_data,
               GCancellable *cancellable, GError **error)
{
  const FbLoader    loader = fb_model_loader (model, part);
  g_autoptr(GError) local  = NULL;

  g_assert (loader.params != NULL);

  model->last_use[part] = ++model->n_uses;
  if (fb_loader_is_complete (&loader))
    return TRUE;

  if (part == FB_MODEL_UNET)
    fb_model_forget_step (model);                      /* weights come to lie elsewhere */
  while (!fb_loader_fill (&loader, progress, user_data, cancellable, &local))
    if (!fb_model_make_way (model, part, &local))
      {
        if (g_error_matches (local, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY))
          fb_model_unload_part (model, part);          /* half a part is of no use and would be in the way */
        g_propagate_error (error, g_steal_pointer (&local));
        return FALSE;
      }

  return TRUE;
}

gboolean
fb_model_is_loaded (FbModel *model, FbModelPart part)
{
  const FbLoader loader = fb_model_loader (model, part);

  return loader.params != NULL && fb_loader_is_complete (&loader);
}

gboolean
fb_model_has_loaded (FbModel *model)
{
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    if (fb_model_is_loaded (model, part))
      return TRUE;

  return FALSE;
}

void
fb_model_unload_part (FbModel *model, FbModelPart part)
{
  const FbLoader loader = fb_model_loader (model, part);

  if (loader.params != NULL)
    fb_params_clear (loader.params);
  if (part == FB_MODEL_UNET)
    fb_model_forget_context (model);                   /* the prompt is for it alone */
}

void
fb_model_forget_context (FbModel *model)
{
  fb_model_forget_step (model);                        /* reads it where it lies */
  g_clear_pointer (&model->context, fb_tensor_unref);
  g_clear_pointer (&model->context_values, g_free);
}

void
fb_model_unload (FbModel *model)
{
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    fb_model_unload_part (model, part);
  fb_device_trim (model->dev);
}

void
fb_model_set_dtype (FbModel *model, FbDtype dtype)
{
  if (dtype == model->dtype)
    return;

  fb_model_unload (model);
  model->dtype = dtype;
  fb_nn_context_free (model->ctx);
  model->ctx = fb_nn_context_new (model->dev, dtype);
}

gboolean
fb_model_is_half (FbModel *model)
{
  return model->half;
}

void
fb_model_set_half (FbModel *model, gboolean half)
{
  if (half == model->half)
    return;

  fb_model_unload (model);
  model->half = half;
}

gboolean
fb_model_can_be_half (FbModel *model, const FbDevice *dev)
{
  return model->dtype == FB_DTYPE_F32 && fb_weight_can_be_half (dev);
}

guint64
fb_model_half_saves (FbModel *model, FbModelPart part)
{
  FbLoader loader = fb_model_loader (model, part);
  guint64  full;

  if (loader.params == NULL || model->dtype != FB_DTYPE_F32)
    return 0;
  loader.half = FALSE;
  full = fb_loader_bytes (&loader);
  loader.half = TRUE;

  return full - fb_loader_bytes (&loader);
}

gboolean
fb_half_pays (guint64 full, guint64 saved, guint64 limit)
{
  const char *wish = g_getenv ("FLASHBRUSH_WEIGHTS");

  if (g_strcmp0 (wish, "half") == 0 || g_strcmp0 (wish, "full") == 0)
    return *wish == 'h' && saved > 0;

  return limit > 0 && full > limit && full - saved <= limit;
}

FbUnet *
fb_model_unet (FbModel *model)
{
  return model->unet;
}

FbContext *
fb_model_context (FbModel *model)
{
  return model->ctx;
}

void
fb_model_set_plain_kernels (FbModel *model, gboolean plain)
{
  model->plain_kernels = plain;
  fb_params_set_odd_sizes (fb_unet_params (model->unet), plain);
}

guint64
fb_model_weight_bytes (FbModel *model, FbModelPart part)
{
  const FbLoader loader = fb_model_loader (model, part);

  return loader.params != NULL ? fb_loader_bytes (&loader) : 0;
}

guint64
fb_model_held_bytes (FbModel *model)
{
  guint64 bytes = fb_model_step_bytes (model) + (model->context != NULL ? model->context->n_bytes : 0);

  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    {
      const FbLoader loader = fb_model_loader (model, part);

      if (loader.params != NULL)
        bytes += fb_params_held_bytes (loader.params, !fb_device_has_memory (model->dev));
    }

  return bytes;
}

char **
fb_model_unclaimed (FbModel *model)
{
  FbCheckpoint          *files[] = { model->text_file, model->unet_file, model->vae_file };
  g_autoptr(GHashTable)  known   = g_hash_table_new (g_str_hash, g_str_equal);      /* the files' names of what some part asks for */
  GPtrArray             *names   = g_ptr_array_new ();

  for (int part = FB_MODEL_TEXT_ENCODER; part <= FB_MODEL_VAE_DECODER; part++)
    {
      const FbLoader loader = fb_model_loader (model, part);

      for (guint i = 0; i < fb_params_n (loader.params); i++)
        {
          const FbTensorInfo *info = fb_checkpoint_lookup (loader.checkpoint, fb_params_get (loader.params, i)->name);

          if (info != NULL)
            g_hash_table_add (known, (gpointer) info->name);
        }
    }

  for (gsize i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_auto(GStrv) unread = fb_checkpoint_unclaimed (files[i]);

      for (int k = 0; unread[k] != NULL; k++)
        if (!g_hash_table_contains (known, unread[k]))
          g_ptr_array_add (names, g_strdup (unread[k]));
    }
  g_ptr_array_add (names, NULL);

  return (char **) g_ptr_array_free (names, FALSE);
}
