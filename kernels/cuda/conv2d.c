/* kernels/cuda/conv2d.c: kernels/conv2d.h by cuDNN, products or our own loops. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cuda/convolution.h"
#include "kernels/cuda/product.h"

/* Sums alone, without what follows them; FALSE where no library has a way */
static gboolean
convolve (FbDevice *dev, void *sum, FbDtype out_dtype, const int *out_shape, const FbTensor *x, const FbWeight *weight, const FbConv2dParams *p)
{
  FbConvolution c =
  {
    .kind       = FB_CONVOLUTION_FORWARD,
    .x_dtype    = x->dtype,
    .w_dtype    = weight->dtype,
    .y_dtype    = out_dtype,
    .stride     = p->stride,
    .pad_top    = p->pad_top,
    .pad_left   = p->pad_left,
    .pad_bottom = p->pad_bottom,
    .pad_right  = p->pad_right,
  };

  for (int i = 0; i < 4; i++)
    {
      c.x[i] = x->shape[i];
      c.w[i] = weight->shape[i];
      c.y[i] = out_shape[i];
    }
  return fb_cuda_convolve (dev, &c, x->data, weight->packed, sum);
}

/* A kernel of one pixel: each pixel's channels times the matrix of the weight */
static void
multiply (FbDevice *dev, void *sum, FbDtype out_dtype, const FbTensor *x, const FbWeight *weight)
{
  int           Cout = weight->shape[0], Cin = weight->shape[1];
  FbCudaProduct p    =
  {
    .dtype      = weight->dtype,
    .out_dtype  = out_dtype,
    .n_rows     = (int) (fb_tensor_n_elements (x) / Cin),
    .n_columns  = Cout,
    .depth      = Cin,
    .n_products = 1,
    .scale      = 1.0f,
    .left       = { .data = x->data, .step = Cin },
    .right      = { .data = weight->packed, .step = Cin, .transposed = TRUE },
    .out        = sum,
    .out_step   = Cout,
  };

  fb_cuda_product (dev, &p);
}

void
fb_cuda_conv2d (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                const FbTensor *residual, const FbConv2dParams *params, FbActivation act)
{
  gboolean            one_by_one = weight->shape[2] * weight->shape[3] == 1 && params->stride == 1 && params->upsample == 1 &&
                                   params->pad_top + params->pad_left + params->pad_bottom + params->pad_right == 0;
  gboolean            in_place   = residual != NULL && residual->data == out->data;
  g_autoptr(FbTensor) large      = params->upsample == 2
                                   ? fb_tensor_new_4d (dev, x->dtype, x->shape[0], 2 * x->shape[1], 2 * x->shape[2], x->shape[3]) : NULL;
  g_autoptr(FbTensor) sum        = in_place ? fb_tensor_new (dev, out->dtype, out->n_dims, out->shape) : fb_tensor_ref (out);
  gboolean            done       = TRUE;

  if (dev->failure != NULL)
    return;

  if (large != NULL)
    fb_cuda_upsample (dev, large, x);
  if (one_by_one)
    multiply (dev, sum->data, out->dtype, x, weight);
  else
    done = convolve (dev, sum->data, out->dtype, out->shape, large != NULL ? large : x, weight, params);

  if (!done)
    fb_cuda_convolve_plainly (dev, out, x, weight, bias, residual, params, act);
  else if (bias != NULL || residual != NULL || act != FB_ACT_NONE)
    fb_cuda_finish (dev, out, sum->data, bias, residual, act, FALSE);
}
