/* tests/core/distill/test-trainer.c: what a job computes and leaves. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "core/distill/trainer-private.h"
#include "core/formats/safetensors.h"
#include "tests/core/distill/trainer-fixture.h"

static void
test_a_job_ends_in_a_lora_that_loads (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  TrainerWatcher          watcher     = { .cancellable = cancellable };
  g_autoptr(GError)       error       = NULL;
  gsize                   n;

  {
    g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);

    g_assert_true (fb_trainer_run (trainer, trainer_watch, &watcher, cancellable, &error));
    g_assert_no_error (error);
  }
  {
    g_autoptr(FbSafetensors) lora   = fb_safetensors_open (watcher.path, &error);
    g_autofree char         *log    = trainer_file (f->folder, "job/log.tsv", &n);
    g_autofree char         *digest = fb_distill_job_digest (f->job);
    g_auto(GStrv)            lines  = g_strsplit (log, "\n", -1);

    g_assert_no_error (error);
    g_assert_cmpstr (fb_safetensors_metadata (lora, "flashbrush_job"), ==, digest);
    g_assert_cmpstr (fb_safetensors_metadata (lora, "flashbrush_sampler"), ==, "flash");
    g_assert_cmpstr (fb_safetensors_metadata (lora, "flashbrush_trained_steps"), ==, "4");
    g_assert_cmpuint (strlen (fb_safetensors_metadata (lora, "flashbrush_teacher")), ==, 64);
    g_assert_cmpuint (g_strv_length (lines), ==, 6);                          /* header, four steps, the end */
    trainer_check_lora (f, watcher.path, (int) fb_safetensors_n_tensors (lora) / (g_str_equal (f->job->naming, "kohya") ? 3 : 2));
  }
  g_assert_cmpint (watcher.seen[FB_DISTILL_MEASURE], ==, 1);
  g_assert_cmpint (watcher.seen[FB_DISTILL_TRAIN], ==, 3);
  g_assert_cmpint (watcher.seen[FB_DISTILL_SAVE], ==, 4);
  g_assert_cmpint (watcher.seen[FB_DISTILL_SAMPLE], ==, f->job->sample_every > 0 ? 2 : 0);
  g_assert_cmpint (watcher.seen[FB_DISTILL_DONE], ==, 1);
  g_assert_cmpfloat (watcher.seconds_left, >, 0.0);
  g_assert_cmpfloat (watcher.seconds_total, >, watcher.seconds_left);
  g_assert_cmpuint (watcher.peak, >, 1 << 20);
  g_free (watcher.path);
}

/* names and shapes that diffusers and peft write for these layers; golden/distill/train.py and names.py */
static void
test_the_lora_has_diffusers_names (TrainerFixture *f, gconstpointer fields)
{
  const gboolean           all    = g_strv_contains ((const char * const *) f->job->lora_targets, "proj_in");
  g_autofree char         *golden = g_test_build_filename (G_TEST_DIST, "golden", "distill", all ? "names-all.txt" : "names.txt", NULL);
  g_autofree char         *text   = NULL;
  g_auto(GStrv)            lines  = NULL;
  g_autofree char         *output = fb_distill_job_output (f->job);
  g_autoptr(FbSafetensors) file   = NULL;

  {
    g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);

    g_assert_true (fb_trainer_export (trainer, NULL));
  }
  g_assert_true (g_file_get_contents (golden, &text, NULL, NULL));
  lines = g_strsplit (g_strchomp (text), "\n", -1);
  file  = fb_safetensors_open (output, NULL);
  g_assert_cmpuint (fb_safetensors_n_tensors (file), ==, g_strv_length (lines));
  for (int i = 0; lines[i] != NULL; i++)
    {
      g_auto(GStrv)       part  = g_strsplit (lines[i], " ", 2);
      const FbTensorInfo *info  = fb_safetensors_lookup (file, part[0]);
      g_autoptr(GString)  shape = g_string_new (NULL);

      g_assert_nonnull (info);
      for (int d = 0; d < info->n_dims; d++)
        g_string_append_printf (shape, d > 0 ? "x%" G_GINT64_FORMAT : "%" G_GINT64_FORMAT, info->shape[d]);
      g_assert_cmpstr (shape->str, ==, part[1]);
    }
}

