/* tests/core/test-inpaint-colours.c: what a hole is filled with, and how its colours are matched. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/inpaint-random.h"

#include <math.h>

static void
test_fills_stay_in_the_hole (void)
{
  for (int fill = FB_FILL_ORIGINAL; fill <= FB_FILL_NOISE; fill++)
    {
      g_autoptr(FbImage) image = (state = 6, random_picture (64, 64, 1.0f));
      g_autoptr(FbImage) after = fb_image_new (64, 64, 3);
      g_autoptr(FbImage) mask  = dots (64, 64, 1, 0);
      g_autoptr(FbHole)  hole  = fb_hole_new (mask->pixels, 64, 64);
      int                changed = 0;

      memcpy (after->pixels, image->pixels, fb_image_n_bytes (image));
      fb_hole_fill (hole, fill, 1.0, FALSE, after);
      for (int i = 0; i < 64 * 64; i++)
        {
          const gboolean same = memcmp (after->pixels + 3 * i, image->pixels + 3 * i, 3 * sizeof (float)) == 0;

          g_assert_true (same || mask->pixels[i] == 1.0f);
          changed += !same;
        }
      g_assert_cmpint (changed > 0, ==, fill != FB_FILL_ORIGINAL && fill != FB_FILL_NOISE);
    }
}

static void
test_a_flat_border_fills_flat (void)
{
  g_autoptr(FbImage) image = fb_image_new (64, 64, 3);
  g_autoptr(FbImage) mask  = dots (64, 64, 1, 0);
  g_autoptr(FbHole)  hole  = fb_hole_new (mask->pixels, 64, 64);

  for (int i = 0; i < 64 * 64 * 3; i++)
    image->pixels[i] = mask->pixels[i / 3] > 0.0f ? 0.9f : 0.25f;
  fb_hole_fill (hole, FB_FILL_BORDER, 1.0, FALSE, image);
  for (int i = 0; i < 64 * 64 * 3; i++)
    g_assert_cmpfloat_with_epsilon (image->pixels[i], 0.25, 1e-5);
}

/* how much neighbours in the middle of @image differ */
static double
roughness (const FbImage *image)
{
  const int w   = image->width;
  double    sum = 0.0;

  for (int y = w * 3 / 8; y < w * 5 / 8; y++)
    for (int i = w * 9 / 8; i < w * 15 / 8; i++)
      sum += fabs (image->pixels[y * w * 3 + i] - image->pixels[y * w * 3 + i + 3]);
  return sum;
}

/* what is spread from a busy border is streaky; further in it is smooth, and beside the border as it was spread */
static void
test_streaks_end_away_from_the_border (void)
{
  enum { SIZE = 256, FROM = 64, TO = 192 };

  g_autoptr(FbImage) filled = (state = 12, random_picture (SIZE, SIZE, 1.0f));
  g_autoptr(FbImage) spread = (state = 12, random_picture (SIZE, SIZE, 1.0f));
  g_autofree float  *mask   = g_new0 (float, SIZE * SIZE);
  g_autoptr(FbHole)  hole   = NULL;

  for (int y = FROM; y < TO; y++)
    for (int x = FROM; x < TO; x++)
      mask[y * SIZE + x] = 1.0f;
  hole = fb_hole_new (mask, SIZE, SIZE);
  fb_spread_inwards (hole, spread);
  fb_hole_fill (hole, FB_FILL_BORDER, 1.0, FALSE, filled);
  g_test_message ("%g instead of %g", roughness (filled), roughness (spread));
  g_assert_cmpfloat (roughness (filled), <, 0.5 * roughness (spread));
  for (int i = FROM * 3; i < TO * 3; i++)
    g_assert_cmpfloat_with_epsilon (filled->pixels[FROM * SIZE * 3 + i], spread->pixels[FROM * SIZE * 3 + i], 0.05);
}

/* --- colours ------------------------------------------------------------------------------------------------------------- */

static void
test_a_tint_is_taken_away_at_the_border_and_left_in_the_middle (void)
{
  g_autoptr(FbImage) image   = (state = 8, random_picture (64, 64, 0.8f));
  g_autoptr(FbImage) picture = fb_image_new (64, 64, 3);
  g_autofree float  *weights = g_new (float, 64 * 64);
  g_autoptr(FbHole)  hole    = NULL;
  double             off     = 0.0;

  for (int i = 0; i < 64 * 64; i++)
    {
      weights[i] = hypot (i % 64 - 32, i / 64 - 32) < 20.0 ? 0.0f : 1.0f;
      for (int c = 0; c < 3; c++)
        picture->pixels[3 * i + c] = image->pixels[3 * i + c] + (c == 0 ? 0.1f : 0.0f);
    }
  {
    g_autofree float *mask = g_new (float, 64 * 64);

    for (int i = 0; i < 64 * 64; i++)
      mask[i] = 1.0f - weights[i];
    hole = fb_hole_new (mask, 64, 64);
  }
  fb_match_colours (picture, image, weights, hole);
  for (int x = 0; x < 10; x++)
    off += picture->pixels[(32 * 64 + x) * 3] - image->pixels[(32 * 64 + x) * 3];
  g_assert_cmpfloat (fabs (off / 10), <, 0.05);
  g_assert_cmpfloat_with_epsilon (picture->pixels[(32 * 64 + 32) * 3] - image->pixels[(32 * 64 + 32) * 3], 0.1, 0.01);
}

