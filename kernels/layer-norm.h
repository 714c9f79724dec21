/* kernels/layer-norm.h: layer normalisation. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

/**
 * fb_op_layer_norm:
 * @out: [..., C], dtype of @x; may be @x itself
 * @x: [..., C]
 * @weight: (nullable): [C], f32
 * @bias: (nullable): [C], f32
 * @eps: > 0; 1e-5 in CLIP and in the transformer blocks
 *
 * Brings each row to mean 0 and variance 1 over its C channels, then scales and shifts. Statistics are f32 and two-pass.
 * Tolerance against reference/: 5e-6 (f32), 8e-3 (bf16), relative to the largest output.
 * Source: arXiv:1607.06450.
 */
void fb_op_layer_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps);

/**
 * fb_op_layer_norm_backward:
 * @dx: [..., C]; overwritten; may be @dy itself
 * @dweight, @dbias: (nullable): [C], f32; added to
 * @dy: gradient of fb_op_layer_norm()'s output; shape and dtype of @x
 * the rest: as in the forward call, whose statistics are computed anew
 *
 * With x̂ the normalised input: dweight += Σ dy · x̂ and dbias += Σ dy over all rows;
 * dx = (dy · weight − its mean − x̂ · the mean of dy · weight · x̂) / deviation, means over each row.
 * Tolerance against reference/: 1e-5 (f32), 8e-3 (bf16; @dweight, @dbias 1e-4), relative to the largest element of each gradient.
 */
void fb_op_layer_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                const FbTensor *weight, const FbTensor *bias, float eps);
