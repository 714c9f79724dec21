/* kernels/reference/reference-private.h: what the reference ops share. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/device-private.h"

/*
 * Every reference op reads its arguments as f64, computes in f64 and rounds once when it writes: so f32, bf16, f16 and f64 tensors go the
 * same way. Speed and memory are no concern here; that each line can be compared with the formula is.
 */

/* (transfer full): @t's elements, or NULL when @t is NULL */
double * fb_reference_read  (const FbTensor *t);
void     fb_reference_write (FbTensor *t, const double *values);

double   fb_reference_activate (double x, FbActivation act);
double   fb_reference_slope    (double x, FbActivation act);      /* of fb_reference_activate() at @x */

void fb_reference_activation (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act);
void fb_reference_geglu      (FbDevice *dev, FbTensor *out, const FbTensor *x);
void fb_reference_conv2d     (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                              const FbTensor *residual, const FbConv2dParams *params, FbActivation act);
void fb_reference_linear     (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                              const FbTensor *residual, FbActivation act);
void fb_reference_attention  (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                              int n_heads, float scale, gboolean causal);
void fb_reference_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                              int n_groups, float eps, FbActivation act);
void fb_reference_layer_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps);
void fb_reference_add        (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);
void fb_reference_concat     (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);
void fb_reference_upsample   (FbDevice *dev, FbTensor *out, const FbTensor *x);
void fb_reference_cast       (FbDevice *dev, FbTensor *out, const FbTensor *x);
void fb_reference_max_pool   (FbDevice *dev, FbTensor *out, const FbTensor *x);
void fb_reference_feature_distance (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps);

void fb_reference_activation_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act);
void fb_reference_geglu_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x);
void fb_reference_conv2d_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params,
                                         const FbTensor *sum);
void fb_reference_conv2d_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *params);
void fb_reference_linear_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum);
void fb_reference_linear_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x);
void fb_reference_bias_backward (FbDevice *dev, FbTensor *db, const FbTensor *dy);
void fb_reference_attention_backward (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q,
                                      const FbTensor *k, const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal);
void fb_reference_group_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                       const FbTensor *weight, const FbTensor *bias, int n_groups, float eps, FbActivation act);
void fb_reference_layer_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                       const FbTensor *weight, const FbTensor *bias, float eps);
void fb_reference_concat_backward (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout);
void fb_reference_upsample_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout);
void fb_reference_max_pool_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout, const FbTensor *x);
void fb_reference_feature_distance_backward (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                             const FbTensor *weight, float eps);
