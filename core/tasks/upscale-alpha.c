/* core/tasks/upscale-alpha.c: transparency, which no network sees. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/upscale-private.h"

#include <math.h>
#include <string.h>

/* --- colours under what is transparent ------------------------------------------------------------------------------------ */

/* (transfer full) (nullable): half the size: means of the colours that are known; alpha 1 where one is */
static FbImage *
pull (const FbImage *image)
{
  FbImage *half = fb_image_new ((image->width + 1) / 2, (image->height + 1) / 2, 4);

  for (int i = 0; half != NULL && i < half->width * half->height; i++)
    {
      const int x0 = i % half->width * 2, y0 = i / half->width * 2;
      float     sum[4] = { 0.0f };

      for (int y = y0; y < MIN (y0 + 2, image->height); y++)
        for (int x = x0; x < MIN (x0 + 2, image->width); x++)
          {
            const float *pixel = image->pixels + 4 * ((size_t) y * image->width + x);

            for (int c = 0; c < 4 && pixel[3] > 0.0f; c++)
              sum[c] += c < 3 ? pixel[c] : 1.0f;
          }
      for (int c = 0; c < 4; c++)
        half->pixels[4 * (size_t) i + c] = sum[3] > 0.0f ? sum[c] / sum[3] : 0.0f;
    }

  return half;
}

/* Gives @image's unknown pixels, of alpha 0, the colours of the nearest size at which something is known there. FALSE when memory runs out */
static gboolean
fill_unknown (FbImage *image)
{
  const size_t       n    = (size_t) image->width * image->height;
  g_autoptr(FbImage) half = NULL, smooth = NULL;
  gboolean           full = TRUE;

  for (size_t i = 0; i < n && full; i++)
    full = image->pixels[4 * i + 3] > 0.0f;
  if (full || n == 1)
    return TRUE;

  half = pull (image);
  if (half == NULL || !fill_unknown (half) || (smooth = fb_image_resize (half, image->width, image->height)) == NULL)
    return FALSE;
  for (size_t i = 0; i < n; i++)
    if (!(image->pixels[4 * i + 3] > 0.0f))
      memcpy (image->pixels + 4 * i, smooth->pixels + 4 * i, 3 * sizeof (float));

  return TRUE;
}

FbImage *
fb_upscale_colours (const FbImage *image)
{
  const int           C     = image->n_channels;
  const size_t        n     = (size_t) image->width * image->height;
  FbImage            *out   = fb_image_new (image->width, image->height, 3);
  g_autoptr(FbImage)  known = C == 4 ? fb_image_new (image->width, image->height, 4) : NULL;

  if (out == NULL || (C == 4 && known == NULL))
    {
      g_clear_pointer (&out, fb_image_unref);
      return NULL;
    }
  if (C == 4)
    {
      memcpy (known->pixels, image->pixels, fb_image_n_bytes (image));
      if (!fill_unknown (known))
        {
          fb_image_unref (out);
          return NULL;
        }
      image = known;
    }
  for (size_t i = 0; i < n; i++)
    for (int c = 0; c < 3; c++)
      {
        const float value = image->pixels[C * i + c];

        out->pixels[3 * i + c] = isfinite (value) ? value : 0.0f;          /* one that is not would spread over all the picture */
      }

  return out;
}

/* --- alpha ---------------------------------------------------------------------------------------------------------------- */

static float
alpha_of (const FbImage *image, size_t i)
{
  const float alpha = image->pixels[4 * i + 3];

  return alpha > 0.0f ? MIN (alpha, 1.0f) : 0.0f;                          /* not a number is 0 */
}

static float
alpha_at (const FbImage *image, int x, int y)
{
  return alpha_of (image, (size_t) y * image->width + x);
}

/* @alpha, which the filter may have taken beyond what lies around (@x, @y), a place between @image's pixels: a hard edge would get a rim of its own */
static float
limited (const FbImage *image, float alpha, double x, double y)
{
  const int x0 = CLAMP ((int) floor (x), 0, image->width - 1), y0 = CLAMP ((int) floor (y), 0, image->height - 1);
  const int x1 = CLAMP ((int) floor (x) + 1, 0, image->width - 1), y1 = CLAMP ((int) floor (y) + 1, 0, image->height - 1);
  const float a = alpha_at (image, x0, y0), b = alpha_at (image, x1, y0), c = alpha_at (image, x0, y1), d = alpha_at (image, x1, y1);

  return CLAMP (alpha, MIN (MIN (a, b), MIN (c, d)), MAX (MAX (a, b), MAX (c, d)));
}

FbImage *
fb_upscale_add_alpha (const FbImage *colours, const FbImage *image, GCancellable *cancellable, GError **error)
{
  const int           width = colours->width, height = colours->height;
  g_autoptr(FbImage)  mask  = fb_image_new (image->width, image->height, 1);
  g_autoptr(FbImage)  alpha = NULL;
  FbImage            *out   = fb_image_new (width, height, 4);

  for (size_t i = 0; mask != NULL && i < (size_t) image->width * image->height; i++)
    mask->pixels[i] = alpha_of (image, i);
  alpha = mask != NULL && out != NULL ? fb_upscale_resize (mask, width, height, cancellable, error) : NULL;
  if (alpha == NULL)
    {
      if (mask == NULL || out == NULL)
        fb_task_no_memory (width, height, error);
      g_clear_pointer (&out, fb_image_unref);
      return NULL;
    }

#pragma omp parallel for schedule(static)
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      {
        const size_t i  = (size_t) y * width + x;
        const double fx = (x + 0.5) * image->width / width - 0.5, fy = (y + 0.5) * image->height / height - 0.5;

        memcpy (out->pixels + 4 * i, colours->pixels + 3 * i, 3 * sizeof (float));
        out->pixels[4 * i + 3] = limited (image, alpha->pixels[i], fx, fy);
      }

  return out;
}
