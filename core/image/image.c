/* core/image/image.c: pictures between tasks, engine and clients. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/image/image.h"

#include <math.h>
#include <string.h>

FbImage *
fb_image_new (int width, int height, int n_channels)
{
  size_t   n_floats;
  FbImage *image;

  g_return_val_if_fail (width >= 1 && height >= 1 && (n_channels == 1 || n_channels == 3 || n_channels == 4), NULL);

  if (!g_size_checked_mul (&n_floats, (size_t) width * n_channels, height) || n_floats > G_MAXSSIZE / sizeof (float))
    return NULL;

  image             = g_new (FbImage, 1);
  image->width      = width;
  image->height     = height;
  image->n_channels = n_channels;
  image->ref_count  = 1;
  image->pixels     = g_try_new (float, n_floats);
  if (image->pixels == NULL)
    g_clear_pointer (&image, g_free);

  return image;
}

FbImage *
fb_image_ref (FbImage *image)
{
  g_atomic_int_inc (&image->ref_count);
  return image;
}

void
fb_image_unref (FbImage *image)
{
  if (g_atomic_int_dec_and_test (&image->ref_count))
    {
      g_free (image->pixels);
      g_free (image);
    }
}

size_t
fb_image_n_bytes (const FbImage *image)
{
  return (size_t) image->width * image->height * image->n_channels * sizeof (float);
}

FbImage *
fb_image_from_network (const float *data, int width, int height)
{
  FbImage *image = fb_image_new (width, height, 3);
  size_t   n     = (size_t) width * height * 3;

  if (image != NULL)
    for (size_t i = 0; i < n; i++)
      image->pixels[i] = CLAMP (data[i] * 0.5f + 0.5f, 0.0f, 1.0f);

  return image;
}

void
fb_image_to_network (const FbImage *image, float *data)
{
  size_t n = (size_t) image->width * image->height;
  int    C = image->n_channels;

  for (size_t i = 0; i < n; i++)
    {
      const float *pixel = image->pixels + i * C;
      float        alpha = C == 4 ? pixel[3] : 1.0f;

      for (int c = 0; c < 3; c++)
        data[i * 3 + c] = (pixel[C == 1 ? 0 : c] * alpha + (1.0f - alpha)) * 2.0f - 1.0f;
    }
}

/* --- resizing -------------------------------------------------------------------------------------------------------- */

static double
lanczos3 (double x)
{
  x = fabs (x);
  if (x < 1e-9)
    return 1.0;
  if (x >= 3.0)
    return 0.0;
  return 3.0 * sin (G_PI * x) * sin (G_PI * x / 3.0) / (G_PI * G_PI * x * x);
}

/* One axis of a separable resize: output pixel i is the weighted sum of @n_taps input pixels from first[i] on. */
typedef struct
{
  int     n_taps;
  int    *first;      /* [n_out] */
  float  *weights;    /* [n_out, n_taps], each row sums to 1 */
} Filter;

/* for the output pixels from @start on, @n_out of the @size_out there are */
static void
filter_init (Filter *f, int size_in, int size_out, int start, int n_out)
{
  double scale   = (double) size_in / size_out;
  double stretch = MAX (scale, 1.0);                 /* shrinking widens the filter, so that every input pixel counts */
  int    width   = (int) ceil (3.0 * stretch) * 2 + 1;

  f->n_taps  = MIN (width, size_in);
  f->first   = g_new (int, n_out);
  f->weights = g_new (float, (size_t) n_out * f->n_taps);

  for (int i = 0; i < n_out; i++)
    {
      double centre = (start + i + 0.5) * scale - 0.5;
      int    first  = CLAMP ((int) floor (centre) - width / 2, 0, size_in - f->n_taps);
      float *row    = f->weights + (size_t) i * f->n_taps;
      double sum    = 0.0;

      for (int j = 0; j < f->n_taps; j++)
        sum += lanczos3 ((first + j - centre) / stretch);
      for (int j = 0; j < f->n_taps; j++)
        row[j] = lanczos3 ((first + j - centre) / stretch) / sum;
      f->first[i] = first;
    }
}

static void
filter_clear (Filter *f)
{
  g_free (f->first);
  g_free (f->weights);
}

/* [·, n] -> [n_out, n]: rows are summed as a whole, which a processor does several pixels at a time */
static void
resize_down_columns (const Filter *f, const float *in, int n, float *out, int n_out)
{
  for (int y = 0; y < n_out; y++)
    {
      float *row = out + (size_t) y * n;

      memset (row, 0, n * sizeof (float));
      for (int j = 0; j < f->n_taps; j++)
        {
          const float  weight = f->weights[(size_t) y * f->n_taps + j];
          const float *tap    = in + (size_t) (f->first[y] + j) * n;

          for (int i = 0; i < n; i++)
            row[i] += weight * tap[i];
        }
    }
}

/* [n_rows, width, C] -> [n_rows, n_out, C] */
static void
resize_along_rows (const Filter *f, const float *in, int n_rows, int width, float *out, int n_out, int C)
{
  for (int y = 0; y < n_rows; y++)
    for (int x = 0; x < n_out; x++)
      {
        const float *taps   = in + ((size_t) y * width + f->first[x]) * C;
        const float *row    = f->weights + (size_t) x * f->n_taps;
        float        sum[4] = { 0.0f };

        for (int j = 0; j < f->n_taps; j++)
          for (int c = 0; c < C; c++)
            sum[c] += row[j] * taps[j * C + c];
        memcpy (out + ((size_t) y * n_out + x) * C, sum, C * sizeof (float));
      }
}

FbImage *
fb_image_resize_part (const FbImage *image, int width, int height, int x, int y, int part_width, int part_height)
{
  int                C      = image->n_channels;
  g_autoptr(FbImage) down   = fb_image_new (image->width, part_height, C);
  g_autoptr(FbImage) result = fb_image_new (part_width, part_height, C);
  Filter             f;

  g_return_val_if_fail (x >= 0 && y >= 0 && x + part_width <= width && y + part_height <= height, NULL);

  if (down == NULL || result == NULL)
    return NULL;

  filter_init (&f, image->height, height, y, part_height);
  resize_down_columns (&f, image->pixels, image->width * C, down->pixels, part_height);
  filter_clear (&f);
  filter_init (&f, image->width, width, x, part_width);
  resize_along_rows (&f, down->pixels, part_height, image->width, result->pixels, part_width, C);
  filter_clear (&f);

  return g_steal_pointer (&result);
}

FbImage *
fb_image_resize (const FbImage *image, int width, int height)
{
  return fb_image_resize_part (image, width, height, 0, 0, width, height);
}
