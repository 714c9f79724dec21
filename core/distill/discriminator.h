/* core/distill/discriminator.h: tells a teacher's features of real pictures from those of the student's. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/trainable.h"

/**
 * FbDiscriminator:
 *
 * Convolutions over the UNet's features after its mid block (fb_unet_forward_features()), down to one logit per patch. Depth follows the size of
 * the mid block. From 16×16 on, as published for SDXL: 256 channels by a 4×4 convolution of stride 2, SiLU; while a side of 8 or more is left,
 * twice the channels (1024 at most) by another, group norm, SiLU. Below that, as published for SD 1.5: 64 channels by a 3×3 convolution with
 * bias, SiLU; while a side of 8 or more is left, twice the channels by a 4×4 convolution of stride 2, SiLU, group norm. Last a 4×4 convolution
 * without padding, smaller where the picture is. All in f32; group norms of 4 groups; no further biases.
 */
typedef struct FbDiscriminator FbDiscriminator;

/**
 * fb_discriminator_new:
 * @channels: of the features
 * @side: the shortest side of features it will see, ≥ 1
 * @seed: of the first values: normal deviates of the variance that PyTorch's Conv2d begins with
 */
FbDiscriminator * fb_discriminator_new  (FbDevice *dev, int channels, int side, guint64 seed);
void              fb_discriminator_free (FbDiscriminator *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbDiscriminator, fb_discriminator_free)

/* (transfer none) (element-type FbTrainable): all its parameters */
GPtrArray *       fb_discriminator_trainables (FbDiscriminator *self);

/**
 * fb_discriminator_forward:
 * @ctx: of dtype f32
 * @features: [N, h, w, channels], any dtype; h and w ≥ side
 *
 * Returns: (transfer none): [N, h', w', 1]: a logit per patch
 */
FbTensor *        fb_discriminator_forward (FbContext *ctx, const FbDiscriminator *self, FbTensor *features);

/**
 * fb_discriminator_logits, fb_discriminator_dlogits:
 * @patches: what forward returned
 * @logits, @dlogits: [N]
 *
 * A sample's logit is the mean of its patches'. The second returns the gradient of @patches for a gradient of the logits (transfer none).
 */
void              fb_discriminator_logits  (const FbTensor *patches, float *logits);
FbTensor *        fb_discriminator_dlogits (FbContext *ctx, const FbTensor *patches, const float *dlogits);
