/* tests/kernels/test-cancel.c: a cancel flag set from another thread stops long ops soon. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <time.h>

#include "kernels/device-private.h"

/* The contract says 50 ms on cores of one's own. Measured is the processor's time, which others' work does not stretch: each thread may finish
 * what it has begun. The whole ops would take a second or more of each thread. */
#define SOON_US 100000

typedef struct
{
  gint     flag;
  gint64   set_at;         /* µs of processor time of all threads together */
  GThread *thread;
} Canceller;

typedef void (* Run) (FbDevice *dev, FbDtype dtype, Canceller *canceller);

static gint64
cpu_time (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return (gint64) t.tv_sec * G_USEC_PER_SEC + t.tv_nsec / 1000;
}

static gpointer
set_flag_after_a_while (gpointer data)
{
  Canceller *canceller = data;

  g_usleep (50000);
  canceller->set_at = cpu_time ();
  g_atomic_int_set (&canceller->flag, 1);
  return NULL;
}

/* The op to cancel follows at once */
static void
start (Canceller *canceller, FbDevice *dev)
{
  fb_device_set_cancel_flag (dev, &canceller->flag);
  canceller->thread = g_thread_new ("canceller", set_flag_after_a_while, canceller);
}

static FbTensor *
zeros (FbDevice *dev, FbDtype dtype, int n_dims, const int *shape)
{
  FbTensor *t = fb_tensor_new (dev, dtype, n_dims, shape);

  memset (t->data, 0, t->n_bytes);
  return t;
}

static void
run_conv2d (FbDevice *dev, FbDtype dtype, Canceller *canceller)
{
  int                 shape[4] = { 512, 512, 3, 3 };
  g_autofree float   *values   = g_new0 (float, 512 * 512 * 9);
  g_autoptr(FbWeight) weight   = fb_weight_new (dev, FB_WEIGHT_CONV2D, dtype, shape, values, FB_DTYPE_F32);
  g_autoptr(FbTensor) x        = zeros (dev, dtype, 4, (int[]) { 1, 256, 256, 512 });
  g_autoptr(FbTensor) out      = fb_tensor_new_4d (dev, dtype, 1, 256, 256, 512);

  start (canceller, dev);
  fb_op_conv2d (dev, out, x, weight, NULL, NULL, &(FbConv2dParams) { 1, 1, 1, 1, 1, 1 }, FB_ACT_NONE);    /* 309 GFLOP */
}

static void
run_linear (FbDevice *dev, FbDtype dtype, Canceller *canceller)
{
  g_autofree float   *values = g_new0 (float, 8192 * 4096);
  g_autoptr(FbWeight) weight = fb_weight_new (dev, FB_WEIGHT_LINEAR, dtype, (int[]) { 4096, 8192 }, values, FB_DTYPE_F32);
  g_autoptr(FbTensor) x      = zeros (dev, dtype, 2, (int[]) { 8192, 8192 });
  g_autoptr(FbTensor) out    = fb_tensor_new_2d (dev, dtype, 8192, 4096);

  start (canceller, dev);
  fb_op_linear (dev, out, x, weight, NULL, NULL, FB_ACT_NONE);                                            /* 550 GFLOP */
}

static void
run_attention (FbDevice *dev, FbDtype dtype, Canceller *canceller)
{
  g_autoptr(FbTensor) x   = zeros (dev, dtype, 3, (int[]) { 1, 16384, 320 });
  g_autoptr(FbTensor) out = fb_tensor_new_3d (dev, dtype, 1, 16384, 320);

  start (canceller, dev);
  fb_op_attention (dev, out, x, x, x, 8, 0.1f, FALSE);                                                    /* 344 GFLOP */
}

static void
run_conv2d_backward (FbDevice *dev, FbDtype dtype, Canceller *canceller)
{
  int                 shape[4] = { 512, 512, 3, 3 };
  g_autofree float   *values   = g_new0 (float, 512 * 512 * 9);
  g_autoptr(FbWeight) weight   = fb_weight_new (dev, FB_WEIGHT_CONV2D, dtype, shape, values, FB_DTYPE_F32);
  g_autoptr(FbTensor) dy       = zeros (dev, dtype, 4, (int[]) { 1, 256, 256, 512 });
  g_autoptr(FbTensor) dx       = fb_tensor_new_4d (dev, dtype, 1, 256, 256, 512);

  start (canceller, dev);
  fb_op_conv2d_backward_input (dev, dx, dy, weight, &(FbConv2dParams) { 1, 1, 1, 1, 1, 1 }, NULL);
}

