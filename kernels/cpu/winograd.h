/* kernels/cpu/winograd.h: 3×3 convolutions in f32 with 4/9 of the multiplications. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/cpu/cpu-private.h"

/* Whether fb_cpu_winograd() computes this convolution, and sooner than the plain way. By the size of one image alone, so that a picture does not
 * depend on how many are made with it. */
gboolean fb_winograd_pays (const FbWeight *weight, const FbConv2dParams *params, const FbTensor *out);

/* As fb_cpu_conv2d(), where fb_winograd_pays(). */
void     fb_cpu_winograd  (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                           const FbTensor *residual, const FbConv2dParams *params, FbActivation act);
