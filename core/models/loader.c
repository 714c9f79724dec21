/* core/models/loader.c: fills a network's parameters from a checkpoint. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/loader.h"

gboolean
fb_loader_check (const FbLoader *loader, GError **error)
{
  for (guint i = 0; i < fb_params_n (loader->params); i++)
    {
      const FbParam *param = fb_params_get (loader->params, i);

      if (!fb_checkpoint_check (loader->checkpoint, param->name, param->n_dims, param->shape, error))
        return FALSE;
    }

  return TRUE;
}

gboolean
fb_loader_is_complete (const FbLoader *loader)
{
  for (guint i = 0; i < fb_params_n (loader->params); i++)
    if (!fb_param_is_filled (fb_params_get (loader->params, i)))
      return FALSE;

  return TRUE;
}

static gboolean
is_touched (const FbLoader *loader, const FbParam *param)
{
  return loader->touches != NULL && loader->touches (param->name, loader->change_data);
}

static gboolean
stays_half (const FbLoader *loader, const FbParam *param)
{
  const FbTensorInfo *info = loader->half ? fb_checkpoint_lookup (loader->checkpoint, param->name) : NULL;

  return info != NULL && (info->dtype == FB_DTYPE_F16 || info->dtype == FB_DTYPE_BF16) && !is_touched (loader, param);
}

guint64
fb_loader_bytes (const FbLoader *loader)
{
  guint64 bytes = 0;

  for (guint i = 0; i < fb_params_n (loader->params); i++)
    {
      const FbParam *param = fb_params_get (loader->params, i);

      bytes += stays_half (loader, param) ? fb_param_half_bytes (param) : fb_param_bytes (param, loader->dtype);
    }

  return bytes;
}

/* Reads @param and puts it into its place. As the file has it, where that can be packed directly; through f32 where LoRAs change it: deltas
 * are added before anything is rounded to the compute type. */
static gboolean
fill (const FbLoader *loader, const FbParam *param, GByteArray *buffer, GCancellable *cancellable, GError **error)
{
  FbCheckpoint   *checkpoint = loader->checkpoint;
  const gboolean  changed    = is_touched (loader, param);
  FbDtype         dtype      = fb_checkpoint_lookup (checkpoint, param->name)->dtype;
  const gboolean  through    = changed || dtype == FB_DTYPE_F64;

  if (through)
    dtype = FB_DTYPE_F32;
  g_byte_array_set_size (buffer, MAX (buffer->len, param->n_elements * fb_dtype_size (dtype)));

  if (through)
    {
      float *values = (float *) (gpointer) buffer->data;

      if (!fb_checkpoint_read_f32 (checkpoint, param->name, param->n_dims, param->shape, values, cancellable, error))
        return FALSE;
      if (changed && !loader->change (param, values, loader->change_data, cancellable, error))
        return FALSE;
    }
  else if (!fb_checkpoint_read_raw (checkpoint, param->name, param->n_dims, param->shape, buffer->data, cancellable, error))
    return FALSE;

  if (stays_half (loader, param))
    fb_param_fill_half (param, loader->dev, buffer->data, dtype);
  else
    fb_param_fill (param, loader->dev, loader->dtype, buffer->data, dtype);

  return TRUE;
}

gboolean
fb_loader_fill (const FbLoader *loader, FbLoaderProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_autoptr(GByteArray) buffer = g_byte_array_new ();
  guint64               total = 0, done = 0;

  if (!fb_loader_check (loader, error))
    return FALSE;

  for (guint i = 0; i < fb_params_n (loader->params); i++)
    if (!fb_param_is_filled (fb_params_get (loader->params, i)))
      total += fb_params_get (loader->params, i)->n_elements;

  for (guint i = 0; i < fb_params_n (loader->params); i++)
    {
      const FbParam *param = fb_params_get (loader->params, i);

      if (fb_param_is_filled (param))
        continue;
      if (!fill (loader, param, buffer, cancellable, error))
        return FALSE;
      if (fb_device_has_failed (loader->dev))
        {
          fb_param_empty (param);         /* it may hold nothing */
          return fb_device_check (loader->dev, error);
        }
      done += param->n_elements;
      if (progress != NULL)
        progress ((double) done / (double) total, user_data);
    }

  return TRUE;
}
