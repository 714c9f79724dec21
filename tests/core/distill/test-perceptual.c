/* tests/core/distill/test-perceptual.c: LPIPS of pictures, and between what latents decode to. SPDX-License-Identifier: LGPL-3.0-or-later
 * Values and gradients come from the Python package lpips by tests/golden/lpips/make.py; the autoencoder is golden/pipeline's. */
#include <math.h>
#include <string.h>

#include "core/distill/perceptual.h"
#include "core/formats/safetensors-writer.h"
#include "core/models/loader.h"
#include "core/nn/tape.h"
#include "tests/core/scratch.h"

#define VALUE_TOLERANCE    1e-4      /* relative */
#define GRADIENT_TOLERANCE 1e-3      /* relative to its norm */

enum { H = 6, W = 5, C = 4, N = H * W * C };

static char *
golden (const char *name)
{
  return g_test_build_filename (G_TEST_DIST, "golden", "lpips", name, NULL);
}

static float *
read_expected (const char *name)
{
  g_autofree char          *path  = golden ("expected.safetensors");
  g_autoptr(GError)         error = NULL;
  g_autoptr(FbSafetensors)  file  = fb_safetensors_open (path, &error);
  const FbTensorInfo       *found = fb_safetensors_lookup (file, name);
  float                    *values;

  g_assert_no_error (error);
  g_assert_nonnull (found);
  values = g_new (float, fb_tensor_info_n_elements (found));
  g_assert_true (fb_safetensors_read_f32 (file, found, 0, fb_tensor_info_n_elements (found), values, NULL, &error));

  return values;
}

/* ‖got − want‖ / ‖want‖ */
static double
distance (const float *got, const float *want, gsize n)
{
  double error = 0.0, norm = 0.0;

  for (gsize i = 0; i < n; i++)
    {
      error += (got[i] - want[i]) * (got[i] - want[i]);
      norm  += want[i] * want[i];
    }
  g_assert_cmpfloat (norm, >, 0.0);

  return sqrt (error / norm);
}

static void
assert_gradient (const char *name, FbTensor *gradient)
{
  g_autofree float *want = read_expected (name);
  g_autofree float *got  = NULL;

  g_assert_nonnull (gradient);
  got = g_new (float, fb_tensor_n_elements (gradient));
  fb_tensor_download (gradient, got, FB_DTYPE_F32);
  g_test_message ("%s: relative error %.2g", name, distance (got, want, fb_tensor_n_elements (gradient)));
  g_assert_cmpfloat (distance (got, want, fb_tensor_n_elements (gradient)), <=, GRADIENT_TOLERANCE);
}

static FbLpips *
load_lpips (FbDevice *dev)
{
  g_autofree char         *path   = golden ("weights.safetensors");
  g_autoptr(GError)        error  = NULL;
  g_autoptr(FbCheckpoint)  file   = fb_checkpoint_open (path, "lpips", &error);
  FbLpipsConfig            config;
  FbLpips                 *lpips;
  FbLoader                 loader;

  g_assert_no_error (error);
  fb_lpips_config_read (&config, file);
  lpips = fb_lpips_new (&config, dev, FB_DTYPE_F32);
  loader = (FbLoader) { .params = fb_lpips_params (lpips), .checkpoint = file, .dev = dev, .dtype = FB_DTYPE_F32 };
  g_assert_true (fb_loader_fill (&loader, NULL, NULL, NULL, &error));
  g_assert_no_error (error);

  return lpips;
}

