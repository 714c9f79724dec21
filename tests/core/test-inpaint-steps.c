/* tests/core/test-inpaint-steps.c: the steps around the network against NumPy and SciPy (tests/golden/inpaint-steps/make.py), and
 * whether threads matter. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/inpaint-random.h"

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
  ADD ("threads-do-not-matter", test_threads_do_not_matter);

  return g_test_run ();
}
