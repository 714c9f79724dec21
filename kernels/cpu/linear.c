/* kernels/cpu/linear.c: kernels/linear.h by micro-kernels. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cpu/product.h"

/* bf16 micro-kernels read pairs of channels: rows of an odd number are copied with a zero behind each */
static const void *
pad_rows (FbDevice *dev, const FbTensor *x, size_t n_rows, int Cin, int K)
{
  const guint16 *from = x->data;
  guint16       *to;

  if (!fb_cpu_reserve_shared (dev, n_rows * K * sizeof (guint16)))
    return NULL;

  to = fb_cpu (dev)->shared;
  for (size_t row = 0; row < n_rows; row++)
    {
      memcpy (to + row * K, from + row * Cin, Cin * sizeof (guint16));
      to[row * K + Cin] = 0;
    }
  return to;
}

void
fb_cpu_linear (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
               const FbTensor *residual, FbActivation act)
{
  const FbPacked *packed = weight->packed;
  int             Cin    = weight->shape[1];
  size_t          n_rows = fb_tensor_n_elements (x) / Cin;
  FbProduct       p      =
  {
    .weight_dtype  = weight->dtype,
    .packed        = packed,
    .in            = packed->K == Cin ? x->data : pad_rows (dev, x, n_rows, Cin, packed->K),
    .in_pixel      = packed->K * fb_dtype_size (weight->dtype),
    .tap_offset    = (size_t[]) { 0 },
    .n_images      = 1,
    .n_rows        = 1,
    .n_pixels      = n_rows,
    .out_dtype     = out->dtype,
    .out           = out->data,
    .residual      = residual != NULL ? residual->data : NULL,
    .out_pixel     = weight->shape[0],
    .bias          = bias != NULL ? bias->data : NULL,
    .act           = act,
    .residual_last = TRUE,
  };

  fb_gemm_set_tidy (fb_cpu (dev)->kernels);
  if (p.in != NULL)
    fb_cpu_product (dev, &p);
  fb_device_cancelled (dev);
}
