/* tests/core/test-inpaint-steps.c: the steps around the network against NumPy and SciPy (tests/golden/inpaint-steps/make.py), and pieces.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#define N_CASES   50
#define N_FIELDS  (6 * 6)
#define TOLERANCE 2e-4

static char *
golden_file (const char *name, gsize *n_bytes)
{
  g_autofree char   *path  = g_test_build_filename (G_TEST_DIST, "golden", "inpaint-steps", name, NULL);
  g_autoptr(GError)  error = NULL;
  char              *text  = NULL;

  g_file_get_contents (path, &text, n_bytes, &error);
  g_assert_no_error (error);
  return text;
}

static void
test_contexts_are_numpys (void)
{
  g_autofree char *text  = golden_file ("contexts.txt", NULL);
  g_auto(GStrv)    lines = g_strsplit (g_strchomp (text), "\n", -1);

  g_assert_cmpuint (g_strv_length (lines), ==, N_CASES);
  for (int i = 0; i < N_CASES; i++)
    {
      FbInpaintPlace p = { .use = FB_INPAINT_FILL };
      FbRect         expected, context;

      g_assert_cmpint (sscanf (lines[i], "%d %d %d %d %d %d %lf %lf %d %d %d %d %d", &p.canvas_width, &p.canvas_height, &p.mask.x, &p.mask.y,
                               &p.mask.width, &p.mask.height, &p.strength, &p.feather, &p.native,
                               &expected.x, &expected.y, &expected.width, &expected.height), ==, 13);
      g_assert_true (fb_inpaint_context (&p, &context));
      g_test_message ("case %d", i);
      g_assert_cmpmem (&context, sizeof context, &expected, sizeof expected);
    }
}

/* --- the generator of make.py -------------------------------------------------------------------------------------------- */

static guint32 state;

static int
below (int n)
{
  state = state * 1664525u + 1013904223u;
  return (int) ((state >> 8) % (guint32) n);
}

static FbImage *
random_picture (int width, int height, float factor)
{
  FbImage *image = fb_image_new (width, height, 3);

  for (int i = 0; i < width * height * 3; i++)
    image->pixels[i] = below (256) / 255.0f * factor;
  return image;
}

static FbImage *
random_mask (int width, int height, gboolean grey)
{
  FbImage *mask = fb_image_new (width, height, 1);

  memset (mask->pixels, 0, fb_image_n_bytes (mask));
  for (int k = 1 + below (3); k > 0; k--)
    {
      const int   w = 1 + below (width / 2), h = 1 + below (height / 2);
      const int   left = below (width - w + 1), top = below (height - h + 1);
      const float value = grey ? (1 + below (4)) / 4.0f : 1.0f;

      for (int y = top; y < top + h; y++)
        for (int x = left; x < left + w; x++)
          mask->pixels[y * width + x] = MAX (mask->pixels[y * width + x], value);
    }
  return mask;
}

/* means over 6 × 6 fields are those that come next */
static void
assert_fields (const FbImage *image, const float **expected, const char *what, int k)
{
  const int W = image->width, H = image->height, C = image->n_channels;

  for (int i = 0; i < 6; i++)
    for (int j = 0; j < 6; j++)
      for (int c = 0; c < C; c++, (*expected)++)
        {
          double sum = 0.0;
          int    n   = 0;

          for (int y = i * H / 6; y < (i + 1) * H / 6; y++)
            for (int x = j * W / 6; x < (j + 1) * W / 6; x++, n++)
              sum += image->pixels[(y * W + x) * C + c];
          if (fabs (sum / n - **expected) > TOLERANCE)
            g_error ("case %d, %s, field %d %d channel %d: %g instead of %g", k, what, i, j, c, sum / n, **expected);
        }
}

