/* tests/kernels/conformance.c: every op's cases, on every device, against reference/. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * FB_TEST_DEVICES=cpu,cuda picks devices; without it, all of this build but reference. GLib's -p picks ops and cases:
 * /kernels/cpu/bf16/conv2d/sd15-down and the like. */

#include <math.h>
#include <string.h>

#include "tests/kernels/conformance.h"

static const FbOpTests * const ops[] =
{
  &fb_activation_tests, &fb_add_tests, &fb_attention_tests, &fb_cast_tests, &fb_concat_tests, &fb_conv2d_tests, &fb_geglu_tests,
  &fb_group_norm_tests, &fb_layer_norm_tests, &fb_linear_tests, &fb_upsample_tests, &fb_max_pool_tests, &fb_feature_distance_tests,

  &fb_activation_backward_tests, &fb_geglu_backward_tests, &fb_conv2d_backward_input_tests, &fb_conv2d_backward_weight_tests,
  &fb_linear_backward_input_tests, &fb_linear_backward_weight_tests, &fb_bias_backward_tests, &fb_attention_backward_queries_tests,
  &fb_attention_backward_queries_alone_tests, &fb_attention_backward_keys_tests, &fb_attention_backward_values_tests,
  &fb_group_norm_backward_input_tests, &fb_group_norm_backward_weight_tests, &fb_group_norm_backward_bias_tests,
  &fb_layer_norm_backward_input_tests, &fb_layer_norm_backward_weight_tests, &fb_layer_norm_backward_bias_tests,
  &fb_concat_backward_first_tests, &fb_concat_backward_second_alone_tests, &fb_upsample_backward_tests, &fb_max_pool_backward_tests,
  &fb_feature_distance_backward_tests,
};

/* those that read a weight */
static const FbOpTests * const weighing_ops[] =
{
  &fb_conv2d_tests, &fb_linear_tests, &fb_conv2d_backward_input_tests, &fb_linear_backward_input_tests,
};

typedef struct
{
  const FbOpTests *op;
  const void      *one;
  const char      *device;
  FbDtype          dtype;
  FbDtype          kept;                /* of weights: @dtype, or 16 bits for f32 */
} Test;

static GHashTable *open_devices;        /* of FbDevice, by name and number of threads */
static FbDtype     rounded_to;          /* of the weights of the test that runs, 16 bits; F32 for none */
static gboolean    keeping_half;        /* whether they are kept so, where the device can */

/* A card's tensor cores cut the sums of 16-bit products off where others round (doi:10.7717/peerj-cs.330), which is seen where the sums stay f32 */
#define CARD_SUMS 5e-5

static gboolean
is_card (const char *device)
{
  return strcmp (device, "cuda") == 0;
}

/* f16 has three bits more than bf16; a factor of four leaves some for sums that round differently */
static double
tolerance_of (const FbOpTests *op, const char *device, FbDtype dtype)
{
  double tolerance = dtype == FB_DTYPE_F32   ? op->f32_tolerance
                     : dtype == FB_DTYPE_F16 ? fmax (op->f32_tolerance, op->bf16_tolerance / 4) : op->bf16_tolerance;

  return dtype != FB_DTYPE_F32 && tolerance > 0.0 && is_card (device) ? fmax (tolerance, CARD_SUMS) : tolerance;
}

static void
fill_normal (float *values, size_t n, guint32 seed, float mean, float deviation)
{
  guint64 state = seed * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15) + 1;

  for (size_t i = 0; i < n; i += 2)
    {
      double u[2];

      for (int j = 0; j < 2; j++)
        {
          state ^= state << 13;
          state ^= state >> 7;
          state ^= state << 17;
          u[j]   = ((state >> 11) + 0.5) * 0x1p-53;
        }
      values[i] = mean + deviation * sqrt (-2.0 * log (u[0])) * cos (2.0 * G_PI * u[1]);
      if (i + 1 < n)
        values[i + 1] = mean + deviation * sqrt (-2.0 * log (u[0])) * sin (2.0 * G_PI * u[1]);
    }
}

FbTensor *
fb_test_tensor (FbDevice *dev, FbDtype dtype, int n_dims, const int *shape, guint32 seed, float mean, float deviation)
{
  FbTensor         *t      = fb_tensor_new (dev, dtype, n_dims, shape);
  g_autofree float *values = g_new (float, fb_tensor_n_elements (t));

  fill_normal (values, fb_tensor_n_elements (t), seed, mean, deviation);
  fb_tensor_upload (t, values, FB_DTYPE_F32);
  return t;
}

