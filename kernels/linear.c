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
