/* tests/core/distill/test-trainer-refusals.c: what a job is refused for, and what it survives. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "core/distill/trainer-private.h"
#include "kernels/device-private.h"
#include "tests/core/distill/trainer-fixture.h"

static void
test_a_refused_job_leaves_no_checkpoint (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);
  g_autofree char     *folder  = g_build_filename (f->folder, "job", NULL);
  g_autoptr(GError)    error   = NULL;

  f->job->checkpoint_every = 100;
  f->job->memory           = 1;                          /* MB; less than the first step takes */
  g_assert_false (fb_trainer_run (trainer, NULL, NULL, NULL, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_HOPELESS);
  g_assert_cmpint (fb_distill_checkpoint_step (folder), ==, -1);
}

static void
test_a_missing_file_of_weights_is_named (TrainerFixture *f, gconstpointer fields)
{
  g_autofree char  *path  = g_build_filename (f->folder, "lpips.safetensors", NULL);
  g_autoptr(GError) error = NULL;

  g_assert_cmpint (remove (path), ==, 0);
  g_assert_null (fb_trainer_new (f->job, f->teacher, f->dev, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "lpips.safetensors"));
}

static void
test_a_place_for_the_lora_is_looked_for_first (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (fb_trainer_new (f->job, f->teacher, f->dev, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "job.json/lora.safetensors"));
}

static void
test_a_full_disk_keeps_the_last_checkpoint (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);
  g_autoptr(GError)    error   = NULL;
  g_autofree char     *before  = NULL;
  g_autofree char     *after   = NULL;
  gsize                n_before, n_after;
  struct rlimit        limit, small;

  trainer_steps (trainer, 1);
  g_assert_true (fb_trainer_save (trainer, NULL));
  before = trainer_file (f->folder, "job/checkpoint.safetensors", &n_before);
  trainer_steps (trainer, 1);

  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  small = limit;
  small.rlim_cur = 4096;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &small), ==, 0);
  g_assert_false (fb_trainer_save (trainer, &error));
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);

  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "checkpoint.safetensors"));
  after = trainer_file (f->folder, "job/checkpoint.safetensors", &n_after);
  g_assert_cmpmem (before, n_before, after, n_after);
  g_assert_true (fb_trainer_save (trainer, NULL));
}

static void
test_a_loss_that_is_no_number_stops_before_the_update (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer)  trainer = trainer_of (f, f->job);
  FbTrainable          *t       = fb_networks_student_trainables (trainer->networks)->pdata[0];
  const float           value   = t->values[0], other = t->values[1];
  g_autoptr(GError)     error   = NULL;
  FbDistillLosses       losses;

  t->values[0] = NAN;
  fb_trainable_push (t);
  g_assert_false (fb_trainer_step (trainer, &losses, NULL, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_NOT_FINITE);
  g_assert_nonnull (strstr (error->message, "step 1"));
  g_assert_cmpint (fb_trainer_step_number (trainer), ==, 0);
  g_assert_cmpfloat (t->values[1], ==, other);

  t->values[0] = value;
  fb_trainable_push (t);
  trainer_steps (trainer, 1);                                    /* nothing of the failed step is left in the gradients */
}

static const void *broken;       /* memory that cannot be read any more, or NULL */
static int         n_reads;      /* of it, before it breaks */

static void
download (FbDevice *dev, void *host, FbDtype host_dtype, const void *device, FbDtype device_dtype, size_t n)
{
  if (device == broken && n_reads-- <= 0)
    {
      memset (host, 0, n * fb_dtype_size (host_dtype));
      fb_device_fail_no_memory (dev, n);
    }
  else
    fb_cpu_ops.download (dev, host, host_dtype, device, device_dtype, n);
}

