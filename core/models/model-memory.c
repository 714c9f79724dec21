/* core/models/model-memory.c: how much memory and arithmetic a call will need. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/model-private.h"
#include "core/models/tiles.h"
#include "kernels/measure.h"

#define ENDLESS (G_MAXUINT64 / 4)      /* not the largest number: callers add to it */

/* The networks below are described again, from the model's own configurations, because the model's hold weights of another device. */

static void
measure_text (FbModel *model, FbContext *ctx, int n)
{
  const FbClipTextConfig *config = fb_clip_text_config (model->text);
  g_autoptr(FbClipText)   text   = fb_clip_text_new (config);
  g_autofree int         *ids    = g_new0 (int, (gsize) n * config->n_positions);

  fb_params_fill_with_nothing (fb_clip_text_params (text), fb_nn_device (ctx), model->dtype);
  fb_device_reset_peak (fb_nn_device (ctx));
  fb_clip_text_forward (ctx, text, ids, n, 0, TRUE);
  fb_nn_reset (ctx);
}

static void
measure_unet (FbModel *model, FbContext *ctx, int n, int height, int width)
{
  const FbUnetConfig *config     = fb_unet_config (model->unet);
  const int           shape[]    = { n, height, width, config->in_channels };
  const int           prompt[]   = { n, 77, config->context_width };
  g_autoptr(FbUnet)   unet       = fb_unet_new (config);
  g_autofree float   *extra      = g_new0 (float, (gsize) n * MAX (config->additional_width, 6));
  FbUnetConditions    conditions = { .pooled = extra, .time_ids = extra };
  FbTensor           *latents;

  fb_params_set_odd_sizes (fb_unet_params (unet), fb_unet_halves_oddly (unet, height, width));
  fb_params_fill_with_nothing (fb_unet_params (unet), fb_nn_device (ctx), model->dtype);
  fb_device_reset_peak (fb_nn_device (ctx));
  conditions.context = fb_nn_upload (ctx, model->dtype, NULL, 3, prompt);
  latents = fb_nn_upload (ctx, model->dtype, NULL, 4, shape);
  fb_unet_forward (ctx, unet, latents, &conditions);
  fb_nn_reset (ctx);
}

static void
measure_encoder (FbModel *model, FbContext *ctx, int n, int height, int width)
{
  const int               shape[] = { n, height, width, 3 };
  g_autoptr(FbVaeEncoder) encoder = fb_vae_encoder_new (&model->vae_config);

  fb_params_fill_with_nothing (fb_vae_encoder_params (encoder), fb_nn_device (ctx), model->dtype);
  fb_device_reset_peak (fb_nn_device (ctx));
  fb_vae_encoder_forward (ctx, encoder, fb_nn_upload (ctx, model->dtype, NULL, 4, shape));
  fb_nn_reset (ctx);
}

static void
measure_decoder (FbModel *model, FbContext *ctx, int n, int height, int width)
{
  const int               shape[] = { n, height, width, model->info.latent_channels };
  g_autoptr(FbVaeDecoder) decoder = fb_vae_decoder_new (&model->vae_config);

  fb_params_fill_with_nothing (fb_vae_decoder_params (decoder), fb_nn_device (ctx), model->dtype);
  fb_device_reset_peak (fb_nn_device (ctx));
  fb_vae_decoder_forward (ctx, decoder, fb_nn_upload (ctx, model->dtype, NULL, 4, shape));
  fb_nn_reset (ctx);
}

static void
measure_taesd (FbModel *model, FbContext *ctx, int n, int height, int width)
{
  const int                 shape[] = { n, height, width, model->info.latent_channels };
  g_autoptr(FbTaesdDecoder) decoder = fb_taesd_decoder_new (&model->taesd_config);

  fb_params_fill_with_nothing (fb_taesd_decoder_params (decoder), fb_nn_device (ctx), model->dtype);
  fb_device_reset_peak (fb_nn_device (ctx));
  fb_taesd_decoder_forward (ctx, decoder, fb_nn_upload (ctx, model->dtype, NULL, 4, shape));
  fb_nn_reset (ctx);
}

