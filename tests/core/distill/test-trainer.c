/* tests/core/distill/test-trainer.c: jobs from file to LoRA, interrupted in every way. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The teacher is the tiny model of golden/pipeline. The program also runs a job itself: `test-distill-trainer --run JOB.json` is what gets killed.
 */
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "core/distill/trainer-private.h"
#include "core/formats/lora.h"
#include "core/formats/safetensors.h"
#include "core/image/png.h"
#include "tests/core/distill/phases.h"
#include "tests/core/distill/ready.h"
#include "tests/core/scratch.h"

#define PROMPTS "\"prompts\": [ \"a cat\", \"a dog\", \"a tree\" ]"
#define LPIPS   PROMPTS ", \"distance\": \"lpips\", \"lpips_weights\": \"lpips.safetensors\""

static const char *program;

typedef struct
{
  char         *folder;
  char         *teacher;
  FbDistillJob *job;
  FbDevice     *dev;
} Fixture;

static char *
teacher_folder (void)
{
  return g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
}

/* a job of a few steps on the tiny model, with @fields besides */
static void
write_job (const char *folder, const char *name, const char *fields)
{
  g_autofree char *teacher = teacher_folder ();
  g_autofree char *text    = g_strdup_printf ("{ \"preset\": \"small\", \"teacher\": \"%s\", \"width\": 64, \"height\": 64, \"steps\": 4, \"batch_size\": 2,"
                                              " \"samples_per_call\": 2, \"teacher_steps\": 4, \"mode_variance\": 0.01, \"lora_rank\": 4, \"lora_alpha\": 8,"
                                              " \"learning_rate\": 0.001, \"warm_up\": 0, \"dtype\": \"f32\", \"threads\": 1, \"sample_every\": 0,"
                                              " \"checkpoint_every\": 1, " PHASES (1) ", %s }", teacher, fields);

  scratch_write (folder, name, text, -1);
}

static FbDistillJob *
load_job (const char *folder, const char *name)
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
set_up (Fixture *f, gconstpointer fields)
{
  f->folder  = scratch_new ();
  f->teacher = teacher_folder ();
  f->dev     = fb_device_new ("cpu", 1, NULL);
  write_job (f->folder, "job.json", fields);
  if (strstr (fields, "lpips.safetensors") != NULL)
    copy_weights (f->folder);
  f->job = load_job (f->folder, "job.json");
}

static void
tear_down (Fixture *f, gconstpointer fields)
{
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);                 /* nothing is left behind, however it ended */
  fb_device_unref (f->dev);
  fb_distill_job_free (f->job);
  g_free (f->teacher);
  scratch_free (f->folder);
}

static FbTrainer *
ready (Fixture *f, const FbDistillJob *job)
{
  return trainer_ready (job, f->teacher, f->dev);
}

static void
steps (FbTrainer *trainer, int n)
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

static char *
contents (const char *folder, const char *name, gsize *n)
{
  g_autofree char  *path  = g_build_filename (folder, name, NULL);
  g_autoptr(GError) error = NULL;
  char             *text;

  g_file_get_contents (path, &text, n, &error);
  g_assert_no_error (error);
  return text;
}

/* two files of the job's folder hold the same bytes */
static void
same_file (const char *folder, const char *a, const char *b)
{
  gsize            n_a, n_b;
  g_autofree char *text_a = contents (folder, a, &n_a);
  g_autofree char *text_b = contents (folder, b, &n_b);

  g_assert_cmpmem (text_a, n_a, text_b, n_b);
}

static void
write_picture (const char *folder, const char *name, int width, int height)
{
  g_autofree char    *path  = g_build_filename (folder, name, NULL);
  g_autofree char    *place = g_path_get_dirname (path);
  g_autoptr(FbImage)  image = fb_image_new (width, height, 3);

  for (int i = 0; i < width * height * 3; i++)
    image->pixels[i] = 0.5f + 0.5f * sinf (0.01f * (float) i);
  g_assert_cmpint (g_mkdir_with_parents (place, 0700), ==, 0);
  g_assert_true (fb_image_save_png (image, path, NULL));
}

