/* tests/core/test-schedule.c: noise schedules and scheduler_config.json. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/samplers/schedule.h"

#include <math.h>
#include <string.h>

static FbSchedule *
parse (const char *json, GError **error)
{
  g_autoptr(JsonParser) parser = json_parser_new ();
  g_autoptr(GError)     broken = NULL;

  json_parser_load_from_data (parser, json, -1, &broken);
  g_assert_no_error (broken);
  return fb_schedule_new_from_json (json_node_get_object (json_parser_get_root (parser)), error);
}

static void
check_levels (const FbSchedule *schedule, const double (*levels)[3], int n)
{
  for (int i = 0; i < n; i++)
    {
      double sigma = fb_schedule_sigma (schedule, levels[i][0]);
      double a     = 1.0 / sqrt (1.0 + sigma * sigma);

      g_assert_cmpfloat_with_epsilon (a, levels[i][1], 6e-6);                 /* half of the table's last place */
      g_assert_cmpfloat_with_epsilon (sigma * a, levels[i][2], 6e-6);
    }
}

/* t, a, s as published for Stable Diffusion, PixArt and the x4 upscaler */
static void
test_levels_are_the_published_ones (void)
{
  static const double sd[][3]     = { { 999, .06826, .99767 }, { 749, .23796, .97128 }, { 499, .52694, .84990 }, { 249, .82185, .56971 } };
  static const double pixart[][3] = { { 999, .00635, .99998 }, { 749, .05788, .99832 }, { 499, .28033, .95990 }, { 249, .72394, .68987 } };
  static const double upscaler[][3] = { { 749, .19648, .98051 }, { 499, .57722, .81659 }, { 249, .90638, .42247 }, { 20, .99865, .05195 } };
  g_autoptr(FbSchedule) a = fb_schedule_new (&fb_schedule_config_sd, NULL);
  g_autoptr(FbSchedule) b = parse ("{}", NULL);
  g_autoptr(FbSchedule) c = parse ("{\"beta_schedule\": \"scaled_linear\"}", NULL);

  check_levels (a, sd, G_N_ELEMENTS (sd));
  check_levels (b, pixart, G_N_ELEMENTS (pixart));
  check_levels (c, upscaler, G_N_ELEMENTS (upscaler));
}

static void
test_sigma_is_linear_between_timesteps (void)
{
  g_autoptr(FbSchedule) s = fb_schedule_new (&fb_schedule_config_sd, NULL);

  g_assert_cmpfloat_with_epsilon (fb_schedule_sigma (s, 500.25),
                                  0.75 * fb_schedule_sigma (s, 500) + 0.25 * fb_schedule_sigma (s, 501), 1e-12);
  g_assert_cmpfloat_with_epsilon (fb_schedule_sigma (s, -0.25), 0.75 * fb_schedule_sigma (s, 0), 1e-12);
  g_assert_cmpfloat (fb_schedule_sigma (s, -1), ==, 0.0);
}

static void
test_a_published_file_is_understood (void)
{
  g_autoptr(GError)     error = NULL;
  g_autoptr(FbSchedule) s = parse ("{\"_class_name\": \"PNDMScheduler\", \"beta_start\": 0.00085, \"beta_end\": 0.012,"
                                   " \"beta_schedule\": \"scaled_linear\", \"num_train_timesteps\": 1000, \"set_alpha_to_one\": false,"
                                   " \"skip_prk_steps\": true, \"steps_offset\": 1, \"trained_betas\": null, \"clip_sample\": false}", &error);

  g_assert_no_error (error);
  g_assert_cmpint (s->config.n_train, ==, 1000);
  g_assert_cmpint (s->config.spacing, ==, FB_SPACING_LEADING);                /* PNDM's own default */
  g_assert_cmpint (s->config.prediction, ==, FB_PREDICT_EPSILON);
  g_assert_cmpint (s->config.steps_offset, ==, 1);
  g_assert_false (s->config.set_alpha_to_one);
  g_assert_null (s->config.trained_betas);
}

static void
test_missing_keys_take_their_class_defaults (void)
{
  g_autoptr(FbSchedule) euler = parse ("{\"_class_name\": \"EulerDiscreteScheduler\", \"prediction_type\": \"v_prediction\"}", NULL);
  g_autoptr(FbSchedule) lcm   = parse ("{\"_class_name\": \"LCMScheduler\"}", NULL);
  g_autoptr(FbSchedule) pndm  = parse ("{\"_class_name\": \"PNDMScheduler\", \"timestep_spacing\": \"trailing\"}", NULL);

  g_assert_cmpint (euler->config.spacing, ==, FB_SPACING_LINSPACE);
  g_assert_cmpint (euler->config.prediction, ==, FB_PREDICT_V);
  g_assert_true (euler->config.set_alpha_to_one);
  g_assert_cmpfloat (lcm->config.beta_end, ==, 0.012);
  g_assert_cmpint (lcm->config.betas, ==, FB_BETAS_SCALED_LINEAR);
  g_assert_cmpint (pndm->config.spacing, ==, FB_SPACING_TRAILING);
  g_assert_false (pndm->config.set_alpha_to_one);
}

