/* tests/core/test-inpaint-part.c: a mask of a part of the context, as clients send it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"
#include "tests/core/inpaint-request.h"

#include <math.h>
#include <string.h>

static FbModel *
open_model (void)
{
  g_autofree char    *path  = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new ("cpu", 0, &error);
  FbModel            *model;

  g_assert_no_error (error);
  model = fb_model_open (path, NULL, NULL, dev, FB_DTYPE_F32, &error);
  g_assert_no_error (error);

  return model;
}

/* slow waves, which half as many pixels still show */
static FbImage *
some_picture (int width, int height, int n_channels)
{
  FbImage *image = fb_image_new (width, height, n_channels);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < n_channels; c++)
        image->pixels[((size_t) y * width + x) * n_channels + c] = c == 3 ? 1.0f : 0.5f + 0.4f * sinf (x * 0.05f + c) * cosf (y * 0.04f - c);
  return image;
}

static void
mark (FbImage *mask, FbRect r)
{
  for (int y = r.y; y < r.y + r.height; y++)
    for (int x = r.x; x < r.x + r.width; x++)
      mask->pixels[(size_t) y * mask->width + x] = 1.0f;
}

static void
on_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  *(FbImage **) user_data = fb_image_ref (picture);
}

static FbImage *
run (const FbInpaint *request, FbModel *model)
{
  g_autoptr(GError)  error   = NULL;
  FbImage           *picture = NULL;

  fb_inpaint_run (request, model, NULL, on_picture, &picture, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (picture);

  return picture;
}

/* (transfer full): @whole, with a mask of no more than what fb_inpaint_shown() says; @shown (out): that */
static FbInpaint *
part_of (const FbInpaint *whole, int native, FbRect *shown)
{
  FbInpaint      *part  = fb_inpaint_copy (whole);
  FbInpaintPlace  place = { whole->mask->width, whole->mask->height, .use = whole->use, .context = FB_CONTEXT_ALL, .strength = whole->generate->strength,
                            .feather = whole->feather, .native = native };

  g_assert_true (fb_mask_bounds (whole->mask, &place.mask));
  *shown = fb_inpaint_shown (&place, whole->grow, (FbRect) { 0, 0, place.canvas_width, place.canvas_height });
  fb_image_unref (part->mask);
  part->mask   = fb_image_cut (whole->mask, shown->x, shown->y, shown->width, shown->height);
  part->around = (FbRect) { -shown->x, -shown->y, whole->mask->width, whole->mask->height };

  return part;
}

static void
assert_is_part (const FbImage *part, const FbImage *whole, FbRect shown)
{
  g_assert_cmpint (part->width, ==, shown.width);
  g_assert_cmpint (part->height, ==, shown.height);
  for (int y = 0; y < whole->height; y++)
    for (int x = 0; x < whole->width; x++)
      {
        const float *pixel  = whole->pixels + ((size_t) y * whole->width + x) * 4;
        const int    px     = x - shown.x, py = y - shown.y;

        if (px < 0 || py < 0 || px >= shown.width || py >= shown.height)
          g_assert_cmpfloat (pixel[3], ==, 0.0f);
        else
          g_assert_cmpmem (part->pixels + ((size_t) py * shown.width + px) * 4, 16, pixel, 16);
      }
}

static void
test_it_gives_the_same_bytes (void)
{
  static const struct { int width, height; FbRect marks[2]; double strength, feather, grow; FbInpaintUse use; FbInpaintPasses passes; } cases[] =
  {
    { 300,  200, { { 120, 70, 50, 40 } },                      1.0, 0.1, -1.0, FB_INPAINT_FILL,   FB_PASSES_ONE },
    { 300,  200, { { 0, 150, 30, 50 } },                       0.6, 0.3, -1.0, FB_INPAINT_REMOVE, FB_PASSES_ONE },
    { 310,  210, { { 131, 77, 1, 1 } },                        1.0, 0.0,  0.5, FB_INPAINT_FILL,   FB_PASSES_ONE },
    { 1500, 160, { { 301, 40, 20, 20 }, { 977, 51, 25, 25 } }, 1.0, 0.1, -1.0, FB_INPAINT_FILL,   FB_PASSES_ONE },
    { 500,  400, { { 203, 151, 90, 80 } },                     1.0, 0.1, -1.0, FB_INPAINT_FILL,   FB_PASSES_TWO },
  };
  g_autoptr(FbModel) model = open_model ();

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(FbInpaint) whole = request_for (some_picture (cases[i].width, cases[i].height, 3 + i % 2), fb_image_new (cases[i].width, cases[i].height, 1));
      g_autoptr(FbInpaint) part  = NULL;
      g_autoptr(FbImage)   a     = NULL, b = NULL;
      FbRect               shown;

      memset (whole->mask->pixels, 0, fb_image_n_bytes (whole->mask));
      for (int k = 0; k < 2; k++)
        mark (whole->mask, cases[i].marks[k]);
      whole->generate->strength = cases[i].strength;
      whole->feather            = cases[i].feather;
      whole->grow               = cases[i].grow;
      whole->use                = cases[i].use;
      whole->passes             = cases[i].passes;
      part = part_of (whole, fb_inpaint_native (model), &shown);
      g_assert_cmpint (shown.width * shown.height, <, cases[i].width * cases[i].height);
      a = run (whole, model);
      b = run (part, model);
      assert_is_part (b, a, shown);
    }
  fb_model_free (g_steal_pointer (&model));
}

