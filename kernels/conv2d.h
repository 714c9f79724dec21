/* kernels/conv2d.h: two-dimensional convolution. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/activation.h"
#include "kernels/weight.h"

/**
 * FbConv2dParams:
 * @stride: 1 or 2, both directions
 * @pad_top, @pad_left, @pad_bottom, @pad_right: zeros around @x. The VAE encoder's downsampling pads only bottom and right.
 * @upsample: 1, or 2: @x is first enlarged 2× by repeating pixels (padding applies to the enlarged picture). A device may fold both into
 *   four smaller kernels; only with @stride 1.
 */
typedef struct
{
  int stride;
  int pad_top, pad_left, pad_bottom, pad_right;
  int upsample;
} FbConv2dParams;

/**
 * fb_op_conv2d:
 * @out: [N, Ho, Wo, Cout], Ho = (H · upsample + pad_top + pad_bottom − kH) / stride + 1
 * @x: [N, H, W, Cin], dtype of @weight
 * @weight: conv kernel [Cout, Cin, kH, kW]
 * @bias: (nullable): f32, [Cout], or [N, Cout] for one per image (the time embedding's place in a residual block)
 * @residual: (nullable): shape and dtype of @out, added before @act; may be @out itself
 *
 * out = act (conv (x, weight) + bias + residual). Sums are f32 or wider. @out may be f32 when @weight is bf16 or f16.
 * Long convolutions run in bands, so that a cancel takes effect within about 50 ms.
 * Tolerance against reference/: 5e-6 (f32), 1e-2 (bf16), relative to the largest output.
 */
void fb_op_conv2d (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                   const FbTensor *residual, const FbConv2dParams *params, FbActivation act);
