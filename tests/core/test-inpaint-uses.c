/* tests/core/test-inpaint-uses.c: soft masks, islands, a second pass, a new background, a larger canvas. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/inpaint-fixture.h"
#include "tests/core/inpaint-request.h"

#include <math.h>
#include <string.h>

/* how far two pictures are apart, as a sum */
static double
distance (const FbImage *a, const FbImage *b)
{
  double sum = 0.0;

  for (int i = 0; i < a->width * a->height; i++)
    for (int c = 0; c < 3; c++)
      sum += fabs (a->pixels[4 * i + c] - b->pixels[4 * i + c]);
  return sum;
}

/* (transfer full): some picture drawn anew under a mask of @value everywhere */
static FbImage *
draw_under (InpaintFixture *f, float value)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (64, 64, 3), inpaint_box_mask (64, 64, (FbRect) { 0, 0, 64, 64 }, value));
  g_auto(InpaintResult) result  = { NULL };

  request->route             = FB_ROUTE_DIFFERENTIAL;
  request->fill              = FB_FILL_ORIGINAL;
  request->match_colours     = FALSE;
  request->generate->n_steps = 4;
  inpaint_run (request, f->model, &result);
  g_assert_cmpfloat (result.picture->pixels[3], ==, value);
  return fb_image_ref (result.picture);
}

/* against a mask of next to nothing, which shows what the autoencoder alone does */
static void
test_soft_masks_change_less (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbImage) plain = draw_under (f, 0.001f);
  g_autoptr(FbImage) soft  = draw_under (f, 0.25f);
  g_autoptr(FbImage) full  = draw_under (f, 1.0f);

  g_assert_cmpfloat (distance (soft, plain), >, 0.0);
  g_assert_cmpfloat (distance (soft, plain), <, 0.9 * distance (full, plain));
}

/* with four steps, masks on both sides of one quarter draw nearly the same; were a pixel let go at whole steps only, they would be a step apart */
static void
test_soft_masks_have_no_contours (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbImage) below = draw_under (f, 0.23f);
  g_autoptr(FbImage) above = draw_under (f, 0.27f);
  g_autoptr(FbImage) half  = draw_under (f, 0.52f);

  g_assert_cmpfloat (distance (below, above), >, 0.0);
  g_assert_cmpfloat (distance (below, above), <, 0.4 * distance (above, half));
}

/* the second pass, in four tiles, draws over the first and nowhere else; its steps are two fifths as many */
static void
test_a_second_pass_draws_over_the_first (InpaintFixture *f, gconstpointer data)
{
  const int native   = fb_inpaint_native (f->model);
  const int side     = 5 * native;
  FbImage  *pictures[3];

  for (int k = 0; k < 3; k++)
    {
      g_autoptr(FbInpaint)  request = request_for (inpaint_picture (side, side, 3),
                                                   inpaint_box_mask (side, side, (FbRect) { native, native, 2 * native, 2 * native }, 1.0f));
      g_auto(InpaintResult) result  = { NULL };

      request->passes            = k == 0 ? FB_PASSES_ONE : FB_PASSES_TWO;
      request->generate->n_steps = 5;
      inpaint_run (request, f->model, &result);
      g_assert_cmpint (inpaint_assert_untouched (request, result.picture), >, 0);
      g_assert_cmpint (result.n_steps, ==, k == 0 ? 5 : 5 + 4 * 2);
      pictures[k] = fb_image_ref (result.picture);
    }
  g_assert_cmpint (memcmp (pictures[0]->pixels, pictures[1]->pixels, fb_image_n_bytes (pictures[0])), !=, 0);
  g_assert_cmpmem (pictures[1]->pixels, fb_image_n_bytes (pictures[1]), pictures[2]->pixels, fb_image_n_bytes (pictures[2]));
  for (int k = 0; k < 3; k++)
    fb_image_unref (pictures[k]);
}

