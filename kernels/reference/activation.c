/* kernels/reference/activation.c: kernels/activation.h in f64. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>

#include "kernels/reference/reference-private.h"

double
fb_reference_activate (double x, FbActivation act)
{
  switch (act)
    {
    case FB_ACT_NONE:       return x;
    case FB_ACT_SILU:       return x / (1.0 + exp (-x));
    case FB_ACT_GELU:       return 0.5 * x * erfc (-x * M_SQRT1_2);     /* erfc: 1 + erf would cancel far left of zero */
    case FB_ACT_QUICK_GELU: return x / (1.0 + exp (-1.702 * x));
    case FB_ACT_RELU:       return x > 0.0 || isnan (x) ? x : 0.0;
    case FB_ACT_TANH:       return tanh (x);
    }
  g_assert_not_reached ();
}

void
fb_reference_activation (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act)
{
  g_autofree double *v = fb_reference_read (x);

  for (size_t i = 0; i < fb_tensor_n_elements (x); i++)
    v[i] = fb_reference_activate (v[i], act);

  fb_reference_write (out, v);
}

void
fb_reference_geglu (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  g_autofree double *in     = fb_reference_read (x);
  g_autofree double *result = g_new (double, fb_tensor_n_elements (out));
  size_t             C      = out->shape[out->n_dims - 1];
  size_t             n_rows = fb_tensor_n_elements (out) / C;

  for (size_t row = 0; row < n_rows; row++)
    for (size_t c = 0; c < C; c++)
      result[row * C + c] = in[row * 2 * C + c] * fb_reference_activate (in[row * 2 * C + C + c], FB_ACT_GELU);

  fb_reference_write (out, result);
}
