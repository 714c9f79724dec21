/* tests/core/distill/test-inpainting.c: a teacher that paints into pictures. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The tiny model of golden/pipeline with the inpainting UNet of golden/inpaint.
 */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/distill/random-mask.h"
#include "core/distill/trainer-private.h"
#include "core/formats/safetensors.h"
#include "core/image/png.h"
#include "tests/core/distill/ready.h"
#include "tests/core/scratch.h"

#define SIDE 64
#define N    (SIDE / 8 * SIDE / 8)         /* latent pixels */

/* --- masks -------------------------------------------------------------------------------------------------------------- */

static double
covered (const float *mask, int n)
{
  double sum = 0.0;

  for (int i = 0; i < n; i++)
    {
      g_assert_true (mask[i] == 0.0f || mask[i] == 1.0f);
      sum += mask[i];
    }
  return sum / n;
}

static void
test_a_quarter_of_the_masks_covers_everything (void)
{
  enum { HEIGHT = 48, WIDTH = 80, DRAWS = 2000 };
  float  mask[HEIGHT * WIDTH];
  int    full = 0, empty = 0;
  double others = 0.0;

  for (guint32 i = 0; i < DRAWS; i++)
    {
      const FbDraw draw  = { 7, i, 3 };
      double       share;

      fb_random_mask (&draw, FB_RANDOM_MASK_FULL, HEIGHT, WIDTH, mask);
      share  = covered (mask, HEIGHT * WIDTH);
      full  += share == 1.0;
      empty += share == 0.0;
      others += share < 1.0 ? share : 0.0;
    }
  g_test_message ("%d full, %d empty, the others cover %.3f", full, empty, others / (DRAWS - full));
  g_assert_cmpint (abs (full - DRAWS / 4), <, 60);                /* three deviations */
  g_assert_cmpint (empty, <, DRAWS / 100);
  g_assert_cmpfloat (others / (DRAWS - full), >, 0.1);
  g_assert_cmpfloat (others / (DRAWS - full), <, 0.5);
}

static void
test_a_mask_depends_on_its_draw_alone (void)
{
  const FbDraw a = { 7, 0, 1 }, b = { 7, 0, 2 };
  float        first[SIDE * SIDE], second[SIDE * SIDE], other[SIDE * SIDE];

  fb_random_mask (&a, 0.0, SIDE, SIDE, first);
  memset (second, 1, sizeof second);
  fb_random_mask (&a, 0.0, SIDE, SIDE, second);
  fb_random_mask (&b, 0.0, SIDE, SIDE, other);
  g_assert_cmpmem (first, sizeof first, second, sizeof second);
  g_assert_cmpfloat (covered (first, SIDE * SIDE), <, 1.0);
  g_assert_true (memcmp (first, other, sizeof first) != 0);
}

/* --- the trainer --------------------------------------------------------------------------------------------------------- */

typedef struct
{
  char     *folder, *teacher;
  FbDevice *dev;
} Fixture;

static void
link_into (const char *folder, const char *name, const char *first, const char *second, const char *third)
{
  g_autofree char *target = g_test_build_filename (G_TEST_DIST, "golden", first, second, third, NULL);
  g_autofree char *path   = g_build_filename (folder, name, NULL);

  g_assert_cmpint (symlink (target, path), ==, 0);
}

