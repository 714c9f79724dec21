/* tests/core/test-upscale.c: super-resolution: what holds for every result. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/process-memory.h"
#include "tests/core/scratch.h"
#include "tests/core/upscale-request.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define FACTOR    4
#define TILE      16         /* latent pixels: the fixture's sample_size */

typedef struct { FbModel *model; } Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->model = open_model (0);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  fb_model_free (f->model);
}

/* --- requests and results ------------------------------------------------------------------------------------------------ */

typedef struct
{
  FbImage      *picture;
  int           n_pictures, n_reports, n_previews;
  FbImage      *preview;
  double        fraction;
  GCancellable *cancel;         /* at the report number @cancel_at */
  int           cancel_at;
} Result;

static void
result_clear (Result *result)
{
  g_clear_pointer (&result->picture, fb_image_unref);
  g_clear_pointer (&result->preview, fb_image_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Result, result_clear)

static void
on_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  Result *result = user_data;

  g_clear_pointer (&result->picture, fb_image_unref);
  result->picture = fb_image_ref (picture);
  result->n_pictures++;
}

static void
on_progress (const FbProgress *progress, gpointer user_data)
{
  Result *result = user_data;

  g_assert_cmpfloat (progress->fraction, >=, result->fraction);
  g_assert_cmpfloat (progress->fraction, <=, 1.0);
  result->fraction = progress->fraction;
  result->n_reports += progress->stage == FB_STAGE_STEP;
  if (progress->preview != NULL)
    {
      g_clear_pointer (&result->preview, fb_image_unref);
      result->preview = fb_image_ref (progress->preview);
      result->n_previews++;
    }
  if (result->cancel != NULL && result->n_reports == result->cancel_at)
    g_cancellable_cancel (result->cancel);
}

static void
run (const FbUpscale *request, FbModel *model, Result *result)
{
  g_autoptr(GError) error = NULL;

  fb_upscale_run (request, model, on_progress, on_picture, result, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (result->picture);
}

static void
assert_size (const FbImage *image, int width, int height, int n_channels)
{
  g_assert_cmpint (image->width, ==, width);
  g_assert_cmpint (image->height, ==, height);
  g_assert_cmpint (image->n_channels, ==, n_channels);
}

static void
assert_same (const FbImage *a, const FbImage *b)
{
  g_assert_cmpmem (a->pixels, fb_image_n_bytes (a), b->pixels, fb_image_n_bytes (b));
}

/* root of the mean square of what differs */
static double
distance (const FbImage *a, const FbImage *b)
{
  const int n   = a->width * a->height * a->n_channels;
  double    sum = 0.0;

  for (int i = 0; i < n; i++)
    sum += pow ((double) a->pixels[i] - b->pixels[i], 2.0);
  return sqrt (sum / n);
}

/* --- sizes --------------------------------------------------------------------------------------------------------------- */

static void
test_any_size_is_made_larger (Fixture *f, gconstpointer data)
{
  static const struct { int width, height; } sizes[] = { { 1, 1 }, { 3, 5 }, { 1, 40 }, { 17, 16 }, { 15, 33 }, { 50, 7 } };

  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr(FbUpscale) request = request_for (some_picture (sizes[i].width, sizes[i].height, 3 + i % 2));
      g_auto(Result)       result  = { NULL };

      run (request, f->model, &result);
      assert_size (result.picture, FACTOR * sizes[i].width, FACTOR * sizes[i].height, 3 + i % 2);
    }
}

static void
test_less_than_the_factor_is_the_same_made_smaller (Fixture *f, gconstpointer data)
{
  g_autoptr(FbUpscale) request = request_for (some_picture (21, 10, 3));
  g_auto(Result)       whole   = { NULL };
  g_auto(Result)       scaled  = { NULL };
  g_auto(Result)       fitted  = { NULL };
  g_autoptr(FbImage)   smaller = NULL;

  run (request, f->model, &whole);
  request->scale = 2.5;
  run (request, f->model, &scaled);
  assert_size (scaled.picture, 53, 25, 3);
  smaller = fb_image_resize (whole.picture, 53, 25);
  assert_same (scaled.picture, smaller);

  request->target_width  = 30;
  request->target_height = 40;
  run (request, f->model, &fitted);
  assert_size (fitted.picture, 30, 40, 3);
}

/* --- tiles --------------------------------------------------------------------------------------------------------------- */

