/* tests/core/test-upscale-keep.c: an enlarged picture brought back to the one it was made of; its transparency. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/upscale-private.h"

#include <math.h>
#include <string.h>

#define FACTOR 4

/* a picture with all that one can hold: slopes, an edge, a pattern as fine as pixels can be, in one channel each */
static FbImage *
some_picture (int width, int height)
{
  FbImage *image = fb_image_new (width, height, 3);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      {
        float *pixel = image->pixels + ((size_t) y * width + x) * 3;

        pixel[0] = 0.5f + 0.4f * sinf (0.21f * x) * cosf (0.17f * y);
        pixel[1] = x + y > (width + height) / 2 ? 0.9f : 0.2f;
        pixel[2] = 0.5f + 0.2f * ((x + y) % 2 ? 1.0f : -1.0f);
      }
  return image;
}

/* what a network may have made of @image: the same with its colours off by up to @shift, and with detail */
static FbImage *
drawn_from (const FbImage *image, float shift)
{
  FbImage *out = fb_image_resize (image, FACTOR * image->width, FACTOR * image->height);

  for (int y = 0; y < out->height; y++)
    for (int x = 0; x < out->width; x++)
      for (int c = 0; c < 3; c++)
        out->pixels[((size_t) y * out->width + x) * 3 + c] += shift * sinf (0.013f * x + 0.02f * y + 2.0f * c) + 0.1f * sinf (2.1f * x + 1.3f * y * y);
  return out;
}

/* the means of squares of @side × @side */
static FbImage *
means (const FbImage *image, int side)
{
  FbImage *out = fb_image_new (image->width / side, image->height / side, 3);

  memset (out->pixels, 0, fb_image_n_bytes (out));
  for (int y = 0; y < out->height * side; y++)
    for (int x = 0; x < out->width * side; x++)
      for (int c = 0; c < 3; c++)
        out->pixels[((size_t) (y / side) * out->width + x / side) * 3 + c] += image->pixels[((size_t) y * image->width + x) * 3 + c] / (side * side);
  return out;
}

static void
distance (const FbImage *a, const FbImage *b, double *mean, double *most)
{
  const int n   = a->width * a->height * 3;
  double    sum = 0.0;

  g_assert_cmpint (a->width, ==, b->width);
  g_assert_cmpint (a->height, ==, b->height);
  *most = 0.0;
  for (int i = 0; i < n; i++)
    {
      const double off = fabs ((double) a->pixels[i] - b->pixels[i]);

      sum  += off * off;
      *most = MAX (*most, off);
    }
  *mean = sqrt (sum / n);
}

static void
test_made_smaller_it_is_the_picture_given (void)
{
  g_autoptr(FbImage) image = some_picture (48, 37);
  g_autoptr(FbImage) drawn = drawn_from (image, 0.15f);
  g_autoptr(FbImage) before = means (drawn, FACTOR);
  g_autoptr(FbImage) after  = NULL;
  g_autoptr(GError)  error  = NULL;
  double             mean, most;

  distance (before, image, &mean, &most);
  g_test_message ("before: %.4f on average, %.4f at most", mean, most);
  g_assert_cmpfloat (mean, >, 0.05);
  g_assert_true (fb_upscale_keep (drawn, image, FB_FAITHFUL_PIXELS, NULL, &error));
  after = means (drawn, FACTOR);
  distance (after, image, &mean, &most);
  g_test_message ("after: %.4f on average, %.4f at most", mean, most);
  g_assert_cmpfloat (mean, <, 0.01);
  g_assert_cmpfloat (most, <, 0.05);
}

static void
test_tones_of_areas_are_kept_and_detail_is_not (void)
{
  g_autoptr(FbImage) image = some_picture (64, 48);
  g_autoptr(FbImage) smooth = fb_image_new (64, 48, 3);
  g_autoptr(FbImage) drawn  = NULL;
  g_autoptr(FbImage) small  = means (image, 8);
  g_autoptr(FbImage) after  = NULL;
  g_autoptr(FbImage) fine   = NULL;
  g_autoptr(GError)  error  = NULL;
  double             mean, most;

  for (int i = 0; i < 64 * 48; i++)                    /* a network that has taken the finest pattern for noise */
    {
      memcpy (smooth->pixels + 3 * i, image->pixels + 3 * i, 2 * sizeof (float));
      smooth->pixels[3 * i + 2] = 0.5f;
    }
  drawn = drawn_from (smooth, 0.15f);
  g_assert_true (fb_upscale_keep (drawn, image, FB_FAITHFUL_TONES, NULL, &error));
  after = means (drawn, 8 * FACTOR);
  distance (after, small, &mean, &most);
  g_test_message ("areas: %.4f on average, %.4f at most", mean, most);
  g_assert_cmpfloat (mean, <, 0.01);

  fine = means (drawn, FACTOR);
  for (int i = 0; i < 64 * 48; i++)
    g_assert_cmpfloat (fabsf (fine->pixels[3 * i + 2] - 0.5f), <, 0.1);       /* the pattern's 0.2 has not come back */
}

