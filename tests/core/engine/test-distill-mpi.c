/* tests/core/engine/test-distill-mpi.c: training over processes that mpirun starts. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Two processes on this machine. A shell in between leaves their numbers in files, process.0 and process.1: the second is what gets killed.
 */
#include <math.h>
#include <signal.h>
#include <string.h>

#include "core/formats/safetensors.h"
#include "tests/core/distill/phases.h"
#include "tests/core/scratch.h"

#define PROMPTS "\"prompts\": [ \"a cat\", \"a dog\", \"a tree\" ], "

static void
write_job (const char *folder, const char *name, const char *fields)
{
  g_autofree char *teacher = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
  g_autofree char *text    = g_strdup_printf ("{ \"preset\": \"small\", \"teacher\": \"%s\", \"width\": 64, \"height\": 64,"
                                              " \"samples_per_call\": 2, \"teacher_steps\": 4, \"mode_variance\": 0.01, \"lora_rank\": 4,"
                                              " \"lora_alpha\": 8, \"learning_rate\": 0.0001, \"warm_up\": 0, \"dtype\": \"f32\","
                                              " \"sample_every\": 0, %s }", teacher, fields);

  scratch_write (folder, name, text, -1);
}

static char *
contents (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  char            *text = NULL;

  g_file_get_contents (path, &text, NULL, NULL);
  return text;
}

static GSubprocess *
start (const char * const *argv)
{
  g_autoptr(GError) error = NULL;
  GSubprocess      *child = g_subprocess_newv (argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &error);

  g_assert_no_error (error);
  return child;
}

/* what stands between mpirun and each process; what MPI's libraries keep at exit is not ours to find (tests/slow/sanitizers.sh) */
#define BETWEEN "echo $$ >\"$0.$OMPI_COMM_WORLD_RANK\"; ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 exec \"$@\""

/* @job over two processes */
static GSubprocess *
start_two (const char *folder, const char *job)
{
  g_autofree char *number = g_build_filename (folder, "process", NULL);
  g_autofree char *path   = g_build_filename (folder, job, NULL);
  const char      *engine = g_getenv ("FLASHBRUSH_ENGINE");
  const char      *argv[] =
  {
    g_getenv ("FB_TEST_MPIRUN"), "--oversubscribe", "--bind-to", "none", "-np", "2",
    "/bin/sh", "-c", BETWEEN, number, engine, "distill", path, NULL
  };

  return start (argv);
}

static GSubprocess *
start_one (const char *folder, const char *job)
{
  g_autofree char *path   = g_build_filename (folder, job, NULL);
  const char      *argv[] = { g_getenv ("FLASHBRUSH_ENGINE"), "distill", path, NULL };

  return start (argv);
}

/* Returns: the exit status; 128 + number of a signal */
static int
finish (GSubprocess *child, char **out, char **err)
{
  g_autoptr(GError) error = NULL;

  g_subprocess_communicate_utf8 (child, NULL, NULL, out, err, &error);
  g_assert_no_error (error);
  g_test_message ("%s%s", *out, *err);
  return g_subprocess_get_if_exited (child) ? g_subprocess_get_exit_status (child) : 128 + g_subprocess_get_term_sig (child);
}

static void
wait_for_step (const char *folder, const char *log, int step)
{
  g_autofree char *line = g_strdup_printf ("\n%d\t", step);

  for (int i = 0; i < 60000; i++)
    {
      g_autofree char *text = contents (folder, log);

      if (text != NULL && strstr (text, line) != NULL)
        return;
      g_usleep (1000);
    }
  g_error ("step %d is not in %s after a minute", step, log);
}

static void
signal_second (const char *folder, int number)
{
  g_autofree char *text = contents (folder, "process.1");

  g_assert_nonnull (text);
  g_assert_cmpint (kill ((pid_t) g_ascii_strtoll (text, NULL, 10), number), ==, 0);
}

static int
count (const char *text, const char *word)
{
  int n = 0;

  for (text = strstr (text, word); text != NULL; text = strstr (text + 1, word))
    n++;
  return n;
}

