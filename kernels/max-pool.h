/* kernels/max-pool.h: halves a picture to the largest of each four pixels. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

/**
 * fb_op_max_pool:
 * @out: [N, H / 2, W / 2, C], rounded down, dtype of @x
 * @x: [N, H, W, C], H and W ≥ 2
 *
 * The largest value of each square of 2×2 pixels, channel by channel; an odd last row or column is left out. NaN counts as the largest.
 * Exact.
 */
void fb_op_max_pool (FbDevice *dev, FbTensor *out, const FbTensor *x);

/**
 * fb_op_max_pool_backward:
 * @dx: shape and dtype of @x; overwritten
 * @dout: gradient of fb_op_max_pool()'s output
 * @x: as in the forward call
 *
 * Each square's gradient goes to its largest value, where several are equal to the first of them in reading order; the rest gets 0. Exact.
 */
void fb_op_max_pool_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout, const FbTensor *x);
