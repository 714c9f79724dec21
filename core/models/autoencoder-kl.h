/* core/models/autoencoder-kl.h: the latent autoencoder, as diffusers' AutoencoderKL. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "core/nn/params.h"

#define FB_VAE_MAX_LEVELS 8
#define FB_VAE_MAX_LAYERS 8
#define FB_VAE_MAX_LATENTS 32     /* channels */

/**
 * FbVaeConfig:
 * @block_channels: per level, full resolution first; each level but the last halves
 * @mid_attention: whether the coarsest level attends over the whole picture; small autoencoders do without
 * @scaling_factor, @shift_factor: scaled latents = (latents − shift) · scaling, of unit variance
 */
typedef struct
{
  int      picture_channels, latent_channels;
  int      n_levels;
  int      block_channels[FB_VAE_MAX_LEVELS];
  int      n_layers;
  int      n_groups;
  gboolean mid_attention, quant_conv, post_quant_conv;
  float    scaling_factor, shift_factor;
} FbVaeConfig;

/* Reads a config.json; @path names it in errors: BAD_CONFIG, UNSUPPORTED. */
gboolean fb_vae_config_parse (FbVaeConfig *config, JsonObject *json, const char *path, GError **error);

/* Picture pixels per latent pixel and side; 8 for Stable Diffusion */
int      fb_vae_config_scale (const FbVaeConfig *config);

/* The two halves are networks of their own: a text-to-image job never loads the encoder. */
typedef struct FbVaeEncoder FbVaeEncoder;
typedef struct FbVaeDecoder FbVaeDecoder;

FbVaeEncoder * fb_vae_encoder_new    (const FbVaeConfig *config);
void           fb_vae_encoder_free   (FbVaeEncoder *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbVaeEncoder, fb_vae_encoder_free)
FbParams *     fb_vae_encoder_params (FbVaeEncoder *m);

/**
 * fb_vae_encoder_forward:
 * @picture: [N, H, W, 3], −1 … 1; H and W multiples of fb_vae_config_scale()
 *
 * Returns: (transfer none): [N, H / 8, W / 8, 2 latent_channels], f32: the posterior's means, then its log variances; not scaled
 */
FbTensor *     fb_vae_encoder_forward (FbContext *ctx, const FbVaeEncoder *m, FbTensor *picture);

FbVaeDecoder * fb_vae_decoder_new    (const FbVaeConfig *config);
void           fb_vae_decoder_free   (FbVaeDecoder *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbVaeDecoder, fb_vae_decoder_free)
FbParams *     fb_vae_decoder_params (FbVaeDecoder *m);

/**
 * fb_vae_decoder_forward:
 * @latents: [N, h, w, latent_channels], not scaled
 *
 * Returns: (transfer none): [N, 8 h, 8 w, 3], f32, about −1 … 1
 */
FbTensor *     fb_vae_decoder_forward (FbContext *ctx, const FbVaeDecoder *m, FbTensor *latents);
