/* tests/gimp/test-mask.c: masks on a canvas, without GIMP. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "ui/mask.h"

static guint8
at (const FbMask *mask, int x, int y)
{
  guint8 value = 0;

  fb_mask_read (mask, &(GdkRectangle) { x, y, 1, 1 }, &value);

  return value;
}

static void
test_reads_what_was_written (void)
{
  g_autoptr(FbMask)  mask   = fb_mask_new (700, 300);
  g_autofree guint8 *in     = g_malloc (400 * 100);
  g_autofree guint8 *out    = g_malloc (400 * 100);
  GdkRectangle       area   = { 200, 250, 400, 100 };      /* over several tiles and off the canvas below */
  GdkRectangle       bounds;

  for (int i = 0; i < 400 * 100; i++)
    in[i] = (guint8) (1 + i * 7 % 255);
  g_assert_false (fb_mask_get_bounds (mask, &bounds));
  fb_mask_write (mask, &area, in);
  fb_mask_read (mask, &area, out);
  g_assert_cmpmem (in, 400 * 50, out, 400 * 50);
  for (int i = 400 * 50; i < 400 * 100; i++)
    g_assert_cmpint (out[i], ==, 0);
  g_assert_true (fb_mask_get_bounds (mask, &bounds));
  g_assert_true (gdk_rectangle_equal (&bounds, &(GdkRectangle) { 200, 250, 400, 50 }));
}

static void
test_margins_are_masked_and_the_rest_moves (void)
{
  g_autoptr(FbMask) mask   = fb_mask_new (600, 300);
  g_autoptr(FbMask) larger = NULL;
  guint8            values[2] = { 7, 200 };

  fb_mask_write (mask, &(GdkRectangle) { 255, 130, 1, 2 }, values);
  larger = fb_mask_enlarged (mask, 70, 100, 5, 0);
  g_assert_cmpint (fb_mask_width (larger), ==, 675);
  g_assert_cmpint (fb_mask_height (larger), ==, 400);
  for (int y = 0; y < 400; y++)
    for (int x = 0; x < 675; x++)
      {
        const int expected = x < 70 || y < 100 || x >= 670 ? 255 : x == 325 && y == 230 ? 7 : x == 325 && y == 231 ? 200 : 0;

        g_assert_cmpint (at (larger, x, y), ==, expected);
      }
}

static void
test_copies_are_independent (void)
{
  g_autoptr(FbMask) mask = fb_mask_new (300, 300);
  g_autoptr(FbMask) copy = NULL;

  fb_mask_stroke (mask, 50, 50, 10, 50, 50, 10, 1.0, FALSE);
  copy = fb_mask_copy (mask);
  fb_mask_stroke (mask, 50, 50, 20, 50, 50, 20, 1.0, TRUE);
  g_assert_cmpint (at (mask, 50, 50), ==, 0);
  g_assert_cmpint (at (copy, 50, 50), ==, 255);
}

static void
test_inverting_twice_changes_nothing (void)
{
  g_autoptr(FbMask) mask = fb_mask_new (600, 300);
  GdkRectangle      bounds;

  fb_mask_stroke (mask, 250, 100, 20, 280, 120, 30, 0.5, FALSE);
  fb_mask_invert (mask);
  g_assert_cmpint (at (mask, 250, 100), ==, 0);
  g_assert_cmpint (at (mask, 599, 299), ==, 255);
  fb_mask_invert (mask);
  g_assert_cmpint (at (mask, 250, 100), ==, 255);
  g_assert_true (fb_mask_get_bounds (mask, &bounds));
  g_assert_cmpint (bounds.x, >=, 228);
  g_assert_cmpint (bounds.x + bounds.width, <=, 313);
  fb_mask_fill (mask, 255);
  g_assert_true (fb_mask_is_full (mask));
  fb_mask_invert (mask);
  g_assert_false (fb_mask_get_bounds (mask, &bounds));
}

/* a stroke in many pieces is the stroke in one */
static void
test_a_stroke_has_no_knots (void)
{
  g_autoptr(FbMask)  one    = fb_mask_new (300, 100);
  g_autoptr(FbMask)  many   = fb_mask_new (300, 100);
  g_autofree guint8 *a      = g_malloc (300 * 100);
  g_autofree guint8 *b      = g_malloc (300 * 100);
  GdkRectangle       all    = { 0, 0, 300, 100 };

  fb_mask_stroke (one, 40, 50, 15, 240, 50, 15, 0.3, FALSE);
  for (int x = 40; x < 240; x += 5)
    fb_mask_stroke (many, x, 50, 15, x + 5, 50, 15, 0.3, FALSE);
  fb_mask_read (one, &all, a);
  fb_mask_read (many, &all, b);
  for (int i = 0; i < 300 * 100; i++)
    g_assert_cmpint (ABS (a[i] - b[i]), <=, 1);
}

