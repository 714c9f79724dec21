/* tests/core/distill/test-job.c: job files: what they may say, and what they are told. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "core/distill/job.h"
#include "core/distill/lora-set.h"
#include "core/formats/json-file.h"
#include "core/models/model.h"
#include "core/models/unet.h"
#include "tests/core/scratch.h"

#define GOOD "\"teacher\": \"starter\", \"pictures\": \"pics\""

static FbDistillJob *
parse (const char *text, GError **error)
{
  g_autoptr(JsonObject) json = fb_json_parse_object (text, strlen (text), "job.json", error);

  return json != NULL ? fb_distill_job_parse (json, "job.json", error) : NULL;
}

static FbDistillJob *
parse_good (const char *text)
{
  g_autoptr(GError) error = NULL;
  FbDistillJob     *job   = parse (text, &error);

  g_assert_no_error (error);
  return job;
}

/* each bad job is refused with a sentence that holds these words, the field's name among them */
static const struct { const char *json, *field, *words; } bad[] =
{
  { "{ \"pictures\": \"pics\" }", "teacher", "missing" },
  { "{ \"teacher\": \"\", \"pictures\": \"pics\" }", "teacher", "missing" },
  { "{ \"teacher\": \"a\" }", "pictures", "missing" },
  { "{ " GOOD ", \"prompts\": [ \"a cat\" ] }", "pictures", "too many" },
  { "{ \"teacher\": 3, \"pictures\": \"pics\" }", "teacher", "text in quotes" },
  { "{ \"teacher\": \"a\", \"prompts\": [] }", "prompts", "list" },
  { "{ \"teacher\": \"a\", \"prompts\": \"a cat\" }", "prompts", "list" },
  { "{ \"teacher\": \"a\", \"prompts\": [ \"a cat\", 3 ] }", "prompts", "number 2" },
  { "{ " GOOD ", \"learning_rat\": 0.1 }", "learning_rat", "“learning_rate”" },
  { "{ " GOOD ", \"learning_rate\": 0 }", "learning_rate", "number from" },
  { "{ " GOOD ", \"learning_rate\": \"fast\" }", "learning_rate", "number from" },
  { "{ " GOOD ", \"steps\": 0 }", "steps", "whole number from 1" },
  { "{ " GOOD ", \"steps\": 1.5 }", "steps", "whole number" },
  { "{ " GOOD ", \"steps\": 1e300 }", "steps", "whole number" },
  { "{ " GOOD ", \"steps\": true }", "steps", "whole number" },
  { "{ " GOOD ", \"batch_size\": -1 }", "batch_size", "whole number from 1" },
  { "{ " GOOD ", \"seed\": -1 }", "seed", "whole number from 0" },
  { "{ " GOOD ", \"teacher_steps\": 1001 }", "teacher_steps", "1000" },
  { "{ " GOOD ", \"guidance_min\": 9, \"guidance_max\": 3 }", "guidance_max", "guidance_min" },
  { "{ " GOOD ", \"guidance_min\": 0.5 }", "guidance_min", "from 1" },
  { "{ " GOOD ", \"width\": 128 }", "height", "both sides" },
  { "{ " GOOD ", \"aspect_buckets\": 1 }", "aspect_buckets", "true or false" },
  { "{ " GOOD ", \"distance\": \"l3\" }", "distance", "l2" },
  { "{ " GOOD ", \"distance\": \"lpips\" }", "lpips_weights", "needs a safetensors file" },
  { "{ " GOOD ", \"distance\": \"lpips\", \"lpips_weights\": \"\" }", "lpips_weights", "“l2”" },
  { "{ " GOOD ", \"lpips_weights\": 3 }", "lpips_weights", "text in quotes" },
  { "{ " GOOD ", \"beta2\": 1 }", "beta2", "number from 0" },
  { "{ " GOOD ", \"lora_targets\": [] }", "lora_targets", "list" },
  { "{ " GOOD ", \"dtype\": \"f16\" }", "dtype", "bf16" },
  { "{ " GOOD ", \"naming\": \"none\" }", "naming", "kohya" },
  { "{ " GOOD ", \"output\": \"\" }", "output", "name of a file" },
  { "{ " GOOD ", \"preset\": \"smal\" }", "smal", "“small”" },
  { "{ " GOOD ", \"phases\": [] }", "phases", "one to sixteen" },
  { "{ " GOOD ", \"phases\": [ 3 ] }", "phases[0]", "object" },
  { "{ " GOOD ", \"phases\": [ { \"modes\": [ 1, 1, 1, 1 ] } ] }", "phases[0].steps", "missing" },
  { "{ " GOOD ", \"phases\": [ { \"steps\": 5 } ] }", "phases[0].modes", "four numbers" },
  { "{ " GOOD ", \"phases\": [ { \"steps\": 5, \"modes\": [ 0, 0, 0, 0 ] } ] }", "phases[0].modes", "above 0" },
  { "{ " GOOD ", \"phases\": [ { \"steps\": 5, \"modes\": [ 1, -1, 0, 0 ] } ] }", "phases[0].modes", "number from 0" },
  { "{ " GOOD ", \"phases\": [ { \"steps\": 5, \"modes\": [ 1, 1, 0, 0 ], \"dmd\": 1 } ] }", "phases[0].dmd", "not a field" },
  { "{ " GOOD ", \"steps\": 6, \"phases\": [ { \"steps\": 5, \"modes\": [ 1, 1, 0, 0 ] } ] }", "phases", "as many steps" },
};

