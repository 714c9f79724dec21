/* core/distill/philox.c: Philox4x32-10 and what is drawn with it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/philox.h"

#include <math.h>

void
fb_philox4x32 (const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];

  for (int round = 0; round < 10; round++)
    {
      uint64_t p0 = (uint64_t) 0xD2511F53u * c0;
      uint64_t p1 = (uint64_t) 0xCD9E8D57u * c2;

      c0 = (uint32_t) (p1 >> 32) ^ c1 ^ k0;
      c1 = (uint32_t) p1;
      c2 = (uint32_t) (p0 >> 32) ^ c3 ^ k1;
      c3 = (uint32_t) p0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

static void
block (const FbDraw *draw, FbDrawPurpose purpose, uint32_t index, uint32_t out[4])
{
  const uint32_t key[2]     = { (uint32_t) draw->seed, (uint32_t) (draw->seed >> 32) };
  const uint32_t counter[4] = { index, (uint32_t) purpose, draw->sample, draw->step };

  fb_philox4x32 (counter, key, out);
}

/* the upper 53 of 64 bits */
static double
uniform (uint32_t high, uint32_t low)
{
  return (double) ((((uint64_t) high << 32) | low) >> 11) * 0x1p-53;
}

double
fb_draw_uniform (const FbDraw *draw, FbDrawPurpose purpose)
{
  uint32_t bits[4];

  block (draw, purpose, 0, bits);
  return uniform (bits[0], bits[1]);
}

void
fb_draw_uniforms (const FbDraw *draw, FbDrawPurpose purpose, double *out, size_t n)
{
  uint32_t bits[4];

  for (size_t i = 0; i < n; i++)
    {
      if (i % 2 == 0)
        block (draw, purpose, (uint32_t) (i / 2), bits);
      out[i] = uniform (bits[2 * (i % 2)], bits[2 * (i % 2) + 1]);
    }
}

guint
fb_draw_index (const FbDraw *draw, FbDrawPurpose purpose, guint n)
{
  return (guint) (fb_draw_uniform (draw, purpose) * n);
}

void
fb_draw_normal (const FbDraw *draw, FbDrawPurpose purpose, float *out, size_t n)
{
  uint32_t bits[4];

  for (size_t i = 0; i < n; i += 4)
    {
      block (draw, purpose, (uint32_t) (i / 4), bits);
      for (int pair = 0; pair < 2; pair++)
        {
          double radius = sqrt (-2.0 * log ((bits[2 * pair] + 0.5) * 0x1p-32));
          double angle  = 2.0 * G_PI * (bits[2 * pair + 1] * 0x1p-32);

          if (i + 2 * pair < n)
            out[i + 2 * pair] = (float) (radius * cos (angle));
          if (i + 2 * pair + 1 < n)
            out[i + 2 * pair + 1] = (float) (radius * sin (angle));
        }
    }
}

void
fb_draw_order (const FbDraw *draw, FbDrawPurpose purpose, guint *order, guint n)
{
  for (guint i = 0; i < n; i++)
    order[i] = i;
  for (guint i = n; i > 1; i--)
    {
      uint32_t bits[4];
      guint    j, other;

      block (draw, purpose, i, bits);
      j = (guint) (uniform (bits[0], bits[1]) * i);
      other = order[j];
      order[j] = order[i - 1];
      order[i - 1] = other;
    }
}
