/* tests/core/distill/test-pieces.c: each piece of the method against PyTorch. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * golden/distill/make.py wrote the values, from the paper and not from our code.
 */
#include <math.h>
#include <string.h>

#include "core/distill/losses.h"
#include "core/distill/memory.h"
#include "core/distill/mixture.h"
#include "core/distill/optimizer.h"
#include "core/distill/philox.h"
#include "core/distill/rollout.h"
#include "core/formats/safetensors.h"

enum { N = 30 };

static FbSafetensors *golden;

/* (transfer full): a tensor of the fixture as floats, @n of them */
static float *
values (size_t n, const char *format, ...) G_GNUC_PRINTF (2, 3);

static float *
values (size_t n, const char *format, ...)
{
  g_autoptr(GError)   error = NULL;
  g_autofree char    *name  = NULL;
  const FbTensorInfo *info;
  float              *out   = g_new (float, n);
  va_list             args;

  va_start (args, format);
  name = g_strdup_vprintf (format, args);
  va_end (args);
  info = fb_safetensors_lookup (golden, name);
  g_assert_nonnull (info);
  g_assert_cmpuint (fb_tensor_info_n_elements (info), ==, n);
  g_assert_true (fb_safetensors_read_f32 (golden, info, 0, n, out, NULL, &error));
  g_assert_no_error (error);
  return out;
}

/* the largest difference over the largest value */
static double
distance (const float *a, const float *b, size_t n)
{
  double difference = 0.0, largest = 0.0;

  for (size_t i = 0; i < n; i++)
    {
      difference = MAX (difference, fabs ((double) a[i] - b[i]));
      largest = MAX (largest, fabs ((double) b[i]));
      g_assert_true (isfinite (a[i]));
    }
  return difference / largest;
}

static FbSchedule *
schedule_of (FbPrediction prediction)
{
  FbScheduleConfig config = fb_schedule_config_sd;

  config.prediction = prediction;
  return fb_schedule_new (&config, NULL);
}

static const struct { const char *name; FbPrediction prediction; } kinds[] = { { "epsilon", FB_PREDICT_EPSILON }, { "v", FB_PREDICT_V } };

