/* core/models/model-coders.c: what tasks ask the autoencoders to compute: pictures to latents and back. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "core/models/model-private.h"
#include "core/models/tiles.h"

#define WHOLE_AREA (1024 * 1024)      /* pixels up to which a picture is coded as a whole */
#define TILE       96                 /* latent pixels per side of a tile above that */

/* One coder's network over a whole picture */
typedef struct
{
  FbModel       *model;
  FbModelPart    part;
  const FbTiles *tiles;
  const float   *in;
  float         *out;
} Coding;

int
fb_model_tile_size (FbModel *model, int height, int width, int tile)
{
  const gint64 scale = model->info.scale_factor;

  if (tile > 0)
    return tile;

  return scale * height * scale * width <= WHOLE_AREA ? MAX (height, width) : TILE;
}

static FbTensor *
code (FbModel *model, FbModelPart part, FbTensor *in)
{
  switch (part)
    {
    case FB_MODEL_VAE_ENCODER:
      return fb_vae_encoder_forward (model->ctx, model->encoder, in);
    case FB_MODEL_VAE_DECODER:
      return fb_vae_decoder_forward (model->ctx, model->decoder, in);
    case FB_MODEL_TAESD_ENCODER:
      return fb_taesd_encoder_forward (model->ctx, model->taesd_encoder, in);
    case FB_MODEL_TAESD:
      return fb_taesd_decoder_forward (model->ctx, model->taesd, in);
    default:
      g_assert_not_reached ();
    }
}

static gboolean
code_tile (const float *in, int height, int width, float *out, gpointer data, GError **error)
{
  const Coding *coding  = data;
  FbModel      *model   = coding->model;
  const int     scale   = coding->tiles->in_scale;
  const int     shape[] = { 1, scale * height, scale * width, coding->tiles->in_channels };

  fb_nn_scope_begin (model->ctx);
  fb_tensor_download (code (model, coding->part, fb_nn_upload (model->ctx, model->dtype, in, 4, shape)), out, FB_DTYPE_F32);
  fb_nn_scope_end (model->ctx, NULL);

  return !fb_device_has_failed (model->dev);           /* the failure itself is told by fb_model_compute() */
}

static void
code_tiles (FbModel *model, gpointer data)
{
  Coding *coding = data;

  fb_tiles_run (coding->tiles, coding->in, coding->out, code_tile, coding, NULL);
}

static gboolean
run_coder (FbModel *model, FbModelPart part, const FbTiles *tiles, const float *in, float *out, GCancellable *cancellable, GError **error)
{
  Coding      coding = { model, part, tiles, in, out };
  const gsize n      = (gsize) tiles->height * tiles->width * tiles->out_scale * tiles->out_scale * tiles->out_channels;

  return fb_model_compute (model, part, code_tiles, &coding, cancellable, error) && fb_model_check_finite (model, out, n, error);
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

  g_assert (height % scale == 0 && width % scale == 0);

  moments = g_new (float, n * 2 * channels);
  if (!run_coder (model, FB_MODEL_VAE_ENCODER, &tiles, pixels, moments, cancellable, error))
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

  for (gsize i = 0; i < n * channels; i++)
    unscaled[i] = latents[i] / model->vae_config.scaling_factor + model->vae_config.shift_factor;

  return run_coder (model, FB_MODEL_VAE_DECODER, &tiles, unscaled, pixels, cancellable, error);
}

gboolean
fb_model_decode_taesd (FbModel *model, const float *latents, int height, int width, float *pixels, GCancellable *cancellable, GError **error)
{
  const int         scale   = model->info.scale_factor, channels = model->info.latent_channels;
  const FbTiles     tiles   = { height, width, fb_model_tile_size (model, height, width, 0), 1, channels, scale, 3 };
  const gsize       n       = (gsize) height * width;
  g_autofree float *clamped = g_memdup2 (latents, n * channels * sizeof (float));

  fb_taesd_clamp (clamped, n * channels);
  if (!run_coder (model, FB_MODEL_TAESD, &tiles, clamped, pixels, cancellable, error))
    return FALSE;

  for (gsize i = 0; i < n * scale * scale * 3; i++)
    pixels[i] = 2.0f * pixels[i] - 1.0f;

  return TRUE;
}

gboolean
fb_model_encode_taesd (FbModel *model, const float *pixels, int height, int width, float *latents, GCancellable *cancellable, GError **error)
{
  const int         scale = model->info.scale_factor, channels = model->info.latent_channels;
  const FbTiles     tiles = { height / scale, width / scale, fb_model_tile_size (model, height / scale, width / scale, 0), scale, 3, 1, channels };
  const gsize       n     = (gsize) height * width;
  g_autofree float *half  = g_new (float, n * 3);

  g_assert (height % scale == 0 && width % scale == 0);

  for (gsize i = 0; i < n * 3; i++)
    half[i] = 0.5f * pixels[i] + 0.5f;

  return run_coder (model, FB_MODEL_TAESD_ENCODER, &tiles, half, latents, cancellable, error);
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
