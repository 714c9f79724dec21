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

void
fb_reference_linear_backward_input (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum)
{
  g_autofree double *g      = fb_reference_read (dy);
  g_autofree double *s      = fb_reference_read (sum);
  g_autofree double *result = g_new (double, fb_tensor_n_elements (dx));
  const double      *w      = weight->packed;
  size_t             Cout   = weight->shape[0];
  size_t             Cin    = weight->shape[1];
  size_t             n_rows = fb_tensor_n_elements (dx) / Cin;

#pragma omp parallel for num_threads(dev->n_threads)
  for (size_t row = 0; row < n_rows; row++)
    for (size_t ic = 0; ic < Cin; ic++)
      {
        double total = s != NULL ? s[row * Cin + ic] : 0.0;

        if (fb_device_cancel_requested (dev))
          continue;

        for (size_t oc = 0; oc < Cout; oc++)
          total += g[row * Cout + oc] * w[oc * Cin + ic];

        result[row * Cin + ic] = total;
      }

  if (!fb_device_cancelled (dev))
    fb_reference_write (dx, result);
}

void
fb_reference_linear_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x)
{
  g_autofree double *g      = fb_reference_read (dy);
  g_autofree double *in     = fb_reference_read (x);
  g_autofree double *result = fb_reference_read (dw);
  size_t             Cout   = dw->shape[0];
  size_t             Cin    = dw->shape[1];
  size_t             n_rows = fb_tensor_n_elements (x) / Cin;

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t oc = 0; oc < Cout; oc++)
    for (size_t ic = 0; ic < Cin; ic++)
      for (size_t row = 0; row < n_rows && !fb_device_cancel_requested (dev); row++)
        result[oc * Cin + ic] += g[row * Cout + oc] * in[row * Cin + ic];

  if (!fb_device_cancelled (dev))
    fb_reference_write (dw, result);
}

void
fb_reference_bias_backward (FbDevice *dev, FbTensor *db, const FbTensor *dy)
{
  g_autofree double *g      = fb_reference_read (dy);
  g_autofree double *result = fb_reference_read (db);
  size_t             C      = dy->shape[dy->n_dims - 1];
  size_t             n_sums = fb_tensor_n_elements (db) / C;                   /* 1, or one per image */
  size_t             n_rows = fb_tensor_n_elements (dy) / C / n_sums;

  for (size_t n = 0; n < n_sums; n++)
    for (size_t row = 0; row < n_rows; row++)
      for (size_t c = 0; c < C; c++)
        result[n * C + c] += g[(n * n_rows + row) * C + c];

  fb_reference_write (db, result);
}
