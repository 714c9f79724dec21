/* kernels/cpu/vector.h: loops compiled for several instruction sets, and the mathematics inside them. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A loop is written once, as `name_body`, with `#pragma omp simd`; FB_VECTOR_VARIANTS compiles it three times and makes `name`, which picks
 * at run time. The choice follows oneDNN's, so that ONEDNN_MAX_CPU_ISA limits our loops too and tests reach all of them. */
#pragma once

#include <math.h>
#include <string.h>

#include "kernels/activation.h"
#include "kernels/tensor.h"

#define FB_INLINE static inline __attribute__ ((always_inline))

typedef enum { FB_VECTOR_BASE, FB_VECTOR_AVX2, FB_VECTOR_AVX512 } FbVectorLevel;

FbVectorLevel fb_vector_level (void);

#ifdef __x86_64__
#define FB_VECTOR_VARIANTS(name, PARAMETERS, ARGUMENTS)                                                                                  \
  __attribute__ ((target ("arch=x86-64-v4,prefer-vector-width=512"))) static void name##_avx512 PARAMETERS { name##_body ARGUMENTS; }    \
  __attribute__ ((target ("arch=x86-64-v3"))) static void name##_avx2 PARAMETERS { name##_body ARGUMENTS; }                              \
  static void name##_base PARAMETERS { name##_body ARGUMENTS; }                                                                          \
                                                                                                                                         \
  static void                                                                                                                            \
  name PARAMETERS                                                                                                                        \
  {                                                                                                                                      \
    switch (fb_vector_level ())                                                                                                          \
      {                                                                                                                                  \
      case FB_VECTOR_AVX512: name##_avx512 ARGUMENTS; break;                                                                             \
      case FB_VECTOR_AVX2:   name##_avx2 ARGUMENTS;   break;                                                                             \
      case FB_VECTOR_BASE:   name##_base ARGUMENTS;   break;                                                                             \
      }                                                                                                                                  \
  }
#else
#define FB_VECTOR_VARIANTS(name, PARAMETERS, ARGUMENTS) static void name PARAMETERS { name##_body ARGUMENTS; }
#endif

FB_INLINE float
fb_float_of_bits (guint32 u)
{
  float f;
  memcpy (&f, &u, sizeof f);
  return f;
}

FB_INLINE guint32
fb_bits_of_float (float f)
{
  guint32 u;
  memcpy (&u, &f, sizeof u);
  return u;
}

FB_INLINE float
fb_load_bf16 (guint16 h)
{
  return fb_float_of_bits ((guint32) h << 16);
}

FB_INLINE guint16
fb_round_bf16 (float f)
{
  guint32 u = fb_bits_of_float (f);

  return (u & 0x7fffffff) > 0x7f800000 ? (u >> 16) | 0x40 : (u + 0x7fff + ((u >> 16) & 1)) >> 16;
}

/* eˣ within 2 ulp; 0 below −87, infinity above 88.7, NaN for NaN. 2ⁿ · e^r with |r| ≤ ln 2 / 2, and a Taylor series for e^r. */
FB_INLINE float
fb_exp (float x)
{
  float   clamped = x < -87.0f ? -87.0f : x > 88.72f ? 88.72f : x;         /* in this order NaN passes */
  float   shifted = clamped * 1.44269504f + 12582912.0f;                    /* 1.5 · 2^23: the sum's low bits are n */
  float   n       = shifted - 12582912.0f;
  float   r       = clamped - n * 0.693359375f + n * 2.12194440e-4f;        /* ln 2 in two parts, the first exact in n · ln2 */
  float   e       = 1.0f + r * (1.0f + r * (0.5f + r * (1.66666667e-1f + r * (4.16666667e-2f + r * (8.33333333e-3f + r * 1.38888889e-3f)))));
  guint32 half    = (fb_bits_of_float (shifted) - 0x4b400000 + 127) << 23;  /* 2ⁿ; n ≤ 128 overflows to infinity's pattern … */
  float   y       = e * fb_float_of_bits (half - (1 << 23)) * 2.0f;         /* … so multiply in two steps */

  return x < -87.0f ? 0.0f : x > 88.72f ? INFINITY : y;
}

/* 2ˣ for x ≤ 0 within 2 ulp; at least 2^−126, NaN for NaN. 2ⁿ · 2^f with |f| ≤ ½, and the polynomial through the Chebyshev nodes for 2^f. */
FB_INLINE float
fb_exp2_negative (float x)
{
  float clamped = x < -126.0f ? -126.0f : x;                                /* in this order NaN passes */
  float shifted = clamped + 12582912.0f;                                    /* 1.5 · 2^23: the sum's low bits are n */
  float f       = clamped - (shifted - 12582912.0f);
  float e       = 1.000000075e+00f + f * (6.931471880e-01f + f * (2.402210749e-01f + f * (5.550357114e-02f + f * (9.676031918e-03f + f * (1.339086336e-03f)))));

  return e * fb_float_of_bits ((fb_bits_of_float (shifted) + 127) << 23);
}

