/* tests/kernels/test-reference.c: the reference device in f64 against PyTorch. SPDX-License-Identifier: LGPL-3.0-or-later
 * golden/kernels/ops.f64 was written by make.py beside it; it holds each op's inputs, then its output; and then the same for gradients. */

#include <math.h>
#include <string.h>

#include "kernels/device-private.h"

#define TOLERANCE 1e-12

static FbDevice     *dev;
static const double *next;        /* in the golden data */
static const double *end;

static const double *
read_values (size_t n)
{
  const double *values = next;

  g_assert_cmpuint (n, <=, end - next);
  next += n;
  return values;
}

static FbTensor *
read_tensor (int n_dims, const int *shape)
{
  FbTensor *t = fb_tensor_new (dev, FB_DTYPE_F64, n_dims, shape);

  fb_tensor_upload (t, read_values (fb_tensor_n_elements (t)), FB_DTYPE_F64);
  return t;
}

static FbWeight *
read_weight (FbWeightKind kind, const int *shape)
{
  size_t n = (size_t) shape[0] * shape[1] * (kind == FB_WEIGHT_LINEAR ? 1 : shape[2] * shape[3]);

  return fb_weight_new (dev, kind, FB_DTYPE_F64, shape, read_values (n), FB_DTYPE_F64);
}

#define SHAPE(...) G_N_ELEMENTS (((int[]) { __VA_ARGS__ })), (int[]) { __VA_ARGS__ }

static void
check (const char *op, FbTensor *got)
{
  size_t             n        = fb_tensor_n_elements (got);
  const double      *expected = read_values (n);
  g_autofree double *values   = g_new (double, n);
  double             largest  = 0.0;

  fb_tensor_download (got, values, FB_DTYPE_F64);
  g_assert_true (fb_device_check (dev, NULL));
  for (size_t i = 0; i < n; i++)
    largest = fmax (largest, fabs (expected[i]));
  for (size_t i = 0; i < n; i++)
    if (!(fabs (values[i] - expected[i]) <= TOLERANCE * largest))
      g_error ("%s: element %zu is %.17g instead of %.17g", op, i, values[i], expected[i]);
}

static void
test_activations (void)
{
  static const FbActivation acts[] = { FB_ACT_SILU, FB_ACT_GELU, FB_ACT_QUICK_GELU, FB_ACT_RELU, FB_ACT_TANH };
  g_autoptr(FbTensor)       x      = read_tensor (SHAPE (64));
  g_autoptr(FbTensor)       out    = fb_tensor_new_1d (dev, FB_DTYPE_F64, 64);

  for (size_t i = 0; i < G_N_ELEMENTS (acts); i++)
    {
      fb_op_activation (dev, out, x, acts[i]);
      check ("activation", out);
    }

  g_autoptr(FbTensor) pair  = read_tensor (SHAPE (2, 3, 10));
  g_autoptr(FbTensor) gated = fb_tensor_new_3d (dev, FB_DTYPE_F64, 2, 3, 5);

  fb_op_geglu (dev, gated, pair);
  check ("geglu", gated);
}

static void
test_conv2d (void)
{
  g_autoptr(FbTensor) x   = read_tensor (SHAPE (2, 6, 5, 3));
  g_autoptr(FbWeight) w   = read_weight (FB_WEIGHT_CONV2D, (int[]) { 4, 3, 3, 3 });
  g_autoptr(FbTensor) b   = read_tensor (SHAPE (4));
  g_autoptr(FbTensor) out = fb_tensor_new_4d (dev, FB_DTYPE_F64, 2, 3, 2, 4);

  fb_op_conv2d (dev, out, x, w, b, NULL, &(FbConv2dParams) { 2, 0, 0, 1, 1, 1 }, FB_ACT_NONE);
  check ("conv2d with stride", out);

  g_autoptr(FbTensor) small = read_tensor (SHAPE (2, 4, 3, 3));
  g_autoptr(FbWeight) w_up  = read_weight (FB_WEIGHT_CONV2D_UPSAMPLE, (int[]) { 5, 3, 3, 3 });
  g_autoptr(FbTensor) b_up  = read_tensor (SHAPE (2, 5));
  g_autoptr(FbTensor) large = read_tensor (SHAPE (2, 8, 6, 5));

  fb_op_conv2d (dev, large, small, w_up, b_up, large, &(FbConv2dParams) { 1, 1, 1, 1, 1, 2 }, FB_ACT_SILU);
  check ("conv2d with upsampling", large);
}