/* the checkpoint of the job run in one go, as @name in the fixture's folder */
static void
run_straight (Fixture *f, const char *name, int n)
{
  g_autoptr(FbTrainer) trainer = ready (f, f->job);
  g_autofree char     *from    = g_build_filename (f->folder, "job", "checkpoint.safetensors", NULL);
  g_autofree char     *to      = g_build_filename (f->folder, name, NULL);

  g_assert_cmpint (fb_trainer_step_number (trainer), ==, 0);
  steps (trainer, n);
  g_assert_true (fb_trainer_save (trainer, NULL));
  g_assert_cmpint (rename (from, to), ==, 0);
}

typedef struct
{
  int           seen[FB_DISTILL_DONE + 1];
  int           cancel_at;             /* step after which to cancel; 0 = never */
  GCancellable *cancellable;
  char         *path;
  double        seconds_left, seconds_total;
  guint64       peak;
} Watcher;

static void
watch (const FbDistillProgress *p, gpointer user_data)
{
  Watcher *w = user_data;

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

static void
check_lora (Fixture *f, const char *path, int n_layers)
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

static void
test_a_job_ends_in_a_lora_that_loads (Fixture *f, gconstpointer fields)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  Watcher                 watcher     = { .cancellable = cancellable };
  g_autoptr(GError)       error       = NULL;
  gsize                   n;

  {
    g_autoptr(FbTrainer) trainer = ready (f, f->job);

    g_assert_true (fb_trainer_run (trainer, watch, &watcher, cancellable, &error));
    g_assert_no_error (error);
  }
  {
    g_autoptr(FbSafetensors) lora   = fb_safetensors_open (watcher.path, &error);
    g_autofree char         *log    = contents (f->folder, "job/log.tsv", &n);
    g_autofree char         *digest = fb_distill_job_digest (f->job);
    g_auto(GStrv)            lines  = g_strsplit (log, "\n", -1);

    g_assert_no_error (error);
    g_assert_cmpstr (fb_safetensors_metadata (lora, "flashbrush_job"), ==, digest);
    g_assert_cmpstr (fb_safetensors_metadata (lora, "flashbrush_sampler"), ==, "flash");
    g_assert_cmpstr (fb_safetensors_metadata (lora, "flashbrush_trained_steps"), ==, "4");
    g_assert_cmpuint (strlen (fb_safetensors_metadata (lora, "flashbrush_teacher")), ==, 64);
    g_assert_cmpuint (g_strv_length (lines), ==, 6);                          /* header, four steps, the end */
    check_lora (f, watcher.path, (int) fb_safetensors_n_tensors (lora) / (g_str_equal (f->job->naming, "kohya") ? 3 : 2));
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
test_the_lora_has_diffusers_names (Fixture *f, gconstpointer fields)
{
  const gboolean           all    = g_strv_contains ((const char * const *) f->job->lora_targets, "proj_in");
  g_autofree char         *golden = g_test_build_filename (G_TEST_DIST, "golden", "distill", all ? "names-all.txt" : "names.txt", NULL);
  g_autofree char         *text   = NULL;
  g_auto(GStrv)            lines  = NULL;
  g_autofree char         *output = fb_distill_job_output (f->job);
  g_autoptr(FbSafetensors) file   = NULL;

  {
    g_autoptr(FbTrainer) trainer = ready (f, f->job);

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
test_the_lora_is_the_student (Fixture *f, gconstpointer fields)
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
    g_autoptr(FbTrainer) trainer = ready (f, f->job);

    g_assert_cmpint (trainer->info->context_width, ==, 32);
    steps (trainer, 4);
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

static void
test_a_resumed_job_is_the_same_to_the_bit (Fixture *f, gconstpointer fields)
{
  run_straight (f, "straight", 4);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer) trainer = ready (f, f->job);

      g_assert_cmpint (fb_trainer_step_number (trainer), ==, 2 * i);
      steps (trainer, 2);
      g_assert_true (fb_trainer_save (trainer, NULL));
    }
  same_file (f->folder, "straight", "job/checkpoint.safetensors");
}

/* What is frozen may be kept in the file's 16 bits: the same gradients, the same LoRA. */
static void
test_weights_kept_in_16_bits_change_no_bit (Fixture *f, gconstpointer fields)
{
  static const char * const ways[] = { "full", "half" };
  FbDistillNeeds            needs[2];

  for (int i = 0; i < 2; i++)
    {
      g_setenv ("FLASHBRUSH_WEIGHTS", ways[i], TRUE);
      g_assert_true (fb_trainer_foresee (f->job, f->teacher, f->dev, &needs[i], NULL));
      {
        g_autoptr(FbTrainer) trainer = ready (f, f->job);

        g_assert_cmpint (fb_model_is_half (trainer->model), ==, i);
        trainer->step = 3;                               /* the phase with all losses */
        steps (trainer, 1);
        g_assert_true (fb_trainer_save (trainer, NULL));
      }
      {
        g_autofree char *from = g_build_filename (f->folder, "job", "checkpoint.safetensors", NULL);
        g_autofree char *to   = g_build_filename (f->folder, ways[i], NULL);

        g_assert_cmpint (rename (from, to), ==, 0);
      }
    }
  g_unsetenv ("FLASHBRUSH_WEIGHTS");
  same_file (f->folder, "full", "half");
  g_assert_cmpuint (needs[1].least_bytes, <, needs[0].least_bytes);
}

static void
cancel (gpointer data)
{
  static int calls = 0;

  if (++calls == 3)                                      /* in the middle of the teacher's way */
    g_cancellable_cancel (data);
}

static void
test_a_cancelled_step_leaves_no_trace (Fixture *f, gconstpointer fields)
{
  run_straight (f, "straight", 3);
  {
    g_autoptr(FbTrainer)    trainer     = ready (f, f->job);
    g_autoptr(GCancellable) cancellable = g_cancellable_new ();
    g_autoptr(GError)       error       = NULL;
    FbDistillLosses         losses;

    steps (trainer, 1);
    fb_trainer_set_between (trainer, cancel, cancellable);
    g_assert_false (fb_trainer_step (trainer, &losses, cancellable, &error));
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_assert_cmpint (fb_trainer_step_number (trainer), ==, 1);
    fb_trainer_set_between (trainer, NULL, NULL);
    steps (trainer, 2);
    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  same_file (f->folder, "straight", "job/checkpoint.safetensors");
}

static void
test_a_paused_run_goes_on_and_keeps_its_log (Fixture *f, gconstpointer fields)
{
  g_autofree char *log = NULL;

  run_straight (f, "straight", 4);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer)    trainer     = ready (f, f->job);
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      g_autoptr(GError)       error       = NULL;
      Watcher                 watcher     = { .cancellable = cancellable, .cancel_at = i == 0 ? 2 : 0 };

      if (i == 0)
        {
          g_assert_false (fb_trainer_run (trainer, watch, &watcher, cancellable, &error));
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        }
      else
        g_assert_true (fb_trainer_run (trainer, watch, &watcher, cancellable, &error));
      g_free (watcher.path);
    }
  same_file (f->folder, "straight", "job/checkpoint.safetensors");
  log = contents (f->folder, "job/log.tsv", NULL);
  g_assert_nonnull (strstr (log, "\n4\t"));
  g_assert_null (strstr (strstr (log, "\n2\t") + 1, "\n2\t"));
}

static GSubprocess *
start (Fixture *f)
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
test_a_killed_job_goes_on_from_its_checkpoint (Fixture *f, gconstpointer fields)
{
  g_autofree char        *checkpoint = g_build_filename (f->folder, "job", "checkpoint.safetensors", NULL);
  g_autoptr(GSubprocess)  child      = NULL;

  run_straight (f, "straight", f->job->steps);
  child = start (f);
  wait_for_file (checkpoint);
  g_usleep (30000);
  g_subprocess_send_signal (child, SIGKILL);
  g_subprocess_wait (child, NULL, NULL);
  g_assert_true (g_subprocess_get_if_signaled (child));
  {
    g_autoptr(FbTrainer) trainer = ready (f, f->job);
    const int            done    = fb_trainer_step_number (trainer);

    g_assert_cmpint (done, >=, 1);
    g_assert_cmpint (done, <, f->job->steps);
    steps (trainer, f->job->steps - done);
    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  same_file (f->folder, "straight", "job/checkpoint.safetensors");
}

static void
test_a_job_runs_once (Fixture *f, gconstpointer fields)
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
test_another_jobs_checkpoint_is_refused (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbDistillJob) other = NULL;
  g_autoptr(FbTrainer)    second = NULL;
  g_autoptr(GError)       error = NULL;

  {
    g_autoptr(FbTrainer) trainer = ready (f, f->job);

    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  write_job (f->folder, "job.json", PROMPTS ", \"seed\": 7");
  other  = load_job (f->folder, "job.json");
  second = fb_trainer_new (other, f->teacher, f->dev, NULL);
  g_assert_false (fb_trainer_prepare (second, NULL, NULL, NULL, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_CHECKPOINT);
  g_assert_nonnull (strstr (error->message, "job.json"));
  g_assert_nonnull (strstr (error->message, "“seed”"));
}

/* as the message about a loss that is no number advises */
static void
test_another_learning_rate_goes_on (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbDistillJob) other   = NULL;
  g_autoptr(FbTrainer)    trainer = NULL;

  {
    g_autoptr(FbTrainer) first = ready (f, f->job);

    steps (first, 1);
    g_assert_true (fb_trainer_save (first, NULL));
  }
  write_job (f->folder, "job.json", PROMPTS ", \"clip\": 0.5, \"samples_per_call\": 1");
  other = load_job (f->folder, "job.json");
  g_test_expect_message (NULL, G_LOG_LEVEL_MESSAGE, "*“samples_per_call”, “clip”*");
  trainer = ready (f, other);
  g_test_assert_expected_messages ();
  g_assert_cmpint (fb_trainer_step_number (trainer), ==, 1);
  steps (trainer, 1);
}

static void
test_moved_pictures_are_the_same (Fixture *f, gconstpointer fields)
{
  g_autofree char        *from    = g_build_filename (f->folder, "pics", NULL);
  g_autofree char        *to      = g_build_filename (f->folder, "elsewhere", NULL);
  g_autoptr(FbDistillJob) other   = NULL;
  g_autoptr(FbTrainer)    trainer = NULL;

  write_picture (f->folder, "pics/a.png", 64, 64);
  write_picture (f->folder, "pics/b.png", 70, 64);
  {
    g_autoptr(FbTrainer) first = ready (f, f->job);

    steps (first, 1);
    g_assert_true (fb_trainer_save (first, NULL));
  }
  g_assert_cmpint (rename (from, to), ==, 0);
  write_job (f->folder, "job.json", "\"pictures\": \"elsewhere\"");
  other   = load_job (f->folder, "job.json");
  trainer = ready (f, other);                            /* without a warning */
  g_assert_cmpint (fb_trainer_step_number (trainer), ==, 1);
}

static void
test_a_refused_job_leaves_no_checkpoint (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = ready (f, f->job);
  g_autofree char     *folder  = g_build_filename (f->folder, "job", NULL);
  g_autoptr(GError)    error   = NULL;

  f->job->checkpoint_every = 100;
  f->job->memory           = 1;                          /* MB; less than the first step takes */
  g_assert_false (fb_trainer_run (trainer, NULL, NULL, NULL, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_HOPELESS);
  g_assert_cmpint (fb_distill_checkpoint_step (folder), ==, -1);
}

static void
count (gpointer data)
{
  ++*(int *) data;
}

/* somebody's picture does not wait until a thousand others are encoded */
static void
test_others_may_work_while_it_prepares (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;
  int                  n       = 0;

  write_picture (f->folder, "pics/a.png", 64, 64);
  write_picture (f->folder, "pics/b.png", 70, 64);
  trainer = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  fb_trainer_set_between (trainer, count, &n);
  g_assert_true (fb_trainer_prepare (trainer, NULL, NULL, NULL, NULL));
  g_assert_cmpint (n, >=, 4);                            /* two captions, two pictures */
}

/* Timestep 999 begins with noise alone, as when pictures are made: nothing of the data shows. Others begin with some of it. */
static void
test_the_first_timestep_shows_no_data (Fixture *f, gconstpointer fields)
{
  FbDistillLosses losses[2][2];

  for (int mode = 0; mode < 2; mode++)
    for (int i = 0; i < 2; i++)
      {
        g_autoptr(FbTrainer) trainer = NULL;
        float                latents[8 * 8 * 4];

        for (int k = 0; k < FB_N_MODES; k++)
          f->job->phases[0].modes[k] = k == mode ? 1.0 : 0.0;
        trainer = ready (f, f->job);
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
test_damaged_latents_are_made_anew (Fixture *f, gconstpointer fields)
{
  write_picture (f->folder, "pics/a.png", 64, 64);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer)  trainer = ready (f, f->job);
      g_autofree char      *key     = g_strdup (trainer->latent_keys->pdata[0]);
      g_autofree char      *name    = g_strdup_printf ("%.2s/%s.safetensors", key, key);
      g_autofree char      *cache   = g_build_filename (g_get_user_cache_dir (), "flashbrush", "distill", NULL);

      steps (trainer, 1);
      scratch_write (cache, name, "half a file", -1);
    }
}

static void
test_other_lpips_weights_do_not_go_on (Fixture *f, gconstpointer fields)
{
  g_autoptr(GError)    error  = NULL;
  g_autoptr(FbTrainer) second = NULL;
  g_autofree char     *data   = NULL;
  gsize                n;

  {
    g_autoptr(FbTrainer) trainer = ready (f, f->job);

    steps (trainer, 1);
    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  data = contents (f->folder, "lpips.safetensors", &n);
  data[n - 1] ^= 1;                                      /* another number */
  scratch_write (f->folder, "lpips.safetensors", data, (gssize) n);
  second = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  g_assert_false (fb_trainer_prepare (second, NULL, NULL, NULL, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_CHECKPOINT);
  g_assert_nonnull (strstr (error->message, "LPIPS"));
}

static void
test_a_distance_by_lpips_is_between_pictures (Fixture *f, gconstpointer fields)
{
  FbDistillLosses losses[2];

  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer) trainer = ready (f, f->job);

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

static void
test_a_missing_file_of_weights_is_named (Fixture *f, gconstpointer fields)
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
test_a_place_for_the_lora_is_looked_for_first (Fixture *f, gconstpointer fields)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (fb_trainer_new (f->job, f->teacher, f->dev, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "job.json/lora.safetensors"));
}

static void
test_a_damaged_checkpoint_is_named (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;
  g_autoptr(GError)    error   = NULL;

  scratch_write (f->folder, "job/checkpoint.safetensors", "half", -1);
  trainer = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  g_assert_false (fb_trainer_prepare (trainer, NULL, NULL, NULL, &error));
  g_assert_nonnull (strstr (error->message, "checkpoint.safetensors"));
}

static void
test_a_full_disk_keeps_the_last_checkpoint (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = ready (f, f->job);
  g_autoptr(GError)    error   = NULL;
  g_autofree char     *before  = NULL;
  g_autofree char     *after   = NULL;
  gsize                n_before, n_after;
  struct rlimit        limit, small;

  steps (trainer, 1);
  g_assert_true (fb_trainer_save (trainer, NULL));
  before = contents (f->folder, "job/checkpoint.safetensors", &n_before);
  steps (trainer, 1);

  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  small = limit;
  small.rlim_cur = 4096;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &small), ==, 0);
  g_assert_false (fb_trainer_save (trainer, &error));
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);

  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "checkpoint.safetensors"));
  after = contents (f->folder, "job/checkpoint.safetensors", &n_after);
  g_assert_cmpmem (before, n_before, after, n_after);
  g_assert_true (fb_trainer_save (trainer, NULL));
}

