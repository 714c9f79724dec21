/* core/models/model-run.c: what tasks ask a model to compute. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#include "core/models/model-private.h"
#include "core/models/tiles.h"

#define WHOLE_AREA (1024 * 1024)      /* pixels up to which a picture is coded as a whole */
#define TILE       96                 /* latent pixels per side of a tile above that */

static void
on_cancelled (GCancellable *cancellable, gpointer flag)
{
  g_atomic_int_set ((gint *) flag, 1);
}

gboolean
fb_model_begin (FbModelCall *call, FbModel *model, FbModelPart part, GCancellable *cancellable, GError **error)
{
  if (g_cancellable_set_error_if_cancelled (cancellable, error) || !fb_model_load (model, part, NULL, NULL, cancellable, error))
    return FALSE;

  *call = (FbModelCall) { .model = model, .part = part, .cancellable = cancellable };
  if (cancellable != NULL)
    call->handler = g_cancellable_connect (cancellable, G_CALLBACK (on_cancelled), &call->cancelled, NULL);
  fb_device_set_cancel_flag (model->dev, &call->cancelled);

  return TRUE;
}

gboolean
fb_model_end (FbModelCall *call, GError **error)
{
  GError *failure = NULL;

  fb_nn_reset (call->model->ctx);
  fb_device_check (call->model->dev, &failure);
  fb_device_set_cancel_flag (call->model->dev, NULL);
  if (call->cancellable != NULL)
    g_cancellable_disconnect (call->cancellable, call->handler);

  if (g_error_matches (failure, FB_DEVICE_ERROR, FB_DEVICE_ERROR_CANCELLED))
    {
      g_error_free (failure);
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _("The job was cancelled."));
      return FALSE;
    }
  call->again = failure != NULL && fb_model_make_way (call->model, call->part, &failure);
  if (failure != NULL)
    g_propagate_error (error, failure);

  return failure == NULL && !call->again;
}

gboolean
fb_model_check_finite (FbModel *model, const float *values, gsize n, GError **error)
{
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i]))
      {
        g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE,
                     _("“%s” computed values that are not numbers (in %s). Try another model, or this one in full precision."),
                     model->path, fb_dtype_name (model->dtype));
        return FALSE;
      }

  return TRUE;
}

