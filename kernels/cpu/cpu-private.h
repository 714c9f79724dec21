/* kernels/cpu/cpu-private.h: what the cpu ops share. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/pool.h"
#include "kernels/device-private.h"

/**
 * FbCpu:
 * @pool: where tensors and weights come from
 * @kernels: oneDNN micro-kernels by shape
 * @shared: working memory of the op that runs, seen by all its threads; grows, never shrinks but by a trim
 * @workspaces: one piece of working memory per thread
 */
typedef struct
{
  FbPool     *pool;
  FbGemmSet  *kernels;
  gboolean    has_bf16;
  void       *shared;
  size_t      shared_bytes;
  void      **workspaces;
  size_t      workspace_bytes;
} FbCpu;

static inline FbCpu *
fb_cpu (const FbDevice *dev)
{
  return dev->state;
}

/* Make the working memory at least so large; on FALSE @dev has failed. Contents do not survive. */
gboolean fb_cpu_reserve_shared     (FbDevice *dev, size_t n_bytes);
gboolean fb_cpu_reserve_workspaces (FbDevice *dev, size_t n_bytes);

/* The calling thread's workspace, inside a parallel region. Behind the bytes reserved lies room for fb_gemm_run()'s scratch. */
char *   fb_cpu_workspace (FbDevice *dev);

/* to[c] += the sum of @n numbers partial[c], @step apart, for @C channels: in f64 and in their order. For reductions in fixed pieces. */
void     fb_cpu_add_partial_sums (FbDevice *dev, float *to, const float *partial, size_t n, size_t step, size_t C);

void fb_cpu_pack        (FbDevice *dev, FbWeight *weight, const void *data, FbDtype data_dtype);
void fb_cpu_free_packed (FbDevice *dev, FbWeight *weight);

void fb_cpu_activation (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act);
void fb_cpu_geglu      (FbDevice *dev, FbTensor *out, const FbTensor *x);
void fb_cpu_conv2d     (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                        const FbTensor *residual, const FbConv2dParams *params, FbActivation act);
void fb_cpu_linear     (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                        const FbTensor *residual, FbActivation act);
void fb_cpu_attention  (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                        int n_heads, float scale, gboolean causal);
void fb_cpu_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                        int n_groups, float eps, FbActivation act);
void fb_cpu_layer_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps);
void fb_cpu_add        (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);
void fb_cpu_concat     (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);
void fb_cpu_upsample   (FbDevice *dev, FbTensor *out, const FbTensor *x);
void fb_cpu_cast       (FbDevice *dev, FbTensor *out, const FbTensor *x);
void fb_cpu_max_pool   (FbDevice *dev, FbTensor *out, const FbTensor *x);
void fb_cpu_feature_distance (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps);

void fb_cpu_activation_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act);
void fb_cpu_geglu_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x);
void fb_cpu_conv2d_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params,
                                   const FbTensor *sum);
void fb_cpu_conv2d_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *params);
void fb_cpu_linear_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum);
void fb_cpu_linear_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x);
void fb_cpu_bias_backward (FbDevice *dev, FbTensor *db, const FbTensor *dy);
void fb_cpu_attention_backward (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q,
                                const FbTensor *k, const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal);
void fb_cpu_group_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                 const FbTensor *weight, const FbTensor *bias, int n_groups, float eps, FbActivation act);
void fb_cpu_layer_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                 const FbTensor *weight, const FbTensor *bias, float eps);
void fb_cpu_concat_backward (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout);
void fb_cpu_upsample_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout);
void fb_cpu_max_pool_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout, const FbTensor *x);
void fb_cpu_feature_distance_backward (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                       const FbTensor *weight, float eps);
