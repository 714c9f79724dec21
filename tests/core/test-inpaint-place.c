/* tests/core/test-inpaint-place.c: the context around a mask, and the way back into the picture. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>
#include <string.h>

/* --- sizes: the vectors of a survey of peers, at a feather of 10 % and a model of 512 ------------------------------------ */

static const struct
{
  const char *name;
  int         width, height;
  FbRect      mask;
  double      strength;
  FbRect      context;
} vectors[] =
{
  { "square",         1024, 1024, { 400, 400, 200, 200 },     1.0, { 196, 196, 608, 608 }    },
  { "large-canvas",   4000, 3000, { 1800, 1200, 400, 300 },   1.0, { 1496, 846, 1008, 1008 } },
  { "refined",        4000, 3000, { 1800, 1200, 400, 300 },   0.6, { 1736, 1134, 528, 432 }  },
  { "most-of-it",     4000, 3000, { 100, 100, 2500, 2000 },   1.0, { 0, 0, 4000, 3000 }      },
  { "most-refined",   4000, 3000, { 100, 100, 2500, 2000 },   0.8, { 0, 0, 3408, 2912 }      },
  { "at-the-edge",    1920, 1080, { 1500, 0, 420, 1080 },     1.0, { 176, 0, 1744, 1080 }    },
  { "in-the-corner",   800,  600, { 10, 10, 60, 40 },         1.0, { 0, 0, 512, 512 }        },
};

static void
assert_rect (FbRect a, FbRect b)
{
  g_assert_cmpint (a.x, ==, b.x);
  g_assert_cmpint (a.y, ==, b.y);
  g_assert_cmpint (a.width, ==, b.width);
  g_assert_cmpint (a.height, ==, b.height);
}

static FbInpaintPlace
place_of (int width, int height, FbRect mask, double strength)
{
  return (FbInpaintPlace) { .canvas_width = width, .canvas_height = height, .mask = mask, .strength = strength, .feather = 0.1 };
}

static void
test_vector (gconstpointer data)
{
  const int      i     = GPOINTER_TO_INT (data);
  FbInpaintPlace place = place_of (vectors[i].width, vectors[i].height, vectors[i].mask, vectors[i].strength);
  FbRect         context;

  g_assert_true (fb_inpaint_context (&place, &context));
  assert_rect (context, vectors[i].context);
}

/* strength, diagonal, width, grow, blend, where the wide ramp begins and ends, where the narrow one begins. Blend follows the diagonal above 500,
 * where the survey's stays at 25. */
static void
test_ramps_are_those_of_the_table (void)
{
  static const double rows[][8] =
  {
    { 1.00,  100,  32,  20,  25, 4,  36,  12 },
    { 1.00,  500,  50,  29,  25, 4,  54,  30 },
    { 1.00, 1000, 100,  54,  50, 4, 104,  54 },
    { 1.00, 2000, 200, 104, 100, 4, 204, 104 },
    { 0.75,  500,  37,  22,  25, 4,  40,  16 },
    { 0.50,  300,  16,  12,  20, 4,  20,   0 },
    { 0.50,  500,  25,  16,  25, 4,  28,   4 },
    { 0.25,  500,  12,  10,  16, 4,  16,   0 },
  };
  const FbRampWishes wishes = { 0.1, -1.0, -1.0 };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      FbRamps ramps;

      fb_ramps_init (&ramps, rows[i][1], 1.0, rows[i][0], &wishes);
      g_assert_cmpint (ramps.width, ==, rows[i][2]);
      g_assert_cmpint (ramps.grow, ==, rows[i][3]);
      g_assert_cmpint (ramps.blend, ==, rows[i][4]);
      g_assert_cmpint (ramps.inner, ==, rows[i][5]);
      g_assert_cmpint (ramps.outer, ==, rows[i][6]);
      g_assert_cmpint (ramps.blend_inner, ==, rows[i][7]);
    }
}

static void
test_no_feather_means_no_ramp (void)
{
  const FbRampWishes none = { 0.0, -1.0, -1.0 };
  const FbRampWishes pair = { 0.0, 0.02, 0.01 };
  FbRamps            ramps;

  fb_ramps_init (&ramps, 500.0, 1.0, 1.0, &none);
  g_assert_cmpint (ramps.inner, ==, 0);
  g_assert_cmpint (ramps.outer, ==, 0);
  g_assert_cmpint (ramps.blend, ==, 0);
  fb_ramps_init (&ramps, 500.0, 1.0, 1.0, &pair);
  g_assert_cmpint (ramps.inner, ==, 10);
  g_assert_cmpint (ramps.outer, ==, 10);
  g_assert_cmpint (ramps.blend_inner, ==, 6);
}

