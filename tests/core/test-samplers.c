/* tests/core/test-samplers.c: samplers against diffusers and against exact solutions. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * golden/samplers/runs.txt was written by make.py beside it, which says what is in it.
 */
#include "core/samplers/sampler.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/samplers/torch-random.h"

enum { SIZE = 16 };

static FbSampler *
new_sampler (const char *name, const FbScheduleConfig *config, FbSpacing spacing, int n_steps, double strength)
{
  g_autoptr(GError)     error    = NULL;
  g_autoptr(FbSchedule) schedule = fb_schedule_new (config, &error);
  FbSamplerParams       params   = { n_steps, spacing, strength };
  FbSampler            *sampler;

  g_assert_no_error (error);
  sampler = fb_sampler_new (name, schedule, &params, &error);
  g_assert_no_error (error);
  return sampler;
}

/* as network() in make.py */
static void
network (const float *x, double t, float *out)
{
  for (int j = 0; j < SIZE; j++)
    out[j] = (x[j] * 0.9f + 0.1f) / (fabsf (x[j]) * 0.2f + 1.0f) - (float) (t * 0.00005);
}

static double
relative_error (const float *ours, const char *base64)
{
  gsize              size;
  g_autofree guchar *bytes = g_base64_decode (base64, &size);
  double             difference = 0.0, norm = 0.0;

  g_assert_cmpuint (size, ==, SIZE * 4);
  for (int j = 0; j < SIZE; j++)
    {
      float theirs;
      memcpy (&theirs, bytes + 4 * j, 4);
      difference += ((double) ours[j] - theirs) * ((double) ours[j] - theirs);
      norm       += (double) theirs * theirs;
    }
  return sqrt (difference / norm);
}

/* @line: "run", then what make.py says; returns how many lines of steps follow it */
static int
check_run (char **lines, double *worst)
{
  g_auto(GStrv)        field  = g_strsplit (lines[0], " ", -1);
  int                  n      = atoi (field[4]);
  double               strength = g_ascii_strtod (field[5], NULL);
  FbScheduleConfig     config = fb_schedule_config_sd;
  FbSpacing            spacing;
  FbTorchRandom        random;
  g_autoptr(FbSampler) sampler = NULL;
  float                picture[SIZE], noise[SIZE], latents[SIZE], input[SIZE], output[SIZE], x0[SIZE];

  config.prediction       = g_str_equal (field[2], "epsilon") ? FB_PREDICT_EPSILON : FB_PREDICT_V;
  config.zero_snr         = field[6][0] == '1';
  config.set_alpha_to_one = field[7][0] == '1';
  g_assert_true (fb_spacing_from_name (field[3], &spacing, NULL));
  sampler = new_sampler (field[1], &config, g_str_equal (field[1], "flash") ? FB_SPACING_DEFAULT : spacing, n, strength);

  fb_torch_random_init (&random, 1000 + n);
  if (strength < 1.0)
    fb_torch_random_normal (&random, picture, SIZE);
  fb_torch_random_normal (&random, noise, SIZE);
  fb_sampler_init_noise (sampler, strength < 1.0 ? picture : NULL, noise, latents, SIZE);

  for (int i = 0; i < n; i++)
    {
      g_auto(GStrv) expected = g_strsplit (lines[1 + i], " ", -1);
      gboolean      fresh    = fb_sampler_needs_noise (sampler, i);
      double        error;

      g_assert_cmpfloat_with_epsilon (fb_sampler_timestep (sampler, i), g_ascii_strtod (expected[0], NULL), 1e-4);   /* theirs is f32 */
      fb_sampler_model_input (sampler, i, latents, input, SIZE);
      network (input, fb_sampler_timestep (sampler, i), output);
      if (fresh)
        fb_torch_random_normal (&random, noise, SIZE);
      fb_sampler_step (sampler, i, latents, output, x0, fresh ? noise : NULL, SIZE);

      error = MAX (relative_error (latents, expected[1]), relative_error (x0, expected[2]));
      if (!config.zero_snr)
        *worst = MAX (*worst, error);
      if (!(error <= (config.zero_snr ? 1e-4 : 1e-5)))      /* diffusers' Euler step from σ = 4096 cancels: x + dx/dσ (σ' − σ), in f32 */
        g_error ("%s: step %d is off by %g", lines[0], i, error);
    }
  return n;
}

