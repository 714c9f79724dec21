/* tests/kernels/test-dtype.c: conversion between element types, against the C compiler's own types and every 16-bit pattern.
 * SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>
#include <string.h>

#include "kernels/tensor.h"

#define N_PATTERNS 65536

/* Straight from the definition of a binary format with @n_mantissa bits and an exponent bias; NaN for NaN */
static double
value_of (guint16 h, int n_mantissa, int bias)
{
  int    exponent = (h & 0x7fff) >> n_mantissa;
  int    mantissa = h & ((1 << n_mantissa) - 1);
  int    highest  = 0x7fff >> n_mantissa;
  double v;

  if (exponent == highest)
    v = mantissa == 0 ? INFINITY : NAN;
  else if (exponent == 0)
    v = ldexp (mantissa, 1 - bias - n_mantissa);
  else
    v = ldexp (mantissa + (1 << n_mantissa), exponent - bias - n_mantissa);

  return h & 0x8000 ? -v : v;
}

static void
check_every_pattern (FbDtype dtype, int n_mantissa, int bias)
{
  g_autofree guint16 *patterns = g_new (guint16, N_PATTERNS);
  g_autofree guint16 *back     = g_new (guint16, N_PATTERNS);
  g_autofree float   *f        = g_new (float, N_PATTERNS);
  g_autofree double  *d        = g_new (double, N_PATTERNS);

  for (int i = 0; i < N_PATTERNS; i++)
    patterns[i] = i;

  fb_dtype_convert (f, FB_DTYPE_F32, patterns, dtype, N_PATTERNS);
  fb_dtype_convert (d, FB_DTYPE_F64, patterns, dtype, N_PATTERNS);
  for (int i = 0; i < N_PATTERNS; i++)
    {
      double v = value_of (i, n_mantissa, bias);

      if (isnan (v))
        g_assert_true (isnan (f[i]) && isnan (d[i]));
      else
        g_assert_true (f[i] == v && d[i] == v && !signbit (f[i]) == !signbit (v));
    }

  fb_dtype_convert (back, dtype, f, FB_DTYPE_F32, N_PATTERNS);
  for (int i = 0; i < N_PATTERNS; i++)
    if (!isnan (f[i]))
      g_assert_cmphex (back[i], ==, i);
    else
      g_assert_true (isnan (value_of (back[i], n_mantissa, bias)));

  fb_dtype_convert (back, dtype, d, FB_DTYPE_F64, N_PATTERNS);
  for (int i = 0; i < N_PATTERNS; i++)
    if (!isnan (d[i]))
      g_assert_cmphex (back[i], ==, i);
    else
      g_assert_true (isnan (value_of (back[i], n_mantissa, bias)));
}

static void
test_every_bf16 (void)
{
  check_every_pattern (FB_DTYPE_BF16, 7, 127);
}

static void
test_every_f16 (void)
{
  check_every_pattern (FB_DTYPE_F16, 10, 15);
}

/* Between two neighbouring patterns: the middle goes to the even one, anything to either side goes to the nearer one */
static void
check_rounding (FbDtype dtype, int n_mantissa, int bias)
{
  guint16 infinity = 0x7fff & ~((1 << n_mantissa) - 1);

  for (guint16 h = 0; h < infinity; h++)
    {
      double  low    = value_of (h, n_mantissa, bias);
      double  step   = low - value_of (MAX (h, 1) - 1, n_mantissa, bias);
      double  high   = h + 1 < infinity ? value_of (h + 1, n_mantissa, bias) : low + step;   /* where infinity would be */
      double  middle = 0.5 * (low + high);
      double  d[6]   = { middle, nextafter (middle, 0), nextafter (middle, INFINITY), -middle, -nextafter (middle, 0), -nextafter (middle, INFINITY) };
      guint16 even   = h & 1 ? h + 1 : h;
      guint16 expect[6] = { even, h, h + 1, 0x8000 | even, 0x8000 | h, 0x8000 | (h + 1) };
      guint16 got[6];
      float   f[6]   = { middle, nextafterf (middle, 0), nextafterf (middle, INFINITY), -middle, -nextafterf (middle, 0), -nextafterf (middle, INFINITY) };

      fb_dtype_convert (got, dtype, d, FB_DTYPE_F64, 6);
      for (int i = 0; i < 6; i++)
        g_assert_cmphex (got[i], ==, expect[i]);
      fb_dtype_convert (got, dtype, f, FB_DTYPE_F32, 6);
      for (int i = 0; i < 6; i++)
        g_assert_cmphex (got[i], ==, expect[i]);
    }
}