/* an offset that differs from left to right, as an autoencoder's may: it is gone at the mask's edge, and in the middle too where things go on */
static void
test_an_offset_goes_on_into_the_hole (void)
{
  g_autoptr(FbImage) image   = fb_image_new (64, 64, 3);
  g_autoptr(FbImage) picture = fb_image_new (64, 64, 3);
  g_autofree float  *weights = g_new (float, 64 * 64);

  for (int i = 0; i < 64 * 64; i++)
    {
      weights[i] = hypot (i % 64 - 32, i / 64 - 32) < 16.0 ? 0.0f : 1.0f;
      for (int c = 0; c < 3; c++)
        {
          image->pixels[3 * i + c]   = 0.4f;
          picture->pixels[3 * i + c] = 0.4f + 0.002f * (i % 64 - 32) * (c - 1);
        }
    }
  fb_match_seam (picture, image, weights, NULL, FALSE);
  for (int y = 8; y < 56; y++)                                  /* the picture's border has less around it */
    for (int x = 8; x < 56; x++)
      for (int c = 0; c < 3; c++)
        g_assert_cmpfloat_with_epsilon (picture->pixels[3 * (y * 64 + x) + c], 0.4, 0.02);
}

/* The weights of a round hole of 64 × 64 with a ramp of 12 pixels around, which is known in part */
static float *
ramp_weights (void)
{
  float *weights = g_new (float, 64 * 64);

  for (int i = 0; i < 64 * 64; i++)
    weights[i] = CLAMP ((hypot (i % 64 - 32, i / 64 - 32) - 12.0) / 12.0, 0.0, 1.0);
  return weights;
}

/* how far @picture is from @image at the ramp's inner end, at most, after a network has drawn all within the ramp's outer end lighter by @shade */
static double
shade_left (FbImage *image, double shade, gboolean goes_on)
{
  g_autoptr(FbImage) picture = fb_image_new (64, 64, 3);
  g_autofree float  *weights = ramp_weights ();
  double             most    = 0.0;

  for (int i = 0; i < 64 * 64 * 3; i++)
    picture->pixels[i] = image->pixels[i] + (weights[i / 3] < 1.0f ? shade : 0.0);
  fb_match_seam (picture, image, weights, NULL, goes_on);
  for (int i = 0; i < 64 * 64 * 3; i++)
    if (weights[i / 3] > 0.1f && weights[i / 3] < 0.4f)
      most = MAX (most, fabs (picture->pixels[i] - image->pixels[i]));

  return most;
}

static void
test_a_shade_beside_what_is_flat_is_gone_at_the_border (void)
{
  g_autoptr(FbImage) flat    = fb_image_new (64, 64, 3);
  g_autoptr(FbImage) texture = (state = 5, random_picture (64, 64, 1.0f));

  for (int i = 0; i < 64 * 64 * 3; i++)
    flat->pixels[i] = 0.4f;
  g_assert_cmpfloat (shade_left (flat, 9.0 / 255.0, FALSE), <, 2.0 / 255.0);
  g_assert_cmpfloat (shade_left (texture, 9.0 / 255.0, FALSE), >, 8.0 / 255.0);
  g_assert_cmpfloat (shade_left (flat, 60.0 / 255.0, FALSE), >, 55.0 / 255.0);      /* a thing */
  g_assert_cmpfloat (shade_left (flat, 60.0 / 255.0, TRUE), <, 10.0 / 255.0);
}

static void
test_colours_stay_where_nothing_is_known (void)
{
  g_autoptr(FbImage) image   = (state = 3, random_picture (64, 64, 1.0f));
  g_autoptr(FbImage) picture = random_picture (64, 64, 0.5f);
  g_autoptr(FbImage) before  = fb_image_new (64, 64, 3);
  g_autofree float  *weights = g_new0 (float, 64 * 64);

  memcpy (before->pixels, picture->pixels, fb_image_n_bytes (picture));
  fb_match_colours (picture, image, weights, NULL);
  fb_match_seam (picture, image, weights, NULL, FALSE);
  g_assert_cmpmem (before->pixels, fb_image_n_bytes (before), picture->pixels, fb_image_n_bytes (picture));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func ("/core/tasks/inpaint-steps/" name, func)
  ADD ("fills-stay-in-the-hole", test_fills_stay_in_the_hole);
  ADD ("a-flat-border-fills-flat", test_a_flat_border_fills_flat);
  ADD ("streaks-end-away-from-the-border", test_streaks_end_away_from_the_border);
  ADD ("a-tint-is-taken-away-at-the-border-and-left-in-the-middle", test_a_tint_is_taken_away_at_the_border_and_left_in_the_middle);
  ADD ("an-offset-goes-on-into-the-hole", test_an_offset_goes_on_into_the_hole);
  ADD ("a-shade-beside-what-is-flat-is-gone-at-the-border", test_a_shade_beside_what_is_flat_is_gone_at_the_border);
  ADD ("colours-stay-where-nothing-is-known", test_colours_stay_where_nothing_is_known);

  return g_test_run ();
}