FbWeight *
fb_test_weight (FbDevice *dev, FbWeightKind kind, FbDtype dtype, const int *shape, guint32 seed)
{
  size_t            fan_in = (size_t) shape[1] * (kind == FB_WEIGHT_LINEAR ? 1 : shape[2] * shape[3]);
  g_autofree float *values = g_new (float, fan_in * shape[0]);

  fill_normal (values, fan_in * shape[0], seed, 0, 1 / sqrt (fan_in));
  if (rounded_to != FB_DTYPE_F32)
    {
      g_autofree guint16 *narrow = g_new (guint16, fan_in * shape[0]);

      fb_dtype_convert (narrow, rounded_to, values, FB_DTYPE_F32, fan_in * shape[0]);
      if (keeping_half && fb_weight_can_be_half (dev))
        return fb_weight_new_half (dev, kind, shape, narrow, rounded_to);
      return fb_weight_new (dev, kind, dtype, shape, narrow, rounded_to);
    }
  return fb_weight_new (dev, kind, dtype, shape, values, FB_DTYPE_F32);
}

/* (transfer full): opened once for all cases: what a device keeps between them must not matter, and a card takes a while to open */
static FbDevice *
open_device (const char *name, int n_threads)
{
  g_autoptr(GError) error = NULL;
  g_autofree char  *key   = g_strdup_printf ("%s %d", name, n_threads);
  FbDevice         *dev   = g_hash_table_lookup (open_devices, key);

  if (dev == NULL)
    {
      dev = fb_device_new (name, n_threads, &error);
      g_assert_no_error (error);
      g_hash_table_insert (open_devices, g_steal_pointer (&key), dev);
    }
  return fb_device_ref (dev);
}

static double *
download (FbTensor *t)
{
  g_autoptr(GError) error  = NULL;
  double           *values = g_new (double, fb_tensor_n_elements (t));

  fb_tensor_download (t, values, FB_DTYPE_F64);
  fb_device_check (t->dev, &error);
  g_assert_no_error (error);
  return values;
}

static void
test_agrees_with_reference (gconstpointer data)
{
  const Test         *test      = data;
  g_autoptr(FbDevice) dev       = open_device (test->device, 0);
  g_autoptr(FbDevice) reference = open_device ("reference", 0);
  double              tolerance = tolerance_of (test->op, test->device, test->dtype);
  double              largest = 0.0, worst = 0.0;
  size_t              n_not_finite = 0;

  g_autoptr(FbTensor) got      = test->op->run (dev, test->dtype, test->one);
  g_autoptr(FbTensor) expected = test->op->run (reference, test->dtype, test->one);
  g_autofree double  *a        = download (got);
  g_autofree double  *b        = download (expected);

  for (size_t i = 0; i < fb_tensor_n_elements (got); i++)
    {
      n_not_finite += !isfinite (a[i]);
      largest = fmax (largest, fabs (b[i]));
      worst   = fmax (worst, fabs (a[i] - b[i]));
    }
  g_test_message ("largest output %g, worst difference %g of it", largest, worst / largest);
  g_assert_cmpuint (n_not_finite, ==, 0);
  g_assert_cmpfloat (worst, <=, tolerance * largest);
}

/* Nor does it matter how often; a card has no threads of ours, so it does the same twice. */
static void
test_threads_do_not_matter (gconstpointer data)
{
  const Test       *test   = data;
  const int         n_runs = is_card (test->device) ? 2 : 3;
  g_autofree void  *first  = NULL;

  for (int run = 1; run <= n_runs; run++)
    {
      g_autoptr(FbDevice) dev = open_device (test->device, is_card (test->device) ? 0 : run);

      g_autoptr(FbTensor) out   = test->op->run (dev, test->dtype, test->one);
      g_autofree void    *bytes = g_malloc (out->n_bytes);

      fb_tensor_download (out, bytes, out->dtype);
      g_assert_true (fb_device_check (dev, NULL));
      if (first == NULL)
        first = g_steal_pointer (&bytes);
      else
        g_assert_cmpmem (bytes, out->n_bytes, first, out->n_bytes);
    }
}