/* --- properties of the context ------------------------------------------------------------------------------------------- */

static void
test_context_holds_the_mask_and_lies_on_the_canvas (void)
{
  g_autoptr(GRand) random = g_rand_new_with_seed (1);

  for (int i = 0; i < 2000; i++)
    {
      FbInpaintPlace place = { .canvas_width = g_rand_int_range (random, 1, 12000), .canvas_height = g_rand_int_range (random, 1, 9000),
                               .use = g_rand_int_range (random, 0, FB_INPAINT_N_USES), .context = g_rand_int_range (random, 0, 3),
                               .strength = g_rand_double_range (random, -0.2, 1.0), .feather = g_rand_double_range (random, 0.0, 0.5),
                               .native = 128 << g_rand_int_range (random, 0, 4) };
      FbRect         context;

      place.mask.width  = g_rand_int_range (random, 1, place.canvas_width + 1);
      place.mask.height = g_rand_int_range (random, 1, place.canvas_height + 1);
      place.mask.x      = g_rand_int_range (random, 0, place.canvas_width - place.mask.width + 1);
      place.mask.y      = g_rand_int_range (random, 0, place.canvas_height - place.mask.height + 1);
      g_assert_true (fb_inpaint_context (&place, &context));
      g_assert_cmpint (context.x, >=, 0);
      g_assert_cmpint (context.y, >=, 0);
      g_assert_cmpint (context.x + context.width, <=, place.canvas_width);
      g_assert_cmpint (context.y + context.height, <=, place.canvas_height);
      g_assert_cmpint (context.x, <=, place.mask.x);
      g_assert_cmpint (context.y, <=, place.mask.y);
      g_assert_cmpint (context.x + context.width, >=, place.mask.x + place.mask.width);
      g_assert_cmpint (context.y + context.height, >=, place.mask.y + place.mask.height);
    }
}

static void
test_context_grows_with_the_strength (void)
{
  int before = 0;

  for (int s = 50; s <= 100; s++)
    {
      FbInpaintPlace place = place_of (4000, 3000, (FbRect) { 1800, 1200, 400, 300 }, s / 100.0);
      FbRect         context;

      g_assert_true (fb_inpaint_context (&place, &context));
      g_assert_cmpint (context.width, >=, before);
      g_assert_cmpint (before == 0 ? 0 : context.width - before, <=, 80);      /* no jump at 1, where it had nearly doubled */
      before = context.width;
    }
}

static void
test_context_of_a_small_mask_does_not_grow_with_the_canvas (void)
{
  FbInpaintPlace place = place_of (12000, 9000, (FbRect) { 6000, 4000, 100, 100 }, 1.0);
  FbRect         context;

  g_assert_true (fb_inpaint_context (&place, &context));
  g_assert_cmpint (context.width, <, 2000);
}

static void
test_masks_off_the_canvas_have_no_context (void)
{
  FbInpaintPlace place = place_of (100, 100, (FbRect) { 100, 0, 10, 10 }, 1.0);
  FbRect         context;

  g_assert_false (fb_inpaint_context (&place, &context));
  place.mask = (FbRect) { 0, 0, 0, 0 };
  g_assert_false (fb_inpaint_context (&place, &context));
  place.mask = (FbRect) { -5, -5, 6, 6 };
  g_assert_true (fb_inpaint_context (&place, &context));
  assert_rect (context, (FbRect) { 0, 0, 100, 100 });
  place.mask = (FbRect) { 0, 0, 0, 0 };
  place.use  = FB_INPAINT_BACKGROUND;                           /* an empty mask, inverted */
  g_assert_true (fb_inpaint_context (&place, &context));
  assert_rect (context, (FbRect) { 0, 0, 100, 100 });
}

/* --- the way back -------------------------------------------------------------------------------------------------------- */

static FbImage *
random_image (GRand *random, int width, int height, int n_channels)
{
  FbImage *image = fb_image_new (width, height, n_channels);

  for (int i = 0; i < width * height * n_channels; i++)
    image->pixels[i] = g_rand_double_range (random, -0.1, 1.2);
  return image;
}

