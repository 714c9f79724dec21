/* core/distill/perceptual.h: the distillation loss between pictures rather than latents. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/models/autoencoder-kl.h"
#include "core/models/lpips.h"
#include "core/models/model.h"

/**
 * FbPerceptual: LPIPS between what an autoencoder makes of two latents
 *
 * Latents larger than %FB_PERCEPTUAL_CROP per side are cut to their middle, so that a decoder's activations stay within bounds. Decoder and
 * LPIPS are frozen and compute in f32 whatever the job does: autoencoders overflow in half precision, and small differences would drown in it.
 * One pair at a time goes through.
 * Source: Flash Diffusion, arXiv:2406.02347, and its published configurations; LPIPS as in core/models/lpips.h.
 */
typedef struct FbPerceptual FbPerceptual;

#define FB_PERCEPTUAL_CROP 64      /* latent pixels per side: 512 pixels of Stable Diffusion */

/**
 * fb_perceptual_new:
 * @model: whose autoencoder decodes
 * @weights: path of LPIPS's weights
 *
 * Reads and checks headers only.
 * Errors: those of fb_checkpoint_open() and fb_loader_check(), which name file and tensor.
 */
FbPerceptual * fb_perceptual_new  (FbModel *model, const char *weights, FbDevice *dev, GError **error);
void           fb_perceptual_free (FbPerceptual *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbPerceptual, fb_perceptual_free)

/* Before loading: as fb_model_set_half() */
void           fb_perceptual_set_half (FbPerceptual *self, gboolean half);

/* Bytes of the weights once loaded, and the least that a call with gradient needs besides for latents of that size; the last: for any networks */
guint64        fb_perceptual_weight_bytes     (FbPerceptual *self);
guint64        fb_perceptual_activation_bytes (FbPerceptual *self, int height, int width);
guint64        fb_perceptual_measure          (const FbVaeConfig *vae, const FbLpipsConfig *lpips, int height, int width);

/**
 * fb_perceptual_load:
 * @kept_bytes: activations the way back may keep rather than compute again; the result is the same to the bit
 *
 * Errors: those of fb_loader_fill().
 */
gboolean       fb_perceptual_load (FbPerceptual *self, gsize kept_bytes, GCancellable *cancellable, GError **error);

/**
 * fb_perceptual_distance:
 * @prediction, @target: [height, width, latent channels], scaled; height and width give pictures of at least %FB_LPIPS_MIN_SIDE pixels per side
 * @gradient: (inout) (nullable): the same shape: weight · ∂distance / ∂prediction is added, 0 outside the middle
 * @distance: (out): not weighted
 *
 * Errors: %G_IO_ERROR_CANCELLED, the device's.
 */
gboolean       fb_perceptual_distance (FbPerceptual *self, const float *prediction, const float *target, int height, int width, double weight,
                                       float *gradient, double *distance, GCancellable *cancellable, GError **error);
