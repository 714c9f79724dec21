/* tests/core/test-cut-out.c: things from plain backgrounds. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/image/cut-out.h"

#include <math.h>

#define SIDE 64

static const float background[] = { 0.95f, 0.97f, 1.0f };
static const float thing[]      = { 0.8f, 0.1f, 0.2f };

/* how much of the pixel a disc of radius @r around (@cx, @cy) covers, nearly */
static float
covered (int x, int y, double cx, double cy, double r)
{
  return (float) CLAMP (r + 0.5 - hypot (x + 0.5 - cx, y + 0.5 - cy), 0.0, 1.0);
}

/* (transfer full): a disc at the middle or at (@cx, @cy), with a rounded rim, on a background that is a little uneven; a hole of the background's
 * colour in it */
static FbImage *
disc (double cx, double cy, double r, double hole)
{
  FbImage *picture = fb_image_new (SIDE, SIDE, 3);

  for (int i = 0; i < SIDE * SIDE; i++)
    {
      const float a = covered (i % SIDE, i / SIDE, cx, cy, r) * (1.0f - covered (i % SIDE, i / SIDE, cx, cy, hole));

      for (int c = 0; c < 3; c++)
        picture->pixels[3 * i + c] = a * thing[c] + (1.0f - a) * (background[c] - 0.02f * ((i * 7 + c) % 3));
    }
  return picture;
}

static void
check_disc (double cx, double cy)
{
  g_autoptr(FbImage) picture = disc (cx, cy, 20.0, 0.0);
  g_autoptr(FbImage) cut     = fb_image_cut_out (picture);

  g_assert_nonnull (cut);
  g_assert_cmpint (cut->n_channels, ==, 4);
  for (int i = 0; i < SIDE * SIDE; i++)
    {
      const float  a = covered (i % SIDE, i / SIDE, cx, cy, 20.0);
      const float *p = cut->pixels + 4 * i;

      g_assert_cmpfloat_with_epsilon (p[3], a, 0.12);
      if (a > 0.5f)
        for (int c = 0; c < 3; c++)
          g_assert_cmpfloat_with_epsilon (p[c], thing[c], 0.06);
    }
}

static void
a_disc_is_cut_out_with_a_soft_rim (void)
{
  check_disc (32.0, 32.0);
}

static void
a_thing_may_touch_the_border (void)
{
  check_disc (32.0, 10.0);
}

static void
a_hole_inside_stays (void)
{
  g_autoptr(FbImage) picture = disc (32.0, 32.0, 20.0, 8.0);
  g_autoptr(FbImage) cut     = fb_image_cut_out (picture);

  g_assert_nonnull (cut);
  g_assert_cmpfloat (cut->pixels[4 * (32 * SIDE + 32) + 3], ==, 1.0f);
  g_assert_cmpfloat_with_epsilon (cut->pixels[4 * (32 * SIDE + 32)], background[0], 0.05);
}

/* light inside a dark outline is a colour of the thing, not a mixture of outline and background */
static void
light_colours_beside_the_rim_stay_opaque (void)
{
  g_autoptr(FbImage) picture = disc (32.0, 32.0, 20.0, 0.0);
  g_autoptr(FbImage) cut     = NULL;

  for (int x = 20; x < 44; x++)                                /* a yellow bar through to the background, below black */
    for (int y = 10; y < 20; y++)
      for (int c = 0; c < 3; c++)
        picture->pixels[3 * (y * SIDE + x) + c] = y < 17 ? (c == 2 ? 0.3f : 0.9f) : 0.0f;
  cut = fb_image_cut_out (picture);
  g_assert_nonnull (cut);
  for (int x = 20; x < 44; x++)
    g_assert_cmpfloat (cut->pixels[4 * (10 * SIDE + x) + 3], >, 0.9f);
}

static void
pictures_without_a_plain_border_are_refused (void)
{
  g_autoptr(FbImage) slope = fb_image_new (SIDE, SIDE, 3);
  g_autoptr(FbImage) plain = fb_image_new (5, 3, 3);

  for (int i = 0; i < SIDE * SIDE * 3; i++)
    slope->pixels[i] = (float) (i / 3 % SIDE) / SIDE;
  g_assert_null (fb_image_cut_out (slope));
  for (int i = 0; i < 5 * 3 * 3; i++)
    plain->pixels[i] = 0.5f;
  g_assert_null (fb_image_cut_out (plain));                    /* nothing would be left */
}

static void
specks_go_with_the_background (void)
{
  g_autoptr(FbImage) picture = disc (32.0, 32.0, 20.0, 0.0);
  g_autoptr(FbImage) cut     = NULL;

  for (int c = 0; c < 3; c++)
    picture->pixels[c] = picture->pixels[3 * (SIDE * 5 + 60) + c] = 0.3f;
  cut = fb_image_cut_out (picture);
  g_assert_nonnull (cut);
  g_assert_cmpfloat (cut->pixels[3], ==, 0.0f);
  g_assert_cmpfloat (cut->pixels[4 * (SIDE * 5 + 60) + 3], ==, 0.0f);
}

static void
the_smallest_pictures_are_no_trouble (void)
{
  for (int width = 1; width < 4; width++)
    for (int height = 1; height < 4; height++)
      {
        g_autoptr(FbImage) picture = fb_image_new (width, height, 3);
        g_autoptr(FbImage) cut     = NULL;

        for (int i = 0; i < width * height * 3; i++)
          picture->pixels[i] = i == 0 ? 0.0f : 1.0f;
        cut = fb_image_cut_out (picture);
        g_assert_true (cut == NULL || cut->n_channels == 4);
      }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/image/cut-out/a-disc-is-cut-out-with-a-soft-rim", a_disc_is_cut_out_with_a_soft_rim);
  g_test_add_func ("/core/image/cut-out/a-thing-may-touch-the-border", a_thing_may_touch_the_border);
  g_test_add_func ("/core/image/cut-out/a-hole-inside-stays", a_hole_inside_stays);
  g_test_add_func ("/core/image/cut-out/light-colours-beside-the-rim-stay-opaque", light_colours_beside_the_rim_stay_opaque);
  g_test_add_func ("/core/image/cut-out/pictures-without-a-plain-border-are-refused", pictures_without_a_plain_border_are_refused);
  g_test_add_func ("/core/image/cut-out/specks-go-with-the-background", specks_go_with_the_background);
  g_test_add_func ("/core/image/cut-out/the-smallest-pictures-are-no-trouble", the_smallest_pictures_are_no_trouble);
  return g_test_run ();
}
