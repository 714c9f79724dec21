/* kernels/measure/device.c: a device that computes nothing and counts bytes and operations. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <string.h>

#include "kernels/device-private.h"
#include "kernels/measure.h"

#define LARGEST ((size_t) 1 << 46)    /* bytes; a single tensor beyond that fails, so that sums cannot wrap */

static char nothing;                  /* what every tensor's data points to: never read, never written */

static gboolean
measure_open (FbDevice *dev, GError **error)
{
  return TRUE;
}

static void
measure_close (FbDevice *dev)
{
  g_free (dev->state);
}

/* Notes multiply-adds × 2, in floating point: a large picture's may be more than 2⁶⁴. */
static void
count (FbDevice *dev, double flop)
{
  *(double *) dev->state += flop;
}

static double
n_elements (const FbTensor *t)
{
  return (double) fb_tensor_n_elements (t);
}

static FbDtype
measure_best_dtype (const FbDevice *dev)
{
  return FB_DTYPE_F32;
}

static gboolean
measure_supports (const FbDevice *dev, FbDtype dtype)
{
  return dtype <= FB_DTYPE_F64;
}

static void *
measure_alloc (FbDevice *dev, size_t n_bytes)
{
  return n_bytes <= LARGEST ? &nothing : NULL;
}

static void
measure_free (FbDevice *dev, void *data, size_t n_bytes)
{
}

static void
measure_upload (FbDevice *dev, void *device, FbDtype device_dtype, const void *host, FbDtype host_dtype, size_t n)
{
}

static void
measure_download (FbDevice *dev, void *host, FbDtype host_dtype, const void *device, FbDtype device_dtype, size_t n)
{
  memset (host, 0, n * fb_dtype_size (host_dtype));
}

static void
measure_pack (FbDevice *dev, FbWeight *weight, const void *data, FbDtype data_dtype)
{
  weight->packed = &nothing;
}

static void
measure_free_packed (FbDevice *dev, FbWeight *weight)
{
}

static void
measure_unary (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
}

static void
measure_binary (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b)
{
}

static void
measure_activation (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act)
{
}

static void
measure_conv2d (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                const FbTensor *residual, const FbConv2dParams *params, FbActivation act)
{
  count (dev, 2.0 * n_elements (out) * weight->shape[1] * weight->shape[2] * weight->shape[3]);
}

static void
measure_linear (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                const FbTensor *residual, FbActivation act)
{
  count (dev, 2.0 * n_elements (out) * weight->shape[1]);
}

static void
measure_attention (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                   int n_heads, float scale, gboolean causal)
{
  count (dev, (causal ? 2.0 : 4.0) * n_elements (q) * k->shape[1]);    /* q kᵀ, and the product with v */
}

static void
measure_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                    int n_groups, float eps, FbActivation act)
{
}

static void
measure_layer_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps)
{
}

static void
measure_feature_distance (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps)
{
}

static void
measure_activation_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act)
{
}

static void
measure_conv2d_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params,
                               const FbTensor *sum)
{
}

static void
measure_conv2d_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *params)
{
}

static void
measure_linear_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum)
{
}

static void
measure_attention_backward (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q,
                            const FbTensor *k, const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal)
{
}

static void
measure_group_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                             const FbTensor *weight, const FbTensor *bias, int n_groups, float eps, FbActivation act)
{
}

static void
measure_layer_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                             const FbTensor *weight, const FbTensor *bias, float eps)
{
}

static void
measure_concat_backward (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout)
{
}

static void
measure_feature_distance_backward (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                   const FbTensor *weight, float eps)
{
}

static const FbDeviceOps measure_ops =
{
  .name        = "measure",
  .open        = measure_open,
  .close       = measure_close,
  .best_dtype  = measure_best_dtype,
  .supports    = measure_supports,
  .alloc       = measure_alloc,
  .free        = measure_free,
  .upload      = measure_upload,
  .download    = measure_download,
  .pack        = measure_pack,
  .free_packed = measure_free_packed,
  .activation  = measure_activation,
  .geglu       = measure_unary,
  .conv2d      = measure_conv2d,
  .linear      = measure_linear,
  .attention   = measure_attention,
  .group_norm  = measure_group_norm,
  .layer_norm  = measure_layer_norm,
  .add         = measure_binary,
  .concat      = measure_binary,
  .upsample    = measure_unary,
  .cast        = measure_unary,
  .max_pool    = measure_unary,

  .feature_distance = measure_feature_distance,

  .activation_backward    = measure_activation_backward,
  .geglu_backward         = measure_binary,
  .conv2d_backward_input  = measure_conv2d_backward_input,
  .conv2d_backward_weight = measure_conv2d_backward_weight,
  .linear_backward_input  = measure_linear_backward_input,
  .linear_backward_weight = measure_binary,
  .bias_backward          = measure_unary,
  .attention_backward     = measure_attention_backward,
  .group_norm_backward    = measure_group_norm_backward,
  .layer_norm_backward    = measure_layer_norm_backward,
  .concat_backward        = measure_concat_backward,
  .upsample_backward      = measure_unary,
  .max_pool_backward      = measure_binary,

  .feature_distance_backward = measure_feature_distance_backward,
};

FbDevice *
fb_device_new_measure (void)
{
  FbDevice *dev = g_new0 (FbDevice, 1);

  dev->ops       = &measure_ops;
  dev->state     = g_new0 (double, 1);
  dev->ref_count = 1;
  dev->n_threads = 1;
  dev->limit     = G_MAXSIZE;

  return dev;
}

double
fb_device_measured_flop (const FbDevice *dev)
{
  g_assert (dev->ops == &measure_ops);
  return *(const double *) dev->state;
}
