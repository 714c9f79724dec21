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

void
fb_reference_layer_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                  const FbTensor *weight, const FbTensor *bias, float eps)
{
  g_autofree double *v      = fb_reference_read (x);             /* becomes x̂ */
  g_autofree double *g      = fb_reference_read (dy);            /* becomes dx */
  g_autofree double *w      = fb_reference_read (weight);
  g_autofree double *dw     = fb_reference_read (dweight);
  g_autofree double *db     = fb_reference_read (dbias);
  size_t             C      = x->shape[x->n_dims - 1];
  size_t             n_rows = fb_tensor_n_elements (x) / C;

  for (size_t row = 0; row < n_rows; row++)
    {
      double mean = 0.0, variance = 0.0, mean_g = 0.0, mean_gx = 0.0;

      for (size_t c = 0; c < C; c++)
        mean += v[row * C + c] / C;
      for (size_t c = 0; c < C; c++)
        variance += (v[row * C + c] - mean) * (v[row * C + c] - mean) / C;

      for (size_t c = 0; c < C; c++)
        {
          size_t i = row * C + c;

          v[i] = (v[i] - mean) / sqrt (variance + eps);
          if (dw != NULL)
            dw[c] += g[i] * v[i];
          if (db != NULL)
            db[c] += g[i];
          g[i]    *= w != NULL ? w[c] : 1.0;
          mean_g  += g[i] / C;
          mean_gx += g[i] * v[i] / C;
        }

      for (size_t c = 0; c < C; c++)
        g[row * C + c] = (g[row * C + c] - mean_g - v[row * C + c] * mean_gx) / sqrt (variance + eps);
    }

  fb_reference_write (dx, g);
  if (dweight != NULL)
    fb_reference_write (dweight, dw);
  if (dbias != NULL)
    fb_reference_write (dbias, db);
}