static void
run_conv2d_weight (FbDevice *dev, FbDtype dtype, Canceller *canceller)
{
  g_autoptr(FbTensor) x  = zeros (dev, dtype, 4, (int[]) { 1, 256, 256, 512 });
  g_autoptr(FbTensor) dw = zeros (dev, FB_DTYPE_F32, 4, (int[]) { 512, 512, 3, 3 });

  start (canceller, dev);
  fb_op_conv2d_backward_weight (dev, dw, x, x, &(FbConv2dParams) { 1, 1, 1, 1, 1, 1 });
}

static void
run_attention_backward (FbDevice *dev, FbDtype dtype, Canceller *canceller)
{
  g_autoptr(FbTensor) x  = zeros (dev, dtype, 3, (int[]) { 1, 16384, 320 });
  g_autoptr(FbTensor) dq = fb_tensor_new_3d (dev, dtype, 1, 16384, 320);
  g_autoptr(FbTensor) dk = fb_tensor_new_3d (dev, dtype, 1, 16384, 320);
  g_autoptr(FbTensor) dv = fb_tensor_new_3d (dev, dtype, 1, 16384, 320);

  start (canceller, dev);
  fb_op_attention_backward (dev, dq, dk, dv, x, x, x, x, x, 8, 0.1f, FALSE);
}

static void
check_soon (Run run, FbDtype dtype)
{
  g_autoptr(FbDevice) dev       = fb_device_new ("cpu", 0, NULL);
  g_autoptr(GError)   error     = NULL;
  Canceller           canceller = { 0 };
  gint64              spent;

  if (!fb_device_supports (dev, dtype))
    return;

  run (dev, dtype, &canceller);
  spent = cpu_time ();
  g_thread_join (canceller.thread);
  spent = (spent - canceller.set_at) / fb_device_n_threads (dev);

  g_assert_false (fb_device_check (dev, &error));
  g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_CANCELLED);
  g_test_message ("%s: stopped after %.1f ms of each thread", fb_dtype_name (dtype), spent * 1e-3);
  g_assert_cmpint (spent, <, SOON_US);
}

static void
test_conv2d (void)
{
  check_soon (run_conv2d, FB_DTYPE_F32);
  check_soon (run_conv2d, FB_DTYPE_BF16);
}

static void
test_linear (void)
{
  check_soon (run_linear, FB_DTYPE_F32);
  check_soon (run_linear, FB_DTYPE_BF16);
}

static void
test_attention (void)
{
  check_soon (run_attention, FB_DTYPE_F32);
  check_soon (run_attention, FB_DTYPE_BF16);
}

static void
test_conv2d_backward (void)
{
  check_soon (run_conv2d_backward, FB_DTYPE_F32);
  check_soon (run_conv2d_backward, FB_DTYPE_BF16);
}

static void
test_conv2d_weight (void)
{
  check_soon (run_conv2d_weight, FB_DTYPE_F32);
  check_soon (run_conv2d_weight, FB_DTYPE_BF16);
}

static void
test_attention_backward (void)
{
  check_soon (run_attention_backward, FB_DTYPE_F32);
  check_soon (run_attention_backward, FB_DTYPE_BF16);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/cancel/a-long-convolution-stops-soon", test_conv2d);
  g_test_add_func ("/kernels/cancel/a-long-linear-layer-stops-soon", test_linear);
  g_test_add_func ("/kernels/cancel/a-long-attention-stops-soon", test_attention);
  g_test_add_func ("/kernels/cancel/a-long-convolutions-gradient-stops-soon", test_conv2d_backward);
  g_test_add_func ("/kernels/cancel/a-long-kernels-gradient-stops-soon", test_conv2d_weight);
  g_test_add_func ("/kernels/cancel/a-long-attentions-gradient-stops-soon", test_attention_backward);
  return g_test_run ();
}