/* both pictures' gradients at once: neither is held fixed */
static void
test_pictures (gconstpointer device)
{
  static const int         shape[]  = { 2, 40, 35, 3 };
  const int                two      = 2;
  g_autoptr(FbDevice)      dev      = fb_device_new (device, 1, NULL);
  g_autoptr(FbContext)     ctx      = fb_nn_context_new (dev, FB_DTYPE_F32);
  g_autoptr(FbLpips)       lpips    = load_lpips (dev);
  g_autoptr(FbTape)        tape     = fb_tape_new (dev, 0);
  g_autofree float        *values_a = read_expected ("pictures.a"), *values_b = read_expected ("pictures.b");
  g_autofree float        *want     = read_expected ("pictures.distance"), *weight = read_expected ("pictures.weight");
  FbTensor                *a        = fb_nn_upload (ctx, FB_DTYPE_F32, values_a, 4, shape), *b = fb_nn_upload (ctx, FB_DTYPE_F32, values_b, 4, shape);
  FbTensor                *features[2][FB_LPIPS_N_LAYERS], *d;
  g_autoptr(GError)        error    = NULL;
  float                    got[2];

  fb_tape_watch (tape, a);
  fb_tape_watch (tape, b);
  fb_nn_set_tape (ctx, tape);
  fb_lpips_features (ctx, lpips, a, features[0]);
  fb_lpips_features (ctx, lpips, b, features[1]);
  d = fb_lpips_distance (ctx, lpips, features[0], features[1]);
  fb_nn_set_tape (ctx, NULL);
  fb_tensor_download (d, got, FB_DTYPE_F32);
  fb_tape_backward (tape, d, fb_nn_upload (ctx, FB_DTYPE_F32, weight, 1, &two));
  fb_device_check (dev, &error);
  g_assert_no_error (error);

  for (int i = 0; i < 2; i++)
    g_assert_cmpfloat_with_epsilon (got[i], want[i], VALUE_TOLERANCE * want[i]);
  assert_gradient ("pictures.da", fb_tape_gradient (tape, a));
  assert_gradient ("pictures.db", fb_tape_gradient (tape, b));
}

/* --- through the autoencoder ---------------------------------------------------------------------------------------------- */

typedef struct
{
  FbDevice     *dev;
  FbModel      *model;
  FbPerceptual *perceptual;
} Fixture;

static void
open_fixture (Fixture *f, const char *device, FbDtype dtype, gsize kept_bytes)
{
  g_autofree char  *path    = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
  g_autofree char  *weights = golden ("weights.safetensors");
  g_autoptr(GError) error   = NULL;

  f->dev = fb_device_new (device, 1, NULL);
  f->model = fb_model_open (path, NULL, NULL, f->dev, dtype, &error);
  g_assert_no_error (error);
  f->perceptual = fb_perceptual_new (f->model, weights, f->dev, &error);
  g_assert_no_error (error);
  g_assert_true (fb_perceptual_load (f->perceptual, kept_bytes, NULL, &error));
  g_assert_no_error (error);
}

static void
close_fixture (Fixture *f)
{
  fb_perceptual_free (f->perceptual);
  fb_model_free (f->model);
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);
  fb_device_unref (f->dev);
}

static double
measure (Fixture *f, const float *a, const float *b, int height, int width, double weight, float *gradient)
{
  g_autoptr(GError) error = NULL;
  double            value = NAN;

  g_assert_true (fb_perceptual_distance (f->perceptual, a, b, height, width, weight, gradient, &value, NULL, &error));
  g_assert_no_error (error);

  return value;
}

static void
test_latents (gconstpointer device)
{
  g_autofree float *a        = read_expected ("latents.a"), *b = read_expected ("latents.b");
  g_autofree float *want     = read_expected ("latents.distance"), *dwant = read_expected ("latents.da");
  float             got[N]   = { 0.0f }, twice[N];
  Fixture           f;

  open_fixture (&f, device, FB_DTYPE_F32, G_MAXSIZE);
  g_assert_cmpfloat_with_epsilon (measure (&f, a, b, H, W, 1.0, got), want[0], VALUE_TOLERANCE * want[0]);
  g_test_message ("gradient: relative error %.2g", distance (got, dwant, N));
  g_assert_cmpfloat (distance (got, dwant, N), <=, GRADIENT_TOLERANCE);

  memcpy (twice, got, sizeof got);                         /* the gradient is added, with its weight */
  g_assert_cmpfloat (measure (&f, a, b, H, W, 0.5, twice), ==, measure (&f, a, b, H, W, 0.0, NULL));
  for (int i = 0; i < N; i++)
    g_assert_cmpfloat_with_epsilon (twice[i], 1.5f * got[i], 1e-5f * (fabsf (got[i]) + 1e-3f));

  g_assert_cmpfloat (measure (&f, a, a, H, W, 1.0, memset (got, 0, sizeof got)), <, 1e-12);        /* equal, to the rounding of lengths */
  for (int i = 0; i < N; i++)
    g_assert_cmpfloat (fabsf (got[i]), <, 1e-6f);
  close_fixture (&f);
}

