/* tests/core/test-generate.c: whole pictures against diffusers' pipeline, and the request's checks.
 * tests/golden/pipeline/make.py made the model and the pictures. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/generate.h"

#include "core/formats/safetensors-writer.h"
#include "core/models/autoencoder-kl.h"
#include "tests/core/process-memory.h"
#include "tests/core/scratch.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <unistd.h>

#define TOLERANCE      1e-4       /* ‖a − b‖ / ‖b‖ of the final picture in f32 */
#define CARD_TOLERANCE 1e-3       /* on a card, whose libraries add up in an order of their own */

static char *
golden_path (const char *name)
{
  return g_build_filename (g_test_get_dir (G_TEST_DIST), "golden", "pipeline", name, NULL);
}

static FbModel *
open_model (const char *path, FbDtype dtype)
{
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new_chosen (0, &error);
  FbModel            *model;

  g_assert_no_error (error);
  model = fb_model_open (path, NULL, NULL, dev, dtype, &error);
  g_assert_no_error (error);

  return model;
}

/* --- a model folder that is the golden one but for its scheduler's prediction type --------------------------------------- */

typedef struct { char *path; } ModelFolder;

static void
model_folder_link (ModelFolder *folder, const char *name)
{
  g_autofree char *golden = golden_path ("model");
  g_autofree char *target = g_canonicalize_filename (golden, NULL);
  g_autofree char *from   = g_build_filename (target, name, NULL);
  g_autofree char *to     = g_build_filename (folder->path, name, NULL);

  g_assert_cmpint (symlink (from, to), ==, 0);
}