static void
test_linear (void)
{
  g_autoptr(FbTensor) x = read_tensor (SHAPE (2, 3, 7));
  g_autoptr(FbWeight) w = read_weight (FB_WEIGHT_LINEAR, (int[]) { 5, 7 });
  g_autoptr(FbTensor) b = read_tensor (SHAPE (5));
  g_autoptr(FbTensor) r = read_tensor (SHAPE (2, 3, 5));

  fb_op_linear (dev, r, x, w, b, r, FB_ACT_GELU);
  check ("linear", r);
}

static void
test_attention (void)
{
  g_autoptr(FbTensor) q   = read_tensor (SHAPE (2, 5, 8));
  g_autoptr(FbTensor) k   = read_tensor (SHAPE (2, 6, 8));
  g_autoptr(FbTensor) v   = read_tensor (SHAPE (2, 6, 8));
  g_autoptr(FbTensor) out = fb_tensor_new_3d (dev, FB_DTYPE_F64, 2, 5, 8);

  fb_op_attention (dev, out, q, k, v, 2, 0.5f, FALSE);
  check ("attention", out);

  g_autoptr(FbTensor) k5 = fb_tensor_new_3d (dev, FB_DTYPE_F64, 2, 5, 8);
  g_autoptr(FbTensor) v5 = fb_tensor_new_3d (dev, FB_DTYPE_F64, 2, 5, 8);

  for (int n = 0; n < 2; n++)                                    /* each image's first five tokens */
    {
      memcpy ((double *) k5->data + n * 40, (double *) k->data + n * 48, 40 * sizeof (double));
      memcpy ((double *) v5->data + n * 40, (double *) v->data + n * 48, 40 * sizeof (double));
    }
  fb_op_attention (dev, out, q, k5, v5, 2, 0.5f, TRUE);
  check ("causal attention", out);
}

static void
test_norms (void)
{
  g_autoptr(FbTensor) x = read_tensor (SHAPE (2, 4, 3, 6));
  g_autoptr(FbTensor) w = read_tensor (SHAPE (6));
  g_autoptr(FbTensor) b = read_tensor (SHAPE (6));

  fb_op_group_norm (dev, x, x, w, b, 3, 1e-5f, FB_ACT_SILU);
  check ("group norm", x);

  g_autoptr(FbTensor) rows = read_tensor (SHAPE (2, 3, 8));
  g_autoptr(FbTensor) w8   = read_tensor (SHAPE (8));
  g_autoptr(FbTensor) b8   = read_tensor (SHAPE (8));

  fb_op_layer_norm (dev, rows, rows, w8, b8, 1e-5f);
  check ("layer norm", rows);
}

/* (transfer full): not a number anywhere: what is overwritten shows none of it */
static FbTensor *
to_overwrite (const FbTensor *like)
{
  FbTensor *t = fb_tensor_new (dev, FB_DTYPE_F64, like->n_dims, like->shape);

  for (size_t i = 0; i < fb_tensor_n_elements (t); i++)
    ((double *) t->data)[i] = NAN;
  return t;
}

/* (transfer full): zeros */
static FbTensor *
to_add_to (int n_dims, const int *shape)
{
  FbTensor *t = fb_tensor_new (dev, FB_DTYPE_F64, n_dims, shape);

  memset (t->data, 0, t->n_bytes);
  return t;
}

static void
test_activations_backward (void)
{
  static const FbActivation acts[] = { FB_ACT_SILU, FB_ACT_GELU, FB_ACT_QUICK_GELU, FB_ACT_RELU, FB_ACT_TANH };
  g_autoptr(FbTensor)       x      = read_tensor (SHAPE (64));

  for (size_t i = 0; i < G_N_ELEMENTS (acts); i++)
    {
      g_autoptr(FbTensor) dy = read_tensor (SHAPE (64));

      fb_op_activation_backward (dev, dy, dy, x, acts[i]);
      check ("activation, backward", dy);
    }

  g_autoptr(FbTensor) pair  = read_tensor (SHAPE (2, 3, 10));
  g_autoptr(FbTensor) dy    = read_tensor (SHAPE (2, 3, 5));
  g_autoptr(FbTensor) dpair = to_overwrite (pair);

  fb_op_geglu_backward (dev, dpair, dy, pair);
  check ("geglu, backward", dpair);
}