/* a client that cuts too close gets no hard edge */
static void
test_ramps_end_where_it_ends (void)
{
  g_autoptr(FbModel)   model = open_model ();
  g_autoptr(FbInpaint) part  = request_for (some_picture (200, 160, 3), fb_image_new (70, 60, 1));
  g_autoptr(FbImage)   out   = NULL;

  memset (part->mask->pixels, 0, fb_image_n_bytes (part->mask));
  mark (part->mask, (FbRect) { 10, 10, 50, 40 });
  part->feather = 0.5;
  part->around  = (FbRect) { -60, -50, 200, 160 };
  out = run (part, model);
  for (int x = 0; x < 70; x++)
    g_assert_cmpfloat (out->pixels[4 * x + 3], <, 0.05f);
  g_assert_cmpfloat (out->pixels[(30 * 70 + 35) * 4 + 3], ==, 1.0f);
  fb_model_free (g_steal_pointer (&model));
}

/* (transfer full): which cells of @around hold some of @mask */
static FbImage *
cells_of (const FbImage *mask, FbRect around)
{
  FbImage *cells = fb_image_new ((around.width + FB_PIECE_CELL - 1) / FB_PIECE_CELL, (around.height + FB_PIECE_CELL - 1) / FB_PIECE_CELL, 1);

  memset (cells->pixels, 0, fb_image_n_bytes (cells));
  for (int i = 0; i < mask->width * mask->height; i++)
    if (mask->pixels[i] > 0.0f)
      cells->pixels[(i / mask->width - around.y) / FB_PIECE_CELL * cells->width + (i % mask->width - around.x) / FB_PIECE_CELL] = 1.0f;

  return cells;
}

static double
detail_of (const FbImage *mask, FbRect around, int native)
{
  g_autoptr(FbImage) cells = cells_of (mask, around);

  return fb_inpaint_detail (cells, around.width, around.height, native);
}

static void
test_it_needs_no_more_detail_than_the_model_sees (void)
{
  g_autoptr(FbModel)   model = open_model ();
  g_autoptr(FbInpaint) fine  = request_for (some_picture (600, 480, 3), fb_image_new (200, 160, 1));
  g_autoptr(FbInpaint) coarse = NULL;
  g_autoptr(FbImage)   a     = NULL, b = NULL;
  double               detail, off = 0.0;

  memset (fine->mask->pixels, 0, fb_image_n_bytes (fine->mask));
  mark (fine->mask, (FbRect) { 60, 50, 80, 60 });
  fine->around = (FbRect) { -200, -160, 600, 480 };
  detail       = detail_of (fine->mask, fine->around, fb_inpaint_native (model));
  g_assert_cmpfloat (detail, <, 0.5);
  coarse = fb_inpaint_copy (fine);
  fb_image_unref (coarse->image);
  coarse->image = fb_image_resize (fine->image, (int) (600 * detail), (int) (480 * detail));
  a = run (fine, model);
  b = run (coarse, model);
  for (int i = 0; i < 200 * 160; i++)
    {
      g_assert_cmpfloat (a->pixels[4 * i + 3], ==, b->pixels[4 * i + 3]);
      for (int c = 0; c < 3; c++)
        off += a->pixels[4 * i + 3] * fabsf (a->pixels[4 * i + c] - b->pixels[4 * i + c]);
    }
  g_test_message ("mean difference %g", off / (200 * 160 * 3));
  g_assert_cmpfloat (off / (200 * 160 * 3), <, 0.005);
  fb_model_free (g_steal_pointer (&model));
}