static void
set_up (Fixture *f, gconstpointer unused)
{
  static const char * const parts[] = { "model_index.json", "scheduler", "text_encoder", "tokenizer", "vae" };

  f->folder  = scratch_new ();
  f->teacher = g_build_filename (f->folder, "teacher", NULL);
  f->dev     = fb_device_new ("cpu", 1, NULL);
  g_assert_no_errno (g_mkdir (f->teacher, 0700));
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    link_into (f->teacher, parts[i], "pipeline", "model", parts[i]);
  link_into (f->teacher, "unet", "inpaint", "unet-9", NULL);
  for (int i = 0; i < 3; i++)
    {
      g_autofree char   *name  = g_strdup_printf ("pictures/%d.png", i);
      g_autofree char   *text  = g_strdup_printf ("pictures/%d.txt", i);
      g_autofree char   *path  = g_build_filename (f->folder, name, NULL);
      g_autoptr(FbImage) image = fb_image_new (SIDE, SIDE, 3);

      for (int k = 0; k < SIDE * SIDE * 3; k++)
        image->pixels[k] = (float) ((k * (i + 3)) % 97) / 96.0f;
      scratch_write (f->folder, text, i == 0 ? "a cat" : i == 1 ? "a dog" : "a tree", -1);
      g_assert_true (fb_image_save_png (image, path, NULL));
    }
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);
  fb_device_unref (f->dev);
  g_free (f->teacher);
  scratch_free (f->folder);
}

/* a few steps in which all losses come */
static FbDistillJob *
make_job (Fixture *f, const char *name, const char *fields)
{
  g_autofree char  *path  = g_build_filename (f->folder, name, NULL);
  g_autofree char  *text  = g_strdup_printf ("{ \"preset\": \"small\", \"teacher\": \"%s\", \"width\": 64, \"height\": 64, \"steps\": 4, \"batch_size\": 2,"
                                             " \"samples_per_call\": 2, \"teacher_steps\": 4, \"mode_variance\": 0.01, \"lora_rank\": 4, \"lora_alpha\": 8,"
                                             " \"learning_rate\": 0.001, \"warm_up\": 0, \"dtype\": \"f32\", \"threads\": 1, \"sample_every\": 0,"
                                             " \"teacher_reuse\": 1, \"phases\": [ { \"steps\": 4, \"modes\": [ 1, 1, 1, 1 ], \"matching\": 0.3, \"adversarial\": 0.1 } ], %s }",
                                             f->teacher, fields);
  g_autoptr(GError) error = NULL;
  FbDistillJob     *job;

  scratch_write (f->folder, name, text, -1);
  job = fb_distill_job_load (path, &error);
  g_assert_no_error (error);
  return job;
}

static FbTrainer *
ready (Fixture *f, const FbDistillJob *job)
{
  return trainer_ready (job, f->teacher, f->dev);
}

static void
steps (FbTrainer *trainer, int n, FbDistillLosses *losses)
{
  for (int i = 0; i < n; i++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_true (fb_trainer_step (trainer, losses, NULL, &error));
      g_assert_no_error (error);
      g_assert_cmpfloat (losses->distillation, >, 0.0);
      g_assert_cmpfloat (losses->matching, >, 0.0);
      g_assert_cmpfloat (losses->adversarial, >, 0.0);
      g_assert_cmpfloat (losses->gradient, >, 0.0);
    }
}

static void
test_a_resumed_job_is_the_same_to_the_bit (Fixture *f, gconstpointer unused)
{
  g_autoptr(FbDistillJob) straight = make_job (f, "straight.json", "\"pictures\": \"pictures\"");
  g_autoptr(FbDistillJob) resumed  = make_job (f, "resumed.json", "\"pictures\": \"pictures\"");
  g_autofree char        *a = g_build_filename (f->folder, "straight", "checkpoint.safetensors", NULL), *text_a = NULL;
  g_autofree char        *b = g_build_filename (f->folder, "resumed", "checkpoint.safetensors", NULL), *text_b = NULL;
  gsize                   n_a, n_b;
  FbDistillLosses         losses;

  {
    g_autoptr(FbTrainer) trainer = ready (f, straight);

    steps (trainer, 4, &losses);
    g_assert_true (fb_trainer_save (trainer, NULL));
  }
  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer) trainer = ready (f, resumed);

      g_assert_cmpint (fb_trainer_step_number (trainer), ==, 2 * i);
      steps (trainer, 2, &losses);
      g_assert_true (fb_trainer_save (trainer, NULL));
    }
  g_assert_true (g_file_get_contents (a, &text_a, &n_a, NULL));
  g_assert_true (g_file_get_contents (b, &text_b, &n_b, NULL));
  g_assert_cmpmem (text_a, n_a, text_b, n_b);
}