/* The student that a program gets from the file is the one that was trained. */
static void
test_the_lora_is_the_student (TrainerFixture *f, gconstpointer fields)
{
  enum { N = 8 * 8 * 4 };
  g_autofree char     *output  = fb_distill_job_output (f->job);
  g_autofree float    *context = g_new (float, 77 * 32);
  float                latents[N], ours[N], loaded[N], teacher[N];
  const float          timestep = 749.0f;
  const FbNetworkCall  call     = { 1, 8, 8, latents, &timestep, context };
  const FbDenoise      request  = { .latents = latents, .n = 1, .height = 8, .width = 8, .timestep = timestep, .context = context, .n_tokens = 77 };
  const FbLoraUse      use      = { output, 1.0 };
  double               error = 0.0, change = 0.0;

  for (int i = 0; i < N; i++)
    latents[i] = sinf (0.7f * (float) i);
  {
    g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);

    g_assert_cmpint (trainer->info->context_width, ==, 32);
    trainer_steps (trainer, 4);
    g_assert_true (fb_trainer_read_caption (trainer, "a cat", context, NULL));
    g_assert_true (fb_networks_student (trainer->networks, &call, ours, NULL, NULL));
    g_assert_true (fb_trainer_export (trainer, NULL));
  }
  {
    g_autoptr(FbModel) model = fb_model_open (f->teacher, NULL, NULL, f->dev, FB_DTYPE_F32, NULL);

    g_assert_true (fb_model_denoise (model, &request, teacher, NULL, NULL));
    g_assert_true (fb_model_set_loras (model, &use, 1, NULL, NULL));
    g_assert_true (fb_model_denoise (model, &request, loaded, NULL, NULL));
  }
  for (int i = 0; i < N; i++)
    {
      error  += (ours[i] - loaded[i]) * (ours[i] - loaded[i]);
      change += (ours[i] - teacher[i]) * (ours[i] - teacher[i]);
    }
  g_assert_cmpfloat (change, >, 0.0);
  g_assert_cmpfloat (sqrt (error / change), <, 0.01);
}

/* What is frozen may be kept in the file's 16 bits: the same gradients, the same LoRA. */
static void
test_weights_kept_in_16_bits_change_no_bit (TrainerFixture *f, gconstpointer fields)
{
  static const char * const ways[] = { "full", "half" };
  FbDistillNeeds            needs[2];

  for (int i = 0; i < 2; i++)
    {
      g_setenv ("FLASHBRUSH_WEIGHTS", ways[i], TRUE);
      g_assert_true (fb_trainer_foresee (f->job, f->teacher, f->dev, &needs[i], NULL));
      {
        g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);

        g_assert_cmpint (fb_model_is_half (trainer->model), ==, i);
        trainer->step = 3;                               /* the phase with all losses */
        trainer_steps (trainer, 1);
        g_assert_true (fb_trainer_save (trainer, NULL));
      }
      {
        g_autofree char *from = g_build_filename (f->folder, "job", "checkpoint.safetensors", NULL);
        g_autofree char *to   = g_build_filename (f->folder, ways[i], NULL);

        g_assert_cmpint (rename (from, to), ==, 0);
      }
    }
  g_unsetenv ("FLASHBRUSH_WEIGHTS");
  trainer_same_file (f->folder, "full", "half");
  g_assert_cmpuint (needs[1].least_bytes, <, needs[0].least_bytes);
}

