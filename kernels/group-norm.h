/* kernels/group-norm.h: group normalisation. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/activation.h"

/**
 * fb_op_group_norm:
 * @out: [N, H, W, C], dtype of @x; may be @x itself
 * @x: [N, H, W, C] or [N, T, C], f32 or the device's compute type
 * @weight: (nullable): [C], f32; %NULL means 1
 * @bias: (nullable): [C], f32; %NULL means 0
 * @n_groups: divides C; 32 in the Stable Diffusion networks
 * @eps: > 0; 1e-5 in UNet residual blocks, 1e-6 before transformers and in the VAE
 * @act: applied last: almost every group norm here is followed by SiLU, and one pass over memory serves both
 *
 * Brings each channel group of each image to mean 0 and variance 1 over (H, W, C / n_groups), then scales and shifts.
 * Statistics are f32 or wider and do not cancel when the mean is large.
 * Tolerance against reference/: 5e-6 (f32), 8e-3 (bf16), relative to the largest output.
 * Source: arXiv:1803.08494, section 3.
 */
void fb_op_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                       int n_groups, float eps, FbActivation act);
