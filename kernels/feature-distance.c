/* kernels/feature-distance.c: checks for kernels/feature-distance.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

static gboolean
are_features (const FbTensor *a, const FbTensor *b, const FbTensor *weight)
{
  return a->n_dims == 4 && fb_tensor_same_shape (a, b) && a->dtype == b->dtype && weight != NULL && fb_op_is_per_channel (weight, a);
}

static gboolean
is_per_picture (const FbTensor *values, const FbTensor *a)
{
  return values->n_dims == 1 && values->shape[0] == a->shape[0] && fb_op_is_parameter (values, a);
}

void
fb_op_feature_distance (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps)
{
  const FbTensor *tensors[] = { out, a, b, weight };

  g_assert (are_features (a, b, weight) && is_per_picture (out, a) && fb_device_supports (dev, a->dtype) && eps > 0.0f);

  if (fb_op_ready (dev, dev->ops->feature_distance != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->feature_distance (dev, out, a, b, weight, eps);
}

void
fb_op_feature_distance_backward (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                 const FbTensor *weight, float eps)
{
  const FbTensor *tensors[] = { da, dout, a, b, weight };

  g_assert (are_features (a, b, weight) && is_per_picture (dout, a) && fb_device_supports (dev, a->dtype) && eps > 0.0f);
  g_assert (fb_tensor_same_shape (da, a) && da->dtype == a->dtype);

  if (fb_op_ready (dev, dev->ops->feature_distance_backward != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->feature_distance_backward (dev, da, dout, a, b, weight, eps);
}