static void
test_trained_betas_replace_the_formula (void)
{
  g_autoptr(FbSchedule) s = parse ("{\"num_train_timesteps\": 3, \"trained_betas\": [0.5, 0.25, 0.5]}", NULL);

  g_assert_nonnull (s);
  g_assert_cmpfloat_with_epsilon (s->alphas_cumprod[2], 0.5 * 0.75 * 0.5, 1e-7);
}

static void
test_zero_snr_ends_in_noise (void)
{
  g_autoptr(FbSchedule) plain = parse ("{\"beta_schedule\": \"scaled_linear\"}", NULL);
  g_autoptr(FbSchedule) zero  = parse ("{\"beta_schedule\": \"scaled_linear\", \"rescale_betas_zero_snr\": true}", NULL);

  g_assert_cmpfloat (zero->alphas_cumprod[999], ==, 0x1p-24);
  g_assert_cmpfloat_with_epsilon (zero->alphas_cumprod[0], plain->alphas_cumprod[0], 1e-12);
  for (int t = 1; t < 1000; t++)
    g_assert_cmpfloat (zero->alphas_cumprod[t], <, zero->alphas_cumprod[t - 1]);
}

static void
test_what_cannot_be_run_is_refused_by_name (void)
{
  static const struct { const char *json, *part; } cases[] =
  {
    { "{\"beta_schedule\": \"squaredcos_cap_v2\"}",          "squaredcos_cap_v2" },
    { "{\"prediction_type\": \"sample\"}",                   "sample" },
    { "{\"timestep_spacing\": \"random\"}",                  "random" },
    { "{\"thresholding\": true}",                            "thresholding" },
    { "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\"}", "FlowMatchEulerDiscreteScheduler" },
    { "{\"beta_start\": \"0.1\"}",                           "beta_start" },
    { "{\"beta_start\": [0.1]}",                             "beta_start" },
    { "{\"beta_end\": 1.5}",                                 "beta_end" },
    { "{\"beta_end\": -1}",                                  "beta_end" },
    { "{\"num_train_timesteps\": 1}",                        "num_train_timesteps" },
    { "{\"num_train_timesteps\": 2000000000}",               "num_train_timesteps" },
    { "{\"num_train_timesteps\": 99999999999}",              "num_train_timesteps" },
    { "{\"num_train_timesteps\": 10.5}",                     "num_train_timesteps" },
    { "{\"num_train_timesteps\": 100000, \"beta_end\": 0.9}", "last timestep" },
    { "{\"steps_offset\": -1}",                              "steps_offset" },
    { "{\"steps_offset\": 1000}",                            "steps_offset" },
    { "{\"set_alpha_to_one\": 1}",                           "set_alpha_to_one" },
    { "{\"trained_betas\": [0.1]}",                          "trained_betas" },
    { "{\"trained_betas\": 0.1}",                            "trained_betas" },
    { "{\"num_train_timesteps\": 2, \"trained_betas\": [0.1, {}]}",  "trained_betas" },
    { "{\"num_train_timesteps\": -2, \"trained_betas\": [0.1]}",     "num_train_timesteps" },
    { "{\"num_train_timesteps\": 2, \"trained_betas\": [0.1, 7]}",   "trained_betas" },
    { "{\"_class_name\": {}}",                               "_class_name" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError)     error    = NULL;
      g_autoptr(FbSchedule) schedule = parse (cases[i].json, &error);

      g_assert_null (schedule);
      g_assert_nonnull (error);
      if (strstr (error->message, cases[i].part) == NULL)
        g_error ("%s: “%s” lacks “%s”", cases[i].json, error->message, cases[i].part);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/samplers/schedule/levels-are-the-published-ones", test_levels_are_the_published_ones);
  g_test_add_func ("/core/samplers/schedule/sigma-is-linear-between-timesteps", test_sigma_is_linear_between_timesteps);
  g_test_add_func ("/core/samplers/schedule/a-published-file-is-understood", test_a_published_file_is_understood);
  g_test_add_func ("/core/samplers/schedule/missing-keys-take-their-class-defaults", test_missing_keys_take_their_class_defaults);
  g_test_add_func ("/core/samplers/schedule/trained-betas-replace-the-formula", test_trained_betas_replace_the_formula);
  g_test_add_func ("/core/samplers/schedule/zero-snr-ends-in-noise", test_zero_snr_ends_in_noise);
  g_test_add_func ("/core/samplers/schedule/what-cannot-be-run-is-refused-by-name", test_what_cannot_be_run_is_refused_by_name);
  return g_test_run ();
}
