/* tests/kernels/test-device.c: devices, tensors and weights apart from the ops' values, on every device of this build.
 * SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernels/device-private.h"
#include "tests/kernels/per-device.h"

static FbDevice *
open_device (gconstpointer name)
{
  g_autoptr(GError) error = NULL;
  FbDevice         *dev   = fb_device_new (name, 2, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (fb_device_name (dev), ==, name);
  return dev;
}

static void
test_unknown_name (void)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (fb_device_new ("abacus", 0, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN);
  g_assert_nonnull (strstr (error->message, "abacus"));
  g_assert_nonnull (strstr (error->message, "reference"));
}

static void
test_upload_download (gconstpointer name)
{
  g_autoptr(FbDevice) dev     = open_device (name);
  const float         in[6]   = { 1, -2, 0.5f, 100, -0.25f, 3 };
  const FbDtype       dtypes[] = { FB_DTYPE_F32, FB_DTYPE_BF16, FB_DTYPE_F16 };

  for (size_t i = 0; i < G_N_ELEMENTS (dtypes); i++)
    {
      g_autoptr(FbTensor) t = fb_tensor_new_2d (dev, dtypes[i], 2, 3);
      float               out[6];
      double              wide[6];

      fb_tensor_upload (t, in, FB_DTYPE_F32);
      fb_tensor_download (t, out, FB_DTYPE_F32);
      fb_tensor_download (t, wide, FB_DTYPE_F64);
      g_assert_cmpmem (in, sizeof in, out, sizeof out);
      for (int j = 0; j < 6; j++)
        g_assert_cmpfloat (wide[j], ==, in[j]);
    }
}

static void
test_views_share_memory (gconstpointer name)
{
  g_autoptr(FbDevice) dev = open_device (name);
  FbTensor           *t   = fb_tensor_new_2d (dev, FB_DTYPE_F32, 4, 3);
  const float         in[12] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
  const float         row[3] = { -1, -2, -3 };
  float               out[12];

  fb_tensor_upload (t, in, FB_DTYPE_F32);
  {
    g_autoptr(FbTensor) rows = fb_tensor_view (t, 2, (int[]) { 2, 3 }, 6);
    g_autoptr(FbTensor) last = fb_tensor_view (rows, 1, (int[]) { 3 }, 3);      /* a view of a view */
    g_autoptr(FbTensor) flat = fb_tensor_view (t, 1, (int[]) { 12 }, 0);

    g_assert_cmpuint (flat->id, ==, t->id);                       /* all of it: the same values */
    g_assert_cmpuint (rows->id, !=, t->id);
    g_assert_cmpuint (rows->id, !=, last->id);
    fb_tensor_upload (last, row, FB_DTYPE_F32);
    fb_tensor_download (t, out, FB_DTYPE_F32);
    g_assert_true (last->base == t);
    g_assert_cmpmem (out + 9, sizeof row, row, sizeof row);
    g_assert_cmpmem (out, 9 * sizeof (float), in, 9 * sizeof (float));

    fb_tensor_unref (t);                                          /* the views keep the memory */
    fb_tensor_download (rows, out, FB_DTYPE_F32);
    g_assert_cmpfloat (out[0], ==, 6);
  }
  g_assert_cmpuint (fb_device_bytes_in_use (dev), ==, 0);
}

static void
test_memory_is_counted (gconstpointer name)
{
  g_autoptr(FbDevice) dev = open_device (name);
  FbTensor           *a   = fb_tensor_new_1d (dev, FB_DTYPE_F32, 1000);
  FbTensor           *b   = fb_tensor_new_3d (dev, FB_DTYPE_F32, 10, 10, 10);
  float               w[6] = { 1, 2, 3, 4, 5, 6 };
  FbWeight           *weight;
  size_t              with_weight;

  g_assert_cmpuint (fb_device_bytes_in_use (dev), ==, 8000);
  weight      = fb_weight_new (dev, FB_WEIGHT_LINEAR, FB_DTYPE_F32, (int[]) { 2, 3 }, w, FB_DTYPE_F32);
  with_weight = fb_device_bytes_in_use (dev);
  g_assert_cmpuint (with_weight, ==, 8000 + fb_weight_n_bytes (weight));
  g_assert_cmpuint (fb_weight_n_bytes (weight), >=, sizeof w);
  fb_tensor_unref (a);
  fb_weight_unref (weight);
  g_assert_cmpuint (fb_device_bytes_in_use (dev), ==, 4000);
  g_assert_cmpuint (fb_device_bytes_peak (dev), ==, with_weight);
  fb_device_reset_peak (dev);
  g_assert_cmpuint (fb_device_bytes_peak (dev), ==, 4000);
  fb_tensor_unref (b);
  g_assert_cmpuint (fb_device_bytes_in_use (dev), ==, 0);
  fb_device_trim (dev);
}