static void
test_threads_change_no_byte (void)
{
  g_autoptr(FbUpscale) request = request_for (some_picture (37, 20, 4));
  g_auto(Result)       one     = { NULL };

  request->generate->n_steps = 2;
  for (int n_threads = 1; n_threads <= 3; n_threads++)
    {
      g_autoptr(FbModel) model  = open_model (n_threads);
      g_auto(Result)     result = { NULL };

      run (request, model, n_threads == 1 ? &one : &result);
      if (n_threads > 1)
        assert_same (result.picture, one.picture);
    }
}

/* (transfer full): the model again, but that it says it has learned from larger pictures: one tile is enough */
static FbModel *
open_model_of_large_tiles (const char *folder)
{
  static const char * const parts[] = { "low_res_scheduler", "scheduler", "text_encoder", "tokenizer", "vae", "unet/diffusion_pytorch_model.safetensors" };
  g_autofree char     *inside = g_build_filename (folder, "unet", NULL);
  g_autofree char     *config = g_build_filename (inside, "config.json", NULL);
  g_autofree char     *given  = golden_path ("model/unet/config.json");
  g_autofree char     *text   = NULL;
  g_autoptr(GString)   other  = NULL;
  g_autoptr(GError)    error  = NULL;
  g_autoptr(FbDevice)  dev    = fb_device_new_chosen (0, &error);
  FbModel             *model;

  g_assert_cmpint (g_mkdir (inside, 0700), ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      g_autofree char *name   = g_build_filename ("model", parts[i], NULL);
      g_autofree char *golden = golden_path (name);
      g_autofree char *target = g_canonicalize_filename (golden, NULL);
      g_autofree char *path   = g_build_filename (folder, parts[i], NULL);

      g_assert_cmpint (symlink (target, path), ==, 0);
    }
  g_assert_true (g_file_get_contents (given, &text, NULL, &error));
  other = g_string_new (text);
  g_assert_cmpuint (g_string_replace (other, "\"sample_size\": 16", "\"sample_size\": 64", 0), ==, 1);
  g_assert_true (g_file_set_contents (config, other->str, -1, &error));
  model = fb_model_open (folder, NULL, NULL, dev, FB_DTYPE_F32, &error);
  g_assert_no_error (error);

  return model;
}

/* The noise is the same at each place, and the network sees most of what matters there: tiles come near the whole, step by step. */
static void
test_tiles_come_near_the_whole (Fixture *f, gconstpointer data)
{
  g_autoptr(Scratch)   folder  = scratch_new ();
  g_autoptr(FbModel)   other   = open_model_of_large_tiles (folder);
  g_autoptr(FbUpscale) request = request_for (some_picture (2 * TILE - 6, TILE, 3));
  g_auto(Result)       tiled   = { NULL };
  g_auto(Result)       whole   = { NULL };
  g_auto(Result)       seed    = { NULL };
  double               near, far;

  request->faithful          = FB_FAITHFUL_NONE;
  request->generate->n_steps = 3;
  run (request, f->model, &tiled);
  run (request, other, &whole);
  request->generate->seed++;
  run (request, other, &seed);
  g_assert_cmpint (tiled.n_reports, ==, 1 + 3 * 2);              /* two tiles a step */
  g_assert_cmpint (whole.n_reports, ==, 1 + 3);
  near = distance (tiled.picture, whole.picture);
  far  = distance (seed.picture, whole.picture);
  g_test_message ("%.3f from the whole, and another seed %.3f", near, far);
  g_assert_cmpfloat (near, >, 0.0);
  g_assert_cmpfloat (near, <, 0.5 * far);
}

/* --- transparency -------------------------------------------------------------------------------------------------------- */

static void
test_colours_under_zero_alpha_do_not_count (Fixture *f, gconstpointer data)
{
  g_autoptr(FbUpscale) request = request_for (some_picture (20, 18, 4));
  g_auto(Result)       before  = { NULL };
  g_auto(Result)       after   = { NULL };

  for (int i = 0; i < 20 * 18; i++)
    request->image->pixels[4 * i + 3] = i % 20 < 9 ? 1.0f : 0.0f;
  run (request, f->model, &before);
  for (int i = 0; i < 20 * 18; i++)
    if (i % 20 >= 9)
      request->image->pixels[4 * i] = NAN;
  run (request, f->model, &after);
  assert_same (before.picture, after.picture);
  for (int i = 0; i < 80 * 72; i++)
    {
      const float alpha = after.picture->pixels[4 * i + 3];

      g_assert_true (alpha >= 0.0f && alpha <= 1.0f);
      if (i % 80 < 4 * 8)
        g_assert_cmpfloat (alpha, ==, 1.0f);
      if (i % 80 >= 4 * 10)
        g_assert_cmpfloat (alpha, ==, 0.0f);                      /* no rim beyond the edge */
    }
}

