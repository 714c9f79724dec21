/* kernels/cuda/convolution.h: convolutions by cuDNN. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/cuda/cuda-private.h"

G_BEGIN_DECLS

typedef enum
{
  FB_CONVOLUTION_FORWARD,            /* y from x and w */
  FB_CONVOLUTION_BACKWARD_INPUT,     /* x from y and w */
  FB_CONVOLUTION_BACKWARD_WEIGHT,    /* w from y and x */
} FbConvolutionKind;

/**
 * FbConvolution: pictures in NHWC, kernels in [Cout, kH, kW, Cin], no enlargement
 * @x_dtype, @w_dtype, @y_dtype: of the three operands; f32 is multiplied as f32, never rounded to TF32
 * @x: N, H, W, Cin
 * @w: Cout, Cin, kH, kW
 * @y: N, Ho, Wo, Cout
 */
typedef struct
{
  FbConvolutionKind kind;
  FbDtype           x_dtype, w_dtype, y_dtype;
  int               x[4], w[4], y[4];
  int               stride, pad_top, pad_left, pad_bottom, pad_right;
} FbConvolution;

/**
 * fb_cuda_convolve:
 * @x, @w, @y: device memory of the three operands; the one that @c's kind computes is overwritten
 *
 * Sums in f32, by an engine whose result is the same each time. FALSE where cuDNN has none for it, and then nothing was done; a failure
 * stays with @dev and returns TRUE.
 */
gboolean fb_cuda_convolve (FbDevice *dev, const FbConvolution *c, void *x, void *w, void *y);

G_END_DECLS
