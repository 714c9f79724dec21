/* tests/core/test-model.c: a model as tasks see it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "core/formats/safetensors-writer.h"
#include "tests/core/model-fixture.h"
#include "tests/core/scratch.h"

static void
test_open_tells_what_the_file_holds (ModelFixture *f, gconstpointer data)
{
  const FbModelInfo *info = fb_model_info (f->model);

  g_assert_cmpstr (info->family, ==, "sd-1.5");
  g_assert_cmpint (info->latent_channels, ==, 4);
  g_assert_cmpint (info->unet_channels, ==, 4);
  g_assert_cmpint (info->scale_factor, ==, 8);
  g_assert_cmpint (info->context_width, ==, 64);
  g_assert_cmpint (info->width, ==, 512);
  g_assert_false (fb_model_has_taesd (f->model));
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    g_assert_false (fb_model_is_loaded (f->model, part));
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);
}

static void
test_networks_give_what_diffusers_gives (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError)  error   = NULL;
  gsize              n;
  g_autofree float  *noise   = model_expected (f, "unet.out", &n);
  g_autofree float  *out     = model_denoise_well (f);
  g_autofree float  *hidden  = model_expected (f, "text.skip1", NULL);
  g_autofree float  *text    = g_new (float, 2 * 77 * 64);
  g_autofree int    *ids     = g_new (int, 2 * 77);

  g_assert_cmpuint (n, ==, 2 * H * W * 4);
  g_assert_cmpfloat (model_distance (out, noise, n), <, 1e-4);

  fb_safetensors_read (f->expected, fb_safetensors_lookup (f->expected, "text.ids"), 0, 2 * 77 * sizeof (int), ids, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (fb_model_encode_text (f->model, ids, 2, 1, text, NULL, &error));
  g_assert_cmpfloat (model_distance (text, hidden, 2 * 77 * 64), <, 1e-4);

  ids[3] = 99;
  g_assert_false (fb_model_encode_text (f->model, ids, 2, 1, text, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG);
  g_clear_error (&error);
  ids[3] = 1;
  g_assert_false (fb_model_encode_text (f->model, ids, 2, 2, text, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED);
}

static void
test_autoencoder_scales_and_samples (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *picture = model_expected (f, "vae.picture", NULL);
  g_autofree float *moments = model_expected (f, "vae.moments", NULL);
  g_autofree float *latents = model_expected (f, "vae.latents", NULL);
  g_autofree float *decoded = model_expected (f, "vae.decoded", NULL);
  g_autofree float *pixels  = g_new (float, 80 * 64 * 3);
  g_autofree float *want    = g_new (float, 8 * 12 * 4);
  g_autofree float *noise   = g_new (float, 8 * 12 * 4);
  g_autofree float *got     = g_new (float, 8 * 12 * 4);

  for (int i = 0; i < 8 * 12; i++)
    for (int c = 0; c < 4; c++)
      {
        noise[i * 4 + c] = sinf (i * 4 + c);
        want[i * 4 + c] = 0.18215f * (moments[i * 8 + c] + expf (0.5f * moments[i * 8 + 4 + c]) * noise[i * 4 + c]);
      }
  g_assert_true (fb_model_encode_image (f->model, picture, 64, 96, noise, got, NULL, &error));
  g_assert_cmpfloat (model_distance (got, want, 8 * 12 * 4), <, 1e-4);

  for (int i = 0; i < 10 * 8 * 4; i++)
    latents[i] *= 0.18215f;
  g_assert_true (fb_model_decode (f->model, latents, 10, 8, 0, pixels, NULL, &error));
  g_assert_cmpfloat (model_distance (pixels, decoded, 80 * 64 * 3), <, 1e-4);
}

/* The single file brings no tokenizer, and the standard one has more words than its small text encoder; a folder brings its own. */
static void
test_tokenizer_fits_the_text_encoder (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError)  error = NULL;
  g_autofree char   *path  = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
  g_autoptr(FbModel) model = fb_model_open (path, NULL, NULL, f->dev, FB_DTYPE_F32, &error);
  const FbClipTokenizer *tokenizer;

  g_assert_no_error (error);
  tokenizer = fb_model_tokenizer (model, &error);
  g_assert_no_error (error);
  g_assert_true (fb_model_tokenizer (model, &error) == tokenizer);

  g_assert_null (fb_model_tokenizer (f->model, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_SHAPE);
}

