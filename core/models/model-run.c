/* core/models/model-run.c: what tasks ask the text encoder and the UNet to compute. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "core/models/model-private.h"

typedef struct
{
  const int *ids;
  int        n_chunks, clip_skip;
  float     *out;
} TextWork;

static void
encode_text (FbModel *model, gpointer data)
{
  const TextWork *text = data;

  fb_tensor_download (fb_clip_text_forward (model->ctx, model->text, text->ids, text->n_chunks, text->clip_skip, TRUE), text->out, FB_DTYPE_F32);
}

gboolean
fb_model_encode_text (FbModel *model, const int *ids, int n_chunks, int clip_skip, float *out, GCancellable *cancellable, GError **error)
{
  const FbClipTextConfig *config = fb_clip_text_config (model->text);
  TextWork                work   = { ids, n_chunks, clip_skip, out };

  if (clip_skip < 0 || clip_skip >= config->n_layers)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED,
                   _("“%s” has a text encoder of %d layers, so %d cannot be left out. Choose a smaller CLIP skip."),
                   model->path, config->n_layers, clip_skip);
      return FALSE;
    }
  for (int i = 0; i < n_chunks * config->n_positions; i++)
    if (ids[i] < 0 || ids[i] >= config->vocabulary)
      {
        g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG,
                     _("“%s” cannot be used: its tokenizer knows words that its text encoder does not. Fetch the model again."), model->path);
        return FALSE;
      }

  return fb_model_compute (model, FB_MODEL_TEXT_ENCODER, encode_text, &work, cancellable, error) &&
         fb_model_check_finite (model, out, (gsize) n_chunks * config->n_positions * config->width, error);
}

/* The prompt on the device: as the last call left it if its values are the same, and in the same place if its shape is */
static FbTensor *
context_tensor (FbModel *model, const FbDenoise *call)
{
  const int      shape[] = { call->n, call->n_tokens, fb_unet_config (model->unet)->context_width };
  const gsize    n_bytes = (gsize) shape[0] * shape[1] * shape[2] * sizeof (float);
  const gboolean fits    = model->context != NULL && model->context->data != NULL && memcmp (model->context->shape, shape, sizeof shape) == 0;

  if (fits && memcmp (model->context_values, call->context, n_bytes) == 0)
    return model->context;

  if (!fits)
    {
      fb_model_forget_context (model);
      model->context = fb_tensor_new (model->dev, model->dtype, 3, shape);
    }
  g_free (model->context_values);
  model->context_values = g_memdup2 (call->context, n_bytes);
  fb_tensor_upload (model->context, call->context, FB_DTYPE_F32);

  return model->context;
}

typedef struct
{
  const FbDenoise *request;
  float           *out;
} DenoiseWork;

static void
denoise (FbModel *model, gpointer data)
{
  const DenoiseWork *work       = data;
  const FbDenoise   *request    = work->request;
  const int          shape[]    = { request->n, request->height, request->width, model->info.unet_channels };
  FbUnetConditions   conditions = { .timestep = request->timestep, .timesteps = request->timesteps, .class_label = request->class_label,
                                    .pooled = request->pooled, .time_ids = request->time_ids };
  FbTensor          *latents;

  conditions.context = context_tensor (model, request);
  latents = fb_nn_upload (model->ctx, model->dtype, request->latents, 4, shape);
  fb_tensor_download (fb_model_predict (model, latents, &conditions), work->out, FB_DTYPE_F32);
  if (fb_device_has_failed (model->dev))
    fb_model_forget_context (model);                   /* its upload may not have happened */
}

gboolean
fb_model_denoise (FbModel *model, const FbDenoise *request, float *out, GCancellable *cancellable, GError **error)
{
  DenoiseWork work = { request, out };

  fb_params_set_odd_sizes (fb_unet_params (model->unet),
                           model->plain_kernels || fb_unet_halves_oddly (model->unet, request->height, request->width));

  return fb_model_compute (model, FB_MODEL_UNET, denoise, &work, cancellable, error) &&
         fb_model_check_finite (model, out, (gsize) request->n * request->height * request->width * model->info.latent_channels, error);
}
