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