static void
test_a_bad_job_names_the_field (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr(GError)       error = NULL;
      g_autoptr(FbDistillJob) job   = parse (bad[i].json, &error);
      g_autofree char        *field = g_strdup_printf ("“%s”", bad[i].field);

      g_test_message ("%s", bad[i].json);
      g_assert_null (job);
      g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD);
      g_test_message ("%s", error->message);
      g_assert_nonnull (strstr (error->message, field));
      g_assert_nonnull (strstr (error->message, bad[i].words));
      g_assert_nonnull (strstr (error->message, "job.json"));
    }
}

static void
test_lpips_takes_weights (void)
{
  g_autoptr(FbDistillJob) job   = parse_good ("{ " GOOD ", \"distance\": \"lpips\", \"lpips_weights\": \"vgg.safetensors\" }");
  g_autoptr(FbDistillJob) other = fb_distill_job_new_preset ("sd-1.5", NULL);
  g_autofree char        *json  = fb_distill_job_to_json (job);

  g_assert_cmpstr (job->distance, ==, "lpips");
  g_assert_cmpstr (job->lpips_weights, ==, "vgg.safetensors");
  g_assert_nonnull (strstr (json, "vgg.safetensors"));
  g_assert_cmpstr (other->distance, ==, "l2");                   /* no preset can know where somebody keeps the weights */
}

/* settings of Flash Diffusion, arXiv:2406.02347; steps are updates, of which the published counters count two per batch */
static void
test_the_presets_are_the_papers (void)
{
  g_autoptr(FbDistillJob) sd = fb_distill_job_new_preset ("sd-1.5", NULL);

  g_assert_cmpint (sd->steps, ==, 10000);
  g_assert_cmpint (sd->teacher_steps, ==, 32);
  g_assert_cmpint (sd->batch_size, ==, 4);
  g_assert_cmpint (sd->lora_rank, ==, 128);
  g_assert_cmpfloat (sd->lora_alpha, ==, 128.0);
  g_assert_cmpfloat (sd->learning_rate, ==, 1e-5);
  g_assert_cmpfloat (sd->guidance_max, ==, 13.0);
  g_assert_cmpfloat (sd->phases[3].matching, ==, 0.7);
  g_assert_cmpfloat (sd->phases[2].adversarial, ==, 0.2);
  g_assert_cmpint (sd->phases[0].n_steps, ==, 2500);
  g_assert_cmpstr (fb_distill_preset_for ("sd-1.5", 128), ==, "small");
  g_assert_cmpstr (fb_distill_preset_for ("sd-1.5-inpainting", 512), ==, "sd-1.5");
}

