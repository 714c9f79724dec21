/* core/tasks/upscale-resize.c: pictures enlarged, and brought back to what they were made of. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/upscale-private.h"

#include <string.h>

#define BAND          (1 << 19)     /* pixels at once: some milliseconds */
#define N_PASSES      4             /* of a picture with all that one can hold, 5 % of what it lacked is then left: tests/core/test-upscale-keep.c */
#define TONES_REACH   4             /* pixels of the given picture per side of what counts as a larger area: a quarter of its noise is left */

/* What is done with some rows of an enlarged picture, @y … */
typedef void (* Take) (const FbImage *rows, int y, gpointer user_data);

/* Calls @take with all rows of what fb_image_resize() would give. */
static gboolean
resize_in_bands (const FbImage *image, int width, int height, Take take, gpointer user_data, GCancellable *cancellable, GError **error)
{
  const int step = CLAMP (BAND / width, 1, height);

  for (int y = 0; y < height; y += step)
    {
      g_autoptr(FbImage) rows = NULL;

      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;
      rows = fb_image_resize_part (image, width, height, 0, y, width, MIN (step, height - y));
      if (rows == NULL)
        return fb_task_no_memory (width, height, error);
      take (rows, y, user_data);
    }

  return TRUE;
}

static void
copy_rows (const FbImage *rows, int y, gpointer user_data)
{
  FbImage *out = user_data;

  memcpy (out->pixels + (size_t) y * out->width * out->n_channels, rows->pixels, fb_image_n_bytes (rows));
}

FbImage *
fb_upscale_resize (const FbImage *image, int width, int height, GCancellable *cancellable, GError **error)
{
  g_autoptr(FbImage) out = fb_image_new (width, height, image->n_channels);

  if (out == NULL)
    {
      fb_task_no_memory (width, height, error);
      return NULL;
    }

  return resize_in_bands (image, width, height, copy_rows, out, cancellable, error) ? g_steal_pointer (&out) : NULL;
}

/* --- back-projection ------------------------------------------------------------------------------------------------------ */

/* @lack [h, w]: @image less the means of @picture's squares */
static gboolean
find_lack (const FbImage *picture, const FbImage *image, FbImage *lack, GCancellable *cancellable, GError **error)
{
  const int    f     = picture->width / image->width;
  const int    step  = MAX (1, BAND / picture->width / f);
  const double share = 1.0 / (f * f);

  for (int from = 0; from < image->height; from += step)
    {
      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;

#pragma omp parallel for schedule(static)
      for (int y = from; y < MIN (from + step, image->height); y++)
        for (int x = 0; x < image->width; x++)
          {
            const size_t i      = ((size_t) y * image->width + x) * 3;
            double       sum[3] = { 0.0 };

            for (int k = 0; k < f * f; k++)
              {
                const float *pixel = picture->pixels + ((size_t) (y * f + k / f) * picture->width + x * f + k % f) * 3;

                for (int c = 0; c < 3; c++)
                  sum[c] += pixel[c];
              }
            for (int c = 0; c < 3; c++)
              lack->pixels[i + c] = image->pixels[i + c] - share * sum[c];
          }
    }

  return TRUE;
}

typedef struct
{
  FbImage *picture;
  float    low, high;
} Correction;

static void
add_rows (const FbImage *rows, int y, gpointer user_data)
{
  const Correction *correction = user_data;
  float            *out        = correction->picture->pixels + (size_t) y * rows->width * 3;
  const size_t      n          = (size_t) rows->width * rows->height * 3;

  for (size_t i = 0; i < n; i++)
    out[i] = CLAMP (out[i] + rows->pixels[i], correction->low, correction->high);
}

static Correction
correction_for (FbImage *picture, const FbImage *image)
{
  Correction   correction = { picture, 0.0f, 1.0f };
  const size_t n          = (size_t) image->width * image->height * 3;

  for (size_t i = 0; i < n; i++)
    {
      correction.low  = MIN (correction.low, image->pixels[i]);
      correction.high = MAX (correction.high, image->pixels[i]);
    }

  return correction;
}

gboolean
fb_upscale_keep (FbImage *picture, const FbImage *image, FbFaithful faithful, GCancellable *cancellable, GError **error)
{
  const int           coarse     = faithful == FB_FAITHFUL_TONES ? TONES_REACH : 1;
  Correction          correction = correction_for (picture, image);
  g_autoptr(FbImage)  lack       = NULL;

  if (faithful == FB_FAITHFUL_NONE)
    return TRUE;
  lack = fb_image_new (image->width, image->height, 3);
  if (lack == NULL)
    return fb_task_no_memory (image->width, image->height, error);

  for (int i = 0; i < N_PASSES; i++)
    {
      g_autoptr(FbImage) known = NULL;

      if (!find_lack (picture, image, lack, cancellable, error))
        return FALSE;
      known = fb_upscale_resize (lack, (image->width + coarse - 1) / coarse, (image->height + coarse - 1) / coarse, cancellable, error);
      if (known == NULL || !resize_in_bands (known, picture->width, picture->height, add_rows, &correction, cancellable, error))
        return FALSE;
    }

  return TRUE;
}