static void
test_a_step_does_not_depend_on_how_it_is_divided (Fixture *f, gconstpointer unused)
{
  FbDistillLosses losses[2];

  for (int i = 0; i < 2; i++)
    {
      g_autofree char        *fields  = g_strdup_printf ("\"pictures\": \"pictures\", \"batch_size\": 3, \"samples_per_call\": %d", 1 + 2 * i);
      g_autoptr(FbDistillJob) job     = make_job (f, i == 0 ? "one.json" : "three.json", fields);
      g_autoptr(FbTrainer)    trainer = ready (f, job);

      steps (trainer, 1, &losses[i]);
    }
  g_assert_cmpfloat_with_epsilon (losses[0].distillation, losses[1].distillation, 1e-5 * losses[0].distillation);
  g_assert_cmpfloat_with_epsilon (losses[0].matching, losses[1].matching, 1e-4 * losses[0].matching);
  g_assert_cmpfloat_with_epsilon (losses[0].adversarial, losses[1].adversarial, 1e-5);
  g_assert_cmpfloat_with_epsilon (losses[0].gradient, losses[1].gradient, 1e-3 * losses[0].gradient);
}

static void
mask_picture (FbTrainer *trainer, guint example, double full, float *extra)
{
  const FbDraw      draw  = { 7, 0, 1 };
  g_autoptr(GError) error = NULL;

  fb_trainer_mask_picture (trainer, trainer->data->examples->pdata[example], &draw, full, SIDE, SIDE, extra, NULL, &error);
  g_assert_no_error (error);
}

/* What lies under the mask is unknown to the network: with nothing else, all pictures are alike. */
static void
test_a_hole_shows_nothing_of_the_picture (Fixture *f, gconstpointer unused)
{
  g_autoptr(FbDistillJob) job     = make_job (f, "job.json", "\"pictures\": \"pictures\"");
  g_autoptr(FbTrainer)    trainer = ready (f, job);
  const FbDraw            draw    = { 7, 0, 1 };
  float                   a[N * 5], b[N * 5], mask[SIDE * SIDE];

  mask_picture (trainer, 0, 1.0, a);
  mask_picture (trainer, 1, 1.0, b);
  g_assert_cmpmem (a, sizeof a, b, sizeof b);
  mask_picture (trainer, 0, 0.0, a);
  mask_picture (trainer, 1, 0.0, b);
  g_assert_true (memcmp (a, b, sizeof a) != 0);
  fb_random_mask (&draw, 0.0, SIDE, SIDE, mask);
  for (int i = 0; i < N; i++)
    g_assert_cmpfloat (a[5 * i], ==, mask[i / 8 * 8 * SIDE + i % 8 * 8]);
}

static float *
read_expected (FbSafetensors *file, int i, const char *what, gsize n)
{
  g_autofree char    *name   = g_strdup_printf ("%d.%s", i, what);
  const FbTensorInfo *info   = fb_safetensors_lookup (file, name);
  float              *values = g_new (float, n);

  g_assert_nonnull (info);
  g_assert_cmpuint (fb_tensor_info_n_elements (info), ==, n);
  g_assert_true (fb_safetensors_read_f32 (file, info, 0, n, values, NULL, NULL));
  return values;
}

/* golden/distill/masks.py */
enum { HEIGHT = 48, WIDTH = 64, H = HEIGHT / 8, W = WIDTH / 8, N_MASKS = 12 };

