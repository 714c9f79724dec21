/* tests/core/test-inpaint.c: what holds for every result of inpainting. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/inpaint-fixture.h"
#include "tests/core/inpaint-request.h"

#include <math.h>
#include <string.h>

static void
test_nothing_changes_outside_the_mask (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(GRand) random = g_rand_new_with_seed (7);

  for (int k = 0; k < 24; k++)
    {
      const int             width   = g_rand_int_range (random, 1, 150), height = g_rand_int_range (random, 1, 150);
      const FbRect          r       = { g_rand_int_range (random, 0, width), g_rand_int_range (random, 0, height),
                                        g_rand_int_range (random, 1, 60), g_rand_int_range (random, 1, 60) };
      g_autoptr(FbInpaint)  request = request_for (inpaint_picture (width, height, 3 + k % 2), inpaint_box_mask (width, height, r, k % 3 == 0 ? 0.6f : 1.0f));
      g_auto(InpaintResult) result  = { NULL };

      request->route              = k % 2 == 0 ? FB_ROUTE_MASKED_LATENTS : FB_ROUTE_DIFFERENTIAL;
      request->fill               = FB_FILL_ORIGINAL + k % 5;
      request->generate->strength = k % 4 == 0 ? 0.5 : 1.0;
      request->generate->n_steps  = 1;
      request->feather            = 0.05 * (k % 3);
      inpaint_run (request, f->model, &result);
      g_assert_cmpint (inpaint_assert_untouched (request, result.picture), >, 0);
    }
}

static void
test_strength_0_changes_nothing (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (70, 50, 3), inpaint_box_mask (70, 50, (FbRect) { 20, 20, 30, 10 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };
  g_autoptr(FbImage)    out     = NULL;

  request->generate->strength = 0.0;
  inpaint_run (request, f->model, &result);
  out = fb_inpaint_blend (request->image, result.picture);
  g_assert_cmpmem (out->pixels, fb_image_n_bytes (out), request->image->pixels, fb_image_n_bytes (out));
  g_assert_cmpint (result.n_steps, ==, 0);
}

static const struct { const char *name; int width, height; FbRect mask; } places[] =
{
  { "one-pixel",         90, 70,  { 40, 30, 1, 1 }   },
  { "one-pixel-picture", 1,  1,   { 0, 0, 1, 1 }     },
  { "left-edge",         90, 70,  { 0, 20, 12, 20 }  },
  { "top-edge",          90, 70,  { 30, 0, 20, 12 }  },
  { "right-edge",        90, 70,  { 78, 20, 12, 20 } },
  { "bottom-edge",       90, 70,  { 30, 58, 20, 12 } },
  { "top-left",          90, 70,  { 0, 0, 20, 10 }   },
  { "top-right",         90, 70,  { 70, 0, 20, 10 }  },
  { "bottom-left",       90, 70,  { 0, 60, 20, 10 }  },
  { "bottom-right",      90, 70,  { 70, 60, 20, 10 } },
  { "everything",        90, 70,  { 0, 0, 90, 70 }   },
  { "all-but-a-row",     90, 70,  { 0, 0, 90, 69 }   },
  { "panorama",          400, 20, { 100, 5, 30, 10 } },
};

static void
test_place (InpaintFixture *f, gconstpointer data)
{
  const int             i       = GPOINTER_TO_INT (data);
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (places[i].width, places[i].height, 3),
                                               inpaint_box_mask (places[i].width, places[i].height, places[i].mask, 1.0f));
  g_auto(InpaintResult) result  = { NULL };
  const FbRect         *m       = &places[i].mask;

  inpaint_run (request, f->model, &result);
  g_assert_cmpint (inpaint_assert_untouched (request, result.picture), >, 0);
  for (int y = m->y; y < m->y + m->height; y++)
    for (int x = m->x; x < m->x + m->width; x++)
      g_assert_cmpfloat (result.picture->pixels[(y * places[i].width + x) * 4 + 3], ==, 1.0f);
}

/* the mask as it is, so that there is one pixel to leave alone */
static void
test_all_but_one_pixel (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (90, 70, 3), inpaint_box_mask (90, 70, (FbRect) { 0, 0, 90, 70 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };

  request->mask->pixels[35 * 90 + 44] = 0.0f;
  request->feather                    = 0.0;
  inpaint_run (request, f->model, &result);
  for (int i = 0; i < 90 * 70; i++)
    g_assert_cmpfloat (result.picture->pixels[4 * i + 3], ==, i == 35 * 90 + 44 ? 0.0f : 1.0f);
  g_assert_cmpint (inpaint_assert_untouched (request, result.picture), >, 0);
}

/* at strength 1, too, the network begins with what has been filled in; but for noise, which is nothing */
static void
test_what_is_filled_in_matters (InpaintFixture *f, gconstpointer data)
{
  FbImage *pictures[3];

  for (int k = 0; k < 3; k++)
    {
      g_autoptr(FbInpaint)  request = request_for (inpaint_picture (64, 64, 3), inpaint_box_mask (64, 64, (FbRect) { 16, 16, 32, 32 }, 1.0f));
      g_auto(InpaintResult) result  = { NULL };

      request->fill = k == 0 ? FB_FILL_NEUTRAL : k == 1 ? FB_FILL_BORDER : FB_FILL_NOISE;
      inpaint_run (request, f->model, &result);
      pictures[k] = fb_image_ref (result.picture);
    }
  for (int k = 0; k < 3; k++)
    g_assert_cmpint (memcmp (pictures[k]->pixels, pictures[(k + 1) % 3]->pixels, fb_image_n_bytes (pictures[k])), !=, 0);
  for (int k = 0; k < 3; k++)
    fb_image_unref (pictures[k]);
}

static void
test_same_seed_gives_the_same_bytes (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (80, 60, 3), inpaint_box_mask (80, 60, (FbRect) { 20, 20, 30, 30 }, 1.0f));
  g_auto(InpaintResult) a       = { NULL }, b = { NULL }, other = { NULL };

  inpaint_run (request, f->model, &a);
  inpaint_run (request, f->model, &b);
  g_assert_cmpmem (a.picture->pixels, fb_image_n_bytes (a.picture), b.picture->pixels, fb_image_n_bytes (b.picture));
  request->generate->seed++;
  inpaint_run (request, f->model, &other);
  g_assert_cmpint (memcmp (a.picture->pixels, other.picture->pixels, fb_image_n_bytes (a.picture)), !=, 0);
}

