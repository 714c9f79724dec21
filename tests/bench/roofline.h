/* tests/bench/roofline.h: what oneDNN reaches on this machine at its best. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

/**
 * fb_roofline:
 * @dtype: F32 or BF16
 *
 * Returns: the best rate, in FLOP per second (multiply-adds × 2), over a fixed list of NHWC convolutions and matrix products of at least 1 GFLOP
 *   each, on random data, with oneDNN's own choice of layouts and all threads.
 */
double fb_roofline (FbDtype dtype);