FB_INLINE float
fb_sigmoid (float x)
{
  return 1.0f / (1.0f + fb_exp (-x));
}

/* Φ(x), the normal distribution function, absolute error 1e-7: Abramowitz & Stegun 7.1.26 for erfc */
FB_INLINE float
fb_normal_cdf (float x)
{
  float z    = fabsf (x) * 0.707106781f;
  float t    = 1.0f / (1.0f + 0.3275911f * z);
  float poly = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  float tail = 0.5f * poly * fb_exp (-z * z);

  return x < 0.0f ? tail : 1.0f - tail;
}

FB_INLINE float
fb_tanh (float x)
{
  float z      = fabsf (x);
  float z2     = z * z;
  float small  = z * (1.0f + z2 * (-0.333333333f + z2 * (0.133333333f + z2 * (-0.0539682540f + z2 * 0.0218694885f))));   /* Taylor, z < 0.3 */
  float large  = 1.0f - 2.0f / (1.0f + fb_exp (2.0f * z));
  float y      = z < 0.3f ? small : large;

  return x < 0.0f ? -y : y;
}

/* @act in place over @n floats */
FB_INLINE void
fb_activate_row (float *v, int n, FbActivation act)
{
  switch (act)
    {
    case FB_ACT_NONE:
      break;
    case FB_ACT_SILU:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = v[i] * fb_sigmoid (v[i]);
      break;
    case FB_ACT_GELU:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = v[i] * fb_normal_cdf (v[i]);
      break;
    case FB_ACT_QUICK_GELU:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = v[i] * fb_sigmoid (1.702f * v[i]);
      break;
    case FB_ACT_RELU:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = v[i] < 0.0f ? 0.0f : v[i];
      break;
    case FB_ACT_TANH:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = fb_tanh (v[i]);
      break;
    case FB_ACT_CLAMP:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = v[i] < -1.0f ? -1.0f : v[i] > 1.0f ? 1.0f : v[i];
      break;
    }
}

/* σ + f · x · σ · (1 − σ) with σ = σ (f · x): the slope of x · σ (f · x) */
FB_INLINE float
fb_sigmoid_gate_slope (float x, float f)
{
  float s = fb_sigmoid (f * x);

  return s + f * x * s * (1.0f - s);
}

/* The slope of @act in place over @n floats */
FB_INLINE void
fb_slope_row (float *v, int n, FbActivation act)
{
  switch (act)
    {
    case FB_ACT_NONE:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = 1.0f;
      break;
    case FB_ACT_SILU:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = fb_sigmoid_gate_slope (v[i], 1.0f);
      break;
    case FB_ACT_GELU:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = fb_normal_cdf (v[i]) + v[i] * 0.398942280f * fb_exp (-0.5f * v[i] * v[i]);
      break;
    case FB_ACT_QUICK_GELU:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = fb_sigmoid_gate_slope (v[i], 1.702f);
      break;
    case FB_ACT_RELU:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = v[i] <= 0.0f ? 0.0f : 1.0f;
      break;
    case FB_ACT_TANH:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = 1.0f - fb_tanh (v[i]) * fb_tanh (v[i]);
      break;
    case FB_ACT_CLAMP:
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = v[i] < -1.0f ? 0.0f : v[i] > 1.0f ? 0.0f : 1.0f;
      break;
    }
}

/* @n elements of @dtype (F32 or BF16) at element @first, to and from floats */
FB_INLINE void
fb_load_row (float *v, const void *x, size_t first, int n, FbDtype dtype)
{
  const float   *f = (const float *) x + first;
  const guint16 *h = (const guint16 *) x + first;

  if (dtype == FB_DTYPE_F32)
    {
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = f[i];
    }
  else
    {
#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = fb_load_bf16 (h[i]);
    }
}

FB_INLINE void
fb_store_row (void *x, size_t first, const float *v, int n, FbDtype dtype)
{
  float   *f = (float *) x + first;
  guint16 *h = (guint16 *) x + first;

  if (dtype == FB_DTYPE_F32)
    {
#pragma omp simd
      for (int i = 0; i < n; i++)
        f[i] = v[i];
    }
  else
    {
#pragma omp simd
      for (int i = 0; i < n; i++)
        h[i] = fb_round_bf16 (v[i]);
    }
}
