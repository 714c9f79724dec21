/* core/distill/losses.h: the losses of Flash Diffusion and their gradients. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/noise-level.h"

/*
 * Each takes one sample, host f32, and returns its loss, summed in double and not weighted. Where there is a gradient, weight · ∂L/∂… is ADDED
 * to it; the mean over a batch of B is taken by a weight of λ / B.
 * Source: Flash Diffusion, arXiv:2406.02347, section “Method”.
 */

/**
 * fb_loss_distillation:
 * @prediction: [n] the student's picture
 * @target: [n] the teacher's solution from the same latents
 * @gradient: (inout) (nullable): [n] with respect to @prediction
 *
 * Mean squared difference of latents. The other distance, LPIPS between pictures, takes networks: core/distill/perceptual.h.
 */
double fb_loss_distillation (const float *prediction, const float *target, size_t n, double weight, float *gradient);

/**
 * fb_loss_matching:
 * @level: of @noisy
 * @prediction: [n] the student's picture
 * @noisy: [n] @prediction at @level
 * @real, @fake: [n] the outputs of teacher (with guidance) and student for @noisy
 * @gradient: (inout) (nullable): [n] with respect to @prediction
 *
 * Distribution matching with the student as its own fake score: g = x0(fake) − x0(real), w = 1 / (mean |prediction − x0(real)| + 1e-5),
 * L = mean ((w g)²) with the gradient (2 / n) w g, as if w and g did not depend on @prediction.
 */
double fb_loss_matching     (const FbNoiseLevel *level, const float *prediction, const float *noisy, const float *real, const float *fake,
                             size_t n, double weight, float *gradient);

/**
 * fb_loss_adversarial:
 * @logits: [n] the discriminator's of the student's picture, one per patch
 * @gradient: (inout) (nullable): [n] with respect to @logits
 *
 * The student's share: mean ((sigmoid (logit) − 1)²).
 */
double fb_loss_adversarial  (const float *logits, size_t n, double weight, float *gradient);

/**
 * fb_loss_discriminator:
 * @is_real: whether @logits are those of a picture of the data, or of the student's
 *
 * The discriminator's share of one of the two: ½ mean ((sigmoid (logit) − target)²), target 1 for the data and 0 for the student.
 */
double fb_loss_discriminator (const float *logits, size_t n, gboolean is_real, double weight, float *gradient);

/* Mean of sigmoid (logit): what the discriminator thinks, 0 … 1; for a person who watches */
double fb_mean_sigmoid (const float *logits, size_t n);
