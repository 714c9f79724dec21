/* kernels/layer-norm.c: checks for kernels/layer-norm.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

void
fb_op_layer_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps)
{
  const FbTensor *tensors[] = { out, x, weight, bias };

  g_assert (fb_tensor_same_shape (out, x) && out->dtype == x->dtype && fb_device_supports (dev, x->dtype));
  g_assert (fb_op_is_per_channel (weight, x) && fb_op_is_per_channel (bias, x));
  g_assert (eps > 0);

  if (fb_op_ready (dev, dev->ops->layer_norm != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->layer_norm (dev, out, x, weight, bias, eps);
}

void
fb_op_layer_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                           const FbTensor *weight, const FbTensor *bias, float eps)
{
  const FbTensor *tensors[] = { dx, dweight, dbias, dy, x, weight, bias };

  g_assert (fb_tensor_same_shape (dx, x) && fb_tensor_same_shape (dy, x));
  g_assert (dx->dtype == x->dtype && dy->dtype == x->dtype && fb_device_supports (dev, x->dtype));
  g_assert (fb_op_is_per_channel (weight, x) && fb_op_is_per_channel (bias, x));
  g_assert (fb_op_is_per_channel (dweight, x) && fb_op_is_per_channel (dbias, x));
  g_assert (eps > 0);

  if (fb_op_ready (dev, dev->ops->layer_norm_backward != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->layer_norm_backward (dev, dx, dweight, dbias, dy, x, weight, bias, eps);
}
