/* kernels/measure.h: a device that computes nothing and counts bytes and operations. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/device.h"

/**
 * fb_device_new_measure:
 *
 * A forward pass run on it allocates and frees tensors in the order any device would, without memory behind them: fb_device_bytes_peak() is
 * then what the pass needs, known before it is started. Weights count nothing and need no data. Uploads are dropped, downloads give zeros.
 *
 * Returns: (transfer full)
 */
FbDevice * fb_device_new_measure (void);

/* Multiply-adds × 2 of the convolutions, matrix products and attention of all forward passes so far; what goes backward is not counted. A
 * convolution behind an enlargement counts in full, though a device may fold the two. */
double     fb_device_measured_flop (const FbDevice *dev);