/* a preset that is offered trains: its family loads, and each of its targets is a layer there */
static void
test_offered_presets_fit_their_family (void)
{
  g_autofree char    *path  = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);      /* of the family sd-1.5 */
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbModel)  model = fb_model_open (path, NULL, NULL, NULL, FB_DTYPE_F32, &error);

  g_assert_no_error (error);
  for (const char * const *name = fb_distill_presets (); *name != NULL; name++)
    {
      g_autoptr(FbDistillJob) job = fb_distill_job_new_preset (*name, &error);

      g_assert_no_error (error);
      g_assert_true (g_str_equal (*name, "small") || g_str_equal (*name, fb_model_family (model)));
      for (char **target = job->lora_targets; *target != NULL; target++)
        {
          const char           *targets[] = { *target, NULL };
          const FbLoraSettings  settings  = { job->lora_rank, job->lora_alpha, targets, 0 };

          g_test_message ("%s: %s", *name, *target);
          g_assert_cmpuint (fb_lora_n_values (fb_unet_params (fb_model_unet (model)), &settings), >, 0);
        }
    }
}

static void
test_families_that_cannot_be_trained_are_said_to_be (void)
{
  static const char * const names[] = { "sdxl", "pixart-alpha" };

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_false (g_strv_contains (fb_distill_presets (), names[i]));
      g_assert_null (fb_distill_job_new_preset (names[i], &error));
      g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_UNSUPPORTED);
      g_assert_nonnull (strstr (error->message, names[i]));
      g_assert_nonnull (strstr (error->message, "small, sd-1.5"));
    }
}

static void
test_a_written_job_reads_the_same (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(FbDistillJob) job    = parse_good ("{ \"preset\": \"small\", \"teacher\": \"starter\", \"prompts\": [ \"a “cat”\", \"b\" ], \"steps\": 7,"
                                               " \"seed\": 9007199254740991, \"aspect_buckets\": true, \"learning_rate\": 0.00012 }");
  g_autoptr(FbDistillJob) again  = NULL;
  g_autofree char        *one    = NULL;
  g_autofree char        *two    = NULL;
  g_autoptr(GError)       error  = NULL;

  g_free (job->path);
  job->path = g_build_filename (folder, "job.json", NULL);
  g_assert_true (fb_distill_job_save (job, &error));
  g_assert_no_error (error);
  again = fb_distill_job_load (job->path, &error);
  g_assert_no_error (error);
  one = fb_distill_job_to_json (job);
  two = fb_distill_job_to_json (again);
  g_assert_cmpstr (one, ==, two);
  g_assert_cmpint (again->seed, ==, 9007199254740991);

  g_assert_false (fb_distill_job_save (job, &error));            /* never over another */
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "already"));
}

static void
test_phases_stretch_to_the_steps (void)
{
  g_autoptr(FbDistillJob) job = parse_good ("{ " GOOD ", \"steps\": 10 }");
  int                     sum = 0;

  for (int i = 0; i < 4; i++)
    sum += job->phases[i].n_steps;
  g_assert_cmpint (sum, ==, 10);
}

static void
test_the_digest_covers_what_is_computed (void)
{
  static const struct { const char *json; gboolean same; } cases[] =
  {
    { "{ " GOOD ", \"checkpoint_every\": 3 }", TRUE },
    { "{ " GOOD ", \"output\": \"other.safetensors\" }", TRUE },
    { "{ " GOOD ", \"sample_every\": 0 }", TRUE },
    { "{ " GOOD ", \"seed\": 1 }", FALSE },
    { "{ " GOOD ", \"learning_rate\": 0.5 }", FALSE },
    { "{ " GOOD ", \"distance\": \"lpips\", \"lpips_weights\": \"a\" }", FALSE },
    { "{ " GOOD ", \"steps\": 10 }", FALSE },
    { "{ " GOOD ", \"lora_targets\": [ \"to_q\" ] }", FALSE },
  };
  g_autoptr(FbDistillJob) job    = parse_good ("{ " GOOD " }");
  g_autofree char        *digest = fb_distill_job_digest (job);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(FbDistillJob) other        = parse_good (cases[i].json);
      g_autofree char        *other_digest = fb_distill_job_digest (other);

      g_assert_cmpint (g_str_equal (digest, other_digest), ==, cases[i].same);
    }
}

