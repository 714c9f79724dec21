/* core/image/image.c: pictures between tasks, engine and clients. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/image/image.h"

#include <math.h>

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
  int    *first;      /* [size_out] */
  float  *weights;    /* [size_out, n_taps], each row sums to 1 */
} Filter;

static void
filter_init (Filter *f, int size_in, int size_out)
{
  double scale   = (double) size_in / size_out;
  double stretch = MAX (scale, 1.0);                 /* shrinking widens the filter, so that every input pixel counts */
  int    width   = (int) ceil (3.0 * stretch) * 2 + 1;

  f->n_taps  = MIN (width, size_in);
  f->first   = g_new (int, size_out);
  f->weights = g_new (float, (size_t) size_out * f->n_taps);

  for (int i = 0; i < size_out; i++)
    {
      double centre = (i + 0.5) * scale - 0.5;
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

/* [n_rows, size_in, C] -> [size_out, n_rows, C]: applied twice it resizes both axes and the two transposes cancel */
static void
resize_and_transpose (const float *in, int n_rows, int size_in, float *out, int size_out, int C)
{
  Filter f;

  filter_init (&f, size_in, size_out);
  for (int y = 0; y < n_rows; y++)
    for (int x = 0; x < size_out; x++)
      {
        const float *taps = in + ((size_t) y * size_in + f.first[x]) * C;
        const float *row  = f.weights + (size_t) x * f.n_taps;
        double       sum[4] = { 0.0 };

        for (int j = 0; j < f.n_taps; j++)
          for (int c = 0; c < C; c++)
            sum[c] += (double) row[j] * taps[j * C + c];
        for (int c = 0; c < C; c++)
          out[((size_t) x * n_rows + y) * C + c] = sum[c];
      }
  filter_clear (&f);
}

FbImage *
fb_image_resize (const FbImage *image, int width, int height)
{
  int                C      = image->n_channels;
  g_autoptr(FbImage) across = fb_image_new (image->height, width, C);   /* transposed */
  g_autoptr(FbImage) result = fb_image_new (width, height, C);

  if (across == NULL || result == NULL)
    return NULL;

  resize_and_transpose (image->pixels, image->height, image->width, across->pixels, width, C);
  resize_and_transpose (across->pixels, width, image->height, result->pixels, height, C);

  return g_steal_pointer (&result);
}
