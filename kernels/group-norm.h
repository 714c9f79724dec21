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

/**
 * fb_op_group_norm_backward:
 * @dx: [N, H, W, C] or [N, T, C]; overwritten; may be @dy itself
 * @dweight, @dbias: (nullable): [C], f32; added to
 * @dy: gradient of fb_op_group_norm()'s output; shape and dtype of @x
 * the rest: as in the forward call, whose statistics are computed anew
 *
 * With x̂ the normalised input and g = dy · act′(x̂ · weight + bias): dweight += Σ g · x̂ and dbias += Σ g over images and pixels;
 * dx = (g · weight − its mean − x̂ · the mean of g · weight · x̂) / deviation, means over each group.
 * Tolerance against reference/: 1e-5 (f32), 8e-3 (bf16; @dweight, @dbias 1e-4), relative to the largest element of each gradient.
 */
void fb_op_group_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                const FbTensor *weight, const FbTensor *bias, int n_groups, float eps, FbActivation act);
