/* kernels/dtype.c: element types and conversion between them. SPDX-License-Identifier: LGPL-3.0-or-later
 * f16 is IEEE 754 binary16; bf16 is the upper half of an f32. Branch-free per element, so that the compiler vectorises the loops. */

#include <math.h>
#include <string.h>

#include "kernels/device-private.h"

static const struct { const char *name; size_t size; } dtypes[] =
{
  [FB_DTYPE_F32]  = { "f32",  4 },
  [FB_DTYPE_BF16] = { "bf16", 2 },
  [FB_DTYPE_F16]  = { "f16",  2 },
  [FB_DTYPE_F64]  = { "f64",  8 },
  [FB_DTYPE_I32]  = { "i32",  4 },
  [FB_DTYPE_I64]  = { "i64",  8 },
  [FB_DTYPE_U8]   = { "u8",   1 },
};

size_t
fb_dtype_size (FbDtype dtype)
{
  g_assert ((guint) dtype < G_N_ELEMENTS (dtypes));

  return dtypes[dtype].size;
}

const char *
fb_dtype_name (FbDtype dtype)
{
  g_assert ((guint) dtype < G_N_ELEMENTS (dtypes));

  return dtypes[dtype].name;
}

static inline guint32
bits_of_f32 (float f)
{
  guint32 u;
  memcpy (&u, &f, sizeof u);
  return u;
}

static inline float
f32_of_bits (guint32 u)
{
  float f;
  memcpy (&f, &u, sizeof f);
  return f;
}

static inline float
f32_of_bf16 (guint16 h)
{
  return f32_of_bits ((guint32) h << 16);
}

static inline guint16
bf16_of_f32 (float f)
{
  guint32 u       = bits_of_f32 (f);
  guint32 rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
  guint32 nan     = (u >> 16) | 0x40;                           /* quiet, so that dropping low bits cannot make it infinite */

  return (u & 0x7fffffff) > 0x7f800000 ? nan : rounded;
}

static inline float
f32_of_f16 (guint16 h)
{
  guint32 sign      = (guint32) (h & 0x8000) << 16;
  guint32 magnitude = (guint32) (h & 0x7fff) << 13;
  guint32 normal    = magnitude + ((127 - 15) << 23);
  guint32 special   = magnitude | 0x7f800000;
  guint32 subnormal = bits_of_f32 (f32_of_bits (magnitude + ((127 - 14) << 23)) - 0x1p-14f);
  guint32 u         = magnitude < 0x00800000 ? subnormal : magnitude >= 0x0f800000 ? special : normal;

  return f32_of_bits (sign | u);
}

static inline guint16
f16_of_f32 (float f)
{
  guint32 u         = bits_of_f32 (f);
  guint32 sign      = (u >> 16) & 0x8000;
  guint32 magnitude = u & 0x7fffffff;
  guint32 normal    = (magnitude - ((127 - 15) << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  guint32 subnormal = bits_of_f32 (f32_of_bits (magnitude) + 0.5f) - 0x3f000000;   /* the adder rounds at 2^-24 */
  guint32 special   = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
  guint32 h         = magnitude < 0x38800000 ? subnormal : magnitude >= 0x47800000 ? special : normal;

  return sign | h;
}

/* f64 to f32 so that a second rounding to 16 bits gives what one rounding would: an inexact result gets an odd last bit. */
static inline float
f32_of_f64_odd (double d)
{
  float   f = (float) d;
  guint32 u = bits_of_f32 (f);

  if ((double) f == d || isnan (d))
    return f;
  if (fabs ((double) f) > fabs (d))
    u -= 1;
  return f32_of_bits (u | 1);
}


/* One loop per pair of types; x86-64-v3 and -v4 clones are chosen when the program starts */
#define CONVERT(name, To, From, expression)                                       \
  __attribute__ ((target_clones ("default", "arch=x86-64-v3", "arch=x86-64-v4"))) \
  static void                                                                     \
  name (void *dst, const void *src, size_t n)                                     \
  {                                                                               \
    To         *out = dst;                                                        \
    const From *x   = src;                                                        \
                                                                                  \
    for (size_t i = 0; i < n; i++)                                                \
      out[i] = expression;                                                        \
  }

CONVERT (f32_to_bf16,  guint16, float,   bf16_of_f32 (x[i]))
CONVERT (f32_to_f16,   guint16, float,   f16_of_f32 (x[i]))
CONVERT (f32_to_f64,   double,  float,   x[i])
CONVERT (bf16_to_f32,  float,   guint16, f32_of_bf16 (x[i]))
CONVERT (bf16_to_f16,  guint16, guint16, f16_of_f32 (f32_of_bf16 (x[i])))
CONVERT (bf16_to_f64,  double,  guint16, f32_of_bf16 (x[i]))
CONVERT (f16_to_f32,   float,   guint16, f32_of_f16 (x[i]))
CONVERT (f16_to_bf16,  guint16, guint16, bf16_of_f32 (f32_of_f16 (x[i])))
CONVERT (f16_to_f64,   double,  guint16, f32_of_f16 (x[i]))
CONVERT (f64_to_f32,   float,   double,  (float) x[i])
CONVERT (f64_to_bf16,  guint16, double,  bf16_of_f32 (f32_of_f64_odd (x[i])))
CONVERT (f64_to_f16,   guint16, double,  f16_of_f32 (f32_of_f64_odd (x[i])))

void
fb_dtype_convert (void *dst, FbDtype dst_dtype, const void *src, FbDtype src_dtype, size_t n)
{
  typedef void (* Convert) (void *dst, const void *src, size_t n);
  static const Convert convert[FB_DTYPE_F64 + 1][FB_DTYPE_F64 + 1] =
  {
    [FB_DTYPE_F32]  = { [FB_DTYPE_BF16] = f32_to_bf16, [FB_DTYPE_F16]  = f32_to_f16,  [FB_DTYPE_F64] = f32_to_f64 },
    [FB_DTYPE_BF16] = { [FB_DTYPE_F32]  = bf16_to_f32, [FB_DTYPE_F16]  = bf16_to_f16, [FB_DTYPE_F64] = bf16_to_f64 },
    [FB_DTYPE_F16]  = { [FB_DTYPE_F32]  = f16_to_f32,  [FB_DTYPE_BF16] = f16_to_bf16, [FB_DTYPE_F64] = f16_to_f64 },
    [FB_DTYPE_F64]  = { [FB_DTYPE_F32]  = f64_to_f32,  [FB_DTYPE_BF16] = f64_to_bf16, [FB_DTYPE_F16] = f64_to_f16 },
  };

  g_assert (dst_dtype <= FB_DTYPE_F64 && src_dtype <= FB_DTYPE_F64);

  if (dst_dtype == src_dtype)
    {
      if (dst != src && n > 0)
        memcpy (dst, src, n * fb_dtype_size (dst_dtype));
    }
  else
    {
      convert[src_dtype][dst_dtype] (dst, src, n);
    }
}
