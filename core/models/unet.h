/* core/models/unet.h: the denoising UNet of Stable Diffusion, as diffusers' UNet2DConditionModel. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "core/nn/params.h"

#define FB_UNET_MAX_LEVELS 8
#define FB_UNET_MAX_LAYERS 8

/**
 * FbUnetConfig: one network of the family; levels count from full resolution down
 * @block_channels, @layers_per_block, @transformer_depth, @n_heads: per level
 * @down_attention, @up_attention: whether a level's down and up blocks hold transformers
 * @only_cross_attention: the x4 upscaler's transformers
 * @n_class_labels: rows of the class embedding (x4: noise levels); 0 = none
 * @time_id_width: sinusoid per SDXL time id; 0 = no additional embedding
 * @additional_width: SDXL: pooled text + 6 time ids
 */
typedef struct
{
  int      in_channels, out_channels;
  int      n_levels;
  int      block_channels[FB_UNET_MAX_LEVELS];
  int      layers_per_block[FB_UNET_MAX_LEVELS];
  int      transformer_depth[FB_UNET_MAX_LEVELS];
  int      n_heads[FB_UNET_MAX_LEVELS];
  gboolean down_attention[FB_UNET_MAX_LEVELS];
  gboolean up_attention[FB_UNET_MAX_LEVELS];
  gboolean only_cross_attention[FB_UNET_MAX_LEVELS];
  int      context_width;
  int      n_groups;
  float    eps;
  gboolean flip_sin_to_cos;
  float    frequency_shift;
  int      n_class_labels;
  int      time_id_width, additional_width;
} FbUnetConfig;

/* Reads a config.json; @path names it in errors: BAD_CONFIG, UNSUPPORTED. */
gboolean fb_unet_config_parse (FbUnetConfig *config, JsonObject *json, const char *path, GError **error);

typedef struct FbUnet FbUnet;

FbUnet *             fb_unet_new    (const FbUnetConfig *config);
void                 fb_unet_free   (FbUnet *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbUnet, fb_unet_free)

FbParams *           fb_unet_params (FbUnet *m);
const FbUnetConfig * fb_unet_config (const FbUnet *m);

/**
 * FbUnetConditions: what a step is conditioned on besides the latents
 * @timestep: 0 … 999, may lie between two
 * @timesteps: (nullable): [N], one per picture, instead of @timestep
 * @context: [N, S, context_width]
 * @class_label: with n_class_labels
 * @pooled, @time_ids: with time_id_width: host f32, [N, pooled width] and [N, 6]
 * @time: (nullable): what fb_unet_embed_time() has made of all these but @context, in their stead
 */
typedef struct
{
  float        timestep;
  const float *timesteps;
  FbTensor    *context;
  int          class_label;
  const float *pooled;
  const float *time_ids;
  FbTensor    *time;
} FbUnetConditions;

/* Returns: (transfer none): [1 or @n, channels], what every residual block is told of the timestep and of what else @conditions say; once for
 * all of the batch where it is the same for all */
FbTensor *           fb_unet_embed_time (FbContext *ctx, const FbUnet *m, const FbUnetConditions *conditions, int n);

/**
 * fb_unet_forward:
 * @latents: [N, H, W, in_channels], any H and W
 *
 * Returns: (transfer none): [N, H, W, out_channels], f32
 */
FbTensor *           fb_unet_forward (FbContext *ctx, const FbUnet *m, FbTensor *latents, const FbUnetConditions *conditions);

/**
 * fb_unet_forward_features: the same, left after the mid block: what a discriminator looks at
 *
 * Returns: (transfer none): [N, h, w, C] of the coarsest level, in @ctx's dtype
 */
FbTensor *           fb_unet_forward_features (FbContext *ctx, const FbUnet *m, FbTensor *latents, const FbUnetConditions *conditions);

/* Channels of those features, and the coarsest level's sides for latents of @height × @width; each halving rounds up. */
int                  fb_unet_feature_channels (const FbUnet *m);
void                 fb_unet_feature_size     (const FbUnet *m, int height, int width, int *feature_height, int *feature_width);

/* Whether some level meets a side that does not halve evenly: such a size needs fb_params_set_odd_sizes() before loading. */
gboolean             fb_unet_halves_oddly (const FbUnet *m, int height, int width);

/* Sinusoids of @value: @width numbers, as diffusers' get_timestep_embedding; arXiv:1706.03762, section 3.5 */
void                 fb_unet_sinusoid (float value, int width, gboolean flip_sin_to_cos, float frequency_shift, float *out);
