/* core/image/image.c: pictures between tasks, engine and clients. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/image/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/image/wide.h"

/* Fresh pages of a large picture cost as much as filling it: in pages of 2 MB there are few of them. NULL when memory runs out. */
static float *
allocate (size_t n_bytes)
{
  enum { HUGE_PAGE = 2 << 20 };

  void *pixels = NULL;

  if (n_bytes < 2 * HUGE_PAGE)
    return g_try_malloc (n_bytes);
  if (posix_memalign (&pixels, HUGE_PAGE, n_bytes) != 0)
    return NULL;
#ifdef MADV_HUGEPAGE
  madvise (pixels, n_bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);      /* where the system has none, nothing is lost */
#endif

  return pixels;
}

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
  image->pixels     = allocate (n_floats * sizeof (float));
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
fb_image_cut (FbImage *image, int x, int y, int width, int height)
{
  const int C = image->n_channels;
  FbImage  *out;

  g_return_val_if_fail (x >= 0 && y >= 0 && x + width <= image->width && y + height <= image->height, NULL);

  if (width == image->width && height == image->height)
    return fb_image_ref (image);
  out = fb_image_new (width, height, C);
  for (int row = 0; out != NULL && row < height; row++)
    memcpy (out->pixels + (size_t) row * width * C, image->pixels + ((size_t) (y + row) * image->width + x) * C, (size_t) width * C * sizeof (float));

  return out;
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

/* One axis of a separable resize: output pixel i is the weighted sum of @n_taps input pixels from first[i] on; of one where nothing changes. */
typedef struct
{
  int     n_taps;
  int    *first;      /* [n_out] */
  float  *weights;    /* [n_out, n_taps], each row sums to 1 */
} Filter;

/* The weights of @f's output pixel @i, of the @n_taps in @taps whose sum is @sum: those of input pixels from @from on, as many as @f has. */
static void
filter_set (Filter *f, int i, const double *taps, int n_taps, double sum, int first, int from)
{
  f->first[i] = from;
  for (int j = 0; j < f->n_taps; j++)
    {
      const int tap = from + j - first;

      f->weights[(size_t) i * f->n_taps + j] = tap >= 0 && tap < n_taps ? taps[tap] / sum : 0.0;
    }
}

/* For the output pixels from @start on, @n_out of the @size_out there are. Of the @size_in input pixels there are only those from @offset on, @n_in of
 * them, and first[] counts from there; the others are 0. */
static void
filter_init (Filter *f, int size_in, int offset, int n_in, int size_out, int start, int n_out)
{
  double              scale   = (double) size_in / size_out;
  double              stretch = MAX (scale, 1.0);                 /* shrinking widens the filter, so that every input pixel counts */
  int                 width   = size_in == size_out ? 1 : (int) ceil (3.0 * stretch) * 2 + 1;
  int                 n_taps  = MIN (width, size_in);
  g_autofree double  *taps    = g_new (double, n_taps);

  f->n_taps  = MIN (n_taps, n_in);
  f->first   = g_new (int, n_out);
  f->weights = g_new (float, (size_t) n_out * f->n_taps);

  for (int i = 0; i < n_out; i++)
    {
      double centre = (start + i + 0.5) * scale - 0.5;
      int    first  = CLAMP ((int) floor (centre) - width / 2, 0, size_in - n_taps);
      double sum    = 0.0;

      for (int j = 0; j < n_taps; j++)
        {
          taps[j] = lanczos3 ((first + j - centre) / stretch);
          sum    += taps[j];
        }
      filter_set (f, i, taps, n_taps, sum, first - offset, CLAMP (first - offset, 0, n_in - f->n_taps));
    }
}

static void
filter_clear (Filter *f)
{
  g_free (f->first);
  g_free (f->weights);
}

/* One row of @n floats from the rows of @in that the filter's output @y takes; as a whole, which a processor does several at a time */
FB_WIDE static void
resize_down (const Filter *f, int y, const float *in, size_t n, float *row)
{
  memset (row, 0, n * sizeof (float));
  for (int j = 0; j < f->n_taps; j++)
    {
      const float  weight = f->weights[(size_t) y * f->n_taps + j];
      const float *tap    = in + (size_t) (f->first[y] + j) * n;

      if (weight == 0.0f)                                         /* beyond what there is */
        continue;
#pragma omp simd
      for (size_t i = 0; i < n; i++)
        row[i] += weight * tap[i];
    }
}

/* [width, 1] -> [n_out, 1]; some sums at once, because each waits for its own last term */
static void
resize_mask_row (const Filter *f, const float *row, float *out, int n_out)
{
  enum { AT_ONCE = 4 };

  for (int x = 0; x < n_out; x += AT_ONCE)
    {
      const float *taps[AT_ONCE], *weights[AT_ONCE];
      float        sums[AT_ONCE] = { 0.0f };

      for (int k = 0; k < AT_ONCE; k++)
        {
          const int i = MIN (x + k, n_out - 1);

          taps[k]    = row + f->first[i];
          weights[k] = f->weights + (size_t) i * f->n_taps;
        }
      for (int j = 0; j < f->n_taps; j++)
        for (int k = 0; k < AT_ONCE; k++)
          sums[k] += weights[k][j] * taps[k][j];
      memcpy (out + x, sums, MIN (AT_ONCE, n_out - x) * sizeof (float));
    }
}

/* [width, C] -> [n_out, C], C = 3 or 4; each pixel is read as four numbers, so that @row has to have one more at its end */
static void
resize_row (const Filter *f, const float *row, float *out, int n_out, int C)
{
  typedef float Pixel __attribute__ ((vector_size (16)));

  for (int x = 0; x < n_out; x++)
    {
      const float *taps    = row + (size_t) f->first[x] * C;
      const float *weights = f->weights + (size_t) x * f->n_taps;
      Pixel        sum     = { 0.0f }, tap;

      for (int j = 0; j < f->n_taps; j++)
        {
          memcpy (&tap, taps + (size_t) j * C, sizeof tap);
          sum += weights[j] * tap;
        }
      if (C == 4 || x + 1 < n_out)                                /* the next pixel takes its place back from the fourth number */
        memcpy (out + (size_t) x * C, &sum, sizeof sum);
      else
        memcpy (out + (size_t) x * C, &sum, 3 * sizeof (float));
    }
}

/* (transfer full): one pixel for each of the filters' */
static FbImage *
resize (const FbImage *image, const Filter *down, const Filter *along, int part_width, int part_height)
{
  const int    C      = image->n_channels;
  const size_t n      = (size_t) image->width * C;
  FbImage     *result = fb_image_new (part_width, part_height, C);

  if (result == NULL)
    return NULL;

#pragma omp parallel if (part_height > 1)
  {
    g_autofree float *row = g_new0 (float, n + 1);

#pragma omp for schedule(static)
    for (int i = 0; i < part_height; i++)
      {
        float *out = result->pixels + (size_t) i * part_width * C;

        resize_down (down, i, image->pixels, n, row);
        if (C == 1)
          resize_mask_row (along, row, out, part_width);
        else
          resize_row (along, row, out, part_width, C);
      }
  }

  return result;
}

FbImage *
fb_image_resize_part (const FbImage *image, int width, int height, int x, int y, int part_width, int part_height)
{
  FbImage *result;
  Filter   down, along;

  g_return_val_if_fail (x >= 0 && y >= 0 && x + part_width <= width && y + part_height <= height, NULL);

  filter_init (&down, image->height, 0, image->height, height, y, part_height);
  filter_init (&along, image->width, 0, image->width, width, x, part_width);
  result = resize (image, &down, &along, part_width, part_height);
  filter_clear (&down);
  filter_clear (&along);

  return result;
}

FbImage *
fb_image_resize_from (const FbImage *image, int x, int y, int whole_width, int whole_height, int width, int height)
{
  FbImage *result;
  Filter   down, along;

  g_return_val_if_fail (x >= 0 && y >= 0 && x + image->width <= whole_width && y + image->height <= whole_height, NULL);

  filter_init (&down, whole_height, y, image->height, height, 0, height);
  filter_init (&along, whole_width, x, image->width, width, 0, width);
  result = resize (image, &down, &along, width, height);
  filter_clear (&down);
  filter_clear (&along);

  return result;
}

FbImage *
fb_image_resize (const FbImage *image, int width, int height)
{
  return fb_image_resize_part (image, width, height, 0, 0, width, height);
}