static void
test_drafts_take_one_pass (InpaintFixture *f, gconstpointer data)
{
  const int             side    = 5 * fb_inpaint_native (f->model);
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (side, side, 3), inpaint_box_mask (side, side, (FbRect) { 60, 60, 100, 100 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };

  request->passes     = FB_PASSES_TWO;
  request->resolution = 64;
  inpaint_run (request, f->model, &result);
  g_assert_cmpint (result.n_steps, ==, 2);
}

/* two marks at the ends of a long picture: each is drawn by itself */
static void
test_islands_are_drawn_apart (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (1200, 96, 3), inpaint_box_mask (1200, 96, (FbRect) { 20, 40, 20, 20 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };
  int                   changed;

  for (int y = 40; y < 60; y++)
    for (int x = 1150; x < 1170; x++)
      request->mask->pixels[y * 1200 + x] = 1.0f;
  inpaint_run (request, f->model, &result);
  changed = inpaint_assert_untouched (request, result.picture);
  g_assert_cmpint (result.n_steps, ==, 4);                      /* two pieces of two steps */
  g_assert_cmpint (changed, >, 800);
  g_assert_cmpint (changed, <, 1200 * 96 / 8);
  g_assert_cmpfloat (result.picture->pixels[(50 * 1200 + 600) * 4 + 3], ==, 0.0f);
}

static void
test_background_is_what_is_not_masked (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (64, 64, 3), inpaint_box_mask (64, 64, (FbRect) { 20, 20, 24, 24 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };

  request->use     = FB_INPAINT_BACKGROUND;
  request->feather = 0.0;
  inpaint_run (request, f->model, &result);
  g_assert_cmpfloat (result.picture->pixels[3], ==, 1.0f);
  g_assert_cmpfloat (result.picture->pixels[(32 * 64 + 32) * 4 + 3], ==, 0.0f);
  inpaint_assert_untouched (request, result.picture);
}

/* the ramp lies on the thing that is kept: with the width it has around a hole, there would be nothing left of one this small */
static void
test_a_new_background_leaves_the_thing (InpaintFixture *f, gconstpointer data)
{
  const FbRect          thing   = { 100, 90, 60, 60 };
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (256, 256, 3), inpaint_box_mask (256, 256, thing, 1.0f));
  g_auto(InpaintResult) result  = { NULL };

  request->use = FB_INPAINT_BACKGROUND;
  inpaint_run (request, f->model, &result);
  for (int y = thing.y + 10; y < thing.y + thing.height - 10; y++)
    for (int x = thing.x + 10; x < thing.x + thing.width - 10; x++)
      g_assert_cmpfloat (result.picture->pixels[(y * 256 + x) * 4 + 3], ==, 0.0f);
  g_assert_cmpfloat (result.picture->pixels[(thing.y * 256 + thing.x - 1) * 4 + 3], ==, 1.0f);
  inpaint_assert_untouched (request, result.picture);
}

static void
test_expanding_draws_where_nothing_is (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (96, 64, 4), inpaint_box_mask (96, 64, (FbRect) { 0, 0, 0, 0 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };

  for (int y = 0; y < 64; y++)
    for (int x = 64; x < 96; x++)
      memset (request->image->pixels + (y * 96 + x) * 4, 0, 4 * sizeof (float));
  request->use = FB_INPAINT_EXPAND;
  inpaint_run (request, f->model, &result);
  inpaint_assert_untouched (request, result.picture);
  for (int y = 0; y < 64; y++)
    for (int x = 64; x < 96; x++)
      g_assert_cmpfloat (result.picture->pixels[(y * 96 + x) * 4 + 3], ==, 1.0f);
  g_assert_cmpfloat (result.picture->pixels[3], ==, 0.0f);
}

/* (transfer full): a yellow disc at the right border of a blue picture */
static FbImage *
disc_at_the_border (const float *ground)
{
  static const float  disc[3] = { 0.9f, 0.8f, 0.15f };
  FbImage            *image   = fb_image_new (192, 192, 3);

  for (int i = 0; i < 192 * 192; i++)
    memcpy (image->pixels + 3 * i, hypot (i % 192 - 160, i / 192 - 100) < 30.0 ? disc : ground, 3 * sizeof (float));
  return image;
}

/* mean distance of @r of @picture from @ground, in code values of 8 bits */
static double
off_the_ground (const FbImage *picture, FbRect r, const float *ground)
{
  double off = 0.0;

  for (int y = r.y; y < r.y + r.height; y++)
    for (int x = r.x; x < r.x + r.width; x++)
      for (int c = 0; c < 3; c++)
        off += fabs (picture->pixels[((size_t) y * picture->width + x) * 4 + c] - ground[c]);

  return off / (3.0 * r.width * r.height) * 255.0;
}

/* Runs @request with the starter. */
static void
run_with_the_starter (FbInpaint *request, InpaintResult *result)
{
  g_autofree char *path    = g_test_build_filename (G_TEST_DIST, "..", "data", "models", "starter", NULL);
  FbModel         *starter = inpaint_open_model (path);

  inpaint_run (request, starter, result);
  inpaint_assert_untouched (request, result->picture);
  fb_model_free (starter);
}

static const float blue[3] = { 0.27f, 0.43f, 0.75f };

/* the starter's autoencoder draws a white frame where its picture ends, but does not end there; 38 code values with it */
static void
test_what_is_removed_at_the_border_leaves_no_frame (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (disc_at_the_border (blue), inpaint_box_mask (192, 192, (FbRect) { 122, 60, 70, 80 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };

  request->use = FB_INPAINT_REMOVE;
  run_with_the_starter (request, &result);
  g_assert_cmpfloat (off_the_ground (result.picture, (FbRect) { 184, 60, 8, 80 }, blue), <, 15.0);
}

/* what is drawn begins with the colours that were there; 3.4 code values off without that */
static void
test_what_is_made_wider_begins_without_a_step (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (fb_image_new (192, 128, 4), inpaint_box_mask (192, 128, (FbRect) { 0, 0, 0, 0 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };

  for (int i = 0; i < 192 * 128; i++)
    {
      memcpy (request->image->pixels + 4 * i, blue, sizeof blue);
      request->image->pixels[4 * i + 3] = i % 192 < 128 ? 1.0f : 0.0f;
    }
  request->use = FB_INPAINT_EXPAND;
  run_with_the_starter (request, &result);
  g_assert_cmpfloat (off_the_ground (result.picture, (FbRect) { 129, 0, 6, 128 }, blue), <, 2.5);
}

/* largest step of @picture between a pixel that the composite mask leaves alone and one beside it that it doesn't, in code values of 8 bits */
static double
step_at_the_border (const FbImage *picture, const FbImage *alpha)
{
  const int C    = picture->n_channels, w = picture->width;
  double    most = 0.0;

  for (int i = 0; i < w * (picture->height - 1); i++)
    for (int k = 0; k < 2; k++)
      {
        const int j = k == 0 ? i + w : i % w + 1 < w ? i + 1 : i;

        if ((alpha->pixels[4 * i + 3] == 0.0f) != (alpha->pixels[4 * j + 3] == 0.0f))
          for (int c = 0; c < 3; c++)
            most = MAX (most, fabs (picture->pixels[C * i + c] - picture->pixels[C * j + c]) * 255.0);
      }

  return most;
}

/* at the strengths of a touch, of a redrawing and of a new thing; 4 code values with ramps that are cubics and get as narrow as a touch is light */
static void
test_a_flat_canvas_shows_no_border (InpaintFixture *f, gconstpointer data)
{
  static const double strengths[] = { 0.05, 0.1, 0.3, 0.6, 1.0 };

  for (gsize k = 0; k < G_N_ELEMENTS (strengths); k++)
    {
      g_autoptr(FbInpaint)  request = request_for (fb_image_new (192, 160, 3), inpaint_box_mask (192, 160, (FbRect) { 70, 50, 60, 60 }, 1.0f));
      g_auto(InpaintResult) result  = { NULL };
      g_autoptr(FbImage)    blended = NULL;

      for (int i = 0; i < 192 * 160 * 3; i++)
        request->image->pixels[i] = 0.5f;
      g_free (request->generate->prompt);
      request->generate->prompt   = g_strdup ("a red apple, 3d");
      request->generate->strength = strengths[k];
      run_with_the_starter (request, &result);
      blended = fb_inpaint_blend (request->image, result.picture);
      g_assert_cmpfloat (step_at_the_border (blended, result.picture), <, 1.0);
      if (strengths[k] == 1.0)                                  /* and there is something */
        g_assert_cmpfloat (off_the_ground (result.picture, (FbRect) { 90, 70, 20, 20 }, (const float[3]) { 0.5f, 0.5f, 0.5f }), >, 10.0);
    }
}

int
main (int argc, char **argv)
{
  static const InpaintTest tests[] =
  {
    { "soft-masks-have-no-contours",        test_soft_masks_have_no_contours },
    { "soft-masks-change-less",             test_soft_masks_change_less },
    { "a-second-pass-draws-over-the-first", test_a_second_pass_draws_over_the_first },
    { "drafts-take-one-pass",               test_drafts_take_one_pass },
    { "islands-are-drawn-apart",            test_islands_are_drawn_apart },
    { "background-is-what-is-not-masked",   test_background_is_what_is_not_masked },
    { "a-new-background-leaves-the-thing",  test_a_new_background_leaves_the_thing },
    { "expanding-draws-where-nothing-is",   test_expanding_draws_where_nothing_is },
    { "what-is-removed-at-the-border-leaves-no-frame", test_what_is_removed_at_the_border_leaves_no_frame },
    { "what-is-made-wider-begins-without-a-step",      test_what_is_made_wider_begins_without_a_step },
    { "a-flat-canvas-shows-no-border",                 test_a_flat_canvas_shows_no_border },
  };

  g_test_init (&argc, &argv, NULL);
  inpaint_add_tests (tests, G_N_ELEMENTS (tests));

  return g_test_run ();
}
