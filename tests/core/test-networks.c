/* tests/core/test-networks.c: every network against diffusers and transformers. SPDX-License-Identifier: LGPL-3.0-or-later
 * Inputs, outputs and PyTorch's own bf16 errors come from tests/golden/models/make.py. */
#include <math.h>

#include "core/models/family.h"
#include "core/models/loader.h"

#define F32_TOLERANCE 1e-4        /* relative to the whole output */
#define BF16_FACTOR   1.2         /* our bf16 error over PyTorch's, both against its f32 */

typedef struct
{
  const char *device;
  FbDtype     dtype;
} Mode;

typedef struct
{
  const Mode    *mode;
  char          *path;            /* of the model */
  FbDevice      *dev;
  FbContext     *ctx;
  FbSafetensors *expected;
} Fixture;

typedef struct
{
  const char *name, *folder, *model;
  void     (* run) (Fixture *f);
} Case;

typedef struct
{
  const Mode *mode;
  const Case *item;
} Run;

/* (transfer full): a tensor of the fixture */
static float *
read_expected (Fixture *f, const char *name, int *shape, gsize *n)
{
  g_autoptr(GError)   error = NULL;
  const FbTensorInfo *info  = fb_safetensors_lookup (f->expected, name);
  float              *values;

  g_assert_nonnull (info);
  *n = fb_tensor_info_n_elements (info);
  for (int i = 0; i < info->n_dims && shape != NULL; i++)
    shape[i] = (int) info->shape[i];
  values = g_new (float, *n);
  fb_safetensors_read_f32 (f->expected, info, 0, *n, values, NULL, &error);
  g_assert_no_error (error);

  return values;
}

static FbTensor *
input (Fixture *f, const char *name)
{
  int               shape[4];
  gsize             n;
  g_autofree float *values = read_expected (f, name, shape, &n);

  return fb_nn_upload (f->ctx, f->mode->dtype, values, fb_safetensors_lookup (f->expected, name)->n_dims, shape);
}

static void
assert_close (Fixture *f, const char *name, const float *got, gsize n_got)
{
  g_autofree char  *bf16_name = g_strconcat (name, ".bf16", NULL);
  gsize             n;
  g_autofree float *want  = read_expected (f, name, NULL, &n);
  double            error = 0.0, norm = 0.0, limit = F32_TOLERANCE;

  g_assert_cmpuint (n, ==, n_got);
  for (gsize i = 0; i < n; i++)
    {
      error += ((double) got[i] - want[i]) * ((double) got[i] - want[i]);
      norm += (double) want[i] * want[i];
    }
  error = sqrt (error / norm);
  if (f->mode->dtype != FB_DTYPE_F32)
    {
      g_autofree float *theirs = read_expected (f, bf16_name, NULL, &n);

      limit = BF16_FACTOR * theirs[0] * (f->mode->dtype == FB_DTYPE_F16 ? 0.25 : 1.0);    /* three bits more; one for luck */
    }

  g_test_message ("%s on %s in %s: relative error %.3g of %.3g", name, f->mode->device, fb_dtype_name (f->mode->dtype), error, limit);
  g_assert_cmpfloat (error, <=, limit);
}

static void
assert_tensor (Fixture *f, const char *name, FbTensor *t)
{
  g_autoptr(GError) error  = NULL;
  g_autofree float *values = g_new (float, fb_tensor_n_elements (t));

  fb_tensor_download (t, values, FB_DTYPE_F32);
  fb_device_check (f->dev, &error);
  g_assert_no_error (error);
  assert_close (f, name, values, fb_tensor_n_elements (t));
}

