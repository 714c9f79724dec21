/* kernels/conv2d.c: checks for kernels/conv2d.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

/* @kernel: Cout, Cin, kH, kW */
static void
check_sizes (const FbTensor *out, const FbTensor *x, const int *kernel, const FbConv2dParams *p)
{
  g_assert (p->stride == 1 || p->stride == 2);
  g_assert (p->upsample == 1 || (p->upsample == 2 && p->stride == 1));
  g_assert (p->pad_top >= 0 && p->pad_left >= 0 && p->pad_bottom >= 0 && p->pad_right >= 0);
  g_assert (x->n_dims == 4 && out->n_dims == 4);
  g_assert (x->shape[3] == kernel[1] && out->shape[3] == kernel[0] && out->shape[0] == x->shape[0]);
  g_assert (out->shape[1] == (x->shape[1] * p->upsample + p->pad_top + p->pad_bottom - kernel[2]) / p->stride + 1);
  g_assert (out->shape[2] == (x->shape[2] * p->upsample + p->pad_left + p->pad_right - kernel[3]) / p->stride + 1);
}

static void
check_weight (FbDevice *dev, const FbWeight *weight, const FbConv2dParams *p)
{
  g_assert (weight->dev == dev && weight->kind != FB_WEIGHT_LINEAR);
  if (weight->kind == FB_WEIGHT_CONV2D_UPSAMPLE)
    g_assert (p->upsample == 2 && p->pad_top == 1 && p->pad_left == 1 && p->pad_bottom == 1 && p->pad_right == 1);
}

void
fb_op_conv2d (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
              const FbTensor *residual, const FbConv2dParams *params, FbActivation act)
{
  const FbTensor       *tensors[] = { out, x, bias, residual };
  const FbConv2dParams *p         = params;

  check_weight (dev, weight, p);
  check_sizes (out, x, weight->shape, p);
  g_assert (x->dtype == weight->dtype && (out->dtype == weight->dtype || out->dtype == FB_DTYPE_F32));
  if (bias != NULL)
    {
      g_assert (fb_op_is_parameter (bias, x));
      g_assert ((bias->n_dims == 1 && bias->shape[0] == weight->shape[0]) ||
                (bias->n_dims == 2 && bias->shape[0] == x->shape[0] && bias->shape[1] == weight->shape[0]));
    }
  g_assert (residual == NULL || (fb_tensor_same_shape (residual, out) && residual->dtype == out->dtype));

  if (fb_op_ready (dev, dev->ops->conv2d != NULL, tensors, G_N_ELEMENTS (tensors)) && fb_weight_ready (weight))
    dev->ops->conv2d (dev, out, x, weight, bias, residual, params, act);
}

void
fb_op_conv2d_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params,
                             const FbTensor *sum)
{
  const FbTensor       *tensors[] = { dx, dy, sum };
  const FbConv2dParams *p         = params;

  check_weight (dev, weight, p);
  check_sizes (dy, dx, weight->shape, p);
  g_assert (MAX (p->pad_top, p->pad_bottom) < weight->shape[2] && MAX (p->pad_left, p->pad_right) < weight->shape[3]);
  g_assert (dx->dtype == weight->dtype && dy->dtype == weight->dtype);
  g_assert (sum == NULL || (fb_tensor_same_shape (sum, dx) && sum->dtype == dx->dtype));

  if (fb_op_ready (dev, dev->ops->conv2d_backward_input != NULL, tensors, G_N_ELEMENTS (tensors)) && fb_weight_ready (weight))
    dev->ops->conv2d_backward_input (dev, dx, dy, weight, params, sum);
}

void
fb_op_conv2d_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *params)
{
  const FbTensor *tensors[] = { dw, dy, x };

  g_assert (dw->n_dims == 4);
  check_sizes (dy, x, dw->shape, params);
  g_assert (dy->dtype == x->dtype && fb_device_supports (dev, x->dtype) && fb_op_is_parameter (dw, x));

  if (fb_op_ready (dev, dev->ops->conv2d_backward_weight != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->conv2d_backward_weight (dev, dw, dy, x, params);
}
