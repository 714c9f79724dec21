/* kernels/max-pool.c: checks for kernels/max-pool.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

static gboolean
is_half (const FbTensor *half, const FbTensor *x)
{
  return x->n_dims == 4 && half->n_dims == 4 && half->dtype == x->dtype && half->shape[0] == x->shape[0] && half->shape[3] == x->shape[3]
         && half->shape[1] == x->shape[1] / 2 && half->shape[2] == x->shape[2] / 2;
}

void
fb_op_max_pool (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  const FbTensor *tensors[] = { out, x };

  g_assert (is_half (out, x) && fb_device_supports (dev, x->dtype));

  if (fb_op_ready (dev, dev->ops->max_pool != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->max_pool (dev, out, x);
}

void
fb_op_max_pool_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout, const FbTensor *x)
{
  const FbTensor *tensors[] = { dx, dout, x };

  g_assert (is_half (dout, x) && fb_device_supports (dev, x->dtype));
  g_assert (fb_tensor_same_shape (dx, x) && dx->dtype == x->dtype);

  if (fb_op_ready (dev, dev->ops->max_pool_backward != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->max_pool_backward (dev, dx, dout, x);
}