static void
check_conv2d_backward (const int *x_shape, const int *w_shape, const int *dy_shape, const FbConv2dParams *params)
{
  g_autoptr(FbTensor) x  = read_tensor (4, x_shape);
  g_autoptr(FbWeight) w  = read_weight (FB_WEIGHT_CONV2D, w_shape);
  g_autoptr(FbTensor) dy = read_tensor (4, dy_shape);
  g_autoptr(FbTensor) dx = to_overwrite (x);
  g_autoptr(FbTensor) dw = to_add_to (4, w_shape);
  g_autoptr(FbTensor) db = params->upsample == 2 ? to_add_to (SHAPE (dy_shape[0], w_shape[0])) : to_add_to (SHAPE (w_shape[0]));

  fb_op_conv2d_backward_input (dev, dx, dy, w, params, NULL);
  fb_op_conv2d_backward_weight (dev, dw, dy, x, params);
  fb_op_bias_backward (dev, db, dy);
  check ("conv2d, backward to the input", dx);
  check ("conv2d, backward to the weight", dw);
  check ("conv2d, backward to the bias", db);
}

static void
test_products_backward (void)
{
  check_conv2d_backward ((int[]) { 2, 6, 5, 3 }, (int[]) { 4, 3, 3, 3 }, (int[]) { 2, 3, 2, 4 }, &(FbConv2dParams) { 2, 0, 0, 1, 1, 1 });
  check_conv2d_backward ((int[]) { 2, 4, 3, 3 }, (int[]) { 5, 3, 3, 3 }, (int[]) { 2, 8, 6, 5 }, &(FbConv2dParams) { 1, 1, 1, 1, 1, 2 });

  g_autoptr(FbTensor) x  = read_tensor (SHAPE (2, 3, 7));
  g_autoptr(FbWeight) w  = read_weight (FB_WEIGHT_LINEAR, (int[]) { 5, 7 });
  g_autoptr(FbTensor) dy = read_tensor (SHAPE (2, 3, 5));
  g_autoptr(FbTensor) dx = to_overwrite (x);
  g_autoptr(FbTensor) dw = to_add_to (SHAPE (5, 7));
  g_autoptr(FbTensor) db = to_add_to (SHAPE (5));

  fb_op_linear_backward_input (dev, dx, dy, w, NULL);
  fb_op_linear_backward_weight (dev, dw, dy, x);
  fb_op_bias_backward (dev, db, dy);
  check ("linear, backward to the input", dx);
  check ("linear, backward to the weight", dw);
  check ("linear, backward to the bias", db);
}

static void
check_attention_backward (int S, gboolean causal)
{
  g_autoptr(FbTensor) q    = read_tensor (SHAPE (2, 5, 8));
  g_autoptr(FbTensor) k    = read_tensor (SHAPE (2, S, 8));
  g_autoptr(FbTensor) v    = read_tensor (SHAPE (2, S, 8));
  g_autoptr(FbTensor) dout = read_tensor (SHAPE (2, 5, 8));
  g_autoptr(FbTensor) out  = to_overwrite (q);
  g_autoptr(FbTensor) dq   = to_overwrite (q);
  g_autoptr(FbTensor) dk   = to_overwrite (k);
  g_autoptr(FbTensor) dv   = to_overwrite (v);

  fb_op_attention (dev, out, q, k, v, 2, 0.5f, causal);
  fb_op_attention_backward (dev, dq, dk, dv, dout, q, k, v, out, 2, 0.5f, causal);
  check ("attention, backward to the queries", dq);
  check ("attention, backward to the keys", dk);
  check ("attention, backward to the values", dv);
}