/* Gradients that cannot be had would be zeros, and a step with them no step. */
static void
test_a_device_that_fails_at_last_leaves_no_trace (TrainerFixture *f, gconstpointer fields)
{
  const FbDeviceOps *usual = f->dev->ops;
  FbDeviceOps        ops   = *usual;

  trainer_run_straight (f, "straight", 2);
  ops.download = download;
  f->dev->ops  = &ops;
  {
    g_autoptr(FbTrainer)  trainer    = trainer_of (f, f->job);
    GPtrArray            *trainables = fb_networks_student_trainables (trainer->networks);
    g_autoptr(GError)     error      = NULL;
    FbDistillLosses       losses;

    trainer_steps (trainer, 1);
    broken  = ((FbTrainable *) trainables->pdata[trainables->len - 1])->slot->data;
    n_reads = 1;                                                 /* once at the step's beginning */
    g_assert_false (fb_trainer_step (trainer, &losses, NULL, &error));
    g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
    g_assert_cmpint (fb_trainer_step_number (trainer), ==, 1);
    broken = NULL;
    trainer_steps (trainer, 1);
    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  f->dev->ops = usual;
  trainer_same_file (f->folder, "straight", "job/checkpoint.safetensors");
}

static const struct { const char *fields; int code; const char *words; } bad[] =
{
  { PROMPTS ", \"width\": 60, \"height\": 64", FB_DISTILL_ERROR_FIELD, "“width” must be a multiple of 8" },
  { PROMPTS ", \"lora_targets\": [ \"to_q\", \"to_z\" ]", FB_DISTILL_ERROR_FIELD, "to_z" },
  { LPIPS ", \"width\": 8, \"height\": 8", FB_DISTILL_ERROR_FIELD, "it needs 16 per side" },
  { PROMPTS ", \"output\": \"checkpoint.safetensors\"", FB_DISTILL_ERROR_FIELD, "“output” is the name of another file" },
  { PROMPTS ", \"output\": \".\"", FB_DISTILL_ERROR_FIELD, "“output” must be the name of a file" },
  { PROMPTS ", \"memory\": 1", FB_DISTILL_ERROR_HOPELESS, "memory" },
  { "\"pictures\": \".\"", FB_DISTILL_ERROR_DATA, "nothing to learn" },
};

static void
test_what_does_not_fit_the_teacher_is_refused (TrainerFixture *f, gconstpointer fields)
{
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr(FbDistillJob) job     = NULL;
      g_autoptr(FbTrainer)    trainer = NULL;
      g_autoptr(GError)       error   = NULL;

      trainer_write_job (f->folder, "bad.json", bad[i].fields);
      job     = trainer_job (f->folder, "bad.json");
      trainer = fb_trainer_new (job, f->teacher, f->dev, &error);
      if (trainer != NULL)
        g_assert_false (fb_trainer_prepare (trainer, NULL, NULL, NULL, &error));
      g_test_message ("%s", error->message);
      g_assert_error (error, FB_DISTILL_ERROR, bad[i].code);
      g_assert_nonnull (strstr (error->message, bad[i].words));
      g_assert_nonnull (strstr (error->message, "bad.json"));
    }
}

/* Some processors compute in bf16 and some do not: it is a job, or an error, but never the end of the process. */
static void
test_a_type_that_is_not_there_is_refused (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(GError)    error   = NULL;
  g_autoptr(FbTrainer) trainer = fb_trainer_new (f->job, f->teacher, f->dev, &error);

  g_assert_cmpint (trainer != NULL, ==, fb_device_supports (f->dev, FB_DTYPE_BF16));
  if (trainer == NULL)
    {
      g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD);
      g_assert_nonnull (strstr (error->message, "“dtype”"));
    }
}

int
main (int argc, char **argv)
{
  static const TrainerTest tests[] =
  {
    { "a-missing-file-of-weights-is-named", LPIPS, test_a_missing_file_of_weights_is_named },
    { "a-refused-one-leaves-no-checkpoint", PROMPTS, test_a_refused_job_leaves_no_checkpoint },
    { "a-place-for-the-lora-is-looked-for-first", PROMPTS ", \"output\": \"./job.json/lora.safetensors\"", test_a_place_for_the_lora_is_looked_for_first },
    { "a-full-disk-keeps-the-last-checkpoint", PROMPTS, test_a_full_disk_keeps_the_last_checkpoint },
    { "a-loss-that-is-no-number-stops-before-the-update", PROMPTS, test_a_loss_that_is_no_number_stops_before_the_update },
    { "a-device-that-fails-at-last-leaves-no-trace", PROMPTS, test_a_device_that_fails_at_last_leaves_no_trace },
    { "what-does-not-fit-the-teacher-is-refused", LPIPS, test_what_does_not_fit_the_teacher_is_refused },
    { "a-type-that-is-not-there-is-refused", PROMPTS ", \"dtype\": \"bf16\"", test_a_type_that_is_not_there_is_refused },
  };

  g_test_init (&argc, &argv, NULL);
  trainer_add_tests (tests, G_N_ELEMENTS (tests));
  return scratch_test_run ();
}
