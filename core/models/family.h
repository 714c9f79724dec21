/* core/models/family.h: the families of models, as a table. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/formats/checkpoint.h"
#include "core/models/autoencoder-kl.h"
#include "core/models/clip-text.h"
#include "core/models/taesd.h"
#include "core/models/unet.h"
#include "core/samplers/schedule.h"

/**
 * FbFamily: what a checkpoint's tensors do not say
 * @name: "sd-1.5" …
 * @label: for people
 * @in_channels: of the UNet; tells inpainting and the upscaler from the rest
 * @context_width: of the UNet's cross-attention; 0 = any other
 * @class_embedding, @additional_embedding: whether the UNet has them
 * @n_heads, @head_width: of the UNet's attention: one of the two is fixed in a family, the other 0
 * @text_activation: of the text encoder
 * @scaling_factor: of the autoencoder
 * @prediction: what the UNet names
 * @size: pixels per side of the pictures it learned from
 * @n_steps, @guidance_scale, @sampler: recommended where the model recommends nothing
 * @loads: whether models of this family can be opened yet
 */
typedef struct
{
  const char  *name, *label;
  int          in_channels, context_width;
  gboolean     class_embedding, additional_embedding;
  int          n_heads, head_width;
  FbActivation text_activation;
  float        scaling_factor;
  FbPrediction prediction;
  int          size;
  int          n_steps;
  double       guidance_scale;
  const char  *sampler;
  gboolean     loads;
} FbFamily;

/* (transfer none) (nullable): the family called @name (nullable) */
const FbFamily * fb_family_lookup (const char *name);

/**
 * fb_family_detect:
 * @unet: its header is enough
 *
 * Returns: (transfer none): the family whose row fits @unet's tensors; %NULL with FB_MODEL_ERROR_FAMILY, or UNSUPPORTED for one that does not
 *   load yet.
 */
const FbFamily * fb_family_detect (FbCheckpoint *unet, GError **error);

/**
 * fb_family_unet_config, …:
 *
 * A component's configuration: from its config.json, or, where there is none, from the shapes of its tensors and the family's row.
 * Errors: BAD_CONFIG, UNSUPPORTED, FAMILY. @error names the file.
 */
gboolean fb_family_unet_config  (const FbFamily *family, FbCheckpoint *unet, FbUnetConfig *config, GError **error);
gboolean fb_family_text_config  (const FbFamily *family, FbCheckpoint *text_encoder, FbClipTextConfig *config, GError **error);
gboolean fb_family_vae_config   (const FbFamily *family, FbCheckpoint *vae, FbVaeConfig *config, GError **error);
gboolean fb_family_taesd_config (FbCheckpoint *taesd, FbTaesdConfig *config, GError **error);
