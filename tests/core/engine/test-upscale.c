/* tests/core/engine/test-upscale.c: the job "upscale" with the real engine and a tiny random model. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/engine/fixture.h"

#include <string.h>

#include "core/formats/model-error.h"
#include "core/image/png.h"
#include "core/tasks/task-error.h"

enum { WIDTH = 22, HEIGHT = 13 };

static FbImage *
some_picture (int n_channels)
{
  FbImage *image = fb_image_new (WIDTH, HEIGHT, n_channels);

  for (int i = 0; i < WIDTH * HEIGHT; i++)
    for (int c = 0; c < n_channels; c++)
      image->pixels[i * n_channels + c] = c == 3 ? i % 2 : (i % WIDTH * 9 + i / WIDTH * (c + 1)) % 256 / 255.0f;
  return image;
}

static GVariant *
parsed (const char *text)
{
  g_autoptr(GError)  error = NULL;
  GVariant          *dict  = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);

  g_assert_no_error (error);
  return dict;
}

static FbJob *
new_job (Fixture *f, GVariant *request, int n_channels)
{
  FbJob              *job   = fb_job_new (f->client, "upscale", request);
  g_autoptr(FbImage)  image = some_picture (MAX (n_channels, 1));

  if (n_channels > 0)
    fb_job_add_picture (job, "image", image);
  return job;
}

static void
on_progress (const FbJobProgress *progress, gpointer user_data)
{
  if (progress->preview != NULL)
    {
      g_assert_cmpint (progress->preview->width, ==, WIDTH);
      g_assert_cmpint (progress->preview->n_channels, ==, 4);
      (*(int *) user_data)++;
    }
}

static void
a_picture_comes_back_larger (Fixture *f, gconstpointer data)
{
  int                 n        = 0;
  g_autoptr(GVariant) request  = parsed ("{'n-steps': <8>, 'seed': <int64 4>, 'scale': <3.0>}");
  g_autoptr(FbJob)    job      = new_job (f, request, 4);
  g_autoptr(GError)   error    = NULL;
  g_autoptr(GVariant) metadata = NULL;
  FbImage            *picture;
  const char         *family   = NULL;
  int                 level    = -1;

  fb_job_run (job, on_progress, &n, NULL, &error);
  g_assert_no_error (error);
  picture  = fb_job_get_picture (job, 0);
  metadata = fb_job_get_metadata (job, 0);
  g_assert_cmpint (picture->width, ==, 3 * WIDTH);
  g_assert_cmpint (picture->height, ==, 3 * HEIGHT);
  g_assert_cmpint (picture->n_channels, ==, 4);
  g_assert_cmpint (n, >=, 1);                                    /* the newest wins: not each is sent */
  g_assert_true (g_variant_lookup (metadata, "family", "&s", &family));
  g_assert_cmpstr (family, ==, "sd-x4-upscaler");
  g_assert_true (g_variant_lookup (metadata, "noise-level", "i", &level));
  g_assert_cmpint (level, ==, 20);
}