static void
test_hardness_softens_the_edge_only (void)
{
  g_autoptr(FbMask) soft = fb_mask_new (100, 100);
  g_autoptr(FbMask) hard = fb_mask_new (100, 100);

  fb_mask_stroke (soft, 50, 50, 20, 50, 50, 20, 0.5, FALSE);
  fb_mask_stroke (hard, 50, 50, 20, 50, 50, 20, 1.0, FALSE);
  g_assert_cmpint (at (soft, 50, 50), ==, 255);
  g_assert_cmpint (at (soft, 57, 50), ==, 255);
  g_assert_cmpint (at (soft, 65, 50), <, 200);
  g_assert_cmpint (at (hard, 67, 50), ==, 255);
  g_assert_cmpint (at (hard, 72, 50), ==, 0);
}

static void
test_outlines_are_filled (void)
{
  g_autoptr(FbMask) mask     = fb_mask_new (600, 600);
  const double      square[] = { 100, 100, 400, 100, 400, 400, 100, 400 };
  const double      hole[]   = { 200, 200, 300, 200, 300, 300.5, 200, 300.5 };

  fb_mask_polygon (mask, square, 4, FALSE);
  g_assert_cmpint (at (mask, 100, 100), ==, 255);
  g_assert_cmpint (at (mask, 399, 399), ==, 255);
  g_assert_cmpint (at (mask, 400, 400), ==, 0);
  fb_mask_polygon (mask, hole, 4, TRUE);
  g_assert_cmpint (at (mask, 250, 250), ==, 0);
  g_assert_cmpint (at (mask, 199, 250), ==, 255);
  g_assert_cmpint (at (mask, 250, 300), >, 100);
  g_assert_cmpint (at (mask, 250, 300), <, 155);
}

static void
test_shrinks_by_the_mean (void)
{
  g_autoptr(FbMask)  mask   = fb_mask_new (90, 60);
  const double       left[] = { 0, 0, 30, 0, 30, 60, 0, 60 };
  g_autoptr(FbImage) same   = NULL;
  g_autoptr(FbImage) small  = NULL;
  GdkRectangle       all    = { 0, 0, 90, 60 };
  double             sum    = 0.0;

  fb_mask_polygon (mask, left, 4, FALSE);
  same  = fb_mask_to_image (mask, &all, 90, 60);
  small = fb_mask_to_image (mask, &all, 4, 7);
  g_assert_cmpfloat (same->pixels[29], ==, 1.0f);
  g_assert_cmpfloat (same->pixels[30], ==, 0.0f);
  for (int i = 0; i < 28; i++)
    sum += small->pixels[i];
  g_assert_cmpfloat_with_epsilon (sum / 28.0, 1.0 / 3.0, 0.02);
}

/* a picture of squares has something wherever the mask has, also where it goes beyond the canvas */
static void
test_squares_of_a_picture_miss_nothing (void)
{
  g_autoptr(FbMask)  mask    = fb_mask_new (70, 40);
  g_autoptr(FbImage) squares = NULL;
  const guint8       faint   = 1;

  fb_mask_write (mask, &(GdkRectangle) { 63, 33, 1, 1 }, &faint);
  squares = fb_mask_to_image (mask, &(GdkRectangle) { 0, 0, 80, 48 }, 5, 3);
  for (int i = 0; i < 15; i++)
    g_assert_cmpint (squares->pixels[i] > 0.0f, ==, i == 2 * 5 + 3);
}

/* outlines are drawn a row of tiles at a time */
static void
test_outlines_cross_tiles_without_a_seam (void)
{
  g_autoptr(FbMask) mask   = fb_mask_new (1000, 700);
  const double      box[]  = { 200, 100, 900, 100, 900, 600, 200, 600 };
  const double      hole[] = { 500, 200, 700, 200, 700, 300, 500, 300 };
  GdkRectangle      bounds;

  fb_mask_polygon (mask, box, 4, FALSE);
  fb_mask_polygon (mask, hole, 4, TRUE);
  g_assert_true (fb_mask_get_bounds (mask, &bounds));
  g_assert_true (gdk_rectangle_equal (&bounds, &(GdkRectangle) { 200, 100, 700, 500 }));
  for (int y = 90; y < 610; y += 3)
    for (int x = 190; x < 910; x += 3)
      {
        const gboolean in  = x >= 200 && x < 900 && y >= 100 && y < 600;
        const gboolean out = x >= 500 && x < 700 && y >= 200 && y < 300;

        g_assert_cmpint (at (mask, x, y), ==, in && !out ? 255 : 0);
      }
}