static void
load (Fixture *f, FbParams *params, FbCheckpoint *checkpoint)
{
  g_autoptr(GError) error  = NULL;
  const FbLoader    loader = { .params = params, .checkpoint = checkpoint, .dev = f->dev, .dtype = f->mode->dtype };

  fb_loader_fill (&loader, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (fb_loader_is_complete (&loader));
}

static FbCheckpoint *
open_component (Fixture *f, const char *component)
{
  g_autoptr(GError) error = NULL;
  FbCheckpoint     *checkpoint = fb_checkpoint_open (f->path, component, &error);

  g_assert_no_error (error);
  return checkpoint;
}

static void
run_text (Fixture *f)
{
  g_autoptr(FbCheckpoint) checkpoint = open_component (f, "text_encoder");
  g_autoptr(FbClipText)   text       = NULL;
  g_autoptr(GError)       error      = NULL;
  g_autofree float       *values     = NULL;
  g_autofree int         *ids        = NULL;
  FbClipTextConfig        config;
  int                     shape[4];
  gsize                   n;

  fb_family_text_config (fb_family_lookup ("sd-1.5"), checkpoint, &config, &error);
  g_assert_no_error (error);
  text = fb_clip_text_new (&config);
  load (f, fb_clip_text_params (text), checkpoint);

  n = fb_tensor_info_n_elements (fb_safetensors_lookup (f->expected, "text.ids"));
  ids = g_new (int, n);
  fb_safetensors_read (f->expected, fb_safetensors_lookup (f->expected, "text.ids"), 0, n * sizeof (int), ids, NULL, &error);
  g_assert_no_error (error);
  for (int i = 0; i < 2; i++)
    shape[i] = (int) fb_safetensors_lookup (f->expected, "text.ids")->shape[i];
  g_assert_cmpint (shape[1], ==, config.n_positions);

  assert_tensor (f, "text.skip0", fb_clip_text_forward (f->ctx, text, ids, shape[0], 0, TRUE));
  assert_tensor (f, "text.skip1", fb_clip_text_forward (f->ctx, text, ids, shape[0], 1, TRUE));
}

/* one call of the UNet, under the inputs called @prefix.latents and so on */
static void
check_unet (Fixture *f, FbUnet *unet, const char *prefix)
{
  g_autofree char  *latents  = g_strconcat (prefix, ".latents", NULL);
  g_autofree char  *context  = g_strconcat (prefix, ".context", NULL);
  g_autofree char  *out      = g_strconcat (prefix, ".out", NULL);
  g_autofree char  *t_name   = g_strconcat (prefix, ".timestep", NULL);
  g_autofree float *timestep = NULL;
  g_autofree float *pooled   = NULL;
  g_autofree float *time_ids = NULL;
  FbUnetConditions  conditions = { .context = input (f, context), .class_label = 20 };
  gsize             n;

  timestep = read_expected (f, t_name, NULL, &n);
  conditions.timestep = timestep[0];
  if (fb_unet_config (unet)->time_id_width > 0)
    {
      conditions.pooled = pooled = read_expected (f, "unet.text_embeds", NULL, &n);
      conditions.time_ids = time_ids = read_expected (f, "unet.time_ids", NULL, &n);
    }

  assert_tensor (f, out, fb_unet_forward (f->ctx, unet, input (f, latents), &conditions));
  fb_nn_reset (f->ctx);
}

static FbUnet *
load_unet (Fixture *f, FbCheckpoint *checkpoint, const char *family)
{
  g_autoptr(GError) error = NULL;
  FbUnetConfig      config;
  FbUnet           *unet;

  fb_family_unet_config (fb_family_lookup (family), checkpoint, &config, &error);
  g_assert_no_error (error);
  unet = fb_unet_new (&config);
  load (f, fb_unet_params (unet), checkpoint);

  return unet;
}

static void
run_unet (Fixture *f)
{
  g_autoptr(FbCheckpoint) checkpoint = open_component (f, "unet");
  g_autoptr(FbUnet)       unet       = load_unet (f, checkpoint, "sd-1.5");

  check_unet (f, unet, "unet");
}

/* Sizes that do not halve evenly need the enlarging kernels in another form; going there and back must change nothing. */
static void
run_unet_odd (Fixture *f)
{
  g_autoptr(FbCheckpoint) checkpoint = open_component (f, "unet");
  g_autoptr(FbUnet)       unet       = load_unet (f, checkpoint, "sd-1.5");

  fb_params_set_odd_sizes (fb_unet_params (unet), TRUE);
  load (f, fb_unet_params (unet), checkpoint);
  check_unet (f, unet, "odd");
  check_unet (f, unet, "unet");
  fb_params_set_odd_sizes (fb_unet_params (unet), FALSE);
  load (f, fb_unet_params (unet), checkpoint);
  check_unet (f, unet, "unet");
}

/* Each picture of a batch at a timestep of its own gives what it gives alone. */
static void
run_unet_timesteps (Fixture *f)
{
  g_autoptr(FbCheckpoint) checkpoint   = open_component (f, "unet");
  g_autoptr(FbUnet)       unet         = load_unet (f, checkpoint, "sd-1.5");
  const float             timesteps[2] = { 999.0f, 20.5f };
  FbUnetConditions        conditions   = { .timesteps = timesteps };
  FbTensor               *latents      = input (f, "unet.latents");
  FbTensor               *context      = input (f, "unet.context");
  const gsize             n_latents    = fb_tensor_n_elements (latents) / 2, n_context = fb_tensor_n_elements (context) / 2;
  FbTensor               *out;
  gsize                   n;
  g_autofree float       *together = NULL, *alone = NULL;

  conditions.context = context;
  out = fb_unet_forward (f->ctx, unet, latents, &conditions);
  n = fb_tensor_n_elements (out) / 2;
  together = g_new (float, 2 * n);
  alone = g_new (float, n);
  fb_tensor_download (out, together, FB_DTYPE_F32);

  for (int i = 0; i < 2; i++)
    {
      const int           size[]   = { 1, latents->shape[1], latents->shape[2], latents->shape[3] };
      const int           prompt[] = { 1, context->shape[1], context->shape[2] };
      g_autoptr(FbTensor) picture  = fb_tensor_view (latents, 4, size, i * n_latents);
      g_autoptr(FbTensor) words    = fb_tensor_view (context, 3, prompt, i * n_context);
      FbUnetConditions    single   = { .timestep = timesteps[i], .context = words };
      double              error = 0.0, norm = 0.0;

      fb_tensor_download (fb_unet_forward (f->ctx, unet, picture, &single), alone, FB_DTYPE_F32);
      for (gsize k = 0; k < n; k++)
        {
          error += (together[i * n + k] - alone[k]) * (together[i * n + k] - alone[k]);
          norm += alone[k] * alone[k];
        }
      g_assert_cmpfloat (sqrt (error / norm), <=, f->mode->dtype == FB_DTYPE_BF16 ? 1e-2 : 1e-5);
    }
  fb_nn_reset (f->ctx);
}

static void
run_vae (Fixture *f)
{
  g_autoptr(FbCheckpoint) checkpoint = open_component (f, "vae");
  g_autoptr(FbVaeEncoder) encoder    = NULL;
  g_autoptr(FbVaeDecoder) decoder    = NULL;
  g_autoptr(GError)       error      = NULL;
  FbVaeConfig             config;

  fb_family_vae_config (fb_family_lookup ("sd-1.5"), checkpoint, &config, &error);
  g_assert_no_error (error);
  encoder = fb_vae_encoder_new (&config);
  decoder = fb_vae_decoder_new (&config);
  load (f, fb_vae_encoder_params (encoder), checkpoint);
  load (f, fb_vae_decoder_params (decoder), checkpoint);

  assert_tensor (f, "vae.moments", fb_vae_encoder_forward (f->ctx, encoder, input (f, "vae.picture")));
  assert_tensor (f, "vae.decoded", fb_vae_decoder_forward (f->ctx, decoder, input (f, "vae.latents")));
}

static void
run_taesd (Fixture *f)
{
  g_autoptr(FbCheckpoint)   checkpoint = open_component (f, "taesd");
  g_autoptr(FbTaesdEncoder) encoder    = NULL;
  g_autoptr(FbTaesdDecoder) decoder    = NULL;
  g_autoptr(GError)         error      = NULL;
  g_autofree float         *values     = NULL;
  g_autofree float         *decoded    = NULL;
  FbTaesdConfig             config;
  FbTensor                 *out;
  int                       shape[4];
  gsize                     n;

  fb_family_taesd_config (checkpoint, &config, &error);
  g_assert_no_error (error);
  encoder = fb_taesd_encoder_new (&config);
  decoder = fb_taesd_decoder_new (&config);
  load (f, fb_taesd_encoder_params (encoder), checkpoint);
  load (f, fb_taesd_decoder_params (decoder), checkpoint);

  values = read_expected (f, "taesd.picture", shape, &n);
  for (gsize i = 0; i < n; i++)
    values[i] = (values[i] + 1.0f) / 2.0f;
  assert_tensor (f, "taesd.encoded", fb_taesd_encoder_forward (f->ctx, encoder, fb_nn_upload (f->ctx, f->mode->dtype, values, 4, shape)));

  g_free (values);
  values = read_expected (f, "taesd.latents", shape, &n);
  fb_taesd_clamp (values, n);
  out = fb_taesd_decoder_forward (f->ctx, decoder, fb_nn_upload (f->ctx, f->mode->dtype, values, 4, shape));
  n = fb_tensor_n_elements (out);
  decoded = g_new (float, n);
  fb_tensor_download (out, decoded, FB_DTYPE_F32);
  for (gsize i = 0; i < n; i++)
    decoded[i] = 2.0f * decoded[i] - 1.0f;
  assert_close (f, "taesd.decoded", decoded, n);
}

static const Case cases[] =
{
  { "text-encoder/single-file-bf16",  "single",   "single/model.safetensors", run_text },
  { "text-encoder/folder-f16-gelu",   "folder",   "folder",                   run_text },
  { "unet/single-file-bf16",          "single",   "single/model.safetensors", run_unet },
  { "unet/odd-sizes",                 "single",   "single/model.safetensors", run_unet_odd },
  { "unet/timestep-per-picture",      "folder",   "folder",                   run_unet_timesteps },
  { "unet/inpainting-three-levels",   "folder",   "folder",                   run_unet },
  { "unet/upscaler-f32",              "upscaler", "upscaler",                 run_unet },
  { "unet/xl",                        "xl",       "xl",                       run_unet },
  { "vae/single-file-bf16",           "single",   "single/model.safetensors", run_vae },
  { "vae/no-attention-no-quant",      "folder",   "folder",                   run_vae },
  { "taesd",                          "taesd",    "taesd",                    run_taesd },
};
static const Mode modes[] =
{
  { "reference", FB_DTYPE_F32 },
  { "cpu",       FB_DTYPE_F32 },
  { "cpu",       FB_DTYPE_BF16 },
  { "cuda",      FB_DTYPE_F32 },
  { "cuda",      FB_DTYPE_BF16 },
  { "cuda",      FB_DTYPE_F16 },
};

static void
run_case (gconstpointer data)
{
  const Run           *run      = data;
  g_autoptr(GError)    error    = NULL;
  g_autofree char     *expected = g_test_build_filename (G_TEST_DIST, "golden", "models", run->item->folder, "expected.safetensors", NULL);
  Fixture              f        = { .mode = run->mode };

  f.dev = fb_device_new (run->mode->device, 0, &error);
  if (g_error_matches (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN))
    {
      g_test_skip (error->message);
      return;
    }
  g_assert_no_error (error);
  if (!fb_device_supports (f.dev, run->mode->dtype))
    g_test_skip ("this device does not multiply in this type");
  else
    {
      f.path = g_test_build_filename (G_TEST_DIST, "golden", "models", run->item->model, NULL);
      f.ctx = fb_nn_context_new (f.dev, run->mode->dtype);
      f.expected = fb_safetensors_open (expected, &error);
      g_assert_no_error (error);
      run->item->run (&f);
      fb_nn_context_free (f.ctx);
      fb_safetensors_unref (f.expected);
      g_free (f.path);
      g_assert_cmpuint (fb_device_bytes_in_use (f.dev), ==, 0);
    }
  fb_device_unref (f.dev);
}

int
main (int argc, char **argv)
{
  const char *picked = g_getenv ("FB_TEST_DEVICES");             /* as in tests/kernels/conformance.c */

  if (picked == NULL)
    picked = "reference,cpu";                                    /* what every machine has */

  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (modes); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (cases); j++)
      {
        g_autofree char *path = g_strdup_printf ("/core/models/%s/%s-%s", cases[j].name, modes[i].device, fb_dtype_name (modes[i].dtype));
        Run             *run;

        if (strstr (picked, modes[i].device) == NULL)
          continue;
        run  = g_new (Run, 1);
        *run = (Run) { &modes[i], &cases[j] };
        g_test_add_data_func_full (path, run, run_case, g_free);
      }

  return g_test_run ();
}
