/* tests/core/distill/test-trainer-resume.c: jobs that are interrupted in every way, and what may go on from a checkpoint. SPDX-License-Identifier: LGPL-3.0-or-later
 * The program also runs a job itself: `test-distill-trainer-resume --run JOB.json` is what gets killed. */
#include <signal.h>
#include <string.h>

#include "core/distill/trainer-private.h"
#include "tests/core/distill/phases.h"
#include "tests/core/distill/trainer-fixture.h"

static void
test_a_resumed_job_is_the_same_to_the_bit (TrainerFixture *f, gconstpointer fields)
{
  trainer_run_straight (f, "straight", 4);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);

      g_assert_cmpint (fb_trainer_step_number (trainer), ==, 2 * i);
      trainer_steps (trainer, 2);
      g_assert_true (fb_trainer_save (trainer, NULL));
    }
  trainer_same_file (f->folder, "straight", "job/checkpoint.safetensors");
}

static void
cancel (gpointer data)
{
  static int calls = 0;

  if (++calls == 3)                                      /* in the middle of the teacher's way */
    g_cancellable_cancel (data);
}

static void
test_a_cancelled_step_leaves_no_trace (TrainerFixture *f, gconstpointer fields)
{
  trainer_run_straight (f, "straight", 3);
  {
    g_autoptr(FbTrainer)    trainer     = trainer_of (f, f->job);
    g_autoptr(GCancellable) cancellable = g_cancellable_new ();
    g_autoptr(GError)       error       = NULL;
    FbDistillLosses         losses;

    trainer_steps (trainer, 1);
    fb_trainer_set_between (trainer, cancel, cancellable);
    g_assert_false (fb_trainer_step (trainer, &losses, cancellable, &error));
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_assert_cmpint (fb_trainer_step_number (trainer), ==, 1);
    fb_trainer_set_between (trainer, NULL, NULL);
    trainer_steps (trainer, 2);
    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  trainer_same_file (f->folder, "straight", "job/checkpoint.safetensors");
}

static void
test_a_paused_run_goes_on_and_keeps_its_log (TrainerFixture *f, gconstpointer fields)
{
  g_autofree char *log = NULL;

  trainer_run_straight (f, "straight", 4);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer)    trainer     = trainer_of (f, f->job);
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      g_autoptr(GError)       error       = NULL;
      TrainerWatcher          watcher     = { .cancellable = cancellable, .cancel_at = i == 0 ? 2 : 0 };

      if (i == 0)
        {
          g_assert_false (fb_trainer_run (trainer, trainer_watch, &watcher, cancellable, &error));
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        }
      else
        g_assert_true (fb_trainer_run (trainer, trainer_watch, &watcher, cancellable, &error));
      g_free (watcher.path);
    }
  trainer_same_file (f->folder, "straight", "job/checkpoint.safetensors");
  log = trainer_file (f->folder, "job/log.tsv", NULL);
  g_assert_nonnull (strstr (log, "\n4\t"));
  g_assert_null (strstr (strstr (log, "\n2\t") + 1, "\n2\t"));
}

static const char *program;

static GSubprocess *
start (TrainerFixture *f)
{
  g_autofree char  *path  = g_build_filename (f->folder, "job.json", NULL);
  g_autoptr(GError) error = NULL;
  GSubprocess      *child = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &error, program, "--run", path, NULL);

  g_assert_no_error (error);
  return child;
}

static void
wait_for_file (const char *path)
{
  for (int i = 0; i < 60000 && !g_file_test (path, G_FILE_TEST_EXISTS); i++)
    g_usleep (1000);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
}

static void
test_a_killed_job_goes_on_from_its_checkpoint (TrainerFixture *f, gconstpointer fields)
{
  g_autofree char        *checkpoint = g_build_filename (f->folder, "job", "checkpoint.safetensors", NULL);
  g_autoptr(GSubprocess)  child      = NULL;

  trainer_run_straight (f, "straight", f->job->steps);
  child = start (f);
  wait_for_file (checkpoint);
  g_usleep (30000);
  g_subprocess_send_signal (child, SIGKILL);
  g_subprocess_wait (child, NULL, NULL);
  g_assert_true (g_subprocess_get_if_signaled (child));
  {
    g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);
    const int            done    = fb_trainer_step_number (trainer);

    g_assert_cmpint (done, >=, 1);
    g_assert_cmpint (done, <, f->job->steps);
    trainer_steps (trainer, f->job->steps - done);
    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  trainer_same_file (f->folder, "straight", "job/checkpoint.safetensors");
}

static void
test_a_job_runs_once (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) first = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  g_autoptr(GError)    error = NULL;

  g_assert_nonnull (first);
  g_assert_null (fb_trainer_new (f->job, f->teacher, f->dev, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_LOCKED);
  g_clear_pointer (&first, fb_trainer_free);
  first = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  g_assert_nonnull (first);
}

