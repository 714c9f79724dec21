/* tests/core/engine/test-distill.c: training from the command line. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

#include "core/image/png.h"
#include "tests/core/scratch.h"

static GSubprocess *
start (const char * const *arguments)
{
  g_autoptr(GPtrArray) argv  = g_ptr_array_new ();
  g_autoptr(GError)    error = NULL;
  GSubprocess         *child;

  g_ptr_array_add (argv, (gpointer) g_getenv ("FLASHBRUSH_ENGINE"));
  for (gsize i = 0; i == 0 || arguments[i - 1] != NULL; i++)
    g_ptr_array_add (argv, (gpointer) arguments[i]);
  child = g_subprocess_newv ((const char * const *) argv->pdata, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &error);
  g_assert_no_error (error);
  return child;
}

/* what it has printed by the end, at which its status must be @status; (transfer full) */
static void
finish (GSubprocess *child, int status, char **out, char **err)
{
  g_autoptr(GError) error = NULL;

  g_subprocess_communicate_utf8 (child, NULL, NULL, out, err, &error);
  g_assert_no_error (error);
  if (*err != NULL && **err != '\0')
    g_test_message ("%s", *err);
  g_assert_true (g_subprocess_get_if_exited (child));
  g_assert_cmpint (g_subprocess_get_exit_status (child), ==, status);
}

static char *
command (int status, const char * const *arguments, gboolean errors)
{
  g_autoptr(GSubprocess) child = start (arguments);
  char                  *out = NULL, *err = NULL;

  finish (child, status, &out, &err);
  g_free (errors ? out : err);
  return errors ? err : out;
}

static char *
teacher (void)
{
  return g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
}

/* a new job of @steps steps in @folder; (transfer full): its path */
static char *
new_job (const char *folder, const char *steps)
{
  g_autofree char *model       = teacher ();
  char            *path        = g_build_filename (folder, "job.json", NULL);
  const char      *arguments[] = { "distill", "--new", path, "--teacher", model, "-p", "a cat", "-p", "a dog", "--steps", steps, NULL };
  g_autofree char *printed     = command (0, arguments, FALSE);

  g_assert_nonnull (strstr (printed, path));
  return path;
}

static void
a_new_job_runs_to_its_lora_and_is_judged (void)
{
  g_autoptr(Scratch)  folder   = scratch_new ();
  g_autofree char    *job      = new_job (folder, "2");
  g_autofree char    *lora     = g_build_filename (folder, "job", "lora.safetensors", NULL);
  g_autofree char    *sheet    = g_build_filename (folder, "job", "eval.png", NULL);
  const char         *run[]    = { "distill", job, NULL };
  const char         *judge[]  = { "eval", job, "-n", "2", NULL };
  g_autofree char    *printed  = command (0, run, FALSE);
  g_autofree char    *judged   = command (0, judge, FALSE);
  g_autoptr(FbImage)  image    = NULL;

  g_assert_nonnull (strstr (printed, "first step: "));
  g_assert_nonnull (strstr (printed, "peak memory "));
  g_assert_nonnull (strstr (printed, lora));
  g_assert_true (g_file_test (lora, G_FILE_TEST_EXISTS));
  g_assert_nonnull (strstr (judged, "step 2"));
  image = fb_image_load_png (sheet, NULL);
  g_assert_nonnull (image);
  g_assert_cmpint (image->width * 2, ==, image->height * 5);
}

