/* tests/kernels/test-gradients.c: every backward op of the reference device against finite differences of its forward op, in f64.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * For a random dy, the gradient of Σ dy · f (inputs) is compared with central differences, input by input, element by element. */

#include <math.h>

#include "kernels/device-private.h"

#define STEP      1e-5
#define TOLERANCE 1e-8          /* of the largest element: STEP² for what is not quadratic, 1e-16 / STEP for rounding */
#define BEFORE    0.5           /* what stands in a gradient that is added to */
#define MOST      4             /* inputs of an op */

typedef struct Op Op;

/* @x: inputs; weights are tensors here, packed at each call. Gradients lie in the same order; NULL where an op has none for that input */
struct Op
{
  const char *name;
  int         n_inputs;
  struct { int n_dims, shape[4]; gboolean added; } inputs[MOST];
  FbTensor *  (* forward)  (const Op *op, FbTensor **x);
  void        (* backward) (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x);
  FbConv2dParams conv;
  FbActivation   act;
  gboolean       flag;          /* causal, or cut by a row and column */
};

static FbDevice *dev;

static void
fill (FbTensor *t, guint32 seed)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (seed);

  for (size_t i = 0; i < fb_tensor_n_elements (t); i++)
    ((double *) t->data)[i] = g_rand_double_range (rand, -1.5, 1.5);
}

static FbTensor *
new_like (const FbTensor *t, double value)
{
  FbTensor *copy = fb_tensor_new (dev, FB_DTYPE_F64, t->n_dims, t->shape);

  for (size_t i = 0; i < fb_tensor_n_elements (t); i++)
    ((double *) copy->data)[i] = value;
  return copy;
}

static FbTensor *
new_output (int a, int b, int c, int d)
{
  return fb_tensor_new_4d (dev, FB_DTYPE_F64, a, b, c, d);
}

static FbWeight *
pack (const FbTensor *w)
{
  return fb_weight_new (dev, w->n_dims == 2 ? FB_WEIGHT_LINEAR : FB_WEIGHT_CONV2D, FB_DTYPE_F64, w->shape, w->data, FB_DTYPE_F64);
}

static FbTensor *
activation (const Op *op, FbTensor **x)
{
  FbTensor *out = new_like (x[0], NAN);

  fb_op_activation (dev, out, x[0], op->act);
  return out;
}

static void
activation_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  fb_op_activation_backward (dev, dx[0], dy, x[0], op->act);
}

static FbTensor *
geglu (const Op *op, FbTensor **x)
{
  FbTensor *out = fb_tensor_new_3d (dev, FB_DTYPE_F64, x[0]->shape[0], x[0]->shape[1], x[0]->shape[2] / 2);

  fb_op_geglu (dev, out, x[0]);
  return out;
}

static void
geglu_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  fb_op_geglu_backward (dev, dx[0], dy, x[0]);
}

/* input, weight, bias, residual */
static FbTensor *
linear (const Op *op, FbTensor **x)
{
  FbTensor           *out = new_like (x[3], NAN);
  g_autoptr(FbWeight) w   = pack (x[1]);

  fb_op_linear (dev, out, x[0], w, x[2], x[3], FB_ACT_NONE);
  return out;
}

static void
linear_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  g_autoptr(FbWeight) w = pack (x[1]);

  fb_op_linear_backward_input (dev, dx[0], dy, w, NULL);
  fb_op_linear_backward_weight (dev, dx[1], dy, x[0]);
  fb_op_bias_backward (dev, dx[2], dy);
  fb_op_cast (dev, dx[3], dy);
}

/* input, weight, bias */
static FbTensor *
conv2d (const Op *op, FbTensor **x)
{
  const FbConv2dParams *p   = &op->conv;
  FbTensor             *out = new_output (x[0]->shape[0],
                                          (x[0]->shape[1] * p->upsample + p->pad_top + p->pad_bottom - x[1]->shape[2]) / p->stride + 1,
                                          (x[0]->shape[2] * p->upsample + p->pad_left + p->pad_right - x[1]->shape[3]) / p->stride + 1,
                                          x[1]->shape[0]);
  g_autoptr(FbWeight)   w   = pack (x[1]);

  fb_op_conv2d (dev, out, x[0], w, x[2], NULL, p, FB_ACT_NONE);
  return out;
}

