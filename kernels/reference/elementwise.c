/* kernels/reference/elementwise.c: kernels/elementwise.h in f64. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/reference/reference-private.h"

void
fb_reference_add (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b)
{
  g_autofree double *A   = fb_reference_read (a);
  g_autofree double *B   = fb_reference_read (b);
  size_t             n_b = fb_tensor_n_elements (b);

  for (size_t i = 0; i < fb_tensor_n_elements (a); i++)
    A[i] += B[i % n_b];

  fb_reference_write (out, A);
}

void
fb_reference_concat (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b)
{
  g_autofree double *A      = fb_reference_read (a);
  g_autofree double *B      = fb_reference_read (b);
  size_t             Ca     = a->shape[a->n_dims - 1];
  size_t             Cb     = b->shape[b->n_dims - 1];
  size_t             n_rows = fb_tensor_n_elements (a) / Ca;
  g_autofree double *result = g_new (double, n_rows * (Ca + Cb));

  for (size_t row = 0; row < n_rows; row++)
    for (size_t c = 0; c < Ca + Cb; c++)
      result[row * (Ca + Cb) + c] = c < Ca ? A[row * Ca + c] : B[row * Cb + c - Ca];

  fb_reference_write (out, result);
}

/* @part [rows, Cp] = channels @c0 … of @whole [rows, C] */
static void
cut_channels (FbTensor *part, const double *whole, size_t C, size_t c0)
{
  size_t             Cp     = part->shape[part->n_dims - 1];
  size_t             n      = fb_tensor_n_elements (part);
  g_autofree double *result = g_new (double, n);

  for (size_t i = 0; i < n; i++)
    result[i] = whole[i / Cp * C + c0 + i % Cp];

  fb_reference_write (part, result);
}

void
fb_reference_concat_backward (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout)
{
  g_autofree double *g = fb_reference_read (dout);
  size_t             C = dout->shape[dout->n_dims - 1];

  if (da != NULL)
    cut_channels (da, g, C, 0);
  if (db != NULL)
    cut_channels (db, g, C, C - db->shape[db->n_dims - 1]);
}

void
fb_reference_upsample (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  g_autofree double *X      = fb_reference_read (x);
  g_autofree double *result = g_new (double, fb_tensor_n_elements (out));
  size_t             H = x->shape[1], W = x->shape[2], C = x->shape[3];
  size_t             Ho = out->shape[1], Wo = out->shape[2];

  for (size_t n = 0; n < (size_t) x->shape[0]; n++)
    for (size_t i = 0; i < Ho; i++)
      for (size_t j = 0; j < Wo; j++)
        for (size_t c = 0; c < C; c++)
          result[((n * Ho + i) * Wo + j) * C + c] = X[((n * H + i / 2) * W + j / 2) * C + c];

  fb_reference_write (out, result);
}

void
fb_reference_upsample_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout)
{
  g_autofree double *g      = fb_reference_read (dout);
  g_autofree double *result = g_new0 (double, fb_tensor_n_elements (dx));
  size_t             H = dx->shape[1], W = dx->shape[2], C = dx->shape[3];
  size_t             Ho = dout->shape[1], Wo = dout->shape[2];

  for (size_t n = 0; n < (size_t) dx->shape[0]; n++)
    for (size_t i = 0; i < Ho; i++)
      for (size_t j = 0; j < Wo; j++)
        for (size_t c = 0; c < C; c++)
          result[((n * H + i / 2) * W + j / 2) * C + c] += g[((n * Ho + i) * Wo + j) * C + c];

  fb_reference_write (dx, result);
}

void
fb_reference_cast (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  fb_dtype_convert (out->data, out->dtype, x->data, x->dtype, fb_tensor_n_elements (x));
}