/* f32 inside, whatever the job computes in; the same bits with everything kept and with everything computed again */
static void
test_dtype_and_budget (void)
{
  g_autofree float *a          = read_expected ("latents.a"), *b = read_expected ("latents.b");
  float             got[3][N]  = { { 0.0f } };
  double            value[3];

  for (int i = 0; i < 3; i++)
    {
      Fixture f;

      open_fixture (&f, "cpu", i == 2 ? FB_DTYPE_BF16 : FB_DTYPE_F32, i == 0 ? G_MAXSIZE : 0);
      value[i] = measure (&f, a, b, H, W, 1.0, got[i]);
      g_assert_cmpfloat (value[i], ==, value[0]);
      g_assert_cmpmem (got[i], sizeof got[i], got[0], sizeof got[0]);
      close_fixture (&f);
    }
}

static void
test_middle (void)
{
  enum { TALL = 70, WIDE = 66, TOP = 3, LEFT = 1, SIDE = FB_PERCEPTUAL_CROP };
  float            *whole[2], *middle[2];
  g_autofree float *dwhole  = g_new0 (float, TALL * WIDE * C), *dmiddle = g_new0 (float, SIDE * SIDE * C);
  Fixture           f;

  for (int k = 0; k < 2; k++)
    {
      whole[k] = g_new (float, TALL * WIDE * C);
      middle[k] = g_new (float, SIDE * SIDE * C);
      for (int i = 0; i < TALL * WIDE * C; i++)
        whole[k][i] = sinf (0.37f * (float) i + (float) k);
      for (int y = 0; y < SIDE; y++)
        memcpy (middle[k] + y * SIDE * C, whole[k] + ((TOP + y) * WIDE + LEFT) * C, SIDE * C * sizeof (float));
    }

  open_fixture (&f, "cpu", FB_DTYPE_F32, 0);
  g_assert_cmpfloat (measure (&f, whole[0], whole[1], TALL, WIDE, 1.0, dwhole), ==, measure (&f, middle[0], middle[1], SIDE, SIDE, 1.0, dmiddle));
  for (int y = 0; y < TALL; y++)
    for (int x = 0; x < WIDE; x++)
      for (int c = 0; c < C; c++)
        {
          const gboolean inside = y >= TOP && y < TOP + SIDE && x >= LEFT && x < LEFT + SIDE;

          g_assert_cmpfloat (dwhole[(y * WIDE + x) * C + c], ==, inside ? dmiddle[((y - TOP) * SIDE + x - LEFT) * C + c] : 0.0f);
        }
  close_fixture (&f);
  for (int k = 0; k < 2; k++)
    {
      g_free (whole[k]);
      g_free (middle[k]);
    }
}

/* what a job is told before it starts */
static void
test_memory (void)
{
  float   a[N], b[N], gradient[N] = { 0.0f };
  Fixture f;
  gsize   before;

  for (int i = 0; i < N; i++)
    a[i] = b[N - 1 - i] = sinf ((float) i);
  open_fixture (&f, "cpu", FB_DTYPE_F32, 0);
  before = fb_device_bytes_in_use (f.dev);
  fb_device_reset_peak (f.dev);
  measure (&f, a, b, H, W, 1.0, gradient);
  g_assert_cmpuint (fb_device_bytes_peak (f.dev) - before, ==, fb_perceptual_activation_bytes (f.perceptual, H, W));
  g_assert_cmpuint (fb_device_bytes_in_use (f.dev), ==, before);
  g_assert_cmpuint (fb_perceptual_weight_bytes (f.perceptual), >, 100000);
  close_fixture (&f);
}