static void
check_mask (FbSafetensors *file, int i, const FbDraw *draw)
{
  g_autofree float *rows    = read_expected (file, i, "rows", HEIGHT);
  g_autofree float *columns = read_expected (file, i, "columns", WIDTH);
  float             mask[HEIGHT * WIDTH];

  fb_random_mask (draw, FB_RANDOM_MASK_FULL, HEIGHT, WIDTH, mask);
  for (int k = 0; k < HEIGHT * WIDTH; k++)
    {
      rows[k / WIDTH]    -= mask[k];
      columns[k % WIDTH] -= mask[k];
    }
  for (int y = 0; y < HEIGHT; y++)
    g_assert_cmpfloat (rows[y], ==, 0.0);
  for (int x = 0; x < WIDTH; x++)
    g_assert_cmpfloat (columns[x], ==, 0.0);
}

static void
check_extra (FbSafetensors *file, int i, const float *extra)
{
  g_autofree float *mask    = read_expected (file, i, "mask", H * W);
  g_autofree float *latents = read_expected (file, i, "latents", H * W * 4);
  double            error   = 0.0, largest = 0.0;

  for (int k = 0; k < H * W; k++)
    {
      g_assert_cmpfloat (extra[5 * k], ==, mask[k]);
      for (int c = 0; c < 4; c++)
        {
          error   = MAX (error, fabs ((double) extra[5 * k + 1 + c] - latents[4 * k + c]));
          largest = MAX (largest, fabs ((double) latents[4 * k + c]));
        }
    }
  g_test_message ("latents %d: off by %.2g of %.2g", i, error, largest);
  g_assert_cmpfloat (error, <, 1e-4 * largest);
}

static void
test_what_the_network_sees_is_what_diffusers_shows_it (Fixture *f, gconstpointer unused)
{
  g_autofree char          *golden  = g_test_build_filename (G_TEST_DIST, "golden", "distill", "masks.safetensors", NULL);
  g_autofree char          *path    = g_build_filename (f->folder, "pictures", "0.png", NULL);
  g_autoptr(FbSafetensors)  file    = fb_safetensors_open (golden, NULL);
  g_autoptr(FbImage)        image   = fb_image_new (WIDTH, HEIGHT, 3);
  g_autoptr(FbDistillJob)   job     = NULL;
  g_autoptr(FbTrainer)      trainer = NULL;

  for (int k = 0; k < HEIGHT * WIDTH * 3; k++)
    image->pixels[k] = (float) ((7 * k) % 256) / 255.0f;
  g_assert_true (fb_image_save_png (image, path, NULL));
  job     = make_job (f, "job.json", "\"pictures\": \"pictures\"");
  trainer = ready (f, job);
  for (guint32 i = 0; i < N_MASKS; i++)
    {
      const FbDraw      draw = { 7, i, 1 };
      float             extra[H * W * 5];
      g_autoptr(GError) error = NULL;

      check_mask (file, (int) i, &draw);
      fb_trainer_mask_picture (trainer, trainer->data->examples->pdata[0], &draw, FB_RANDOM_MASK_FULL, WIDTH, HEIGHT, extra, NULL, &error);
      g_assert_no_error (error);
      check_extra (file, (int) i, extra);
    }
}

