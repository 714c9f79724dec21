/* kernels/linear.c: checks for kernels/linear.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

void
fb_op_linear (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
              const FbTensor *residual, FbActivation act)
{
  const FbTensor *tensors[] = { out, x, bias, residual };
  int             last      = x->n_dims - 1;

  g_assert (weight->dev == dev && weight->kind == FB_WEIGHT_LINEAR);
  g_assert (x->dtype == weight->dtype && (out->dtype == weight->dtype || out->dtype == FB_DTYPE_F32));
  g_assert (out->n_dims == x->n_dims && x->shape[last] == weight->shape[1] && out->shape[last] == weight->shape[0]);
  for (int i = 0; i < last; i++)
    g_assert (out->shape[i] == x->shape[i]);
  if (bias != NULL)
    {
      g_assert (fb_op_is_parameter (bias, x));
      g_assert (bias->n_dims == 1 && bias->shape[0] == weight->shape[0]);
    }
  g_assert (residual == NULL || (fb_tensor_same_shape (residual, out) && residual->dtype == out->dtype));

  if (fb_op_ready (dev, dev->ops->linear != NULL, tensors, G_N_ELEMENTS (tensors)) && fb_weight_ready (weight))
    dev->ops->linear (dev, out, x, weight, bias, residual, act);
}

void
fb_op_linear_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum)
{
  const FbTensor *tensors[] = { dx, dy, sum };
  int             last      = dx->n_dims - 1;

  g_assert (weight->dev == dev && weight->kind == FB_WEIGHT_LINEAR);
  g_assert (dx->dtype == weight->dtype && dy->dtype == weight->dtype);
  g_assert (dy->n_dims == dx->n_dims && dx->shape[last] == weight->shape[1] && dy->shape[last] == weight->shape[0]);
  for (int i = 0; i < last; i++)
    g_assert (dx->shape[i] == dy->shape[i]);
  g_assert (sum == NULL || (fb_tensor_same_shape (sum, dx) && sum->dtype == dx->dtype));

  if (fb_op_ready (dev, dev->ops->linear_backward_input != NULL, tensors, G_N_ELEMENTS (tensors)) && fb_weight_ready (weight))
    dev->ops->linear_backward_input (dev, dx, dy, weight, sum);
}

void
fb_op_linear_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x)
{
  const FbTensor *tensors[] = { dw, dy, x };
  int             last      = x->n_dims - 1;

  g_assert (dy->dtype == x->dtype && fb_device_supports (dev, x->dtype) && fb_op_is_parameter (dw, x));
  g_assert (dy->n_dims == x->n_dims && dw->n_dims == 2 && dw->shape[0] == dy->shape[last] && dw->shape[1] == x->shape[last]);
  for (int i = 0; i < last; i++)
    g_assert (x->shape[i] == dy->shape[i]);

  if (fb_op_ready (dev, dev->ops->linear_backward_weight != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->linear_backward_weight (dev, dw, dy, x);
}

void
fb_op_bias_backward (FbDevice *dev, FbTensor *db, const FbTensor *dy)
{
  const FbTensor *tensors[] = { db, dy };
  int             C         = dy->shape[dy->n_dims - 1];

  g_assert (fb_device_supports (dev, dy->dtype) && fb_op_is_parameter (db, dy));
  g_assert ((db->n_dims == 1 && db->shape[0] == C) || (db->n_dims == 2 && dy->n_dims >= 2 && db->shape[0] == dy->shape[0] && db->shape[1] == C));

  if (fb_op_ready (dev, dev->ops->bias_backward != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->bias_backward (dev, db, dy);
}
