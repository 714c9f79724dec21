/* kernels/conv2d.c: checks for kernels/conv2d.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

void
fb_op_conv2d (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
              const FbTensor *residual, const FbConv2dParams *params, FbActivation act)
{
  const FbTensor       *tensors[] = { out, x, bias, residual };
  const FbConv2dParams *p         = params;
  const int            *k         = weight->shape;               /* Cout, Cin, kH, kW */

  g_assert (weight->dev == dev && weight->kind != FB_WEIGHT_LINEAR);
  g_assert (p->stride == 1 || p->stride == 2);
  g_assert (p->upsample == 1 || (p->upsample == 2 && p->stride == 1));
  if (weight->kind == FB_WEIGHT_CONV2D_UPSAMPLE)
    g_assert (p->upsample == 2 && p->pad_top == 1 && p->pad_left == 1 && p->pad_bottom == 1 && p->pad_right == 1);
  g_assert (p->pad_top >= 0 && p->pad_left >= 0 && p->pad_bottom >= 0 && p->pad_right >= 0);
  g_assert (x->n_dims == 4 && out->n_dims == 4);
  g_assert (x->dtype == weight->dtype && (out->dtype == weight->dtype || out->dtype == FB_DTYPE_F32));
  g_assert (x->shape[3] == k[1] && out->shape[3] == k[0] && out->shape[0] == x->shape[0]);
  g_assert (out->shape[1] == (x->shape[1] * p->upsample + p->pad_top + p->pad_bottom - k[2]) / p->stride + 1);
  g_assert (out->shape[2] == (x->shape[2] * p->upsample + p->pad_left + p->pad_right - k[3]) / p->stride + 1);
  if (bias != NULL)
    {
      g_assert (fb_op_is_parameter (bias, x));
      g_assert ((bias->n_dims == 1 && bias->shape[0] == k[0]) ||
                (bias->n_dims == 2 && bias->shape[0] == x->shape[0] && bias->shape[1] == k[0]));
    }
  g_assert (residual == NULL || (fb_tensor_same_shape (residual, out) && residual->dtype == out->dtype));

  if (fb_op_ready (dev, dev->ops->conv2d != NULL, tensors, G_N_ELEMENTS (tensors)) && fb_weight_ready (weight))
    dev->ops->conv2d (dev, out, x, weight, bias, residual, params, act);
}
