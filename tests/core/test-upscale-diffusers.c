/* tests/core/test-upscale-diffusers.c: super-resolution against diffusers' pipeline, step by step.
 * tests/golden/upscale/make.py made model and pictures. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/upscale-request.h"

#include "core/samplers/sampler.h"
#include "core/samplers/torch-random.h"
#include "core/text/prompt.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#define TOLERANCE 1e-4       /* ‖a − b‖ / ‖b‖ in f32 */

static void
assert_close (const float *a, const float *b, size_t n, const char *what)
{
  double off = 0.0, norm = 0.0;

  for (size_t i = 0; i < n; i++)
    {
      off  += pow ((double) a[i] - b[i], 2.0);
      norm += pow (b[i], 2.0);
    }
  g_test_message ("%s: relative error %.2e", what, sqrt (off / norm));
  g_assert_cmpfloat (sqrt (off / norm), <, TOLERANCE);
}

/* Sets the strings and numbers of case @c. */
static void
set_case (FbUpscale *request, JsonObject *c)
{
  FbGenerate *g = request->generate;

  g_set_str (&g->prompt, json_object_get_string_member (c, "prompt"));
  g_set_str (&g->negative_prompt, json_object_get_string_member (c, "negative_prompt"));
  g_set_str (&g->sampler, json_object_get_string_member (c, "sampler"));
  g_set_str (&g->timestep_spacing, json_object_get_string_member (c, "spacing"));
  g->n_steps           = json_object_get_int_member (c, "steps");
  g->guidance_scale    = json_object_get_double_member (c, "guidance_scale");
  g->seed              = json_object_get_int_member (c, "seed");
  request->noise_level = json_object_get_int_member (c, "noise_level");
  request->faithful    = FB_FAITHFUL_NONE;
}

/* (transfer full): [77, width]: the text model's output for @prompt */
static float *
encode (FbModel *model, const char *prompt)
{
  g_autoptr(GError)         error  = NULL;
  g_autoptr(FbPromptTokens) tokens = fb_prompt_tokenize (fb_model_tokenizer (model, &error), prompt, &error);
  float                    *out;

  g_assert_no_error (error);
  out = g_new (float, (size_t) FB_MODEL_CHUNK * fb_model_info (model)->context_width);
  g_assert_true (fb_model_encode_text (model, tokens->ids, 1, 0, out, NULL, &error));

  return out;
}

static void
denoise (FbModel *model, const FbUpscale *request, const float *input, double timestep, const float *context, float *out)
{
  g_autoptr(GError) error = NULL;
  FbDenoise         call  = { .latents = input, .n = 1, .height = request->image->height, .width = request->image->width, .timestep = timestep,
                              .context = context, .n_tokens = FB_MODEL_CHUNK, .class_label = request->noise_level };

  g_assert_true (fb_model_denoise (model, &call, out, NULL, &error));
  g_assert_no_error (error);
}

