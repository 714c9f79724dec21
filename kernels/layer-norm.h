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
