/* kernels/reference/device.c: the device that every other is tested against. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/reference/reference-private.h"

static gboolean
reference_open (FbDevice *dev, GError **error)
{
  return TRUE;
}

static void
reference_close (FbDevice *dev)
{
}

static FbDtype
reference_best_dtype (const FbDevice *dev)
{
  return FB_DTYPE_F32;
}

static gboolean
reference_supports (const FbDevice *dev, FbDtype dtype)
{
  return dtype <= FB_DTYPE_F64;
}

static void *
reference_alloc (FbDevice *dev, size_t n_bytes)
{
  return g_try_malloc (n_bytes);
}

static void
reference_free (FbDevice *dev, void *data, size_t n_bytes)
{
  g_free (data);
}

static void
reference_upload (FbDevice *dev, void *device, FbDtype device_dtype, const void *host, FbDtype host_dtype, size_t n)
{
  fb_dtype_convert (device, device_dtype, host, host_dtype, n);
}

static void
reference_download (FbDevice *dev, void *host, FbDtype host_dtype, const void *device, FbDtype device_dtype, size_t n)
{
  fb_dtype_convert (host, host_dtype, device, device_dtype, n);
}

/* Rounds to the weight's dtype, then keeps f64: the values other devices multiply with, in the type this one computes in */
static void
reference_pack (FbDevice *dev, FbWeight *weight, const void *data, FbDtype data_dtype)
{
  size_t           n       = (size_t) weight->shape[0] * weight->shape[1] * weight->shape[2] * weight->shape[3];
  g_autofree void *rounded = g_try_malloc_n (n, fb_dtype_size (weight->dtype));

  weight->n_bytes = n * sizeof (double);
  if (weight->packed == NULL && rounded != NULL)
    weight->packed = fb_device_alloc (dev, weight->n_bytes);
  if (weight->packed == NULL || rounded == NULL)
    {
      fb_device_fail_no_memory (dev, weight->n_bytes);
      return;
    }
  fb_dtype_convert (rounded, weight->dtype, data, data_dtype, n);
  fb_dtype_convert (weight->packed, FB_DTYPE_F64, rounded, weight->dtype, n);
}

static void
reference_free_packed (FbDevice *dev, FbWeight *weight)
{
  fb_device_free (dev, weight->packed, weight->n_bytes);
}

double *
fb_reference_read (const FbTensor *t)
{
  size_t  n;
  double *values;

  if (t == NULL)
    return NULL;

  n      = fb_tensor_n_elements (t);
  values = g_new (double, n);
  fb_dtype_convert (values, FB_DTYPE_F64, t->data, t->dtype, n);
  return values;
}

void
fb_reference_write (FbTensor *t, const double *values)
{
  fb_dtype_convert (t->data, t->dtype, values, FB_DTYPE_F64, fb_tensor_n_elements (t));
}

const FbDeviceOps fb_reference_ops =
{
  .name        = "reference",
  .open        = reference_open,
  .close       = reference_close,
  .best_dtype  = reference_best_dtype,
  .supports    = reference_supports,
  .alloc       = reference_alloc,
  .free        = reference_free,
  .upload      = reference_upload,
  .download    = reference_download,
  .pack        = reference_pack,
  .free_packed = reference_free_packed,
  .activation  = fb_reference_activation,
  .geglu       = fb_reference_geglu,
  .conv2d      = fb_reference_conv2d,
  .linear      = fb_reference_linear,
  .attention   = fb_reference_attention,
  .group_norm  = fb_reference_group_norm,
  .layer_norm  = fb_reference_layer_norm,
  .add         = fb_reference_add,
  .concat      = fb_reference_concat,
  .upsample    = fb_reference_upsample,
  .cast        = fb_reference_cast,
  .max_pool    = fb_reference_max_pool,

  .feature_distance = fb_reference_feature_distance,

  .activation_backward    = fb_reference_activation_backward,
  .geglu_backward         = fb_reference_geglu_backward,
  .conv2d_backward_input  = fb_reference_conv2d_backward_input,
  .conv2d_backward_weight = fb_reference_conv2d_backward_weight,
  .linear_backward_input  = fb_reference_linear_backward_input,
  .linear_backward_weight = fb_reference_linear_backward_weight,
  .bias_backward          = fb_reference_bias_backward,
  .attention_backward     = fb_reference_attention_backward,
  .group_norm_backward    = fb_reference_group_norm_backward,
  .layer_norm_backward    = fb_reference_layer_norm_backward,
  .concat_backward        = fb_reference_concat_backward,
  .upsample_backward      = fb_reference_upsample_backward,
  .max_pool_backward      = fb_reference_max_pool_backward,

  .feature_distance_backward = fb_reference_feature_distance_backward,
};
