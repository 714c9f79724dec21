/* tests/core/distill/trainer-fixture.c: a job of a few steps on the tiny model of golden/pipeline. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/distill/trainer-fixture.h"

#include <math.h>
#include <string.h>

#include "core/image/png.h"
#include "core/models/model.h"
#include "tests/core/distill/phases.h"
#include "tests/core/distill/ready.h"

char *
trainer_teacher (void)
{
  return g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
}

void
trainer_write_job (const char *folder, const char *name, const char *fields)
{
  g_autofree char *teacher = trainer_teacher ();
  g_autofree char *text    = g_strdup_printf ("{ \"preset\": \"small\", \"teacher\": \"%s\", \"width\": 64, \"height\": 64, \"steps\": 4, \"batch_size\": 2,"
                                              " \"samples_per_call\": 2, \"teacher_steps\": 4, \"mode_variance\": 0.01, \"lora_rank\": 4, \"lora_alpha\": 8,"
                                              " \"learning_rate\": 0.001, \"warm_up\": 0, \"dtype\": \"f32\", \"threads\": 1, \"sample_every\": 0,"
                                              " \"checkpoint_every\": 1, " PHASES (1) ", %s }", teacher, fields);

  scratch_write (folder, name, text, -1);
}

FbDistillJob *
trainer_job (const char *folder, const char *name)
{
  g_autofree char  *path  = g_build_filename (folder, name, NULL);
  g_autoptr(GError) error = NULL;
  FbDistillJob     *job   = fb_distill_job_load (path, &error);

  g_assert_no_error (error);
  return job;
}

static void
copy_weights (const char *folder)
{
  g_autofree char  *path  = g_test_build_filename (G_TEST_DIST, "golden", "lpips", "weights.safetensors", NULL);
  g_autofree char  *data  = NULL;
  g_autoptr(GError) error = NULL;
  gsize             n;

  g_file_get_contents (path, &data, &n, &error);
  g_assert_no_error (error);
  scratch_write (folder, "lpips.safetensors", data, (gssize) n);
}

static void
set_up (TrainerFixture *f, gconstpointer fields)
{
  f->folder  = scratch_new ();
  f->teacher = trainer_teacher ();
  f->dev     = fb_device_new ("cpu", 1, NULL);
  trainer_write_job (f->folder, "job.json", fields);
  if (strstr (fields, "lpips.safetensors") != NULL)
    copy_weights (f->folder);
  f->job = trainer_job (f->folder, "job.json");
}

static void
tear_down (TrainerFixture *f, gconstpointer fields)
{
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);                 /* nothing is left behind, however it ended */
  fb_device_unref (f->dev);
  fb_distill_job_free (f->job);
  g_free (f->teacher);
  scratch_free (f->folder);
}

FbTrainer *
trainer_of (TrainerFixture *f, const FbDistillJob *job)
{
  return trainer_ready (job, f->teacher, f->dev);
}

void
trainer_steps (FbTrainer *trainer, int n)
{
  for (int i = 0; i < n; i++)
    {
      FbDistillLosses   losses;
      g_autoptr(GError) error = NULL;

      g_assert_true (fb_trainer_step (trainer, &losses, NULL, &error));
      g_assert_no_error (error);
      g_assert_true (isfinite (losses.distillation) && losses.distillation > 0.0);
    }
}

char *
trainer_file (const char *folder, const char *name, gsize *n)
{
  g_autofree char  *path  = g_build_filename (folder, name, NULL);
  g_autoptr(GError) error = NULL;
  char             *text;

  g_file_get_contents (path, &text, n, &error);
  g_assert_no_error (error);
  return text;
}

void
trainer_same_file (const char *folder, const char *a, const char *b)
{
  gsize            n_a, n_b;
  g_autofree char *text_a = trainer_file (folder, a, &n_a);
  g_autofree char *text_b = trainer_file (folder, b, &n_b);

  g_assert_cmpmem (text_a, n_a, text_b, n_b);
}

void
trainer_picture (const char *folder, const char *name, int width, int height)
{
  g_autofree char    *path  = g_build_filename (folder, name, NULL);
  g_autofree char    *place = g_path_get_dirname (path);
  g_autoptr(FbImage)  image = fb_image_new (width, height, 3);

  for (int i = 0; i < width * height * 3; i++)
    image->pixels[i] = 0.5f + 0.5f * sinf (0.01f * (float) i);
  g_assert_cmpint (g_mkdir_with_parents (place, 0700), ==, 0);
  g_assert_true (fb_image_save_png (image, path, NULL));
}

void
trainer_run_straight (TrainerFixture *f, const char *name, int n)
{
  g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);
  g_autofree char     *from    = g_build_filename (f->folder, "job", "checkpoint.safetensors", NULL);
  g_autofree char     *to      = g_build_filename (f->folder, name, NULL);

  g_assert_cmpint (fb_trainer_step_number (trainer), ==, 0);
  trainer_steps (trainer, n);
  g_assert_true (fb_trainer_save (trainer, NULL));
  g_assert_cmpint (rename (from, to), ==, 0);
}

void
trainer_watch (const FbDistillProgress *p, gpointer user_data)
{
  TrainerWatcher *w = user_data;

  w->seen[p->stage]++;
  if (p->stage == FB_DISTILL_DONE)
    w->path = g_strdup (p->path);
  if (p->stage == FB_DISTILL_MEASURE)
    {
      w->seconds_left  = p->seconds_left;
      w->seconds_total = p->seconds_total;
      w->peak          = p->peak_bytes;
    }
  if ((p->stage == FB_DISTILL_TRAIN || p->stage == FB_DISTILL_MEASURE) && p->done == w->cancel_at)
    g_cancellable_cancel (w->cancellable);
}

void
trainer_check_lora (TrainerFixture *f, const char *path, int n_layers)
{
  g_autoptr(GError)   error  = NULL;
  g_autoptr(FbModel)  model  = fb_model_open (f->teacher, NULL, NULL, f->dev, FB_DTYPE_F32, &error);
  const FbLoraUse     use    = { (char *) path, 1.0 };
  const FbLoraReport *report;
  int                 n;

  g_assert_no_error (error);
  g_assert_true (fb_model_set_loras (model, &use, 1, NULL, &error));
  g_assert_no_error (error);
  report = fb_model_lora_reports (model, &n);
  g_assert_cmpint (report->n_matched, ==, n_layers);
  g_assert_cmpuint (g_strv_length (report->unmatched), ==, 0);
}

void
trainer_add_tests (const TrainerTest *tests, gsize n)
{
  for (gsize i = 0; i < n; i++)
    {
      g_autofree char *path = g_strconcat ("/core/distill/trainer/", tests[i].name, NULL);

      g_test_add (path, TrainerFixture, tests[i].fields, set_up, tests[i].func, tear_down);
    }
}
