/* kernels/cpu/product.h: pixels times packed weights, the arithmetic of convolutions and linear layers. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/pack.h"

/**
 * FbProduct:
 * @weight_dtype: of the input and of the packed weight
 * @packed, @set: weight, and which of its sets
 * @in: the input pixel under the first tap of the first output pixel
 * @in_image, @in_row, @in_pixel: bytes from one output position to the next, seen in the input
 * @tap_offset: bytes from the first tap's input pixel to each tap's
 * @n_images, @n_rows, @n_pixels: the output positions to compute
 * @out_dtype: of @out and @residual
 * @out, @residual: first output position; @residual may be NULL or equal @out
 * @out_image, @out_row, @out_pixel: elements from one output position to the next
 * @bias: f32, or NULL
 * @bias_image: elements from one image's bias to the next, 0 when they share it
 * @residual_last: whether the activation comes before the residual
 *
 * out = act (Σ over taps and channels + bias + residual), or act (… + bias) + residual.
 */
typedef struct
{
  FbDtype         weight_dtype;
  const FbPacked *packed;
  int             set;
  const char     *in;
  size_t          in_image, in_row, in_pixel;
  const size_t   *tap_offset;
  int             n_images, n_rows, n_pixels;
  FbDtype         out_dtype;
  char           *out;
  const char     *residual;
  size_t          out_image, out_row, out_pixel;
  const float    *bias;
  size_t          bias_image;
  FbActivation    act;
  gboolean        residual_last;
} FbProduct;

/* Leaves early, with an incomplete output, when the cancel flag is set; the caller asks fb_device_cancelled(). */
void fb_cpu_product (FbDevice *dev, const FbProduct *product);

/**
 * fb_cpu_finish_row:
 * @out, @residual: of @dtype; @first, @pixel_step: elements to the first of the pixels, and from one to the next
 * @sums: [n_pixels, n_columns], of which the first @n are channels
 * @bias: [n]
 *
 * The end of a product, for @n_pixels pixels of one row.
 */
void fb_cpu_finish_row (void *out, const void *residual, size_t first, size_t pixel_step, FbDtype dtype, const float *sums, int n_columns,
                        const float *bias, int n_pixels, int n, FbActivation act, gboolean residual_last);
