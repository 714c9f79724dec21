/* core/image/curve.h: the curve of sRGB, there and back. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Powers of 2.4 and 1/2.4 from roots, which are two of Halley's steps from a guess that divides the exponent's bits: unlike powf(), a loop over these
 * functions is done several values at a time. Relative error below 1e-6.
 */
#pragma once

#include <math.h>

#include <glib.h>

/* @v's exponent divided by @root, one for which @bias is (1 − 1 / root) of the bits of 1: 4 to 7 % off */
static inline float
fb_root_guess (float v, int root, gint32 bias)
{
  union { float f; gint32 i; } bits = { .f = v };

  bits.i = bits.i / root + bias;
  return bits.f;
}

/* @v > 0 */
static inline float
fb_cube_root (float v)
{
  float y = fb_root_guess (v, 3, 0x3f800000 / 3 * 2);

  float z = y * y * y;

  y *= (z + 2.0f * v) / (2.0f * z + v);         /* not a loop, which would keep the caller's from vectors */
  z  = y * y * y;

  return y * (z + 2.0f * v) / (2.0f * z + v);
}

/* @v > 0 */
static inline float
fb_fifth_root (float v)
{
  float y = fb_root_guess (v, 5, 0x3f800000 / 5 * 4);

  float z = y * y * y * y * y;

  y *= (2.0f * z + 3.0f * v) / (3.0f * z + 2.0f * v);
  z  = y * y * y * y * y;

  return y * (2.0f * z + 3.0f * v) / (3.0f * z + 2.0f * v);
}

static inline float
fb_to_linear (float v)
{
  float t = (MAX (v, 0.0f) + 0.055f) / 1.055f;
  float r = fb_fifth_root (t);

  return v <= 0.04045f ? v / 12.92f : t * t * r * r;
}

static inline float
fb_from_linear (float v)
{
  float c = fb_cube_root (MAX (v, 0.0031308f));

  return v <= 0.0031308f ? v * 12.92f : 1.055f * c * sqrtf (sqrtf (c)) - 0.055f;
}