/* Timestep 999 begins with noise alone, as when pictures are made: nothing of the data shows. Others begin with some of it. */
static void
test_the_first_timestep_shows_no_data (TrainerFixture *f, gconstpointer fields)
{
  FbDistillLosses losses[2][2];

  for (int mode = 0; mode < 2; mode++)
    for (int i = 0; i < 2; i++)
      {
        g_autoptr(FbTrainer) trainer = NULL;
        float                latents[8 * 8 * 4];

        for (int k = 0; k < FB_N_MODES; k++)
          f->job->phases[0].modes[k] = k == mode ? 1.0 : 0.0;
        trainer = trainer_of (f, f->job);
        for (gsize k = 0; k < G_N_ELEMENTS (latents); k++)
          latents[k] = (float) (i + 1) * sinf ((float) k);
        for (guint k = 0; k < trainer->latent_keys->len; k++)
          g_assert_true (fb_cache_put (trainer->cache, trainer->latent_keys->pdata[k], latents, G_N_ELEMENTS (latents), NULL));
        g_assert_true (fb_trainer_step (trainer, &losses[mode][i], NULL, NULL));
      }
  g_assert_cmpfloat (losses[0][0].distillation, ==, losses[0][1].distillation);
  g_assert_cmpfloat (losses[1][0].distillation, !=, losses[1][1].distillation);
}

static void
test_a_distance_by_lpips_is_between_pictures (TrainerFixture *f, gconstpointer fields)
{
  FbDistillLosses losses[2];

  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);

      g_assert_true ((trainer->perceptual != NULL) == (i == 0));
      g_assert_true (fb_trainer_step (trainer, &losses[i], NULL, NULL));
      g_assert_cmpfloat (trainer->perceptual_seconds > 0.0, ==, i == 0);
      g_free (f->job->distance);
      f->job->distance = g_strdup ("l2");
    }
  g_assert_cmpfloat (losses[0].distillation, >, 0.0);
  g_assert_cmpfloat (losses[0].gradient, >, 0.0);
  g_assert_cmpfloat (losses[0].distillation, !=, losses[1].distillation);
}

/* the whole batch at once, or sample by sample */
static void
test_a_step_does_not_depend_on_how_it_is_divided (TrainerFixture *f, gconstpointer fields)
{
  FbDistillLosses losses[2];

  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer) trainer = NULL;

      f->job->samples_per_call = 1 + 2 * i;
      trainer = trainer_of (f, f->job);
      trainer->step = 3;                                 /* the phase with all losses */
      g_assert_true (fb_trainer_step (trainer, &losses[i], NULL, NULL));
    }
  g_assert_cmpfloat (losses[0].matching, >, 0.0);
  g_assert_cmpfloat (losses[0].adversarial, >, 0.0);
  g_assert_cmpfloat_with_epsilon (losses[0].distillation, losses[1].distillation, 1e-5 * losses[0].distillation);
  g_assert_cmpfloat_with_epsilon (losses[0].matching, losses[1].matching, 1e-4 * losses[0].matching);
  g_assert_cmpfloat_with_epsilon (losses[0].adversarial, losses[1].adversarial, 1e-5);
  g_assert_cmpfloat_with_epsilon (losses[0].gradient, losses[1].gradient, 1e-3 * losses[0].gradient);
}