/* The other fixture's autoencoder has no attention, no quant convolutions and a scaling factor of its own. */
static void
test_other_autoencoder_replaces_the_own (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError)  error  = NULL;
  g_autofree char   *folder = g_test_build_filename (G_TEST_DIST, "golden", "models", "folder", NULL);
  g_autofree char   *values = g_build_filename (folder, "expected.safetensors", NULL);
  g_autoptr(FbModel) model  = fb_model_open (f->path, folder, NULL, f->dev, FB_DTYPE_F32, &error);
  g_autofree float  *latents = NULL;
  g_autofree float  *decoded = NULL;
  g_autofree float  *pixels  = g_new (float, 80 * 64 * 3);

  g_assert_no_error (error);
  fb_safetensors_unref (f->expected);
  f->expected = fb_safetensors_open (values, &error);
  g_assert_no_error (error);
  latents = model_expected (f, "vae.latents", NULL);
  decoded = model_expected (f, "vae.decoded", NULL);
  for (int i = 0; i < 10 * 8 * 4; i++)
    latents[i] *= 0.4f;
  g_assert_true (fb_model_decode (model, latents, 10, 8, 0, pixels, NULL, &error));
  g_assert_cmpfloat (model_distance (pixels, decoded, 80 * 64 * 3), <, 1e-4);
}

