/* kernels/reference/layer-norm.c: kernels/layer-norm.h in f64. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>

#include "kernels/reference/reference-private.h"

void
fb_reference_layer_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps)
{
  g_autofree double *v      = fb_reference_read (x);
  g_autofree double *w      = fb_reference_read (weight);
  g_autofree double *b      = fb_reference_read (bias);
  size_t             C      = x->shape[x->n_dims - 1];
  size_t             n_rows = fb_tensor_n_elements (x) / C;

  for (size_t row = 0; row < n_rows; row++)
    {
      double mean     = 0.0;
      double variance = 0.0;

      for (size_t c = 0; c < C; c++)
        mean += v[row * C + c] / C;
      for (size_t c = 0; c < C; c++)
        variance += (v[row * C + c] - mean) * (v[row * C + c] - mean) / C;

      for (size_t c = 0; c < C; c++)
        v[row * C + c] = (v[row * C + c] - mean) / sqrt (variance + eps) * (w != NULL ? w[c] : 1.0) + (b != NULL ? b[c] : 0.0);
    }

  fb_reference_write (out, v);
}