static void
test_a_faithful_picture_stays_as_it_is (void)
{
  g_autoptr(FbImage) other  = some_picture (20, 20);
  g_autoptr(FbImage) drawn  = drawn_from (other, 0.1f);
  g_autoptr(FbImage) image  = NULL;
  g_autoptr(FbImage) before = NULL;
  g_autoptr(GError)  error  = NULL;
  double             mean, most;

  for (int i = 0; i < drawn->width * drawn->height * 3; i++)
    drawn->pixels[i] = CLAMP (drawn->pixels[i], 0.0f, 1.0f);
  image  = means (drawn, FACTOR);
  before = fb_image_new (drawn->width, drawn->height, 3);
  memcpy (before->pixels, drawn->pixels, fb_image_n_bytes (drawn));
  g_assert_true (fb_upscale_keep (drawn, image, FB_FAITHFUL_PIXELS, NULL, &error));
  distance (drawn, before, &mean, &most);
  g_assert_cmpfloat (most, <, 1e-5);

  g_assert_true (fb_upscale_keep (drawn, other, FB_FAITHFUL_NONE, NULL, &error));
  distance (drawn, before, &mean, &most);
  g_assert_cmpfloat (most, <, 1e-5);
}

static void
test_nothing_leaves_the_pictures_range (void)
{
  g_autoptr(FbImage) image = fb_image_new (16, 16, 3);
  g_autoptr(FbImage) drawn = NULL;
  g_autoptr(GError)  error = NULL;

  for (int i = 0; i < 16 * 16 * 3; i++)
    image->pixels[i] = i % 48 < 24 ? 0.0f : 1.0f;
  drawn = drawn_from (image, 0.3f);
  g_assert_true (fb_upscale_keep (drawn, image, FB_FAITHFUL_PIXELS, NULL, &error));
  for (int i = 0; i < 64 * 64 * 3; i++)
    g_assert_true (drawn->pixels[i] >= 0.0f && drawn->pixels[i] <= 1.0f);

  image->pixels[0] = 1.5f;                             /* brighter than white, which a network cannot say */
  g_assert_true (fb_upscale_keep (drawn, image, FB_FAITHFUL_PIXELS, NULL, &error));
  g_assert_cmpfloat (drawn->pixels[(64 + 1) * 3], >, 1.2);
  for (int i = 0; i < 64 * 64 * 3; i++)
    g_assert_true (drawn->pixels[i] >= 0.0f && drawn->pixels[i] <= 1.5f);
}

static void
test_bands_change_no_byte (void)
{
  g_autoptr(FbImage) image = some_picture (300, 200);
  g_autoptr(FbImage) whole = fb_image_resize (image, 1200, 900);
  g_autoptr(GError)  error = NULL;
  g_autoptr(FbImage) bands = fb_upscale_resize (image, 1200, 900, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpmem (bands->pixels, fb_image_n_bytes (bands), whole->pixels, fb_image_n_bytes (whole));
}

static void
test_a_cancel_is_met (void)
{
  g_autoptr(FbImage)      image  = some_picture (20, 20);
  g_autoptr(FbImage)      drawn  = drawn_from (image, 0.1f);
  g_autoptr(GCancellable) cancel = g_cancellable_new ();
  g_autoptr(GError)       error  = NULL;

  g_cancellable_cancel (cancel);
  g_assert_false (fb_upscale_keep (drawn, image, FB_FAITHFUL_PIXELS, cancel, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_null (fb_upscale_resize (image, 80, 80, cancel, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* red on the left, nothing on the right, with black under it */
static void
test_what_is_transparent_takes_the_colours_around (void)
{
  g_autoptr(FbImage) image   = fb_image_new (31, 9, 4);
  g_autoptr(FbImage) colours = NULL;

  memset (image->pixels, 0, fb_image_n_bytes (image));
  for (int i = 0; i < 31 * 9; i++)
    if (i % 31 < 3)
      image->pixels[4 * i] = image->pixels[4 * i + 3] = 1.0f;
  colours = fb_upscale_colours (image);
  for (int i = 0; i < 31 * 9; i++)
    {
      g_assert_cmpfloat_with_epsilon (colours->pixels[3 * i], 1.0f, 1e-3);
      g_assert_cmpfloat_with_epsilon (colours->pixels[3 * i + 1], 0.0f, 1e-3);
    }
}

static void
test_nothing_but_transparency_is_no_problem (void)
{
  g_autoptr(FbImage) image   = fb_image_new (5, 3, 4);
  g_autoptr(FbImage) colours = NULL;

  memset (image->pixels, 0, fb_image_n_bytes (image));
  image->pixels[0] = NAN;
  colours = fb_upscale_colours (image);
  for (int i = 0; i < 5 * 3 * 3; i++)
    g_assert_true (isfinite (colours->pixels[i]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/core/tasks/upscale-keep/made-smaller-it-is-the-picture-given", test_made_smaller_it_is_the_picture_given);
  g_test_add_func ("/core/tasks/upscale-keep/tones-of-areas-are-kept-and-detail-is-not", test_tones_of_areas_are_kept_and_detail_is_not);
  g_test_add_func ("/core/tasks/upscale-keep/a-faithful-picture-stays-as-it-is", test_a_faithful_picture_stays_as_it_is);
  g_test_add_func ("/core/tasks/upscale-keep/nothing-leaves-the-pictures-range", test_nothing_leaves_the_pictures_range);
  g_test_add_func ("/core/tasks/upscale-keep/bands-change-no-byte", test_bands_change_no_byte);
  g_test_add_func ("/core/tasks/upscale-keep/a-cancel-is-met", test_a_cancel_is_met);
  g_test_add_func ("/core/tasks/upscale-keep/what-is-transparent-takes-the-colours-around", test_what_is_transparent_takes_the_colours_around);
  g_test_add_func ("/core/tasks/upscale-keep/nothing-but-transparency-is-no-problem", test_nothing_but_transparency_is_no_problem);

  return g_test_run ();
}