static void
test_packs_and_unpacks (void)
{
  g_autoptr(FbMask)  mask     = fb_mask_new (12000, 9000);
  g_autoptr(FbMask)  back     = NULL;
  g_autoptr(FbMask)  empty    = fb_mask_new (30, 20);
  g_autoptr(FbMask)  nothing  = NULL;
  g_autoptr(GBytes)  packed   = NULL;
  g_autoptr(GBytes)  packed_0 = fb_mask_pack (empty);
  g_autofree guint8 *a        = g_malloc (200 * 200);
  g_autofree guint8 *b        = g_malloc (200 * 200);
  GdkRectangle       area     = { 8900, 6900, 200, 200 };
  GdkRectangle       bounds;

  fb_mask_stroke (mask, 9000, 7000, 50, 9050, 7020, 20, 0.4, FALSE);
  packed = fb_mask_pack (mask);
  g_assert_cmpuint (g_bytes_get_size (packed), <, 20000);
  back = fb_mask_unpack (packed, 12000, 9000);
  g_assert_nonnull (back);
  fb_mask_read (mask, &area, a);
  fb_mask_read (back, &area, b);
  g_assert_cmpmem (a, 200 * 200, b, 200 * 200);
  g_assert_null (fb_mask_unpack (packed, 9000, 12000));      /* of another image */
  nothing = fb_mask_unpack (packed_0, 30, 20);
  g_assert_nonnull (nothing);
  g_assert_false (fb_mask_get_bounds (nothing, &bounds));
}

/* it travels in files that others made */
static void
test_damaged_ones_are_refused (void)
{
  g_autoptr(FbMask) mask   = fb_mask_new (300, 300);
  g_autoptr(GBytes) packed = NULL;
  const guint8     *data;
  gsize             size;

  fb_mask_stroke (mask, 100, 100, 50, 120, 110, 20, 0.4, FALSE);
  packed = fb_mask_pack (mask);
  data   = g_bytes_get_data (packed, &size);
  for (gsize n = 0; n < size; n++)
    {
      g_autoptr(GBytes) cut     = g_bytes_new (data, n);
      g_autofree guint8 *copy   = g_memdup2 (data, size);
      g_autoptr(FbMask) changed = NULL;
      g_autoptr(GBytes) wrong   = NULL;

      g_assert_null (fb_mask_unpack (cut, 300, 300));
      copy[n] ^= 0x55;
      wrong   = g_bytes_new (copy, size);
      changed = fb_mask_unpack (wrong, 300, 300);             /* the checksum is at the end; nothing may crash before */
      g_assert_null (changed);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ui/mask/reads-what-was-written", test_reads_what_was_written);
  g_test_add_func ("/ui/mask/copies-are-independent", test_copies_are_independent);
  g_test_add_func ("/ui/mask/inverting-twice-changes-nothing", test_inverting_twice_changes_nothing);
  g_test_add_func ("/ui/mask/a-stroke-has-no-knots", test_a_stroke_has_no_knots);
  g_test_add_func ("/ui/mask/hardness-softens-the-edge-only", test_hardness_softens_the_edge_only);
  g_test_add_func ("/ui/mask/outlines-are-filled", test_outlines_are_filled);
  g_test_add_func ("/ui/mask/shrinks-by-the-mean", test_shrinks_by_the_mean);
  g_test_add_func ("/ui/mask/margins-are-masked-and-the-rest-moves", test_margins_are_masked_and_the_rest_moves);
  g_test_add_func ("/ui/mask/squares-of-a-picture-miss-nothing", test_squares_of_a_picture_miss_nothing);
  g_test_add_func ("/ui/mask/outlines-cross-tiles-without-a-seam", test_outlines_cross_tiles_without_a_seam);
  g_test_add_func ("/ui/mask/packs-and-unpacks", test_packs_and_unpacks);
  g_test_add_func ("/ui/mask/damaged-ones-are-refused", test_damaged_ones_are_refused);

  return g_test_run ();
}