static void
measure_taesd_encoder (FbModel *model, FbContext *ctx, int n, int height, int width)
{
  const int                 shape[] = { n, height, width, 3 };
  g_autoptr(FbTaesdEncoder) encoder = fb_taesd_encoder_new (&model->taesd_config);

  fb_params_fill_with_nothing (fb_taesd_encoder_params (encoder), fb_nn_device (ctx), model->dtype);
  fb_device_reset_peak (fb_nn_device (ctx));
  fb_taesd_encoder_forward (ctx, encoder, fb_nn_upload (ctx, model->dtype, NULL, 4, shape));
  fb_nn_reset (ctx);
}

/* (transfer full): a device that has counted what one call of @part needs, for @n pictures of @h × @w latent pixels */
static FbDevice *
measure (FbModel *model, FbModelPart part, int n, int h, int w)
{
  const int           scale = model->info.scale_factor;
  g_autoptr(FbDevice) dev   = fb_device_new_measure ();
  FbContext          *ctx   = fb_nn_context_new (dev, model->dtype);

  switch (part)
    {
    case FB_MODEL_TEXT_ENCODER:  measure_text (model, ctx, n); break;
    case FB_MODEL_UNET:          measure_unet (model, ctx, n, h, w); break;
    case FB_MODEL_VAE_ENCODER:   measure_encoder (model, ctx, 1, h * scale, w * scale); break;
    case FB_MODEL_VAE_DECODER:   measure_decoder (model, ctx, 1, h, w); break;
    case FB_MODEL_TAESD:         if (model->taesd != NULL) measure_taesd (model, ctx, 1, h, w); break;
    case FB_MODEL_TAESD_ENCODER: if (model->taesd_encoder != NULL) measure_taesd_encoder (model, ctx, 1, h * scale, w * scale); break;
    }
  fb_nn_context_free (ctx);

  return g_steal_pointer (&dev);
}

/* Latent pixels of a side that @part's network sees at once, of @side; the UNet's tiles are the task's */
static int
seen (FbModelPart part, int side, int tile)
{
  return part == FB_MODEL_TEXT_ENCODER || part == FB_MODEL_UNET ? side : MIN (side, tile);
}

guint64
fb_model_activation_bytes (FbModel *model, FbModelPart part, int n, int height, int width)
{
  const int           scale = model->info.scale_factor;
  const int           h     = MAX (height / scale, 1), w = MAX (width / scale, 1);
  const int           tile  = fb_model_tile_size (model, h, w, 0);
  g_autoptr(FbDevice) dev   = NULL;

  if ((gint64) h * w > G_MAXINT)                       /* more tokens than a shape can say */
    return ENDLESS;
  dev = measure (model, part, n, seen (part, h, tile), seen (part, w, tile));

  return fb_device_check (dev, NULL) ? fb_device_bytes_peak (dev) : ENDLESS;
}

double
fb_model_call_flop (FbModel *model, FbModelPart part, int n, int height, int width)
{
  const int           scale   = model->info.scale_factor;
  const int           h       = MAX (height / scale, 1), w = MAX (width / scale, 1);
  const int           tile    = fb_model_tile_size (model, h, w, 0);
  const int           tile_h  = seen (part, h, tile), tile_w = seen (part, w, tile);
  const int           n_tiles = tile_h < h || tile_w < w ? n * fb_tiles_count (h, w, tile) : n;
  FbModelCall        *last    = &model->last_call[part];
  g_autoptr(FbDevice) dev     = NULL;

  if ((gint64) h * w > G_MAXINT)
    return 0.0;
  if (last->height != tile_h || last->width != tile_w)
    {
      dev = measure (model, part, 1, tile_h, tile_w);
      *last = (FbModelCall) { tile_h, tile_w, fb_device_check (dev, NULL) ? fb_device_measured_flop (dev) : 0.0 };
    }

  return n_tiles * last->flop;
}