static void
test_another_jobs_checkpoint_is_refused (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbDistillJob) other = NULL;
  g_autoptr(FbTrainer)    second = NULL;
  g_autoptr(GError)       error = NULL;
  TrainerWatcher          watcher = { .cancel_at = 0 };

  {
    g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);

    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  trainer_write_job (f->folder, "job.json", PROMPTS ", \"seed\": 7");
  other  = trainer_job (f->folder, "job.json");
  second = fb_trainer_new (other, f->teacher, f->dev, NULL);
  g_assert_false (fb_trainer_prepare (second, trainer_watch, &watcher, NULL, &error));
  g_assert_cmpint (watcher.seen[FB_DISTILL_PREPARE], ==, 0);      /* at once, not after hours */
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_CHECKPOINT);
  g_assert_nonnull (strstr (error->message, "job.json"));
  g_assert_nonnull (strstr (error->message, "“seed”"));
}

/* as the message about a loss that is no number advises */
static void
test_another_learning_rate_goes_on (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbDistillJob) other   = NULL;
  g_autoptr(FbTrainer)    trainer = NULL;

  {
    g_autoptr(FbTrainer) first = trainer_of (f, f->job);

    trainer_steps (first, 1);
    g_assert_true (fb_trainer_save (first, NULL));
  }
  trainer_write_job (f->folder, "job.json", PROMPTS ", \"clip\": 0.5, \"samples_per_call\": 1");
  other = trainer_job (f->folder, "job.json");
  g_test_expect_message (NULL, G_LOG_LEVEL_MESSAGE, "*“samples_per_call”, “clip”*");
  trainer = trainer_of (f, other);
  g_test_assert_expected_messages ();
  g_assert_cmpint (fb_trainer_step_number (trainer), ==, 1);
  trainer_steps (trainer, 1);
}

static void
test_other_lpips_weights_do_not_go_on (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(GError)    error  = NULL;
  g_autoptr(FbTrainer) second = NULL;
  g_autofree char     *data   = NULL;
  gsize                n;

  {
    g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);

    trainer_steps (trainer, 1);
    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  data = trainer_file (f->folder, "lpips.safetensors", &n);
  data[n - 1] ^= 1;                                      /* another number */
  scratch_write (f->folder, "lpips.safetensors", data, (gssize) n);
  second = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  g_assert_false (fb_trainer_prepare (second, NULL, NULL, NULL, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_CHECKPOINT);
  g_assert_nonnull (strstr (error->message, "LPIPS"));
}

static void
test_a_damaged_checkpoint_is_named (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;
  g_autoptr(GError)    error   = NULL;

  scratch_write (f->folder, "job/checkpoint.safetensors", "half", -1);
  trainer = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  g_assert_false (fb_trainer_prepare (trainer, NULL, NULL, NULL, &error));
  g_assert_nonnull (strstr (error->message, "checkpoint.safetensors"));
}

static int
run_job (const char *path)
{
  g_autofree char         *teacher = trainer_teacher ();
  g_autoptr(GError)        error   = NULL;
  g_autoptr(FbDistillJob)  job     = fb_distill_job_load (path, &error);
  g_autoptr(FbDevice)      dev     = fb_device_new ("cpu", 1, NULL);
  g_autoptr(FbTrainer)     trainer = fb_trainer_new (job, teacher, dev, &error);

  g_assert_no_error (error);
  return fb_trainer_prepare (trainer, NULL, NULL, NULL, &error) && fb_trainer_run (trainer, NULL, NULL, NULL, &error) ? 0 : 1;
}

int
main (int argc, char **argv)
{
  static const TrainerTest tests[] =
  {
    { "a-resumed-one-is-the-same-to-the-bit", PROMPTS, test_a_resumed_job_is_the_same_to_the_bit },
    { "a-resumed-one-with-lpips-is-the-same-to-the-bit", LPIPS, test_a_resumed_job_is_the_same_to_the_bit },
    { "a-cancelled-step-leaves-no-trace", PROMPTS, test_a_cancelled_step_leaves_no_trace },
    { "a-paused-run-goes-on-and-keeps-its-log", PROMPTS, test_a_paused_run_goes_on_and_keeps_its_log },
    { "a-killed-one-goes-on-from-its-checkpoint", PROMPTS ", \"steps\": 40, " PHASES (10), test_a_killed_job_goes_on_from_its_checkpoint },
    { "other-lpips-weights-do-not-go-on", LPIPS, test_other_lpips_weights_do_not_go_on },
    { "runs-once", PROMPTS, test_a_job_runs_once },
    { "anothers-checkpoint-is-refused", PROMPTS, test_another_jobs_checkpoint_is_refused },
    { "another-learning-rate-goes-on", PROMPTS, test_another_learning_rate_goes_on },
    { "a-damaged-checkpoint-is-named", PROMPTS, test_a_damaged_checkpoint_is_named },
  };

  if (argc == 3 && strcmp (argv[1], "--run") == 0)
    {
      argc = 1;
      g_test_init (&argc, &argv, NULL);
      return run_job (argv[2]);
    }
  program = argv[0];
  g_test_init (&argc, &argv, NULL);
  trainer_add_tests (tests, G_N_ELEMENTS (tests));
  return scratch_test_run ();
}
