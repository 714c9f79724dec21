/* tests/core/model-fixture.c: the small SD 1.x checkpoint and what it should give. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "tests/core/model-fixture.h"

static void
set_up (ModelFixture *f, gconstpointer data)
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
tear_down (ModelFixture *f, gconstpointer data)
{
  fb_model_free (f->model);
  fb_safetensors_unref (f->expected);
  g_assert_cmpuint (fb_device_bytes_in_use (f->dev), ==, 0);
  fb_device_unref (f->dev);
  g_free (f->path);
}

void
model_add_tests (const char *prefix, const ModelTest *tests, gsize n, const char *data)
{
  for (gsize i = 0; i < n; i++)
    {
      g_autofree char *path = g_strconcat (prefix, tests[i].name, NULL);

      g_test_add (path, ModelFixture, data, set_up, tests[i].func, tear_down);
    }
}

float *
model_expected (ModelFixture *f, const char *name, gsize *n)
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

double
model_distance (const float *a, const float *b, gsize n)
{
  double error = 0.0, norm = 0.0;

  for (gsize i = 0; i < n; i++)
    {
      error += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
      norm += (double) b[i] * b[i];
    }

  return sqrt (error / norm);
}

float *
model_denoise (ModelFixture *f, GCancellable *cancellable, GError **error)
{
  g_autofree float *latents = model_expected (f, "unet.latents", NULL);
  g_autofree float *context = model_expected (f, "unet.context", NULL);
  g_autofree float *out     = g_new0 (float, 2 * H * W * 4);
  const FbDenoise   call    = { .latents = latents, .n = 2, .height = H, .width = W, .timestep = 999.0f, .context = context, .n_tokens = 77 };

  return fb_model_denoise (f->model, &call, out, cancellable, error) ? g_steal_pointer (&out) : NULL;
}

float *
model_denoise_well (ModelFixture *f)
{
  GError *error = NULL;
  float  *out   = model_denoise (f, NULL, &error);

  g_assert_no_error (error);
  return out;
}

float *
model_encode_text (ModelFixture *f, GError **error)
{
  g_autofree int   *ids = g_new (int, 2 * 77);
  g_autofree float *out = g_new0 (float, 2 * 77 * 64);

  return fb_safetensors_read (f->expected, fb_safetensors_lookup (f->expected, "text.ids"), 0, 2 * 77 * sizeof (int), ids, NULL, error) &&
         fb_model_encode_text (f->model, ids, 2, 0, out, NULL, error) ? g_steal_pointer (&out) : NULL;
}

float *
model_encode_text_well (ModelFixture *f)
{
  GError *error = NULL;
  float  *out   = model_encode_text (f, &error);

  g_assert_no_error (error);
  return out;
}

void
model_set_loras (ModelFixture *f, int n, const FbLoraUse *loras)
{
  g_autoptr(GError) error = NULL;

  fb_model_set_loras (f->model, loras, n, NULL, &error);
  g_assert_no_error (error);
}
