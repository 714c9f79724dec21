/* kernels/elementwise.h: sums, copies and joins. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

/**
 * fb_op_add:
 * @out: shape and dtype of @a; may be @a or @b
 * @a: [N, …]
 * @b: dtype of @a; shape of @a, or the shape of its last dimensions, repeated over the first ones (a position embedding [T, C] on [N, T, C])
 *
 * out = a + b, computed in f32. Tolerance: exact up to one rounding to the dtype.
 */
void fb_op_add (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);

/**
 * fb_op_concat:
 * @out: [N, H, W, Ca + Cb]
 * @a: [N, H, W, Ca]
 * @b: [N, H, W, Cb], dtype of @a
 *
 * Joins the channels of two pictures (or of two token sequences [N, T, C]). Exact.
 */
void fb_op_concat (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);

/**
 * fb_op_concat_backward:
 * @da, @db: (nullable, not both): shapes of fb_op_concat()'s @a and @b; overwritten
 * @dout: gradient of its output
 *
 * Cuts the channels of @dout in two: the first to @da, the last to @db. Exact.
 */
void fb_op_concat_backward (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout);

/**
 * fb_op_upsample:
 * @out: [N, Ho, Wo, C], dtype of @x; Ho = 2 H or 2 H − 1, Wo = 2 W or 2 W − 1
 * @x: [N, H, W, C]
 *
 * Enlarges a picture 2× by repeating pixels, and leaves out the last row or column where @out is smaller: the size that an odd picture had
 * before it was halved. Even sizes need no such step: fb_op_conv2d() enlarges by itself. Exact.
 */
void fb_op_upsample (FbDevice *dev, FbTensor *out, const FbTensor *x);

/**
 * fb_op_upsample_backward:
 * @dx: [N, H, W, C]; overwritten
 * @dout: [N, Ho, Wo, C], gradient of fb_op_upsample()'s output
 *
 * Sums the one to four pixels that each pixel was repeated into, in f32. Tolerance: exact up to one rounding to the dtype.
 */
void fb_op_upsample_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout);

/**
 * fb_op_cast:
 * @out: shape of @x, any floating dtype
 *
 * Copies and converts; rounds to nearest even. Exact against the reference.
 */
void fb_op_cast (FbDevice *dev, FbTensor *out, const FbTensor *x);