static void
test_islands_keep_all_detail (void)
{
  const FbRect       around = { -100, -100, 3000, 2000 };
  g_autoptr(FbImage) mask   = fb_image_new (900, 300, 1);

  memset (mask->pixels, 0, fb_image_n_bytes (mask));
  mark (mask, (FbRect) { 20, 20, 100, 100 });
  g_assert_cmpfloat (detail_of (mask, around, 128), ==, 0.25);      /* a model that sees 192 of the 3000: 0.128, by halves */
  g_assert_cmpfloat (detail_of (mask, around, 4096), ==, 1.0);
  mark (mask, (FbRect) { 700, 20, 100, 100 });
  g_assert_cmpfloat (detail_of (mask, around, 128), ==, 1.0);
}

static void
test_what_does_not_fit_is_refused (void)
{
  static const FbRect arounds[] =
  {
    { 1, 0, 200, 160 }, { 0, -120, 200, 160 }, { -150, 0, 200, 160 }, { 0, 0, 200, 200 }, { 0, 0, 150, 120 }, { 0, 0, -200, -160 },
    { G_MININT, G_MININT, G_MAXINT, G_MAXINT }, { 0, 0, 200, 0 }, { 0, 0, 200000, 160000 },
  };
  g_autoptr(FbModel) model = open_model ();

  for (gsize i = 0; i < G_N_ELEMENTS (arounds); i++)
    {
      g_autoptr(FbInpaint) request = request_for (some_picture (200, 160, 3), fb_image_new (70, 60, 1));
      g_autoptr(GError)    error   = NULL;

      memset (request->mask->pixels, 0, fb_image_n_bytes (request->mask));
      mark (request->mask, (FbRect) { 30, 30, 10, 10 });
      request->around = arounds[i];
      g_assert_false (fb_inpaint_resolve (request, model, &error));
      g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
      g_assert_nonnull (strstr (error->message, "“around”"));
    }
  fb_model_free (g_steal_pointer (&model));
}

static void
test_it_comes_with_the_request (void)
{
  g_autoptr(GVariant)  good    = g_variant_ref_sink (g_variant_new_parsed ("{'around': <(-1, -2, 30, 40)>}"));
  g_autoptr(GVariant)  bad     = g_variant_ref_sink (g_variant_new_parsed ("{'around': <(1, 2)>}"));
  g_autoptr(GError)    error   = NULL;
  g_autoptr(FbInpaint) request = fb_inpaint_from_variant (good, &error);

  g_assert_no_error (error);
  g_assert_cmpint (request->around.y, ==, -2);
  g_assert_cmpint (request->around.height, ==, 40);
  g_assert_null (fb_inpaint_from_variant (bad, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func ("/core/tasks/inpaint/part/" name, func)
  ADD ("it-gives-the-same-bytes", test_it_gives_the_same_bytes);
  ADD ("ramps-end-where-it-ends", test_ramps_end_where_it_ends);
  ADD ("it-needs-no-more-detail-than-the-model-sees", test_it_needs_no_more_detail_than_the_model_sees);
  ADD ("islands-keep-all-detail", test_islands_keep_all_detail);
  ADD ("what-does-not-fit-is-refused", test_what_does_not_fit_is_refused);
  ADD ("it-comes-with-the-request", test_it_comes_with_the_request);

  return g_test_run ();
}