static void
test_a_loss_that_is_no_number_stops_before_the_update (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer)  trainer = ready (f, f->job);
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
  steps (trainer, 1);                                    /* nothing of the failed step is left in the gradients */
}

static void
test_pictures_of_many_shapes_train_together (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;

  write_picture (f->folder, "pics/a.png", 100, 100);
  write_picture (f->folder, "pics/b.png", 120, 70);
  write_picture (f->folder, "pics/c.png", 60, 110);
  scratch_write (f->folder, "pics/b.txt", "a cat\na dog\n", -1);
  scratch_write (f->folder, "pics/broken.png", "\x89PNG", -1);
  g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*broken.png*");
  trainer = ready (f, f->job);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (trainer->data->examples->len, ==, 3);
  g_assert_cmpuint (trainer->latent_keys->len, ==, 3);
  steps (trainer, 3);
}

static void
test_a_broken_picture_is_left_out (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;

  write_picture (f->folder, "pics/a.png", 100, 100);
  scratch_write (f->folder, "pics/broken.png", "\x89PNG", -1);
  g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*broken.png*");
  trainer = ready (f, f->job);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (trainer->data->examples->len, ==, 1);
}

static void
test_only_broken_pictures_are_an_error (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;
  g_autoptr(GError)    error   = NULL;

  scratch_write (f->folder, "pics/broken.png", "\x89PNG", -1);
  g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*broken.png*");
  trainer = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  g_assert_false (fb_trainer_prepare (trainer, NULL, NULL, NULL, &error));
  g_test_assert_expected_messages ();
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA);
}