static void
test_taesd_can_be_set (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree char  *folder  = g_test_build_filename (G_TEST_DIST, "golden", "models", "taesd", NULL);
  g_autofree char  *values  = g_build_filename (folder, "expected.safetensors", NULL);
  g_autofree float *latents = NULL;
  g_autofree float *decoded = NULL;
  g_autofree float *picture = NULL;
  g_autofree float *encoded = NULL;
  g_autofree float *pixels  = g_new (float, 80 * 64 * 3);

  g_assert_false (fb_model_set_taesd (f->model, "/nowhere", &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (fb_model_has_taesd (f->model));

  g_assert_true (fb_model_set_taesd (f->model, folder, &error));
  g_assert_true (fb_model_has_taesd (f->model));
  fb_safetensors_unref (f->expected);
  f->expected = fb_safetensors_open (values, &error);
  g_assert_no_error (error);
  latents = model_expected (f, "taesd.latents", NULL);
  decoded = model_expected (f, "taesd.decoded", NULL);
  g_assert_true (fb_model_decode_taesd (f->model, latents, 10, 8, pixels, NULL, &error));
  g_assert_cmpfloat (model_distance (pixels, decoded, 80 * 64 * 3), <, 1e-4);

  g_assert_true (fb_model_has_taesd_encoder (f->model));
  picture = model_expected (f, "taesd.picture", NULL);
  encoded = model_expected (f, "taesd.encoded", NULL);
  g_assert_true (fb_model_encode_taesd (f->model, picture, 64, 96, pixels, NULL, &error));
  g_assert_cmpfloat (model_distance (pixels, encoded, 8 * 12 * 4), <, 1e-4);
}

/* the same files under two names: SDXL's TAESD differs in its values alone */
static void
test_taesd_of_another_family_is_passed_over (ModelFixture *f, gconstpointer data)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *golden = g_test_build_filename (G_TEST_DIST, "golden", "models", "taesd", NULL);
  g_autofree char   *taesd  = g_canonicalize_filename (golden, NULL);
  g_autofree char   *xl     = g_build_filename (folder, "TAESDXL", NULL);
  g_autofree char   *own    = g_build_filename (folder, "taesd-v1", NULL);

  g_assert_cmpint (symlink (taesd, xl), ==, 0);
  g_assert_cmpint (symlink (taesd, own), ==, 0);
  g_assert_false (fb_model_offer_taesd (f->model, xl));
  g_assert_false (fb_model_has_taesd (f->model));
  g_assert_true (fb_model_offer_taesd (f->model, own));
  g_assert_true (fb_model_has_taesd (f->model));
  g_assert_true (fb_model_set_taesd (f->model, xl, NULL));       /* chosen, not found: the person may know better */
}

static void
test_unload_and_load_changes_nothing (ModelFixture *f, gconstpointer data)
{
  g_autofree float *first  = model_denoise_well (f);
  g_autofree float *second = NULL;

  g_assert_true (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  fb_model_unload (f->model);
  g_assert_false (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);
  second = model_denoise_well (f);
  g_assert_cmpmem (first, 2 * H * W * 16, second, 2 * H * W * 16);
}

static void
cancel_half_way (double fraction, gpointer cancellable)
{
  if (fraction > 0.5)
    g_cancellable_cancel (cancellable);
}

static gpointer
cancel_soon (gpointer cancellable)
{
  g_usleep (2000);
  g_cancellable_cancel (cancellable);
  return NULL;
}

static void
test_cancel_leaves_the_model_usable (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GCancellable) loading   = g_cancellable_new ();
  g_autoptr(GCancellable) computing = g_cancellable_new ();
  g_autoptr(GError)       error     = NULL;
  g_autofree float       *out       = NULL;
  g_autofree float       *want      = model_expected (f, "unet.out", NULL);
  GThread                *thread;

  g_assert_false (fb_model_load (f->model, FB_MODEL_UNET, cancel_half_way, loading, loading, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_true (fb_model_load (f->model, FB_MODEL_UNET, NULL, NULL, NULL, &error));

  thread = g_thread_new ("cancel", cancel_soon, computing);
  while ((out = model_denoise (f, computing, &error)) != NULL)             /* until one of them meets the cancel */
    g_clear_pointer (&out, g_free);
  g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  out = model_denoise_well (f);
  g_assert_cmpfloat (model_distance (out, want, 2 * H * W * 4), <, 1e-4);
}

static void
test_not_finite_is_an_error (ModelFixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = g_new0 (float, 4 * 4 * 4);
  g_autofree float *pixels  = g_new (float, 32 * 32 * 3);

  latents[5] = INFINITY;
  g_assert_false (fb_model_decode (f->model, latents, 4, 4, 0, pixels, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE);
  g_assert_nonnull (strstr (error->message, "even in full precision"));         /* the fixture is in f32 already */
}

/* What the device computes in changes the numbers a little, and f32 comes back exactly. */
static void
test_dtype_can_change (ModelFixture *f, gconstpointer data)
{
  g_autofree float *exact = model_denoise_well (f);
  g_autofree float *rough = NULL;
  g_autofree float *again = NULL;

  if (!fb_device_supports (f->dev, FB_DTYPE_BF16))
    {
      g_test_skip ("this processor does not multiply bf16");
      return;
    }
  fb_model_set_dtype (f->model, FB_DTYPE_BF16);
  rough = model_denoise_well (f);
  g_assert_cmpfloat (model_distance (rough, exact, 2 * H * W * 4), >, 1e-4);
  g_assert_cmpfloat (model_distance (rough, exact, 2 * H * W * 4), <, 5e-2);
  fb_model_set_dtype (f->model, FB_DTYPE_F32);
  again = model_denoise_well (f);
  g_assert_cmpmem (exact, 2 * H * W * 16, again, 2 * H * W * 16);
}

/* Copies the fixture's file without the tensor @left_out, or with one more row in it */
static char *
damaged_copy (ModelFixture *f, const char *name, gboolean leave_out)
{
  g_autoptr(GError)              error  = NULL;
  g_autoptr(FbSafetensors)       whole  = fb_safetensors_open (f->path, &error);
  g_autofree char               *folder = g_dir_make_tmp ("flashbrush-XXXXXX", &error);
  char                          *path   = g_build_filename (folder, "damaged.safetensors", NULL);
  g_autoptr(FbSafetensorsWriter) writer = fb_safetensors_writer_new (path);

  for (int pass = 0; pass < 2; pass++)
    for (guint i = 0; i < fb_safetensors_n_tensors (whole); i++)
      {
        const FbTensorInfo *info = fb_safetensors_tensor (whole, i);
        const gboolean      it   = g_str_equal (info->name, name);
        g_autofree char    *bytes = g_malloc0 (2 * info->n_bytes);
        gint64              shape[FB_SAFETENSORS_MAX_DIMS];

        if (it && leave_out)
          continue;
        memcpy (shape, info->shape, sizeof shape);
        if (it)
          shape[0] *= 2;
        if (pass == 0)
          fb_safetensors_writer_add (writer, info->name, info->dtype, info->n_dims, shape);
        else
          {
            fb_safetensors_read (whole, info, 0, info->n_bytes, bytes, NULL, &error);
            fb_safetensors_writer_write (writer, bytes, it ? 2 * info->n_bytes : info->n_bytes, &error);
          }
        g_assert_no_error (error);
      }
  fb_safetensors_writer_finish (writer, &error);
  g_assert_no_error (error);

  return path;
}

static void
remove_with_folder (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);

  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

static void
test_missing_and_misshapen_tensors_are_named (ModelFixture *f, gconstpointer data)
{
  static const struct { const char *name, *told; gboolean missing; int code; } cases[] =
  {
    { "model.diffusion_model.middle_block.0.in_layers.2.weight", "mid_block.resnets.0.conv1.weight", TRUE, FB_MODEL_ERROR_MISSING_TENSOR },
    { "model.diffusion_model.middle_block.0.in_layers.2.weight", "model.diffusion_model.middle_block.0.in_layers.2.weight", FALSE, FB_MODEL_ERROR_SHAPE },
    { "first_stage_model.decoder.mid.block_1.norm1.bias", "decoder.mid_block.resnets.0.norm1.bias", TRUE, FB_MODEL_ERROR_MISSING_TENSOR },
    { "cond_stage_model.transformer.text_model.final_layer_norm.weight", "text_model.final_layer_norm.weight", FALSE, FB_MODEL_ERROR_SHAPE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError) error = NULL;
      g_autofree char  *path  = damaged_copy (f, cases[i].name, cases[i].missing);

      g_assert_null (fb_model_open (path, NULL, NULL, f->dev, FB_DTYPE_F32, &error));
      g_assert_error (error, FB_MODEL_ERROR, cases[i].code);
      g_assert_nonnull (strstr (error->message, cases[i].told));
      g_assert_nonnull (strstr (error->message, path));
      remove_with_folder (path);
    }
}

static void
test_every_tensor_is_claimed (ModelFixture *f, gconstpointer data)
{
  g_auto(GStrv)    unclaimed = fb_model_unclaimed (f->model);

  g_assert_cmpuint (g_strv_length (unclaimed), ==, 0);
}

int
main (int argc, char **argv)
{
  static const ModelTest tests[] =
  {
    { "open-tells-what-the-file-holds",          test_open_tells_what_the_file_holds },
    { "networks-give-what-diffusers-gives",      test_networks_give_what_diffusers_gives },
    { "autoencoder-scales-and-samples",          test_autoencoder_scales_and_samples },
    { "tokenizer-fits-the-text-encoder",         test_tokenizer_fits_the_text_encoder },
    { "other-autoencoder-replaces-the-own",      test_other_autoencoder_replaces_the_own },
    { "taesd-can-be-set",                        test_taesd_can_be_set },
    { "taesd-of-another-family-is-passed-over",  test_taesd_of_another_family_is_passed_over },
    { "unload-and-load-changes-nothing",         test_unload_and_load_changes_nothing },
    { "cancel-leaves-the-model-usable",          test_cancel_leaves_the_model_usable },
    { "not-finite-is-an-error",                  test_not_finite_is_an_error },
    { "dtype-can-change",                        test_dtype_can_change },
    { "missing-and-misshapen-tensors-are-named", test_missing_and_misshapen_tensors_are_named },
    { "every-tensor-is-claimed",                 test_every_tensor_is_claimed },
  };
  static const ModelTest half_tests[] =
  {
    { "networks-give-what-diffusers-gives", test_networks_give_what_diffusers_gives },
    { "other-autoencoder-replaces-the-own", test_other_autoencoder_replaces_the_own },
    { "cancel-leaves-the-model-usable",     test_cancel_leaves_the_model_usable },
    { "dtype-can-change",                   test_dtype_can_change },
  };

  g_test_init (&argc, &argv, NULL);

  model_add_tests ("/core/models/model/", tests, G_N_ELEMENTS (tests), NULL);
  model_add_tests ("/core/models/model/kept-in-16-bits/", half_tests, G_N_ELEMENTS (half_tests), "half");

  return g_test_run ();
}
