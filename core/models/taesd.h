/* core/models/taesd.h: the tiny autoencoder for previews, as diffusers' AutoencoderTiny. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "core/nn/params.h"

#define FB_TAESD_MAX_STAGES 8

/**
 * FbTaesdConfig:
 * @channels: of every layer inside
 * @encoder_blocks, @decoder_blocks: residual blocks per stage; the picture halves before each encoder stage but the first, and doubles after
 *   each decoder stage but the last
 */
typedef struct
{
  int channels, latent_channels;
  int n_stages;
  int encoder_blocks[FB_TAESD_MAX_STAGES];
  int decoder_blocks[FB_TAESD_MAX_STAGES];
} FbTaesdConfig;

/* TAESD for SD 1.x and SDXL, where no config.json says otherwise */
extern const FbTaesdConfig fb_taesd_standard;

/* Reads a config.json; @path names it in errors: BAD_CONFIG, UNSUPPORTED. */
gboolean fb_taesd_config_parse (FbTaesdConfig *config, JsonObject *json, const char *path, GError **error);

typedef struct FbTaesdEncoder FbTaesdEncoder;
typedef struct FbTaesdDecoder FbTaesdDecoder;

FbTaesdEncoder * fb_taesd_encoder_new    (const FbTaesdConfig *config);
void             fb_taesd_encoder_free   (FbTaesdEncoder *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbTaesdEncoder, fb_taesd_encoder_free)
FbParams *       fb_taesd_encoder_params (FbTaesdEncoder *m);

/**
 * fb_taesd_encoder_forward:
 * @picture: [N, H, W, 3], 0 … 1 as in TAESD's own files
 *
 * Returns: (transfer none): [N, H / 8, W / 8, latent_channels], f32, scaled latents
 */
FbTensor *       fb_taesd_encoder_forward (FbContext *ctx, const FbTaesdEncoder *m, FbTensor *picture);

FbTaesdDecoder * fb_taesd_decoder_new    (const FbTaesdConfig *config);
void             fb_taesd_decoder_free   (FbTaesdDecoder *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbTaesdDecoder, fb_taesd_decoder_free)
FbParams *       fb_taesd_decoder_params (FbTaesdDecoder *m);

/* The soft clamp that decoding begins with: 3 · tanh (x / 3), on the host in f32 */
void             fb_taesd_clamp (float *latents, gsize n);

/**
 * fb_taesd_decoder_forward:
 * @latents: [N, h, w, latent_channels], scaled, through fb_taesd_clamp()
 *
 * Returns: (transfer none): [N, 8 h, 8 w, 3], f32, about 0 … 1
 */
FbTensor *       fb_taesd_decoder_forward (FbContext *ctx, const FbTaesdDecoder *m, FbTensor *latents);