static void
test_what_a_job_needs_is_known_before_it (TrainerFixture *f, gconstpointer fields)
{
  g_autofree char   *folder = g_build_filename (f->folder, "job", NULL);
  g_autoptr(GError)  error  = NULL;
  FbDistillNeeds     small = { 0 }, large = { 0 };

  g_assert_true (fb_trainer_foresee (f->job, f->teacher, f->dev, &small, &error));
  g_assert_no_error (error);
  g_assert_cmpint (small.width, ==, 64);
  g_assert_cmpuint (small.least_bytes, >, 0);
  f->job->samples_per_call = 16;
  g_assert_true (fb_trainer_foresee (f->job, f->teacher, f->dev, &large, &error));
  g_assert_cmpuint (large.least_bytes, >, small.least_bytes);
  f->job->memory = 1;
  g_assert_false (fb_trainer_foresee (f->job, f->teacher, f->dev, &large, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_HOPELESS);
  g_assert_false (g_file_test (folder, G_FILE_TEST_EXISTS));              /* it leaves no trace */
}

static void
test_a_sheet_shows_teacher_and_student (TrainerFixture *f, gconstpointer fields)
{
  static const int     columns[] = { 1, 2, 4, 8 };
  g_autoptr(FbTrainer) trainer   = trainer_of (f, f->job);
  g_autoptr(FbImage)   sheet     = fb_trainer_sheet (trainer, 2, columns, 4, NULL, NULL);

  g_assert_cmpint (sheet->width, ==, 5 * 64);
  g_assert_cmpint (sheet->height, ==, 2 * 64);
  trainer_steps (trainer, 1);                                    /* training goes on after it */
}

static double
greatest_difference (const float *a, const float *b, size_t n)
{
  double greatest = 0.0;

  for (size_t i = 0; i < n; i++)
    greatest = MAX (greatest, fabs ((double) a[i] - b[i]));
  return greatest;
}

static void
test_a_picture_is_the_same_alone_and_among_others (TrainerFixture *f, gconstpointer fields)
{
  const FbDrawing       drawing   = { FALSE, "flash", 2, 2.0, 7 };
  const size_t          n         = 64 * 64 * 3;
  g_autoptr(FbTrainer)  trainer   = trainer_of (f, f->job);
  const char           *caption   = ((FbExample *) trainer->data->examples->pdata[0])->captions[0];
  const char * const    same[]    = { caption, caption, caption };
  g_autofree float     *together  = g_new (float, 3 * n);
  g_autofree float     *alone     = g_new (float, n);
  g_autoptr(GError)     error     = NULL;

  fb_trainer_draw_begin (trainer);
  fb_trainer_draw (trainer, &drawing, 0, 3, same, together, NULL, &error);
  g_assert_no_error (error);
  fb_trainer_draw (trainer, &drawing, 2, 1, same, alone, NULL, &error);
  g_assert_no_error (error);
  fb_trainer_draw_end (trainer);

  g_assert_cmpfloat (greatest_difference (alone, together + 2 * n, n), <, 1e-3);
  g_assert_cmpfloat (greatest_difference (together, together + 2 * n, n), >, 0.01);      /* each has noise of its own */
}

int
main (int argc, char **argv)
{
  static const TrainerTest tests[] =
  {
    { "ends-in-a-lora-that-loads", PROMPTS, test_a_job_ends_in_a_lora_that_loads },
    { "ends-in-kohyas-names-on-request", PROMPTS ", \"naming\": \"kohya\", \"sample_every\": 2", test_a_job_ends_in_a_lora_that_loads },
    { "the-lora-has-diffusers-names", PROMPTS ", \"lora_targets\": [ \"to_q\", \"to_k\", \"to_v\", \"to_out.0\" ]", test_the_lora_has_diffusers_names },
    { "the-lora-has-diffusers-names-on-every-layer", PROMPTS, test_the_lora_has_diffusers_names },
    { "the-lora-is-the-student", PROMPTS ", \"average\": 0", test_the_lora_is_the_student },
    { "one-with-weights-kept-in-16-bits-is-the-same-to-the-bit", PROMPTS, test_weights_kept_in_16_bits_change_no_bit },
    { "one-with-lpips-kept-in-16-bits-is-too", LPIPS, test_weights_kept_in_16_bits_change_no_bit },
    { "one-with-lpips-ends-in-a-lora-that-loads", LPIPS, test_a_job_ends_in_a_lora_that_loads },
    { "a-distance-by-lpips-is-between-pictures", LPIPS, test_a_distance_by_lpips_is_between_pictures },
    { "the-first-timestep-shows-no-data", PROMPTS, test_the_first_timestep_shows_no_data },
    { "a-step-does-not-depend-on-how-it-is-divided", PROMPTS ", \"batch_size\": 3", test_a_step_does_not_depend_on_how_it_is_divided },
    { "a-step-with-lpips-does-not-either", LPIPS ", \"batch_size\": 3", test_a_step_does_not_depend_on_how_it_is_divided },
    { "what-a-job-needs-is-known-before-it", PROMPTS, test_what_a_job_needs_is_known_before_it },
    { "what-a-job-with-lpips-needs-is-known-before-it", LPIPS, test_what_a_job_needs_is_known_before_it },
    { "a-sheet-shows-teacher-and-student", PROMPTS, test_a_sheet_shows_teacher_and_student },
    { "a-picture-is-the-same-alone-and-among-others", PROMPTS, test_a_picture_is_the_same_alone_and_among_others },
  };

  g_test_init (&argc, &argv, NULL);
  trainer_add_tests (tests, G_N_ELEMENTS (tests));
  return scratch_test_run ();
}
