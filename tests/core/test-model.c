/* tests/core/test-model.c: a model as tasks see it. SPDX-License-Identifier: LGPL-3.0-or-later
 * The checkpoint and the expected values come from tests/golden/models/make.py. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>
#include <unistd.h>

#include "core/formats/safetensors-writer.h"
#include "core/models/linear-preview.h"
#include "core/models/model.h"
#include "core/models/tiles.h"
#include "kernels/device-private.h"
#include "tests/core/scratch.h"

#define H 16      /* of the fixture's latents */
#define W 24

typedef struct
{
  char          *path;
  FbDevice      *dev;
  FbModel       *model;
  FbSafetensors *expected;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error    = NULL;
  g_autofree char  *expected = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "expected.safetensors", NULL);

  f->path = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "model.safetensors", NULL);
  f->dev = fb_device_new_chosen (0, &error);
  g_assert_no_error (error);
  f->model = fb_model_open (f->path, NULL, NULL, f->dev, FB_DTYPE_F32, &error);
  g_assert_no_error (error);
  f->expected = fb_safetensors_open (expected, &error);
  g_assert_no_error (error);
  if (data != NULL && fb_model_can_be_half (f->model, f->dev))       /* the file's tensors are bf16 */
    fb_model_set_half (f->model, TRUE);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  fb_model_free (f->model);
  fb_safetensors_unref (f->expected);
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);
  fb_device_unref (f->dev);
  g_free (f->path);
}

/* (transfer full) */
static float *
expected (Fixture *f, const char *name, gsize *n)
{
  g_autoptr(GError)   error = NULL;
  const FbTensorInfo *info  = fb_safetensors_lookup (f->expected, name);
  float              *values;

  g_assert_nonnull (info);
  values = g_new (float, fb_tensor_info_n_elements (info));
  fb_safetensors_read_f32 (f->expected, info, 0, fb_tensor_info_n_elements (info), values, NULL, &error);
  g_assert_no_error (error);
  if (n != NULL)
    *n = fb_tensor_info_n_elements (info);

  return values;
}

static double
distance (const float *a, const float *b, gsize n)
{
  double error = 0.0, norm = 0.0;

  for (gsize i = 0; i < n; i++)
    {
      error += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
      norm += (double) b[i] * b[i];
    }

  return sqrt (error / norm);
}

/* (transfer full): the fixture's step; NULL with @error set */
static float *
denoise (Fixture *f, GCancellable *cancellable, GError **error)
{
  g_autofree float *latents = expected (f, "unet.latents", NULL);
  g_autofree float *context = expected (f, "unet.context", NULL);
  g_autofree float *out     = g_new0 (float, 2 * H * W * 4);
  const FbDenoise   call    = { .latents = latents, .n = 2, .height = H, .width = W, .timestep = 999.0f, .context = context, .n_tokens = 77 };

  return fb_model_denoise (f->model, &call, out, cancellable, error) ? g_steal_pointer (&out) : NULL;
}

static float *
denoise_well (Fixture *f)
{
  GError *error = NULL;
  float  *out   = denoise (f, NULL, &error);

  g_assert_no_error (error);
  return out;
}

static void
test_open_tells_what_the_file_holds (Fixture *f, gconstpointer data)
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
test_networks_give_what_diffusers_gives (Fixture *f, gconstpointer data)
{
  g_autoptr(GError)  error   = NULL;
  gsize              n;
  g_autofree float  *noise   = expected (f, "unet.out", &n);
  g_autofree float  *out     = denoise_well (f);
  g_autofree float  *hidden  = expected (f, "text.skip1", NULL);
  g_autofree float  *text    = g_new (float, 2 * 77 * 64);
  g_autofree int    *ids     = g_new (int, 2 * 77);

  g_assert_cmpuint (n, ==, 2 * H * W * 4);
  g_assert_cmpfloat (distance (out, noise, n), <, 1e-4);

  fb_safetensors_read (f->expected, fb_safetensors_lookup (f->expected, "text.ids"), 0, 2 * 77 * sizeof (int), ids, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (fb_model_encode_text (f->model, ids, 2, 1, text, NULL, &error));
  g_assert_cmpfloat (distance (text, hidden, 2 * 77 * 64), <, 1e-4);

  ids[3] = 99;
  g_assert_false (fb_model_encode_text (f->model, ids, 2, 1, text, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG);
  g_clear_error (&error);
  ids[3] = 1;
  g_assert_false (fb_model_encode_text (f->model, ids, 2, 2, text, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED);
}

static void
test_autoencoder_scales_and_samples (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *picture = expected (f, "vae.picture", NULL);
  g_autofree float *moments = expected (f, "vae.moments", NULL);
  g_autofree float *latents = expected (f, "vae.latents", NULL);
  g_autofree float *decoded = expected (f, "vae.decoded", NULL);
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
  g_assert_cmpfloat (distance (got, want, 8 * 12 * 4), <, 1e-4);

  for (int i = 0; i < 10 * 8 * 4; i++)
    latents[i] *= 0.18215f;
  g_assert_true (fb_model_decode (f->model, latents, 10, 8, 0, pixels, NULL, &error));
  g_assert_cmpfloat (distance (pixels, decoded, 80 * 64 * 3), <, 1e-4);
}

/* The single file brings no tokenizer, and the standard one has more words than its small text encoder; a folder brings its own. */
static void
test_tokenizer_fits_the_text_encoder (Fixture *f, gconstpointer data)
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
test_other_autoencoder_replaces_the_own (Fixture *f, gconstpointer data)
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
  latents = expected (f, "vae.latents", NULL);
  decoded = expected (f, "vae.decoded", NULL);
  for (int i = 0; i < 10 * 8 * 4; i++)
    latents[i] *= 0.4f;
  g_assert_true (fb_model_decode (model, latents, 10, 8, 0, pixels, NULL, &error));
  g_assert_cmpfloat (distance (pixels, decoded, 80 * 64 * 3), <, 1e-4);
}

static void
test_taesd_can_be_set (Fixture *f, gconstpointer data)
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
  latents = expected (f, "taesd.latents", NULL);
  decoded = expected (f, "taesd.decoded", NULL);
  g_assert_true (fb_model_decode_taesd (f->model, latents, 10, 8, pixels, NULL, &error));
  g_assert_cmpfloat (distance (pixels, decoded, 80 * 64 * 3), <, 1e-4);

  g_assert_true (fb_model_has_taesd_encoder (f->model));
  picture = expected (f, "taesd.picture", NULL);
  encoded = expected (f, "taesd.encoded", NULL);
  g_assert_true (fb_model_encode_taesd (f->model, picture, 64, 96, pixels, NULL, &error));
  g_assert_cmpfloat (distance (pixels, encoded, 8 * 12 * 4), <, 1e-4);
}

/* the same files under two names: SDXL's TAESD differs in its values alone */
static void
test_taesd_of_another_family_is_passed_over (Fixture *f, gconstpointer data)
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
test_second_step_is_the_same (Fixture *f, gconstpointer data)
{
  g_autofree float *first  = denoise_well (f);
  const size_t      bytes  = fb_device_bytes_in_use (f->dev);
  g_autofree float *second = denoise_well (f);

  g_assert_cmpmem (first, 2 * H * W * 16, second, 2 * H * W * 16);
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, bytes);
}

