/* tests/core/inpaint-random.h: the pictures and masks of tests/golden/inpaint-steps/make.py. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/tasks/inpaint-private.h"

#include <string.h>

static guint32 state;              /* a test begins with its own */

static inline int
below (int n)
{
  state = state * 1664525u + 1013904223u;
  return (int) ((state >> 8) % (guint32) n);
}

static inline FbImage *
random_picture (int width, int height, float factor)
{
  FbImage *image = fb_image_new (width, height, 3);

  for (int i = 0; i < width * height * 3; i++)
    image->pixels[i] = below (256) / 255.0f * factor;
  return image;
}

static inline FbImage *
random_mask (int width, int height, gboolean grey)
{
  FbImage *mask = fb_image_new (width, height, 1);

  memset (mask->pixels, 0, fb_image_n_bytes (mask));
  for (int k = 1 + below (3); k > 0; k--)
    {
      const int   w = 1 + below (width / 2), h = 1 + below (height / 2);
      const int   left = below (width - w + 1), top = below (height - h + 1);
      const float value = grey ? (1 + below (4)) / 4.0f : 1.0f;

      for (int y = top; y < top + h; y++)
        for (int x = left; x < left + w; x++)
          mask->pixels[y * width + x] = MAX (mask->pixels[y * width + x], value);
    }
  return mask;
}

/* @n squares of 10 × 10, @stride apart */
static inline FbImage *
dots (int width, int height, int n, int stride)
{
  FbImage *mask = fb_image_new (width, height, 1);

  memset (mask->pixels, 0, fb_image_n_bytes (mask));
  for (int k = 0; k < n; k++)
    for (int y = 0; y < 10; y++)
      for (int x = 0; x < 10; x++)
        mask->pixels[(size_t) (20 + y) * width + 20 + k * stride + x] = 1.0f;
  return mask;
}
