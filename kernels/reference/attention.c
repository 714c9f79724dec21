/* kernels/reference/attention.c: kernels/attention.h in f64, one row of scores at a time. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>

#include "kernels/reference/reference-private.h"

/* out [D] = softmax (scale · q kᵀ) v for one token of one head; rows of @k and @v are @C apart */
static void
attend (double *out, const double *q, const double *k, const double *v, double *p, size_t S, size_t D, size_t C, double scale)
{
  double largest = -INFINITY;
  double total   = 0.0;

  for (size_t s = 0; s < S; s++)
    {
      p[s] = 0.0;
      for (size_t d = 0; d < D; d++)
        p[s] += q[d] * k[s * C + d];
      p[s]   *= scale;
      largest = fmax (largest, p[s]);
    }

  for (size_t s = 0; s < S; s++)
    {
      p[s]   = exp (p[s] - largest);
      total += p[s];
    }

  for (size_t d = 0; d < D; d++)
    out[d] = 0.0;
  for (size_t s = 0; s < S; s++)
    for (size_t d = 0; d < D; d++)
      out[d] += p[s] / total * v[s * C + d];
}

void
fb_reference_attention (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                        int n_heads, float scale, gboolean causal)
{
  g_autofree double *Q      = fb_reference_read (q);
  g_autofree double *K      = fb_reference_read (k);
  g_autofree double *V      = fb_reference_read (v);
  g_autofree double *result = g_new (double, fb_tensor_n_elements (out));
  size_t             N = q->shape[0], T = q->shape[1], C = q->shape[2], S = k->shape[1], D = C / n_heads;

#pragma omp parallel for collapse(2) num_threads(dev->n_threads)
  for (size_t n = 0; n < N; n++)
    for (size_t t = 0; t < T; t++)
      {
        g_autofree double *p = g_new (double, S);

        for (size_t h = 0; h < (size_t) n_heads && !fb_device_cancel_requested (dev); h++)
          attend (result + (n * T + t) * C + h * D, Q + (n * T + t) * C + h * D,
                  K + n * S * C + h * D, V + n * S * C + h * D, p, causal ? t + 1 : S, D, C, scale);
      }

  if (!fb_device_cancelled (dev))
    fb_reference_write (out, result);
}