static char **
golden_lines (void)
{
  g_autofree char  *path  = g_test_build_filename (G_TEST_DIST, "golden", "samplers", "runs.txt", NULL);
  g_autofree char  *text  = NULL;
  g_autoptr(GError) error = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return g_strsplit (text, "\n", -1);
}

static void
test_runs_are_diffusers (void)
{
  g_auto(GStrv) lines = golden_lines ();
  double        worst = 0.0;
  int           n_runs = 0;

  for (char **line = lines; *line != NULL; line++)
    if (g_str_has_prefix (*line, "run "))
      {
        line += check_run (line, &worst);
        n_runs++;
      }
  g_test_message ("%d runs, worst relative error %.2g", n_runs, worst);
  g_assert_cmpint (n_runs, ==, 2 * 7 * (2 + 4 * 3) + 3 * 5 + 3);
}

static uint64_t
fnv1a_int (uint64_t h, double value)
{
  uint32_t bits = (uint32_t) (int32_t) value;

  for (int shift = 0; shift < 32; shift += 8)
    h = (h ^ ((bits >> shift) & 0xff)) * UINT64_C (0x100000001b3);
  return h;
}

static void
test_lists_of_every_length_are_diffusers (void)
{
  g_auto(GStrv) lines = golden_lines ();
  int           n_lists = 0;

  for (char **line = lines; *line != NULL; line++)
    if (g_str_has_prefix (*line, "lists "))
      {
        g_auto(GStrv) field = g_strsplit (*line, " ", -1);
        uint64_t      hash  = UINT64_C (0xcbf29ce484222325);
        FbSpacing     spacing;

        g_assert_true (fb_spacing_from_name (field[2], &spacing, NULL));
        for (int n = 1; n < 999; n++)
          {
            g_autoptr(FbSampler) sampler = new_sampler (field[1], &fb_schedule_config_sd, spacing, n, 1.0);
            for (int i = 0; i < n; i++)
              hash = fnv1a_int (hash, fb_sampler_timestep (sampler, i));
          }
        g_assert_cmphex (hash, ==, g_ascii_strtoull (field[3], NULL, 16));
        n_lists++;
      }
  g_assert_cmpint (n_lists, ==, 6);
}