static void
run_case (int k, const float **expected)
{
  const int              W = (state = 100 + k, 24 + below (41)), H = 24 + below (41);
  g_autoptr(FbImage)     picture   = random_picture (W, H, 1.0f);
  g_autoptr(FbImage)     drawn     = random_picture (W, H, 0.7f);
  g_autoptr(FbImage)     mask      = random_mask (W, H, k % 2 == 1);
  g_autoptr(FbImage)     denoise   = NULL, composite = NULL, taken = NULL, blended = NULL;
  g_autoptr(FbHole)      hole      = NULL;
  g_autoptr(FbImage)     rgba      = fb_image_new (W, H, 4);
  g_autofree float      *weights   = g_new (float, W * H);
  FbPiece                piece     = { .width = 64, .height = 64 };
  FbRampWishes           wishes    = { 0.0, -1.0, -1.0 };
  FbRamps                ramps;
  FbRect                 bounds;
  double                 unit, strength, scale;

  g_assert_true (fb_mask_bounds (mask, &bounds));
  unit           = 0.5 / (1 + below (3));
  strength       = (1 + below (4)) / 4.0;
  wishes.feather = (1 + below (8)) / 32.0;
  fb_ramps_init (&ramps, hypot (bounds.width, bounds.height), unit, strength, &wishes);
  fb_mask_grow (mask, &ramps, &denoise, &composite);
  assert_fields (denoise, expected, "denoise", k);
  assert_fields (composite, expected, "composite", k);

  piece.crop.width  = 8 + below (W - 7);
  piece.crop.height = 8 + below (H - 7);
  piece.crop.x      = below (W - piece.crop.width + 1);
  piece.crop.y      = below (H - piece.crop.height + 1);
  scale             = MIN (64.0 / piece.crop.width, 64.0 / piece.crop.height);
  piece.inner.width  = (int) rint (piece.crop.width * scale);
  piece.inner.height = (int) rint (piece.crop.height * scale);
  piece.inner.x      = (64 - piece.inner.width) / 2;
  piece.inner.y      = (64 - piece.inner.height) / 2;
  taken = fb_piece_take (&piece, picture);
  assert_fields (taken, expected, "taken", k);

  hole = fb_hole_new (denoise->pixels, W, H);
  {
    g_autoptr(FbImage) spread = fb_image_new (W, H, 3);

    memcpy (spread->pixels, picture->pixels, fb_image_n_bytes (picture));
    fb_spread_inwards (hole, spread);
    assert_fields (spread, expected, "spread", k);
  }

  for (int i = 0; i < W * H; i++)
    {
      weights[i] = 1.0f - denoise->pixels[i];
      memcpy (rgba->pixels + 4 * i, drawn->pixels + 3 * i, 3 * sizeof (float));
      rgba->pixels[4 * i + 3] = composite->pixels[i];
    }
  fb_match_colours (drawn, picture, weights, hole);
  assert_fields (drawn, expected, "matched", k);
  blended = fb_inpaint_blend (picture, rgba);
  assert_fields (blended, expected, "blended", k);
}

static void
test_steps_are_numpys (void)
{
  gsize            n_bytes;
  g_autofree char *bytes    = golden_file ("steps.f32", &n_bytes);
  const float     *expected = (const float *) bytes;

  g_assert_cmpuint (n_bytes, ==, N_CASES * N_FIELDS * (2 + 4 * 3) * sizeof (float));
  for (int k = 0; k < N_CASES; k++)
    run_case (k, &expected);
}

/* --- what else holds for masks -------------------------------------------------------------------------------------------- */

static void
test_masks_hold_the_selection_and_end_together (void)
{
  for (int k = 0; k < 200; k++)
    {
      const int          W = (state = 9000 + k, 10 + below (90)), H = 10 + below (90);
      g_autoptr(FbImage) mask    = random_mask (W, H, k % 2 == 1);
      g_autoptr(FbImage) denoise = NULL, composite = NULL;
      const FbRampWishes wishes  = { below (9) / 16.0, k % 3 == 0 ? 0.1 : -1.0, k % 5 == 0 ? 0.02 : -1.0 };
      FbRamps            ramps;

      fb_ramps_init (&ramps, W, 0.5, 1.0, &wishes);
      fb_mask_grow (mask, &ramps, &denoise, &composite);
      for (int i = 0; i < W * H; i++)
        {
          g_assert_cmpfloat (denoise->pixels[i], >=, mask->pixels[i]);
          g_assert_cmpfloat (composite->pixels[i], >=, mask->pixels[i]);
          g_assert_cmpfloat (denoise->pixels[i], <=, 1.0f);
          g_assert_cmpint (denoise->pixels[i] > 0.0f, ==, composite->pixels[i] > 0.0f);
        }
    }
}

