/* kernels/reference/group-norm.c: kernels/group-norm.h in f64. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>

#include "kernels/reference/reference-private.h"

void
fb_reference_group_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                         int n_groups, float eps, FbActivation act)
{
  g_autofree double *v = fb_reference_read (x);
  g_autofree double *w = fb_reference_read (weight);
  g_autofree double *b = fb_reference_read (bias);
  size_t             N = x->shape[0];
  size_t             C = x->shape[x->n_dims - 1];
  size_t             P = fb_tensor_n_elements (x) / N / C;       /* pixels per image */
  size_t             D = C / n_groups;                           /* channels per group */

  for (size_t n = 0; n < N; n++)
    for (size_t g = 0; g < (size_t) n_groups; g++)
      {
        double mean     = 0.0;
        double variance = 0.0;

        for (size_t p = 0; p < P; p++)
          for (size_t c = g * D; c < (g + 1) * D; c++)
            mean += v[(n * P + p) * C + c] / (P * D);

        for (size_t p = 0; p < P; p++)
          for (size_t c = g * D; c < (g + 1) * D; c++)
            {
              double d = v[(n * P + p) * C + c] - mean;
              variance += d * d / (P * D);
            }

        for (size_t p = 0; p < P; p++)
          for (size_t c = g * D; c < (g + 1) * D; c++)
            {
              size_t i = (n * P + p) * C + c;
              double y = (v[i] - mean) / sqrt (variance + eps);
              v[i] = fb_reference_activate (y * (w != NULL ? w[c] : 1.0) + (b != NULL ? b[c] : 0.0), act);
            }
      }

  fb_reference_write (out, v);
}