static void
test_an_opaque_picture_stays_opaque (Fixture *f, gconstpointer data)
{
  g_autoptr(FbUpscale) with    = request_for (some_picture (20, 18, 4));
  g_autoptr(FbUpscale) without = request_for (some_picture (20, 18, 3));
  g_auto(Result)       four    = { NULL };
  g_auto(Result)       three   = { NULL };

  for (int i = 0; i < 20 * 18; i++)
    with->image->pixels[4 * i + 3] = 1.0f;
  run (with, f->model, &four);
  run (without, f->model, &three);
  for (int i = 0; i < 80 * 72; i++)
    {
      g_assert_cmpmem (four.picture->pixels + 4 * i, 12, three.picture->pixels + 3 * i, 12);
      g_assert_cmpfloat (four.picture->pixels[4 * i + 3], ==, 1.0f);
    }
}

/* --- the job ------------------------------------------------------------------------------------------------------------- */

static void
test_each_step_is_shown_at_the_pictures_size (Fixture *f, gconstpointer data)
{
  g_autoptr(FbUpscale) request = request_for (some_picture (13, 11, 4));
  g_auto(Result)       result  = { NULL };

  request->generate->n_steps = 4;
  request->generate->count   = 2;
  run (request, f->model, &result);
  g_assert_cmpint (result.n_pictures, ==, 2);
  g_assert_cmpint (result.n_previews, ==, 2 * 3);                /* the last step's picture is the result itself */
  assert_size (result.preview, 13, 11, 4);
}

static void
test_a_cancel_is_met_between_tiles (Fixture *f, gconstpointer data)
{
  g_autoptr(FbUpscale)    request = request_for (some_picture (60, 60, 3));
  g_autoptr(GCancellable) cancel  = g_cancellable_new ();
  g_autoptr(GError)       error   = NULL;
  g_auto(Result)          result  = { .cancel = cancel, .cancel_at = 3 };

  g_assert_false (fb_upscale_run (request, f->model, on_progress, on_picture, &result, cancel, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (result.n_reports, ==, 3);
  g_assert_cmpint (result.n_pictures, ==, 0);

  result.cancel = NULL;
  result.fraction = 0.0;
  run (request, f->model, &result);                              /* the model still works */
}

static void
test_the_seed_and_the_noise_matter (Fixture *f, gconstpointer data)
{
  g_autoptr(FbUpscale) request = request_for (some_picture (12, 8, 3));
  g_auto(Result)       first   = { NULL };
  g_auto(Result)       again   = { NULL };
  g_auto(Result)       other   = { NULL };
  g_auto(Result)       noisy   = { NULL };
  const size_t         n       = 48 * 32 * 3 * sizeof (float);

  run (request, f->model, &first);
  run (request, f->model, &again);
  assert_same (first.picture, again.picture);
  request->generate->seed++;
  run (request, f->model, &other);
  g_assert_true (memcmp (first.picture->pixels, other.picture->pixels, n) != 0);
  request->noise_level = 200;
  run (request, f->model, &noisy);
  g_assert_true (memcmp (noisy.picture->pixels, other.picture->pixels, n) != 0);
}

/* in a process of its own, whose address space may grow by 256 MB only */
static void
test_too_large_for_memory_is_said_first (void)
{
  g_autoptr(FbUpscale) request = request_for (some_picture (64, 64, 3));
  g_autoptr(FbUpscale) large   = request_for (some_picture (1000, 1000, 3));
  g_autoptr(FbModel)   model   = NULL;
  g_autoptr(GError)    error   = NULL;
  g_auto(Result)       result  = { NULL };
  FbEstimate           estimate;

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
      g_test_trap_assert_passed ();
      return;
    }

  model = open_model (0);
  g_assert_true (fb_upscale_estimate (request, model, &estimate, &error));
  g_assert_cmpuint (estimate.peak_bytes, <, estimate.available_bytes);
  limit_address_space (256 << 20);
  g_assert_false (fb_upscale_run (large, model, on_progress, on_picture, &result, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY);
  g_assert_cmpfloat (result.fraction, ==, 0.0);                  /* nothing has been computed */
}

/* in a process of its own, whose peak is this job's: a picture of many tiles, with alpha */
static void
test_a_job_takes_the_memory_told (void)
{
  g_autoptr(FbUpscale) request = request_for (some_picture (240, 160, 4));
  g_autoptr(FbModel)   model   = NULL;
  g_autoptr(GError)    error   = NULL;
  g_auto(Result)       result  = { NULL };
  FbEstimate           estimate;
  guint64              before, taken;

#ifdef __SANITIZE_ADDRESS__
  g_test_skip ("the address sanitizer takes memory of its own");
  return;
#endif
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDOUT);
      g_test_trap_assert_passed ();
      return;
    }

  model = open_model (0);
  g_assert_true (fb_upscale_estimate (request, model, &estimate, &error));
  before = resident_bytes ("VmRSS");
  g_assert_true (fb_upscale_run (request, model, NULL, on_picture, &result, NULL, &error));
  taken = resident_bytes ("VmHWM") - before;
  g_test_message ("told %" G_GUINT64_FORMAT " MB, took %" G_GUINT64_FORMAT, estimate.peak_bytes >> 20, taken >> 20);
  g_assert_cmpuint (taken, <, estimate.peak_bytes + estimate.peak_bytes / 8);
  g_assert_cmpuint (taken, >, estimate.peak_bytes / 3);          /* of a network this small, what a device may keep for later calls is the most of it */
}