static void
samples_come_with_captions_and_can_be_trained_on (void)
{
  g_autoptr(Scratch)  folder    = scratch_new ();
  g_autofree char    *job       = new_job (folder, "1");
  g_autofree char    *set       = g_build_filename (folder, "set", NULL);
  g_autofree char    *captions  = g_build_filename (set, "captions.tsv", NULL);
  g_autofree char    *next      = g_build_filename (folder, "next.json", NULL);
  g_autofree char    *model     = teacher ();
  const char         *run[]     = { "distill", job, NULL };
  const char         *judge[]   = { "eval", job, "--samples", "3", "--steps", "2", "-o", set, NULL };
  const char         *by_both[] = { "eval", job, "--samples", "1", "--teacher", "--steps", "2", "--guidance", "3", NULL };
  const char         *create[]  = { "distill", "--new", next, "--teacher", model, "--captions", captions, "--steps", "1", NULL };
  const char         *again[]   = { "distill", next, NULL };
  g_autofree char    *printed   = command (0, run, FALSE);
  g_autofree char    *judged    = command (0, judge, FALSE);
  g_autofree char    *teachers  = command (0, by_both, FALSE);
  g_autofree char    *lines     = NULL;
  g_autofree char    *created   = NULL, *trained = NULL;

  g_assert_nonnull (strstr (judged, "3 pictures"));
  g_assert_nonnull (strstr (teachers, "1 pictures"));
  g_assert_true (g_file_get_contents (captions, &lines, NULL, NULL));
  g_assert_nonnull (strstr (lines, "00000.png\ta "));
  g_assert_nonnull (strstr (lines, "00002.png\ta "));
  created = command (0, create, FALSE);
  trained = command (0, again, FALSE);
  g_assert_nonnull (strstr (trained, "lora.safetensors"));
}

static void
an_interrupt_pauses_and_keeps_what_was_done (void)
{
  g_autoptr(Scratch)      folder     = scratch_new ();
  g_autofree char        *job        = new_job (folder, "100000");
  g_autofree char        *log        = g_build_filename (folder, "job", "log.tsv", NULL);
  g_autofree char        *checkpoint = g_build_filename (folder, "job", "checkpoint.safetensors", NULL);
  const char             *run[]      = { "distill", job, NULL };
  g_autoptr(GSubprocess)  child      = start (run);
  g_autofree char        *out        = NULL;
  g_autofree char        *err        = NULL;

  for (int i = 0; i < 60000; i++)
    {
      g_autofree char *text = NULL;

      if (g_file_get_contents (log, &text, NULL, NULL) && strstr (text, "\n1\t") != NULL)
        break;
      g_usleep (1000);
    }
  g_subprocess_send_signal (child, SIGINT);
  finish (child, 3, &out, &err);
  g_assert_nonnull (strstr (out, "paused"));
  g_assert_true (g_file_test (checkpoint, G_FILE_TEST_EXISTS));
}

/* a teacher beside the person who asks, not beside the job */
static void
a_teachers_path_may_be_relative (void)
{
  g_autoptr(Scratch) folder   = scratch_new ();
  g_autofree char   *job      = g_build_filename (folder, "job.json", NULL);
  g_autofree char   *model    = teacher ();
  g_autofree char   *beside   = g_path_get_dirname (model);
  g_autofree char   *here     = g_get_current_dir ();
  const char        *create[] = { "distill", "--new", job, "--teacher", "model", "-p", "a cat", "--steps", "1", NULL };
  const char        *run[]    = { "distill", job, NULL };
  g_autofree char   *created  = NULL, *trained = NULL;

  g_assert_cmpint (g_chdir (beside), ==, 0);
  created = command (0, create, FALSE);
  g_assert_cmpint (g_chdir (here), ==, 0);
  trained = command (0, run, FALSE);
  g_assert_nonnull (strstr (trained, "lora.safetensors"));
}