static void
test_bf16_rounds_to_nearest_even (void)
{
  check_rounding (FB_DTYPE_BF16, 7, 127);
}

static void
test_f16_rounds_to_nearest_even (void)
{
  check_rounding (FB_DTYPE_F16, 10, 15);
}

static void
test_special_values (void)
{
  const float values[]  = { INFINITY, -INFINITY, 1e9f, -1e9f, 3.4e38f, -0.0f };
  guint16     f16[6], bf16[6];
  guint32     odd_nan   = 0x7f800001;                            /* a NaN whose upper half alone would be infinity */
  float       nan;
  guint16     h;

  fb_dtype_convert (f16, FB_DTYPE_F16, values, FB_DTYPE_F32, 6);
  fb_dtype_convert (bf16, FB_DTYPE_BF16, values, FB_DTYPE_F32, 6);
  g_assert_cmphex (f16[0], ==, 0x7c00);
  g_assert_cmphex (f16[1], ==, 0xfc00);
  g_assert_cmphex (f16[2], ==, 0x7c00);
  g_assert_cmphex (f16[3], ==, 0xfc00);
  g_assert_cmphex (f16[5], ==, 0x8000);
  g_assert_cmphex (bf16[0], ==, 0x7f80);
  g_assert_cmphex (bf16[1], ==, 0xff80);
  g_assert_cmphex (bf16[4], ==, 0x7f80);
  g_assert_cmphex (bf16[5], ==, 0x8000);

  memcpy (&nan, &odd_nan, sizeof nan);
  fb_dtype_convert (&h, FB_DTYPE_BF16, &nan, FB_DTYPE_F32, 1);
  g_assert_true (isnan (value_of (h, 7, 127)));
}

static void
test_in_place (void)
{
  guint16 h[3]   = { 0x3c00, 0xc000, 0x0001 };                   /* 1, -2, 2^-24 as f16 */
  float   f[3];

  fb_dtype_convert (h, FB_DTYPE_BF16, h, FB_DTYPE_F16, 3);
  fb_dtype_convert (f, FB_DTYPE_F32, h, FB_DTYPE_BF16, 3);
  g_assert_true (f[0] == 1.0f && f[1] == -2.0f && f[2] == 0x1p-24f);
}

static void
test_sizes_and_names (void)
{
  g_assert_cmpuint (fb_dtype_size (FB_DTYPE_F32), ==, 4);
  g_assert_cmpuint (fb_dtype_size (FB_DTYPE_BF16), ==, 2);
  g_assert_cmpuint (fb_dtype_size (FB_DTYPE_F16), ==, 2);
  g_assert_cmpuint (fb_dtype_size (FB_DTYPE_F64), ==, 8);
  g_assert_cmpuint (fb_dtype_size (FB_DTYPE_I64), ==, 8);
  g_assert_cmpuint (fb_dtype_size (FB_DTYPE_U8), ==, 1);
  g_assert_cmpstr (fb_dtype_name (FB_DTYPE_BF16), ==, "bf16");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/dtype/every-bf16-pattern-converts-exactly-and-back", test_every_bf16);
  g_test_add_func ("/kernels/dtype/every-f16-pattern-converts-exactly-and-back", test_every_f16);
  g_test_add_func ("/kernels/dtype/bf16-rounds-to-nearest-even", test_bf16_rounds_to_nearest_even);
  g_test_add_func ("/kernels/dtype/f16-rounds-to-nearest-even", test_f16_rounds_to_nearest_even);
  g_test_add_func ("/kernels/dtype/infinity-overflow-nan-and-minus-zero-survive", test_special_values);
  g_test_add_func ("/kernels/dtype/equal-sizes-convert-in-place", test_in_place);
  g_test_add_func ("/kernels/dtype/sizes-and-names", test_sizes_and_names);
  return g_test_run ();
}
