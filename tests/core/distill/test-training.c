/* tests/core/distill/test-training.c: 200 training steps against PyTorch's. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * golden/distill/train.py trained the same model on the same data with the same noise, for three seeds.
 */
#include <math.h>
#include <string.h>

#include "core/distill/trainer-private.h"
#include "core/formats/safetensors.h"
#include "tests/core/scratch.h"

enum { STEPS = 200, N_SEEDS = 3, N_LOSSES = 4, N_EXAMPLES = 4, SIZE = 8 * 8 * 4, WINDOW = 25 };

static const char * const loss_names[N_LOSSES] = { "distillation", "matching", "adversarial", "discriminator" };

/* (transfer full) */
static float *
read_golden (FbSafetensors *file, const char *name, size_t n)
{
  const FbTensorInfo *info   = fb_safetensors_lookup (file, name);
  float              *values = g_new (float, n);

  g_assert_nonnull (info);
  g_assert_cmpuint (fb_tensor_info_n_elements (info), ==, n);
  g_assert_true (fb_safetensors_read_f32 (file, info, 0, n, values, NULL, NULL));
  return values;
}

/* settings of train.py */
static FbDistillJob *
make_job (const char *folder, const char *teacher)
{
  g_autofree char  *path  = g_build_filename (folder, "job.json", NULL);
  g_autoptr(GError) error = NULL;
  g_autofree char  *text  = g_strdup_printf (
    "{ \"preset\": \"small\", \"teacher\": \"%s\", \"prompts\": [ \"a cat\", \"a dog\", \"a tree\", \"a house\" ], \"width\": 64, \"height\": 64,"
    " \"steps\": 200, \"batch_size\": 2, \"samples_per_call\": 2, \"seed\": 0, \"teacher_steps\": 4, \"teacher_reuse\": 1, \"mode_variance\": 0.01, \"guidance_min\": 2,"
    " \"guidance_max\": 5, \"learning_rate\": 0.001, \"discriminator_learning_rate\": 0.001, \"warm_up\": 10, \"clip\": 1, \"average\": 0,"
    " \"lora_rank\": 4, \"lora_alpha\": 8, \"lora_targets\": [ \"to_q\", \"to_k\", \"to_v\", \"to_out.0\" ], \"dtype\": \"f32\", \"phases\": ["
    " { \"steps\": 50, \"modes\": [ 0, 0, 0.5, 0.5 ] },"
    " { \"steps\": 50, \"modes\": [ 0.1, 0.3, 0.3, 0.3 ], \"matching\": 0.3, \"adversarial\": 0.1 },"
    " { \"steps\": 50, \"modes\": [ 0.25, 0.25, 0.25, 0.25 ], \"matching\": 0.5, \"adversarial\": 0.2 },"
    " { \"steps\": 50, \"modes\": [ 0.4, 0.2, 0.2, 0.2 ], \"matching\": 0.7, \"adversarial\": 0.3 } ] }", teacher);
  FbDistillJob     *job;

  scratch_write (folder, "job.json", text, -1);
  job = fb_distill_job_load (path, &error);
  g_assert_no_error (error);
  return job;
}

/* Puts the script's latents where the teacher's pictures are. */
static void
replace_data (FbTrainer *trainer, const float *latents)
{
  g_assert_cmpuint (trainer->data->examples->len, ==, N_EXAMPLES);
  for (guint i = 0; i < N_EXAMPLES; i++)
    g_assert_true (fb_cache_put (trainer->cache, trainer->latent_keys->pdata[i], latents + i * SIZE, SIZE, NULL));
}

static double
mean (const float *losses, int first, int which)
{
  double sum = 0.0;

  for (int i = 0; i < WINDOW; i++)
    sum += losses[(first + i) * N_LOSSES + which];
  return sum / WINDOW;
}

static void
test_curves_are_pytorchs (void)
{
  g_autoptr(Scratch)       folder  = scratch_new ();
  g_autofree char         *teacher = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
  g_autofree char         *path    = g_test_build_filename (G_TEST_DIST, "golden", "distill", "training.safetensors", NULL);
  g_autoptr(GError)        error   = NULL;
  g_autoptr(FbSafetensors) golden  = fb_safetensors_open (path, &error);
  g_autofree float        *latents = NULL;
  g_autoptr(FbDistillJob)  job     = make_job (folder, teacher);
  g_autoptr(FbDevice)      dev     = fb_device_new ("cpu", 0, NULL);
  g_autoptr(FbTrainer)     trainer = fb_trainer_new (job, teacher, dev, NULL);
  float                    ours[STEPS * N_LOSSES];
  float                   *theirs[N_SEEDS];

  g_assert_no_error (error);
  latents = read_golden (golden, "latents", N_EXAMPLES * SIZE);
  for (int s = 0; s < N_SEEDS; s++)
    {
      g_autofree char *name = g_strdup_printf ("losses.%d", s);

      theirs[s] = read_golden (golden, name, STEPS * N_LOSSES);
    }
  g_assert_true (fb_trainer_prepare (trainer, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
  replace_data (trainer, latents);

  for (int i = 0; i < STEPS; i++)
    {
      FbDistillLosses l;

      g_assert_true (fb_trainer_step (trainer, &l, NULL, &error));
      g_assert_no_error (error);
      ours[i * N_LOSSES + 0] = (float) l.distillation;
      ours[i * N_LOSSES + 1] = (float) l.matching;
      ours[i * N_LOSSES + 2] = (float) l.adversarial;
      ours[i * N_LOSSES + 3] = (float) l.discriminator;
    }

  for (int k = 0; k < N_LOSSES; k++)                     /* before rounding has grown, step by step */
    for (int i = 0; i < 10; i++)
      {
        const float a = ours[i * N_LOSSES + k], b = theirs[0][i * N_LOSSES + k];

        g_test_message ("%s, step %d: %g, PyTorch %g", loss_names[k], i, a, b);
        g_assert_cmpfloat (fabsf (a - b), <=, 1e-3f * fabsf (b) + 1e-6f);
      }
  for (int k = 0; k < N_LOSSES; k++)                     /* then nearer than another seed's curve is */
    for (int first = 0; first < STEPS; first += WINDOW)
      {
        const double a = mean (ours, first, k), b = mean (theirs[0], first, k);
        double       spread = 0.0;

        for (int s = 1; s < N_SEEDS; s++)
          spread = MAX (spread, fabs (mean (theirs[s], first, k) - b));
        g_test_message ("%s, steps %d to %d: %g, PyTorch %g, seeds differ by %g", loss_names[k], first, first + WINDOW, a, b, spread);
        g_assert_cmpfloat (fabs (a - b), <=, spread + 1e-6);
      }
  for (int s = 0; s < N_SEEDS; s++)
    g_free (theirs[s]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/distill/training/curves-are-pytorchs", test_curves_are_pytorchs);
  return scratch_test_run ();
}
