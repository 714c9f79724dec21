/* kernels/reference/linear.c: kernels/linear.h in f64. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/reference/reference-private.h"

void
fb_reference_linear (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                     const FbTensor *residual, FbActivation act)
{
  g_autofree double *in     = fb_reference_read (x);
  g_autofree double *b      = fb_reference_read (bias);
  g_autofree double *r      = fb_reference_read (residual);
  g_autofree double *result = g_new (double, fb_tensor_n_elements (out));
  const double      *w      = weight->packed;
  size_t             Cout   = weight->shape[0];
  size_t             Cin    = weight->shape[1];
  size_t             n_rows = fb_tensor_n_elements (x) / Cin;

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t row = 0; row < n_rows; row++)
    for (size_t oc = 0; oc < Cout; oc++)
      {
        double sum = b != NULL ? b[oc] : 0.0;

        if (fb_device_cancel_requested (dev))
          continue;

        for (size_t ic = 0; ic < Cin; ic++)
          sum += in[row * Cin + ic] * w[oc * Cin + ic];

        result[row * Cout + oc] = fb_reference_activate (sum, act) + (r != NULL ? r[row * Cout + oc] : 0.0);
      }

  if (!fb_device_cancelled (dev))
    fb_reference_write (out, result);
}
