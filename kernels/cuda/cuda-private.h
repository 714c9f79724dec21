/* kernels/cuda/cuda-private.h: the CUDA device's state and what its ops share. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <cuda_runtime_api.h>
#include <glib.h>

G_BEGIN_DECLS

#include "kernels/device-private.h"

typedef struct FbProducts FbProducts;              /* kernels/cuda/product.c */
typedef struct FbDnn      FbDnn;                   /* kernels/cuda/dnn.c */

#define FB_CUDA_N_STAGING 2

/**
 * FbCuda:
 * @ordinal: the card's number in the CUDA runtime
 * @name: the card's
 * @capability: 10 · major + minor of its compute capability
 * @n_processors: its multiprocessors
 * @stream: everything is ordered by this one stream; nothing waits for the card but finish, downloads and a full staging buffer
 * @pool: stream-ordered memory; freed blocks stay in it up to %FB_DEVICE_MAX_SPARE
 * @workspace: what one library call may scribble in; grows, and the next call of the stream takes it over
 * @staging: pinned host memory that uploads and downloads go through; @staged says when the card is done with one
 * @n_moves: how often @workspace has come to lie elsewhere: a recording names it by its address
 * @records: between the begin and the end of a recording: nothing is done, and nothing may wait or be allocated
 * @n_recordings: that are kept
 * @laps: recorded behind every few launches; the host waits for the last but one, so that a cancel never has much queued before it
 */
typedef struct
{
  int             ordinal;
  char           *name;
  int             capability;
  int             n_processors;
  cudaStream_t    stream;
  cudaMemPool_t   pool;
  void           *workspace;
  size_t          workspace_bytes;
  guint           n_moves;
  gboolean        records;
  guint           n_recordings;
  void           *staging[FB_CUDA_N_STAGING];
  cudaEvent_t     staged[FB_CUDA_N_STAGING];
  cudaEvent_t     laps[2];
  guint           n_launches;
  FbProducts     *products;        /* made by the first product */
  FbDnn          *dnn;             /* made by the first operation that cuDNN is asked for */
} FbCuda;

static inline FbCuda *
fb_cuda (const FbDevice *dev)
{
  return (FbCuda *) dev->state;
}

/* Whether @status is success; where not, @dev fails: with %FB_DEVICE_ERROR_NO_MEMORY where that is the reason */
gboolean fb_cuda_succeeded (FbDevice *dev, cudaError_t status, const char *call);
#define FB_CUDA(dev, call) fb_cuda_succeeded (dev, call, #call)

/* Fails @dev with what a library said */
void     fb_cuda_library_failed (FbDevice *dev, const char *library, const char *reason, const char *call);

/* Asked before each launch: makes the calling thread speak to @dev's card and keeps the host from running far ahead of it.
 * FALSE where @dev has failed. */
gboolean fb_cuda_ready (FbDevice *dev);

/* Working memory of at least @n_bytes until the next call of this function; NULL where @dev fails. */
void *   fb_cuda_workspace (FbDevice *dev, size_t n_bytes);

/* Blocks of @block threads for @n elements in a loop over the grid: enough to fill the card, no more */
unsigned fb_cuda_n_blocks (const FbDevice *dev, size_t n, unsigned block);

gboolean fb_cuda_record_begin  (FbDevice *dev);
void *   fb_cuda_record_end    (FbDevice *dev);
gboolean fb_cuda_replay        (FbDevice *dev, void *recorded);
void     fb_cuda_free_recorded (FbDevice *dev, void *recorded);

void     fb_cuda_upload   (FbDevice *dev, void *device, FbDtype device_dtype, const void *host, FbDtype host_dtype, size_t n);

void     fb_products_free (FbProducts *products);
void     fb_dnn_free      (FbDnn *dnn);

/**
 * fb_cuda_finish:
 * @out: f32, bf16 or f16 [..., C]
 * @sum: as many elements of the same type; may be @out's memory
 * @bias: (nullable): f32 [C], or [N, C] for one per image
 * @residual: (nullable): shape of @out; may be @out itself
 *
 * What follows a product that a library computed without it: out = act (sum + bias + residual), or act (sum + bias) + residual where
 * @residual_last.
 */
void     fb_cuda_finish (FbDevice *dev, FbTensor *out, const void *sum, const FbTensor *bias, const FbTensor *residual,
                         FbActivation act, gboolean residual_last);

/* out [N, 2 H, 2 W, C] from x [N, H, W, C], or one row or column less, as fb_op_upsample() */
void     fb_cuda_upsample (FbDevice *dev, FbTensor *out, const FbTensor *x);
void     fb_cuda_cast     (FbDevice *dev, FbTensor *out, const FbTensor *x);

/* Convolution by our own loops: any parameters and types; what cuDNN has no engine for comes here */
void     fb_cuda_convolve_plainly (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                                   const FbTensor *residual, const FbConv2dParams *params, FbActivation act);

/* Attention by our own kernels: any sizes and types; what cuDNN has no engine for comes here */
void     fb_cuda_attend_plainly (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                                 int n_heads, float scale, gboolean causal);

void     fb_cuda_pack        (FbDevice *dev, FbWeight *weight, const void *data, FbDtype data_dtype);
void     fb_cuda_free_packed (FbDevice *dev, FbWeight *weight);

void     fb_cuda_activation (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act);
void     fb_cuda_geglu      (FbDevice *dev, FbTensor *out, const FbTensor *x);
void     fb_cuda_conv2d     (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                             const FbTensor *residual, const FbConv2dParams *params, FbActivation act);
void     fb_cuda_linear     (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                             const FbTensor *residual, FbActivation act);
void     fb_cuda_attention  (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                             int n_heads, float scale, gboolean causal);
void     fb_cuda_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                             int n_groups, float eps, FbActivation act);
void     fb_cuda_layer_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps);
void     fb_cuda_add        (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);
void     fb_cuda_concat     (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);
void     fb_cuda_max_pool   (FbDevice *dev, FbTensor *out, const FbTensor *x);
void     fb_cuda_feature_distance (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps);

void     fb_cuda_activation_backward    (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act);
void     fb_cuda_geglu_backward         (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x);
void     fb_cuda_conv2d_backward_input  (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params,
                                         const FbTensor *sum);
void     fb_cuda_conv2d_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *params);
void     fb_cuda_linear_backward_input  (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum);
void     fb_cuda_linear_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x);
void     fb_cuda_bias_backward          (FbDevice *dev, FbTensor *db, const FbTensor *dy);
void     fb_cuda_attention_backward     (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q,
                                         const FbTensor *k, const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal);
void     fb_cuda_group_norm_backward    (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                         const FbTensor *weight, const FbTensor *bias, int n_groups, float eps, FbActivation act);
void     fb_cuda_layer_norm_backward    (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                         const FbTensor *weight, const FbTensor *bias, float eps);
void     fb_cuda_concat_backward        (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout);
void     fb_cuda_upsample_backward      (FbDevice *dev, FbTensor *dx, const FbTensor *dout);
void     fb_cuda_max_pool_backward      (FbDevice *dev, FbTensor *dx, const FbTensor *dout, const FbTensor *x);
void     fb_cuda_feature_distance_backward (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                            const FbTensor *weight, float eps);

G_END_DECLS
