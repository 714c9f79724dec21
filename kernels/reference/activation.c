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
    case FB_ACT_CLAMP:      return x < -1.0 ? -1.0 : x > 1.0 ? 1.0 : x;
    }
  g_assert_not_reached ();
}

double
fb_reference_slope (double x, FbActivation act)
{
  double factor = act == FB_ACT_QUICK_GELU ? 1.702 : 1.0;
  double s      = 1.0 / (1.0 + exp (-factor * x));

  switch (act)
    {
    case FB_ACT_NONE:       return 1.0;
    case FB_ACT_SILU:
    case FB_ACT_QUICK_GELU: return s + factor * x * s * (1.0 - s);
    case FB_ACT_GELU:       return 0.5 * erfc (-x * M_SQRT1_2) + x * exp (-0.5 * x * x) / sqrt (2.0 * M_PI);
    case FB_ACT_RELU:       return x > 0.0 || isnan (x) ? 1.0 : 0.0;
    case FB_ACT_TANH:       return 1.0 - tanh (x) * tanh (x);
    case FB_ACT_CLAMP:      return x < -1.0 || x > 1.0 ? 0.0 : 1.0;
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
fb_reference_activation_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act)
{
  g_autofree double *v = fb_reference_read (x);
  g_autofree double *g = fb_reference_read (dy);

  for (size_t i = 0; i < fb_tensor_n_elements (x); i++)
    g[i] *= fb_reference_slope (v[i], act);

  fb_reference_write (dx, g);
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

void
fb_reference_geglu_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x)
{
  g_autofree double *in     = fb_reference_read (x);
  g_autofree double *g      = fb_reference_read (dy);
  g_autofree double *result = g_new (double, fb_tensor_n_elements (dx));
  size_t             C      = dy->shape[dy->n_dims - 1];
  size_t             n_rows = fb_tensor_n_elements (dy) / C;

  for (size_t row = 0; row < n_rows; row++)
    for (size_t c = 0; c < C; c++)
      {
        size_t value = row * 2 * C + c, gate = value + C;

        result[value] = g[row * C + c] * fb_reference_activate (in[gate], FB_ACT_GELU);
        result[gate]  = g[row * C + c] * in[value] * fb_reference_slope (in[gate], FB_ACT_GELU);
      }

  fb_reference_write (dx, result);
}