/* a single pixel grows to a disc, not to a square */
static void
test_masks_grow_round (void)
{
  g_autoptr(FbImage) mask    = fb_image_new (101, 101, 1);
  g_autoptr(FbImage) denoise = NULL, composite = NULL;
  const FbRamps      ramps   = { .inner = 20, .outer = 40, .blend_inner = 30 };

  memset (mask->pixels, 0, fb_image_n_bytes (mask));
  mask->pixels[50 * 101 + 50] = 1.0f;
  fb_mask_grow (mask, &ramps, &denoise, &composite);
  for (int y = 0; y < 101; y++)
    for (int x = 0; x < 101; x++)
      {
        const double d = hypot (x - 50, y - 50);

        g_assert_cmpint (denoise->pixels[y * 101 + x] == 1.0f, ==, d <= 20.0);
        g_assert_cmpint (denoise->pixels[y * 101 + x] > 0.0f, ==, d < 40.0);
      }
}

static void
test_masks_without_a_ramp_grow_round_too (void)
{
  g_autoptr(FbImage) mask    = fb_image_new (61, 61, 1);
  g_autoptr(FbImage) denoise = NULL, composite = NULL;
  const FbRamps      ramps   = { .inner = 20, .outer = 20, .blend_inner = 20 };

  memset (mask->pixels, 0, fb_image_n_bytes (mask));
  mask->pixels[30 * 61 + 30] = 1.0f;
  fb_mask_grow (mask, &ramps, &denoise, &composite);
  for (int i = 0; i < 61 * 61; i++)
    g_assert_cmpfloat (denoise->pixels[i], ==, hypot (i % 61 - 30, i / 61 - 30) < 20.0 ? 1.0f : 0.0f);
}

/* a wide soft edge is kept as it is, and not hardened at some value */
static void
test_wide_soft_edges_are_kept (void)
{
  g_autoptr(FbImage) mask    = fb_image_new (400, 20, 1);
  g_autoptr(FbImage) denoise = NULL, composite = NULL;
  const FbRamps      ramps   = { .inner = 2, .outer = 18, .blend_inner = 6 };

  for (int y = 0; y < 20; y++)
    for (int x = 0; x < 400; x++)
      mask->pixels[y * 400 + x] = CLAMP ((350 - x) / 300.0f, 0.0f, 1.0f);
  fb_mask_grow (mask, &ramps, &denoise, &composite);
  for (int x = 60; x < 320; x++)
    g_assert_cmpfloat_with_epsilon (denoise->pixels[10 * 400 + x], mask->pixels[10 * 400 + x], 0.06);
}

/* --- pieces -------------------------------------------------------------------------------------------------------------- */

static void
test_pieces_come_from_a_short_list_and_keep_their_shape (void)
{
  g_autoptr(GHashTable) sizes = g_hash_table_new (NULL, NULL);

  for (int w = 1; w < 5000; w = w * 5 / 4 + 1)
    for (int h = 1; h < 5000; h = h * 5 / 4 + 1)
      {
        FbPiece piece = { .crop = { 0, 0, w, h } };

        fb_piece_fit (&piece, 512, 0);
        g_hash_table_add (sizes, GINT_TO_POINTER (piece.width * 10000 + piece.height));
        g_assert_cmpint (piece.width % 64, ==, 0);
        g_assert_cmpint (piece.height % 64, ==, 0);
        g_assert_cmpint (piece.width * piece.height, <=, 512 * 512 * 3 / 2);
        g_assert_cmpint (piece.inner.x + piece.inner.width, <=, piece.width);
        g_assert_cmpint (piece.inner.y + piece.inner.height, <=, piece.height);
        if (MIN (piece.inner.width, piece.inner.height) > 64)
          g_assert_cmpfloat (fabs (log ((double) piece.inner.width / w * h / piece.inner.height)), <, 0.01);
      }
  g_assert_cmpuint (g_hash_table_size (sizes), <, 48);
}

static void
test_squares_of_the_models_size_are_not_scaled (void)
{
  static const int natives[] = { 128, 256, 512, 1024 };

  for (gsize i = 0; i < G_N_ELEMENTS (natives); i++)
    {
      FbPiece piece = { .crop = { 0, 0, natives[i], natives[i] } };

      fb_piece_fit (&piece, natives[i], 0);
      g_assert_cmpint (piece.width, ==, natives[i]);
      g_assert_cmpint (piece.height, ==, natives[i]);
      g_assert_cmpint (piece.inner.width, ==, natives[i]);
      fb_piece_fit (&piece, natives[i], 256);
      g_assert_cmpint (piece.width, ==, 256);
    }
}

