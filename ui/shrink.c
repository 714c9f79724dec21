/* ui/shrink.c: a picture in fewer pixels, for the screen. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/shrink.h"

#include <string.h>

/* @n pixels of four channels, the fourth of them alpha, to @sums: a pixel at a time */
static void
add_up_alpha (const float *pixels, int n, double *sums)
{
  typedef float Pixel __attribute__ ((vector_size (16)));

  Pixel sum = { 0.0f };

  for (int i = 0; i < n; i++, pixels += 4)
    {
      Pixel p;

      memcpy (&p, pixels, sizeof p);
      sum += p * (Pixel) { p[3], p[3], p[3], 1.0f };
    }
  for (int c = 0; c < 4; c++)
    sums[c] += sum[c];
}

/* the same of any number of channels */
static void
add_up (const float *pixels, int n, int C, double *sums)
{
  if (C == 4)
    {
      add_up_alpha (pixels, n, sums);
      return;
    }
  for (int i = 0; i < n; i++, pixels += C)
    {
      for (int c = 0; c < MIN (C, 3); c++)
        sums[c] += pixels[c];
      sums[3] += 1.0;
    }
}

static void
mean_row (const FbImage *image, int factor, int y, FbImage *small)
{
  const int C      = image->n_channels;
  const int top    = y * factor, bottom = MIN (top + factor, image->height);
  float    *out    = small->pixels + (size_t) y * small->width * C;

  for (int x = 0; x < small->width; x++, out += C)
    {
      const int left    = x * factor, right = MIN (left + factor, image->width);
      double    sums[4] = { 0.0 };

      for (int row = top; row < bottom; row++)
        add_up (image->pixels + ((size_t) row * image->width + left) * C, right - left, C, sums);
      for (int c = 0; c < MIN (C, 3); c++)
        out[c] = sums[3] > 0.0 ? (float) (sums[c] / sums[3]) : 0.0f;
      if (C == 4)
        out[3] = (float) (sums[3] / ((right - left) * (bottom - top)));
    }
}

FbImage *
fb_image_shrunk (FbImage *image, int factor)
{
  FbImage *small = factor > 1 ? fb_image_new ((image->width + factor - 1) / factor, (image->height + factor - 1) / factor, image->n_channels) : NULL;

  if (small == NULL)
    return fb_image_ref (image);
#pragma omp parallel for schedule(static)
  for (int y = 0; y < small->height; y++)
    mean_row (image, factor, y, small);

  return small;
}