/* The way back to the latents: those are four of the network's nine channels. */
static void
test_the_adversarial_gradient_is_that_of_the_latents (Fixture *f, gconstpointer unused)
{
  g_autoptr(FbDistillJob) job      = make_job (f, "job.json", "\"pictures\": \"pictures\"");
  g_autoptr(FbTrainer)    trainer  = ready (f, job);
  g_autofree float       *context  = g_new (float, fb_trainer_context_size (trainer));
  const float             timestep = 250.0f, epsilon = 0.01f;
  float                   latents[N * 4], real[N * 4], direction[N * 4], extra[N * 5], gradient[N * 4] = { 0.0f };
  double                  loss[2], slope = 0.0;

  g_assert_true (fb_trainer_read_caption (trainer, "a cat", context, NULL));
  mask_picture (trainer, 0, 0.0, extra);
  for (int i = 0; i < N * 4; i++)
    {
      latents[i]   = sinf (0.7f * (float) i);
      real[i]      = sinf (0.3f * (float) i);
      direction[i] = cosf (1.1f * (float) i);
    }
  for (int side = 0; side < 2; side++)
    {
      float               moved[N * 4], ignored[N * 4] = { 0.0f };
      const FbNetworkCall call = { 1, 8, 8, moved, &timestep, context, extra };
      FbAdversarial       sums = { 0.0 };

      for (int i = 0; i < N * 4; i++)
        moved[i] = latents[i] + (side == 0 ? -epsilon : epsilon) * direction[i];
      g_assert_true (fb_networks_adversarial (trainer->networks, &call, real, 1.0, 1.0, ignored, &sums, NULL, NULL));
      loss[side] = sums.student;
    }
  {
    const FbNetworkCall call = { 1, 8, 8, latents, &timestep, context, extra };
    FbAdversarial       sums = { 0.0 };

    g_assert_true (fb_networks_adversarial (trainer->networks, &call, real, 1.0, 1.0, gradient, &sums, NULL, NULL));
  }
  for (int i = 0; i < N * 4; i++)
    slope += (double) gradient[i] * direction[i];
  g_test_message ("slope %g, by differences %g", slope, (loss[1] - loss[0]) / (2.0 * epsilon));
  g_assert_cmpfloat (fabs (slope), >, 0.0);
  g_assert_cmpfloat_with_epsilon ((loss[1] - loss[0]) / (2.0 * epsilon), slope, 0.02 * fabs (slope));
}

static void
test_a_sheet_shows_teacher_and_student (Fixture *f, gconstpointer unused)
{
  static const int        columns[] = { 1, 4 };
  g_autoptr(FbDistillJob) job       = make_job (f, "job.json", "\"pictures\": \"pictures\"");
  g_autoptr(FbTrainer)    trainer   = ready (f, job);
  g_autoptr(FbImage)      sheet     = fb_trainer_sheet (trainer, 2, columns, 2, NULL, NULL);
  FbDistillLosses         losses;

  g_assert_cmpint (sheet->width, ==, 3 * SIDE);
  g_assert_cmpint (sheet->height, ==, 2 * SIDE);
  steps (trainer, 1, &losses);
}

static void
test_prompts_alone_are_refused (Fixture *f, gconstpointer unused)
{
  g_autoptr(FbDistillJob) job   = make_job (f, "job.json", "\"prompts\": [ \"a cat\" ]");
  g_autoptr(GError)       error = NULL;

  g_assert_null (fb_trainer_new (job, f->teacher, f->dev, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "Give “pictures” or “captions” instead of prompts."));
}

int
main (int argc, char **argv)
{
  static const struct { const char *name; void (* func) (Fixture *f, gconstpointer unused); } tests[] =
  {
    { "a-resumed-job-is-the-same-to-the-bit", test_a_resumed_job_is_the_same_to_the_bit },
    { "a-step-does-not-depend-on-how-it-is-divided", test_a_step_does_not_depend_on_how_it_is_divided },
    { "a-hole-shows-nothing-of-the-picture", test_a_hole_shows_nothing_of_the_picture },
    { "what-the-network-sees-is-what-diffusers-shows-it", test_what_the_network_sees_is_what_diffusers_shows_it },
    { "the-adversarial-gradient-is-that-of-the-latents", test_the_adversarial_gradient_is_that_of_the_latents },
    { "a-sheet-shows-teacher-and-student", test_a_sheet_shows_teacher_and_student },
    { "prompts-alone-are-refused", test_prompts_alone_are_refused },
  };

  g_test_init (&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
  g_test_add_func ("/core/distill/random-mask/a-quarter-covers-everything", test_a_quarter_of_the_masks_covers_everything);
  g_test_add_func ("/core/distill/random-mask/depends-on-its-draw-alone", test_a_mask_depends_on_its_draw_alone);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/core/distill/inpainting/", tests[i].name, NULL);

      g_test_add (path, Fixture, NULL, set_up, tests[i].func, tear_down);
    }
  return g_test_run ();
}