static void
test_a_crop_comes_back_as_it_went (void)
{
  g_autoptr(FbImage) image = (state = 5, random_picture (100, 80, 1.0f));
  FbPiece            piece = { .crop = { 10, 20, 64, 48 }, .width = 64, .height = 64, .inner = { 0, 8, 64, 48 } };
  g_autoptr(FbImage) taken = fb_piece_take (&piece, image);
  g_autoptr(FbImage) given = fb_piece_give (&piece, taken, 64, 48, (FbRect) { 0, 0, 64, 48 });

  for (int y = 0; y < 48; y++)
    for (int i = 0; i < 64 * 3; i++)
      g_assert_cmpfloat_with_epsilon (given->pixels[y * 64 * 3 + i], image->pixels[((20 + y) * 100 + 10) * 3 + i], 1e-5);
}

static void
test_transparent_neighbours_do_not_darken (void)
{
  g_autoptr(FbImage) image = fb_image_new (64, 64, 4);
  FbPiece            piece = { .crop = { 0, 0, 64, 64 }, .width = 32, .height = 32, .inner = { 0, 0, 32, 32 } };
  g_autoptr(FbImage) taken = NULL;

  for (int i = 0; i < 64 * 64; i++)
    for (int c = 0; c < 4; c++)
      image->pixels[4 * i + c] = i % 64 < 31 ? 1.0f : 0.0f;
  taken = fb_piece_take (&piece, image);
  for (int i = 0; i < 32 * 32; i++)
    if (taken->pixels[4 * i + 3] > 0.1f)
      g_assert_cmpfloat_with_epsilon (taken->pixels[4 * i], 1.0, 1e-3);
}

static FbImage *
dots (int width, int height, int n, int stride)
{
  FbImage *mask = fb_image_new (width, height, 1);

  memset (mask->pixels, 0, fb_image_n_bytes (mask));
  for (int k = 0; k < n; k++)
    for (int y = 0; y < 10; y++)
      for (int x = 0; x < 10; x++)
        mask->pixels[(size_t) (20 + y) * width + 20 + k * stride + x] = 1.0f;
  return mask;
}

