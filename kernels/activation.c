/* kernels/activation.c: checks for kernels/activation.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

void
fb_op_activation (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act)
{
  const FbTensor *tensors[] = { out, x };

  g_assert (fb_tensor_same_shape (out, x) && out->dtype == x->dtype && fb_device_supports (dev, x->dtype));

  if (fb_op_ready (dev, dev->ops->activation != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->activation (dev, out, x, act);
}

void
fb_op_activation_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act)
{
  const FbTensor *tensors[] = { dx, dy, x };

  g_assert (fb_tensor_same_shape (dx, x) && fb_tensor_same_shape (dy, x));
  g_assert (dx->dtype == x->dtype && dy->dtype == x->dtype && fb_device_supports (dev, x->dtype));

  if (fb_op_ready (dev, dev->ops->activation_backward != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->activation_backward (dev, dx, dy, x, act);
}

void
fb_op_geglu (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  const FbTensor *tensors[] = { out, x };
  int             last      = x->n_dims - 1;

  g_assert (out->dtype == x->dtype && fb_device_supports (dev, x->dtype) && out->n_dims == x->n_dims);
  for (int i = 0; i < last; i++)
    g_assert (out->shape[i] == x->shape[i]);
  g_assert (x->shape[last] == 2 * out->shape[last]);

  if (fb_op_ready (dev, dev->ops->geglu != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->geglu (dev, out, x);
}

void
fb_op_geglu_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x)
{
  const FbTensor *tensors[] = { dx, dy, x };
  int             last      = x->n_dims - 1;

  g_assert (dx->dtype == x->dtype && dy->dtype == x->dtype && fb_device_supports (dev, x->dtype));
  g_assert (fb_tensor_same_shape (dx, x) && dy->n_dims == x->n_dims);
  for (int i = 0; i < last; i++)
    g_assert (dy->shape[i] == x->shape[i]);
  g_assert (x->shape[last] == 2 * dy->shape[last]);

  if (fb_op_ready (dev, dev->ops->geglu_backward != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->geglu_backward (dev, dx, dy, x);
}
