/* kernels/feature-distance.h: how far two pictures' features are apart. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

/**
 * fb_op_feature_distance:
 * @out: [N], f32
 * @a, @b: [N, H, W, C], of one dtype
 * @weight: [C], f32
 * @eps: > 0, added to lengths; 1e-10 in LPIPS
 *
 * Brings the feature vector of each pixel to length 1, â = a / (|a| + eps), and gives Σ weight · (â − b̂)² over the channels, as the mean
 * over the pixels of each picture. Sums are f32 or wider. Tolerance against reference/: 4e-6 (f32 and bf16), relative to the largest output.
 * Source: arXiv:1801.03924, equation 1.
 */
void fb_op_feature_distance (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps);

/**
 * fb_op_feature_distance_backward:
 * @da: shape and dtype of @a; overwritten
 * @dout: [N], f32: gradient of fb_op_feature_distance()'s output
 * the rest: as in the forward call
 *
 * The gradient of @a; that of @b is the same with the two exchanged. Where a pixel's vector is 0, which has no direction, the gradient is 0.
 * Tolerance against reference/: 1e-5 (f32), 4e-3 (bf16), relative to the largest element.
 */
void fb_op_feature_distance_backward (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                      const FbTensor *weight, float eps);