static void
test_cancelled (void)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError)       error       = NULL;
  float                   a[N]        = { 0.0f };
  double                  value;
  Fixture                 f;

  open_fixture (&f, "cpu", FB_DTYPE_F32, 0);
  g_cancellable_cancel (cancellable);
  g_assert_false (fb_perceptual_distance (f.perceptual, a, a, H, W, 1.0, NULL, &value, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  measure (&f, a, a, H, W, 1.0, NULL);                       /* and the device is free again */
  close_fixture (&f);
}

/* --- files that do not do --------------------------------------------------------------------------------------------------- */

/* the weights without tensor @drop, and with one dimension of @bend grown by one; each nullable */
static void
write_weights (const char *path, const char *drop, const char *bend)
{
  g_autofree char                *from   = golden ("weights.safetensors");
  g_autoptr(FbSafetensors)        file   = fb_safetensors_open (from, NULL);
  g_autoptr(FbSafetensorsWriter)  writer = fb_safetensors_writer_new (path);
  g_autoptr(GError)               error  = NULL;

  for (int pass = 0; pass < 2; pass++)
    for (guint i = 0; i < fb_safetensors_n_tensors (file); i++)
      {
        const FbTensorInfo *info     = fb_safetensors_tensor (file, i);
        const gboolean      bent     = g_strcmp0 (info->name, bend) == 0;
        gint64              shape[FB_SAFETENSORS_MAX_DIMS];
        g_autofree char    *data     = NULL;
        gsize               n_bytes  = info->n_bytes;

        if (g_strcmp0 (info->name, drop) == 0)
          continue;
        memcpy (shape, info->shape, sizeof shape);
        if (bent)
          {
            n_bytes = n_bytes / (gsize) shape[1] * (gsize) (shape[1] + 1);
            shape[1]++;
          }
        data = g_malloc0 (n_bytes);
        if (pass == 0)
          fb_safetensors_writer_add (writer, info->name, info->dtype, info->n_dims, shape);
        else
          g_assert_true (fb_safetensors_writer_write (writer, data, n_bytes, &error));
      }
  g_assert_true (fb_safetensors_writer_finish (writer, &error));
  g_assert_no_error (error);
}

static const struct { const char *drop, *bend; int code; const char *words; } bad[] =
{
  { "net.slice3.12.bias",   NULL,                 FB_MODEL_ERROR_MISSING_TENSOR, "net.slice3.12.bias"   },
  { "net.slice4.19.weight", NULL,                 FB_MODEL_ERROR_MISSING_TENSOR, "net.slice4.19.weight" },
  { "lin4.model.1.weight",  NULL,                 FB_MODEL_ERROR_MISSING_TENSOR, "lin4.model.1.weight"  },
  { "net.slice1.0.weight",  NULL,                 FB_MODEL_ERROR_NOT_FOUND,      "lpips"                },
  { NULL,                   "lin2.model.1.weight", FB_MODEL_ERROR_SHAPE,         "lin2.model.1.weight"  },
  { NULL,                   "net.slice5.28.weight", FB_MODEL_ERROR_SHAPE,        "net.slice5.28.weight" },
};

static void
test_bad_weights_are_named (void)
{
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autofree char    *path   = g_build_filename (folder, "some-weights.safetensors", NULL);
  g_autofree char    *model_path = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
  g_autoptr(FbDevice) dev    = fb_device_new ("cpu", 1, NULL);
  g_autoptr(FbModel)  model  = fb_model_open (model_path, NULL, NULL, dev, FB_DTYPE_F32, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr(GError) error = NULL;

      write_weights (path, bad[i].drop, bad[i].bend);
      g_assert_null (fb_perceptual_new (model, path, dev, &error));
      g_test_message ("%s", error->message);
      g_assert_error (error, FB_MODEL_ERROR, bad[i].code);
      g_assert_nonnull (strstr (error->message, bad[i].words));
      g_assert_nonnull (strstr (error->message, "some-weights.safetensors"));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/core/models/lpips/distances-and-gradients-are-the-packages/reference", "reference", test_pictures);
  g_test_add_data_func ("/core/models/lpips/distances-and-gradients-are-the-packages/cpu", "cpu", test_pictures);
  g_test_add_data_func ("/core/distill/perceptual/distance-and-gradient-are-pytorchs/reference", "reference", test_latents);
  g_test_add_data_func ("/core/distill/perceptual/distance-and-gradient-are-pytorchs/cpu", "cpu", test_latents);
  g_test_add_func ("/core/distill/perceptual/neither-the-jobs-type-nor-the-budget-changes-a-bit", test_dtype_and_budget);
  g_test_add_func ("/core/distill/perceptual/the-middle-alone-counts", test_middle);
  g_test_add_func ("/core/distill/perceptual/takes-the-memory-it-says", test_memory);
  g_test_add_func ("/core/distill/perceptual/can-be-cancelled", test_cancelled);
  g_test_add_func ("/core/distill/perceptual/bad-weights-are-named", test_bad_weights_are_named);
  return g_test_run ();
}