/* One case's run, written out: the latents after each step are @expected's, [n_steps, C, h, w]. */
static void
check_steps (const FbUpscale *request, FbModel *model, const float *expected)
{
  enum { C = 4 };
  const FbGenerate     *g        = request->generate;
  const FbImage        *image    = request->image;
  const size_t          n_pixels = (size_t) image->width * image->height;
  const FbSchedule     *low_res  = fb_model_low_res_schedule (model);
  const double          kept     = low_res->alphas_cumprod[request->noise_level];
  FbSamplerParams       params   = { .n_steps = g->n_steps, .strength = 1.0 };
  g_autoptr(GError)     error    = NULL;
  g_autoptr(FbSampler)  sampler  = NULL;
  g_autofree float     *shown    = g_new (float, n_pixels * 3);
  g_autofree float     *latents  = g_new (float, n_pixels * C);
  g_autofree float     *scaled   = g_new (float, n_pixels * C);
  g_autofree float     *input    = g_new (float, n_pixels * (C + 3));
  g_autofree float     *sorted   = g_new (float, n_pixels * C);
  g_autofree float     *guided   = g_new (float, n_pixels * C);
  g_autofree float     *plain    = g_new (float, n_pixels * C);
  g_autofree float     *positive = encode (model, g->prompt);
  g_autofree float     *negative = encode (model, g->negative_prompt);
  FbTorchRandom         random;

  g_assert_true (fb_spacing_from_name (g->timestep_spacing, &params.spacing, &error));
  sampler = fb_sampler_new (g->sampler, fb_model_schedule (model), &params, &error);
  g_assert_no_error (error);
  fb_torch_random_init (&random, g->seed);
  fb_latents_noise (&random, shown, 3, image->height, image->width);
  for (size_t i = 0; i < 3 * n_pixels; i++)
    shown[i] = sqrt (kept) * (2.0f * image->pixels[i] - 1.0f) + sqrt (1.0 - kept) * shown[i];
  fb_latents_noise (&random, latents, C, image->height, image->width);
  fb_sampler_init_noise (sampler, NULL, latents, latents, n_pixels * C);

  for (int i = 0; i < g->n_steps; i++)
    {
      fb_sampler_model_input (sampler, i, latents, scaled, n_pixels * C);
      for (size_t p = 0; p < n_pixels; p++)
        {
          memcpy (input + p * (C + 3), scaled + p * C, C * sizeof (float));
          memcpy (input + p * (C + 3) + C, shown + p * 3, 3 * sizeof (float));
        }
      denoise (model, request, input, fb_sampler_timestep (sampler, i), positive, guided);
      denoise (model, request, input, fb_sampler_timestep (sampler, i), negative, plain);
      for (size_t p = 0; p < n_pixels * C; p++)
        guided[p] = plain[p] + (float) g->guidance_scale * (guided[p] - plain[p]);
      fb_sampler_step (sampler, i, latents, guided, NULL, NULL, n_pixels * C);

      for (size_t p = 0; p < n_pixels * C; p++)
        sorted[p % C * n_pixels + p / C] = latents[p];
      assert_close (sorted, expected + i * n_pixels * C, n_pixels * C, "latents");
    }
}

static void
on_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  *(FbImage **) user_data = fb_image_ref (picture);
}

static void
test_equals_diffusers (gconstpointer data)
{
  JsonObject           *c       = (JsonObject *) data;
  g_autofree char      *path    = golden_path (json_object_get_string_member (c, "file"));
  g_autoptr(FbModel)    model   = open_model (0);
  g_autoptr(FbUpscale)  request = request_for (some_picture (12, 8, 3));
  g_autoptr(FbImage)    picture = NULL;
  g_autoptr(GError)     error   = NULL;
  g_autofree char      *bytes   = NULL;
  const size_t          n       = 12 * 8 * 4;
  const float          *expected;
  gsize                 n_bytes;

  set_case (request, c);
  g_assert_true (g_file_get_contents (path, &bytes, &n_bytes, &error));
  g_assert_cmpuint (n_bytes, ==, (request->generate->n_steps * n + 48 * 32 * 3) * sizeof (float));
  expected = (const float *) bytes;

  check_steps (request, model, expected);
  g_assert_true (fb_upscale_run (request, model, NULL, on_picture, &picture, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (picture->width, ==, 48);
  g_assert_cmpint (picture->n_channels, ==, 3);
  assert_close (picture->pixels, expected + request->generate->n_steps * n, 48 * 32 * 3, "picture");
}

int
main (int argc, char **argv)
{
  g_autoptr(JsonParser)  parser = json_parser_new ();
  g_autofree char       *path   = NULL;
  JsonArray             *cases;

  g_test_init (&argc, &argv, NULL);
  path = golden_path ("cases.json");
  g_assert_true (json_parser_load_from_file (parser, path, NULL));
  cases = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), "cases");
  for (guint i = 0; i < json_array_get_length (cases); i++)
    {
      JsonObject      *c    = json_array_get_object_element (cases, i);
      g_autofree char *name = g_strdup_printf ("/core/tasks/upscale-diffusers/%s", json_object_get_string_member (c, "file"));

      g_test_add_data_func (name, c, test_equals_diffusers);
    }

  return g_test_run ();
}