static void
test_philox_gives_the_published_numbers (void)
{
  static const struct { uint32_t counter[4], key[2], out[4]; } cases[] =    /* Random123's known answers */
  {
    { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
    { { ~0u, ~0u, ~0u, ~0u }, { ~0u, ~0u }, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
    { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 },
      { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      uint32_t out[4];

      fb_philox4x32 (cases[i].counter, cases[i].key, out);
      g_assert_cmpmem (out, sizeof out, cases[i].out, sizeof out);
    }
}

static void
test_draws_are_those_of_the_script (void)
{
  const FbDraw      draw    = { 0x123456789ABCDEF0, 41, 3 };
  g_autofree float *uniform = values (15, "draw.uniform");
  g_autofree float *normal  = values (11, "draw.normal");
  g_autofree float *order   = values (12, "draw.order");
  float             ours[11];
  guint             shuffled[12];

  for (int i = 0; i < 15; i++)
    g_assert_cmpfloat ((float) fb_draw_uniform (&draw, i), ==, uniform[i]);
  fb_draw_normal (&draw, FB_DRAW_NOISE, ours, 11);
  g_assert_cmpfloat (distance (ours, normal, 11), <, 1e-7);
  fb_draw_order (&draw, FB_DRAW_ORDER, shuffled, 12);
  for (int i = 0; i < 12; i++)
    g_assert_cmpuint (shuffled[i], ==, (guint) order[i]);
}

static void
test_a_draw_depends_on_all_of_its_key (void)
{
  const FbDraw draws[] = { { 1, 2, 3 }, { 2, 2, 3 }, { 1 | (guint64) 1 << 40, 2, 3 }, { 1, 3, 3 }, { 1, 2, 4 } };

  for (size_t i = 1; i < G_N_ELEMENTS (draws); i++)
    g_assert_cmpfloat (fb_draw_uniform (&draws[i], FB_DRAW_START), !=, fb_draw_uniform (&draws[0], FB_DRAW_START));
  g_assert_cmpfloat (fb_draw_uniform (&draws[0], FB_DRAW_START), !=, fb_draw_uniform (&draws[0], FB_DRAW_GUIDANCE));
}

static void
test_mixtures_are_those_of_the_script (void)
{
  static const int sizes[] = { 1, 4, 5, 8, 16, 32 };
  FbPhase          phases[4];
  double           pmf[32];
  float            narrow[8];
  g_autofree float *eight = values (8, "mixture.8.narrow");

  fb_phases_paper (100, phases);
  for (size_t s = 0; s < G_N_ELEMENTS (sizes); s++)
    {
      g_autofree float *theirs = values (4 * sizes[s], "mixture.%d", sizes[s]);

      for (int p = 0; p < 4; p++)
        {
          double sum = 0.0;

          fb_mixture_pmf (sizes[s], phases[p].modes, FB_MODE_VARIANCE, pmf);
          for (int i = 0; i < sizes[s]; i++)
            {
              g_assert_cmpfloat_with_epsilon (pmf[i], theirs[p * sizes[s] + i], 1e-7);
              sum += pmf[i];
            }
          g_assert_cmpfloat_with_epsilon (sum, 1.0, 1e-12);
        }
    }
  fb_mixture_pmf (8, phases[1].modes, FB_MODE_VARIANCE / 16.0, pmf);
  for (int i = 0; i < 8; i++)
    narrow[i] = (float) pmf[i];
  g_assert_cmpfloat (distance (narrow, eight, 8), <, 1e-6);
}

/* the heights of the paper's figure 1 */
static void
test_mixtures_peak_where_the_paper_does (void)
{
  static const float peaks[4][4] = { { 0, 0, .393f, .393f }, { .080f, .239f, .239f, .239f }, { .202f, .202f, .202f, .202f },
                                     { .329f, .164f, .164f, .164f } };
  FbPhase phases[4];
  double  pmf[32];

  fb_phases_paper (4, phases);
  for (int p = 0; p < 4; p++)
    {
      fb_mixture_pmf (32, phases[p].modes, FB_MODE_VARIANCE, pmf);
      for (int j = 0; j < 4; j++)
        g_assert_cmpfloat_with_epsilon (pmf[8 * j], peaks[p][j], 6e-4);
    }
}

static void
test_picks_follow_the_mixture (void)
{
  g_autofree float *theirs = values (64, "mixture.picks");
  FbPhase           phases[4];
  double            pmf[32];

  fb_phases_paper (4, phases);
  fb_mixture_pmf (32, phases[3].modes, FB_MODE_VARIANCE, pmf);
  for (int i = 0; i < 64; i++)
    g_assert_cmpint (fb_mixture_pick (pmf, 32, i / 64.0), ==, (int) theirs[i]);
  g_assert_cmpfloat (pmf[fb_mixture_pick (pmf, 32, nextafter (1.0, 0.0))], >, 0.0);
}

static void
test_phases_divide_the_training (void)
{
  FbPhase phases[4];
  int     seen[4] = { 0 };

  fb_phases_paper (10, phases);
  for (int step = 0; step < 10; step++)
    seen[fb_phases_at (phases, 4, step) - phases]++;
  for (int p = 0; p < 4; p++)
    g_assert_cmpint (seen[p], ==, phases[p].n_steps);
  g_assert_cmpint (seen[0] + seen[1] + seen[2] + seen[3], ==, 10);
  g_assert_true (fb_phases_at (phases, 4, 1000) == &phases[3]);
  g_assert_cmpfloat (phases[0].adversarial, ==, 0.0);
}

static void
test_the_learning_rate_warms_up (void)
{
  g_assert_cmpfloat (fb_learning_rate (2.0, 4, 0), ==, 0.5);
  g_assert_cmpfloat (fb_learning_rate (2.0, 4, 3), ==, 2.0);
  g_assert_cmpfloat (fb_learning_rate (2.0, 4, 100), ==, 2.0);
  g_assert_cmpfloat (fb_learning_rate (2.0, 0, 0), ==, 2.0);
}

static void
test_the_student_predicts_as_the_script (void)
{
  static const int  timesteps[] = { 999, 749, 30 };
  g_autofree float *z = values (N, "z"), *output = values (N, "output"), *weights = values (N, "dprediction");

  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++)
    {
      g_autoptr(FbSchedule) schedule = schedule_of (kinds[k].prediction);

      for (size_t i = 0; i < G_N_ELEMENTS (timesteps); i++)
        {
          FbNoiseLevel      level    = fb_noise_level (schedule, timesteps[i]);
          g_autofree float *theirs   = values (N, "student.%s.%d", kinds[k].name, timesteps[i]);
          g_autofree float *gradient = values (N, "student.%s.%d.gradient", kinds[k].name, timesteps[i]);
          float             ours[N];

          fb_student_predict (&level, z, output, ours, N);
          g_assert_cmpfloat (distance (ours, theirs, N), <, 1e-6);
          fb_student_backward (&level, weights, ours, N);
          g_assert_cmpfloat (distance (ours, gradient, N), <, 1e-6);
        }
    }
}

/* at levels that no solver's list holds, such as the discriminator's */
static void
test_noise_comes_from_the_whole_table (void)
{
  static const int      timesteps[] = { 10, 250, 500, 750 };
  g_autoptr(FbSchedule) schedule    = schedule_of (FB_PREDICT_EPSILON);
  g_autofree float     *x0 = values (N, "x0"), *noise = values (N, "noise");

  for (size_t i = 0; i < G_N_ELEMENTS (timesteps); i++)
    {
      FbNoiseLevel      level  = fb_noise_level (schedule, timesteps[i]);
      g_autofree float *theirs = values (N, "noisy.%d", timesteps[i]);
      float             ours[N];

      fb_noise_add (&level, x0, noise, ours, N);
      g_assert_cmpfloat (distance (ours, theirs, N), <, 1e-6);
      fb_noise_remove (&level, ours, noise, ours, N);
      g_assert_cmpfloat (distance (ours, x0, N), <, 2e-6);
    }
}

/* a loss and its gradient, which comes on top of what is there, by the weight */
static void
check_loss (double loss, const float *gradient, size_t n, double weight, const char *name)
{
  g_autofree float *value  = values (1, "%s", name);
  g_autofree float *theirs = values (n, "%s.gradient", name);
  g_autofree float *ours   = g_new (float, n);

  g_assert_cmpfloat_with_epsilon (loss, value[0], 1e-6 * MAX (1.0, value[0]));
  for (size_t i = 0; i < n; i++)
    ours[i] = (float) ((gradient[i] - 5.0f) / weight);
  g_assert_cmpfloat (distance (ours, theirs, n), <, 2e-5);              /* the 5 costs digits */
}

static void
fill (float *gradient, size_t n)
{
  for (size_t i = 0; i < n; i++)
    gradient[i] = 5.0f;
}

static void
test_the_distillation_loss_is_the_scripts (void)
{
  g_autofree float *z = values (N, "loss.z"), *target = values (N, "loss.target");
  float             gradient[N];

  fill (gradient, N);
  check_loss (fb_loss_distillation (z, target, N, 8.0, gradient), gradient, N, 8.0, "distillation");
}

static void
test_the_matching_loss_is_the_scripts (void)
{
  static const int  timesteps[] = { 20, 600, 999 };
  g_autofree float *z = values (N, "loss.z"), *real = values (N, "loss.real"), *fake = values (N, "loss.fake"), *noise = values (N, "noise");

  for (size_t k = 0; k < G_N_ELEMENTS (kinds); k++)
    {
      g_autoptr(FbSchedule) schedule = schedule_of (kinds[k].prediction);

      for (size_t i = 0; i < G_N_ELEMENTS (timesteps); i++)
        {
          FbNoiseLevel     level = fb_noise_level (schedule, timesteps[i]);
          g_autofree char *name  = g_strdup_printf ("matching.%s.%d", kinds[k].name, timesteps[i]);
          float            noisy[N], gradient[N];

          fb_noise_add (&level, z, noise, noisy, N);
          fill (gradient, N);
          check_loss (fb_loss_matching (&level, z, noisy, real, fake, N, 64.0, gradient), gradient, N, 64.0, name);
        }
    }
}

static void
test_the_adversarial_losses_are_the_scripts (void)
{
  g_autofree float *logits = values (9, "logits");
  float             gradient[9];

  fill (gradient, 9);
  check_loss (fb_loss_adversarial (logits, 9, 64.0, gradient), gradient, 9, 64.0, "adversarial");
  fill (gradient, 9);
  check_loss (fb_loss_discriminator (logits, 9, TRUE, 64.0, gradient), gradient, 9, 64.0, "discriminator.real");
  fill (gradient, 9);
  check_loss (fb_loss_discriminator (logits, 9, FALSE, 64.0, gradient), gradient, 9, 64.0, "discriminator.fake");
}

typedef struct
{
  const float *prompts;
  int          calls, samples;
} Teacher;

/* network() of make.py, for the prompt and for none */
static gboolean
teacher (const int *samples, int m, const float *latents, double timestep, float *conditional, float *unconditional,
         gpointer user_data, GError **error)
{
  Teacher *self = user_data;

  self->calls++;
  self->samples += m;
  for (int i = 0; i < m * N; i++)
    {
      double divisor = 0.2 * fabs ((double) latents[i]) + 1.0;

      conditional[i]   = (float) ((0.9 * latents[i] + 0.1 * self->prompts[samples[i / N]]) / divisor - timestep * 0.00005);
      unconditional[i] = (float) (0.9 * latents[i] / divisor - timestep * 0.00005);
    }
  return TRUE;
}

static void
test_the_teacher_gets_where_the_script_does (void)
{
  static const int      start[]    = { 0, 3, 7, 3 };
  static const double   guidance[] = { 3.0, 7.5, 13.0, 1.0 };
  static const float    prompts[]  = { 1.0f, -0.5f, 0.25f, 2.0f };
  g_autoptr(FbSchedule) schedule   = schedule_of (FB_PREDICT_EPSILON);
  g_autofree float     *latents    = values (4 * N, "rollout.z");
  g_autofree float     *end        = values (4 * N, "rollout.end");
  Teacher               self       = { prompts };
  g_autoptr(GError)     error      = NULL;

  g_assert_true (fb_rollout (schedule, 8, 4, start, guidance, N, latents, teacher, &self, &error));
  g_assert_no_error (error);
  for (int i = 0; i < 4; i++)
    g_assert_cmpfloat (distance (latents + i * N, end + i * N, N), <, 2e-5);
  g_assert_cmpint (self.calls, ==, 8);
  g_assert_cmpint (self.samples, ==, 8 + 5 + 1 + 5);
}

static void
test_a_rollout_does_not_depend_on_its_batch (void)
{
  static const int      start[]    = { 0, 3, 7, 3 };
  static const double   guidance[] = { 3.0, 7.5, 13.0, 1.0 };
  static const float    prompts[]  = { 1.0f, -0.5f, 0.25f, 2.0f };
  g_autoptr(FbSchedule) schedule   = schedule_of (FB_PREDICT_EPSILON);
  g_autofree float     *together   = values (4 * N, "rollout.z");
  g_autofree float     *alone      = values (4 * N, "rollout.z");
  Teacher               all        = { prompts };

  g_assert_true (fb_rollout (schedule, 8, 4, start, guidance, N, together, teacher, &all, NULL));
  for (int i = 0; i < 4; i++)
    {
      Teacher one = { prompts + i };

      g_assert_true (fb_rollout (schedule, 8, 1, start + i, guidance + i, N, alone + i * N, teacher, &one, NULL));
    }
  g_assert_cmpmem (alone, 4 * N * sizeof (float), together, 4 * N * sizeof (float));
}

/* a teacher that knows the one picture there is gets to it from wherever it starts */
static gboolean
oracle (const int *samples, int m, const float *latents, double timestep, float *conditional, float *unconditional,
        gpointer user_data, GError **error)
{
  const FbSchedule *schedule = user_data;
  FbNoiseLevel      level    = fb_noise_level (schedule, (int) timestep);

  for (int i = 0; i < m * N; i++)
    conditional[i] = unconditional[i] = (float) ((latents[i] - level.a * 0.75) / level.s);
  return TRUE;
}

static void
test_a_teacher_that_knows_the_picture_returns_it (void)
{
  g_autoptr(FbSchedule) schedule = schedule_of (FB_PREDICT_EPSILON);
  g_autofree float     *latents  = values (4 * N, "rollout.z");
  static const int      start[]    = { 0, 8, 16, 31 };
  static const double   guidance[] = { 1.0, 2.0, 3.0, 4.0 };

  g_assert_true (fb_rollout (schedule, 32, 4, start, guidance, N, latents, oracle, schedule, NULL));
  for (int i = 0; i < 4 * N; i++)
    g_assert_cmpfloat_with_epsilon (latents[i], 0.75, 1e-4);
}

static void
check_adamw (const char *name, double clip)
{
  const FbOptimizerParams params = { 1e-2, 0.9, 0.999, 1e-8, 0.01, clip, 0.5 };
  g_autoptr(FbOptimizer)  adam   = fb_optimizer_new (&params);
  g_autofree float *value     = values (12, "adamw.start");
  g_autofree float *gradients = values (6 * 12, "adamw.gradients");
  g_autofree float *theirs    = values (6 * 12, "%s", name);
  float             gradient[12];

  fb_optimizer_add (adam, "a", 7, value, gradient);
  fb_optimizer_add (adam, "b", 5, value + 7, gradient + 7);
  for (int step = 0; step < 6; step++)
    {
      fb_optimizer_zero (adam);
      g_assert_cmpfloat (fb_optimizer_norm (adam), ==, 0.0);
      memcpy (gradient, gradients + 12 * step, sizeof gradient);
      fb_optimizer_update (adam, params.learning_rate, fb_optimizer_norm (adam));
      g_assert_cmpfloat (distance (value, theirs + 12 * step, 12), <, 2e-6);
    }
}

static void
test_adamw_moves_as_pytorchs (void)
{
  check_adamw ("adamw", 0.0);
}

static void
test_gradients_are_clipped_as_pytorchs (void)
{
  check_adamw ("adamw.clipped", 1.0);
}

static void
test_the_average_follows_slowly (void)
{
  const FbOptimizerParams params   = { 0.125, 0.9, 0.999, 1e-8, 0.0, 0.0, 0.75 };
  g_autoptr(FbOptimizer)  adam     = fb_optimizer_new (&params);
  float                   value[1] = { 1.0f }, gradient[1] = { 3.0f };
  const FbTrained        *t;

  fb_optimizer_add (adam, "a", 1, value, gradient);
  t = adam->tensors->pdata[0];
  fb_optimizer_update (adam, params.learning_rate, 3.0);
  g_assert_cmpfloat_with_epsilon (value[0], 0.875, 1e-6);               /* Adam's first step has the size of the rate */
  g_assert_cmpfloat_with_epsilon (t->average[0], 0.75 + 0.25 * 0.875, 1e-6);
}

static void
test_the_peak_is_of_the_time_since_the_mark (void)
{
  enum { LARGE = 128 << 20 };
  volatile char *before = g_malloc (LARGE);
  guint64        mark, quiet;

  memset ((char *) before, 1, LARGE);
  g_free ((char *) before);
  mark  = fb_memory_mark ();
  quiet = fb_memory_peak ();
  g_assert_cmpuint (mark, >, 0);
  g_assert_cmpuint (quiet, <, mark + LARGE / 2);
  before = g_malloc (LARGE);
  memset ((char *) before, 1, LARGE);
  g_assert_cmpuint (fb_memory_peak (), >, mark + LARGE / 2);
  g_free ((char *) before);
}

int
main (int argc, char **argv)
{
  g_autofree char  *path  = NULL;
  g_autoptr(GError) error = NULL;
  int               status;

  g_test_init (&argc, &argv, NULL);
  path   = g_test_build_filename (G_TEST_DIST, "golden", "distill", "pieces.safetensors", NULL);
  golden = fb_safetensors_open (path, &error);
  g_assert_no_error (error);

  g_test_add_func ("/core/distill/philox/gives-the-published-numbers", test_philox_gives_the_published_numbers);
  g_test_add_func ("/core/distill/philox/draws-are-those-of-the-script", test_draws_are_those_of_the_script);
  g_test_add_func ("/core/distill/philox/a-draw-depends-on-all-of-its-key", test_a_draw_depends_on_all_of_its_key);
  g_test_add_func ("/core/distill/mixture/is-that-of-the-script", test_mixtures_are_those_of_the_script);
  g_test_add_func ("/core/distill/mixture/peaks-where-the-paper-does", test_mixtures_peak_where_the_paper_does);
  g_test_add_func ("/core/distill/mixture/picks-follow-it", test_picks_follow_the_mixture);
  g_test_add_func ("/core/distill/phases/divide-the-training", test_phases_divide_the_training);
  g_test_add_func ("/core/distill/phases/the-learning-rate-warms-up", test_the_learning_rate_warms_up);
  g_test_add_func ("/core/distill/student/predicts-as-the-script", test_the_student_predicts_as_the_script);
  g_test_add_func ("/core/distill/noise/comes-from-the-whole-table", test_noise_comes_from_the_whole_table);
  g_test_add_func ("/core/distill/losses/distillation-is-the-scripts", test_the_distillation_loss_is_the_scripts);
  g_test_add_func ("/core/distill/losses/matching-is-the-scripts", test_the_matching_loss_is_the_scripts);
  g_test_add_func ("/core/distill/losses/adversarial-are-the-scripts", test_the_adversarial_losses_are_the_scripts);
  g_test_add_func ("/core/distill/rollout/gets-where-the-script-does", test_the_teacher_gets_where_the_script_does);
  g_test_add_func ("/core/distill/rollout/does-not-depend-on-its-batch", test_a_rollout_does_not_depend_on_its_batch);
  g_test_add_func ("/core/distill/rollout/a-teacher-that-knows-the-picture-returns-it", test_a_teacher_that_knows_the_picture_returns_it);
  g_test_add_func ("/core/distill/memory/the-peak-is-of-the-time-since-the-mark", test_the_peak_is_of_the_time_since_the_mark);
  g_test_add_func ("/core/distill/optimizer/moves-as-pytorchs", test_adamw_moves_as_pytorchs);
  g_test_add_func ("/core/distill/optimizer/clips-as-pytorch", test_gradients_are_clipped_as_pytorchs);
  g_test_add_func ("/core/distill/optimizer/the-average-follows-slowly", test_the_average_follows_slowly);
  status = g_test_run ();
  fb_safetensors_unref (golden);
  return status;
}