static void
check_list (const char *name, FbSpacing spacing, double strength, const char *expected)
{
  g_auto(GStrv)        field   = g_strsplit (expected, " ", -1);
  int                  n       = g_strv_length (field);
  g_autoptr(FbSampler) sampler = new_sampler (name, &fb_schedule_config_sd, spacing, n, strength);

  for (int i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon (fb_sampler_timestep (sampler, i), g_ascii_strtod (field[i], NULL), 1e-9);
}

/* the lists that Flash students are trained for, and those that diffusers' LCMScheduler runs */
static void
test_few_step_lists (void)
{
  static const char * const flash[] =
  {
    "999", "999 499", "999 666 332", "999 749 499 249", "999 799 599 399 199", "999 832 666 499 332 166",
    "999 856 713 570 428 285 142", "999 874 749 624 499 374 249 124",
    "999 937 874 811 749 687 624 561 499 437 374 311 249 187 124 61",
    "999 968 937 905 874 843 811 780 749 718 687 655 624 593 561 530 499 468 437 405 374 343 311 280 249 218 187 155 124 93 61 30",
  };
  static const char * const lcm[] =
  {
    "999", "999 499", "999 679 339", "999 759 499 259", "999 799 599 399 199", "999 839 679 499 339 179",
    "999 859 719 579 439 299 159", "999 879 759 639 499 379 259 139",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (flash); i++)
    check_list ("flash", FB_SPACING_DEFAULT, 1.0, flash[i]);
  for (size_t i = 0; i < G_N_ELEMENTS (lcm); i++)
    check_list ("lcm", FB_SPACING_DEFAULT, 1.0, lcm[i]);
}

static void
test_strength_keeps_to_trained_steps (void)
{
  check_list ("flash", FB_SPACING_DEFAULT, 0.9, "899 749 499 249");
  check_list ("flash", FB_SPACING_DEFAULT, 0.751, "750 749 499 249");
  check_list ("flash", FB_SPACING_DEFAULT, 0.75, "749 561.5 374 186.5");          /* only two lie below 749 */
  check_list ("flash", FB_SPACING_DEFAULT, 0.9, "899 499");
  check_list ("flash", FB_SPACING_DEFAULT, 0.6, "599 249");                       /* 249 is nearer to 299 than 499 */
  check_list ("flash", FB_SPACING_DEFAULT, 0.6, "599");
  check_list ("flash", FB_SPACING_DEFAULT, 0.9, "899 719 539 359 179");           /* a fifth was not trained */
  check_list ("lcm", FB_SPACING_DEFAULT, 0.5, "499 379 259 119");                 /* 374 is as near to 379, 249 to 259 */
  check_list ("lcm", FB_SPACING_DEFAULT, 0.04, "39 19");
  check_list ("lcm", FB_SPACING_DEFAULT, 0.04, "39 29 19 9");
}

static void
test_strength_lays_even_steps (void)
{
  check_list ("ddim", FB_SPACING_TRAILING, 0.5, "499 374 249 124");
  check_list ("euler", FB_SPACING_LINSPACE, 0.301, "300 200 100 0");
  check_list ("euler", FB_SPACING_LEADING, 0.302, "301 201 101 1");
  check_list ("dpmpp-2m", FB_SPACING_LINSPACE, 0.401, "400 300 200 100");
  check_list ("euler", FB_SPACING_LINSPACE, 0.5, "499");
  check_list ("euler", FB_SPACING_LEADING, 0.003, "2 1.5 1");
  check_list ("euler", FB_SPACING_LEADING, 0.002, "1 0");                            /* 1 is not above the end, which is steps_offset */
}

static void
check_strengths (const char *name, FbSpacing spacing)
{
  for (int n = 1; n <= 25; n += n < 5 ? 1 : 5)
    {
      double previous = -2.0;

      for (int k = 1; k <= 50; k++)
        {
          g_autoptr(FbSampler) sampler = new_sampler (name, &fb_schedule_config_sd, spacing, n, k / 50.0);

          g_assert_cmpint (fb_sampler_n_steps (sampler), ==, n);
          for (int i = 1; i < n; i++)
            g_assert_cmpfloat (fb_sampler_timestep (sampler, i), <, fb_sampler_timestep (sampler, i - 1));
          if (k == 50 && (spacing == FB_SPACING_LEADING || n == 1))
            continue;                                         /* leading does not start at the top; linspace's only step is at 0 */
          g_assert_cmpfloat (fb_sampler_timestep (sampler, 0), >, previous);
          previous = fb_sampler_timestep (sampler, 0);
        }
    }
}

static void
test_50_strengths_start_at_50_levels (void)
{
  int                  n_samplers;
  const FbSamplerInfo *list = fb_sampler_list (&n_samplers);

  for (int k = 0; k < n_samplers; k++)
    for (FbSpacing spacing = FB_SPACING_TRAILING; spacing <= FB_SPACING_LINSPACE; spacing++)
      check_strengths (list[k].name, spacing);
}

static void
test_the_least_strength_keeps_the_picture (void)
{
  static const double  strengths[] = { 1e-300, 1e-6, 0.0005, 0.001 };
  int                  n_samplers;
  const FbSamplerInfo *list = fb_sampler_list (&n_samplers);

  for (int k = 0; k < n_samplers; k++)
    for (size_t m = 0; m < G_N_ELEMENTS (strengths); m++)
      {
        g_autoptr(FbSampler) sampler = new_sampler (list[k].name, &fb_schedule_config_sd, FB_SPACING_LEADING, 3, strengths[m]);
        FbTorchRandom        random;
        float                picture[SIZE], noise[SIZE], latents[SIZE], input[SIZE], output[SIZE];

        fb_torch_random_init (&random, 1);
        fb_torch_random_normal (&random, picture, SIZE);
        fb_torch_random_normal (&random, noise, SIZE);
        fb_sampler_init_noise (sampler, picture, noise, latents, SIZE);
        for (int i = 0; i < 3; i++)
          {
            fb_sampler_model_input (sampler, i, latents, input, SIZE);
            network (input, fb_sampler_timestep (sampler, i), output);
            fb_sampler_step (sampler, i, latents, output, NULL, fb_sampler_needs_noise (sampler, i) ? noise : NULL, SIZE);
          }
        for (int j = 0; j < SIZE; j++)
          g_assert_cmpfloat (fabsf (latents[j] - picture[j]), <, 0.2f);
      }
}

static void
test_strength_1_is_text_to_image (void)
{
  int                  n_samplers;
  const FbSamplerInfo *list = fb_sampler_list (&n_samplers);

  for (int k = 0; k < n_samplers; k++)
    {
      g_autoptr(FbSampler) sampler = new_sampler (list[k].name, &fb_schedule_config_sd, FB_SPACING_TRAILING, 4, 1.0);
      float                picture[SIZE] = { 5.0f }, noise[SIZE] = { 1.0f, -2.0f }, with[SIZE], without[SIZE];

      fb_sampler_init_noise (sampler, picture, noise, with, SIZE);
      fb_sampler_init_noise (sampler, NULL, noise, without, SIZE);
      g_assert_cmpmem (with, sizeof with, without, sizeof without);
    }
}

static void
test_added_noise_ends_at_the_picture (void)
{
  int                  n_samplers;
  const FbSamplerInfo *list = fb_sampler_list (&n_samplers);

  for (int k = 0; k < n_samplers; k++)
    {
      g_autoptr(FbSampler) sampler = new_sampler (list[k].name, &fb_schedule_config_sd, FB_SPACING_TRAILING, 4, 1.0);
      float                picture[2] = { 0.0f, -3.0f }, noise[2] = { 1.0f, 2.0f }, last = G_MAXFLOAT, out[2];

      for (int i = 0; i < 4; i++)
        {
          fb_sampler_add_noise (sampler, i, picture, noise, out, 2);
          fb_sampler_model_input (sampler, i, out, out, 2);
          g_assert_cmpfloat (out[0], <, last);                     /* the share of noise, in variance-preserving scale */
          last = out[0];
        }
      fb_sampler_add_noise (sampler, 4, picture, noise, out, 2);
      g_assert_cmpmem (out, sizeof out, picture, sizeof picture);
    }
}

/* The exact ε for pictures that are normally distributed with @mean and @deviation: z − a mean then stays in proportion to z's
 * deviation. Stops at timestep 249, which all lists of 4 k trailing steps hold, if @at_249; else at the end. */
static double
distance_from_exact_solution (const char *name, int n_steps, gboolean at_249)
{
  const double          mean = 0.3, deviation = 0.5;
  g_autoptr(FbSchedule) schedule = fb_schedule_new (&fb_schedule_config_sd, NULL);
  g_autoptr(FbSampler)  sampler  = new_sampler (name, &fb_schedule_config_sd, FB_SPACING_TRAILING, n_steps, 1.0);
  double                start = 0.0;                                          /* in deviations */
  float                 z = 0.7f;

  for (int i = 0; i < n_steps; i++)
    {
      double sigma = fb_schedule_sigma (schedule, fb_sampler_timestep (sampler, i));
      double a = 1.0 / sqrt (1.0 + sigma * sigma), s = sigma * a;
      double variance = a * a * deviation * deviation + s * s;
      float  epsilon = (float) (s * (z - a * mean) / variance);

      if (i == 0)
        start = (z - a * mean) / sqrt (variance);
      if (at_249 && i == n_steps * 3 / 4)
        return fabs ((z - a * mean) / sqrt (variance) - start);
      fb_sampler_step (sampler, i, &z, &epsilon, NULL, NULL, 1);
    }
  return fabs ((z - mean) / deviation - start);
}

static void
test_dpmpp_2m_converges_to_the_exact_solution (void)
{
  double previous = distance_from_exact_solution ("dpmpp-2m", 8, TRUE);
  double whole    = distance_from_exact_solution ("dpmpp-2m", 8, FALSE);

  for (int n = 16; n <= 128; n *= 2)
    {
      double error = distance_from_exact_solution ("dpmpp-2m", n, TRUE);
      double first = distance_from_exact_solution ("ddim", n, TRUE);
      double end   = distance_from_exact_solution ("dpmpp-2m", n, FALSE);

      g_test_message ("%d steps: %.2g, of first order %.2g; at the end %.2g", n, error, first, end);
      g_assert_cmpfloat (error, <, previous / 3.0);                           /* second order: a quarter */
      g_assert_cmpfloat (error, <, first / 5.0);
      g_assert_cmpfloat (end, <, whole);
      previous = error;
      whole    = end;
    }
}

static void
test_unknown_names_are_answered_with_known_ones (void)
{
  g_autoptr(GError) error = NULL, nothing_near = NULL;

  g_assert_null (fb_sampler_find ("dpm++2m", &error));
  g_assert_error (error, FB_SAMPLER_ERROR, FB_SAMPLER_ERROR_UNKNOWN);
  g_assert_cmpstr (error->message, ==, "There is no sampler “dpm++2m”. Did you mean “dpmpp-2m”?");
  g_assert_null (fb_sampler_find ("", &nothing_near));
  g_assert_nonnull (strstr (nothing_near->message, "Known samplers: flash, lcm, dpmpp-2m, euler, euler-ancestral, ddim."));
  g_assert_cmpstr (fb_sampler_find ("lcm", NULL)->label, ==, "LCM");
}

static void
check_refused (const char *name, int n_steps, double strength, int code)
{
  g_autoptr(FbSchedule) schedule = fb_schedule_new (&fb_schedule_config_sd, NULL);
  g_autoptr(GError)     error    = NULL;
  FbSamplerParams       params   = { n_steps, FB_SPACING_DEFAULT, strength };

  g_assert_null (fb_sampler_new (name, schedule, &params, &error));
  g_assert_error (error, FB_SAMPLER_ERROR, code);
}

static void
test_impossible_runs_are_refused (void)
{
  check_refused ("euler", 0, 1.0, FB_SAMPLER_ERROR_STEPS);
  check_refused ("euler", 1001, 1.0, FB_SAMPLER_ERROR_STEPS);
  check_refused ("lcm", 51, 1.0, FB_SAMPLER_ERROR_STEPS);
  check_refused ("ddim", 4, 0.0, FB_SAMPLER_ERROR_STRENGTH);
  check_refused ("ddim", 4, 1.01, FB_SAMPLER_ERROR_STRENGTH);
  check_refused ("ddim", 4, NAN, FB_SAMPLER_ERROR_STRENGTH);
}

/* every sampler, spacing and number of steps there may be gives finite latents */
static void
test_every_number_of_steps_stays_finite (void)
{
  int                  n_samplers;
  const FbSamplerInfo *list = fb_sampler_list (&n_samplers);

  for (int k = 0; k < n_samplers; k++)
    for (FbSpacing spacing = FB_SPACING_TRAILING; spacing <= FB_SPACING_LINSPACE; spacing++)
      for (int n = 1; n <= (g_str_equal (list[k].name, "lcm") ? 50 : 1000); n += n < 20 ? 1 : n < 980 ? 37 : 1)
        {
          g_autoptr(FbSampler) sampler = new_sampler (list[k].name, &fb_schedule_config_sd, spacing, n, 1.0);
          float                noise[SIZE] = { 1.0f, -1.0f, 0.5f }, latents[SIZE], input[SIZE], output[SIZE];

          fb_sampler_init_noise (sampler, NULL, noise, latents, SIZE);
          for (int i = 0; i < n; i++)
            {
              fb_sampler_model_input (sampler, i, latents, input, SIZE);
              network (input, fb_sampler_timestep (sampler, i), output);
              fb_sampler_step (sampler, i, latents, output, NULL, fb_sampler_needs_noise (sampler, i) ? noise : NULL, SIZE);
            }
          for (int j = 0; j < SIZE; j++)
            g_assert_true (isfinite (latents[j]));
        }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/samplers/runs-are-diffusers", test_runs_are_diffusers);
  g_test_add_func ("/core/samplers/lists-of-every-length-are-diffusers", test_lists_of_every_length_are_diffusers);
  g_test_add_func ("/core/samplers/few-step-lists", test_few_step_lists);
  g_test_add_func ("/core/samplers/strength-keeps-to-trained-steps", test_strength_keeps_to_trained_steps);
  g_test_add_func ("/core/samplers/strength-lays-even-steps", test_strength_lays_even_steps);
  g_test_add_func ("/core/samplers/50-strengths-start-at-50-levels", test_50_strengths_start_at_50_levels);
  g_test_add_func ("/core/samplers/the-least-strength-keeps-the-picture", test_the_least_strength_keeps_the_picture);
  g_test_add_func ("/core/samplers/strength-1-is-text-to-image", test_strength_1_is_text_to_image);
  g_test_add_func ("/core/samplers/added-noise-ends-at-the-picture", test_added_noise_ends_at_the_picture);
  g_test_add_func ("/core/samplers/dpmpp-2m-converges-to-the-exact-solution", test_dpmpp_2m_converges_to_the_exact_solution);
  g_test_add_func ("/core/samplers/unknown-names-are-answered-with-known-ones", test_unknown_names_are_answered_with_known_ones);
  g_test_add_func ("/core/samplers/impossible-runs-are-refused", test_impossible_runs_are_refused);
  g_test_add_func ("/core/samplers/every-number-of-steps-stays-finite", test_every_number_of_steps_stays_finite);
  return g_test_run ();
}
