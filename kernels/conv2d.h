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

/**
 * fb_op_conv2d_backward_input:
 * @dx: [N, H, W, Cin], dtype of @weight; overwritten
 * @dy: [N, Ho, Wo, Cout], dtype of @weight: gradient of conv (x, weight); sizes as in fb_op_conv2d()
 * @weight: conv kernel [Cout, Cin, kH, kW]
 * @params: those of the forward call; no padding is wider than the kernel less one
 * @sum: (nullable): shape and dtype of @dx, added: what other uses of x gave already; may be @dx itself
 *
 * dx = convᵀ (dy, weight) + sum. Sums are f32 or wider. A device may make a flipped and transposed copy of @weight for the call.
 * A cancel takes effect within about 50 ms. Tolerance as fb_op_conv2d().
 */
void fb_op_conv2d_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params,
                                  const FbTensor *sum);

/**
 * fb_op_conv2d_backward_weight:
 * @dw: [Cout, Cin, kH, kW], f32; added to
 * @dy: [N, Ho, Wo, Cout]
 * @x: [N, H, W, Cin], dtype of @dy
 * @params: those of the forward call
 *
 * dw += Σ over images and output pixels of dy · the x under each tap; in f32 or wider.
 * Tolerance against reference/: 5e-6 (f32 and bf16), relative to the largest element.
 */
void fb_op_conv2d_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *params);