/* what may change while a job is paused, and what makes it another */
static void
test_a_changed_job_says_what_has_changed (void)
{
  static const struct { const char *json, *tuned, *other; } cases[] =
  {
    { "{ " GOOD " }", NULL, NULL },
    { "{ \"teacher\": \"moved\", \"pictures\": \"moved too\" }", NULL, NULL },
    { "{ " GOOD ", \"checkpoint_every\": 3, \"memory\": 100 }", NULL, NULL },
    { "{ " GOOD ", \"learning_rate\": 0.5, \"clip\": 2, \"threads\": 1 }", "“learning_rate”, “clip”, “threads”", NULL },
    { "{ " GOOD ", \"samples_per_call\": 3, \"seed\": 1 }", "“samples_per_call”", "“seed”" },
    { "{ " GOOD ", \"lora_targets\": [ \"to_q\" ], \"lora_rank\": 3 }", NULL, "“lora_rank”, “lora_targets”" },
    { "{ " GOOD ", \"steps\": 10 }", NULL, "“steps”, “phases”" },
  };
  g_autoptr(FbDistillJob) job      = parse_good ("{ " GOOD " }");
  g_autofree char        *settings = fb_distill_job_settings (job);
  char                   *tuned, *other;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(FbDistillJob) now = parse_good (cases[i].json);

      g_assert_true (fb_distill_job_compare (now, settings, &tuned, &other));
      g_assert_cmpstr (tuned, ==, cases[i].tuned);
      g_assert_cmpstr (other, ==, cases[i].other);
      g_free (tuned);
      g_free (other);
    }
  g_assert_false (fb_distill_job_compare (job, "[ 1 ]", &tuned, &other));
  g_assert_false (fb_distill_job_compare (job, "{ \"seed\":", &tuned, &other));
}

static void
test_paths_start_at_the_jobs_folder (void)
{
  g_autoptr(FbDistillJob) job    = parse_good ("{ " GOOD " }");
  g_autofree char        *folder = NULL;
  g_autofree char        *output = NULL;
  g_autofree char        *pics   = NULL;

  g_free (job->path);
  job->path = g_strdup ("/a/b/cats.json");
  folder = fb_distill_job_folder (job);
  output = fb_distill_job_output (job);
  pics   = fb_distill_job_resolve (job, job->pictures);
  g_assert_cmpstr (folder, ==, "/a/b/cats");
  g_assert_cmpstr (output, ==, "/a/b/cats/lora.safetensors");
  g_assert_cmpstr (pics, ==, "/a/b/pics");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/distill/job/a-bad-one-names-the-field", test_a_bad_job_names_the_field);
  g_test_add_func ("/core/distill/job/lpips-takes-weights", test_lpips_takes_weights);
  g_test_add_func ("/core/distill/job/presets-are-the-papers", test_the_presets_are_the_papers);
  g_test_add_func ("/core/distill/job/offered-presets-fit-their-family", test_offered_presets_fit_their_family);
  g_test_add_func ("/core/distill/job/families-that-cannot-be-trained-are-said-to-be", test_families_that_cannot_be_trained_are_said_to_be);
  g_test_add_func ("/core/distill/job/a-written-one-reads-the-same", test_a_written_job_reads_the_same);
  g_test_add_func ("/core/distill/job/phases-stretch-to-the-steps", test_phases_stretch_to_the_steps);
  g_test_add_func ("/core/distill/job/the-digest-covers-what-is-computed", test_the_digest_covers_what_is_computed);
  g_test_add_func ("/core/distill/job/a-changed-one-says-what-has-changed", test_a_changed_job_says_what_has_changed);
  g_test_add_func ("/core/distill/job/paths-start-at-its-folder", test_paths_start_at_the_jobs_folder);
  return g_test_run ();
}