/* --- the request --------------------------------------------------------------------------------------------------------- */

static void
test_request_survives_its_variant (void)
{
  g_autoptr(FbUpscale) request = request_for (some_picture (2, 2, 3));
  g_autoptr(FbUpscale) back    = NULL;
  g_autoptr(GVariant)  variant = NULL;
  g_autoptr(GVariant)  again   = NULL;
  g_autoptr(GError)    error   = NULL;

  request->scale         = 3.5;
  request->target_width  = 7;
  request->target_height = 8;
  request->noise_level   = 50;
  request->faithful      = FB_FAITHFUL_TONES;
  variant = fb_upscale_to_variant (request);
  back    = fb_upscale_from_variant (variant, &error);
  g_assert_no_error (error);
  again = fb_upscale_to_variant (back);
  g_assert_true (g_variant_equal (variant, again));
  g_assert_cmpint (back->faithful, ==, FB_FAITHFUL_TONES);
}

static void
test_wrong_fields_are_named (Fixture *f, gconstpointer data)
{
  static const struct { const char *text, *named; } cases[] =
  {
    { "{'scale': <4.5>}",                               "between 1 and 4" },
    { "{'scale': <0.5>}",                               "scale" },
    { "{'scale': <-2.0>}",                              "scale" },
    { "{'scale': <'large'>}",                           "scale" },      /* wrong type */
    { "{'target-width': <41>, 'target-height': <24>}",  "40×24" },
    { "{'target-width': <20>}",                         "target-height" },
    { "{'target-width': <-1>, 'target-height': <-1>}",  "target-width" },
    { "{'noise-level': <351>}",                         "noise-level" },
    { "{'faithful': <'yes'>}",                          "tones" },
    { "{'n-steps': <-1>}",                              "n-steps" },
    { "{'sampler': <'ddm'>}",                           "ddim" },
    { "{'decoder': <'taesd'>}",                         "decoder" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError)    error   = NULL;
      g_autoptr(GVariant)  variant = g_variant_parse (G_VARIANT_TYPE_VARDICT, cases[i].text, NULL, NULL, &error);
      g_autoptr(FbUpscale) request = NULL;

      g_assert_no_error (error);
      request = fb_upscale_from_variant (variant, &error);
      if (request != NULL)
        {
          request->image = some_picture (10, 6, 3);
          g_assert_false (fb_upscale_resolve (request, f->model, &error));
        }
      g_assert_nonnull (error);
      g_test_message ("%s → %s", cases[i].text, error->message);
      g_assert_nonnull (strstr (error->message, cases[i].named));
    }
}

