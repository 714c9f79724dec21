/* tests/core/engine/test-inpaint.c: the job "inpaint" with the real engine and the model that comes along. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/engine/fixture.h"

#include <math.h>
#include <string.h>

#include "core/image/png.h"
#include "core/tasks/task-error.h"

enum { WIDTH = 160, HEIGHT = 120 };
static const FbRect box = { 60, 40, 40, 30 };

static FbImage *
some_picture (int n_channels)
{
  FbImage *image = fb_image_new (WIDTH, HEIGHT, n_channels);

  for (int i = 0; i < WIDTH * HEIGHT; i++)
    for (int c = 0; c < n_channels; c++)
      image->pixels[i * n_channels + c] = c == 3 ? 1.0f : (i % WIDTH * 3 + i / WIDTH * (c + 1)) % 256 / 255.0f;
  return image;
}

static FbImage *
some_mask (int n_channels)
{
  FbImage *mask = fb_image_new (WIDTH, HEIGHT, n_channels);

  for (int i = 0; i < WIDTH * HEIGHT; i++)
    for (int c = 0; c < n_channels; c++)
      mask->pixels[i * n_channels + c] = i % WIDTH >= box.x && i % WIDTH < box.x + box.width &&
                                         i / WIDTH >= box.y && i / WIDTH < box.y + box.height ? 1.0f : 0.0f;
  return mask;
}

static FbJob *
new_job (Fixture *f, GVariant *request, gboolean pictures)
{
  FbJob              *job   = fb_job_new (f->client, "inpaint", request);
  g_autoptr(FbImage)  image = some_picture (3), mask = some_mask (1);

  if (pictures)
    {
      fb_job_add_picture (job, "image", image);
      fb_job_add_picture (job, "mask", mask);
    }
  return job;
}

static GVariant *
parsed (const char *text)
{
  g_autoptr(GError)  error = NULL;
  GVariant          *dict  = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);

  g_assert_no_error (error);
  return dict;
}

/* (transfer full): a job that has gone well */
static FbJob *
run (Fixture *f, const char *request, FbJobProgressFunc progress, gpointer user_data)
{
  g_autoptr(GVariant)  dict  = parsed (request);
  FbJob               *job   = new_job (f, dict, TRUE);
  g_autoptr(GError)    error = NULL;

  fb_job_run (job, progress, user_data, NULL, &error);
  g_assert_no_error (error);
  return job;
}

static void
a_mask_comes_back_as_a_layer (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)    job      = run (f, "{'use': <'remove'>, 'n-steps': <2>, 'seed': <int64 4>}", NULL, NULL);
  FbImage            *picture  = fb_job_get_picture (job, 0);
  g_autoptr(FbImage)  image    = some_picture (3);
  g_autoptr(GVariant) metadata = fb_job_get_metadata (job, 0);
  FbRect              bounds;
  const char         *text     = NULL;

  g_assert_cmpint (fb_job_get_n_pictures (job), ==, 1);
  g_assert_cmpint (picture->width, ==, WIDTH);
  g_assert_cmpint (picture->height, ==, HEIGHT);
  g_assert_cmpint (picture->n_channels, ==, 4);
  g_assert_true (g_variant_lookup (metadata, "bounds", "(iiii)", &bounds.x, &bounds.y, &bounds.width, &bounds.height));
  g_assert_true (g_variant_lookup (metadata, "route", "&s", &text));
  g_assert_cmpstr (text, !=, "auto");
  g_assert_cmpint (bounds.x, <=, box.x);
  g_assert_cmpint (bounds.y, <=, box.y);
  g_assert_cmpint (bounds.width, >=, box.width);
  for (int i = 0; i < WIDTH * HEIGHT; i++)
    {
      const int x = i % WIDTH, y = i / WIDTH;

      if (x < bounds.x || x >= bounds.x + bounds.width || y < bounds.y || y >= bounds.y + bounds.height)
        g_assert_cmpfloat (picture->pixels[4 * i + 3], ==, 0.0f);
      if (x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height)
        g_assert_cmpfloat (picture->pixels[4 * i + 3], ==, 1.0f);
      if (picture->pixels[4 * i + 3] == 0.0f)
        g_assert_cmpmem (picture->pixels + 4 * i, 3 * sizeof (float), image->pixels + 3 * i, 3 * sizeof (float));
    }
}