static void
test_a_limit_is_kept_and_survived (gconstpointer name)
{
  g_autoptr(FbDevice) dev   = open_device (name);
  g_autoptr(FbTensor) fits  = NULL;
  g_autoptr(FbTensor) more  = NULL;
  g_autoptr(FbTensor) less  = NULL;
  g_autoptr(GError)   error = NULL;

  g_assert_cmpuint (fb_device_limit (dev), ==, G_MAXSIZE);
  g_assert_cmpuint (fb_device_bytes_free (dev), >, 1 << 20);
  fb_device_set_limit (dev, 10000);
  g_assert_cmpuint (fb_device_bytes_free (dev), ==, 10000);
  fits = fb_tensor_new_1d (dev, FB_DTYPE_F32, 2000);
  g_assert_cmpuint (fb_device_bytes_free (dev), ==, 2000);
  g_assert_true (fb_device_check (dev, NULL));

  more = fb_tensor_new_1d (dev, FB_DTYPE_F32, 501);
  g_assert_false (fb_device_check (dev, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
  less = fb_tensor_new_1d (dev, FB_DTYPE_F32, 500);
  g_assert_true (fb_device_check (dev, NULL));
  g_assert_cmpuint (fb_device_bytes_free (dev), ==, 0);
  fb_device_set_limit (dev, 0);                                  /* below what lives: no harm to that */
  g_assert_cmpuint (fb_device_bytes_free (dev), ==, 0);
  g_assert_true (fb_device_check (dev, NULL));
}

static void
fill (float *values, size_t n, guint32 state)
{
  for (size_t i = 0; i < n; i++)
    {
      state     = state * 1664525u + 1013904223u;
      values[i] = (gint32) state * 0x1p-31f;
    }
}

static void
fill_with_zeros (FbTensor *t)
{
  g_autofree void *zeros = g_malloc0 (t->n_bytes);

  fb_tensor_upload (t, zeros, t->dtype);
}

static void
assert_same_bytes (const FbTensor *a, const FbTensor *b)
{
  g_autofree void *of_a = g_malloc (a->n_bytes);
  g_autofree void *of_b = g_malloc (b->n_bytes);

  fb_tensor_download (a, of_a, a->dtype);
  fb_tensor_download (b, of_b, b->dtype);
  g_assert_cmpmem (of_a, a->n_bytes, of_b, b->n_bytes);
}

/* A weight that got new values is, byte for byte, the weight made of them; its memory is the same */
static void
check_update (FbDevice *dev, FbWeightKind kind, FbDtype dtype)
{
  int                 shape[4] = { 37, 21, 3, 3 };
  size_t              n        = 37 * 21 * (kind == FB_WEIGHT_LINEAR ? 1 : 9);
  g_autofree float   *first    = g_new (float, n);
  g_autofree float   *second   = g_new (float, n);
  g_autoptr(FbTensor) x        = fb_tensor_new_4d (dev, dtype, 1, 4, 4, 21);
  g_autoptr(FbTensor) a        = fb_tensor_new_4d (dev, dtype, 1, 8, 8, 37);
  g_autoptr(FbTensor) b        = fb_tensor_new_4d (dev, dtype, 1, 8, 8, 37);
  FbConv2dParams      params   = { 1, 1, 1, 1, 1, 2 };

  fill (first, n, 1);
  fill (second, n, 2);
  fb_tensor_upload (x, first, FB_DTYPE_F32);

  g_autoptr(FbWeight) updated = fb_weight_new (dev, kind, dtype, shape, first, FB_DTYPE_F32);
  g_autoptr(FbWeight) fresh   = fb_weight_new (dev, kind, dtype, shape, second, FB_DTYPE_F32);
  size_t              before  = fb_device_bytes_in_use (dev);

  fb_weight_update (updated, second, FB_DTYPE_F32);
  g_assert_cmpuint (fb_device_bytes_in_use (dev), ==, before);
  if (kind == FB_WEIGHT_LINEAR)
    {
      g_autoptr(FbTensor) y = fb_tensor_view (a, 4, (int[]) { 1, 4, 4, 37 }, 0);
      g_autoptr(FbTensor) z = fb_tensor_view (b, 4, (int[]) { 1, 4, 4, 37 }, 0);

      fb_op_linear (dev, y, x, updated, NULL, NULL, FB_ACT_NONE);
      fb_op_linear (dev, z, x, fresh, NULL, NULL, FB_ACT_NONE);
      assert_same_bytes (y, z);
    }
  else
    {
      fb_op_conv2d (dev, a, x, updated, NULL, NULL, &params, FB_ACT_NONE);
      fb_op_conv2d (dev, b, x, fresh, NULL, NULL, &params, FB_ACT_NONE);
      assert_same_bytes (a, b);
    }
  g_assert_true (fb_device_check (dev, NULL));
}

static void
test_update (gconstpointer name)
{
  g_autoptr(FbDevice) dev = open_device (name);

  for (FbWeightKind kind = FB_WEIGHT_LINEAR; kind <= FB_WEIGHT_CONV2D_UPSAMPLE; kind++)
    {
      check_update (dev, kind, FB_DTYPE_F32);
      if (fb_device_supports (dev, FB_DTYPE_BF16))
        check_update (dev, kind, FB_DTYPE_BF16);
    }
}

static void
test_update_of_a_failed_weight (gconstpointer name)
{
  g_autoptr(FbDevice) dev     = open_device (name);
  g_autoptr(GError)   error   = NULL;
  float               w[6]    = { 1, 2, 3, 4, 5, 6 };
  FbWeight           *weight;

  fb_device_fail (dev, FB_DEVICE_ERROR_FAILED, "before");
  weight = fb_weight_new (dev, FB_WEIGHT_LINEAR, FB_DTYPE_F32, (int[]) { 2, 3 }, w, FB_DTYPE_F32);
  g_assert_false (fb_device_check (dev, NULL));
  fb_weight_update (weight, w, FB_DTYPE_F32);                     /* it never got memory */
  g_assert_false (fb_device_check (dev, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
  fb_weight_unref (weight);
}

/* What a backward op takes for the call, it gives back */
static void
test_backward_keeps_nothing (gconstpointer name)
{
  g_autoptr(FbDevice) dev     = open_device (name);
  float               w[16 * 16 * 9] = { 0 };
  g_autoptr(FbWeight) linear  = fb_weight_new (dev, FB_WEIGHT_LINEAR, FB_DTYPE_F32, (int[]) { 16, 16 }, w, FB_DTYPE_F32);
  g_autoptr(FbWeight) kernel  = fb_weight_new (dev, FB_WEIGHT_CONV2D, FB_DTYPE_F32, (int[]) { 16, 16, 3, 3 }, w, FB_DTYPE_F32);
  g_autoptr(FbTensor) small   = fb_tensor_new_4d (dev, FB_DTYPE_F32, 1, 4, 4, 16);
  g_autoptr(FbTensor) large   = fb_tensor_new_4d (dev, FB_DTYPE_F32, 1, 8, 8, 16);
  size_t              before  = fb_device_bytes_in_use (dev);

  fill_with_zeros (small);
  fill_with_zeros (large);
  fb_op_linear_backward_input (dev, small, small, linear, NULL);
  fb_op_conv2d_backward_input (dev, small, small, kernel, &(FbConv2dParams) { 1, 1, 1, 1, 1, 1 }, NULL);
  fb_op_conv2d_backward_input (dev, large, small, kernel, &(FbConv2dParams) { 2, 1, 1, 1, 1, 1 }, NULL);
  fb_op_conv2d_backward_input (dev, small, large, kernel, &(FbConv2dParams) { 1, 1, 1, 1, 1, 2 }, NULL);
  g_assert_true (fb_device_check (dev, NULL));
  g_assert_cmpuint (fb_device_bytes_in_use (dev), ==, before);
}

static void
test_no_memory_sticks (gconstpointer name)
{
  g_autoptr(FbDevice) dev   = open_device (name);
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbTensor) small = fb_tensor_new_1d (dev, FB_DTYPE_F32, 2);
  g_autoptr(FbTensor) large = fb_tensor_new_4d (dev, FB_DTYPE_F32, 1 << 20, 1 << 20, 1 << 10, 1 << 10);   /* 2^62 bytes */
  g_autoptr(FbTensor) after = fb_tensor_new_1d (dev, FB_DTYPE_F32, 2);
  float               in[2] = { 1, 2 }, out[2];

  g_assert_true (fb_device_has_failed (dev));
  g_assert_null (large->data);
  g_assert_null (after->data);
  fb_tensor_upload (small, in, FB_DTYPE_F32);                     /* does nothing */
  fb_op_add (dev, after, after, small);                           /* neither does this */

  g_assert_false (fb_device_check (dev, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
  g_assert_true (fb_device_check (dev, NULL));                    /* reported once */

  fb_tensor_upload (small, in, FB_DTYPE_F32);                     /* works again */
  fb_op_add (dev, small, small, small);
  fb_tensor_download (small, out, FB_DTYPE_F32);
  g_assert_true (fb_device_check (dev, NULL));
  g_assert_cmpfloat (out[1], ==, 4);

  fb_op_add (dev, small, small, after);                           /* a tensor without memory fails the op, and nothing crashes */
  g_clear_error (&error);
  g_assert_false (fb_device_check (dev, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
}

static void
test_sizes_that_wrap (gconstpointer name)
{
  g_autoptr(FbDevice) dev   = open_device (name);
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbTensor) t     = fb_tensor_new_4d (dev, FB_DTYPE_F32, 1 << 30, 1 << 30, 1 << 2, 1);    /* 2^64 bytes */

  g_assert_null (t->data);
  g_assert_false (fb_device_check (dev, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY);
}

static void
test_first_failure_wins (gconstpointer name)
{
  g_autoptr(FbDevice) dev   = open_device (name);
  g_autoptr(GError)   error = NULL;

  fb_device_fail (dev, FB_DEVICE_ERROR_FAILED, "first %d", 1);
  fb_device_fail (dev, FB_DEVICE_ERROR_CANCELLED, "second");
  g_assert_true (fb_device_has_failed (dev));
  g_assert_false (fb_device_check (dev, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_FAILED);
  g_assert_cmpstr (error->message, ==, "first 1");
  g_assert_false (fb_device_has_failed (dev));
}

static void
test_cancel_flag (gconstpointer name)
{
  g_autoptr(FbDevice) dev   = open_device (name);
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbTensor) t     = fb_tensor_new_1d (dev, FB_DTYPE_F32, 2);
  float               in[2] = { 1, 2 }, out[2];
  gint                flag  = 0;

  fb_device_set_cancel_flag (dev, &flag);
  fb_tensor_upload (t, in, FB_DTYPE_F32);
  g_atomic_int_set (&flag, 1);
  fb_op_add (dev, t, t, t);
  g_assert_false (fb_device_check (dev, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_CANCELLED);

  g_atomic_int_set (&flag, 0);
  fb_tensor_download (t, out, FB_DTYPE_F32);
  g_assert_true (fb_device_check (dev, NULL));
  g_assert_cmpmem (in, sizeof in, out, sizeof out);               /* the cancelled sum was not taken */
  fb_device_set_cancel_flag (dev, NULL);
}

static FbTensor *
tensor_with_a_nan (FbDevice *dev, FbDtype dtype, int n_dims, const int *shape)
{
  FbTensor         *t      = fb_tensor_new (dev, dtype, n_dims, shape);
  size_t            n      = fb_tensor_n_elements (t);
  g_autofree float *values = g_new (float, n);

  for (size_t i = 0; i < n; i++)
    values[i] = i % 7 * 0.25f - 0.5f;
  values[n / 2] = NAN;
  fb_tensor_upload (t, values, FB_DTYPE_F32);
  return t;
}

static void
assert_has_nan (const char *op, FbTensor *t)
{
  size_t            n      = fb_tensor_n_elements (t);
  g_autofree float *values = g_new (float, n);
  size_t            n_nan  = 0;

  fb_tensor_download (t, values, FB_DTYPE_F32);
  for (size_t i = 0; i < n; i++)
    n_nan += isnan (values[i]);
  if (n_nan == 0)
    g_error ("%s: the NaN is gone", op);
}

static void
check_nan (FbDevice *dev, FbDtype dtype)
{
  float               ones[16 * 16 * 9];
  int                 conv[4] = { 16, 16, 3, 3 };
  g_autoptr(FbTensor) clean   = fb_tensor_new_3d (dev, dtype, 1, 49, 16);
  g_autoptr(FbTensor) x       = tensor_with_a_nan (dev, dtype, 3, (int[]) { 1, 49, 16 });
  g_autoptr(FbTensor) out     = fb_tensor_new_3d (dev, dtype, 1, 49, 16);
  g_autoptr(FbTensor) half    = fb_tensor_new_3d (dev, dtype, 1, 49, 8);
  g_autoptr(FbTensor) picture = fb_tensor_view (x, 4, (int[]) { 1, 7, 7, 16 }, 0);
  g_autoptr(FbTensor) result  = fb_tensor_view (out, 4, (int[]) { 1, 7, 7, 16 }, 0);
  g_autoptr(FbTensor) plain   = fb_tensor_view (clean, 4, (int[]) { 1, 7, 7, 16 }, 0);
  g_autoptr(FbTensor) small   = fb_tensor_new_4d (dev, dtype, 1, 3, 3, 16);
  g_autoptr(FbTensor) weight  = fb_tensor_new_1d (dev, FB_DTYPE_F32, 16);
  g_autoptr(FbTensor) distance = fb_tensor_new_1d (dev, FB_DTYPE_F32, 1);

  for (size_t i = 0; i < G_N_ELEMENTS (ones); i++)
    ones[i] = 1;
  fb_tensor_upload (clean, ones, FB_DTYPE_F32);
  fb_tensor_upload (weight, ones, FB_DTYPE_F32);

  g_autoptr(FbWeight) linear  = fb_weight_new (dev, FB_WEIGHT_LINEAR, dtype, (int[]) { 16, 16 }, ones, FB_DTYPE_F32);
  g_autoptr(FbWeight) kernel  = fb_weight_new (dev, FB_WEIGHT_CONV2D, dtype, conv, ones, FB_DTYPE_F32);

  for (FbActivation act = FB_ACT_NONE; act <= FB_ACT_CLAMP; act++)
    {
      fb_op_activation (dev, out, x, act);
      assert_has_nan ("activation", out);
      fb_op_linear (dev, out, x, linear, NULL, NULL, act);
      assert_has_nan ("linear", out);
    }
  fb_op_geglu (dev, half, x);
  assert_has_nan ("geglu", half);
  fb_op_conv2d (dev, result, picture, kernel, NULL, NULL, &(FbConv2dParams) { 1, 1, 1, 1, 1, 1 }, FB_ACT_SILU);
  assert_has_nan ("conv2d", out);
  fb_op_attention (dev, out, x, clean, clean, 2, 1, FALSE);
  assert_has_nan ("attention, query", out);
  fb_op_attention (dev, out, clean, x, clean, 2, 1, FALSE);
  assert_has_nan ("attention, key", out);
  fb_op_attention (dev, out, clean, clean, x, 2, 1, FALSE);
  assert_has_nan ("attention, value", out);
  fb_op_group_norm (dev, out, x, NULL, NULL, 4, 1e-5f, FB_ACT_SILU);
  assert_has_nan ("group norm", out);
  fb_op_layer_norm (dev, out, x, NULL, NULL, 1e-5f);
  assert_has_nan ("layer norm", out);
  fb_op_add (dev, out, x, clean);
  assert_has_nan ("add", out);
  fb_op_max_pool (dev, small, picture);
  assert_has_nan ("max pool", small);
  fb_op_feature_distance (dev, distance, picture, plain, weight, 1e-10f);
  assert_has_nan ("feature distance", distance);
}

/* In the gradient that comes in: what goes out shows it */
static void
check_nan_backward (FbDevice *dev, FbDtype dtype)
{
  float               ones[16 * 16 * 9];
  int                 conv[4]  = { 16, 16, 3, 3 };
  g_autoptr(FbTensor) x        = fb_tensor_new_3d (dev, dtype, 1, 49, 16);
  g_autoptr(FbTensor) dy       = tensor_with_a_nan (dev, dtype, 3, (int[]) { 1, 49, 16 });
  g_autoptr(FbTensor) half     = tensor_with_a_nan (dev, dtype, 3, (int[]) { 1, 49, 8 });
  g_autoptr(FbTensor) dx       = fb_tensor_new_3d (dev, dtype, 1, 49, 16);
  g_autoptr(FbTensor) dk       = fb_tensor_new_3d (dev, dtype, 1, 49, 16);
  g_autoptr(FbTensor) dv       = fb_tensor_new_3d (dev, dtype, 1, 49, 16);
  g_autoptr(FbTensor) dw       = fb_tensor_new_2d (dev, FB_DTYPE_F32, 16, 16);
  g_autoptr(FbTensor) dkernel  = fb_tensor_new (dev, FB_DTYPE_F32, 4, conv);
  g_autoptr(FbTensor) db       = fb_tensor_new_1d (dev, FB_DTYPE_F32, 16);
  g_autoptr(FbTensor) picture  = fb_tensor_view (x, 4, (int[]) { 1, 7, 7, 16 }, 0);
  g_autoptr(FbTensor) gradient = fb_tensor_view (dy, 4, (int[]) { 1, 7, 7, 16 }, 0);
  g_autoptr(FbTensor) result   = fb_tensor_view (dx, 4, (int[]) { 1, 7, 7, 16 }, 0);
  g_autoptr(FbTensor) small    = tensor_with_a_nan (dev, dtype, 4, (int[]) { 1, 3, 3, 16 });
  g_autoptr(FbTensor) weight   = fb_tensor_new_1d (dev, FB_DTYPE_F32, 16);
  g_autoptr(FbTensor) distance = fb_tensor_new_1d (dev, FB_DTYPE_F32, 1);
  FbConv2dParams      params   = { 1, 1, 1, 1, 1, 1 };

  for (size_t i = 0; i < G_N_ELEMENTS (ones); i++)
    ones[i] = 1 + i % 3;
  fb_tensor_upload (x, ones, FB_DTYPE_F32);
  fb_tensor_upload (weight, ones, FB_DTYPE_F32);
  fb_tensor_upload (distance, ones, FB_DTYPE_F32);
  fill_with_zeros (dw);
  fill_with_zeros (dkernel);
  fill_with_zeros (db);

  g_autoptr(FbWeight) linear = fb_weight_new (dev, FB_WEIGHT_LINEAR, dtype, (int[]) { 16, 16 }, ones, FB_DTYPE_F32);
  g_autoptr(FbWeight) kernel = fb_weight_new (dev, FB_WEIGHT_CONV2D, dtype, conv, ones, FB_DTYPE_F32);

  for (FbActivation act = FB_ACT_NONE; act <= FB_ACT_CLAMP; act++)
    {
      fb_op_activation_backward (dev, dx, dy, x, act);
      assert_has_nan ("activation, backward", dx);
    }
  fb_op_geglu_backward (dev, dx, half, x);
  assert_has_nan ("geglu, backward", dx);
  fb_op_linear_backward_input (dev, dx, dy, linear, NULL);
  assert_has_nan ("linear, backward to the input", dx);
  fb_op_linear_backward_weight (dev, dw, dy, x);
  assert_has_nan ("linear, backward to the weight", dw);
  fb_op_bias_backward (dev, db, dy);
  assert_has_nan ("bias, backward", db);
  fb_op_conv2d_backward_input (dev, result, gradient, kernel, &params, NULL);
  assert_has_nan ("conv2d, backward to the input", dx);
  fb_op_conv2d_backward_weight (dev, dkernel, gradient, picture, &params);
  assert_has_nan ("conv2d, backward to the weight", dkernel);
  fb_op_attention_backward (dev, dx, dk, dv, dy, x, x, x, x, 2, 1, FALSE);
  assert_has_nan ("attention, backward to the queries", dx);
  assert_has_nan ("attention, backward to the keys", dk);
  assert_has_nan ("attention, backward to the values", dv);
  fb_op_group_norm_backward (dev, dx, NULL, NULL, dy, x, NULL, NULL, 4, 1e-5f, FB_ACT_SILU);
  assert_has_nan ("group norm, backward", dx);
  fb_op_layer_norm_backward (dev, dx, NULL, NULL, dy, x, NULL, NULL, 1e-5f);
  assert_has_nan ("layer norm, backward", dx);
  fb_op_max_pool_backward (dev, result, small, picture);
  assert_has_nan ("max pool, backward", dx);
  fb_op_feature_distance_backward (dev, result, distance, picture, gradient, weight, 1e-10f);
  assert_has_nan ("feature distance, backward", dx);
}

static void
test_nan_survives (gconstpointer name)
{
  g_autoptr(FbDevice) dev = open_device (name);

  for (FbDtype dtype = FB_DTYPE_F32; dtype <= FB_DTYPE_F16; dtype++)
    if (fb_device_supports (dev, dtype))
      {
        check_nan (dev, dtype);
        check_nan_backward (dev, dtype);
      }
}

static void
count_refusals (const char *domain, GLogLevelFlags level, const char *message, gpointer n)
{
  *(int *) n += strstr (message, "no engine") != NULL;
}

/* Whether convolutions went to the card's own loops this time */
static gboolean
convolution_is_refused (FbDevice *dev)
{
  const FbConv2dParams params      = { 1, 1, 1, 1, 1, 1 };
  float                ones[4 * 4 * 9];
  int                  n_refusals  = 0;
  guint                handler     = g_log_set_handler (NULL, G_LOG_LEVEL_DEBUG, count_refusals, &n_refusals);
  g_autoptr(FbTensor)  x           = fb_tensor_new_4d (dev, FB_DTYPE_F32, 1, 3, 3, 4);
  g_autoptr(FbTensor)  out         = fb_tensor_new_4d (dev, FB_DTYPE_F32, 1, 3, 3, 4);
  g_autoptr(FbWeight)  weight      = NULL;
  float                values[3 * 3 * 4];

  for (size_t i = 0; i < G_N_ELEMENTS (ones); i++)
    ones[i] = 1;
  weight = fb_weight_new (dev, FB_WEIGHT_CONV2D, FB_DTYPE_F32, (int[]) { 4, 4, 3, 3 }, ones, FB_DTYPE_F32);
  fb_tensor_upload (x, ones, FB_DTYPE_F32);
  fb_op_conv2d (dev, out, x, weight, NULL, NULL, &params, FB_ACT_NONE);
  fb_tensor_download (out, values, FB_DTYPE_F32);
  g_log_remove_handler (NULL, handler);
  g_assert_true (fb_device_check (dev, NULL));
  g_assert_cmpfloat (values[0], ==, 4 * 4);                      /* at a corner */
  g_assert_cmpfloat (values[4 * 4], ==, 9 * 4);
  return n_refusals > 0;
}

static void
test_short_memory_is_no_answer_for_good (gconstpointer name)
{
  g_autoptr(FbDevice) dev   = open_device (name);
  g_autoptr(FbDevice) other = NULL;

  if (strcmp (name, "cuda") != 0 || g_getenv ("FLASHBRUSH_CUDA_DRIVER") == NULL)
    {
      g_test_skip ("only the made-up card fails where it is told to");
      return;
    }
  other = open_device (name);
  g_setenv ("FB_FAKE_PLANS_FAIL", "memory", TRUE);
  g_assert_true (convolution_is_refused (dev));
  g_assert_true (convolution_is_refused (dev));                  /* it was asked for once more */
  g_setenv ("FB_FAKE_PLANS_FAIL", "for good", TRUE);
  g_assert_true (convolution_is_refused (other));
  g_assert_false (convolution_is_refused (other));               /* known, so not said again */
  g_unsetenv ("FB_FAKE_PLANS_FAIL");
  g_assert_false (convolution_is_refused (dev));
}

static size_t
resident_bytes (void)
{
  g_autofree char *text = NULL;
  size_t           total, resident;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%zu %zu", &total, &resident), ==, 2);
  return resident * sysconf (_SC_PAGESIZE);
}

static void
test_trim_returns_memory (gconstpointer name)
{
  const size_t        size = (size_t) 200 << 20;
  g_autoptr(FbDevice) dev  = open_device (name);
  FbTensor           *t    = fb_tensor_new_1d (dev, FB_DTYPE_F32, size / 4);
  size_t              before;

  if (strcmp (name, "cuda") == 0)
    {
      fb_tensor_unref (t);
      fb_device_trim (dev);
      g_assert_true (fb_device_check (dev, NULL));
      g_test_skip ("the card's memory is not this process's");
      return;
    }

#ifdef __SANITIZE_ADDRESS__
  if (strcmp (name, "reference") == 0)
    {
      fb_tensor_unref (t);
      g_test_skip ("the address sanitizer keeps freed memory for a while");
      return;
    }
#endif
  memset (t->data, 1, size);
  before = resident_bytes ();
  fb_tensor_unref (t);
  fb_device_trim (dev);
  g_assert_cmpuint (resident_bytes (), <=, before - size * 9 / 10);
}

static void
test_memory_is_reused (void)
{
  g_autoptr(FbDevice) dev   = open_device ("cpu");
  FbTensor           *first = fb_tensor_new_1d (dev, FB_DTYPE_F32, 5000000);
  void               *data  = first->data;
  FbTensor           *second;

  fb_tensor_unref (first);
  second = fb_tensor_new_1d (dev, FB_DTYPE_BF16, 9990000);         /* not the same size, but the same class */
  g_assert_true (second->data == data);
  fb_tensor_unref (second);
}

/* Tensors of many sizes, one after the other: what each leaves behind must not add up. */
static void
test_freed_memory_does_not_add_up (void)
{
  const size_t        largest = (size_t) 80 << 20;
  g_autoptr(FbDevice) dev     = open_device ("cpu");
  const size_t        before  = resident_bytes ();

  for (size_t size = largest; size > largest / 4; size -= largest / 20)
    {
      g_autoptr(FbTensor) t = fb_tensor_new_1d (dev, FB_DTYPE_F32, size / 4);

      memset (t->data, 1, size);
      g_assert_cmpuint (resident_bytes (), <=, before + largest * 11 / 10);
    }
}

int
main (int argc, char **argv)
{
  static const FbDeviceTest tests[] =
  {
    { "upload-and-download-convert",            test_upload_download },
    { "views-share-memory-and-keep-it",         test_views_share_memory },
    { "tensors-and-weights-are-counted",        test_memory_is_counted },
    { "a-limit-is-kept-and-survived",           test_a_limit_is_kept_and_survived },
    { "an-updated-weight-is-as-a-new-one",      test_update },
    { "a-weight-without-memory-takes-no-update", test_update_of_a_failed_weight },
    { "backward-ops-keep-no-memory",            test_backward_keeps_nothing },
    { "no-memory-sticks-until-checked",         test_no_memory_sticks },
    { "a-size-beyond-64-bits-is-no-memory",     test_sizes_that_wrap },
    { "the-first-failure-is-the-one-reported",  test_first_failure_wins },
    { "a-set-cancel-flag-stops-the-next-op",    test_cancel_flag },
    { "a-nan-in-is-a-nan-out",                  test_nan_survives },
    { "trim-returns-memory-to-the-system",      test_trim_returns_memory },
    { "short-memory-is-no-answer-for-good",     test_short_memory_is_no_answer_for_good },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/device/an-unknown-name-is-an-error-that-lists-the-devices", test_unknown_name);
  g_test_add_func ("/kernels/device/cpu/freed-memory-serves-the-next-tensor", test_memory_is_reused);
  g_test_add_func ("/kernels/device/cpu/freed-memory-of-many-sizes-does-not-add-up", test_freed_memory_does_not_add_up);
  add_device_tests ("device", tests, G_N_ELEMENTS (tests));
  return g_test_run ();
}
