/* kernels/reference/feature-distance.c: kernels/feature-distance.h in f64. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>

#include "kernels/reference/reference-private.h"

static double
length (const double *v, size_t C)
{
  double squares = 0.0;

  for (size_t c = 0; c < C; c++)
    squares += v[c] * v[c];
  return sqrt (squares);
}

void
fb_reference_feature_distance (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps)
{
  g_autofree double *A        = fb_reference_read (a);
  g_autofree double *B        = fb_reference_read (b);
  g_autofree double *w        = fb_reference_read (weight);
  g_autofree double *result   = g_new0 (double, a->shape[0]);
  size_t             N        = a->shape[0], C = a->shape[3];
  size_t             n_pixels = (size_t) a->shape[1] * a->shape[2];

  for (size_t n = 0; n < N; n++)
    for (size_t p = n * n_pixels; p < (n + 1) * n_pixels; p++)
      {
        double la = length (A + p * C, C) + eps, lb = length (B + p * C, C) + eps;

        for (size_t c = 0; c < C; c++)
          {
            double difference = A[p * C + c] / la - B[p * C + c] / lb;

            result[n] += w[c] * difference * difference / n_pixels;
          }
      }

  fb_reference_write (out, result);
}

/* With l = |a| + eps and g the gradient of â: da = g / l − a (g · a) / (|a| l²) */
void
fb_reference_feature_distance_backward (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                        const FbTensor *weight, float eps)
{
  g_autofree double *A        = fb_reference_read (a);
  g_autofree double *B        = fb_reference_read (b);
  g_autofree double *w        = fb_reference_read (weight);
  g_autofree double *d        = fb_reference_read (dout);
  g_autofree double *result   = g_new0 (double, fb_tensor_n_elements (a));
  size_t             N        = a->shape[0], C = a->shape[3];
  size_t             n_pixels = (size_t) a->shape[1] * a->shape[2];

  for (size_t p = 0; p < N * n_pixels; p++)
    {
      const double *va = A + p * C, *vb = B + p * C;
      double       *g  = result + p * C;
      double        la = length (va, C), l = la + eps, lb = length (vb, C) + eps, along = 0.0;

      if (la == 0.0)
        continue;
      for (size_t c = 0; c < C; c++)
        {
          g[c]   = d[p / n_pixels] / n_pixels * 2.0 * w[c] * (va[c] / l - vb[c] / lb);
          along += g[c] * va[c];
        }
      for (size_t c = 0; c < C; c++)
        g[c] = g[c] / l - va[c] * along / (la * l * l);
    }

  fb_reference_write (da, result);
}