static void
conv2d_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  g_autoptr(FbWeight) w    = pack (x[1]);
  g_autoptr(FbTensor) half = new_like (x[0], 0.25);              /* added to what is given, in place too */

  fb_op_conv2d_backward_input (dev, half, dy, w, &op->conv, half);
  fb_op_conv2d_backward_input (dev, dx[0], dy, w, &op->conv, NULL);
  for (size_t i = 0; i < fb_tensor_n_elements (half); i++)
    g_assert_cmpfloat_with_epsilon (((double *) half->data)[i], ((double *) dx[0]->data)[i] + 0.25, 1e-12);
  fb_op_conv2d_backward_weight (dev, dx[1], dy, x[0], &op->conv);
  fb_op_bias_backward (dev, dx[2], dy);
}

/* queries, keys, values; heads of 3 */
static FbTensor *
attention (const Op *op, FbTensor **x)
{
  FbTensor *out = new_like (x[0], NAN);

  fb_op_attention (dev, out, x[0], x[1], x[2], x[0]->shape[2] / 3, 0.6f, op->flag);
  return out;
}

static void
attention_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  g_autoptr(FbTensor) out   = attention (op, x);
  g_autoptr(FbTensor) alone = new_like (x[0], NAN);              /* the same without gradients of keys and values */

  fb_op_attention_backward (dev, dx[0], dx[1], dx[2], dy, x[0], x[1], x[2], out, x[0]->shape[2] / 3, 0.6f, op->flag);
  fb_op_attention_backward (dev, alone, NULL, NULL, dy, x[0], x[1], x[2], out, x[0]->shape[2] / 3, 0.6f, op->flag);
  g_assert_cmpmem (alone->data, alone->n_bytes, dx[0]->data, dx[0]->n_bytes);
}

/* input, weight, bias; groups of 2 channels */
static FbTensor *
group_norm (const Op *op, FbTensor **x)
{
  FbTensor *out = new_like (x[0], NAN);

  fb_op_group_norm (dev, out, x[0], x[1], x[2], x[0]->shape[x[0]->n_dims - 1] / 2, 1e-5f, op->act);
  return out;
}

static void
group_norm_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  fb_op_group_norm_backward (dev, dx[0], dx[1], dx[2], dy, x[0], x[1], x[2], x[0]->shape[x[0]->n_dims - 1] / 2, 1e-5f, op->act);
}

static FbTensor *
layer_norm (const Op *op, FbTensor **x)
{
  FbTensor *out = new_like (x[0], NAN);

  fb_op_layer_norm (dev, out, x[0], x[1], x[2], 1e-5f);
  return out;
}

static void
layer_norm_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  fb_op_layer_norm_backward (dev, dx[0], dx[1], dx[2], dy, x[0], x[1], x[2], 1e-5f);
}

static FbTensor *
concat (const Op *op, FbTensor **x)
{
  FbTensor *out = fb_tensor_new_3d (dev, FB_DTYPE_F64, x[0]->shape[0], x[0]->shape[1], x[0]->shape[2] + x[1]->shape[2]);

  fb_op_concat (dev, out, x[0], x[1]);
  return out;
}

static void
concat_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  if (op->flag)
    {
      fb_op_concat_backward (dev, dx[0], NULL, dy);
      fb_op_concat_backward (dev, NULL, dx[1], dy);
    }
  else
    fb_op_concat_backward (dev, dx[0], dx[1], dy);
}

static FbTensor *
upsample (const Op *op, FbTensor **x)
{
  FbTensor *out = new_output (x[0]->shape[0], 2 * x[0]->shape[1] - op->flag, 2 * x[0]->shape[2] - op->flag, x[0]->shape[3]);

  fb_op_upsample (dev, out, x[0]);
  return out;
}

static void
upsample_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  fb_op_upsample_backward (dev, dx[0], dy);
}

static FbTensor *
max_pool (const Op *op, FbTensor **x)
{
  FbTensor *out = new_output (x[0]->shape[0], x[0]->shape[1] / 2, x[0]->shape[2] / 2, x[0]->shape[3]);

  fb_op_max_pool (dev, out, x[0]);
  return out;
}

