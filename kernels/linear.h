/* kernels/linear.h: matrix product with a weight. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/activation.h"
#include "kernels/weight.h"

/**
 * fb_op_linear:
 * @out: [..., Cout]; f32, or dtype of @weight
 * @x: [..., Cin], dtype of @weight
 * @weight: linear weight [Cout, Cin]
 * @bias: (nullable): [Cout], f32
 * @residual: (nullable): shape and dtype of @out, added after @act; may be @out itself
 *
 * out = act (x · weightᵀ + bias) + residual. Sums are f32 or wider.
 * Tolerance against reference/: 5e-6 (f32), 1e-2 (bf16), relative to the largest output.
 */
void fb_op_linear (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                   const FbTensor *residual, FbActivation act);

/**
 * fb_op_linear_backward_input:
 * @dx: [..., Cin], dtype of @weight; overwritten
 * @dy: [..., Cout], dtype of @weight: gradient of x · weightᵀ
 * @sum: (nullable): shape and dtype of @dx, added: what other uses of x gave already; may be @dx itself
 *
 * dx = dy · weight + sum. Sums are f32 or wider. A device may make a transposed copy of @weight for the call.
 * Tolerance as fb_op_linear().
 */
void fb_op_linear_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum);

/**
 * fb_op_linear_backward_weight:
 * @dw: [Cout, Cin], f32; added to
 * @dy: [..., Cout]
 * @x: [..., Cin], dtype of @dy
 *
 * dw += dyᵀ · x, summed in f32 or wider over all rows. Tolerance against reference/: 5e-6 (f32 and bf16), relative to the largest element.
 */
void fb_op_linear_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x);

/**
 * fb_op_bias_backward:
 * @db: [C], or [N, C] for one per image; f32; added to
 * @dy: [N, ..., C], gradient of what the bias was added to: for linear layers and convolutions alike
 *
 * db += Σ dy over the other dimensions, in f32 or wider. Tolerance against reference/: 5e-6 (f32 and bf16), relative to the largest element.
 */
void fb_op_bias_backward (FbDevice *dev, FbTensor *db, const FbTensor *dy);
