/* tests/core/distill/test-reuse.c: teacher's solutions that are learned from more than once. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "core/distill/trainer-private.h"
#include "tests/core/distill/ready.h"
#include "tests/core/scratch.h"

static void
test_each_batch_comes_as_often_as_asked (void)
{
  for (int reuse = 1; reuse <= 3; reuse++)
    {
      const FbDistillJob job                      = { .seed = 5, .teacher_reuse = reuse };
      const FbTrainer    trainer                  = { .job = &job };
      int                seen[3 * FB_REUSE_BLOCK] = { 0 }, n_seen = 0;

      for (int step = 0; step < 3 * FB_REUSE_BLOCK * reuse; step++)
        {
          const int batch = fb_trainer_batch_of (&trainer, step);

          g_assert_cmpint (batch, >=, 0);
          g_assert_cmpint (batch, <, 3 * FB_REUSE_BLOCK);
          if (seen[batch]++ > 0)
            continue;
          g_assert_cmpint (batch, ==, n_seen++);                                /* new ones come in their order */
          g_assert_cmpint (fb_trainer_first_use (&trainer, batch), ==, step);
        }
      for (gsize i = 0; i < G_N_ELEMENTS (seen); i++)
        g_assert_cmpint (seen[i], ==, reuse);
    }
}

static void
test_only_what_was_remembered_is_recalled (void)
{
  FbReuse     *reuse     = fb_reuse_new (3);
  const float  one[]     = { 1, 2, 3, 4 }, two[] = { 5, 6 };
  const int    outer[]   = { 0, 2 }, middle = 1, all[] = { 2, 1, 0 };
  float        got[6];

  g_assert_false (fb_reuse_recall (reuse, 0, outer, 2, 2, got));
  fb_reuse_remember (reuse, 7, outer, 2, 2, one);
  g_assert_true (fb_reuse_recall (reuse, 7, outer, 2, 2, got));
  g_assert_cmpmem (got, sizeof one, one, sizeof one);
  g_assert_false (fb_reuse_recall (reuse, 7, all, 3, 2, got));
  g_assert_false (fb_reuse_recall (reuse, 7 + FB_REUSE_BLOCK, outer, 2, 2, got));
  fb_reuse_remember (reuse, 7, &middle, 1, 2, two);
  g_assert_true (fb_reuse_recall (reuse, 7, all, 3, 2, got));
  g_assert_cmpfloat (got[0], ==, 3);
  g_assert_cmpfloat (got[3], ==, 6);
  g_assert_cmpfloat (got[5], ==, 2);
  fb_reuse_remember (reuse, 7 + FB_REUSE_BLOCK, &middle, 1, 2, two);            /* makes way */
  g_assert_false (fb_reuse_recall (reuse, 7, outer, 2, 2, got));
  g_assert_false (fb_reuse_recall (reuse, 7 + FB_REUSE_BLOCK, outer, 2, 2, got));
  fb_reuse_free (reuse);
}

/* --- a job ------------------------------------------------------------------------------------------------------------------ */

#define N_STEPS (FB_REUSE_BLOCK + 6)

/* of pure noise always, so that the teacher's way has one length; @name in @folder */
static FbDistillJob *
job_in (const char *folder, const char *name, const char *teacher)
{
  g_autofree char  *path  = g_build_filename (folder, name, NULL);
  g_autofree char  *text  = g_strdup_printf ("{ \"preset\": \"small\", \"teacher\": \"%s\", \"prompts\": [ \"a cat\", \"a dog\", \"a tree\" ],"
                                             " \"width\": 64, \"height\": 64, \"steps\": %d, \"batch_size\": 2, \"samples_per_call\": 2,"
                                             " \"teacher_steps\": 4, \"teacher_reuse\": 2, \"mode_variance\": 0.001, \"lora_rank\": 4, \"lora_alpha\": 8,"
                                             " \"dtype\": \"f32\", \"threads\": 1, \"sample_every\": 0, \"phases\": [ { \"steps\": %d,"
                                             " \"modes\": [ 1, 0, 0, 0 ], \"distillation\": 1, \"matching\": 0, \"adversarial\": 0 } ] }",
                                             teacher, N_STEPS, N_STEPS);
  g_autoptr(GError) error = NULL;
  FbDistillJob     *job;

  scratch_write (folder, name, text, -1);
  job = fb_distill_job_load (path, &error);
  g_assert_no_error (error);
  return job;
}

