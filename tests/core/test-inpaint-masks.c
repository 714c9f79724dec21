/* tests/core/test-inpaint-masks.c: how masks grow and soften. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/inpaint-random.h"

#include <math.h>

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

        if (d <= 20.0 || d > 20.2)                              /* just outside it is 1 but for a rounding */
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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func ("/core/tasks/inpaint-steps/" name, func)
  ADD ("masks-hold-the-selection-and-end-together", test_masks_hold_the_selection_and_end_together);
  ADD ("masks-grow-round", test_masks_grow_round);
  ADD ("masks-without-a-ramp-grow-round-too", test_masks_without_a_ramp_grow_round_too);
  ADD ("wide-soft-edges-are-kept", test_wide_soft_edges_are_kept);

  return g_test_run ();
}