static void
max_pool_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  fb_op_max_pool_backward (dev, dx[0], dy, x[0]);
}

/* features of two pictures; the weight is given */
static FbTensor *
feature_weight (const FbTensor *x)
{
  FbTensor *weight = fb_tensor_new_1d (dev, FB_DTYPE_F64, x->shape[3]);

  fill (weight, 77);
  return weight;
}

static FbTensor *
feature_distance (const Op *op, FbTensor **x)
{
  FbTensor           *out    = fb_tensor_new_1d (dev, FB_DTYPE_F64, x[0]->shape[0]);
  g_autoptr(FbTensor) weight = feature_weight (x[0]);

  fb_op_feature_distance (dev, out, x[0], x[1], weight, 1e-10f);
  return out;
}

static void
feature_distance_backward (const Op *op, FbTensor **dx, FbTensor *dy, FbTensor **x)
{
  g_autoptr(FbTensor) weight = feature_weight (x[0]);

  fb_op_feature_distance_backward (dev, dx[0], dy, x[0], x[1], weight, 1e-10f);
  fb_op_feature_distance_backward (dev, dx[1], dy, x[1], x[0], weight, 1e-10f);
}

#define VECTOR    { { 1, { 40 } } }
#define LINEAR    { { 3, { 2, 3, 5 } }, { 2, { 4, 5 }, TRUE }, { 1, { 4 }, TRUE }, { 3, { 2, 3, 4 } } }
#define CONV(H, W, kH, kW) { { 4, { 2, H, W, 3 } }, { 4, { 4, 3, kH, kW }, TRUE }, { 1, { 4 }, TRUE } }
#define HEADS(S)  { { 3, { 2, 4, 6 } }, { 3, { 2, S, 6 } }, { 3, { 2, S, 6 } } }
#define NORM      { { 4, { 2, 3, 4, 6 } }, { 1, { 6 }, TRUE }, { 1, { 6 }, TRUE } }

static const Op ops[] =
{
  { "silu",                 1, VECTOR, activation, activation_backward, .act = FB_ACT_SILU },
  { "gelu",                 1, VECTOR, activation, activation_backward, .act = FB_ACT_GELU },
  { "quick-gelu",           1, VECTOR, activation, activation_backward, .act = FB_ACT_QUICK_GELU },
  { "relu",                 1, VECTOR, activation, activation_backward, .act = FB_ACT_RELU },
  { "tanh",                 1, VECTOR, activation, activation_backward, .act = FB_ACT_TANH },
  { "clamp",                1, VECTOR, activation, activation_backward, .act = FB_ACT_CLAMP },
  { "geglu",                1, { { 3, { 2, 3, 10 } } }, geglu, geglu_backward },
  { "linear",               4, LINEAR, linear, linear_backward },
  { "conv2d",               3, CONV (4, 5, 3, 3), conv2d, conv2d_backward, { 1, 1, 1, 1, 1, 1 } },
  { "conv2d-one-by-one",    3, CONV (4, 3, 1, 1), conv2d, conv2d_backward, { 1, 0, 0, 0, 0, 1 } },
  { "conv2d-strided",       3, CONV (5, 4, 3, 3), conv2d, conv2d_backward, { 2, 1, 1, 1, 1, 1 } },
  { "conv2d-one-sided",     3, CONV (4, 5, 3, 3), conv2d, conv2d_backward, { 2, 0, 0, 1, 1, 1 } },
  { "conv2d-enlarged",      3, CONV (2, 3, 3, 3), conv2d, conv2d_backward, { 1, 1, 1, 1, 1, 2 } },
  { "conv2d-odd",           3, CONV (5, 6, 3, 5), conv2d, conv2d_backward, { 1, 1, 2, 0, 1, 1 } },
  { "conv2d-bias-per-image", 3, { { 4, { 2, 3, 2, 3 } }, { 4, { 4, 3, 3, 3 }, TRUE }, { 2, { 2, 4 }, TRUE } },
    conv2d, conv2d_backward, { 1, 1, 1, 1, 1, 1 } },
  { "attention",            3, HEADS (5), attention, attention_backward },
  { "causal-attention",     3, HEADS (4), attention, attention_backward, .flag = TRUE },
  { "group-norm",           3, NORM, group_norm, group_norm_backward },
  { "group-norm-silu",      3, NORM, group_norm, group_norm_backward, .act = FB_ACT_SILU },
  { "layer-norm",           3, NORM, layer_norm, layer_norm_backward },
  { "concat",               2, { { 3, { 2, 3, 4 } }, { 3, { 2, 3, 5 } } }, concat, concat_backward },
  { "concat-one-by-one",    2, { { 3, { 2, 3, 4 } }, { 3, { 2, 3, 5 } } }, concat, concat_backward, .flag = TRUE },
  { "upsample",             1, { { 4, { 2, 3, 2, 5 } } }, upsample, upsample_backward },
  { "upsample-odd",         1, { { 4, { 2, 3, 2, 5 } } }, upsample, upsample_backward, .flag = TRUE },
  { "max-pool",             1, { { 4, { 2, 4, 2, 5 } } }, max_pool, max_pool_backward },
  { "max-pool-odd",         1, { { 4, { 2, 3, 5, 5 } } }, max_pool, max_pool_backward },
  { "feature-distance",     2, { { 4, { 2, 3, 2, 5 } }, { 4, { 2, 3, 2, 5 } } }, feature_distance, feature_distance_backward },
};

