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

void
fb_reference_group_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                  const FbTensor *weight, const FbTensor *bias, int n_groups, float eps, FbActivation act)
{
  g_autofree double *v  = fb_reference_read (x);                 /* becomes x̂ */
  g_autofree double *g  = fb_reference_read (dy);                /* becomes dx */
  g_autofree double *w  = fb_reference_read (weight);
  g_autofree double *b  = fb_reference_read (bias);
  g_autofree double *dw = fb_reference_read (dweight);
  g_autofree double *db = fb_reference_read (dbias);
  size_t             N  = x->shape[0];
  size_t             C  = x->shape[x->n_dims - 1];
  size_t             P  = fb_tensor_n_elements (x) / N / C;
  size_t             D  = C / n_groups;

  for (size_t n = 0; n < N; n++)
    for (size_t group = 0; group < (size_t) n_groups; group++)
      {
        double mean = 0.0, variance = 0.0, mean_g = 0.0, mean_gx = 0.0;

        for (size_t p = 0; p < P; p++)
          for (size_t c = group * D; c < (group + 1) * D; c++)
            mean += v[(n * P + p) * C + c] / (P * D);

        for (size_t p = 0; p < P; p++)
          for (size_t c = group * D; c < (group + 1) * D; c++)
            {
              double d = v[(n * P + p) * C + c] - mean;
              variance += d * d / (P * D);
            }

        for (size_t p = 0; p < P; p++)
          for (size_t c = group * D; c < (group + 1) * D; c++)
            {
              size_t i = (n * P + p) * C + c;

              v[i]  = (v[i] - mean) / sqrt (variance + eps);
              g[i] *= fb_reference_slope (v[i] * (w != NULL ? w[c] : 1.0) + (b != NULL ? b[c] : 0.0), act);
              if (dw != NULL)
                dw[c] += g[i] * v[i];
              if (db != NULL)
                db[c] += g[i];
              g[i]    *= w != NULL ? w[c] : 1.0;
              mean_g  += g[i] / (P * D);
              mean_gx += g[i] * v[i] / (P * D);
            }

        for (size_t p = 0; p < P; p++)
          for (size_t c = group * D; c < (group + 1) * D; c++)
            {
              size_t i = (n * P + p) * C + c;
              g[i] = (g[i] - mean_g - v[i] * mean_gx) / sqrt (variance + eps);
            }
      }

  fb_reference_write (dx, g);
  if (dweight != NULL)
    fb_reference_write (dweight, dw);
  if (dbias != NULL)
    fb_reference_write (dbias, db);
}
