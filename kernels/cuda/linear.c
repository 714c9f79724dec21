/* kernels/cuda/linear.c: kernels/linear.h by cuBLASLt. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cuda/product.h"

/* (transfer full): @bias in @dtype, the only type the library adds to outputs of it */
static FbTensor *
bias_as (FbDevice *dev, const FbTensor *bias, FbDtype dtype)
{
  FbTensor *copy = fb_tensor_new_1d (dev, dtype, bias->shape[0]);

  if (copy->data != NULL)
    fb_cuda_cast (dev, copy, bias);
  return copy;
}

void
fb_cuda_linear (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                const FbTensor *residual, FbActivation act)
{
  int                 Cout  = weight->shape[0], Cin = weight->shape[1];
  gboolean            whole = act == FB_ACT_NONE;                /* nothing is left to do after bias and residual */
  g_autoptr(FbTensor) added = bias != NULL && whole ? bias_as (dev, bias, out->dtype) : NULL;
  g_autoptr(FbTensor) sum   = !whole && residual != NULL && residual->data == out->data
                              ? fb_tensor_new (dev, out->dtype, out->n_dims, out->shape) : fb_tensor_ref (out);
  FbCudaProduct       p     =
  {
    .dtype      = weight->dtype,
    .out_dtype  = out->dtype,
    .n_rows     = (int) (fb_tensor_n_elements (x) / Cin),
    .n_columns  = Cout,
    .depth      = Cin,
    .n_products = 1,
    .scale      = 1.0f,
    .left       = { .data = x->data, .step = Cin },
    .right      = { .data = weight->packed, .step = Cin, .transposed = TRUE },
    .out        = sum->data,
    .out_step   = Cout,
    .addend     = whole && residual != NULL ? residual->data : NULL,
    .bias       = added != NULL ? added->data : NULL,
  };

  if (dev->failure != NULL)
    return;

  fb_cuda_product (dev, &p);
  if (!whole)
    fb_cuda_finish (dev, out, sum->data, bias, residual, act, TRUE);
}

void
fb_cuda_linear_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum)
{
  int           Cout = weight->shape[0], Cin = weight->shape[1];
  FbCudaProduct p    =
  {
    .dtype      = weight->dtype,
    .out_dtype  = dx->dtype,
    .n_rows     = (int) (fb_tensor_n_elements (dx) / Cin),
    .n_columns  = Cin,
    .depth      = Cout,
    .n_products = 1,
    .scale      = 1.0f,
    .left       = { .data = dy->data, .step = Cout },
    .right      = { .data = weight->packed, .step = Cin },
    .out        = dx->data,
    .out_step   = Cin,
    .addend     = sum != NULL ? sum->data : NULL,
  };

  fb_cuda_product (dev, &p);
}

void
fb_cuda_linear_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x)
{
  int           Cout = dw->shape[0], Cin = dw->shape[1];
  FbCudaProduct p    =
  {
    .dtype      = x->dtype,
    .out_dtype  = FB_DTYPE_F32,
    .n_rows     = Cout,
    .n_columns  = Cin,
    .depth      = (int) (fb_tensor_n_elements (x) / Cin),
    .n_products = 1,
    .scale      = 1.0f,
    .left       = { .data = dy->data, .step = Cout, .transposed = TRUE },
    .right      = { .data = x->data, .step = Cin },
    .out        = dw->data,
    .out_step   = Cin,
    .addend     = dw->data,
  };

  fb_cuda_product (dev, &p);
}