/* the step of a checkpoint that is whole: every number of every tensor is there */
static int
step_of_checkpoint (const char *folder)
{
  g_autofree char          *path  = g_build_filename (folder, "job", "checkpoint.safetensors", NULL);
  g_autoptr(GError)         error = NULL;
  g_autoptr(FbSafetensors)  file  = fb_safetensors_open (path, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (fb_safetensors_n_tensors (file), >, 0);
  for (guint i = 0; i < fb_safetensors_n_tensors (file); i++)
    {
      const FbTensorInfo *info   = fb_safetensors_tensor (file, i);
      g_autofree float   *values = g_malloc (info->n_bytes);

      g_assert_true (fb_safetensors_read_finite (file, info, values, NULL, &error));
    }
  return atoi (fb_safetensors_metadata (file, "step"));
}

/* --- tests ---------------------------------------------------------------------------------------------------------------- */

/* Without the module or mpirun there is nothing to test; the build says whether it made the module. */
static gboolean
is_here (void)
{
  if (g_getenv ("FB_TEST_MPIRUN") != NULL)
    return TRUE;
  g_test_skip ("OpenMPI is not here");
  return FALSE;
}

/* runs the job to its end; (transfer full): the lines of its log */
static char **
lines_of_log (const char *folder, GSubprocess *child, const char *log)
{
  g_autofree char *out = NULL, *err = NULL, *text = NULL;

  g_assert_cmpint (finish (child, &out, &err), ==, 0);
  g_assert_cmpint (count (out, "first step: "), ==, 1);          /* of several processes, one speaks */
  g_assert_cmpint (count (out, "lora.safetensors"), ==, 1);
  text = contents (folder, log);
  g_assert_nonnull (text);
  return g_strsplit (text, "\n", -1);
}

static void
two_processes_have_the_losses_of_one_at_twice_the_batch (void)
{
  enum { STEPS = 8, COLUMNS = 9 };
  static const char      fields[]  = PROMPTS PHASES (2) ", \"steps\": 8, \"batch_size\": 4, \"checkpoint_every\": 4";
  g_autoptr(Scratch)     folder    = scratch_new ();
  g_autoptr(GSubprocess) child     = NULL, children = NULL;
  g_auto(GStrv)          of_one    = NULL;
  g_auto(GStrv)          of_two    = NULL;

  if (!is_here ())
    return;
  write_job (folder, "one.json", fields);
  write_job (folder, "two.json", fields);
  child    = start_one (folder, "one.json");
  of_one   = lines_of_log (folder, child, "one/log.tsv");
  children = start_two (folder, "two.json");
  of_two   = lines_of_log (folder, children, "two/log.tsv");
  g_assert_cmpuint (g_strv_length (of_one), ==, 1 + STEPS + 1);
  g_assert_cmpuint (g_strv_length (of_two), ==, 1 + STEPS + 1);
  for (int step = 1; step <= STEPS; step++)
    {
      g_auto(GStrv) one = g_strsplit (of_one[step], "\t", -1);
      g_auto(GStrv) two = g_strsplit (of_two[step], "\t", -1);

      g_assert_cmpuint (g_strv_length (one), ==, COLUMNS);
      g_assert_cmpuint (g_strv_length (two), ==, COLUMNS);
      for (int c = 2; c < COLUMNS; c++)                          /* after step and seconds */
        {
          const double a = g_ascii_strtod (one[c], NULL), b = g_ascii_strtod (two[c], NULL);

          if (fabs (a - b) > 2e-5 * fabs (a))                    /* six digits are written */
            g_error ("step %d, column %d: %s in one process, %s in two", step, c, one[c], two[c]);
        }
    }
}

static void
a_process_that_dies_stops_the_job_with_its_last_checkpoint (void)
{
  g_autoptr(Scratch)     folder = scratch_new ();
  g_autoptr(GSubprocess) child  = NULL, again = NULL;
  g_autofree char       *out = NULL, *err = NULL, *out2 = NULL, *err2 = NULL;
  int                    step;

  if (!is_here ())
    return;
  write_job (folder, "job.json", PROMPTS PHASES (25000) ", \"steps\": 100000, \"batch_size\": 2, \"checkpoint_every\": 1");
  child = start_two (folder, "job.json");
  wait_for_step (folder, "job/log.tsv", 3);
  signal_second (folder, SIGKILL);
  g_assert_cmpint (finish (child, &out, &err), !=, 0);

  step = step_of_checkpoint (folder);
  g_assert_cmpint (step, >=, 2);
  again = start_one (folder, "job.json");                        /* the lock is free, and training goes on from there */
  wait_for_step (folder, "job/log.tsv", step + 2);
  g_subprocess_send_signal (again, SIGINT);
  g_assert_cmpint (finish (again, &out2, &err2), ==, 3);
  g_assert_cmpint (step_of_checkpoint (folder), >=, step + 2);
}

static void
an_interrupt_of_one_process_pauses_all (void)
{
  g_autoptr(Scratch)     folder = scratch_new ();
  g_autoptr(GSubprocess) child  = NULL;
  g_autofree char       *out = NULL, *err = NULL;

  if (!is_here ())
    return;
  write_job (folder, "job.json", PROMPTS PHASES (25000) ", \"steps\": 100000, \"batch_size\": 2, \"checkpoint_every\": 100000");
  child = start_two (folder, "job.json");
  wait_for_step (folder, "job/log.tsv", 2);
  signal_second (folder, SIGTERM);
  g_assert_cmpint (finish (child, &out, &err), ==, 3);
  g_assert_cmpint (count (out, "paused"), ==, 1);
  g_assert_cmpint (step_of_checkpoint (folder), >=, 2);
}

static void
errors_and_warnings_are_said_once (void)
{
  static const struct { const char *fields, *texts[2]; } cases[] =
  {
    { PROMPTS "\"batch_size\": 3", { "“batch_size” must be a multiple of 2", "job.json" } },
    { "\"pictures\": \"pics\", \"batch_size\": 2", { "broken.png", "none of the" } },
    { PROMPTS "\"batch_size\": 0", { "“batch_size” must be", "job.json" } },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(Scratch)     folder = scratch_new ();
      g_autoptr(GSubprocess) child  = NULL;
      g_autofree char       *out = NULL, *err = NULL;

      if (!is_here ())
        return;
      scratch_write (folder, "pics/broken.png", "\x89PNG", -1);
      write_job (folder, "job.json", cases[i].fields);
      child = start_two (folder, "job.json");
      g_assert_cmpint (finish (child, &out, &err), !=, 0);
      for (gsize t = 0; t < G_N_ELEMENTS (cases[i].texts); t++)
        g_assert_cmpint (count (err, cases[i].texts[t]), ==, 1);
    }
}

/* A process that believes mpirun has started it */
static void
a_missing_module_is_explained (void)
{
  g_autoptr(Scratch)             folder   = scratch_new ();
  g_autofree char               *path     = g_build_filename (folder, "job.json", NULL);
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
  const char                    *argv[]   = { g_getenv ("FLASHBRUSH_ENGINE"), "distill", path, NULL };
  g_autoptr(GSubprocess)         child    = NULL;
  g_autofree char               *out = NULL, *err = NULL;

  write_job (folder, "job.json", PROMPTS PHASES (1) ", \"steps\": 4, \"batch_size\": 2");
  g_subprocess_launcher_setenv (launcher, "FLASHBRUSH_MODULES", folder, TRUE);
  g_subprocess_launcher_setenv (launcher, "OMPI_COMM_WORLD_SIZE", "2", TRUE);
  child = g_subprocess_launcher_spawnv (launcher, argv, NULL);
  g_assert_nonnull (child);
  g_assert_cmpint (finish (child, &out, &err), ==, 1);
  g_assert_nonnull (strstr (err, "flashbrush-mpi.so"));
  g_assert_nonnull (strstr (err, "Install OpenMPI"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/engine/distill/mpi/two-processes-have-the-losses-of-one-at-twice-the-batch",
                   two_processes_have_the_losses_of_one_at_twice_the_batch);
  g_test_add_func ("/core/engine/distill/mpi/a-process-that-dies-stops-the-job-with-its-last-checkpoint",
                   a_process_that_dies_stops_the_job_with_its_last_checkpoint);
  g_test_add_func ("/core/engine/distill/mpi/an-interrupt-of-one-process-pauses-all", an_interrupt_of_one_process_pauses_all);
  g_test_add_func ("/core/engine/distill/mpi/errors-and-warnings-are-said-once", errors_and_warnings_are_said_once);
  g_test_add_func ("/core/engine/distill/mpi/a-missing-module-is-explained", a_missing_module_is_explained);
  return scratch_test_run ();
}