/* the whole batch at once, or sample by sample */
static void
test_a_step_does_not_depend_on_how_it_is_divided (Fixture *f, gconstpointer fields)
{
  FbDistillLosses losses[2];

  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer) trainer = NULL;

      f->job->samples_per_call = 1 + 2 * i;
      trainer = ready (f, f->job);
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
test_what_does_not_fit_the_teacher_is_refused (Fixture *f, gconstpointer fields)
{
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr(FbDistillJob) job     = NULL;
      g_autoptr(FbTrainer)    trainer = NULL;
      g_autoptr(GError)       error   = NULL;

      write_job (f->folder, "bad.json", bad[i].fields);
      job     = load_job (f->folder, "bad.json");
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
test_a_type_that_is_not_there_is_refused (Fixture *f, gconstpointer fields)
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

static void
test_what_a_job_needs_is_known_before_it (Fixture *f, gconstpointer fields)
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
test_a_sheet_shows_teacher_and_student (Fixture *f, gconstpointer fields)
{
  static const int     columns[] = { 1, 2, 4, 8 };
  g_autoptr(FbTrainer) trainer   = ready (f, f->job);
  g_autoptr(FbImage)   sheet     = fb_trainer_sheet (trainer, 2, columns, 4, NULL, NULL);

  g_assert_cmpint (sheet->width, ==, 5 * 64);
  g_assert_cmpint (sheet->height, ==, 2 * 64);
  steps (trainer, 1);                                    /* training goes on after it */
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
test_a_picture_is_the_same_alone_and_among_others (Fixture *f, gconstpointer fields)
{
  const FbDrawing       drawing   = { FALSE, "flash", 2, 2.0, 7 };
  const size_t          n         = 64 * 64 * 3;
  g_autoptr(FbTrainer)  trainer   = ready (f, f->job);
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

static int
run_job (const char *path)
{
  g_autofree char         *teacher = teacher_folder ();
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
  static const struct { const char *name; const char *fields; void (* func) (Fixture *f, gconstpointer fields); } tests[] =
  {
    { "ends-in-a-lora-that-loads", PROMPTS, test_a_job_ends_in_a_lora_that_loads },
    { "ends-in-kohyas-names-on-request", PROMPTS ", \"naming\": \"kohya\", \"sample_every\": 2", test_a_job_ends_in_a_lora_that_loads },
    { "the-lora-has-diffusers-names", PROMPTS ", \"lora_targets\": [ \"to_q\", \"to_k\", \"to_v\", \"to_out.0\" ]", test_the_lora_has_diffusers_names },
    { "the-lora-has-diffusers-names-on-every-layer", PROMPTS, test_the_lora_has_diffusers_names },
    { "the-lora-is-the-student", PROMPTS ", \"average\": 0", test_the_lora_is_the_student },
    { "a-resumed-one-is-the-same-to-the-bit", PROMPTS, test_a_resumed_job_is_the_same_to_the_bit },
    { "a-resumed-one-with-lpips-is-the-same-to-the-bit", LPIPS, test_a_resumed_job_is_the_same_to_the_bit },
    { "one-with-weights-kept-in-16-bits-is-the-same-to-the-bit", PROMPTS, test_weights_kept_in_16_bits_change_no_bit },
    { "one-with-lpips-kept-in-16-bits-is-too", LPIPS, test_weights_kept_in_16_bits_change_no_bit },
    { "a-cancelled-step-leaves-no-trace", PROMPTS, test_a_cancelled_step_leaves_no_trace },
    { "a-paused-run-goes-on-and-keeps-its-log", PROMPTS, test_a_paused_run_goes_on_and_keeps_its_log },
    { "a-killed-one-goes-on-from-its-checkpoint", PROMPTS ", \"steps\": 40, " PHASES (10), test_a_killed_job_goes_on_from_its_checkpoint },
    { "one-with-lpips-ends-in-a-lora-that-loads", LPIPS, test_a_job_ends_in_a_lora_that_loads },
    { "a-distance-by-lpips-is-between-pictures", LPIPS, test_a_distance_by_lpips_is_between_pictures },
    { "other-lpips-weights-do-not-go-on", LPIPS, test_other_lpips_weights_do_not_go_on },
    { "a-missing-file-of-weights-is-named", LPIPS, test_a_missing_file_of_weights_is_named },
    { "runs-once", PROMPTS, test_a_job_runs_once },
    { "anothers-checkpoint-is-refused", PROMPTS, test_another_jobs_checkpoint_is_refused },
    { "another-learning-rate-goes-on", PROMPTS, test_another_learning_rate_goes_on },
    { "moved-pictures-are-the-same", "\"pictures\": \"pics\"", test_moved_pictures_are_the_same },
    { "a-refused-one-leaves-no-checkpoint", PROMPTS, test_a_refused_job_leaves_no_checkpoint },
    { "others-may-work-while-it-prepares", "\"pictures\": \"pics\"", test_others_may_work_while_it_prepares },
    { "the-first-timestep-shows-no-data", PROMPTS, test_the_first_timestep_shows_no_data },
    { "damaged-latents-are-made-anew", "\"pictures\": \"pics\"", test_damaged_latents_are_made_anew },
    { "a-place-for-the-lora-is-looked-for-first", PROMPTS ", \"output\": \"./job.json/lora.safetensors\"", test_a_place_for_the_lora_is_looked_for_first },
    { "a-damaged-checkpoint-is-named", PROMPTS, test_a_damaged_checkpoint_is_named },
    { "a-full-disk-keeps-the-last-checkpoint", PROMPTS, test_a_full_disk_keeps_the_last_checkpoint },
    { "a-loss-that-is-no-number-stops-before-the-update", PROMPTS, test_a_loss_that_is_no_number_stops_before_the_update },
    { "pictures-of-many-shapes-train-together", "\"pictures\": \"pics\", \"aspect_buckets\": true", test_pictures_of_many_shapes_train_together },
    { "a-broken-picture-is-left-out", "\"pictures\": \"pics\"", test_a_broken_picture_is_left_out },
    { "only-broken-pictures-are-an-error", "\"pictures\": \"pics\"", test_only_broken_pictures_are_an_error },
    { "a-step-does-not-depend-on-how-it-is-divided", PROMPTS ", \"batch_size\": 3", test_a_step_does_not_depend_on_how_it_is_divided },
    { "a-step-with-lpips-does-not-either", LPIPS ", \"batch_size\": 3", test_a_step_does_not_depend_on_how_it_is_divided },
    { "what-does-not-fit-the-teacher-is-refused", LPIPS, test_what_does_not_fit_the_teacher_is_refused },
    { "a-type-that-is-not-there-is-refused", PROMPTS ", \"dtype\": \"bf16\"", test_a_type_that_is_not_there_is_refused },
    { "what-a-job-needs-is-known-before-it", PROMPTS, test_what_a_job_needs_is_known_before_it },
    { "what-a-job-with-lpips-needs-is-known-before-it", LPIPS, test_what_a_job_needs_is_known_before_it },
    { "a-sheet-shows-teacher-and-student", PROMPTS, test_a_sheet_shows_teacher_and_student },
    { "a-picture-is-the-same-alone-and-among-others", PROMPTS, test_a_picture_is_the_same_alone_and_among_others },
  };

  if (argc == 3 && strcmp (argv[1], "--run") == 0)
    {
      argc = 1;
      g_test_init (&argc, &argv, NULL);
      return run_job (argv[2]);
    }
  program = argv[0];
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/core/distill/trainer/", tests[i].name, NULL);

      g_test_add (path, Fixture, tests[i].fields, set_up, tests[i].func, tear_down);
    }
  return scratch_test_run ();
}