/* network calls of one step */
static double
step (FbTrainer *trainer)
{
  const double      before = fb_networks_n_calls (trainer->networks);
  g_autoptr(GError) error  = NULL;
  FbDistillLosses   losses;

  g_assert_true (fb_trainer_step (trainer, &losses, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (isfinite (losses.distillation) && losses.distillation > 0.0);
  return fb_networks_n_calls (trainer->networks) - before;
}

/* the teacher makes two calls a step of its way, with and without the prompt, for each of two samples */
static void
test_the_teacher_is_asked_once (void)
{
  g_autoptr(Scratch)      folder  = scratch_new ();
  g_autofree char        *teacher = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
  g_autoptr(FbDevice)     dev     = fb_device_new ("cpu", 1, NULL);
  g_autoptr(FbDistillJob) job     = job_in (folder, "job.json", teacher);
  g_autoptr(FbTrainer)    trainer = trainer_ready (job, teacher, dev);
  double                  first   = step (trainer);

  for (int i = 1; i < FB_REUSE_BLOCK; i++)
    g_assert_cmpfloat (step (trainer), ==, first);
  for (int i = FB_REUSE_BLOCK; i < N_STEPS; i++)
    g_assert_cmpfloat (step (trainer), ==, first - 2 * 4 * 2);
}

/* The solutions are not in the checkpoint: the teacher makes them anew. */
static void
test_a_job_goes_on_in_the_middle_of_a_block (void)
{
  g_autoptr(Scratch)      folder   = scratch_new ();
  g_autofree char        *teacher  = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
  g_autoptr(FbDevice)     dev      = fb_device_new ("cpu", 1, NULL);
  const char * const      names[2] = { "straight.json", "paused.json" };
  char                   *texts[2];
  gsize                   sizes[2];

  for (int k = 0; k < 2; k++)
    {
      g_autoptr(FbDistillJob) job  = job_in (folder, names[k], teacher);
      g_autofree char        *run  = fb_distill_job_folder (job);
      g_autofree char        *path = g_build_filename (run, "checkpoint.safetensors", NULL);
      const int               stop = k == 0 ? N_STEPS : FB_REUSE_BLOCK + 3;
      int                     done = 0;

      for (int end = stop; done < N_STEPS; end = N_STEPS)
        {
          g_autoptr(FbTrainer) trainer = trainer_ready (job, teacher, dev);

          g_assert_cmpint (fb_trainer_step_number (trainer), ==, done);
          for (; done < end; done++)
            step (trainer);
          g_assert_true (fb_trainer_save (trainer, NULL));
        }
      g_assert_true (g_file_get_contents (path, &texts[k], &sizes[k], NULL));
    }
  g_assert_cmpmem (texts[0], sizes[0], texts[1], sizes[1]);
  for (int k = 0; k < 2; k++)
    g_free (texts[k]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/distill/reuse/each-batch-comes-as-often-as-asked", test_each_batch_comes_as_often_as_asked);
  g_test_add_func ("/core/distill/reuse/only-what-was-remembered-is-recalled", test_only_what_was_remembered_is_recalled);
  g_test_add_func ("/core/distill/reuse/the-teacher-is-asked-once", test_the_teacher_is_asked_once);
  g_test_add_func ("/core/distill/reuse/a-job-goes-on-in-the-middle-of-a-block", test_a_job_goes_on_in_the_middle_of_a_block);
  return scratch_test_run ();
}