static void
test_norms_backward (void)
{
  g_autoptr(FbTensor) x  = read_tensor (SHAPE (2, 4, 3, 6));
  g_autoptr(FbTensor) w  = read_tensor (SHAPE (6));
  g_autoptr(FbTensor) b  = read_tensor (SHAPE (6));
  g_autoptr(FbTensor) dy = read_tensor (SHAPE (2, 4, 3, 6));
  g_autoptr(FbTensor) dw = to_add_to (SHAPE (6));
  g_autoptr(FbTensor) db = to_add_to (SHAPE (6));

  fb_op_group_norm_backward (dev, dy, dw, db, dy, x, w, b, 3, 1e-5f, FB_ACT_SILU);
  check ("group norm, backward to the input", dy);
  check ("group norm, backward to the weight", dw);
  check ("group norm, backward to the bias", db);

  g_autoptr(FbTensor) rows  = read_tensor (SHAPE (2, 3, 8));
  g_autoptr(FbTensor) w8    = read_tensor (SHAPE (8));
  g_autoptr(FbTensor) b8    = read_tensor (SHAPE (8));
  g_autoptr(FbTensor) drows = read_tensor (SHAPE (2, 3, 8));
  g_autoptr(FbTensor) dw8   = to_add_to (SHAPE (8));
  g_autoptr(FbTensor) db8   = to_add_to (SHAPE (8));

  fb_op_layer_norm_backward (dev, drows, dw8, db8, drows, rows, w8, b8, 1e-5f);
  check ("layer norm, backward to the input", drows);
  check ("layer norm, backward to the weight", dw8);
  check ("layer norm, backward to the bias", db8);
}

/* what LPIPS is made of, forward and backward */
static void
test_perception (void)
{
  g_autoptr(FbTensor) x    = read_tensor (SHAPE (64));
  g_autoptr(FbTensor) out  = fb_tensor_new_1d (dev, FB_DTYPE_F64, 64);

  fb_op_activation (dev, out, x, FB_ACT_CLAMP);
  check ("clamp", out);

  g_autoptr(FbTensor) dy   = read_tensor (SHAPE (64));

  fb_op_activation_backward (dev, out, dy, x, FB_ACT_CLAMP);
  check ("clamp, backward", out);

  g_autoptr(FbTensor) p    = read_tensor (SHAPE (2, 5, 7, 3));
  g_autoptr(FbTensor) half = fb_tensor_new_4d (dev, FB_DTYPE_F64, 2, 2, 3, 3);

  fb_op_max_pool (dev, half, p);
  check ("max pool", half);

  g_autoptr(FbTensor) g    = read_tensor (SHAPE (2, 2, 3, 3));
  g_autoptr(FbTensor) dp   = to_overwrite (p);

  fb_op_max_pool_backward (dev, dp, g, p);
  check ("max pool, backward", dp);

  g_autoptr(FbTensor) a    = read_tensor (SHAPE (2, 5, 7, 3));
  g_autoptr(FbTensor) b    = read_tensor (SHAPE (2, 5, 7, 3));
  g_autoptr(FbTensor) w    = read_tensor (SHAPE (3));
  g_autoptr(FbTensor) d    = fb_tensor_new_1d (dev, FB_DTYPE_F64, 2);

  fb_op_feature_distance (dev, d, a, b, w, 1e-10f);
  check ("feature distance", d);

  g_autoptr(FbTensor) dd   = read_tensor (SHAPE (2));
  g_autoptr(FbTensor) da   = to_overwrite (a);

  fb_op_feature_distance_backward (dev, da, dd, a, b, w, 1e-10f);
  check ("feature distance, backward", da);
}

static void
test_all (void)
{
  g_autofree char *path  = g_test_build_filename (G_TEST_DIST, "golden", "kernels", "ops.f64", NULL);
  g_autofree char *bytes = NULL;
  gsize            size;

  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  next = (const double *) bytes;
  end  = next + size / sizeof (double);

  dev = fb_device_new ("reference", 1, NULL);
  test_activations ();
  test_conv2d ();
  test_linear ();
  test_attention ();
  test_norms ();
  test_activations_backward ();
  test_products_backward ();
  check_attention_backward (6, FALSE);
  check_attention_backward (5, TRUE);
  test_norms_backward ();
  test_perception ();
  g_assert_true (next == end);
  fb_device_unref (dev);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/reference/every-op-and-its-gradients-are-what-pytorch-makes-of-them", test_all);
  return g_test_run ();
}