static void
errors_are_explained (void)
{
  static const struct { const char *arguments[8]; int status; const char *text; } cases[] =
  {
    { { "distill" },                                                  2, "job file" },
    { { "distill", "/nowhere/job.json" },                             2, "/nowhere/job.json" },
    { { "distill", "--new", "x.json", "-t", "strter", "-p", "a" },    2, "starter" },
    { { "distill", "--new", "x.json", "--preset", "smal" },           2, "“small”" },
    { { "distill", "--new", "x.json", "--preset", "sdxl" },           2, "cannot be distilled yet" },
    { { "distill", "--new", "x.json", "--preset", "small" },          2, "“pictures” is missing" },
    { { "distill", "--steps", "5", "x.json" },                        2, "write a new one with --new" },
    { { "distill", "--new", "x.json", "--steps", "-5" },              2, "above 0" },
    { { "distill", "--new", "/nowhere/x.json", "-p", "a" },           2, "the folder does not exist" },
    { { "distill", "--new", "x.json", "--pictures", "/nowhere" },     2, "“/nowhere” does not exist" },
    { { "distill", "--new", "x.json", "-p", "\xff" },                 2, "“--prompt” is not valid UTF-8" },
    { { "eval" },                                                     2, "job file" },
    { { "eval", "x.json", "--samples", "1", "--guidance", "-3" },     2, "guidance of 1 to 100" },
    { { "eval", "/nowhere/job.json" },                                2, "/nowhere/job.json" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *errors = command (cases[i].status, cases[i].arguments, TRUE);

      if (strstr (errors, cases[i].text) == NULL)
        g_error ("“%s” is not in “%s”", cases[i].text, errors);
    }
}

/* before there is a job file of it */
static void
captions_are_looked_into_at_once (void)
{
  g_autoptr(Scratch) folder   = scratch_new ();
  g_autofree char   *model    = teacher ();
  g_autofree char   *job      = g_build_filename (folder, "job.json", NULL);
  g_autofree char   *captions = g_build_filename (folder, "captions.tsv", NULL);
  const char        *create[] = { "distill", "--new", job, "--teacher", model, "--captions", captions, NULL };
  g_autofree char   *errors   = NULL;

  g_assert_true (g_file_set_contents (captions, "cat.png a cat\n", -1, NULL));
  errors = command (2, create, TRUE);
  g_assert_nonnull (strstr (errors, "line 1: must be the name of a picture, a tab and a caption"));
  g_assert_false (g_file_test (job, G_FILE_TEST_EXISTS));
}

/* A job that fails at once ends its process, however late that gets to wait for it. */
static void
a_job_that_fails_at_once_ends (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *job    = g_build_filename (folder, "job.json", NULL);
  const char        *run[]  = { "distill", job, NULL };

  scratch_write (folder, "job.json", "{ \"teacher\": \"/nowhere\", \"prompts\": [ \"a\" ] }", -1);
  for (int i = 0; i < 10; i++)
    {
      g_autofree char *errors = command (1, run, TRUE);

      g_assert_nonnull (strstr (errors, "/nowhere"));
      g_assert_nonnull (strstr (errors, "job.json”: “teacher”: "));
    }
}

/* as sentences for people, not as a program's log */
static void
a_broken_picture_is_named (void)
{
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autofree char    *job    = g_build_filename (folder, "job.json", NULL);
  g_autofree char    *model  = teacher ();
  g_autofree char    *text   = g_strdup_printf ("{ \"teacher\": \"%s\", \"pictures\": \"pics\" }", model);
  const char         *run[]  = { "distill", "-q", job, NULL };
  g_autofree char    *errors = NULL;

  scratch_write (folder, "job.json", text, -1);
  scratch_write (folder, "pics/broken.png", "\x89PNG", -1);
  errors = command (1, run, TRUE);
  g_assert_true (g_str_has_prefix (errors, "flashbrush-engine distill: “"));
  g_assert_nonnull (strstr (errors, "broken.png"));
  g_assert_nonnull (strstr (errors, "It is left out.\n"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/engine/distill/a-new-job-runs-to-its-lora-and-is-judged", a_new_job_runs_to_its_lora_and_is_judged);
  g_test_add_func ("/core/engine/distill/samples-come-with-captions-and-can-be-trained-on", samples_come_with_captions_and_can_be_trained_on);
  g_test_add_func ("/core/engine/distill/an-interrupt-pauses-and-keeps-what-was-done", an_interrupt_pauses_and_keeps_what_was_done);
  g_test_add_func ("/core/engine/distill/a-teachers-path-may-be-relative", a_teachers_path_may_be_relative);
  g_test_add_func ("/core/engine/distill/a-job-that-fails-at-once-ends", a_job_that_fails_at_once_ends);
  g_test_add_func ("/core/engine/distill/a-broken-picture-is-named", a_broken_picture_is_named);
  g_test_add_func ("/core/engine/distill/errors-are-explained", errors_are_explained);
  g_test_add_func ("/core/engine/distill/captions-are-looked-into-at-once", captions_are_looked_into_at_once);
  return scratch_test_run ();
}
