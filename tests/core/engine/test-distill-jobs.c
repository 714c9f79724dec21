/* tests/core/engine/test-distill-jobs.c: distillation in the background of the real engine. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/engine/fixture.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/formats/model-error.h"
#include "core/image/png.h"

/* (transfer full): the finished job */
static FbJob *
run (Fixture *f, const char *kind, const char *format, ...)
{
  g_autoptr(GError)    error = NULL;
  g_autoptr(GVariant)  dict  = NULL;
  FbJob               *job;
  va_list              args;

  va_start (args, format);
  dict = g_variant_ref_sink (g_variant_new_parsed_va (format, &args));
  va_end (args);
  job = fb_job_new (f->client, kind, dict);
  fb_job_run (job, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  return job;
}

static void
assert_fails (Fixture *f, const char *word, const char *kind, const char *format, ...)
{
  g_autoptr(GError)    error = NULL;
  g_autoptr(GVariant)  dict  = NULL;
  g_autoptr(FbJob)     job   = NULL;
  va_list              args;

  va_start (args, format);
  dict = g_variant_ref_sink (g_variant_new_parsed_va (format, &args));
  va_end (args);
  job = fb_job_new (f->client, kind, dict);
  g_assert_false (fb_job_run (job, NULL, NULL, NULL, &error));
  if (strstr (error->message, word) == NULL)
    g_error ("“%s” is not in “%s”", word, error->message);
}

/* (transfer full): the path of a job of so many steps, with two pictures of so many pixels per side */
static char *
write_job_of_size (Fixture *f, const char *name, int n_steps, int size, int batch_size)
{
  g_autofree char *pictures = g_build_filename (f->folder, "pictures", NULL);
  g_autofree char *text     = NULL;
  g_autofree char *file     = g_strconcat (name, ".json", NULL);
  char            *path     = g_build_filename (f->folder, file, NULL);

  g_assert_no_errno (g_mkdir_with_parents (pictures, 0700));
  for (int i = 0; i < 2; i++)
    {
      g_autofree char    *number  = g_strdup_printf ("%d.png", i);
      g_autofree char    *picture = g_build_filename (pictures, number, NULL);
      g_autoptr(FbImage)  image   = fb_image_new (32, 32, 3);

      for (int k = 0; k < 32 * 32 * 3; k++)
        image->pixels[k] = (float) ((k * (i + 3)) % 97) / 96.0f;
      g_assert_true (fb_image_save_png (image, picture, NULL));
    }
  text = g_strdup_printf ("{\"teacher\": \"starter\", \"pictures\": \"pictures\", \"width\": %d, \"height\": %d, \"steps\": %d, \"batch_size\": %d,"
                          " \"samples_per_call\": 1, \"teacher_steps\": 2, \"lora_rank\": 2, \"sample_every\": 2, \"checkpoint_every\": 2,"
                          " \"sample_prompts\": [\"a\"], \"output\": \"%s.safetensors\"}", size, size, n_steps, batch_size, name);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return path;
}

/* (transfer full): the path of a small one */
static char *
write_job (Fixture *f, const char *name, int n_steps)
{
  return write_job_of_size (f, name, n_steps, 32, 1);
}

/* (transfer full) (nullable): the job at @path as it is listed */
static GVariant *
find_listed (Fixture *f, const char *path)
{
  g_autoptr(FbJob)     job    = run (f, "distill-list", "@a{sv} {}");
  g_autoptr(GVariant)  result = fb_job_get_result (job);
  g_autoptr(GVariant)  jobs   = g_variant_lookup_value (result, "jobs", G_VARIANT_TYPE ("aa{sv}"));

  for (gsize i = 0; i < g_variant_n_children (jobs); i++)
    {
      GVariant   *row = g_variant_get_child_value (jobs, i);
      const char *its = "";

      g_variant_lookup (row, "job", "&s", &its);
      if (g_str_equal (its, path))
        return row;
      g_variant_unref (row);
    }
  return NULL;
}

static GVariant *
listed (Fixture *f, const char *path)
{
  GVariant *row = find_listed (f, path);

  if (row == NULL)
    g_error ("%s is not listed", path);
  return row;
}

static gboolean
is_in (GVariant *job, const char *state)
{
  const char *its = "", *problem = "";

  g_variant_lookup (job, "state", "&s", &its);
  g_variant_lookup (job, "problem", "&s", &problem);
  if (g_str_equal (its, "failed") && !g_str_equal (state, "failed"))
    g_error ("the job failed: %s", problem);
  return g_str_equal (its, state);
}

static int
step_of (GVariant *job)
{
  int step = -1;

  g_variant_lookup (job, "step", "i", &step);
  return step;
}

/* until the job is in @state and has done @step steps; the fixture's alarm ends a test that waits in vain */
static GVariant *
wait_for (Fixture *f, const char *path, const char *state, int step)
{
  for (;;)
    {
      g_autoptr(GVariant) job = listed (f, path);

      if (is_in (job, state) && step_of (job) >= step)
        return g_steal_pointer (&job);
      g_usleep (50000);
    }
}

/* what a job has measured must be as good as a measurement can be */
static void
assert_measured (GVariant *job)
{
  double  seconds = -1.0;
  guint64 bytes   = 0;

  g_assert_true (g_variant_lookup (job, "seconds-total", "d", &seconds));
  g_assert_true (g_variant_lookup (job, "peak-bytes", "t", &bytes));
  g_assert_cmpfloat (seconds, >, 0.0);
  g_assert_cmpuint (bytes, >, 10 * 1000 * 1000);
}

static void
a_job_runs_to_its_end (Fixture *f, gconstpointer data)
{
  g_autofree char     *path   = write_job (f, "first", 4);
  g_autoptr(FbJob)     begun  = run (f, "distill-resume", "{'job': <%s>}", path);
  g_autoptr(GVariant)  done   = wait_for (f, path, "done", 4);
  g_autoptr(FbJob)     watch  = run (f, "distill-watch", "{'job': <%s>, 'from': <1>}", path);
  g_autoptr(GVariant)  result = fb_job_get_result (watch);
  g_autoptr(GVariant)  rows   = g_variant_lookup_value (result, "rows", G_VARIANT_TYPE ("a(idddd)"));
  g_autoptr(FbJob)     again  = NULL, check = NULL;
  g_autoptr(GVariant)  fits   = NULL;
  const char          *output = "";
  int                  step   = 0;

  assert_measured (done);
  g_assert_cmpuint (g_variant_n_children (rows), ==, 3);
  g_variant_get_child (rows, 0, "(idddd)", &step, NULL, NULL, NULL, NULL);
  g_assert_cmpint (step, ==, 2);
  g_assert_cmpint (fb_job_get_n_pictures (watch), ==, 1);
  g_assert_cmpint (fb_job_get_seed (watch, 0), ==, 4);
  again = run (f, "distill-watch", "{'job': <%s>, 'from': <4>, 'sample': <4>}", path);
  g_assert_cmpint (fb_job_get_n_pictures (again), ==, 0);

  g_assert_true (g_variant_lookup (done, "output", "&s", &output));
  check = run (f, "verify", "{'model': <%s>, 'kind': <'lora'>}", output);
  fits  = fb_job_get_result (check);
  {
    g_autoptr(GVariant) names = g_variant_lookup_value (fits, "fits", G_VARIANT_TYPE_STRING_ARRAY);

    g_assert_cmpuint (g_variant_n_children (names), ==, 1);
  }
}

static void
a_paused_job_outlives_the_engine (Fixture *f, gconstpointer data)
{
  g_autofree char     *path   = write_job (f, "long", 100000);
  g_autoptr(FbJob)     begun  = run (f, "distill-resume", "{'job': <%s>}", path);
  g_autoptr(GVariant)  going  = wait_for (f, path, "running", 1);
  g_autoptr(FbLink)    link   = fixture_link (f);
  g_autoptr(GVariant)  paused = NULL, further = NULL, stopped = NULL;
  g_autoptr(FbJob)     resumed = NULL, stop = NULL;
  const char          *output = NULL;
  int                  before;

  kill ((pid_t) link->pid, SIGTERM);                       /* saves and goes */
  process_wait_end (link->pid, 20.0);
  resumed = run (f, "distill-pause", "{'job': <%s>}", path);
  paused  = listed (f, path);
  g_assert_true (is_in (paused, "paused"));
  assert_measured (paused);
  before = step_of (paused);
  g_assert_cmpint (before, >=, 1);
  g_clear_object (&resumed);

  resumed = run (f, "distill-resume", "{'job': <%s>}", path);
  further = wait_for (f, path, "running", before + 1);
  stop    = run (f, "distill-stop", "{'job': <%s>}", path);
  stopped = wait_for (f, path, "stopped", before + 1);
  g_assert_true (g_variant_lookup (stopped, "output", "&s", &output));
  g_assert_true (g_file_test (output, G_FILE_TEST_IS_REGULAR));
}

/* A crash leaves no word of how far the job was, but its checkpoint. */
static void
a_job_outlives_a_killed_engine (Fixture *f, gconstpointer data)
{
  g_autofree char     *path   = write_job (f, "long", 100000);
  g_autoptr(FbJob)     begun  = run (f, "distill-resume", "{'job': <%s>}", path);
  g_autoptr(GVariant)  going  = wait_for (f, path, "running", 3);             /* of which two are in the checkpoint */
  g_autoptr(FbLink)    link   = fixture_link (f);
  g_autoptr(FbJob)     asked  = NULL, stop = NULL;
  g_autoptr(GVariant)  paused = NULL, stopped = NULL;
  const char          *output = NULL;

  kill ((pid_t) link->pid, SIGKILL);
  process_wait_end (link->pid, 20.0);
  asked  = run (f, "distill-pause", "{'job': <%s>}", path);                   /* from elsewhere: named to the new engine */
  paused = listed (f, path);
  g_assert_true (is_in (paused, "paused"));
  g_assert_cmpint (step_of (paused), >=, 2);
  g_assert_cmpint (step_of (paused) % 2, ==, 0);

  stop    = run (f, "distill-stop", "{'job': <%s>}", path);
  stopped = wait_for (f, path, "stopped", 2);
  g_assert_true (g_variant_lookup (stopped, "output", "&s", &output));
  g_assert_true (g_file_test (output, G_FILE_TEST_IS_REGULAR));
}

/* FLASHBRUSH_DEVICE holds for training as it does for pictures; the fixture's engine is not started yet */
static void
the_device_is_the_engines (Fixture *f, gconstpointer data)
{
  g_autofree char     *path   = write_job (f, "first", 4);
  g_autoptr(FbJob)     begun  = NULL;
  g_autoptr(GVariant)  failed = NULL;
  const char          *problem = "";

  g_setenv ("FLASHBRUSH_DEVICE", "abacus", TRUE);
  begun = run (f, "distill-resume", "{'job': <%s>}", path);
  failed = wait_for (f, path, "failed", 0);
  g_unsetenv ("FLASHBRUSH_DEVICE");
  g_variant_lookup (failed, "problem", "&s", &problem);
  g_assert_nonnull (strstr (problem, "abacus"));
}

static void
pictures_are_made_meanwhile (Fixture *f, gconstpointer data)
{
  g_autofree char     *path    = write_job (f, "long", 100000);
  g_autoptr(FbJob)     begun   = run (f, "distill-resume", "{'job': <%s>}", path);
  g_autoptr(GVariant)  going   = wait_for (f, path, "running", 1);
  g_autoptr(FbJob)     picture = run (f, "generate", "{'prompt': <'a'>, 'n-steps': <2>, 'width': <64>, 'height': <64>}");
  g_autoptr(GVariant)  still   = wait_for (f, path, "running", 1);
  g_autoptr(FbJob)     pause   = run (f, "distill-pause", "{'job': <%s>}", path);

  g_assert_cmpint (fb_job_get_n_pictures (picture), ==, 1);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static gboolean
foresee (Fixture *f, const char *request, FbJobEstimate *estimate, GError **error)
{
  g_autoptr(GAsyncResult) result = NULL;
  g_autoptr(GVariant)     dict   = g_variant_parse (G_VARIANT_TYPE_VARDICT, request, NULL, NULL, NULL);

  fb_engine_client_estimate_async (f->client, "distill-start", dict, NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return fb_engine_client_estimate_finish (f->client, result, estimate, error);
}

static void
memory_is_told_before_the_start (Fixture *f, gconstpointer data)
{
  g_autofree char     *path  = write_job (f, "unused", 4), *request = NULL, *prompts = NULL;             /* for its pictures */
  g_autoptr(GError)    error = NULL, absent = NULL, hopeless = NULL;
  g_autoptr(GVariant)  small = NULL, large = NULL, pictures = NULL, words = NULL;
  FbJobEstimate        estimate = { 0 }, more = { 0 }, counted = { 0 }, spoken = { 0 };
  int                  size = 0, steps = 0, n = 0, bare = 0;
  const char          *preset = "";

  g_assert_true (foresee (f, "{'teacher': <'starter'>}", &estimate, &error));            /* pictures and name may be open */
  g_assert_no_error (error);
  small = estimate.resolved;
  g_assert_cmpuint (estimate.peak_bytes, >, 20 * 1000 * 1000);
  g_assert_cmpuint (estimate.available_bytes, >, estimate.peak_bytes);
  g_test_message ("at least %.1f MB", 1e-6 * estimate.peak_bytes);
  g_assert_cmpfloat (estimate.seconds, <, 0.0);
  g_variant_lookup (small, "size", "i", &size);
  g_variant_lookup (small, "steps", "i", &steps);
  g_variant_lookup (small, "preset", "&s", &preset);
  g_assert_cmpint (size, ==, 128);
  g_assert_cmpint (steps, >, 0);
  g_assert_cmpstr (preset, ==, "small");

  g_assert_true (foresee (f, "{'teacher': <'starter'>, 'size': <256>}", &more, NULL));
  large = more.resolved;
  g_assert_cmpuint (more.peak_bytes, >, estimate.peak_bytes);
  request = g_strdup_printf ("{'teacher': <'starter'>, 'pictures': <'%s/pictures'>}", f->folder);
  foresee (f, request, &counted, &error);
  g_assert_no_error (error);
  pictures = counted.resolved;
  g_variant_lookup (pictures, "n-pictures", "i", &n);
  g_variant_lookup (pictures, "n-without-caption", "i", &bare);
  g_assert_cmpint (n, ==, 2);
  g_assert_cmpint (bare, ==, 2);
  prompts = g_build_filename (f->folder, "prompts.txt", NULL);
  g_assert_true (g_file_set_contents (prompts, "a cat\na dog\na hen\n", -1, NULL));
  g_free (request);
  request = g_strdup_printf ("{'teacher': <'starter'>, 'pictures': <'%s'>}", prompts);
  g_assert_true (foresee (f, request, &spoken, &error));
  words = spoken.resolved;
  g_assert_true (g_variant_lookup (words, "n-prompts", "i", &n));
  g_assert_cmpint (n, ==, 3);
  g_assert_false (foresee (f, "{'teacher': <'starter'>, 'pictures': <'/no/such'>}", &more, &absent));
  g_assert_nonnull (strstr (absent->message, "/no/such"));
  g_assert_false (foresee (f, "{'teacher': <'starter'>, 'size': <65536>, 'name': <'ember'>}", &more, &hopeless));
  g_test_message ("%s", hopeless->message);
  g_assert_nonnull (strstr (hopeless->message, "“ember” needs at least"));
}

static void
a_new_job_is_checked (Fixture *f, gconstpointer data)
{
  g_autofree char     *pictures = g_build_filename (f->folder, "pictures", NULL), *broken = g_build_filename (f->folder, "broken.json", NULL);
  g_autofree char     *path     = write_job (f, "unused", 4);
  g_autofree char     *empty    = g_build_filename (f->folder, "empty", NULL);
  g_autoptr(FbJob)     presets  = run (f, "distill-presets", "@a{sv} {}");
  g_autoptr(GVariant)  result   = fb_job_get_result (presets);
  g_autoptr(GVariant)  list     = g_variant_lookup_value (result, "presets", G_VARIANT_TYPE ("aa{sv}"));

  g_assert_cmpuint (g_variant_n_children (list), >, 0);
  g_assert_true (g_file_set_contents (broken, "{\"teacher\": \"starter\", \"stepz\": 3}", -1, NULL));
  assert_fails (f, "../x", "distill-start", "{'pictures': <%s>, 'name': <'../x'>}", pictures);
  g_assert_no_errno (g_mkdir_with_parents (empty, 0700));
  assert_fails (f, "picture", "distill-start", "{'pictures': <%s>, 'name': <'x'>}", empty);
  assert_fails (f, "a text file of prompts", "distill-start", "{'name': <'x'>}");
  assert_fails (f, "/no/such", "distill-start", "{'pictures': <'/no/such'>, 'name': <'x'>}");
  assert_fails (f, "“starter”?", "distill-start", "{'pictures': <%s>, 'name': <'x'>, 'teacher': <'startr'>}", pictures);
  assert_fails (f, "of memory", "distill-start", "{'pictures': <%s>, 'name': <'x'>, 'size': <65536>}", pictures);
  assert_fails (f, "smal", "distill-start", "{'pictures': <%s>, 'name': <'x'>, 'preset': <'smal'>}", pictures);
  assert_fails (f, "stepz", "distill-resume", "{'job': <%s>}", broken);
  assert_fails (f, "/no/such.json", "distill-pause", "{'job': <'/no/such.json'>}");
}

static void
a_new_job_waits_and_is_written (Fixture *f, gconstpointer data)
{
  g_autofree char     *pictures = g_build_filename (f->folder, "pictures", NULL);
  g_autofree char     *long_job = write_job (f, "long", 100000);
  g_autoptr(FbJob)     begun    = run (f, "distill-resume", "{'job': <%s>}", long_job);
  g_autoptr(GVariant)  going    = wait_for (f, long_job, "running", 1);
  g_autoptr(FbJob)     job      = run (f, "distill-start", "{'pictures': <%s>, 'name': <'embers'>, 'steps': <20>, 'size': <64>}", pictures);
  g_autoptr(GVariant)  row      = fb_job_get_result (job);
  g_autofree char     *expected = g_build_filename (f->folder, "data", "flashbrush", "distill", "embers.json", NULL);
  const char          *path     = "";
  int                  n_steps  = 0;

  g_assert_true (g_variant_lookup (row, "job", "&s", &path));
  g_assert_cmpstr (path, ==, expected);
  g_assert_true (g_file_test (path, G_FILE_TEST_IS_REGULAR));
  g_assert_true (is_in (row, "waiting"));
  g_assert_true (g_variant_lookup (row, "n-steps", "i", &n_steps));
  g_assert_cmpint (n_steps, ==, 20);
  assert_fails (f, "embers", "distill-start", "{'pictures': <%s>, 'name': <'embers'>}", pictures);
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", path));
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", long_job));
}

/* prompts alone, and a table of pictures: what the job's file then says */
static void
a_new_job_takes_a_text_too (Fixture *f, gconstpointer data)
{
  static const struct { const char *file, *text, *field; } cases[] =
  {
    { "prompts.txt",  "a cat\na dog\n",       "\"prompt_file\"" },
    { "pictures.tsv", "pictures/0.png\tcat\n", "\"captions\""    },
  };
  g_autofree char *long_job = write_job (f, "long", 100000);
  g_autoptr(FbJob) begun    = run (f, "distill-resume", "{'job': <%s>}", long_job);          /* so that the others wait */

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char     *text = g_build_filename (f->folder, cases[i].file, NULL);
      g_autofree char     *json = NULL;
      g_autoptr(FbJob)     job  = NULL;
      g_autoptr(GVariant)  row  = NULL;
      const char          *path = "";

      g_assert_true (g_file_set_contents (text, cases[i].text, -1, NULL));
      job = run (f, "distill-start", "{'pictures': <%s>, 'name': <%s>, 'steps': <20>, 'size': <64>}", text, cases[i].file);
      row = fb_job_get_result (job);
      g_assert_true (g_variant_lookup (row, "job", "&s", &path));
      g_assert_true (g_file_get_contents (path, &json, NULL, NULL));
      g_assert_nonnull (strstr (json, cases[i].field));
      g_object_unref (run (f, "distill-pause", "{'job': <%s>}", path));
    }
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", long_job));
}

static void
a_job_that_is_not_at_work_can_be_removed (Fixture *f, gconstpointer data)
{
  g_autofree char     *pictures = g_build_filename (f->folder, "pictures", NULL);
  g_autofree char     *long_job = write_job (f, "long", 100000);
  g_autoptr(FbJob)     begun    = run (f, "distill-resume", "{'job': <%s>}", long_job);
  g_autoptr(GVariant)  going    = wait_for (f, long_job, "running", 1);
  g_autoptr(FbJob)     job      = run (f, "distill-start", "{'pictures': <%s>, 'name': <'embers'>, 'steps': <20>, 'size': <64>}", pictures);
  g_autoptr(GVariant)  row      = fb_job_get_result (job);
  g_autoptr(FbLink)    link     = fixture_link (f);
  g_autofree char     *lock     = NULL;
  const char          *path     = "";
  int                  fd;

  g_assert_true (g_variant_lookup (row, "job", "&s", &path));
  assert_fails (f, "at work", "distill-remove", "{'job': <%s>}", path);
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", path));
  lock = g_build_filename (f->folder, "data", "flashbrush", "distill", "embers", "lock", NULL);
  fd   = g_open (lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  g_assert_no_errno (flock (fd, LOCK_EX));                               /* as a command line does that has the job at work */
  assert_fails (f, "another process", "distill-remove", "{'job': <%s>}", path);
  close (fd);
  g_object_unref (run (f, "distill-remove", "{'job': <%s>}", path));
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_assert_null (find_listed (f, path));
  g_object_unref (run (f, "distill-start", "{'pictures': <%s>, 'name': <'embers'>, 'steps': <20>, 'size': <64>}", pictures));
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", path));

  assert_fails (f, "at work", "distill-remove", "{'job': <%s>}", long_job);
  kill ((pid_t) link->pid, SIGTERM);                       /* in the next engine it is paused, and saved */
  process_wait_end (link->pid, 20.0);
  g_object_unref (run (f, "distill-remove", "{'job': <%s>}", long_job));
  g_assert_true (g_file_test (long_job, G_FILE_TEST_EXISTS));            /* from elsewhere: only forgotten */
  g_assert_null (find_listed (f, long_job));
}

/* (transfer full): the LoRA of the job at @path, where it writes it */
static char *
output_of (const char *path)
{
  g_autofree char *stem = g_strndup (path, strlen (path) - strlen (".json"));
  g_autofree char *name = g_path_get_basename (stem);
  g_autofree char *file = g_strconcat (name, ".safetensors", NULL);

  return g_build_filename (stem, file, NULL);
}

static gboolean
tells_an_output (GVariant *job)
{
  const char *output = NULL;

  return g_variant_lookup (job, "output", "&s", &output);
}

static void
a_lora_is_not_overwritten (Fixture *f, gconstpointer data)
{
  g_autofree char *unused   = write_job (f, "unused", 4);                                 /* for its pictures */
  g_autofree char *pictures = g_build_filename (f->folder, "pictures", NULL);
  g_autofree char *loras    = g_build_filename (f->folder, "data", "flashbrush", "loras", NULL);
  g_autofree char *lora     = g_build_filename (loras, "embers.safetensors", NULL);
  g_autofree char *job      = g_build_filename (f->folder, "data", "flashbrush", "distill", "embers.json", NULL);

  g_assert_no_errno (g_mkdir_with_parents (loras, 0700));
  g_assert_true (g_file_set_contents (lora, "theirs", -1, NULL));
  assert_fails (f, lora, "distill-start", "{'pictures': <%s>, 'name': <'embers'>, 'steps': <20>, 'size': <64>}", pictures);
  g_assert_false (g_file_test (job, G_FILE_TEST_EXISTS));
}

/* what it has not learned yet replaces nothing, and what lies there is not said to be its own */
static void
a_stop_before_the_first_step_writes_nothing (Fixture *f, gconstpointer data)
{
  g_autofree char     *path   = write_job_of_size (f, "slow", 100, 256, 16);
  g_autofree char     *output = output_of (path), *folder = g_path_get_dirname (output), *text = NULL;
  g_autoptr(FbJob)     begun  = NULL, stop = NULL;
  g_autoptr(GVariant)  going  = NULL, stopped = NULL;

  g_assert_no_errno (g_mkdir_with_parents (folder, 0700));
  g_assert_true (g_file_set_contents (output, "theirs", -1, NULL));
  begun = run (f, "distill-resume", "{'job': <%s>}", path);
  going = wait_for (f, path, "measuring", 0);
  g_assert_false (tells_an_output (going));
  stop    = run (f, "distill-stop", "{'job': <%s>}", path);
  stopped = wait_for (f, path, "stopped", 0);
  g_assert_cmpint (step_of (stopped), ==, 0);
  g_assert_false (tells_an_output (stopped));
  g_assert_true (g_file_get_contents (output, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "theirs");
}

/* Pauses the job once it has done @step steps. */
static void
train_and_pause (Fixture *f, const char *path, int step)
{
  g_object_unref (run (f, "distill-resume", "{'job': <%s>}", path));
  g_variant_unref (wait_for (f, path, "running", step));
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", path));
}

static void
a_stop_while_it_prepares_writes_what_was_learned (Fixture *f, gconstpointer data)
{
  g_autofree char     *path    = write_job (f, "long", 100000);
  g_autofree char     *output  = output_of (path);
  g_autoptr(FbJob)     other   = fb_job_new (f->client, "generate", g_variant_new_parsed ("{'prompt': <'a'>, 'n-steps': <100>, 'width': <512>, 'height': <512>}"));
  g_autoptr(FbJob)     resumed = NULL, stop = NULL;
  g_autoptr(GVariant)  going   = NULL, stopped = NULL;

  train_and_pause (f, path, 2);
  fixture_begin (other);                                                 /* a person's picture, for which training waits */
  resumed = run (f, "distill-resume", "{'job': <%s>}", path);
  going   = wait_for (f, path, "preparing", 1);
  stop    = run (f, "distill-stop", "{'job': <%s>}", path);
  g_assert_false (g_file_test (output, G_FILE_TEST_EXISTS));
  fb_job_cancel (other);
  stopped = wait_for (f, path, "stopped", 2);
  g_assert_true (tells_an_output (stopped));
  g_assert_true (g_file_test (output, G_FILE_TEST_IS_REGULAR));
  fixture_wait (other, 20.0);
}

/* neither does it write a LoRA then */
static void
a_pause_takes_a_stop_back (Fixture *f, gconstpointer data)
{
  g_autofree char     *path   = write_job (f, "long", 100000), *other = write_job (f, "other", 100000);
  g_autofree char     *output = output_of (path);
  g_autoptr(GVariant)  before = NULL, further = NULL;

  train_and_pause (f, path, 2);
  g_object_unref (run (f, "distill-resume", "{'job': <%s>}", other));
  g_variant_unref (wait_for (f, other, "running", 1));
  g_object_unref (run (f, "distill-stop", "{'job': <%s>}", path));       /* waits for its turn */
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", path));
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", other));
  before  = wait_for (f, path, "paused", 2);
  g_object_unref (run (f, "distill-resume", "{'job': <%s>}", path));
  further = wait_for (f, path, "running", step_of (before) + 1);
  g_assert_false (g_file_test (output, G_FILE_TEST_EXISTS));
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", path));
}

static void
jobs_are_done_in_the_order_of_request (Fixture *f, gconstpointer data)
{
  g_autofree char     *long_job = write_job (f, "long", 100000), *a = write_job (f, "a", 100000), *b = write_job (f, "b", 100000);
  g_autoptr(GVariant)  waiting  = NULL, going = NULL;

  g_object_unref (run (f, "distill-resume", "{'job': <%s>}", long_job));
  g_variant_unref (wait_for (f, long_job, "running", 1));
  g_object_unref (run (f, "distill-resume", "{'job': <%s>}", a));
  g_object_unref (run (f, "distill-resume", "{'job': <%s>}", b));
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", a));
  g_object_unref (run (f, "distill-resume", "{'job': <%s>}", a));        /* behind the other now */
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", long_job));
  going   = wait_for (f, b, "running", 1);
  waiting = listed (f, a);
  g_assert_true (is_in (waiting, "waiting"));
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", a));
  g_object_unref (run (f, "distill-pause", "{'job': <%s>}", b));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) fixture_test ("/engine/distill-jobs/" name, NULL, function)
  ADD ("a-job-runs-to-its-end", a_job_runs_to_its_end);
  ADD ("a-paused-job-outlives-the-engine", a_paused_job_outlives_the_engine);
  ADD ("a-job-outlives-a-killed-engine", a_job_outlives_a_killed_engine);
  ADD ("the-device-is-the-engines", the_device_is_the_engines);
  ADD ("pictures-are-made-meanwhile", pictures_are_made_meanwhile);
  ADD ("memory-is-told-before-the-start", memory_is_told_before_the_start);
  ADD ("a-new-job-is-checked", a_new_job_is_checked);
  ADD ("a-new-job-waits-and-is-written", a_new_job_waits_and_is_written);
  ADD ("a-new-job-takes-a-text-too", a_new_job_takes_a_text_too);
  ADD ("a-job-that-is-not-at-work-can-be-removed", a_job_that_is_not_at_work_can_be_removed);
  ADD ("a-lora-is-not-overwritten", a_lora_is_not_overwritten);
  ADD ("a-stop-before-the-first-step-writes-nothing", a_stop_before_the_first_step_writes_nothing);
  ADD ("a-stop-while-it-prepares-writes-what-was-learned", a_stop_while_it_prepares_writes_what_was_learned);
  ADD ("a-pause-takes-a-stop-back", a_pause_takes_a_stop_back);
  ADD ("jobs-are-done-in-the-order-of-request", jobs_are_done_in_the_order_of_request);
  return g_test_run ();
}