static void
test_near_islands_are_one_piece_and_far_ones_several (void)
{
  static const struct { int width, n, stride, pieces; } cases[] =
  {
    {  600,  2,  100, 1 },
    { 6000,  2, 5000, 2 },
    { 6000,  3, 2500, 3 },
    { 6000,  3,   60, 1 },
    { 6000, 90,   60, 1 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(FbImage)  mask   = dots (cases[i].width, 512, cases[i].n, cases[i].stride);
      g_autoptr(FbPieces) pieces = fb_pieces_new (mask, &(FbView) { mask->width, mask->height, { 0, 0, mask->width, mask->height } }, 512, 0, FALSE);

      g_test_message ("case %d", (int) i);
      g_assert_cmpint (pieces->n, ==, cases[i].pieces);
      for (int k = 0; k < cases[i].n; k++)
        {
          const int     cell  = 20 / FB_PIECE_CELL * pieces->cells_x + (20 + k * cases[i].stride) / FB_PIECE_CELL;
          const int     owner = pieces->owners[cell];
          const FbRect *crop  = &pieces->pieces[owner].crop;

          g_assert_cmpint (owner, >=, 0);
          g_assert_cmpint (crop->x, <=, 20 + k * cases[i].stride);
          g_assert_cmpint (crop->x + crop->width, >=, 30 + k * cases[i].stride);
        }
    }
}

/* a hole at the right border and at no other is drawn with a margin there */
static void
test_margins_are_where_the_hole_meets_the_border (void)
{
  g_autoptr(FbImage)  mask   = fb_image_new (192, 192, 1);
  const FbView        view   = { 192, 192, { 0, 0, 192, 192 } };
  g_autoptr(FbPieces) plain  = NULL, mirrors = NULL;

  for (int i = 0; i < 192 * 192; i++)
    mask->pixels[i] = i % 192 >= 150 && i / 192 >= 80 && i / 192 < 120 ? 1.0f : 0.0f;
  plain   = fb_pieces_new (mask, &view, 128, 0, FALSE);
  mirrors = fb_pieces_new (mask, &view, 128, 0, TRUE);
  g_assert_cmpint (mirrors->n, ==, 1);
  g_assert_cmpint (plain->pieces[0].inner.width, ==, plain->pieces[0].width);
  g_assert_true (mirrors->pieces[0].margins.right);
  g_assert_false (mirrors->pieces[0].margins.left || mirrors->pieces[0].margins.top || mirrors->pieces[0].margins.bottom);
  g_assert_cmpint (mirrors->pieces[0].inner.x + mirrors->pieces[0].inner.width + 16, <=, mirrors->pieces[0].width);
  g_assert_cmpint (mirrors->pieces[0].inner.y + mirrors->pieces[0].inner.height, <=, mirrors->pieces[0].height);
}

/* --- fill ---------------------------------------------------------------------------------------------------------------- */

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

/* --- tiles --------------------------------------------------------------------------------------------------------------- */

static gboolean
is_in_a_tile (const FbTiles *tiles, int x, int y)
{
  for (int i = 0; i < tiles->n_x * tiles->n_y; i++)
    {
      const FbRect *c = &tiles->parts[i].rect;

      if (x >= c->x && x < c->x + c->width && y >= c->y && y < c->y + c->height)
        return TRUE;
    }
  return FALSE;
}

static void
test_tiles_cover_what_is_shown_in_more_detail (void)
{
  int n_with = 0, n_without = 0;

  state = 21;
  for (int k = 0; k < 300; k++)
    {
      const int    native = 64 * (1 + below (8));
      const int    width  = native / 2 + below (6 * native), height = native / 2 + below (6 * native);
      const int    w      = 1 + below (width), h = 1 + below (height);
      const FbRect bounds = { below (width - w + 1), below (height - h + 1), w, h };
      FbPiece      piece  = { .crop = { 0, 0, width, height } };
      FbTiles      tiles;
      double       coarse;

      fb_piece_fit (&piece, native, 0);
      coarse = (double) piece.inner.width / width;
      if (!fb_tiles_init (&tiles, &piece, bounds, width, height, native, FB_MAX_TILES))
        {
          g_assert_cmpint (tiles.n_x * tiles.n_y, ==, 0);
          n_without++;
          continue;
        }
      n_with++;
      g_assert_cmpint (tiles.n_x * tiles.n_y, >=, 1);
      g_assert_cmpint (tiles.n_x * tiles.n_y, <=, FB_MAX_TILES);
      for (int i = 0; i < tiles.n_x * tiles.n_y; i++)
        {
          const FbPiece *t = &tiles.pieces[i];

          g_assert_cmpint (t->crop.x, >=, 0);
          g_assert_cmpint (t->crop.y, >=, 0);
          g_assert_cmpint (t->crop.x + t->crop.width, <=, width);
          g_assert_cmpint (t->crop.y + t->crop.height, <=, height);
          g_assert_cmpfloat ((double) t->inner.width / t->crop.width, >, 1.3 * coarse);
          g_assert_cmpint (tiles.parts[i].rect.x, >=, t->crop.x);
          g_assert_cmpint (tiles.parts[i].rect.y, >=, t->crop.y);
          g_assert_cmpint (tiles.parts[i].rect.x + tiles.parts[i].rect.width, <=, t->crop.x + t->crop.width);
          g_assert_cmpint (tiles.parts[i].rect.y + tiles.parts[i].rect.height, <=, t->crop.y + t->crop.height);
          g_assert_cmpint (t->width * t->height, <=, 1.5 * native * native);
        }
      for (int n = 0; n < 200; n++)
        {
          const int x = bounds.x + below (w), y = bounds.y + below (h);

          g_assert_true (is_in_a_tile (&tiles, x, y));
        }
    }
  g_assert_cmpint (n_with, >, 50);
  g_assert_cmpint (n_without, >, 10);
}

/* --- threads ------------------------------------------------------------------------------------------------------------- */

/* (transfer full): what all the steps together make of one picture with @n_threads */
static FbImage *
all_steps (int n_threads)
{
  const FbRamps      ramps     = { .inner = 5, .outer = 40, .blend_inner = 20 };
  g_autoptr(FbImage) picture   = (state = 11, random_picture (230, 170, 1.0f));
  g_autoptr(FbImage) mask      = random_mask (230, 170, TRUE);
  g_autoptr(FbImage) denoise   = NULL, composite = NULL, taken = NULL, small = NULL, filled = NULL, given = NULL, result = NULL;
  g_autoptr(FbHole)  hole      = NULL;
  g_autofree float  *weights   = g_new (float, 128 * 96);
  FbPiece            piece     = { { 0, 0, 230, 170 }, 128, 96, { 0, 0, 128, 95 } };

  omp_set_num_threads (n_threads);
  fb_mask_grow (mask, &ramps, &denoise, &composite);
  taken  = fb_piece_take (&piece, picture);
  small  = fb_piece_take (&piece, denoise);
  filled = fb_piece_take (&piece, picture);
  hole   = fb_hole_new (small->pixels, 128, 96);
  fb_hole_fill (hole, FB_FILL_BORDER, 1.0, FALSE, filled);
  fb_hole_fill (hole, FB_FILL_BLUR, 0.5, FALSE, filled);
  for (int i = 0; i < 128 * 96; i++)
    {
      weights[i] = 1.0f - CLAMP (small->pixels[i], 0.0f, 1.0f);
      for (int c = 0; c < 3; c++)
        filled->pixels[3 * i + c] = filled->pixels[3 * i + c] * 0.8f + 0.03f * c;
    }
  fb_match_colours (filled, taken, weights, hole);
  fb_match_seam (filled, taken, weights, hole, FALSE);
  given  = fb_piece_give (&piece, filled, 230, 170, (FbRect) { 0, 0, 230, 170 });
  result = fb_image_new (230, 170, 4);
  for (int i = 0; i < 230 * 170; i++)
    {
      memcpy (result->pixels + 4 * i, given->pixels + 3 * i, 3 * sizeof (float));
      result->pixels[4 * i + 3] = composite->pixels[i];
    }

  return fb_inpaint_blend (picture, result);
}

static void
test_threads_do_not_matter (void)
{
  g_autoptr(FbImage) one = all_steps (1);

  for (int n = 2; n <= 5; n++)
    {
      g_autoptr(FbImage) several = all_steps (n);

      g_assert_cmpmem (several->pixels, fb_image_n_bytes (several), one->pixels, fb_image_n_bytes (one));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func ("/core/tasks/inpaint-steps/" name, func)
  ADD ("contexts-are-numpys", test_contexts_are_numpys);
  ADD ("steps-are-numpys", test_steps_are_numpys);
  ADD ("masks-hold-the-selection-and-end-together", test_masks_hold_the_selection_and_end_together);
  ADD ("masks-grow-round", test_masks_grow_round);
  ADD ("masks-without-a-ramp-grow-round-too", test_masks_without_a_ramp_grow_round_too);
  ADD ("wide-soft-edges-are-kept", test_wide_soft_edges_are_kept);
  ADD ("pieces-come-from-a-short-list-and-keep-their-shape", test_pieces_come_from_a_short_list_and_keep_their_shape);
  ADD ("squares-of-the-models-size-are-not-scaled", test_squares_of_the_models_size_are_not_scaled);
  ADD ("a-crop-comes-back-as-it-went", test_a_crop_comes_back_as_it_went);
  ADD ("transparent-neighbours-do-not-darken", test_transparent_neighbours_do_not_darken);
  ADD ("near-islands-are-one-piece-and-far-ones-several", test_near_islands_are_one_piece_and_far_ones_several);
  ADD ("margins-are-where-the-hole-meets-the-border", test_margins_are_where_the_hole_meets_the_border);
  ADD ("fills-stay-in-the-hole", test_fills_stay_in_the_hole);
  ADD ("a-flat-border-fills-flat", test_a_flat_border_fills_flat);
  ADD ("streaks-end-away-from-the-border", test_streaks_end_away_from_the_border);
  ADD ("a-tint-is-taken-away-at-the-border-and-left-in-the-middle", test_a_tint_is_taken_away_at_the_border_and_left_in_the_middle);
  ADD ("an-offset-goes-on-into-the-hole", test_an_offset_goes_on_into_the_hole);
  ADD ("a-shade-beside-what-is-flat-is-gone-at-the-border", test_a_shade_beside_what_is_flat_is_gone_at_the_border);
  ADD ("tiles-cover-what-is-shown-in-more-detail", test_tiles_cover_what_is_shown_in_more_detail);
  ADD ("threads-do-not-matter", test_threads_do_not_matter);
  ADD ("colours-stay-where-nothing-is-known", test_colours_stay_where_nothing_is_known);

  return g_test_run ();
}
