/* tests/core/engine/test-generate.c: the real engine with the model that comes along. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/engine/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "core/formats/checkpoint.h"
#include "core/formats/safetensors-writer.h"
#include "core/image/png.h"
#include "core/samplers/sampler.h"
#include "core/tasks/task-error.h"
#include "kernels/device.h"

#define SIDE 128

static FbJob *
new_job (Fixture *f, const char *kind, const char *request)
{
  g_autoptr(GError)    error = NULL;
  g_autoptr(GVariant)  dict  = g_variant_parse (G_VARIANT_TYPE_VARDICT, request, NULL, NULL, &error);

  g_assert_no_error (error);
  return fb_job_new (f->client, kind, dict);
}

/* (transfer full): a job that has gone well */
static FbJob *
run (Fixture *f, const char *kind, const char *request)
{
  FbJob             *job   = new_job (f, kind, request);
  g_autoptr(GError)  error = NULL;

  fb_job_run (job, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  return job;
}

/* (transfer full) */
static GError *
run_badly (Fixture *f, const char *request)
{
  g_autoptr(FbJob)  job   = new_job (f, "generate", request);
  GError           *error = NULL;

  g_assert_false (fb_job_run (job, NULL, NULL, NULL, &error));
  return error;
}

static void
assert_fails (Fixture *f, const char *request, GQuark domain, int code, const char *text)
{
  g_autoptr(GError) error = run_badly (f, request);

  g_assert_error (error, domain, code);
  if (strstr (error->message, text) == NULL)
    g_error ("“%s” is not in “%s”", text, error->message);
}

static double
stage_seconds (FbJob *job, const char *stage)
{
  g_autoptr(GVariant) result  = fb_job_get_result (job);
  g_autoptr(GVariant) seconds = g_variant_lookup_value (result, "stage-seconds", G_VARIANT_TYPE ("a{sd}"));
  double              value   = -1.0;

  g_assert_nonnull (seconds);
  g_assert_true (g_variant_lookup (seconds, stage, "d", &value));
  return value;
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static void
wait_for (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
}

static GVariant *
list_loaded (Fixture *f)
{
  g_autoptr(GAsyncResult)  result = NULL;
  g_autoptr(GError)        error  = NULL;
  GVariant                *loaded;

  fb_engine_client_list_loaded_async (f->client, NULL, on_answer, &result);
  wait_for (&result);
  loaded = fb_engine_client_list_loaded_finish (f->client, result, &error);
  g_assert_no_error (error);
  return loaded;
}

/* --- what it is asked ------------------------------------------------------------------------------------------------- */

static void
the_model_that_comes_along_is_listed (Fixture *f, gconstpointer data)
{
  g_autoptr(GAsyncResult)  result = NULL;
  g_autoptr(GError)        error  = NULL;
  g_autoptr(GVariant)      models = NULL;
  g_autoptr(GVariant)      model  = NULL;
  const char              *text;
  guint64                  bytes  = 0;

  fb_engine_client_list_models_async (f->client, NULL, on_answer, &result);
  wait_for (&result);
  models = fb_engine_client_list_models_finish (f->client, result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_n_children (models), >=, 1);
  model = g_variant_get_child_value (models, 0);
  g_assert_true (g_variant_lookup (model, "name", "&s", &text));
  g_assert_cmpstr (text, ==, "starter");
  g_assert_true (g_variant_lookup (model, "kind", "&s", &text));
  g_assert_cmpstr (text, ==, "checkpoint");
  g_assert_true (g_variant_lookup (model, "family", "&s", &text));
  g_assert_cmpstr (text, ==, "sd-1.5");
  g_assert_true (g_variant_lookup (model, "title", "&s", &text));
  g_assert_true (g_variant_lookup (model, "bytes", "t", &bytes));
  g_assert_cmpuint (bytes, >, 1000000);
}

static void
capabilities_name_device_and_samplers (Fixture *f, gconstpointer data)
{
  g_autoptr(GAsyncResult)  result       = NULL;
  g_autoptr(GError)        error        = NULL;
  g_autoptr(GVariant)      capabilities = NULL;
  g_autoptr(GVariant)      samplers     = NULL;
  const char              *text;
  int                      threads      = 0;

  fb_engine_client_get_capabilities_async (f->client, NULL, on_answer, &result);
  wait_for (&result);
  capabilities = fb_engine_client_get_capabilities_finish (f->client, result, &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_lookup (capabilities, "device", "&s", &text));
  g_assert_cmpstr (text, ==, "cpu");
  g_assert_true (g_variant_lookup (capabilities, "dtype", "&s", &text));
  g_assert_true (g_str_equal (text, "bf16") || g_str_equal (text, "f32"));
  g_assert_true (g_variant_lookup (capabilities, "threads", "i", &threads));
  g_assert_cmpint (threads, >=, 1);
  samplers = g_variant_lookup_value (capabilities, "samplers", G_VARIANT_TYPE ("aa{sv}"));
  g_assert_nonnull (samplers);
  g_assert_cmpuint (g_variant_n_children (samplers), >=, 5);
}

static gboolean
estimate (Fixture *f, const char *request, FbJobEstimate *estimate, GError **error)
{
  g_autoptr(GAsyncResult) result = NULL;
  g_autoptr(GVariant)     dict   = g_variant_parse (G_VARIANT_TYPE_VARDICT, request, NULL, NULL, NULL);

  fb_engine_client_estimate_async (f->client, "generate", dict, NULL, on_answer, &result);
  wait_for (&result);
  return fb_engine_client_estimate_finish (f->client, result, estimate, error);
}

static void
an_estimate_fills_in_the_models_values (Fixture *f, gconstpointer data)
{
  g_autoptr(GError)  error = NULL;
  FbJobEstimate      small = { 0 }, large = { 0 };
  int                width = 0;
  g_autoptr(GVariant) loaded = NULL;

  estimate (f, "{'prompt': <'a cat'>}", &small, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (small.peak_bytes, >, 20 * 1000 * 1000);
  g_assert_cmpuint (small.available_bytes, >, small.peak_bytes);
  g_assert_nonnull (small.resolved);
  g_assert_true (g_variant_lookup (small.resolved, "width", "i", &width));
  g_assert_cmpint (width, ==, SIDE);

  g_assert_true (estimate (f, "{'prompt': <'a cat'>, 'width': <1024>, 'height': <1024>}", &large, &error));
  g_assert_cmpuint (large.peak_bytes, >, 2 * small.peak_bytes);
  g_assert_false (estimate (f, "{'prompt': <'a cat'>, 'width': <100>}", &large, &error));
  g_assert_nonnull (strstr (error->message, "100"));

  loaded = list_loaded (f);
  g_assert_cmpuint (g_variant_n_children (loaded), ==, 0);            /* asking takes no memory */
  g_variant_unref (small.resolved);
  g_clear_pointer (&large.resolved, g_variant_unref);
}

/* --- what it makes ---------------------------------------------------------------------------------------------------- */

static void
note_progress (const FbJobProgress *progress, gpointer user_data)
{
  GHashTable *seen = user_data;

  g_hash_table_add (seen, (gpointer) progress->stage);
  if (progress->preview != NULL)
    g_hash_table_add (seen, (gpointer) "preview");
}

static void
assert_same (FbJob *a, int i, FbJob *b, int j)
{
  FbImage *x = fb_job_get_picture (a, i);
  FbImage *y = fb_job_get_picture (b, j);

  g_assert_cmpmem (x->pixels, fb_image_n_bytes (x), y->pixels, fb_image_n_bytes (y));
}

static void
a_prompt_becomes_a_picture (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)      job   = new_job (f, "generate", "{'prompt': <'a red heart'>, 'seed': <int64 5>, 'count': <2>, 'n-steps': <3>}");
  g_autoptr(GHashTable) seen  = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr(GError)     error = NULL;
  g_autoptr(GVariant)   metadata = NULL;
  g_autoptr(FbJob)      other = NULL;
  FbImage              *picture;
  const char           *text;
  int                   n = 0;
  gint64                seed = 0;
  double                guidance = 0.0, sum = 0.0, squares = 0.0;

  g_assert_true (fb_job_run (job, note_progress, seen, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (fb_job_get_n_pictures (job), ==, 2);
  picture = fb_job_get_picture (job, 1);
  g_assert_cmpint (picture->width, ==, SIDE);
  g_assert_cmpint (picture->height, ==, SIDE);
  g_assert_cmpint (picture->n_channels, ==, 3);
  for (int i = 0; i < SIDE * SIDE * 3; i++)
    {
      g_assert_true (picture->pixels[i] >= 0.0f && picture->pixels[i] <= 1.0f);
      sum     += picture->pixels[i];
      squares += picture->pixels[i] * picture->pixels[i];
    }
  g_assert_cmpfloat (squares / (SIDE * SIDE * 3) - pow (sum / (SIDE * SIDE * 3), 2.0), >, 0.001);     /* not of one colour */
  g_assert_true (g_hash_table_contains (seen, "load"));
  g_assert_true (g_hash_table_contains (seen, "step"));
  g_assert_true (g_hash_table_contains (seen, "preview"));

  metadata = fb_job_get_metadata (job, 1);
  g_assert_true (g_variant_lookup (metadata, "seed", "x", &seed));
  g_assert_cmpint (seed, ==, 6);
  g_assert_cmpint (fb_job_get_seed (job, 1), ==, 6);
  g_assert_true (g_variant_lookup (metadata, "n-steps", "i", &n));
  g_assert_cmpint (n, ==, 3);
  g_assert_true (g_variant_lookup (metadata, "width", "i", &n));
  g_assert_cmpint (n, ==, SIDE);
  g_assert_true (g_variant_lookup (metadata, "guidance-scale", "d", &guidance));
  g_assert_cmpfloat (guidance, >=, 1.0);
  g_assert_true (g_variant_lookup (metadata, "sampler", "&s", &text));
  g_assert_cmpuint (strlen (text), >, 0);
  g_assert_true (g_variant_lookup (metadata, "model", "&s", &text));
  g_assert_cmpstr (text, ==, "starter");
  g_assert_true (g_variant_lookup (metadata, "model-hash", "&s", &text));
  g_assert_cmpuint (strlen (text), ==, 64);
  g_assert_true (g_variant_lookup (metadata, "engine-version", "&s", &text));
  g_assert_cmpfloat (stage_seconds (job, "step"), >, 0.0);

  /* the metadata is a request that makes the same picture again */
  other = fb_job_new (f->client, "generate", metadata);
  g_assert_true (fb_job_run (other, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (fb_job_get_n_pictures (other), ==, 1);
  assert_same (job, 1, other, 0);
}

static void
a_second_request_loads_nothing (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)    first  = run (f, "generate", "{'prompt': <'a fish'>, 'n-steps': <1>}");
  g_autoptr(FbJob)    second = run (f, "generate", "{'prompt': <'a fish'>, 'n-steps': <1>}");
  g_autoptr(GVariant) loaded = list_loaded (f);
  g_autoptr(FbJob)    unload = NULL;
  g_autoptr(GVariant) after  = NULL;

  g_assert_cmpfloat (stage_seconds (second, "load"), <, stage_seconds (first, "load") / 2.0);
  g_assert_cmpuint (g_variant_n_children (loaded), ==, 1);
  assert_same (first, 0, second, 0);

  unload = run (f, "unload", "{'model': <'starter'>}");
  after  = list_loaded (f);
  g_assert_cmpuint (g_variant_n_children (after), ==, 0);
}

static void
loading_ahead_saves_the_time_later (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)    load   = run (f, "load", "{'model': <'starter'>}");
  g_autoptr(GVariant) loaded = list_loaded (f);
  g_autoptr(GVariant) model  = g_variant_get_child_value (loaded, 0);
  guint64             bytes  = 0;

  g_assert_true (g_variant_lookup (model, "bytes", "t", &bytes));
  g_assert_cmpuint (bytes, >, 10 * 1000 * 1000);
}

/* The starter's f32 weights take some 90 MB, and half of that in the file's f16; its own LoRA would make them f32. */
static void
a_model_too_large_for_the_budget_is_kept_in_16_bits (Fixture *f, gconstpointer data)
{
  static const char   request[] = "{'prompt': <'a fish'>, 'n-steps': <1>, 'sampler': <'euler'>, 'dtype': <'f32'>}";
  g_autoptr(FbJob)    job       = run (f, "generate", request);
  g_autoptr(GVariant) loaded    = list_loaded (f);
  g_autoptr(GVariant) model     = NULL;
  g_autoptr(FbJob)    again     = NULL;
  guint64             bytes     = 0;

  g_assert_cmpuint (g_variant_n_children (loaded), ==, 1);               /* in f32 it would not have stayed */
  model = g_variant_get_child_value (loaded, 0);
  g_assert_true (g_variant_lookup (model, "bytes", "t", &bytes));
  g_assert_cmpuint (bytes, <, 60 * 1000 * 1000);
  again = run (f, "generate", request);
  assert_same (job, 0, again, 0);
}

static void
a_picture_can_be_the_start (Fixture *f, gconstpointer data)
{
  g_autoptr(FbImage) image = fb_image_new (64, 64, 3);
  g_autoptr(FbJob)   keep  = new_job (f, "generate", "{'prompt': <'a cat'>, 'strength': <0.1>, 'n-steps': <2>}");
  g_autoptr(FbJob)   free  = new_job (f, "generate", "{'prompt': <'a cat'>, 'strength': <0.9>, 'n-steps': <2>}");
  g_autoptr(GError)  error = NULL;
  double             near  = 0.0, far = 0.0;

  for (int i = 0; i < 64 * 64 * 3; i++)
    image->pixels[i] = i / (64 * 3) < 32 ? 0.2f : 0.8f;
  fb_job_add_picture (keep, "init", image);
  fb_job_add_picture (free, "init", image);
  g_assert_true (fb_job_run (keep, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (fb_job_run (free, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE * 3; x++)
      {
        float start = y < SIDE / 2 ? 0.2f : 0.8f;

        near += fabs (fb_job_get_picture (keep, 0)->pixels[y * SIDE * 3 + x] - start);
        far  += fabs (fb_job_get_picture (free, 0)->pixels[y * SIDE * 3 + x] - start);
      }
  g_assert_cmpfloat (near, <, far / 2.0);
}

static void
verify_gives_the_hash_of_the_metadata (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)     job      = run (f, "generate", "{'prompt': <'a cat'>, 'n-steps': <1>}");
  g_autoptr(FbJob)     verify   = run (f, "verify", "{'model': <'starter'>}");
  g_autoptr(GVariant)  metadata = fb_job_get_metadata (job, 0);
  g_autoptr(GVariant)  result   = fb_job_get_result (verify);
  const char          *a = "", *b = "-";

  g_assert_true (g_variant_lookup (metadata, "model-hash", "&s", &a));
  g_assert_true (g_variant_lookup (result, "hash", "&s", &b));
  g_assert_cmpstr (a, ==, b);
}

/* added while the engine holds a model that has none; SDXL's has the same shapes */
static void
a_taesd_is_found_when_it_comes (Fixture *f, gconstpointer data)
{
  static const char request[] = "{'prompt': <'a cat'>, 'n-steps': <1>, 'decoder': <'taesd'>}";
  g_autofree char  *golden    = g_test_build_filename (G_TEST_DIST, "golden", "models", "taesd", NULL);
  g_autofree char  *taesd     = g_canonicalize_filename (golden, NULL);
  g_autofree char  *store     = g_build_filename (f->folder, "data", "flashbrush", "taesd", NULL);
  g_autofree char  *xl        = g_build_filename (store, "taesdxl", NULL);
  g_autofree char  *own       = g_build_filename (store, "tiny", NULL);
  g_autoptr(GError) error     = NULL;
  FbJobEstimate     told      = { 0 };
  g_autoptr(FbJob)  job       = NULL;

  assert_fails (f, request, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, "TAESD");
  g_assert_false (estimate (f, request, &told, NULL));
  g_assert_cmpint (g_mkdir_with_parents (store, 0700), ==, 0);
  g_assert_cmpint (symlink (taesd, xl), ==, 0);
  assert_fails (f, request, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, "TAESD");
  g_assert_cmpint (symlink (taesd, own), ==, 0);
  g_assert_true (estimate (f, request, &told, &error));
  g_assert_no_error (error);
  job = run (f, "generate", request);
  g_assert_cmpint (fb_job_get_picture (job, 0)->width, ==, SIDE);
  g_variant_unref (told.resolved);
}

/* --- what it refuses -------------------------------------------------------------------------------------------------- */

static void
bad_requests_are_named (Fixture *f, gconstpointer data)
{
  assert_fails (f, "{'model': <'strter'>, 'prompt': <'x'>}", FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, "starter");
  assert_fails (f, "{'model': <7>, 'prompt': <'x'>}", FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "model");
  assert_fails (f, "{'loras': <'x'>, 'prompt': <'x'>}", FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "loras");
  assert_fails (f, "{'loras': <[('no-such', 1.0)]>, 'prompt': <'x'>}", FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, "no-such");
  assert_fails (f, "{'dtype': <'f8'>, 'prompt': <'x'>}", FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "f8");
  assert_fails (f, "{'prompt': <''>}", FB_TASK_ERROR, FB_TASK_ERROR_FIELD, "prompt");
  assert_fails (f, "{'prompt': <'x'>, 'n-steps': <'many'>}", FB_TASK_ERROR, FB_TASK_ERROR_FIELD, "n-steps");
  assert_fails (f, "{'prompt': <'x'>, 'width': <100>}", FB_TASK_ERROR, FB_TASK_ERROR_FIELD, "width");
  assert_fails (f, "{'prompt': <'x'>, 'sampler': <'eulr'>}", FB_SAMPLER_ERROR, FB_SAMPLER_ERROR_UNKNOWN, "euler");
}

static void
note_step (FbJob *job, const FbJobProgress *progress, int *n)
{
  *n += g_str_equal (progress->stage, "step") && progress->step >= 1;
}

static void
a_cancel_takes_effect_at_once (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob) job   = new_job (f, "generate", "{'prompt': <'a cat'>, 'n-steps': <1000>, 'preview': <'none'>}");
  g_autoptr(FbJob) next  = NULL;
  int              n     = 0;
  gint64           start;

  g_signal_connect (job, "progress", G_CALLBACK (note_step), &n);
  fb_job_start (job);
  while (n == 0 && !fb_job_is_finished (job))
    g_main_context_iteration (NULL, TRUE);
  start = g_get_monotonic_time ();
  fb_job_cancel (job);
  fixture_wait (job, 10.0);
  g_assert_error (fb_job_get_error (job), G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 1000 * 1000);        /* the bench measures; this is for a crowded machine */
  next = run (f, "generate", "{'prompt': <'a cat'>, 'n-steps': <1>}");      /* and the model is none the worse for it */
  g_assert_cmpint (fb_job_get_n_pictures (next), ==, 1);
}

static void
cancel_at_once (FbJob *job, int index, gpointer unused)
{
  fb_job_cancel (job);
}

/* the fingerprints are known from the first job, so they need not be waited for */
static void
a_picture_of_a_cancelled_job_tells_all (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)     first    = run (f, "generate", "{'prompt': <'a cat'>, 'n-steps': <1>, 'sampler': <'flash'>}");
  g_autoptr(FbJob)     job      = new_job (f, "generate", "{'prompt': <'a cat'>, 'n-steps': <4>, 'sampler': <'flash'>, 'count': <64>}");
  g_autoptr(GVariant)  metadata = NULL;
  const char          *text     = "";

  g_signal_connect (job, "picture", G_CALLBACK (cancel_at_once), NULL);
  fb_job_start (job);
  fixture_wait (job, 20.0);
  g_assert_error (fb_job_get_error (job), G_IO_ERROR, G_IO_ERROR_CANCELLED);
  metadata = fb_job_get_metadata (job, 0);
  g_assert_true (g_variant_lookup (metadata, "model-hash", "&s", &text));
  g_assert_cmpuint (strlen (text), ==, 64);
  g_assert_true (g_variant_lookup (metadata, "model-lora-hash", "&s", &text));
  g_assert_true (g_variant_lookup (metadata, "engine-version", "&s", &text));
}

/* --- the commands ----------------------------------------------------------------------------------------------------- */

/* (transfer full): what `flashbrush-engine ARGUMENTS…` prints; its exit status must be @status */
static char *
command (int status, const char * const *arguments, gboolean errors)
{
  g_autoptr(GPtrArray)   argv   = g_ptr_array_new ();
  g_autoptr(GSubprocess) child  = NULL;
  g_autoptr(GError)      error  = NULL;
  char                  *out    = NULL;
  g_autofree char       *err    = NULL;

  g_ptr_array_add (argv, (gpointer) g_getenv ("FLASHBRUSH_ENGINE"));
  for (gsize i = 0; i == 0 || arguments[i - 1] != NULL; i++)
    g_ptr_array_add (argv, (gpointer) arguments[i]);
  child = g_subprocess_newv ((const char * const *) argv->pdata, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &error);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8 (child, NULL, NULL, &out, &err, &error);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_get_if_exited (child));
  g_assert_cmpint (g_subprocess_get_exit_status (child), ==, status);
  if (errors)
    {
      g_free (out);
      return g_steal_pointer (&err);
    }
  return out;
}

static void
the_command_makes_the_engines_picture (Fixture *f, gconstpointer data)
{
  g_autofree char    *path        = g_build_filename (f->folder, "out.png", NULL);
  g_autofree char    *second      = g_build_filename (f->folder, "out-2.png", NULL);
  const char         *arguments[] = { "generate", "a green leaf", "--seed", "7", "--count", "2", "--steps", "2", "-o", path, NULL };
  g_autofree char    *printed     = command (0, arguments, FALSE);
  g_autoptr(FbJob)    job         = run (f, "generate", "{'prompt': <'a green leaf'>, 'seed': <int64 8>, 'n-steps': <2>}");
  g_autoptr(GError)   error       = NULL;
  g_autoptr(FbImage)  image       = fb_image_load_png (second, &error);
  FbImage            *picture     = fb_job_get_picture (job, 0);

  g_assert_no_error (error);
  g_assert_nonnull (strstr (printed, "seed 8"));
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  g_assert_cmpint (image->width, ==, picture->width);
  for (int i = 0; i < SIDE * SIDE * 3; i++)
    g_assert_cmpfloat_with_epsilon (image->pixels[i], picture->pixels[i], 0.5 / 255.0 + 1e-6);
}

/* @path: a PNG of it */
static void
assert_is_file (FbJob *job, const char *path)
{
  g_autoptr(GError)  error   = NULL;
  g_autoptr(FbImage) image   = fb_image_load_png (path, &error);
  FbImage           *picture = fb_job_get_picture (job, 0);

  g_assert_no_error (error);
  g_assert_cmpint (image->width, ==, picture->width);
  for (int i = 0; i < SIDE * SIDE * 3; i++)
    g_assert_cmpfloat_with_epsilon (image->pixels[i], picture->pixels[i], 0.5 / 255.0 + 1e-6);
}

/* as on a small card: 100 MiB hold the model's parts only one after another */
static void
a_small_device_makes_the_same_picture (Fixture *f, gconstpointer data)
{
  static const char * const request = "{'prompt': <'a green leaf'>, 'seed': <int64 7>, 'n-steps': <2>, 'dtype': <'f32'>}";
  g_autofree char *path        = g_build_filename (f->folder, "out.png", NULL);
  const char      *arguments[] = { "generate", "a green leaf", "--seed", "7", "--steps", "2", "--dtype", "f32", "-o", path, NULL };
  FbJobEstimate    told        = { 0 }, again = { 0 };

  g_free (command (0, arguments, FALSE));
  g_setenv ("FLASHBRUSH_DEVICE_MEMORY", "100", TRUE);        /* of the engine that the first question starts */
  g_assert_true (estimate (f, request, &told, NULL));
  g_unsetenv ("FLASHBRUSH_DEVICE_MEMORY");
  g_assert_cmpuint (told.available_bytes, ==, 100 << 20);
  g_assert_cmpuint (told.peak_bytes, <=, told.available_bytes);

  for (int round = 0; round < 2; round++)
    {
      g_autoptr(FbJob)    job    = run (f, "generate", request);
      g_autoptr(GVariant) loaded = list_loaded (f);
      g_autoptr(GVariant) model  = g_variant_get_child_value (loaded, 0);
      guint64             bytes  = 0;

      assert_is_file (job, path);
      g_assert_true (g_variant_lookup (model, "bytes", "t", &bytes));
      g_test_message ("%" G_GUINT64_FORMAT " bytes stay", bytes);
      g_assert_cmpuint (bytes, <, 80 * 1000 * 1000);             /* all parts are more than 90 MB */
    }
  g_assert_true (estimate (f, request, &again, NULL));
  g_assert_cmpuint (again.peak_bytes, ==, told.peak_bytes);
  g_assert_cmpuint (again.available_bytes, ==, 100 << 20);       /* what is loaded can go */

  assert_fails (f, "{'prompt': <'x'>, 'width': <512>, 'height': <512>, 'dtype': <'f32'>}", FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_MEMORY, "smaller size");
  {
    g_autoptr(FbJob) job = run (f, "generate", request);

    assert_is_file (job, path);
  }
  g_variant_unref (told.resolved);
  g_variant_unref (again.resolved);
}

static void
the_commands_explain_their_errors (Fixture *f, gconstpointer data)
{
  static const struct { const char *arguments[6]; int status; const char *text; } cases[] =
  {
    { { "generate", "x", "-m", "strter" },           1, "starter" },
    { { "generate", "" },                            1, "prompt" },
    { { "generate", "x", "--width", "100" },         1, "100" },
    { { "generate", "x", "-o", "/nowhere/x.png" },   2, "/nowhere/x.png" },
    { { "generate", "x", "-o", "x.jpg" },            2, ".png" },
    { { "generate", "a", "b" },                      2, "“b” is one argument too many" },
    { { "generate", "a\xff" "b" },                   2, "“prompt” is not valid UTF-8 text at byte 1" },
    { { "generate", "-p", "\xc3" },                  2, "“prompt” is not valid UTF-8 text at byte 0" },
    { { "generate", "x", "--negative", "\xff" },     2, "“negative-prompt” is not valid UTF-8" },
    { { "generate", "x", "--lora", "\xff" },         2, "“lora” is not valid UTF-8" },
    { { "generate", "x", "--width", "0" },           2, "“--width” is 0" },
    { { "generate", "x", "--steps", "0" },           2, "“--steps” is 0" },
    { { "generate", "x", "--guidance", "0" },        2, "“--guidance” is 0" },
    { { "generate", "x", "--threads", "100000" },    2, "“--threads” is 100000" },
    { { "generate", "x", "--threads", "-3" },        2, "“--threads” is -3" },
    { { "generate", "x", "--seed", "-2" },           2, "“-2”" },
    { { "generate", "x", "--strength", "0.5" },      2, "--init" },
    { { "generate", "x", "--lora", "a=b" },          2, "a=b" },
    { { "generate", "x", "--init", "/nowhere.png" }, 1, "/nowhere.png" },
    { { "generate", "x", "--no-such-option" },       2, "--no-such-option" },
    { { "models", "all" },                           2, "“all” is one argument too many" },
    { { "paint" },                                   2, "paint" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *errors = command (cases[i].status, cases[i].arguments, TRUE);

      if (strstr (errors, cases[i].text) == NULL)
        g_error ("“%s” is not in “%s”", cases[i].text, errors);
    }
}

static void
the_command_warns_of_a_huge_size (Fixture *f, gconstpointer data)
{
  static const char * const arguments[] = { "generate", "x", "--width", "8192", "--height", "8192", NULL };
  g_autofree char          *errors      = NULL;

  g_setenv ("FLASHBRUSH_DEVICE_MEMORY", "100", TRUE);        /* so that it ends behind the warning */
  errors = command (1, arguments, TRUE);
  g_unsetenv ("FLASHBRUSH_DEVICE_MEMORY");
  g_assert_nonnull (strstr (errors, "8192×8192 pixels at once need about"));
}

static void
the_command_draws_a_seed_and_tells_it (Fixture *f, gconstpointer data)
{
  g_autofree char *path        = g_build_filename (f->folder, "out.PNG", NULL);
  const char      *arguments[] = { "generate", "a cat", "--seed", "-1", "--steps", "1", "--width", "64", "--height", "64", "-o", path, NULL };
  g_autofree char *first       = command (0, arguments, FALSE);
  g_autofree char *second      = command (0, arguments, FALSE);
  const char      *seed        = strstr (first, "seed ");
  const char      *another     = strstr (second, "seed ");

  g_assert_nonnull (seed);
  g_assert_nonnull (another);
  g_assert_true (g_ascii_isdigit (seed[5]));
  g_assert_cmpint (strtoll (seed + 5, NULL, 10), !=, strtoll (another + 5, NULL, 10));      /* by chance once in four billion */
}

static void
the_command_models_lists_the_starter (Fixture *f, gconstpointer data)
{
  const char      *arguments[] = { "models", NULL };
  g_autofree char *printed     = command (0, arguments, FALSE);

  g_assert_true (g_str_has_prefix (printed, "starter\tcheckpoint\tsd-1.5\t"));
}

/* --- numbers that are none -------------------------------------------------------------------------------------------- */

/* a LoRA of rank 1 for one attention layer, whose product with a strength of 1e38 no network survives; @sampler: (nullable): what suits it */
static char *
write_lora (Fixture *f, const char *sampler)
{
  static const char              module[]   = "mid_block.attentions.0.transformer_blocks.0.attn1.to_v";
  g_autofree char               *starter    = g_build_filename (g_getenv ("FLASHBRUSH_MODELS_PATH"), "starter", NULL);
  g_autofree char               *weight     = g_strconcat (module, ".weight", NULL);
  g_autofree char               *down       = g_strconcat ("unet.", module, ".lora_A.weight", NULL);
  g_autofree char               *up         = g_strconcat ("unet.", module, ".lora_B.weight", NULL);
  char                          *path       = g_build_filename (f->folder, sampler != NULL ? "few-steps.safetensors" : "huge.safetensors", NULL);
  g_autoptr(GError)              error      = NULL;
  g_autoptr(FbCheckpoint)        unet       = fb_checkpoint_open (starter, "unet", &error);
  g_autoptr(FbSafetensorsWriter) writer     = fb_safetensors_writer_new (path);
  const FbTensorInfo            *info;
  gint64                         channels;
  g_autofree float              *ones       = NULL;

  g_assert_no_error (error);
  info = fb_checkpoint_lookup (unet, weight);
  g_assert_nonnull (info);
  channels = info->shape[0];
  ones     = g_new (float, channels);
  for (gint64 i = 0; i < channels; i++)
    ones[i] = 1.0f;
  if (sampler != NULL)
    fb_safetensors_writer_set_metadata (writer, "flashbrush_sampler", sampler);
  fb_safetensors_writer_add (writer, down, FB_DTYPE_F32, 2, (gint64[]) { 1, channels });
  fb_safetensors_writer_add (writer, up, FB_DTYPE_F32, 2, (gint64[]) { channels, 1 });
  fb_safetensors_writer_write (writer, ones, channels * sizeof (float), &error);
  g_assert_no_error (error);
  fb_safetensors_writer_write (writer, ones, channels * sizeof (float), &error);
  g_assert_no_error (error);
  fb_safetensors_writer_finish (writer, &error);
  g_assert_no_error (error);
  return path;
}

/* an adapter is a folder; what follows it has a hash, too */
static void
every_lora_has_its_hash (Fixture *f, gconstpointer data)
{
  g_autofree char     *lora     = write_lora (f, NULL);
  g_autofree char     *adapter  = g_build_filename (f->folder, "adapter", NULL);
  g_autofree char     *weights  = g_build_filename (adapter, "adapter_model.safetensors", NULL);
  g_autofree char     *request  = g_strdup_printf ("{'prompt': <'a cat'>, 'n-steps': <1>, 'sampler': <'ddim'>, 'loras': <[('%s', 0.01), ('%s', 0.02)]>}",
                                                   adapter, lora);
  g_autoptr(FbJob)     job      = NULL;
  g_autoptr(GVariant)  metadata = NULL;
  g_auto(GStrv)        hashes   = NULL;

  g_assert_cmpint (g_mkdir (adapter, 0700), ==, 0);
  g_assert_cmpint (symlink (lora, weights), ==, 0);
  job      = run (f, "generate", request);
  metadata = fb_job_get_metadata (job, 0);
  g_assert_true (g_variant_lookup (metadata, "lora-hashes", "^as", &hashes));
  g_assert_cmpuint (g_strv_length (hashes), ==, 2);
  g_assert_cmpuint (strlen (hashes[0]), ==, 64);
  g_assert_cmpstr (hashes[0], ==, hashes[1]);
}

static void
the_metadata_names_the_loras (Fixture *f, gconstpointer data)
{
  g_autofree char     *lora     = write_lora (f, NULL);
  g_autofree char     *request  = g_strdup_printf ("{'prompt': <'a cat'>, 'n-steps': <1>, 'loras': <[('%s', 0.01)]>}", lora);
  g_autoptr(FbJob)     job      = run (f, "generate", request);
  g_autoptr(GVariant)  metadata = fb_job_get_metadata (job, 0);
  g_autoptr(GVariant)  reports  = g_variant_lookup_value (metadata, "lora-reports", G_VARIANT_TYPE ("a(siias)"));
  g_auto(GStrv)        hashes   = NULL;
  const char          *path     = NULL;
  int                  n_matched, n_unmatched;

  g_assert_true (g_variant_lookup (metadata, "lora-hashes", "^as", &hashes));
  g_assert_cmpuint (g_strv_length (hashes), ==, 1);
  g_assert_cmpuint (strlen (hashes[0]), ==, 64);
  g_assert_nonnull (reports);
  g_assert_cmpuint (g_variant_n_children (reports), ==, 1);
  g_variant_get_child (reports, 0, "(&sii@as)", &path, &n_matched, &n_unmatched, NULL);
  g_assert_cmpstr (path, ==, lora);
  g_assert_cmpint (n_matched, ==, 1);
  g_assert_cmpint (n_unmatched, ==, 0);
}

/* (transfer full): the starter again, with a LoRA of its own for few-step samplers */
static char *
model_with_lora (Fixture *f, const char *lora_name)
{
  static const char * const  parts[]  = { "model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae" };
  g_autofree char           *lora     = write_lora (f, NULL);
  char                      *folder   = g_build_filename (f->folder, "with-lora", NULL);
  g_autofree char           *beside   = g_build_filename (folder, "few.safetensors", NULL);
  g_autofree char           *settings = g_build_filename (folder, "flashbrush.json", NULL);
  g_autofree char           *text     = g_strdup_printf ("{ \"sampler\": \"flash\", \"steps\": 1, \"guidance_scale\": 1.0, \"few_step_lora\": \"%s\" }",
                                                         lora_name);

  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      g_autofree char *from = g_build_filename (g_getenv ("FLASHBRUSH_MODELS_PATH"), "starter", parts[i], NULL);
      g_autofree char *to   = g_build_filename (folder, parts[i], NULL);

      g_assert_cmpint (symlink (from, to), ==, 0);
    }
  g_assert_cmpint (g_rename (lora, beside), ==, 0);
  g_assert_true (g_file_set_contents (settings, text, -1, NULL));
  return folder;
}

/* those of the request and the model's own; each has its hash where it belongs */
static guint
n_loras_used (Fixture *f, const char *request)
{
  g_autoptr(FbJob)    job      = run (f, "generate", request);
  g_autoptr(GVariant) metadata = fb_job_get_metadata (job, 0);
  g_autoptr(GVariant) loras    = g_variant_lookup_value (metadata, "loras", G_VARIANT_TYPE ("a(sd)"));
  g_autoptr(GVariant) reports  = g_variant_lookup_value (metadata, "lora-reports", G_VARIANT_TYPE ("a(siias)"));
  const guint         n_asked  = loras != NULL ? (guint) g_variant_n_children (loras) : 0;
  const guint         n_used   = reports != NULL ? (guint) g_variant_n_children (reports) : 0;
  const char         *own      = "";
  g_auto(GStrv)       hashes   = NULL;

  g_assert_true (g_variant_lookup (metadata, "lora-hashes", "^as", &hashes));
  g_assert_cmpuint (g_strv_length (hashes), ==, n_asked);
  g_variant_lookup (metadata, "model-lora-hash", "&s", &own);
  g_assert_cmpuint (strlen (own), ==, n_used > n_asked ? 64 : 0);
  return n_used;
}

static void
a_models_own_lora_goes_with_few_step_samplers (Fixture *f, gconstpointer data)
{
  g_autofree char *model   = model_with_lora (f, "few.safetensors");
  g_autofree char *plain   = g_strdup_printf ("{'prompt': <'a cat'>, 'model': <'%s'>}", model);
  g_autofree char *ddim    = g_strdup_printf ("{'prompt': <'a cat'>, 'model': <'%s'>, 'sampler': <'ddim'>}", model);
  g_autofree char *by_name = g_strdup_printf ("{'prompt': <'a cat'>, 'model': <'%s'>, 'loras': <[('%s/few.safetensors', 0.5)]>}", model, model);

  g_assert_cmpuint (n_loras_used (f, plain), ==, 1);
  g_assert_cmpuint (n_loras_used (f, ddim), ==, 0);
  g_assert_cmpuint (n_loras_used (f, by_name), ==, 1);
}

static void
a_models_own_lora_gives_way_to_another_for_few_steps (Fixture *f, gconstpointer data)
{
  g_autofree char *model   = model_with_lora (f, "few.safetensors");
  g_autofree char *any     = write_lora (f, NULL);
  g_autofree char *few     = write_lora (f, "flash");
  g_autofree char *besides = g_strdup_printf ("{'prompt': <'a cat'>, 'model': <'%s'>, 'loras': <[('%s', 0.01)]>}", model, any);
  g_autofree char *instead = g_strdup_printf ("{'prompt': <'a cat'>, 'model': <'%s'>, 'loras': <[('%s', 0.01)]>}", model, few);

  g_assert_cmpuint (n_loras_used (f, besides), ==, 2);
  g_assert_cmpuint (n_loras_used (f, instead), ==, 1);
}

static void
a_models_own_lora_lies_in_its_folder (Fixture *f, gconstpointer data)
{
  g_autofree char  *model   = model_with_lora (f, "../huge.safetensors");
  g_autofree char  *request = g_strdup_printf ("{'prompt': <'a cat'>, 'model': <'%s'>}", model);
  g_autoptr(GError) error   = run_badly (f, request);

  g_assert_nonnull (strstr (error->message, "few_step_lora"));
}

static void
values_that_are_no_numbers_are_tried_again_in_f32 (Fixture *f, gconstpointer data)
{
  g_autofree char *lora     = write_lora (f, NULL);
  g_autofree char *request  = g_strdup_printf ("{'prompt': <'a cat'>, 'n-steps': <1>, 'loras': <[('%s', 1e38)]>}", lora);
  g_autofree char *log_path = g_build_filename (f->folder, "state", "flashbrush", "engine.log", NULL);
  g_autofree char *log      = NULL;
  g_autoptr(GError) error   = run_badly (f, request);

  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE);    /* no luck in f32, either: so it is said */
  g_assert_true (g_file_get_contents (log_path, &log, NULL, NULL));
  if (strstr (log, "trying again in f32") == NULL)
    {
      g_autoptr(FbDevice) cpu = fb_device_new ("cpu", 1, NULL);

      g_assert_false (fb_device_supports (cpu, FB_DTYPE_BF16));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_true (FB_MODEL_ERROR != FB_TASK_ERROR && FB_SAMPLER_ERROR != FB_ENGINE_ERROR);     /* known before errors of theirs arrive */
  fixture_test ("/core/engine/generate/the-model-that-comes-along-is-listed", NULL, the_model_that_comes_along_is_listed);
  fixture_test ("/core/engine/generate/capabilities-name-device-and-samplers", NULL, capabilities_name_device_and_samplers);
  fixture_test ("/core/engine/generate/an-estimate-fills-in-the-models-values", NULL, an_estimate_fills_in_the_models_values);
  fixture_test ("/core/engine/generate/a-prompt-becomes-a-picture", NULL, a_prompt_becomes_a_picture);
  fixture_test ("/core/engine/generate/a-second-request-loads-nothing", NULL, a_second_request_loads_nothing);
  fixture_test ("/core/engine/generate/loading-ahead-saves-the-time-later", NULL, loading_ahead_saves_the_time_later);
  fixture_test ("/core/engine/generate/a-model-too-large-for-the-budget-is-kept-in-16-bits", "[engine]\nmemory-budget=60MB\n",
                a_model_too_large_for_the_budget_is_kept_in_16_bits);
  fixture_test ("/core/engine/generate/a-picture-can-be-the-start", NULL, a_picture_can_be_the_start);
  fixture_test ("/core/engine/generate/verify-gives-the-hash-of-the-metadata", NULL, verify_gives_the_hash_of_the_metadata);
  fixture_test ("/core/engine/generate/a-taesd-is-found-when-it-comes", NULL, a_taesd_is_found_when_it_comes);
  fixture_test ("/core/engine/generate/bad-requests-are-named", NULL, bad_requests_are_named);
  fixture_test ("/core/engine/generate/a-cancel-takes-effect-at-once", NULL, a_cancel_takes_effect_at_once);
  fixture_test ("/core/engine/generate/a-picture-of-a-cancelled-job-tells-all", NULL, a_picture_of_a_cancelled_job_tells_all);
  fixture_test ("/core/engine/generate/the-command-makes-the-engines-picture", NULL, the_command_makes_the_engines_picture);
  fixture_test ("/core/engine/generate/a-small-device-makes-the-same-picture", NULL, a_small_device_makes_the_same_picture);
  fixture_test ("/core/engine/generate/the-commands-explain-their-errors", NULL, the_commands_explain_their_errors);
  fixture_test ("/core/engine/generate/the-command-warns-of-a-huge-size", NULL, the_command_warns_of_a_huge_size);
  fixture_test ("/core/engine/generate/the-command-draws-a-seed-and-tells-it", NULL, the_command_draws_a_seed_and_tells_it);
  fixture_test ("/core/engine/generate/the-command-models-lists-the-starter", NULL, the_command_models_lists_the_starter);
  fixture_test ("/core/engine/generate/every-lora-has-its-hash", NULL, every_lora_has_its_hash);
  fixture_test ("/core/engine/generate/the-metadata-names-the-loras", NULL, the_metadata_names_the_loras);
  fixture_test ("/core/engine/generate/a-models-own-lora-goes-with-few-step-samplers", NULL, a_models_own_lora_goes_with_few_step_samplers);
  fixture_test ("/core/engine/generate/a-models-own-lora-gives-way-to-another-for-few-steps", NULL, a_models_own_lora_gives_way_to_another_for_few_steps);
  fixture_test ("/core/engine/generate/a-models-own-lora-lies-in-its-folder", NULL, a_models_own_lora_lies_in_its_folder);
  fixture_test ("/core/engine/generate/values-that-are-no-numbers-are-tried-again-in-f32", NULL, values_that_are_no_numbers_are_tried_again_in_f32);
  return g_test_run ();
}