/* A changed prompt at the same address must not be taken for the old one. */
static void
test_changed_context_is_seen (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = expected (f, "unet.latents", NULL);
  g_autofree float *context = expected (f, "unet.context", NULL);
  g_autofree float *a       = g_new (float, 2 * H * W * 4);
  g_autofree float *b       = g_new (float, 2 * H * W * 4);
  const FbDenoise   call    = { .latents = latents, .n = 2, .height = H, .width = W, .timestep = 999.0f, .context = context, .n_tokens = 77 };

  g_assert_true (fb_model_denoise (f->model, &call, a, NULL, &error));
  context[2 * 77 * 64 - 1] += 5.0f;
  g_assert_true (fb_model_denoise (f->model, &call, b, NULL, &error));
  g_assert_cmpint (memcmp (a, b, H * W * 16), ==, 0);                           /* the first picture's prompt is untouched */
  g_assert_cmpint (memcmp (a + H * W * 4, b + H * W * 4, H * W * 16), !=, 0);
}

/* A training step's samples stand at timesteps of their own. */
static void
test_each_picture_may_have_its_timestep (Fixture *f, gconstpointer data)
{
  const float       timesteps[2] = { 999.0f, 249.0f };
  g_autofree float *latents      = expected (f, "unet.latents", NULL);
  g_autofree float *context      = expected (f, "unet.context", NULL);
  g_autofree float *both         = g_new (float, 2 * H * W * 4);
  g_autofree float *shared       = denoise_well (f);
  g_autofree float *second       = g_new (float, H * W * 4);
  const FbDenoise   call = { .latents = latents, .n = 2, .height = H, .width = W, .timesteps = timesteps, .context = context, .n_tokens = 77 };
  const FbDenoise   one  = { .latents = latents + H * W * 4, .n = 1, .height = H, .width = W, .timestep = 249.0f,
                             .context = context + 77 * 64, .n_tokens = 77 };

  g_assert_true (fb_model_denoise (f->model, &call, both, NULL, NULL));
  g_assert_true (fb_model_denoise (f->model, &one, second, NULL, NULL));
  g_assert_cmpint (memcmp (both, shared, H * W * 16), ==, 0);
  g_assert_cmpint (memcmp (both + H * W * 4, second, H * W * 16), ==, 0);
  g_assert_cmpint (memcmp (second, shared + H * W * 4, H * W * 16), !=, 0);
}

