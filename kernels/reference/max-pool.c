/* kernels/reference/max-pool.c: kernels/max-pool.h in f64. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>

#include "kernels/reference/reference-private.h"

/* Where the largest value of the output's pixel [n, i, j, c] stands in @v, which is @x's elements */
static size_t
find_largest (const double *v, const FbTensor *x, size_t n, size_t i, size_t j, size_t c)
{
  size_t H = x->shape[1], W = x->shape[2], C = x->shape[3];
  size_t best = ((n * H + 2 * i) * W + 2 * j) * C + c;

  for (size_t k = 1; k < 4; k++)
    {
      size_t at = ((n * H + 2 * i + k / 2) * W + 2 * j + k % 2) * C + c;

      if (v[at] > v[best] || (isnan (v[at]) && !isnan (v[best])))
        best = at;
    }

  return best;
}

void
fb_reference_max_pool (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  g_autofree double *v      = fb_reference_read (x);
  g_autofree double *result = g_new (double, fb_tensor_n_elements (out));
  size_t             N = out->shape[0], Ho = out->shape[1], Wo = out->shape[2], C = out->shape[3];

  for (size_t n = 0; n < N; n++)
    for (size_t i = 0; i < Ho; i++)
      for (size_t j = 0; j < Wo; j++)
        for (size_t c = 0; c < C; c++)
          result[((n * Ho + i) * Wo + j) * C + c] = v[find_largest (v, x, n, i, j, c)];

  fb_reference_write (out, result);
}

void
fb_reference_max_pool_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout, const FbTensor *x)
{
  g_autofree double *v      = fb_reference_read (x);
  g_autofree double *g      = fb_reference_read (dout);
  g_autofree double *result = g_new0 (double, fb_tensor_n_elements (dx));
  size_t             N = dout->shape[0], Ho = dout->shape[1], Wo = dout->shape[2], C = dout->shape[3];

  for (size_t n = 0; n < N; n++)
    for (size_t i = 0; i < Ho; i++)
      for (size_t j = 0; j < Wo; j++)
        for (size_t c = 0; c < C; c++)
          result[find_largest (v, x, n, i, j, c)] = g[((n * Ho + i) * Wo + j) * C + c];

  fb_reference_write (dx, result);
}
