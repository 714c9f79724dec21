/* core/samplers/torch-random.c: the numbers PyTorch's CPU generator draws. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * MT19937 is Matsumoto and Nishimura's (1998). Logarithm, sine and cosine of the long draws are the single-precision
 * approximations of the Cephes library, in the order of operations of PyTorch's AVX2 code with its fused multiply-adds:
 * a seed gives the picture that other programs give only if these agree, and libm's differ in one number of six.
 */
#include "core/samplers/torch-random.h"

#include <math.h>
#include <string.h>

#define MT_N 624
#define MT_M 397

void
fb_torch_random_init (FbTorchRandom *self, uint64_t seed)
{
  self->state[0] = (uint32_t) seed;
  for (uint32_t i = 1; i < MT_N; i++)
    self->state[i] = 1812433253u * (self->state[i - 1] ^ (self->state[i - 1] >> 30)) + i;
  self->next      = MT_N;
  self->spare     = 0.0;
  self->has_spare = FALSE;
}

static void
refill (FbTorchRandom *self)
{
  uint32_t *s = self->state;

  for (int i = 0; i < MT_N; i++)
    {
      uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % MT_N] & 0x7fffffffu);
      s[i] = s[(i + MT_M) % MT_N] ^ (y >> 1) ^ ((y & 1) ? 0x9908b0dfu : 0);
    }
  self->next = 0;
}

static uint32_t
draw32 (FbTorchRandom *self)
{
  uint32_t y;

  if (self->next == MT_N)
    refill (self);
  y  = self->state[self->next++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

/* [0, 1), a multiple of 2⁻²⁴ */
static float
draw_float (FbTorchRandom *self)
{
  return (float) (draw32 (self) & 0xffffffu) * 0x1p-24f;
}

/* [0, 1), a multiple of 2⁻⁵³; the first word is the upper half */
static double
draw_double (FbTorchRandom *self)
{
  uint64_t upper = draw32 (self);
  uint64_t both  = (upper << 32) | draw32 (self);

  return (double) (both & ((UINT64_C (1) << 53) - 1)) * 0x1p-53;
}

/* ln x for normal x > 0 */
static float
cephes_log (float x)
{
  static const float p[] =
  {
    7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
    -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f,
  };
  int   exponent;
  float e, z, y;

  x = frexpf (x, &exponent);                                  /* [0.5, 1) */
  e = (float) exponent;
  if (x < 0.707106781186547524f)
    {
      e -= 1.0f;
      x  = (x - 1.0f) + x;
    }
  else
    x -= 1.0f;

  z = x * x;
  y = p[0];
  for (size_t i = 1; i < G_N_ELEMENTS (p); i++)
    y = fmaf (y, x, p[i]);
  y = fmaf (y * x, z, e * -2.12194440e-4f);
  y = fmaf (-z, 0.5f, y);
  return fmaf (e, 0.693359375f, x + y);                       /* ln 2 in two parts */
}

/* sine and cosine of x in [0, 2π] */
static void
cephes_sincos (float x, float *sine, float *cosine)
{
  int   octant = ((int) (x * 1.27323954473516f) + 1) & ~1;    /* 4/π; the nearest multiple of π/2 is octant · π/4 */
  int   quarter = (octant >> 1) & 3;
  float y = (float) octant, z, c, s;

  x = fmaf (y, -0.78515625f, x);                              /* π/4 in three parts */
  x = fmaf (y, -2.4187564849853515625e-4f, x);
  x = fmaf (y, -3.77489497744594108e-8f, x);
  z = x * x;

  c = fmaf (2.443315711809948e-5f, z, -1.388731625493765e-3f);
  c = fmaf (c, z, 4.166664568298827e-2f);
  c = fmaf (c * z, z, -(z * 0.5f)) + 1.0f;
  s = fmaf (-1.9515295891e-4f, z, 8.3321608736e-3f);
  s = fmaf (s, z, -1.6666654611e-1f);
  s = fmaf (s * z, x, x);

  *sine   = (quarter & 1) ? c : s;
  *cosine = (quarter & 1) ? s : c;
  if (quarter >= 2)
    *sine = -*sine;
  if (quarter == 1 || quarter == 2)
    *cosine = -*cosine;
}

/* 16 uniform numbers become normal ones: 8 radii, then 8 angles */
static void
box_muller_16 (float *x)
{
  for (int i = 0; i < 8; i++)
    {
      float radius = sqrtf (-2.0f * cephes_log (1.0f - x[i]));   /* (0, 1]: the logarithm is finite */
      float sine, cosine;

      cephes_sincos ((float) (2.0 * G_PI) * x[i + 8], &sine, &cosine);
      x[i]     = radius * cosine;
      x[i + 8] = radius * sine;
    }
}

static void
normal_long (FbTorchRandom *self, float *out, size_t n)
{
  for (size_t i = 0; i < n; i++)
    out[i] = draw_float (self);
  for (size_t i = 0; i + 16 <= n; i += 16)
    box_muller_16 (out + i);

  if (n % 16 != 0)                                            /* the last 16 are drawn anew, over some that are done */
    {
      for (size_t i = n - 16; i < n; i++)
        out[i] = draw_float (self);
      box_muller_16 (out + n - 16);
    }
}

static double
normal_one (FbTorchRandom *self)
{
  double angle, radius;

  if (self->has_spare)
    {
      self->has_spare = FALSE;
      return self->spare;
    }

  angle  = 2.0 * G_PI * draw_double (self);
  radius = sqrt (-2.0 * log1p (-draw_double (self)));
  self->spare     = radius * sin (angle);
  self->has_spare = TRUE;
  return radius * cos (angle);
}

void
fb_torch_random_normal (FbTorchRandom *self, float *out, size_t n)
{
  if (n >= 16)
    normal_long (self, out, n);
  else
    for (size_t i = 0; i < n; i++)
      out[i] = (float) normal_one (self);
}

void
fb_latents_noise (FbTorchRandom *self, float *out, int channels, int height, int width)
{
  size_t            hw    = (size_t) height * width;
  g_autofree float *planes = g_new (float, hw * channels);

  fb_torch_random_normal (self, planes, hw * channels);
  for (size_t i = 0; i < hw; i++)
    for (int c = 0; c < channels; c++)
      out[i * channels + c] = planes[c * hw + i];
}
