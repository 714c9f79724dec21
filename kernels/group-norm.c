/* kernels/group-norm.c: checks for kernels/group-norm.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

void
fb_op_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                  int n_groups, float eps, FbActivation act)
{
  const FbTensor *tensors[] = { out, x, weight, bias };
  int             C         = x->shape[x->n_dims - 1];

  g_assert (x->n_dims >= 3 && fb_tensor_same_shape (out, x) && out->dtype == x->dtype && fb_device_supports (dev, x->dtype));
  g_assert (weight == NULL || (weight->n_dims == 1 && weight->shape[0] == C && fb_op_is_parameter (weight, x)));
  g_assert (bias == NULL || (bias->n_dims == 1 && bias->shape[0] == C && fb_op_is_parameter (bias, x)));
  g_assert (n_groups >= 1 && C % n_groups == 0 && eps > 0);

  if (fb_op_ready (dev, dev->ops->group_norm != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->group_norm (dev, out, x, weight, bias, n_groups, eps, act);
}