static void
test_unload_and_load_changes_nothing (Fixture *f, gconstpointer data)
{
  g_autofree float *first  = denoise_well (f);
  g_autofree float *second = NULL;

  g_assert_true (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  fb_model_unload (f->model);
  g_assert_false (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);
  second = denoise_well (f);
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
test_cancel_leaves_the_model_usable (Fixture *f, gconstpointer data)
{
  g_autoptr(GCancellable) loading   = g_cancellable_new ();
  g_autoptr(GCancellable) computing = g_cancellable_new ();
  g_autoptr(GError)       error     = NULL;
  g_autofree float       *out       = NULL;
  g_autofree float       *want      = expected (f, "unet.out", NULL);
  GThread                *thread;

  g_assert_false (fb_model_load (f->model, FB_MODEL_UNET, cancel_half_way, loading, loading, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_true (fb_model_load (f->model, FB_MODEL_UNET, NULL, NULL, NULL, &error));

  thread = g_thread_new ("cancel", cancel_soon, computing);
  while ((out = denoise (f, computing, &error)) != NULL)             /* until one of them meets the cancel */
    g_clear_pointer (&out, g_free);
  g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  out = denoise_well (f);
  g_assert_cmpfloat (distance (out, want, 2 * H * W * 4), <, 1e-4);
}

static void
test_not_finite_is_an_error (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = g_new0 (float, 4 * 4 * 4);
  g_autofree float *pixels  = g_new (float, 32 * 32 * 3);

  latents[5] = INFINITY;
  g_assert_false (fb_model_decode (f->model, latents, 4, 4, 0, pixels, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE);
}

static void
test_weights_take_the_bytes_told (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error = NULL;

  for (int part = FB_MODEL_TEXT_ENCODER; part <= FB_MODEL_VAE_DECODER; part++)
    {
      const guint64 told   = fb_model_weight_bytes (f->model, part);
      const size_t  before = fb_device_bytes_in_use (f->dev);

      g_assert_true (fb_model_load (f->model, part, NULL, NULL, NULL, &error));
      if (part == FB_MODEL_TEXT_ENCODER)                    /* its embeddings stay with the host */
        g_assert_cmpuint (fb_device_bytes_in_use (f->dev) - before, <=, told);
      else
        g_assert_cmpfloat (fabs ((double) (fb_device_bytes_in_use (f->dev) - before) / told - 1.0), <, 0.35);    /* packing pads */
    }
  g_assert_cmpuint (fb_model_weight_bytes (f->model, FB_MODEL_TAESD), ==, 0);
}

static void
test_activations_take_the_bytes_told (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = g_new0 (float, 16 * 24 * 4);
  g_autofree float *pixels  = g_new (float, 128 * 192 * 3);
  size_t            before;

  g_free (denoise_well (f));
  fb_model_load (f->model, FB_MODEL_VAE_DECODER, NULL, NULL, NULL, &error);
  g_assert_no_error (error);

  before = fb_device_bytes_in_use (f->dev);
  fb_device_reset_peak (f->dev);
  g_assert_true (fb_model_decode (f->model, latents, 16, 24, 0, pixels, NULL, &error));
  g_assert_cmpfloat ((double) (fb_device_bytes_peak (f->dev) - before) /
                     fb_model_activation_bytes (f->model, FB_MODEL_VAE_DECODER, 1, 128, 192), <=, 1.0);
  g_assert_cmpfloat ((double) (fb_device_bytes_peak (f->dev) - before) /
                     fb_model_activation_bytes (f->model, FB_MODEL_VAE_DECODER, 1, 128, 192), >=, 0.95);

  g_assert_cmpuint (fb_model_activation_bytes (f->model, FB_MODEL_UNET, 2, 512, 512), >,
                    fb_model_activation_bytes (f->model, FB_MODEL_UNET, 1, 512, 512));
  g_assert_cmpuint (fb_model_activation_bytes (f->model, FB_MODEL_UNET, 4, 800000, 800000), >, (guint64) 1 << 45);
}

#define SMALL 8     /* latent pixels per side: the UNet's coarsest level has one */

/* (transfer full): a step of @n small pictures at @timestep, with prompts that are the fixture's times @factor */
static float *
denoise_at (Fixture *f, FbModel *model, int n, float timestep, float factor)
{
  g_autoptr(GError)  error   = NULL;
  g_autofree float  *latents = expected (f, "unet.latents", NULL);
  g_autofree float  *context = expected (f, "unet.context", NULL);
  float             *out     = g_new0 (float, 2 * SMALL * SMALL * 4);
  const FbDenoise    call    = { .latents = latents, .n = n, .height = SMALL, .width = SMALL, .timestep = timestep, .context = context, .n_tokens = 77 };

  for (int i = 0; i < 2 * 77 * 64; i++)
    context[i] *= factor;
  fb_model_denoise (model, &call, out, NULL, &error);
  g_assert_no_error (error);
  return out;
}

/* The device made one that records: what it is given it does at once, and the first replay has nothing left to do. Later ones it declines, so that
 * each way a step can go is gone several times. */
typedef struct
{
  gboolean is_new;
  int      n_recorded, n_replayed, n_declined;
} Recorder;

static Recorder recorder;

static gboolean
recorder_begin (FbDevice *dev)
{
  return TRUE;
}

static void *
recorder_end (FbDevice *dev)
{
  recorder.is_new = TRUE;
  recorder.n_recorded++;
  return &recorder;
}

static gboolean
recorder_replay (FbDevice *dev, void *recorded)
{
  const gboolean done = recorder.is_new;

  recorder.is_new = FALSE;
  *(done ? &recorder.n_replayed : &recorder.n_declined) += 1;
  return done;
}

static void
recorder_free (FbDevice *dev, void *recorded)
{
}

/* Runs @check with the fixture's device as one that records; %FALSE where it does so by itself */
static gboolean
check_recording (Fixture *f, void (* check) (Fixture *f))
{
  const FbDeviceOps *ops       = f->dev->ops;
  FbDeviceOps        recording = *ops;

  if (ops->record_begin != NULL)
    {
      g_test_skip ("this device records by itself");
      return FALSE;
    }
  recording.record_begin = recorder_begin;
  recording.record_end = recorder_end;
  recording.replay = recorder_replay;
  recording.free_recorded = recorder_free;
  recorder = (Recorder) { FALSE, 0, 0, 0 };
  f->dev->ops = &recording;
  check (f);
  fb_model_unload (f->model);
  f->dev->ops = ops;
  return TRUE;
}

/* A device may replay what it has done for calls of the same shape: whatever changes between them has to be seen. */
static void
check_each_step (Fixture *f)
{
  static const struct { int n; float timestep, factor; gboolean unload_unet, unload; } calls[] =
  {
    { 1, 999.0f, 1.0f }, { 1, 749.0f, 1.0f }, { 1, 499.0f, 0.5f }, { 1, 249.5f, 0.5f, .unload_unet = TRUE }, { 1, 99.0f, 0.5f },
    { 2, 999.0f, 1.0f }, { 2, 499.0f, 1.0f }, { 2, 19.0f, 1.0f, .unload = TRUE }, { 2, 9.0f, 1.0f },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autoptr(GError)  error = NULL;
      g_autoptr(FbModel) fresh = fb_model_open (f->path, NULL, NULL, f->dev, FB_DTYPE_F32, &error);
      g_autofree float  *again = denoise_at (f, f->model, calls[i].n, calls[i].timestep, calls[i].factor);
      g_autofree float  *first = denoise_at (f, fresh, calls[i].n, calls[i].timestep, calls[i].factor);

      g_assert_cmpmem (again, 2 * SMALL * SMALL * 16, first, 2 * SMALL * SMALL * 16);
      if (calls[i].unload_unet)
        fb_model_unload_part (f->model, FB_MODEL_UNET);
      if (calls[i].unload)
        fb_model_unload (f->model);
    }
}

static void
test_each_step_is_as_a_first_one (Fixture *f, gconstpointer data)
{
  check_each_step (f);
}

static void
test_each_recorded_step_is_as_a_plain_one (Fixture *f, gconstpointer data)
{
  if (!check_recording (f, check_each_step))
    return;
  g_assert_cmpint (recorder.n_recorded, >=, 3);
  g_assert_cmpint (recorder.n_replayed, ==, recorder.n_recorded);
  g_assert_cmpint (recorder.n_declined, >=, 1);
}

/* --- memory that does not hold all parts --------------------------------------------------------------------------------------- */

enum { TEXT, STEP, PICTURE, N_CALLS };

static const FbModelPart parts_of_calls[N_CALLS] = { FB_MODEL_TEXT_ENCODER, FB_MODEL_UNET, FB_MODEL_VAE_DECODER };
static const gsize       sizes_of_calls[N_CALLS] = { 2 * 77 * 64, 2 * H * W * 4, 64 * 64 * 3 };

/* (transfer full): what the call gives; NULL with @error set */
static float *
do_call (Fixture *f, int call, GError **error)
{
  g_autofree float *out = NULL;
  gboolean          ok  = TRUE;

  if (call == STEP)
    return denoise (f, NULL, error);

  out = g_new0 (float, sizes_of_calls[call]);
  if (call == TEXT)
    {
      g_autofree int *ids = g_new (int, 2 * 77);

      ok = fb_safetensors_read (f->expected, fb_safetensors_lookup (f->expected, "text.ids"), 0, 2 * 77 * sizeof (int), ids, NULL, error) &&
           fb_model_encode_text (f->model, ids, 2, 0, out, NULL, error);
    }
  else
    {
      g_autofree float *latents = g_new (float, 8 * 8 * 4);

      for (int i = 0; i < 8 * 8 * 4; i++)
        latents[i] = sinf (i);
      ok = fb_model_decode (f->model, latents, 8, 8, 0, out, NULL, error);
    }

  return ok ? g_steal_pointer (&out) : NULL;
}

static float *
do_call_well (Fixture *f, int call)
{
  g_autoptr(GError)  error = NULL;
  float             *out   = do_call (f, call, &error);

  g_assert_no_error (error);
  return out;
}

/* @wanted: what the calls give without a limit; @alone: the most bytes of each with its own part only; returns the most of all parts at once */
static size_t
measure_calls (Fixture *f, float **wanted, size_t *alone)
{
  size_t all;

  for (int i = 0; i < N_CALLS; i++)
    {
      fb_model_unload (f->model);
      fb_device_reset_peak (f->dev);
      wanted[i] = do_call_well (f, i);
      alone[i]  = fb_device_bytes_peak (f->dev);
    }
  fb_model_unload (f->model);
  fb_device_reset_peak (f->dev);
  for (int i = 0; i < N_CALLS; i++)
    g_free (do_call_well (f, i));
  all = fb_device_bytes_peak (f->dev);
  fb_model_unload (f->model);

  return all;
}

static void
assert_call_gives (Fixture *f, int call, const float *wanted)
{
  g_autofree float *out = do_call_well (f, call);

  g_assert_cmpmem (out, sizes_of_calls[call] * sizeof (float), wanted, sizes_of_calls[call] * sizeof (float));
}

static void
test_parts_take_turns_where_memory_is_short (Fixture *f, gconstpointer data)
{
  float  *wanted[N_CALLS];
  size_t  alone[N_CALLS];
  size_t  all   = measure_calls (f, wanted, alone);
  size_t  limit = MAX (MAX (alone[TEXT], alone[STEP]), alone[PICTURE]);

  g_assert_cmpuint (limit, <, all);
  fb_device_set_limit (f->dev, limit);
  fb_device_reset_peak (f->dev);
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < N_CALLS; i++)
      {
        assert_call_gives (f, i, wanted[i]);
        g_assert_true (fb_model_is_loaded (f->model, parts_of_calls[i]));
      }
  g_assert_cmpuint (fb_device_bytes_peak (f->dev), <=, limit);
  g_assert_false (fb_model_is_loaded (f->model, FB_MODEL_TEXT_ENCODER) && fb_model_is_loaded (f->model, FB_MODEL_UNET));

  fb_device_set_limit (f->dev, all);                     /* as much as all need: nothing goes any more */
  for (int i = 0; i < N_CALLS; i++)
    assert_call_gives (f, i, wanted[i]);
  for (int i = 0; i < N_CALLS; i++)
    g_assert_true (fb_model_is_loaded (f->model, parts_of_calls[i]));
  for (int i = 0; i < N_CALLS; i++)
    g_free (wanted[i]);
}

/* Wherever in a call the memory ends: an error that says so, or the same values; and nothing of it stays in the way. */
static void
test_any_lack_of_memory_is_survived (Fixture *f, gconstpointer data)
{
  const int n_limits = 9;
  float    *wanted[N_CALLS];
  size_t    alone[N_CALLS];
  size_t    all      = measure_calls (f, wanted, alone);
  int       n_failed = 0;

  for (int k = 0; k < n_limits; k++)
    {
      fb_device_set_limit (f->dev, all / n_limits * (k + 1));
      for (int i = 0; i < N_CALLS; i++)
        {
          g_autoptr(GError) error = NULL;
          g_autofree float *out   = do_call (f, i, &error);

          if (out != NULL)
            g_assert_cmpmem (out, sizes_of_calls[i] * sizeof (float), wanted[i], sizes_of_calls[i] * sizeof (float));
          else
            {
              g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
              g_assert_cmpuint (fb_device_limit (f->dev), <, alone[i]);
              n_failed++;
            }
        }
      if (k % 4 == 0)                                    /* in between, as if other programs had gone */
        {
          fb_device_set_limit (f->dev, G_MAXSIZE);
          assert_call_gives (f, STEP, wanted[STEP]);
        }
    }
  g_assert_cmpint (n_failed, >, 0);
  for (int i = 0; i < N_CALLS; i++)
    g_free (wanted[i]);
}

/* A recording's block makes way before any part does. */
static void
check_recording_makes_way (Fixture *f)
{
  float  *wanted[N_CALLS];
  size_t  alone[N_CALLS];
  size_t  all, with_block;

  all = measure_calls (f, wanted, alone);
  for (int i = 0; i < 2; i++)
    assert_call_gives (f, STEP, wanted[STEP]);
  assert_call_gives (f, TEXT, wanted[TEXT]);
  with_block = fb_device_bytes_in_use (f->dev);
  g_assert_cmpint (recorder.n_recorded, ==, 1);

  fb_device_set_limit (f->dev, all + 100000);            /* what plain steps leave is enough for the picture, the block besides is too much */
  g_assert_cmpuint (with_block + alone[PICTURE], >, all + 100000);
  assert_call_gives (f, PICTURE, wanted[PICTURE]);
  g_assert_true (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  g_assert_true (fb_model_is_loaded (f->model, FB_MODEL_TEXT_ENCODER));
  assert_call_gives (f, STEP, wanted[STEP]);
  fb_device_set_limit (f->dev, G_MAXSIZE);
  for (int i = 0; i < N_CALLS; i++)
    g_free (wanted[i]);
}

static void
test_a_recording_makes_way_first (Fixture *f, gconstpointer data)
{
  check_recording (f, check_recording_makes_way);
}

static void
test_a_held_part_stays (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error = NULL;
  float            *wanted[N_CALLS];
  size_t            alone[N_CALLS];
  g_autofree float *out   = NULL;

  measure_calls (f, wanted, alone);
  fb_device_set_limit (f->dev, MAX (alone[STEP], alone[PICTURE]));
  assert_call_gives (f, STEP, wanted[STEP]);
  fb_model_hold (f->model, FB_MODEL_UNET, TRUE);
  out = do_call (f, PICTURE, &error);
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
  g_assert_true (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  fb_model_hold (f->model, FB_MODEL_UNET, FALSE);
  assert_call_gives (f, PICTURE, wanted[PICTURE]);
  g_assert_false (fb_model_is_loaded (f->model, FB_MODEL_UNET));
  for (int i = 0; i < N_CALLS; i++)
    g_free (wanted[i]);
}

/* What the device computes in changes the numbers a little, and f32 comes back exactly. */
static void
test_dtype_can_change (Fixture *f, gconstpointer data)
{
  g_autofree float *exact = denoise_well (f);
  g_autofree float *rough = NULL;
  g_autofree float *again = NULL;

  if (!fb_device_supports (f->dev, FB_DTYPE_BF16))
    {
      g_test_skip ("this processor does not multiply bf16");
      return;
    }
  fb_model_set_dtype (f->model, FB_DTYPE_BF16);
  rough = denoise_well (f);
  g_assert_cmpfloat (distance (rough, exact, 2 * H * W * 4), >, 1e-4);
  g_assert_cmpfloat (distance (rough, exact, 2 * H * W * 4), <, 5e-2);
  fb_model_set_dtype (f->model, FB_DTYPE_F32);
  again = denoise_well (f);
  g_assert_cmpmem (exact, 2 * H * W * 16, again, 2 * H * W * 16);
}

static float *
encode (Fixture *f)
{
  g_autoptr(GError) error = NULL;
  g_autofree int   *ids   = g_new (int, 2 * 77);
  float            *out   = g_new (float, 2 * 77 * 64);

  fb_safetensors_read (f->expected, fb_safetensors_lookup (f->expected, "text.ids"), 0, 2 * 77 * sizeof (int), ids, NULL, &error);
  g_assert_no_error (error);
  fb_model_encode_text (f->model, ids, 2, 0, out, NULL, &error);
  g_assert_no_error (error);

  return out;
}

static void
set_loras (Fixture *f, int n, const FbLoraUse *loras)
{
  g_autoptr(GError) error = NULL;

  fb_model_set_loras (f->model, loras, n, NULL, &error);
  g_assert_no_error (error);
}

static void
test_lora_gives_what_peft_gives_and_leaves_no_trace (Fixture *f, gconstpointer data)
{
  g_autofree char    *path      = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "lora.safetensors", NULL);
  const FbLoraUse     one[]     = { { path, 0.7 } };
  const FbLoraUse     halves[]  = { { path, 0.3 }, { path, 0.4 } };
  const FbLoraUse     off[]     = { { path, 0.0 } };
  g_autofree float   *want      = expected (f, "lora.unet", NULL);
  g_autofree float   *want_text = expected (f, "lora.text", NULL);
  g_autofree float   *plain     = denoise_well (f);
  g_autofree float   *text      = encode (f);
  g_autofree float   *with      = NULL;
  g_autofree float   *with_text = NULL;
  const FbLoraReport *reports;
  int                 n;

  set_loras (f, 1, one);                                   /* into loaded weights */
  with = denoise_well (f);
  with_text = encode (f);
  g_assert_cmpfloat (distance (with, want, 2 * H * W * 4), <, 1e-4);
  g_assert_cmpfloat (distance (with, plain, 2 * H * W * 4), >, 1e-3);
  g_assert_cmpfloat (distance (with_text, want_text, 2 * 77 * 64), <, 1e-4);
  g_assert_cmpfloat (distance (with_text, text, 2 * 77 * 64), >, 1e-3);
  reports = fb_model_lora_reports (f->model, &n);
  g_assert_cmpint (n, ==, 1);
  g_assert_cmpint (reports[0].n_matched, >, 100);
  g_assert_cmpuint (g_strv_length (reports[0].unmatched), ==, 0);

  set_loras (f, 2, halves);                                /* several add up */
  g_free (with);
  with = denoise_well (f);
  g_assert_cmpfloat (distance (with, want, 2 * H * W * 4), <, 1e-4);

  for (int i = 0; i < 2; i++)                              /* strength 0, then none at all: the very bytes from before */
    {
      g_autofree float *again      = NULL;
      g_autofree float *text_again = NULL;

      set_loras (f, 1, one);
      set_loras (f, i == 0 ? 1 : 0, off);
      again = denoise_well (f);
      text_again = encode (f);
      g_assert_cmpmem (again, 2 * H * W * 16, plain, 2 * H * W * 16);
      g_assert_cmpmem (text_again, 2 * 77 * 64 * 4, text, 2 * 77 * 64 * 4);
    }

  fb_model_unload (f->model);
  set_loras (f, 1, one);                                   /* before anything is loaded */
  g_free (with);
  with = denoise_well (f);
  g_assert_cmpfloat (distance (with, want, 2 * H * W * 4), <, 1e-4);
}

/* None, one that comes, another strength, none again, and back: the next steps have to see it, whatever the device has kept of those before. */
static void
check_lora_steps (Fixture *f)
{
  static const float  strengths[] = { 0.0f, 0.7f, 0.3f, 0.0f, 0.7f };
  g_autofree char    *path        = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "lora.safetensors", NULL);
  const gsize         n_bytes     = 2 * SMALL * SMALL * 16;
  g_autofree float   *before      = g_malloc0 (n_bytes);

  for (gsize i = 0; i < G_N_ELEMENTS (strengths); i++)
    {
      const FbLoraUse use = { path, strengths[i] };

      set_loras (f, strengths[i] != 0.0f, &use);
      for (int turn = 0; turn < 3; turn++)                 /* on a device that records: plain, recorded, replayed */
        {
          g_autoptr(GError)  error = NULL;
          g_autoptr(FbModel) fresh = fb_model_open (f->path, NULL, NULL, f->dev, FB_DTYPE_F32, &error);
          g_autofree float  *again = denoise_at (f, f->model, 1, 999.0f - 250.0f * turn, 1.0f);
          g_autofree float  *first = NULL;

          fb_model_set_loras (fresh, &use, strengths[i] != 0.0f, NULL, &error);
          g_assert_no_error (error);
          first = denoise_at (f, fresh, 1, 999.0f - 250.0f * turn, 1.0f);
          g_assert_cmpmem (again, n_bytes, first, n_bytes);
          if (turn == 0)
            {
              g_assert_cmpint (memcmp (again, before, n_bytes), !=, 0);
              memcpy (before, again, n_bytes);
            }
        }
    }
}

static void
test_a_lora_between_steps_is_seen (Fixture *f, gconstpointer data)
{
  check_lora_steps (f);
}

static void
test_a_lora_between_recorded_steps_is_seen (Fixture *f, gconstpointer data)
{
  if (!check_recording (f, check_lora_steps))
    return;
  g_assert_cmpint (recorder.n_recorded, ==, 5);
  g_assert_cmpint (recorder.n_replayed, ==, 5);
}

/* what each part gives, without LoRAs or with: (transfer full): UNet, text encoder, autoencoder there and back */
#define N_ALL (2 * H * W * 4 + 2 * 77 * 64 + 8 * 12 * 4 + 64 * 96 * 3)

static float *
compute_all (Fixture *f, int n_loras, const FbLoraUse *loras)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *picture = expected (f, "vae.picture", NULL);
  g_autofree float *noise   = NULL;
  g_autofree float *text    = NULL;
  float            *out     = g_new (float, N_ALL), *latents = out + 2 * H * W * 4 + 2 * 77 * 64;

  set_loras (f, n_loras, loras);
  noise = denoise_well (f);
  text  = encode (f);
  memcpy (out, noise, 2 * H * W * 16);
  memcpy (out + 2 * H * W * 4, text, 2 * 77 * 64 * 4);
  fb_model_encode_image (f->model, picture, 64, 96, NULL, latents, NULL, &error);
  g_assert_no_error (error);
  fb_model_decode (f->model, latents, 8, 12, 0, latents + 8 * 12 * 4, NULL, &error);
  g_assert_no_error (error);

  return out;
}

static void
test_half_saves_memory_and_changes_no_byte (Fixture *f, gconstpointer data)
{
  g_autofree char  *path   = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "lora.safetensors", NULL);
  const FbLoraUse   one[]  = { { path, 0.7 } };
  g_autofree float *with   = compute_all (f, 1, one);
  g_autofree float *plain  = compute_all (f, 0, NULL);
  size_t            full   = fb_device_bytes_in_use (f->dev);
  guint64           told   = 0, saved = 0, left = 0;

  if (!fb_model_can_be_half (f->model, f->dev))
    {
      g_test_skip ("this device keeps weights in the type it computes in");
      return;
    }
  for (int part = FB_MODEL_TEXT_ENCODER; part <= FB_MODEL_VAE_DECODER; part++)
    {
      told  += fb_model_weight_bytes (f->model, part);
      saved += fb_model_half_saves (f->model, part);
    }
  fb_model_set_half (f->model, TRUE);
  for (int part = FB_MODEL_TEXT_ENCODER; part <= FB_MODEL_VAE_DECODER; part++)
    {
      g_assert_false (fb_model_is_loaded (f->model, part));
      left += fb_model_weight_bytes (f->model, part);
    }
  g_assert_cmpuint (left, ==, told - saved);
  g_assert_cmpuint (left, <, told * 6 / 10);

  for (int i = 0; i < 2; i++)                              /* into loaded weights, and out again */
    {
      g_autofree float *half      = compute_all (f, 0, NULL);
      g_autofree float *half_with = NULL;

      g_assert_cmpmem (half, N_ALL * sizeof (float), plain, N_ALL * sizeof (float));
      g_assert_cmpuint (fb_device_bytes_in_use (f->dev), <, full * 6 / 10);
      half_with = compute_all (f, 1, one);
      g_assert_cmpmem (half_with, N_ALL * sizeof (float), with, N_ALL * sizeof (float));
      g_assert_cmpuint (fb_model_half_saves (f->model, FB_MODEL_UNET), <, saved);
    }
}

static void
test_half_pays_where_f32_does_not_fit (void)
{
  g_unsetenv ("FLASHBRUSH_WEIGHTS");
  g_assert_false (fb_half_pays (100, 40, 100));
  g_assert_true (fb_half_pays (101, 40, 100));
  g_assert_true (fb_half_pays (140, 40, 100));
  g_assert_false (fb_half_pays (141, 40, 100));            /* nothing helps */
  g_assert_false (fb_half_pays (100, 0, 50));
  g_assert_false (fb_half_pays (100, 40, 0));              /* nobody knows */
}

static void
test_failed_lora_leaves_the_earlier_ones (Fixture *f, gconstpointer data)
{
  g_autofree char         *path      = g_test_build_filename (G_TEST_DIST, "golden", "models", "single", "lora.safetensors", NULL);
  const FbLoraUse          one[]     = { { path, 0.7 } };
  const FbLoraUse          missing[] = { { path, 0.1 }, { (char *) "/nowhere/lora.safetensors", 1.0 } };
  g_autoptr(GCancellable)  cancelled = g_cancellable_new ();
  g_autoptr(GError)        error     = NULL;
  g_autofree float        *first     = NULL;
  g_autofree float        *second    = NULL;
  int                      n;

  set_loras (f, 1, one);
  first = denoise_well (f);

  g_assert_false (fb_model_set_loras (f->model, missing, 2, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_clear_error (&error);

  g_cancellable_cancel (cancelled);
  g_assert_false (fb_model_set_loras (f->model, missing, 1, cancelled, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  fb_model_lora_reports (f->model, &n);
  g_assert_cmpint (n, ==, 1);
  second = denoise_well (f);
  g_assert_cmpmem (first, 2 * H * W * 16, second, 2 * H * W * 16);
}

static void
test_every_tensor_is_claimed (Fixture *f, gconstpointer data)
{
  g_auto(GStrv)    unclaimed = fb_model_unclaimed (f->model);

  g_assert_cmpuint (g_strv_length (unclaimed), ==, 0);
}

/* Copies the fixture's file without the tensor @left_out, or with one more row in it */
static char *
damaged_copy (Fixture *f, const char *name, gboolean leave_out)
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
test_missing_and_misshapen_tensors_are_named (Fixture *f, gconstpointer data)
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

/* A network that only copies, at 8× or 1/8 the size */
static gboolean
copy_tile (const float *in, int height, int width, float *out, gpointer data, GError **error)
{
  const FbTiles *t = data;

  for (int y = 0; y < height * t->out_scale; y++)
    for (int x = 0; x < width * t->out_scale; x++)
      out[y * width * t->out_scale + x] = in[y * t->in_scale / t->out_scale * width * t->in_scale + x * t->in_scale / t->out_scale];

  return TRUE;
}

static void
test_tiles_add_up (Fixture *f, gconstpointer data)
{
  static const int sizes[][3] = { { 5, 9, 16 }, { 17, 40, 16 }, { 16, 17, 16 }, { 64, 31, 10 }, { 3, 100, 1 }, { 50, 50, 49 } };

  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (int up = 0; up < 2; up++)
      {
        FbTiles           t    = { sizes[i][0], sizes[i][1], sizes[i][2], up ? 1 : 8, 1, up ? 8 : 1, 1 };
        const gsize       n_in = (gsize) t.height * t.width * t.in_scale * t.in_scale;
        const gsize       n    = (gsize) t.height * t.width * t.out_scale * t.out_scale;
        g_autofree float *in   = g_new (float, n_in);
        g_autofree float *want = g_new (float, n);
        g_autofree float *got  = g_new (float, n);

        for (gsize k = 0; k < n_in; k++)
          in[k] = sinf (k * 0.37f) + 2.0f;
        copy_tile (in, t.height, t.width, want, &t, NULL);
        g_assert_true (fb_tiles_run (&t, in, got, copy_tile, &t, NULL));
        for (gsize k = 0; k < n; k++)
          g_assert_cmpfloat_with_epsilon (got[k], want[k], 1e-5);
      }
}

/* An autoencoder normalises over what it sees, so tiles differ from the whole; with a tile as large as the picture they must not. */
static void
test_tile_as_large_as_the_picture_changes_nothing (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = g_new (float, 12 * 20 * 4);
  g_autofree float *whole   = g_new (float, 96 * 160 * 3);
  g_autofree float *tiled   = g_new (float, 96 * 160 * 3);

  for (int i = 0; i < 12 * 20 * 4; i++)
    latents[i] = sinf (i * i);
  g_assert_true (fb_model_decode (f->model, latents, 12, 20, 0, whole, NULL, &error));
  g_assert_true (fb_model_decode (f->model, latents, 12, 20, 20, tiled, NULL, &error));
  g_assert_cmpmem (whole, 96 * 160 * 12, tiled, 96 * 160 * 12);
  g_assert_true (fb_model_decode (f->model, latents, 12, 20, 12, tiled, NULL, &error));
  g_assert_cmpfloat (distance (tiled, whole, 96 * 160 * 3), <, 0.5);
}

/* A decoder that paints each latent pixel in a colour linear in it is found out, and the ridge costs little. */
static void
test_linear_preview_finds_the_map (Fixture *f, gconstpointer data)
{
  static const float map[3][4] = { { 0.15f, 0.06f, -0.1f, 0.0f }, { -0.12f, 0.2f, 0.03f, 0.0f }, { 0.03f, 0.1f, 0.22f, 0.0f } };
  const int          side      = FB_LINEAR_PREVIEW_SIZE;
  g_autofree float  *latents   = g_new (float, side * side * 4);
  g_autofree float  *decoded   = g_new (float, 8 * side * 8 * side * 3);
  g_autofree float  *want      = g_new (float, side * side * 3);
  g_autofree float  *got       = g_new (float, side * side * 3);
  double             squares   = 0.0;
  FbLinearPreview    preview;

  fb_linear_preview_probe (latents, 4);
  for (int i = 0; i < side * side * 4; i++)
    squares += latents[i] * latents[i];
  g_assert_cmpfloat_with_epsilon (squares / (side * side * 4), 1.0, 1e-4);

  for (int i = 0; i < side * side; i++)
    for (int c = 0; c < 3; c++)
      {
        float value = 0.1f;

        for (int k = 0; k < 4; k++)
          value += map[c][k] * latents[i * 4 + k];
        want[i * 3 + c] = value;
      }
  for (int y = 0; y < 8 * side; y++)
    for (int x = 0; x < 8 * side; x++)
      for (int c = 0; c < 3; c++)
        decoded[(y * 8 * side + x) * 3 + c] = want[(y / 8 * side + x / 8) * 3 + c] + (x % 2 ? 0.05f : -0.05f);

  fb_linear_preview_fit (&preview, latents, 4, decoded, 8);
  fb_linear_preview_apply (&preview, latents, side * side, got);
  g_assert_cmpfloat (distance (got, want, side * side * 3), <, 0.03);
}

static void
test_linear_preview_stays_in_range (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error   = NULL;
  g_autofree float *latents = g_new (float, 5 * 7 * 4);
  g_autofree float *pixels  = g_new (float, 5 * 7 * 3);

  for (int i = 0; i < 5 * 7 * 4; i++)
    latents[i] = 100.0f * sinf (i);
  g_assert_true (fb_model_preview_linear (f->model, latents, 5, 7, pixels, NULL, &error));
  g_assert_false (fb_model_is_loaded (f->model, FB_MODEL_VAE_ENCODER));
  for (int i = 0; i < 5 * 7 * 3; i++)
    g_assert_true (pixels[i] >= -1.0f && pixels[i] <= 1.0f);
}

int
main (int argc, char **argv)
{
  static const struct { const char *name; void (* func) (Fixture *f, gconstpointer data); } tests[] =
  {
    { "open-tells-what-the-file-holds",               test_open_tells_what_the_file_holds },
    { "networks-give-what-diffusers-gives",           test_networks_give_what_diffusers_gives },
    { "autoencoder-scales-and-samples",               test_autoencoder_scales_and_samples },
    { "tokenizer-fits-the-text-encoder",              test_tokenizer_fits_the_text_encoder },
    { "other-autoencoder-replaces-the-own",           test_other_autoencoder_replaces_the_own },
    { "taesd-can-be-set",                             test_taesd_can_be_set },
    { "taesd-of-another-family-is-passed-over",       test_taesd_of_another_family_is_passed_over },
    { "second-step-is-the-same",                      test_second_step_is_the_same },
    { "changed-context-is-seen",                      test_changed_context_is_seen },
    { "each-picture-may-have-its-timestep",           test_each_picture_may_have_its_timestep },
    { "each-step-is-as-a-first-one",                  test_each_step_is_as_a_first_one },
    { "each-recorded-step-is-as-a-plain-one",         test_each_recorded_step_is_as_a_plain_one },
    { "unload-and-load-changes-nothing",              test_unload_and_load_changes_nothing },
    { "cancel-leaves-the-model-usable",               test_cancel_leaves_the_model_usable },
    { "not-finite-is-an-error",                       test_not_finite_is_an_error },
    { "weights-take-the-bytes-told",                  test_weights_take_the_bytes_told },
    { "activations-take-the-bytes-told",              test_activations_take_the_bytes_told },
    { "parts-take-turns-where-memory-is-short",       test_parts_take_turns_where_memory_is_short },
    { "any-lack-of-memory-is-survived",               test_any_lack_of_memory_is_survived },
    { "a-recording-makes-way-first",                  test_a_recording_makes_way_first },
    { "a-held-part-stays",                            test_a_held_part_stays },
    { "dtype-can-change",                             test_dtype_can_change },
    { "missing-and-misshapen-tensors-are-named",      test_missing_and_misshapen_tensors_are_named },
    { "every-tensor-is-claimed",                      test_every_tensor_is_claimed },
    { "lora-gives-what-peft-gives-and-leaves-no-trace", test_lora_gives_what_peft_gives_and_leaves_no_trace },
    { "a-lora-between-steps-is-seen",                 test_a_lora_between_steps_is_seen },
    { "a-lora-between-recorded-steps-is-seen",        test_a_lora_between_recorded_steps_is_seen },
    { "half-saves-memory-and-changes-no-byte",        test_half_saves_memory_and_changes_no_byte },
    { "failed-lora-leaves-the-earlier-ones",          test_failed_lora_leaves_the_earlier_ones },
    { "tiles-add-up",                                 test_tiles_add_up },
    { "tile-as-large-as-the-picture-changes-nothing", test_tile_as_large_as_the_picture_changes_nothing },
    { "linear-preview-finds-the-map",                 test_linear_preview_finds_the_map },
    { "linear-preview-stays-in-range",                test_linear_preview_stays_in_range },
  };
  static const struct { const char *name; void (* func) (Fixture *f, gconstpointer data); } half_tests[] =
  {
    { "networks-give-what-diffusers-gives",           test_networks_give_what_diffusers_gives },
    { "other-autoencoder-replaces-the-own",           test_other_autoencoder_replaces_the_own },
    { "cancel-leaves-the-model-usable",               test_cancel_leaves_the_model_usable },
    { "weights-take-the-bytes-told",                  test_weights_take_the_bytes_told },
    { "dtype-can-change",                             test_dtype_can_change },
    { "lora-gives-what-peft-gives-and-leaves-no-trace", test_lora_gives_what_peft_gives_and_leaves_no_trace },
  };

  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/core/models/model/", tests[i].name, NULL);

      g_test_add (path, Fixture, NULL, set_up, tests[i].func, tear_down);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (half_tests); i++)
    {
      g_autofree char *path = g_strconcat ("/core/models/model/kept-in-16-bits/", half_tests[i].name, NULL);

      g_test_add (path, Fixture, "half", set_up, half_tests[i].func, tear_down);
    }
  g_test_add_func ("/core/models/model/half-pays-where-f32-does-not-fit", test_half_pays_where_f32_does_not_fit);

  return g_test_run ();
}