/* Against weights of the same values in f32, on as many threads */
static void
test_half_is_the_same (gconstpointer data)
{
  const Test *test = data;

  rounded_to = test->kept;
  for (int n_threads = 1; n_threads <= 2; n_threads++)
    {
      g_autoptr(FbDevice) dev = open_device (test->device, n_threads);
      void               *bytes[2];
      size_t              n_bytes = 0;

      for (int half = 0; half < 2; half++)
        {
          g_autoptr(FbTensor) out = NULL;

          keeping_half = half;
          out          = test->op->run (dev, FB_DTYPE_F32, test->one);
          n_bytes      = out->n_bytes;
          bytes[half]  = g_malloc (n_bytes);
          fb_tensor_download (out, bytes[half], out->dtype);
          g_assert_true (fb_device_check (dev, NULL));
        }
      g_assert_cmpmem (bytes[1], n_bytes, bytes[0], n_bytes);
      g_free (bytes[0]);
      g_free (bytes[1]);
    }
  rounded_to = FB_DTYPE_F32;
}

/* What f32 gives agrees with the reference; so does what is the same to the bit. */
static void
add_half_tests (const char *device, FbDtype kept, const FbOpTests *op)
{
  for (size_t i = 0; i < op->n_cases; i++)
    {
      Test            *test = g_new (Test, 1);
      const char      *name = *(const char * const *) ((const char *) op->cases + i * op->case_size);
      g_autofree char *path = g_strdup_printf ("/kernels/%s/f32-kept-in-%s-is-as-in-f32/%s/%s", device, fb_dtype_name (kept), op->op, name);

      *test = (Test) { op, (const char *) op->cases + i * op->case_size, device, FB_DTYPE_F32, kept };
      g_test_add_data_func_full (path, test, test_half_is_the_same, g_free);
    }
}

/* Cases whose names begin with "card-" are of sizes from which on a card's libraries do what others do in one way. */
static void
add_tests (const char *device, FbDtype dtype, const FbOpTests *op)
{
  for (size_t i = 0; i < op->n_cases; i++)
    {
      const char      *name = *(const char * const *) ((const char *) op->cases + i * op->case_size);
      g_autofree char *path = g_strdup_printf ("/kernels/%s/%s/%s/%s", device, fb_dtype_name (dtype), op->op, name);
      g_autofree char *same = g_strdup_printf (is_card (device) ? "%s-twice" : "%s-on-1-2-3-threads", path);
      Test            *test;

      if (g_str_has_prefix (name, "card-") && !is_card (device))
        continue;
      test  = g_new (Test, 1);
      *test = (Test) { op, (const char *) op->cases + i * op->case_size, device, dtype, dtype };
      g_test_add_data_func (path, test, test_agrees_with_reference);
      g_test_add_data_func_full (same, test, test_threads_do_not_matter, g_free);
    }
}

static void
skip (gconstpointer reason)
{
  g_test_skip (reason);
}

/* All cases of @device in @dtype, or one skipped test that says why there are none */
static void
add_device (const char *name, FbDtype dtype)
{
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new (name, 1, &error);
  g_autofree char    *path  = g_strdup_printf ("/kernels/%s/%s", name, fb_dtype_name (dtype));

  if (dev == NULL)
    g_test_add_data_func_full (path, g_strdup (error->message), skip, g_free);
  else if (!fb_device_supports (dev, dtype))
    g_test_add_data_func_full (path, g_strdup_printf ("%s does not compute in %s here", name, fb_dtype_name (dtype)), skip, g_free);
  else
    for (size_t i = 0; i < G_N_ELEMENTS (ops); i++)
      add_tests (name, dtype, ops[i]);

  if (dev != NULL && dtype == FB_DTYPE_F32 && fb_weight_can_be_half (dev))
    for (size_t i = 0; i < G_N_ELEMENTS (weighing_ops); i++)
      {
        add_half_tests (name, FB_DTYPE_F16, weighing_ops[i]);
        add_half_tests (name, FB_DTYPE_BF16, weighing_ops[i]);
      }
}

int
main (int argc, char **argv)
{
  const char           *picked  = g_getenv ("FB_TEST_DEVICES");
  g_auto(GStrv)         devices = picked != NULL ? g_strsplit (picked, ",", -1) : g_strdupv ((char **) fb_device_names ());
  static const FbDtype  dtypes[] = { FB_DTYPE_F32, FB_DTYPE_BF16, FB_DTYPE_F16 };
  int                   status;

  g_test_init (&argc, &argv, NULL);
  g_test_set_nonfatal_assertions ();                              /* one case says nothing about the next: all are told */
  open_devices = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) fb_device_unref);
  for (int d = 0; devices[d] != NULL; d++)
    if (picked != NULL || strcmp (devices[d], "reference") != 0)
      for (size_t t = 0; t < G_N_ELEMENTS (dtypes); t++)
        add_device (devices[d], dtypes[t]);
  status = g_test_run ();
  g_hash_table_unref (open_devices);
  return status;
}