static void
the_metadata_makes_it_again (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)    job      = run (f, "{'prompt': <'a cat'>, 'n-steps': <2>, 'seed': <int64 4>, 'count': <2>}", NULL, NULL);
  g_autoptr(GVariant) metadata = fb_job_get_metadata (job, 1);
  g_autoptr(FbJob)    again    = new_job (f, metadata, TRUE);
  g_autoptr(GError)   error    = NULL;
  FbImage            *a        = fb_job_get_picture (job, 1), *b;

  fb_job_run (again, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  b = fb_job_get_picture (again, 0);
  g_assert_cmpint (fb_job_get_n_pictures (again), ==, 1);
  g_assert_cmpmem (a->pixels, fb_image_n_bytes (a), b->pixels, fb_image_n_bytes (b));
}

static void
on_progress (const FbJobProgress *progress, gpointer user_data)
{
  if (progress->preview != NULL)
    {
      g_assert_cmpint (progress->preview->n_channels, ==, 4);
      g_assert_cmpfloat (progress->preview->pixels[3], ==, 0.0f);
      (*(int *) user_data)++;
    }
}

static void
steps_are_shown_under_the_mask (Fixture *f, gconstpointer data)
{
  int              n   = 0;
  g_autoptr(FbJob) job = run (f, "{'prompt': <'a cat'>, 'n-steps': <6>, 'preview': <'linear'>}", on_progress, &n);

  g_assert_cmpint (fb_job_get_n_pictures (job), ==, 1);
  g_assert_cmpint (n, >=, 1);                                    /* the newest wins: not each is sent */
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static void
an_estimate_tells_the_models_size (Fixture *f, gconstpointer data)
{
  g_autoptr(GAsyncResult) result   = NULL;
  g_autoptr(GVariant)     request  = parsed ("{'use': <'expand'>}");
  g_autoptr(GError)       error    = NULL;
  FbJobEstimate           estimate = { 0 };
  int                     width    = 0;
  double                  strength = 0.0;
  const char             *fill     = NULL;

  fb_engine_client_estimate_async (f->client, "inpaint", request, NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (fb_engine_client_estimate_finish (f->client, result, &estimate, &error));
  g_assert_true (g_variant_lookup (estimate.resolved, "width", "i", &width));
  g_assert_cmpint (width, ==, 128);
  g_assert_true (g_variant_lookup (estimate.resolved, "strength", "d", &strength));
  g_assert_cmpfloat (strength, >, 0.0);
  g_assert_true (g_variant_lookup (estimate.resolved, "fill", "&s", &fill));
  g_assert_cmpstr (fill, !=, "auto");
  g_assert_cmpuint (estimate.peak_bytes, >, 10000000);
  g_variant_unref (estimate.resolved);
}

static void
bad_jobs_are_named (Fixture *f, gconstpointer data)
{
  static const struct { const char *request; gboolean pictures; const char *text; } cases[] =
  {
    { "{'use': <'remove'>}",                                 FALSE, "“image”"  },
    { "{'use': <'sharpen'>}",                                TRUE,  "sharpen"  },
    { "{'route': <'inpaint-model'>, 'prompt': <'a cat'>}",   TRUE,  "“route”"  },
    { "{'feather': <2.0>}",                                  TRUE,  "“feather”" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GVariant) request = parsed (cases[i].request);
      g_autoptr(FbJob)    job     = new_job (f, request, cases[i].pictures);
      g_autoptr(GError)   error   = NULL;

      g_assert_false (fb_job_run (job, NULL, NULL, NULL, &error));
      g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
      if (strstr (error->message, cases[i].text) == NULL)
        g_error ("“%s” is not in “%s”", cases[i].text, error->message);
    }
}

/* --- the command ---------------------------------------------------------------------------------------------------------- */

static void
the_command_keeps_what_is_not_masked (Fixture *f, gconstpointer data)
{
  for (int alpha = 0; alpha < 2; alpha++)
    {
      const int           C           = 3 + alpha;
      g_autofree char    *in          = fixture_save_png (f, "in.png", some_picture (C));
      g_autofree char    *mask        = fixture_save_png (f, "mask.png", some_mask (3));
      g_autofree char    *out         = g_build_filename (f->folder, "out.png", NULL);
      const char         *arguments[] = { in, mask, "a cat", "-o", out, "--steps", "1", "--feather", "0", NULL };
      g_autofree char    *errors      = fixture_command ("inpaint", 0, arguments);
      g_autoptr(GError)   error       = NULL;
      g_autoptr(FbImage)  before      = fb_image_load_png (in, &error);
      g_autoptr(FbImage)  after       = fb_image_load_png (out, &error);
      g_autoptr(FbImage)  white       = some_mask (1);
      int                 n_changed   = 0;

      g_assert_no_error (error);
      g_assert_cmpint (after->n_channels, ==, C);
      for (int i = 0; i < WIDTH * HEIGHT; i++)
        {
          const gboolean same = memcmp (before->pixels + C * i, after->pixels + C * i, C * sizeof (float)) == 0;

          g_assert_true (same || white->pixels[i] == 1.0f);
          n_changed += !same;
        }
      g_assert_cmpint (n_changed, >, box.width * box.height / 2);
    }
}

static void
the_command_explains_its_errors (Fixture *f, gconstpointer data)
{
  g_autofree char *in    = fixture_save_png (f, "in.png", some_picture (3));
  g_autofree char *mask  = fixture_save_png (f, "mask.png", some_mask (3));
  g_autofree char *small = fixture_save_png (f, "small.png", fb_image_new (8, 8, 3));
  const struct { const char *arguments[6]; int status; const char *text; } cases[] =
  {
    { { in },                                       2, "Two files"    },
    { { in, small },                                1, "8×8"          },
    { { in, "/nowhere.png" },                       1, "/nowhere.png" },
    { { in, mask, "--use", "sharpen" },             1, "sharpen"      },
    { { in, mask, "--feather", "3" },               1, "“feather”"    },
    { { in, mask, "--context", "much" },            2, "“much”"       },
    { { in, mask, "--strength", "-1" },             2, "“--strength”" },
    { { in, mask, "--grow", "-0.5" },               2, "“--grow”"     },
    { { in, mask, "a", "b" },                       2, "quotes"       },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *errors = fixture_command ("inpaint", cases[i].status, cases[i].arguments);

      if (strstr (errors, cases[i].text) == NULL)
        g_error ("“%s” is not in “%s”", cases[i].text, errors);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_true (FB_TASK_ERROR != FB_ENGINE_ERROR);             /* known before errors of theirs arrive */
  fixture_test ("/core/engine/inpaint/a-mask-comes-back-as-a-layer", NULL, a_mask_comes_back_as_a_layer);
  fixture_test ("/core/engine/inpaint/the-metadata-makes-it-again", NULL, the_metadata_makes_it_again);
  fixture_test ("/core/engine/inpaint/steps-are-shown-under-the-mask", NULL, steps_are_shown_under_the_mask);
  fixture_test ("/core/engine/inpaint/an-estimate-tells-the-models-size", NULL, an_estimate_tells_the_models_size);
  fixture_test ("/core/engine/inpaint/bad-jobs-are-named", NULL, bad_jobs_are_named);
  fixture_test ("/core/engine/inpaint/the-command-keeps-what-is-not-masked", NULL, the_command_keeps_what_is_not_masked);
  fixture_test ("/core/engine/inpaint/the-command-explains-its-errors", NULL, the_command_explains_its_errors);
  return g_test_run ();
}
