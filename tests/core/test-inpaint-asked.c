/* tests/core/test-inpaint-asked.c: requests of inpainting: their a{sv} form, their checks, their estimate. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/inpaint-fixture.h"
#include "tests/core/inpaint-request.h"

#include <math.h>
#include <string.h>

static void
test_an_estimate_needs_no_pictures (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) early    = request_for (NULL, NULL);
  g_autoptr(FbInpaint) late     = request_for (inpaint_picture (64, 64, 3), inpaint_box_mask (64, 64, (FbRect) { 20, 20, 24, 24 }, 1.0f));
  g_autoptr(GError)    error    = NULL;
  FbEstimate           estimate = { 0 }, with = { 0 };

  g_assert_true (fb_inpaint_estimate (early, f->model, &estimate, &error));
  g_assert_true (fb_inpaint_estimate (late, f->model, &with, &error));
  g_assert_cmpuint (estimate.peak_bytes, >, 1000000);
  g_assert_cmpuint (with.peak_bytes, >=, estimate.peak_bytes);
  g_assert_false (fb_inpaint_run (early, f->model, NULL, inpaint_on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
}

static void
test_request_survives_its_variant (void)
{
  g_autoptr(FbInpaint) request = fb_inpaint_new ();
  g_autoptr(GVariant)  variant = NULL;
  g_autoptr(FbInpaint) back    = NULL;
  g_autoptr(GVariant)  again   = NULL;
  g_autoptr(GError)    error   = NULL;

  request->use               = FB_INPAINT_REMOVE;
  request->route             = FB_ROUTE_MASKED_LATENTS;
  request->fill              = FB_FILL_BORDER;
  request->resolution        = 256;
  request->feather           = 0.25;
  request->grow              = 0.125;
  request->match_colours     = FALSE;
  request->generate->n_steps = 3;
  variant = fb_inpaint_to_variant (request);
  back    = fb_inpaint_from_variant (variant, &error);
  g_assert_no_error (error);
  again   = fb_inpaint_to_variant (back);
  g_assert_true (g_variant_equal (variant, again));
  g_assert_false (g_variant_lookup (variant, "width", "i", NULL));
}

static void
test_an_absent_strength_is_the_uses_own (InpaintFixture *f, gconstpointer data)
{
  g_autoptr(GVariant)  variant = g_variant_ref_sink (g_variant_new_parsed ("{'use': <'refine'>}"));
  g_autoptr(GError)    error   = NULL;
  g_autoptr(FbInpaint) request = fb_inpaint_from_variant (variant, &error);

  g_assert_no_error (error);
  g_assert_true (fb_inpaint_resolve (request, f->model, &error));
  g_assert_cmpfloat (request->generate->strength, ==, 0.4);
  g_assert_cmpint (request->fill, ==, FB_FILL_ORIGINAL);
}

static void
test_bad_requests_name_the_field (InpaintFixture *f, gconstpointer data)
{
  static const struct { const char *text, *field; } cases[] =
  {
    { "{'use': <'erase'>}",              "“use”"        },
    { "{'route': <1>}",                  "“route”"      },
    { "{'route': <'inpaint-model'>}",    "“route”"      },
    { "{'fill': <'lama'>}",              "“fill”"       },
    { "{'resolution': <-1>}",            "“resolution”" },
    { "{'resolution': <63>}",            "“resolution”" },
    { "{'feather': <0.6>}",              "“feather”"    },
    { "{'feather': <nan>}",              "“feather”"    },
    { "{'grow': <0.6>}",                 "“grow”"       },
    { "{'blend': <inf>}",                "“blend”"      },
    { "{'match-colours': <'no'>}",       "“match-colours”" },
    { "{'strength': <1.5>}",             "“strength”"   },
    { "{'n-steps': <2000>}",             "“n-steps”"    },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char      *text    = g_strdup (cases[i].text);
      g_autoptr(GError)     error   = NULL;
      g_autoptr(GVariant)   variant = NULL;
      g_autoptr(FbInpaint)  request = NULL;

      variant = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);
      g_assert_no_error (error);
      request = fb_inpaint_from_variant (variant, &error);
      g_assert_true (request == NULL || !fb_inpaint_resolve (request, f->model, &error));
      g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
      g_assert_nonnull (strstr (error->message, cases[i].field));
    }
}

static void
assert_refused (FbModel *model, FbInpaintUse use, FbImage *image, FbImage *mask, const char *words)
{
  g_autoptr(FbInpaint) request = request_for (image, mask);
  g_autoptr(GError)    error   = NULL;

  request->use = use;
  g_assert_false (fb_inpaint_run (request, model, NULL, inpaint_on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
  if (strstr (error->message, words) == NULL)
    g_error ("“%s” does not say “%s”", error->message, words);
}

static void
test_masks_that_say_nothing_are_refused (InpaintFixture *f, gconstpointer data)
{
  const FbRect none = { 0 }, all = { 0, 0, 64, 64 };

  assert_refused (f->model, FB_INPAINT_FILL, inpaint_picture (64, 64, 3), inpaint_box_mask (64, 64, none, 1.0f), "The mask is empty");
  assert_refused (f->model, FB_INPAINT_FILL, inpaint_picture (64, 64, 3), inpaint_box_mask (64, 64, all, NAN), "The mask is empty");
  assert_refused (f->model, FB_INPAINT_BACKGROUND, inpaint_picture (64, 64, 3), inpaint_box_mask (64, 64, all, 1.0f), "covers everything");
  assert_refused (f->model, FB_INPAINT_EXPAND, inpaint_picture (64, 64, 4), inpaint_box_mask (64, 64, none, 1.0f), "nothing to expand into");
  assert_refused (f->model, FB_INPAINT_FILL, inpaint_picture (64, 64, 3), inpaint_box_mask (64, 60, all, 1.0f), "differ in size");
  assert_refused (f->model, FB_INPAINT_FILL, inpaint_picture (64, 64, 3), inpaint_picture (64, 64, 3), "1 channel");
  assert_refused (f->model, FB_INPAINT_FILL, inpaint_box_mask (64, 64, all, 1.0f), inpaint_box_mask (64, 64, all, 1.0f), "3 or 4 channels");
  assert_refused (f->model, FB_INPAINT_FILL, inpaint_picture (64, 64, 3), NULL, "no picture “mask”");
  assert_refused (f->model, FB_INPAINT_FILL, NULL, inpaint_box_mask (64, 64, all, 1.0f), "no picture “image”");
}

int
main (int argc, char **argv)
{
  static const InpaintTest tests[] =
  {
    { "an-estimate-needs-no-pictures",      test_an_estimate_needs_no_pictures },
    { "an-absent-strength-is-the-uses-own", test_an_absent_strength_is_the_uses_own },
    { "bad-requests-name-the-field",        test_bad_requests_name_the_field },
    { "masks-that-say-nothing-are-refused", test_masks_that_say_nothing_are_refused },
  };

  g_test_init (&argc, &argv, NULL);
  inpaint_add_tests (tests, G_N_ELEMENTS (tests));
  g_test_add_func ("/core/tasks/inpaint/request-survives-its-variant", test_request_survives_its_variant);

  return g_test_run ();
}
