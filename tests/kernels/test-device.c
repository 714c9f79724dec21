/* tests/kernels/test-device.c: devices, tensors and weights apart from the ops' values, on every device of this build.
 * SPDX-License-Identifier: LGPL-3.0-or-later */

#include <string.h>

#include "kernels/device-private.h"

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

int
main (int argc, char **argv)
{
  static const struct { const char *name; GTestDataFunc run; } tests[] =
  {
    { "upload-and-download-convert",            test_upload_download },
    { "views-share-memory-and-keep-it",         test_views_share_memory },
    { "tensors-and-weights-are-counted",        test_memory_is_counted },
    { "no-memory-sticks-until-checked",         test_no_memory_sticks },
    { "a-size-beyond-64-bits-is-no-memory",     test_sizes_that_wrap },
    { "the-first-failure-is-the-one-reported",  test_first_failure_wins },
    { "a-set-cancel-flag-stops-the-next-op",    test_cancel_flag },
  };
  static const char * const devices[] = { "cpu", "reference" };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/device/an-unknown-name-is-an-error-that-lists-the-devices", test_unknown_name);
  for (size_t d = 0; d < G_N_ELEMENTS (devices); d++)
    for (size_t i = 0; i < G_N_ELEMENTS (tests); i++)
      {
        g_autofree char *path = g_strdup_printf ("/kernels/device/%s/%s", devices[d], tests[i].name);

        g_test_add_data_func (path, devices[d], tests[i].run);
      }
  return g_test_run ();
}