static void
model_folder_init (ModelFolder *folder, const char *prediction)
{
  static const char * const parts[] = { "model_index.json", "text_encoder", "tokenizer", "unet", "vae" };
  g_autoptr(GError)  error  = NULL;
  g_autofree char   *golden = golden_path ("model/scheduler/scheduler_config.json");
  g_autofree char   *dir    = NULL;
  g_autofree char   *file   = NULL;
  g_autofree char   *text   = NULL;
  GString           *config;

  folder->path = g_dir_make_tmp ("flashbrush-model-XXXXXX", &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    model_folder_link (folder, parts[i]);

  g_assert_true (g_file_get_contents (golden, &text, NULL, &error));
  config = g_string_new (text);
  g_assert_cmpuint (g_string_replace (config, "\"epsilon\"", prediction, 0), ==, 1);
  dir  = g_build_filename (folder->path, "scheduler", NULL);
  file = g_build_filename (dir, "scheduler_config.json", NULL);
  g_assert_cmpint (g_mkdir (dir, 0700), ==, 0);
  g_assert_true (g_file_set_contents (file, config->str, config->len, &error));
  g_string_free (config, TRUE);
}

static void
model_folder_clear (ModelFolder *folder)
{
  static const char * const parts[] = { "model_index.json", "text_encoder", "tokenizer", "unet", "vae",
                                        "scheduler/scheduler_config.json", "scheduler", "" };

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      g_autofree char *path = g_build_filename (folder->path, parts[i], NULL);
      g_assert_cmpint (g_remove (path), ==, 0);
    }
  g_free (folder->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ModelFolder, model_folder_clear)

/* --- pictures --------------------------------------------------------------------------------------------------------------- */

typedef struct
{
  FbImage *picture;
  int      n_pictures;
  gint64   seed;
  int      n_steps_seen, n_previews;
  double   fraction;
  GCancellable *cancel_at_step;     /* cancelled when step 2 is reported */
} Result;

static void
result_clear (Result *result)
{
  g_clear_pointer (&result->picture, fb_image_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Result, result_clear)

static void
on_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  Result *result = user_data;

  g_clear_pointer (&result->picture, fb_image_unref);
  result->picture = fb_image_ref (picture);
  result->seed    = seed;
  result->n_pictures++;
}

static void
on_progress (const FbProgress *progress, gpointer user_data)
{
  Result *result = user_data;

  g_assert_cmpfloat (progress->fraction, >=, result->fraction);
  g_assert_cmpfloat (progress->fraction, <=, 1.0);
  result->fraction = progress->fraction;
  if (progress->stage == FB_STAGE_STEP && progress->step > 0)
    result->n_steps_seen++;
  if (progress->preview != NULL)
    result->n_previews++;
  if (result->cancel_at_step != NULL && progress->stage == FB_STAGE_STEP && progress->step == 2)
    g_cancellable_cancel (result->cancel_at_step);
}

static FbGenerate *
simple_request (void)
{
  FbGenerate *request = fb_generate_new ();

  g_free (request->prompt);
  request->prompt = g_strdup ("a red apple, 3d");
  g_free (request->sampler);
  request->sampler        = g_strdup ("lcm");
  request->n_steps        = 4;
  request->guidance_scale = 1.0;
  request->width          = 64;
  request->height         = 64;
  request->seed           = 1;

  return request;
}

static double
relative_error (const float *a, const float *b, size_t n)
{
  double difference = 0.0, norm = 0.0;

  for (size_t i = 0; i < n; i++)
    {
      difference += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
      norm       += (double) b[i] * b[i];
    }

  return sqrt (difference / norm);
}

static void
test_equals_diffusers (gconstpointer user_data)
{
  JsonObject            *c       = (JsonObject *) user_data;
  const char            *file    = json_object_get_string_member (c, "file");
  g_autofree char       *path    = golden_path (file);
  g_autofree char       *quoted  = g_strdup_printf ("\"%s\"", json_object_get_string_member (c, "prediction"));
  g_autoptr(GError)      error   = NULL;
  g_autoptr(FbGenerate)  request = fb_generate_new ();
  g_autoptr(FbModel)     model   = NULL;
  g_auto(ModelFolder)    folder  = { NULL };
  g_auto(Result)         result  = { NULL };
  g_autofree char       *bytes   = NULL;
  gsize                  n_bytes;
  size_t                 n_latents, n_pixels;
  double                 off;

  model_folder_init (&folder, quoted);
  model = open_model (folder.path, FB_DTYPE_F32);

  g_free (request->prompt);
  request->prompt = g_strdup (json_object_get_string_member (c, "prompt"));
  g_free (request->negative_prompt);
  request->negative_prompt = g_strdup (json_object_get_string_member (c, "negative_prompt"));
  g_free (request->sampler);
  request->sampler = g_strdup (json_object_get_string_member (c, "sampler"));
  g_free (request->timestep_spacing);
  request->timestep_spacing = g_strdup (json_object_get_string_member (c, "spacing"));
  request->n_steps          = json_object_get_int_member (c, "steps");
  request->guidance_scale   = json_object_get_double_member (c, "guidance_scale");
  request->seed             = json_object_get_int_member (c, "seed");
  request->width            = json_object_get_int_member (c, "width");
  request->height           = json_object_get_int_member (c, "height");

  g_assert_true (fb_generate_run (request, model, on_progress, on_picture, &result, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (result.n_pictures, ==, 1);

  g_assert_true (g_file_get_contents (path, &bytes, &n_bytes, &error));
  n_latents = (size_t) request->width / 8 * request->height / 8 * 4;
  n_pixels  = (size_t) request->width * request->height * 3;
  g_assert_cmpuint (n_bytes, ==, (n_latents + n_pixels) * sizeof (float));
  off = relative_error (result.picture->pixels, (const float *) bytes + n_latents, n_pixels);
  g_test_message ("%s: relative error %.2e", file, off);
  g_assert_cmpfloat (off, <=, fb_device_has_memory (fb_model_device (model)) ? CARD_TOLERANCE : TOLERANCE);
}

static void
test_the_seed_counts_up (void)
{
  g_autofree char       *path    = golden_path ("model");
  g_autoptr(FbModel)     model   = open_model (path, FB_DTYPE_F32);
  g_autoptr(FbGenerate)  request = simple_request ();
  g_autoptr(GError)      error   = NULL;
  g_auto(Result)         two     = { NULL };
  g_auto(Result)         second  = { NULL };

  request->count = 2;
  g_assert_true (fb_generate_run (request, model, on_progress, on_picture, &two, NULL, &error));
  g_assert_cmpint (two.n_pictures, ==, 2);
  g_assert_cmpint (two.n_steps_seen, ==, 8);
  g_assert_cmpint (two.n_previews, ==, 6);        /* the last step's picture is the result itself */
  g_assert_cmpint (two.seed, ==, 2);

  request->count = 1;
  request->seed  = 2;
  g_assert_true (fb_generate_run (request, model, NULL, on_picture, &second, NULL, &error));
  g_assert_cmpmem (two.picture->pixels, fb_image_n_bytes (two.picture), second.picture->pixels, fb_image_n_bytes (second.picture));
}

static void
test_cancel_between_steps (void)
{
  g_autofree char         *path        = golden_path ("model");
  g_autoptr(FbModel)       model       = open_model (path, FB_DTYPE_F32);
  g_autoptr(FbGenerate)    request     = simple_request ();
  g_autoptr(GCancellable)  cancellable = g_cancellable_new ();
  g_autoptr(GError)        error       = NULL;
  g_auto(Result)           result      = { .cancel_at_step = cancellable };
  g_auto(Result)           again       = { NULL };

  g_assert_false (fb_generate_run (request, model, on_progress, on_picture, &result, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (result.n_pictures, ==, 0);
  g_assert_cmpint (result.n_steps_seen, ==, 2);
  g_clear_error (&error);

  g_assert_true (fb_generate_run (request, model, on_progress, on_picture, &again, NULL, &error));      /* the model still works */
  g_assert_cmpint (again.n_pictures, ==, 1);
}

static void
make (FbModel *model, Result *result)
{
  g_autoptr(FbGenerate) request = simple_request ();
  g_autoptr(GError)     error   = NULL;

  g_assert_true (fb_generate_run (request, model, NULL, on_picture, result, NULL, &error));
  g_assert_no_error (error);
}

static void
test_threads_change_no_byte (void)
{
  g_autofree char *path = golden_path ("model");
  g_auto(Result)   one  = { NULL };

  for (int n_threads = 1; n_threads <= 3; n_threads++)
    {
      g_autoptr(GError)   error  = NULL;
      g_autoptr(FbDevice) dev    = fb_device_new_chosen (n_threads, &error);
      g_autoptr(FbModel)  model  = fb_model_open (path, NULL, NULL, dev, FB_DTYPE_F32, &error);
      g_auto(Result)      result = { NULL };

      g_assert_no_error (error);
      g_assert_cmpint (fb_device_n_threads (dev), ==, n_threads);
      make (model, n_threads == 1 ? &one : &result);
      if (n_threads > 1)
        g_assert_cmpmem (result.picture->pixels, fb_image_n_bytes (result.picture), one.picture->pixels, fb_image_n_bytes (one.picture));
    }
}

/* of a trained model: random weights make noise of noise */
static void
test_16_bits_are_within_40_decibels (gconstpointer dtype)
{
  g_autofree char       *path    = g_test_build_filename (G_TEST_DIST, "..", "data", "models", "starter", NULL);
  g_autoptr(FbGenerate)  request = fb_generate_new ();
  g_autoptr(GError)      error   = NULL;
  g_autoptr(FbModel)     model   = open_model (path, FB_DTYPE_F32);
  g_auto(Result)         full    = { NULL };
  g_auto(Result)         half    = { NULL };
  g_autoptr(FbDevice)    dev     = fb_device_new_chosen (0, NULL);
  double                 sum     = 0.0, psnr;
  size_t                 n;

  if (!fb_device_supports (dev, GPOINTER_TO_INT (dtype)))
    {
      g_test_skip ("this device does not compute in this type");
      return;
    }

  g_free (request->prompt);
  request->prompt = g_strdup ("a red apple");
  request->seed   = 1;
  g_assert_true (fb_generate_run (request, model, NULL, on_picture, &full, NULL, &error));
  fb_model_set_dtype (model, GPOINTER_TO_INT (dtype));
  g_assert_true (fb_generate_run (request, model, NULL, on_picture, &half, NULL, &error));

  n = fb_image_n_bytes (full.picture) / sizeof (float);
  for (size_t i = 0; i < n; i++)
    sum += pow (full.picture->pixels[i] - half.picture->pixels[i], 2.0);
  psnr = -10.0 * log10 (sum / n);
  g_test_message ("%.1f dB", psnr);
  g_assert_cmpfloat (psnr, >=, 40.0);
}

/* strength 0 keeps the picture; every other runs all steps, and neighbours differ: no strength is rounded to a whole step */
static void
test_strength_is_continuous (void)
{
  g_autofree char       *path    = golden_path ("model");
  g_autoptr(FbModel)     model   = open_model (path, FB_DTYPE_F32);
  g_autoptr(FbGenerate)  request = simple_request ();
  g_autoptr(GError)      error   = NULL;
  g_autoptr(FbImage)     before  = NULL;

  request->init = fb_image_new (64, 64, 3);
  for (int i = 0; i < 64 * 64 * 3; i++)
    request->init->pixels[i] = (i / 3 % 64) / 63.0f;

  for (int i = 0; i <= 10; i++)
    {
      g_auto(Result) result = { NULL };

      request->strength = 0.07 * i;
      g_assert_true (fb_generate_run (request, model, on_progress, on_picture, &result, NULL, &error));
      g_assert_cmpint (result.n_steps_seen, ==, i == 0 ? 0 : 4);
      if (i == 0)
        g_assert_cmpfloat (relative_error (result.picture->pixels, request->init->pixels, 64 * 64 * 3), <=, 1e-6);
      else
        g_assert_cmpfloat (relative_error (result.picture->pixels, before->pixels, 64 * 64 * 3), >, 1e-6);
      g_clear_pointer (&before, fb_image_unref);
      before = fb_image_ref (result.picture);
    }
}

/* what strength 0 keeps is cut out like any other */
static void
test_a_plain_background_becomes_transparent (void)
{
  g_autofree char       *path    = golden_path ("model");
  g_autoptr(FbModel)     model   = open_model (path, FB_DTYPE_F32);
  g_autoptr(FbGenerate)  request = simple_request ();

  request->strength   = 0.0;
  request->background = FB_BACKGROUND_TRANSPARENT;
  for (int plain = 0; plain < 2; plain++)
    {
      g_auto(Result)    result = { NULL };
      g_autoptr(GError) error  = NULL;

      g_clear_pointer (&request->init, fb_image_unref);
      request->init = fb_image_new (64, 64, 3);
      for (int i = 0; i < 64 * 64 * 3; i++)
        request->init->pixels[i] = plain && abs (i / 3 % 64 - 32) + abs (i / 3 / 64 - 32) > 20 ? 1.0f : (i / 3 % 64) / 127.0f;
      g_assert_true (fb_generate_run (request, model, on_progress, on_picture, &result, NULL, &error));
      g_assert_cmpint (result.picture->n_channels, ==, plain ? 4 : 3);
      if (plain)
        {
          g_assert_cmpfloat (result.picture->pixels[3], ==, 0.0f);
          g_assert_cmpfloat (result.picture->pixels[4 * (32 * 64 + 32) + 3], ==, 1.0f);
        }
    }
}

static void
test_request_survives_its_variant (void)
{
  g_autoptr(FbGenerate) request = simple_request ();
  g_autoptr(FbGenerate) back    = NULL;
  g_autoptr(GVariant)   variant = NULL;
  g_autoptr(GVariant)   again   = NULL;
  g_autoptr(GError)     error   = NULL;

  request->seed    = G_MININT64;
  request->preview = FB_PREVIEW_NONE;
  request->decoder = FB_DECODER_TAESD;
  variant = fb_generate_to_variant (request);
  back    = fb_generate_from_variant (variant, &error);
  g_assert_no_error (error);
  again = fb_generate_to_variant (back);
  g_assert_true (g_variant_equal (variant, again));
}

/* Whether the device that the environment names has memory of its own; @made_up_too: or is only made up, so that it is known what its libraries take */
static gboolean
is_a_card (gboolean made_up_too)
{
  g_autoptr(FbDevice) dev = fb_device_new_chosen (1, NULL);

  return fb_device_has_memory (dev) && (made_up_too || g_getenv ("FLASHBRUSH_CUDA_DRIVER") == NULL);
}

static void
test_wrong_fields_are_named (void)
{
  static const struct { const char *text, *named; } cases[] =
  {
    { "{'width': <12>}",                              "width" },        /* not a multiple of 8 */
    { "{'height': <-8>}",                             "height" },
    { "{'width': <1000000>}",                         "width" },
    { "{'n-steps': <-1>}",                            "n-steps" },
    { "{'n-steps': <'four'>}",                        "n-steps" },      /* wrong type */
    { "{'guidance-scale': <0.5>}",                    "guidance-scale" },
    { "{'strength': <1.5>}",                          "strength" },
    { "{'count': <0>}",                               "count" },
    { "{'preview': <'large'>}",                       "preview" },
    { "{'decoder': <'taesd'>}",                       "decoder" },      /* the model has none */
    { "{'sampler': <'eulr'>}",                        "euler" },        /* the nearest name */
    { "{'timestep-spacing': <'even'>}",               "even" },
    { "{'prompt': <' '>}",                            "prompt" },
    { "{'clip-skip': <2>}",                           "clip-skip" },    /* of two layers */
    { "{'sampler': <'lcm'>, 'n-steps': <60>}",        "lcm" },          /* trained on 50 */
  };
  g_autofree char    *path  = golden_path ("model");
  g_autoptr(FbModel)  model = open_model (path, FB_DTYPE_F32);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError)     error   = NULL;
      g_autoptr(GVariant)   parsed  = g_variant_parse (G_VARIANT_TYPE_VARDICT, cases[i].text, NULL, NULL, &error);
      g_auto(GVariantDict)  dict    = { 0 };
      g_autoptr(GVariant)   variant = NULL;
      g_autoptr(FbGenerate) request = NULL;

      g_assert_no_error (error);
      g_variant_dict_init (&dict, parsed);
      if (!g_variant_dict_contains (&dict, "prompt"))
        g_variant_dict_insert (&dict, "prompt", "s", "a cat");
      variant = g_variant_ref_sink (g_variant_dict_end (&dict));
      request = fb_generate_from_variant (variant, &error);
      if (request != NULL)
        g_assert_false (fb_generate_resolve (request, model, &error));
      g_assert_nonnull (error);
      g_test_message ("%s → %s", cases[i].text, error->message);
      g_assert_nonnull (strstr (error->message, cases[i].named));
    }
}

static void
test_a_prompt_that_is_no_text_is_refused (void)
{
  g_autofree char       *path    = golden_path ("model");
  g_autoptr(FbModel)     model   = open_model (path, FB_DTYPE_F32);
  g_autoptr(FbGenerate)  request = simple_request ();
  g_autoptr(GError)      error   = NULL;

  g_free (request->prompt);
  request->prompt = g_strdup ("caf\xe9");                       /* Latin-1 */
  g_assert_false (fb_generate_run (request, model, NULL, on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
  g_assert_nonnull (strstr (error->message, "prompt"));
}

/* its UNet takes more channels than the latents have */
static void
test_an_inpainting_model_is_refused (void)
{
  g_autofree char       *path    = g_build_filename (g_test_get_dir (G_TEST_DIST), "golden", "models", "folder", NULL);
  g_autoptr(FbModel)     model   = open_model (path, FB_DTYPE_F32);
  g_autoptr(FbGenerate)  request = simple_request ();
  g_autoptr(GError)      error   = NULL;

  g_assert_cmpint (fb_model_info (model)->unet_channels, ==, 9);
  g_assert_false (fb_generate_run (request, model, NULL, on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
  g_assert_nonnull (strstr (error->message, path));
}

/* an autoencoder of zeros that halves four times */
static void
write_deep_vae (const char *path)
{
  static const FbVaeConfig       config  = { .picture_channels = 3, .latent_channels = 4, .n_levels = 5,
                                             .block_channels = { 32, 32, 32, 32, 32 }, .n_layers = 1, .n_groups = 32 };
  g_autoptr(FbVaeDecoder)        decoder = fb_vae_decoder_new (&config);
  FbParams                      *params  = fb_vae_decoder_params (decoder);
  g_autoptr(FbSafetensorsWriter) writer  = fb_safetensors_writer_new (path);
  g_autoptr(GError)              error   = NULL;

  for (guint i = 0; i < fb_params_n (params); i++)
    {
      const FbParam *param    = fb_params_get (params, i);
      gint64         shape[4] = { param->shape[0], param->shape[1], param->shape[2], param->shape[3] };

      fb_safetensors_writer_add (writer, param->name, FB_DTYPE_F32, param->n_dims, shape);
    }
  for (guint i = 0; i < fb_params_n (params); i++)
    {
      const size_t      n      = fb_params_get (params, i)->n_elements;
      g_autofree float *zeros  = g_new0 (float, n);

      fb_safetensors_writer_write (writer, zeros, n * sizeof (float), &error);
    }
  fb_safetensors_writer_finish (writer, &error);
  g_assert_no_error (error);
}

static void
test_sizes_fit_the_autoencoder (void)
{
  static const struct { int width, height; const char *named; } cases[] = { { 24, 64, "width" }, { 64, 40, "height" }, { 8, 16, "width" } };
  g_autofree char       *path    = golden_path ("model");
  g_autoptr(Scratch)     folder  = scratch_new ();
  g_autofree char       *vae     = g_build_filename (folder, "vae.safetensors", NULL);
  g_autoptr(GError)      error   = NULL;
  g_autoptr(FbDevice)    dev     = fb_device_new_chosen (0, &error);
  g_autoptr(FbModel)     model   = NULL;
  g_autoptr(FbGenerate)  request = simple_request ();

  write_deep_vae (vae);
  model = fb_model_open (path, vae, NULL, dev, FB_DTYPE_F32, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fb_model_info (model)->scale_factor, ==, 16);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      request->width  = cases[i].width;
      request->height = cases[i].height;
      g_assert_false (fb_generate_run (request, model, NULL, on_picture, NULL, NULL, &error));
      g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
      g_assert_nonnull (strstr (error->message, cases[i].named));
      g_assert_nonnull (strstr (error->message, "multiple of 16"));
      g_clear_error (&error);
    }
}

/* in a process of its own, whose address space may grow by 256 MB only */
static void
test_too_large_for_memory_is_said_first (void)
{
  g_autofree char       *path    = golden_path ("model");
  g_autoptr(FbModel)     model   = NULL;
  g_autoptr(FbGenerate)  request = simple_request ();
  g_autoptr(GError)      error   = NULL;
  g_auto(Result)         result  = { NULL };
  FbEstimate             small, large;

  if (is_a_card (TRUE))
    {
      g_test_skip ("a card's memory is not limited so; on-a-small-device-parts-take-turns limits it");
      return;
    }
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
      g_test_trap_assert_passed ();
      return;
    }

  model = open_model (path, FB_DTYPE_F32);
  g_assert_true (fb_generate_estimate (request, model, &small, &error));
  g_assert_cmpuint (small.peak_bytes, <, small.available_bytes);
  limit_address_space (256 << 20);

  request->width  = 4096;
  request->height = 4096;
  g_assert_true (fb_generate_estimate (request, model, &large, &error));
  g_assert_cmpuint (large.peak_bytes, >, large.available_bytes);
  g_assert_false (fb_generate_run (request, model, on_progress, on_picture, &result, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY);
  g_assert_cmpfloat (result.fraction, ==, 0.0);                 /* nothing has been computed */
}

static gboolean
all_parts_loaded (FbModel *model)
{
  return fb_model_is_loaded (model, FB_MODEL_TEXT_ENCODER) && fb_model_is_loaded (model, FB_MODEL_UNET) &&
         fb_model_is_loaded (model, FB_MODEL_VAE_DECODER);
}

/* As on a small card: a limit between what the job takes and what it can do with */
static void
test_on_a_small_device_parts_take_turns (void)
{
  g_autofree char       *path    = golden_path ("model");
  g_autoptr(FbModel)     model   = open_model (path, FB_DTYPE_F32);
  FbDevice              *dev     = fb_model_device (model);
  g_autoptr(FbGenerate)  request = simple_request ();
  g_autoptr(GError)      error   = NULL;
  g_auto(Result)         wanted  = { NULL };
  FbEstimate             large, small;
  size_t                 limit;

  if (is_a_card (FALSE))
    {
      g_test_skip ("how much working memory a card's libraries take is not known");
      return;
    }
  request->count = 2;
  g_assert_true (fb_generate_estimate (request, model, &large, &error));
  g_assert_cmpuint (large.least_bytes, <, large.peak_bytes);
  g_assert_true (fb_generate_run (request, model, on_progress, on_picture, &wanted, NULL, &error));
  g_assert_true (all_parts_loaded (model));
  fb_model_unload (model);

  limit = large.least_bytes;
  fb_device_set_limit (dev, limit);
  for (int round = 0; round < 2; round++)                       /* the second begins with what the first has left there */
    {
      g_auto(Result) result = { NULL };

      g_assert_true (fb_generate_estimate (request, model, &small, &error));
      g_assert_cmpuint (small.available_bytes, <, small.peak_bytes);
      g_assert_cmpuint (small.available_bytes, >=, small.least_bytes);
      if (round > 0)
        g_assert_cmpfloat (small.seconds, >, 0.0);
      g_assert_true (fb_generate_run (request, model, on_progress, on_picture, &result, NULL, &error));
      g_assert_cmpint (result.n_pictures, ==, 2);
      g_assert_cmpmem (result.picture->pixels, fb_image_n_bytes (result.picture), wanted.picture->pixels, fb_image_n_bytes (wanted.picture));
      g_assert_false (all_parts_loaded (model));
      g_assert_cmpuint (fb_device_limit (dev), ==, limit);
    }

  fb_model_unload (model);
  fb_device_set_limit (dev, limit - 1);
  g_assert_false (fb_generate_run (request, model, on_progress, on_picture, &wanted, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY);
  g_assert_nonnull (strstr (error->message, "smaller size"));
  g_assert_cmpuint (fb_device_bytes_in_use (dev), ==, 0);       /* nothing has been loaded for it */
  g_clear_error (&error);
  request->width = 48;                                          /* what it says helps */
  request->count = 1;
  g_assert_true (fb_generate_run (request, model, NULL, on_picture, &wanted, NULL, &error));
}

/* in a process of its own, whose peak is this job's */
static void
test_a_job_takes_the_memory_told (void)
{
  g_autofree char       *path    = g_test_build_filename (G_TEST_DIST, "..", "data", "models", "starter", NULL);
  g_autoptr(FbGenerate)  request = simple_request ();
  g_autoptr(FbModel)     model   = NULL;
  g_autoptr(GError)      error   = NULL;
  g_auto(Result)         result  = { NULL };
  FbEstimate             estimate;
  guint64                before, taken;

  if (is_a_card (TRUE))
    {
      g_test_skip ("a card's memory is not this process's");
      return;
    }
#ifdef __SANITIZE_ADDRESS__
  g_test_skip ("the address sanitizer takes memory of its own");
  return;
#endif
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDOUT);
      g_test_trap_assert_passed ();
      return;
    }

  model = open_model (path, FB_DTYPE_F32);
  request->width   = 512;
  request->height  = 512;
  request->n_steps = 1;
  g_assert_true (fb_generate_estimate (request, model, &estimate, &error));
  before = resident_bytes ("VmRSS");
  g_assert_true (fb_generate_run (request, model, NULL, on_picture, &result, NULL, &error));
  taken = resident_bytes ("VmHWM") - before;
  g_test_message ("told %" G_GUINT64_FORMAT " MB, took %" G_GUINT64_FORMAT, estimate.peak_bytes >> 20, taken >> 20);
  g_assert_cmpuint (taken, <, estimate.peak_bytes + estimate.peak_bytes / 8);
  g_assert_cmpuint (taken, >, estimate.peak_bytes / 2);
}

int
main (int argc, char *argv[])
{
  g_autoptr(JsonParser) parser = json_parser_new ();
  g_autoptr(GError)     error  = NULL;
  g_autofree char      *path   = NULL;
  JsonArray            *cases;

  g_test_init (&argc, &argv, NULL);

  path = golden_path ("cases.json");
  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  cases = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), "cases");
  for (guint i = 0; i < json_array_get_length (cases); i++)
    {
      JsonObject      *c    = json_array_get_object_element (cases, i);
      g_autofree char *name = g_strdup_printf ("/core/tasks/generate/equals-diffusers/%s", json_object_get_string_member (c, "file"));

      g_test_add_data_func (name, c, test_equals_diffusers);
    }
  g_test_add_func ("/core/tasks/generate/the-seed-counts-up", test_the_seed_counts_up);
  g_test_add_func ("/core/tasks/generate/cancel-between-steps", test_cancel_between_steps);
  g_test_add_func ("/core/tasks/generate/threads-change-no-byte", test_threads_change_no_byte);
  g_test_add_data_func ("/core/tasks/generate/bf16-is-within-40-decibels", GINT_TO_POINTER (FB_DTYPE_BF16), test_16_bits_are_within_40_decibels);
  g_test_add_data_func ("/core/tasks/generate/f16-is-within-40-decibels", GINT_TO_POINTER (FB_DTYPE_F16), test_16_bits_are_within_40_decibels);
  g_test_add_func ("/core/tasks/generate/strength-is-continuous", test_strength_is_continuous);
  g_test_add_func ("/core/tasks/generate/a-plain-background-becomes-transparent", test_a_plain_background_becomes_transparent);
  g_test_add_func ("/core/tasks/generate/request-survives-its-variant", test_request_survives_its_variant);
  g_test_add_func ("/core/tasks/generate/wrong-fields-are-named", test_wrong_fields_are_named);
  g_test_add_func ("/core/tasks/generate/a-prompt-that-is-no-text-is-refused", test_a_prompt_that_is_no_text_is_refused);
  g_test_add_func ("/core/tasks/generate/an-inpainting-model-is-refused", test_an_inpainting_model_is_refused);
  g_test_add_func ("/core/tasks/generate/sizes-fit-the-autoencoder", test_sizes_fit_the_autoencoder);
  g_test_add_func ("/core/tasks/generate/too-large-for-memory-is-said-first", test_too_large_for_memory_is_said_first);
  g_test_add_func ("/core/tasks/generate/on-a-small-device-parts-take-turns", test_on_a_small_device_parts_take_turns);
  g_test_add_func ("/core/tasks/generate/a-job-takes-the-memory-told", test_a_job_takes_the_memory_told);

  return g_test_run ();
}