static void
the_metadata_makes_it_again (Fixture *f, gconstpointer data)
{
  g_autoptr(GVariant) request  = parsed ("{'prompt': <'a cat'>, 'n-steps': <2>, 'seed': <int64 4>, 'count': <2>, 'faithful': <'none'>}");
  g_autoptr(FbJob)    job      = new_job (f, request, 3);
  g_autoptr(FbJob)    again    = NULL;
  g_autoptr(GVariant) metadata = NULL;
  g_autoptr(GError)   error    = NULL;
  FbImage            *a, *b;

  fb_job_run (job, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  metadata = fb_job_get_metadata (job, 1);
  again    = new_job (f, metadata, 3);
  fb_job_run (again, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fb_job_get_n_pictures (again), ==, 1);
  a = fb_job_get_picture (job, 1);
  b = fb_job_get_picture (again, 0);
  g_assert_cmpmem (a->pixels, fb_image_n_bytes (a), b->pixels, fb_image_n_bytes (b));
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static guint64
estimate (Fixture *f, const char *text, int *width)
{
  g_autoptr(GAsyncResult) result  = NULL;
  g_autoptr(GVariant)     request = parsed (text);
  g_autoptr(GError)       error   = NULL;
  FbJobEstimate           answer  = { 0 };

  fb_engine_client_estimate_async (f->client, "upscale", request, NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  fb_engine_client_estimate_finish (f->client, result, &answer, &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_lookup (answer.resolved, "width", "i", width));
  g_variant_unref (answer.resolved);
  return answer.peak_bytes;
}

static void
an_estimate_goes_by_the_picture_to_come (Fixture *f, gconstpointer data)
{
  int           width = 0;
  const guint64 tile  = estimate (f, "{}", &width);
  guint64       large;

  g_assert_cmpint (width, ==, 64);
  large = estimate (f, "{'source-width': <1000>, 'source-height': <500>}", &width);
  g_assert_cmpint (width, ==, 4000);
  g_assert_cmpuint (large, >, tile + 4000 * 2000 * 12);
}

static void
bad_jobs_are_named (Fixture *f, gconstpointer data)
{
  static const struct { const char *request; int n_channels; const char *text; } cases[] =
  {
    { "{}",                                                  0, "“image”"       },
    { "{}",                                                  1, "“image”"       },
    { "{'scale': <8.0>}",                                    3, "“scale”"       },
    { "{'noise-level': <1000>}",                             3, "“noise-level”" },
    { "{'target-width': <1000>, 'target-height': <10>}",     3, "88×52"         },
    { "{'faithful': <'very'>}",                              3, "very"          },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GVariant) request = parsed (cases[i].request);
      g_autoptr(FbJob)    job     = new_job (f, request, cases[i].n_channels);
      g_autoptr(GError)   error   = NULL;

      g_assert_false (fb_job_run (job, NULL, NULL, NULL, &error));
      g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
      if (strstr (error->message, cases[i].text) == NULL)
        g_error ("“%s” is not in “%s”", cases[i].text, error->message);
    }
}

/* --- which model ---------------------------------------------------------------------------------------------------------- */

static void
without_a_model_for_it_a_sentence_says_so (Fixture *f, gconstpointer data)
{
  g_autofree char     *before  = g_strdup (g_getenv ("FLASHBRUSH_MODELS_PATH"));
  g_autoptr(GVariant)  request = parsed ("{}");
  g_autoptr(FbJob)     job     = new_job (f, request, 3);
  g_autoptr(GError)    error   = NULL;

  g_setenv ("FLASHBRUSH_MODELS_PATH", g_getenv ("FB_TEST_OTHER_MODELS"), TRUE);      /* the engine has not been started yet */
  g_assert_false (fb_job_run (job, NULL, NULL, NULL, &error));
  g_setenv ("FLASHBRUSH_MODELS_PATH", before, TRUE);
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "super-resolution"));
  g_assert_nonnull (strstr (error->message, "Models and Distillation"));
}