/* Σ dy · f (x) */
static double
loss (const Op *op, FbTensor **x, const FbTensor *dy)
{
  g_autoptr(FbTensor) out   = op->forward (op, x);
  double              total = 0.0;

  for (size_t i = 0; i < fb_tensor_n_elements (out); i++)
    total += ((double *) out->data)[i] * ((double *) dy->data)[i];
  return total;
}

static void
check_input (const Op *op, FbTensor **x, int input, const FbTensor *dy, const FbTensor *got)
{
  double             *values  = x[input]->data;
  const double       *g       = got->data;
  double              before  = op->inputs[input].added ? BEFORE : 0.0;
  double              largest = 0.0, worst = 0.0;

  for (size_t i = 0; i < fb_tensor_n_elements (got); i++)
    {
      double value = values[i], right, left, expected;

      values[i] = value + STEP;
      right     = loss (op, x, dy);
      values[i] = value - STEP;
      left      = loss (op, x, dy);
      values[i] = value;
      expected  = before + (right - left) / (2 * STEP);
      g_assert_true (isfinite (g[i]));
      largest   = fmax (largest, fabs (expected));
      worst     = fmax (worst, fabs (g[i] - expected));
    }
  g_test_message ("input %d: largest %g, worst difference %g of it", input, largest, worst / largest);
  g_assert_cmpfloat (largest, >, 0);
  g_assert_cmpfloat (worst, <=, TOLERANCE * largest);
}

static void
test_gradients (gconstpointer data)
{
  const Op *op = data;
  FbTensor *x[MOST], *dx[MOST], *dy;

  dev = fb_device_new ("reference", 1, NULL);
  for (int i = 0; i < op->n_inputs; i++)
    {
      x[i]  = fb_tensor_new (dev, FB_DTYPE_F64, op->inputs[i].n_dims, op->inputs[i].shape);
      dx[i] = new_like (x[i], op->inputs[i].added ? BEFORE : NAN);
      fill (x[i], i + 1);
    }
  dy = op->forward (op, x);
  fill (dy, 99);

  op->backward (op, dx, dy, x);
  g_assert_true (fb_device_check (dev, NULL));
  for (int i = 0; i < op->n_inputs; i++)
    check_input (op, x, i, dy, dx[i]);

  fb_tensor_unref (dy);
  for (int i = 0; i < op->n_inputs; i++)
    {
      fb_tensor_unref (x[i]);
      fb_tensor_unref (dx[i]);
    }
  fb_device_unref (dev);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      g_autofree char *path = g_strdup_printf ("/kernels/gradients/%s-is-what-finite-differences-say", ops[i].name);

      g_test_add_data_func (path, &ops[i], test_gradients);
    }
  return g_test_run ();
}
