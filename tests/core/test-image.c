/* tests/core/test-image.c: pictures and their resizing. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/image/image.h"

#include <math.h>

static void
test_network_round_trip (void)
{
  g_autoptr(FbImage) image = fb_image_new (5, 3, 3);
  g_autoptr(FbImage) back  = NULL;
  float              data[5 * 3 * 3];

  for (int i = 0; i < 45; i++)
    image->pixels[i] = i / 44.0f;
  fb_image_to_network (image, data);
  g_assert_cmpfloat (data[0], ==, -1.0f);
  g_assert_cmpfloat (data[44], ==, 1.0f);

  back = fb_image_from_network (data, 5, 3);
  for (int i = 0; i < 45; i++)
    g_assert_cmpfloat_with_epsilon (back->pixels[i], image->pixels[i], 1e-6f);
}

static void
test_alpha_goes_over_white (void)
{
  g_autoptr(FbImage) image = fb_image_new (2, 1, 4);
  float              data[6];
  const float        pixels[8] = { 0.0f, 0.5f, 1.0f, 0.0f,   0.0f, 0.5f, 1.0f, 0.5f };

  memcpy (image->pixels, pixels, sizeof pixels);
  fb_image_to_network (image, data);
  for (int c = 0; c < 3; c++)
    g_assert_cmpfloat_with_epsilon (data[c], 1.0f, 1e-6f);
  g_assert_cmpfloat_with_epsilon (data[3], 0.0f, 1e-6f);
  g_assert_cmpfloat_with_epsilon (data[4], 0.5f, 1e-6f);
  g_assert_cmpfloat_with_epsilon (data[5], 1.0f, 1e-6f);
}

static void
test_resize_keeps_a_constant (void)
{
  const int sizes[][2] = { { 1, 1 }, { 7, 3 }, { 64, 200 }, { 13, 13 } };
  g_autoptr(FbImage) image = fb_image_new (13, 17, 4);

  for (int i = 0; i < 13 * 17 * 4; i++)
    image->pixels[i] = 0.25f * (1 + i % 4);
  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    {
      g_autoptr(FbImage) out = fb_image_resize (image, sizes[s][0], sizes[s][1]);

      g_assert_cmpint (out->width, ==, sizes[s][0]);
      g_assert_cmpint (out->height, ==, sizes[s][1]);
      for (int i = 0; i < out->width * out->height * 4; i++)
        g_assert_cmpfloat_with_epsilon (out->pixels[i], 0.25f * (1 + i % 4), 1e-5f);
    }
}

/* a slow wave survives being enlarged and shrunk again; x and y must not be swapped */
static void
test_resize_there_and_back (void)
{
  g_autoptr(FbImage) image = fb_image_new (40, 24, 1);
  g_autoptr(FbImage) large = NULL;
  g_autoptr(FbImage) back  = NULL;

  for (int y = 0; y < 24; y++)
    for (int x = 0; x < 40; x++)
      image->pixels[y * 40 + x] = 0.5 + 0.3 * sin (x * 0.3) + 0.1 * cos (y * 0.2);
  large = fb_image_resize (image, 120, 72);
  back  = fb_image_resize (large, 40, 24);
  for (int y = 4; y < 20; y++)
    for (int x = 4; x < 36; x++)
      g_assert_cmpfloat_with_epsilon (back->pixels[y * 40 + x], image->pixels[y * 40 + x], 0.01f);
}

/* of a picture that is 0 around, only what is not 0 has to be there */
static void
test_resize_from_a_part (void)
{
  static const int sizes[][2] = { { 31, 23 }, { 5, 4 }, { 70, 90 }, { 1, 1 } };

  for (int n_channels = 1; n_channels <= 4; n_channels += n_channels == 1 ? 2 : 1)
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
      {
        g_autoptr(FbImage) whole = fb_image_new (31, 23, n_channels);
        g_autoptr(FbImage) part  = NULL, a = NULL, b = NULL;

        for (int i = 0; i < 31 * 23 * n_channels; i++)
          {
            const int x = i / n_channels % 31, y = i / n_channels / 31;

            whole->pixels[i] = x >= 17 && x < 26 && y >= 3 && y < 10 ? 0.1f + i % 7 : 0.0f;
          }
        part = fb_image_cut (whole, 17, 3, 9, 7);
        a    = fb_image_resize (whole, sizes[s][0], sizes[s][1]);
        b    = fb_image_resize_from (part, 17, 3, 31, 23, sizes[s][0], sizes[s][1]);
        for (int i = 0; i < a->width * a->height * n_channels; i++)
          g_assert_cmpfloat (a->pixels[i], ==, b->pixels[i]);
      }
}

static void
test_impossible_sizes_are_null (void)
{
  g_assert_null (fb_image_new (G_MAXINT, G_MAXINT, 4));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/image/network-round-trip", test_network_round_trip);
  g_test_add_func ("/core/image/alpha-goes-over-white", test_alpha_goes_over_white);
  g_test_add_func ("/core/image/resize-keeps-a-constant", test_resize_keeps_a_constant);
  g_test_add_func ("/core/image/resize-there-and-back", test_resize_there_and_back);
  g_test_add_func ("/core/image/resize-from-a-part", test_resize_from_a_part);
  g_test_add_func ("/core/image/impossible-sizes-are-null", test_impossible_sizes_are_null);
  return g_test_run ();
}