/* by few steps of an ordinary model: other pixels under the mask, the same around it, and the first ones again without the LoRA */
static void
test_a_lora_changes_what_is_masked (InpaintFixture *f, gconstpointer data)
{
  g_autofree char      *path    = inpaint_golden_path ("inpaint", "lora-latents.safetensors");
  const FbLoraUse       use     = { path, 1.0 };
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (80, 60, 3), inpaint_box_mask (80, 60, (FbRect) { 20, 20, 30, 30 }, 1.0f));
  g_auto(InpaintResult) without = { NULL }, with = { NULL }, again = { NULL };
  g_autoptr(GError)     error   = NULL;

  inpaint_run (request, f->model, &without);
  g_assert_true (fb_model_set_loras (f->model, &use, 1, NULL, &error));
  inpaint_run (request, f->model, &with);
  g_assert_cmpint (inpaint_assert_untouched (request, with.picture), >, 0);
  g_assert_cmpint (memcmp (without.picture->pixels, with.picture->pixels, fb_image_n_bytes (with.picture)), !=, 0);
  g_assert_true (fb_model_set_loras (f->model, NULL, 0, NULL, &error));
  inpaint_run (request, f->model, &again);
  g_assert_cmpmem (again.picture->pixels, fb_image_n_bytes (again.picture), without.picture->pixels, fb_image_n_bytes (without.picture));
}

static void
test_previews_lie_under_the_mask (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (128, 96, 3), inpaint_box_mask (128, 96, (FbRect) { 40, 30, 40, 30 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };
  const float          *corner;

  request->generate->n_steps = 4;
  request->generate->preview = FB_PREVIEW_LINEAR;
  inpaint_run (request, f->model, &result);
  g_assert_cmpint (result.n_previews, ==, 3);
  g_assert_cmpint (result.preview->n_channels, ==, 4);
  g_assert_cmpfloat (fabs ((double) result.preview->width / result.preview->height - 128.0 / 96.0), <, 0.1);
  corner = result.preview->pixels;
  g_assert_cmpfloat (corner[3], ==, 0.0f);
  g_assert_cmpfloat (result.preview->pixels[(result.preview->height / 2 * result.preview->width + result.preview->width / 2) * 4 + 3], ==, 1.0f);
}

static void
test_count_gives_variations (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (64, 64, 3), inpaint_box_mask (64, 64, (FbRect) { 20, 20, 24, 24 }, 1.0f));
  g_auto(InpaintResult) result  = { NULL };

  request->generate->count = 3;
  inpaint_run (request, f->model, &result);
  g_assert_cmpint (result.n_pictures, ==, 3);
}

/* at each of its reports in turn, the last of which comes with the picture's decoding; what it was given stays as it is */
static void
test_cancel_leaves_no_picture (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)  request = request_for (inpaint_picture (64, 64, 3), inpaint_box_mask (64, 64, (FbRect) { 20, 20, 24, 24 }, 1.0f));
  g_autoptr(FbImage)    before  = inpaint_picture (64, 64, 3);
  g_auto(InpaintResult) first   = { NULL }, whole = { NULL };

  inpaint_run (request, f->model, &first);
  inpaint_run (request, f->model, &whole);                      /* without the reports of loading */
  g_assert_cmpint (whole.n_reports, >, 4);
  for (int k = 1; k <= whole.n_reports; k++)
    {
      g_autoptr(GCancellable) cancel = g_cancellable_new ();
      g_auto(InpaintResult)   result = { .cancel = cancel, .cancel_at = k };
      g_autoptr(GError)       error  = NULL;

      g_assert_false (fb_inpaint_run (request, f->model, inpaint_on_progress, inpaint_on_picture, &result, cancel, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_null (result.picture);
      g_assert_cmpmem (request->image->pixels, fb_image_n_bytes (before), before->pixels, fb_image_n_bytes (before));
    }
}

int
main (int argc, char **argv)
{
  static const InpaintTest tests[] =
  {
    { "nothing-changes-outside-the-mask", test_nothing_changes_outside_the_mask },
    { "strength-0-changes-nothing",       test_strength_0_changes_nothing },
    { "all-but-one-pixel",                test_all_but_one_pixel },
    { "what-is-filled-in-matters",        test_what_is_filled_in_matters },
    { "same-seed-gives-the-same-bytes",   test_same_seed_gives_the_same_bytes },
    { "a-lora-changes-what-is-masked",    test_a_lora_changes_what_is_masked },
    { "previews-lie-under-the-mask",      test_previews_lie_under_the_mask },
    { "count-gives-variations",           test_count_gives_variations },
    { "cancel-leaves-no-picture",         test_cancel_leaves_no_picture },
  };

  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
    {
      g_autofree char *name = g_strdup_printf ("/core/tasks/inpaint/place/%s", places[i].name);

      g_test_add (name, InpaintFixture, GINT_TO_POINTER (i), inpaint_set_up, test_place, inpaint_tear_down);
    }
  inpaint_add_tests (tests, G_N_ELEMENTS (tests));

  return g_test_run ();
}