gboolean
fb_model_encode_text (FbModel *model, const int *ids, int n_chunks, int clip_skip, float *out, GCancellable *cancellable, GError **error)
{
  const FbClipTextConfig *config = fb_clip_text_config (model->text);
  FbModelCall             call;
  gboolean                done;

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

  do
    {
      if (!fb_model_begin (&call, model, FB_MODEL_TEXT_ENCODER, cancellable, error))
        return FALSE;
      fb_tensor_download (fb_clip_text_forward (model->ctx, model->text, ids, n_chunks, clip_skip, TRUE), out, FB_DTYPE_F32);
      done = fb_model_end (&call, error);
    }
  while (call.again);

  return done &&
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

gboolean
fb_model_denoise (FbModel *model, const FbDenoise *request, float *out, GCancellable *cancellable, GError **error)
{
  const int        shape[]    = { request->n, request->height, request->width, model->info.unet_channels };
  FbUnetConditions conditions = { .timestep = request->timestep, .timesteps = request->timesteps, .class_label = request->class_label,
                                  .pooled = request->pooled, .time_ids = request->time_ids };
  FbTensor        *latents, *prediction;
  FbModelCall      call;
  gboolean         done;

  fb_params_set_odd_sizes (fb_unet_params (model->unet),
                           model->plain_kernels || fb_unet_halves_oddly (model->unet, request->height, request->width));
  do
    {
      if (!fb_model_begin (&call, model, FB_MODEL_UNET, cancellable, error))
        return FALSE;
      conditions.context = context_tensor (model, request);
      latents = fb_nn_upload (model->ctx, model->dtype, request->latents, 4, shape);
      prediction = fb_model_predict (model, latents, &conditions);
      fb_tensor_download (prediction, out, FB_DTYPE_F32);
      done = fb_model_end (&call, error);
      if (!done)
        fb_model_forget_context (model);               /* its upload may not have happened */
    }
  while (call.again);

  return done && fb_model_check_finite (model, out, (gsize) request->n * request->height * request->width * model->info.latent_channels, error);
}

int
fb_model_tile_size (FbModel *model, int height, int width, int tile)
{
  const gint64 scale = model->info.scale_factor;

  if (tile > 0)
    return tile;

  return scale * height * scale * width <= WHOLE_AREA ? MAX (height, width) : TILE;
}

static gboolean
encode_tile (const float *in, int height, int width, float *out, gpointer data, GError **error)
{
  FbModel  *model   = data;
  const int shape[] = { 1, height * model->info.scale_factor, width * model->info.scale_factor, 3 };

  fb_nn_scope_begin (model->ctx);
  fb_tensor_download (fb_vae_encoder_forward (model->ctx, model->encoder, fb_nn_upload (model->ctx, model->dtype, in, 4, shape)),
                      out, FB_DTYPE_F32);
  fb_nn_scope_end (model->ctx, NULL);

  return !fb_device_has_failed (model->dev);           /* the failure itself is told by fb_model_end() */
}

static gboolean
decode_tile (const float *in, int height, int width, float *out, gpointer data, GError **error)
{
  FbModel  *model   = data;
  const int shape[] = { 1, height, width, model->info.latent_channels };

  fb_nn_scope_begin (model->ctx);
  fb_tensor_download (fb_vae_decoder_forward (model->ctx, model->decoder, fb_nn_upload (model->ctx, model->dtype, in, 4, shape)),
                      out, FB_DTYPE_F32);
  fb_nn_scope_end (model->ctx, NULL);

  return !fb_device_has_failed (model->dev);
}

static gboolean
decode_taesd_tile (const float *in, int height, int width, float *out, gpointer data, GError **error)
{
  FbModel  *model   = data;
  const int shape[] = { 1, height, width, model->info.latent_channels };

  fb_nn_scope_begin (model->ctx);
  fb_tensor_download (fb_taesd_decoder_forward (model->ctx, model->taesd, fb_nn_upload (model->ctx, model->dtype, in, 4, shape)),
                      out, FB_DTYPE_F32);
  fb_nn_scope_end (model->ctx, NULL);

  return !fb_device_has_failed (model->dev);
}

gboolean
fb_model_encode_image (FbModel *model, const float *pixels, int height, int width, const float *noise, float *latents,
                       GCancellable *cancellable, GError **error)
{
  const int         scale    = model->info.scale_factor, channels = model->info.latent_channels;
  const FbTiles     tiles    = { height / scale, width / scale, fb_model_tile_size (model, height / scale, width / scale, 0),
                                 scale, 3, 1, 2 * channels };
  const gsize       n        = (gsize) tiles.height * tiles.width;
  g_autofree float *moments  = NULL;
  FbModelCall       call;
  gboolean          done;

  g_assert (height % scale == 0 && width % scale == 0);

  moments = g_new (float, n * 2 * channels);
  do
    {
      if (!fb_model_begin (&call, model, FB_MODEL_VAE_ENCODER, cancellable, error))
        return FALSE;
      fb_tiles_run (&tiles, pixels, moments, encode_tile, model, NULL);
      done = fb_model_end (&call, error);
    }
  while (call.again);
  if (!done || !fb_model_check_finite (model, moments, n * 2 * channels, error))
    return FALSE;

  for (gsize i = 0; i < n; i++)
    for (int c = 0; c < channels; c++)
      {
        const float mean         = moments[i * 2 * channels + c];
        const float log_variance = CLAMP (moments[(i * 2 + 1) * channels + c], -30.0f, 20.0f);
        float       value        = mean;

        if (noise != NULL)
          value += expf (0.5f * log_variance) * noise[i * channels + c];
        latents[i * channels + c] = (value - model->vae_config.shift_factor) * model->vae_config.scaling_factor;
      }

  return TRUE;
}

gboolean
fb_model_decode (FbModel *model, const float *latents, int height, int width, int tile, float *pixels,
                 GCancellable *cancellable, GError **error)
{
  const int         scale    = model->info.scale_factor, channels = model->info.latent_channels;
  const FbTiles     tiles    = { height, width, fb_model_tile_size (model, height, width, tile), 1, channels, scale, 3 };
  const gsize       n        = (gsize) height * width;
  g_autofree float *unscaled = g_new (float, n * channels);
  FbModelCall       call;
  gboolean          done;

  for (gsize i = 0; i < n * channels; i++)
    unscaled[i] = latents[i] / model->vae_config.scaling_factor + model->vae_config.shift_factor;
  do
    {
      if (!fb_model_begin (&call, model, FB_MODEL_VAE_DECODER, cancellable, error))
        return FALSE;
      fb_tiles_run (&tiles, unscaled, pixels, decode_tile, model, NULL);
      done = fb_model_end (&call, error);
    }
  while (call.again);

  return done && fb_model_check_finite (model, pixels, n * scale * scale * 3, error);
}

gboolean
fb_model_decode_taesd (FbModel *model, const float *latents, int height, int width, float *pixels, GCancellable *cancellable, GError **error)
{
  const int         scale   = model->info.scale_factor, channels = model->info.latent_channels;
  const FbTiles     tiles   = { height, width, fb_model_tile_size (model, height, width, 0), 1, channels, scale, 3 };
  const gsize       n       = (gsize) height * width;
  g_autofree float *clamped = g_memdup2 (latents, n * channels * sizeof (float));
  FbModelCall       call;
  gboolean          done;

  fb_taesd_clamp (clamped, n * channels);
  do
    {
      if (!fb_model_begin (&call, model, FB_MODEL_TAESD, cancellable, error))
        return FALSE;
      fb_tiles_run (&tiles, clamped, pixels, decode_taesd_tile, model, NULL);
      done = fb_model_end (&call, error);
    }
  while (call.again);
  for (gsize i = 0; done && i < n * scale * scale * 3; i++)
    pixels[i] = 2.0f * pixels[i] - 1.0f;

  return done && fb_model_check_finite (model, pixels, n * scale * scale * 3, error);
}

static gboolean
encode_taesd_tile (const float *in, int height, int width, float *out, gpointer data, GError **error)
{
  FbModel  *model   = data;
  const int shape[] = { 1, height * model->info.scale_factor, width * model->info.scale_factor, 3 };

  fb_nn_scope_begin (model->ctx);
  fb_tensor_download (fb_taesd_encoder_forward (model->ctx, model->taesd_encoder, fb_nn_upload (model->ctx, model->dtype, in, 4, shape)),
                      out, FB_DTYPE_F32);
  fb_nn_scope_end (model->ctx, NULL);

  return !fb_device_has_failed (model->dev);
}

gboolean
fb_model_encode_taesd (FbModel *model, const float *pixels, int height, int width, float *latents, GCancellable *cancellable, GError **error)
{
  const int         scale = model->info.scale_factor, channels = model->info.latent_channels;
  const FbTiles     tiles = { height / scale, width / scale, fb_model_tile_size (model, height / scale, width / scale, 0), scale, 3, 1, channels };
  const gsize       n     = (gsize) height * width;
  g_autofree float *half  = g_new (float, n * 3);
  FbModelCall       call;
  gboolean          done;

  g_assert (height % scale == 0 && width % scale == 0);

  for (gsize i = 0; i < n * 3; i++)
    half[i] = 0.5f * pixels[i] + 0.5f;
  do
    {
      if (!fb_model_begin (&call, model, FB_MODEL_TAESD_ENCODER, cancellable, error))
        return FALSE;
      fb_tiles_run (&tiles, half, latents, encode_taesd_tile, model, NULL);
      done = fb_model_end (&call, error);
    }
  while (call.again);

  return done && fb_model_check_finite (model, latents, n / scale / scale * channels, error);
}

static gboolean
fit_linear_preview (FbModel *model, GCancellable *cancellable, GError **error)
{
  const int         size    = FB_LINEAR_PREVIEW_SIZE, scale = model->info.scale_factor, channels = model->info.latent_channels;
  g_autofree float *latents = g_new (float, size * size * channels);
  g_autofree float *pixels  = g_new (float, (gsize) size * scale * size * scale * 3);

  fb_linear_preview_probe (latents, channels);
  if (!fb_model_decode (model, latents, size, size, size, pixels, cancellable, error))
    return FALSE;

  fb_linear_preview_fit (&model->linear_preview, latents, channels, pixels, scale);
  model->has_linear_preview = TRUE;

  return TRUE;
}

gboolean
fb_model_preview_linear (FbModel *model, const float *latents, int height, int width, float *pixels, GCancellable *cancellable, GError **error)
{
  if (!model->has_linear_preview && !fit_linear_preview (model, cancellable, error))
    return FALSE;

  fb_linear_preview_apply (&model->linear_preview, latents, (gsize) height * width, pixels);

  return TRUE;
}