static void
test_pixels_outside_the_mask_stay_bit_for_bit (void)
{
  g_autoptr(GRand) random = g_rand_new_with_seed (2);

  for (int k = 0; k < 60; k++)
    {
      const int          C      = 3 + k % 2;
      g_autoptr(FbImage) image  = random_image (random, 17, 13, C);
      g_autoptr(FbImage) result = random_image (random, 17, 13, 4);
      g_autoptr(FbImage) out    = NULL;
      const int          levels = k % 3 == 0 ? 255 : k % 3 == 1 ? 65535 : 0;      /* as 8 bit, 16 bit, float pictures have them */

      for (int i = 0; levels > 0 && i < 17 * 13 * C; i++)
        image->pixels[i] = rintf (CLAMP (image->pixels[i], 0.0f, 1.0f) * levels) / levels;
      for (int i = 0; i < 17 * 13; i++)
        result->pixels[4 * i + 3] = CLAMP (2.0f * result->pixels[4 * i + 3] - 1.0f, 0.0f, 1.0f);
      out = fb_inpaint_blend (image, result);
      for (int i = 0; i < 17 * 13; i++)
        if (result->pixels[4 * i + 3] == 0.0f)
          g_assert_cmpmem (out->pixels + C * i, C * sizeof (float), image->pixels + C * i, C * sizeof (float));
        else if (result->pixels[4 * i + 3] == 1.0f)
          g_assert_cmpmem (out->pixels + C * i, 3 * sizeof (float), result->pixels + 4 * i, 3 * sizeof (float));
    }
}

static void
test_equal_colours_blend_to_themselves (void)
{
  g_autoptr(FbImage) image  = fb_image_new (2, 1, 3);
  g_autoptr(FbImage) result = fb_image_new (2, 1, 4);
  g_autoptr(FbImage) out    = NULL;
  const float        pixels[8] = { 0.1f, 0.5f, 0.9f, 0.3f, 0.7f, 0.02f, 1.1f, 0.6f };

  memcpy (result->pixels, pixels, sizeof pixels);
  for (int i = 0; i < 2; i++)
    memcpy (image->pixels + 3 * i, pixels + 4 * i, 3 * sizeof (float));
  out = fb_inpaint_blend (image, result);
  g_assert_cmpmem (out->pixels, 6 * sizeof (float), image->pixels, 6 * sizeof (float));
}

/* halfway between black and white in linear light is 0.7354 in sRGB */
static void
test_light_is_mixed_linearly (void)
{
  g_autoptr(FbImage) image  = fb_image_new (1, 1, 3);
  g_autoptr(FbImage) result = fb_image_new (1, 1, 4);
  g_autoptr(FbImage) out    = NULL;

  for (int c = 0; c < 3; c++)
    image->pixels[c] = 0.0f, result->pixels[c] = 1.0f;
  result->pixels[3] = 0.5f;
  out = fb_inpaint_blend (image, result);
  g_assert_cmpfloat_with_epsilon (out->pixels[0], 0.735357, 1e-5);
}

static void
test_transparent_pixels_take_the_result_alone (void)
{
  g_autoptr(FbImage) image  = fb_image_new (1, 1, 4);
  g_autoptr(FbImage) result = fb_image_new (1, 1, 4);
  g_autoptr(FbImage) out    = NULL;

  memset (image->pixels, 0, 4 * sizeof (float));
  for (int c = 0; c < 4; c++)
    result->pixels[c] = 0.25f;
  out = fb_inpaint_blend (image, result);
  g_assert_cmpfloat_with_epsilon (out->pixels[0], 0.25, 1e-6);
  g_assert_cmpfloat (out->pixels[3], ==, 0.25f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (vectors); i++)
    {
      g_autofree char *path = g_strdup_printf ("/core/tasks/inpaint/context/%s", vectors[i].name);
      g_test_add_data_func (path, GINT_TO_POINTER (i), test_vector);
    }
#define ADD(name, func) g_test_add_func ("/core/tasks/inpaint/" name, func)
  ADD ("ramps-are-those-of-the-table", test_ramps_are_those_of_the_table);
  ADD ("no-feather-means-no-ramp", test_no_feather_means_no_ramp);
  ADD ("context-holds-the-mask-and-lies-on-the-canvas", test_context_holds_the_mask_and_lies_on_the_canvas);
  ADD ("context-grows-with-the-strength", test_context_grows_with_the_strength);
  ADD ("context-of-a-small-mask-does-not-grow-with-the-canvas", test_context_of_a_small_mask_does_not_grow_with_the_canvas);
  ADD ("masks-off-the-canvas-have-no-context", test_masks_off_the_canvas_have_no_context);
  ADD ("pixels-outside-the-mask-stay-bit-for-bit", test_pixels_outside_the_mask_stay_bit_for_bit);
  ADD ("equal-colours-blend-to-themselves", test_equal_colours_blend_to_themselves);
  ADD ("light-is-mixed-linearly", test_light_is_mixed_linearly);
  ADD ("transparent-pixels-take-the-result-alone", test_transparent_pixels_take_the_result_alone);

  return g_test_run ();
}