static void
test_open_places_are_the_models (Fixture *f, gconstpointer data)
{
  g_autoptr(FbUpscale) request = fb_upscale_new ();
  g_autoptr(GError)    error   = NULL;
  FbEstimate           estimate;

  g_assert_true (fb_upscale_resolve (request, f->model, &error));
  g_assert_cmpint (request->noise_level, ==, 20);
  g_assert_cmpint (request->generate->n_steps, ==, 20);
  g_assert_cmpstr (request->generate->sampler, ==, "ddim");
  g_assert_cmpfloat (request->generate->guidance_scale, ==, 1.0);       /* without words both branches would be the same */
  g_assert_true (fb_upscale_estimate (request, f->model, &estimate, &error));
  g_assert_cmpuint (estimate.peak_bytes, >, 0);

  g_assert_false (fb_upscale_run (request, f->model, NULL, on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
  g_assert_nonnull (strstr (error->message, "image"));
}

static void
test_a_mask_is_no_picture (Fixture *f, gconstpointer data)
{
  g_autoptr(FbUpscale) request = request_for (some_picture (8, 8, 1));
  g_autoptr(GError)    error   = NULL;

  g_assert_false (fb_upscale_run (request, f->model, NULL, on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
}

static void
test_another_model_is_refused (void)
{
  g_autofree char      *path    = g_build_filename (g_test_get_dir (G_TEST_DIST), "golden", "pipeline", "model", NULL);
  g_autoptr(FbModel)    model   = fb_model_open (path, NULL, NULL, NULL, FB_DTYPE_F32, NULL);
  g_autoptr(FbUpscale)  request = request_for (some_picture (8, 8, 3));
  g_autoptr(GError)     error   = NULL;

  g_assert_false (fb_upscale_run (request, model, NULL, on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
  g_assert_nonnull (strstr (error->message, path));
  g_assert_nonnull (strstr (error->message, "x4 Upscaler"));
}

static void
test_words_alone_are_not_for_this_model (Fixture *f, gconstpointer data)
{
  g_autoptr(FbGenerate) request = fb_generate_new ();
  g_autoptr(GError)     error   = NULL;

  g_set_str (&request->prompt, "a cat");
  g_assert_false (fb_generate_run (request, f->model, NULL, on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
  g_assert_nonnull (strstr (error->message, "super-resolution"));
}

static const struct { const char *name; void (* func) (Fixture *f, gconstpointer data); } tests[] =
{
  { "any-size-is-made-larger",                       test_any_size_is_made_larger },
  { "less-than-the-factor-is-the-same-made-smaller", test_less_than_the_factor_is_the_same_made_smaller },
  { "tiles-come-near-the-whole",                     test_tiles_come_near_the_whole },
  { "colours-under-zero-alpha-do-not-count",         test_colours_under_zero_alpha_do_not_count },
  { "an-opaque-picture-stays-opaque",                test_an_opaque_picture_stays_opaque },
  { "each-step-is-shown-at-the-pictures-size",       test_each_step_is_shown_at_the_pictures_size },
  { "a-cancel-is-met-between-tiles",                 test_a_cancel_is_met_between_tiles },
  { "the-seed-and-the-noise-matter",                 test_the_seed_and_the_noise_matter },
  { "wrong-fields-are-named",                        test_wrong_fields_are_named },
  { "open-places-are-the-models",                    test_open_places_are_the_models },
  { "a-mask-is-no-picture",                          test_a_mask_is_no_picture },
  { "words-alone-are-not-for-this-model",            test_words_alone_are_not_for_this_model },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *name = g_strdup_printf ("/core/tasks/upscale/%s", tests[i].name);

      g_test_add (name, Fixture, NULL, set_up, tests[i].func, tear_down);
    }
  g_test_add_func ("/core/tasks/upscale/threads-change-no-byte", test_threads_change_no_byte);
  g_test_add_func ("/core/tasks/upscale/too-large-for-memory-is-said-first", test_too_large_for_memory_is_said_first);
  g_test_add_func ("/core/tasks/upscale/a-job-takes-the-memory-told", test_a_job_takes_the_memory_told);
  g_test_add_func ("/core/tasks/upscale/request-survives-its-variant", test_request_survives_its_variant);
  g_test_add_func ("/core/tasks/upscale/another-model-is-refused", test_another_model_is_refused);

  return g_test_run ();
}