static void
the_list_says_what_the_model_is_for (Fixture *f, gconstpointer data)
{
  g_autoptr(GAsyncResult) result = NULL;
  g_autoptr(GVariant)     models = NULL;
  g_autoptr(GVariant)     entry  = NULL;
  g_autoptr(GError)       error  = NULL;
  g_autofree const char **tasks  = NULL;

  fb_engine_client_list_models_async (f->client, NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  models = fb_engine_client_list_models_finish (f->client, result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_n_children (models), ==, 1);
  entry = g_variant_get_child_value (models, 0);
  g_assert_true (g_variant_lookup (entry, "default-for", "^a&s", &tasks));
  g_assert_cmpstr (tasks[0], ==, "upscale");
  g_assert_null (tasks[1]);
}

/* --- the command ---------------------------------------------------------------------------------------------------------- */

static void
the_command_makes_a_file_larger (Fixture *f, gconstpointer data)
{
  for (int C = 3; C <= 4; C++)
    {
      g_autofree char    *in          = fixture_save_png (f, "in.png", some_picture (C));
      g_autofree char    *out         = g_build_filename (f->folder, "out.png", NULL);
      const char         *by_scale[]  = { in, "-o", out, "--steps", "2", "--scale", "2", "--noise-level", "50", "--seed", "1", NULL };
      const char         *by_size[]   = { in, "a cat", "-o", out, "--steps", "1", "--width", "30", "--height", "29", NULL };
      g_autofree char    *errors      = fixture_command ("upscale", 0, by_scale);
      g_autofree char    *more        = NULL;
      g_autoptr(GError)   error       = NULL;
      g_autoptr(FbImage)  scaled      = fb_image_load_png (out, &error);
      g_autoptr(FbImage)  sized       = NULL;

      g_assert_no_error (error);
      g_assert_cmpint (scaled->n_channels, ==, C);
      g_assert_cmpint (scaled->width, ==, 2 * WIDTH);
      g_assert_cmpint (scaled->height, ==, 2 * HEIGHT);
      more  = fixture_command ("upscale", 0, by_size);
      sized = fb_image_load_png (out, &error);
      g_assert_no_error (error);
      g_assert_cmpint (sized->width, ==, 30);
      g_assert_cmpint (sized->height, ==, 29);
    }
}

static void
the_command_explains_its_errors (Fixture *f, gconstpointer data)
{
  g_autofree char *in = fixture_save_png (f, "in.png", some_picture (3));
  const struct { const char *arguments[6]; int status; const char *text; } cases[] =
  {
    { { NULL },                                       2, "A file" },
    { { "/nowhere.png" },                             1, "/nowhere.png" },
    { { in, "--scale", "5" },                         1, "“scale”" },
    { { in, "--noise-level", "400" },                 2, "“--noise-level”" },
    { { in, "--noise-level", "-1" },                  2, "“--noise-level”" },
    { { in, "--scale", "0" },                         2, "“--scale” is 0" },
    { { in, "--scale", "nan" },                       2, "“--scale” is nan" },
    { { in, "--width", "5" },                         2, "--height" },
    { { in, "--width", "0", "--height", "0" },        2, "“--width” is 0" },
    { { in, "--scale=2", "--width=9", "--height=9" }, 2, "two sizes" },
    { { in, "--faithful", "very" },                   1, "very" },
    { { in, "--model", "nothing" },                   1, "nothing" },
    { { in, "a", "b" },                               2, "quotes" },
    { { in, "-o", "picture.jpg" },                    2, ".png" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *errors = fixture_command ("upscale", cases[i].status, cases[i].arguments);

      if (strstr (errors, cases[i].text) == NULL)
        g_error ("“%s” is not in “%s”", cases[i].text, errors);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_true (FB_TASK_ERROR != FB_ENGINE_ERROR && FB_MODEL_ERROR != FB_ENGINE_ERROR);      /* known before errors of theirs arrive */
  fixture_test ("/core/engine/upscale/a-picture-comes-back-larger", NULL, a_picture_comes_back_larger);
  fixture_test ("/core/engine/upscale/the-metadata-makes-it-again", NULL, the_metadata_makes_it_again);
  fixture_test ("/core/engine/upscale/an-estimate-goes-by-the-picture-to-come", NULL, an_estimate_goes_by_the_picture_to_come);
  fixture_test ("/core/engine/upscale/bad-jobs-are-named", NULL, bad_jobs_are_named);
  fixture_test ("/core/engine/upscale/without-a-model-for-it-a-sentence-says-so", NULL, without_a_model_for_it_a_sentence_says_so);
  fixture_test ("/core/engine/upscale/the-list-says-what-the-model-is-for", NULL, the_list_says_what_the_model_is_for);
  fixture_test ("/core/engine/upscale/the-command-makes-a-file-larger", NULL, the_command_makes_a_file_larger);
  fixture_test ("/core/engine/upscale/the-command-explains-its-errors", NULL, the_command_explains_its_errors);
  return g_test_run ();
}
