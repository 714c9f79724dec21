/* tests/core/test-tape.c: gradients by the tape against finite differences. SPDX-License-Identifier: LGPL-3.0-or-later
 * On the reference device in f64: for a random dy, the gradient of Σ dy · f is compared with central differences, element by element. */
#include <math.h>

#include "core/models/resnet.h"
#include "core/models/transformer.h"
#include "core/nn/tape.h"

#define STEP      1e-5
#define TOLERANCE 1e-7        /* of the largest element: STEP² for what is not quadratic, 1e-16 / STEP for rounding */
#define MOST      40          /* leaves of a case */

/* One thing that a gradient is taken of: a watched tensor, or a parameter with its slot */
typedef struct
{
  FbTensor  *tensor;
  FbWeight **weight;
  FbTensor **slot;            /* NULL: watched */
  double    *values;
  gsize      n;
} Leaf;

typedef struct Case Case;

typedef struct
{
  const Case *item;
  FbDevice   *dev;
  FbContext  *ctx;
  FbParams   *params;
  GRand      *rand;
  Leaf        leaves[MOST];
  int         n_leaves;
  FbTensor   *x[3];           /* the first leaves, as the case made them */
  FbConv2d    conv;
  FbLinear    linear;
  FbNorm      norm;
  FbResnet    resnets[2];
  FbTransformer transformer;
  FbLoraBranch  lora[4];
  int           n_loras;
} Test;

struct Case
{
  const char *name;
  void       (* init)    (Test *t);
  FbTensor * (* forward) (Test *t);
};

static Leaf *
leaf (Test *t, gsize n)
{
  Leaf *l = &t->leaves[t->n_leaves++];

  g_assert_cmpint (t->n_leaves, <=, MOST);
  *l = (Leaf) { .values = g_new (double, n), .n = n };
  for (gsize i = 0; i < n; i++)
    l->values[i] = g_rand_double_range (t->rand, -1.0, 1.0);

  return l;
}

/* watched */
static FbTensor *
input (Test *t, int n_dims, const int *shape)
{
  FbTensor *x = fb_tensor_new (t->dev, FB_DTYPE_F64, n_dims, shape);
  Leaf     *l = leaf (t, fb_tensor_n_elements (x));

  l->tensor = x;
  fb_tensor_upload (x, l->values, FB_DTYPE_F64);

  return x;
}

static FbTensor *
picture (Test *t, int n, int h, int w, int c)
{
  return input (t, 4, (int[]) { n, h, w, c });
}

static FbTensor *
tokens (Test *t, int n, int length, int c)
{
  return input (t, 3, (int[]) { n, length, c });
}

static void
zero (FbTensor *t)
{
  g_autofree double *zeros = g_new0 (double, fb_tensor_n_elements (t));

  fb_tensor_upload (t, zeros, FB_DTYPE_F64);
}

/* Fills all parameters described so far; those of the layers (not a block's) train. */
static void
fill_params (Test *t, gboolean train)
{
  for (guint i = 0; i < fb_params_n (t->params); i++)
    {
      const FbParam *param = fb_params_get (t->params, i);
      Leaf          *l;

      if (param->kind == FB_PARAM_VECTOR)
        {
          l = leaf (t, param->n_elements);
          *param->slot.tensor = fb_tensor_new (t->dev, FB_DTYPE_F64, param->n_dims, param->shape);
          fb_tensor_upload (*param->slot.tensor, l->values, FB_DTYPE_F64);
          l->tensor = fb_tensor_ref (*param->slot.tensor);
        }
      else
        {
          l = leaf (t, param->n_elements);
          fb_param_fill (param, t->dev, FB_DTYPE_F64, l->values, FB_DTYPE_F64);
          l->weight = param->slot.weight;
        }
      if (train)
        {
          *param->gradient = fb_tensor_new (t->dev, FB_DTYPE_F64, param->n_dims, param->shape);
          zero (*param->gradient);
          l->slot = param->gradient;
        }
      else
        {
          g_clear_pointer (&l->tensor, fb_tensor_unref);
          g_free (l->values);
          t->n_leaves--;
        }
    }
}

static FbWeight *
lora_weight (Test *t, int out_channels, int in_channels, FbWeight **slot, FbTensor **gradient)
{
  const int shape[] = { out_channels, in_channels };
  Leaf     *l       = leaf (t, (gsize) out_channels * in_channels);

  l->weight = slot;
  l->slot = gradient;
  *gradient = fb_tensor_new (t->dev, FB_DTYPE_F64, 2, shape);
  zero (*gradient);

  return fb_weight_new (t->dev, FB_WEIGHT_LINEAR, FB_DTYPE_F64, shape, l->values, FB_DTYPE_F64);
}

static void
add_lora (Test *t, FbLinear *m, int in_channels, int out_channels)
{
  FbLoraBranch *lora = &t->lora[t->n_loras++];

  lora->down = lora_weight (t, 2, in_channels, &lora->down, &lora->ddown);
  lora->up = lora_weight (t, out_channels, 2, &lora->up, &lora->dup);
  m->lora = lora;
}

static void
linear_init (Test *t)
{
  t->x[0] = tokens (t, 2, 3, 4);
  t->x[1] = tokens (t, 2, 3, 5);
  fb_params_linear (t->params, &t->linear, "linear", 4, 5, TRUE);
  fill_params (t, TRUE);
}

static void
linear_lora_init (Test *t)
{
  t->x[0] = tokens (t, 2, 3, 4);
  t->x[1] = tokens (t, 2, 3, 5);
  fb_params_linear (t->params, &t->linear, "linear", 4, 5, TRUE);
  fill_params (t, FALSE);
  add_lora (t, &t->linear, 4, 5);
}

static FbTensor *
linear_add (Test *t)
{
  return fb_nn_linear_add (t->ctx, &t->linear, t->x[0], t->x[1]);
}

static FbTensor *
linear_act (Test *t)
{
  return fb_nn_linear_act (t->ctx, &t->linear, t->x[0], FB_ACT_SILU);
}

static FbTensor *
linear_f32 (Test *t)
{
  return fb_nn_linear_f32 (t->ctx, &t->linear, t->x[0]);
}

static void
conv2d_init (Test *t)
{
  const FbConv2dParams settings = { .stride = 2, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 1 };

  t->x[0] = picture (t, 2, 5, 4, 3);
  t->x[1] = picture (t, 2, 3, 2, 2);
  fb_params_conv2d_full (t->params, &t->conv, "conv", 3, 2, 3, TRUE, &settings);
  fill_params (t, TRUE);
}

static FbTensor *
conv2d (Test *t)
{
  return fb_nn_conv2d (t->ctx, &t->conv, t->x[0]);
}

static FbTensor *
conv2d_act (Test *t)
{
  return fb_nn_conv2d_act (t->ctx, &t->conv, t->x[0], FB_ACT_GELU);
}

static FbTensor *
conv2d_add (Test *t)
{
  return fb_nn_conv2d_add (t->ctx, &t->conv, t->x[0], t->x[1], FB_ACT_TANH);
}

static FbTensor *
conv2d_f32 (Test *t)
{
  return fb_nn_conv2d_f32 (t->ctx, &t->conv, t->x[0]);
}

static void
shift_init (Test *t)
{
  conv2d_init (t);
  t->x[1] = input (t, 2, (int[]) { 2, 2 });
  t->x[2] = input (t, 2, (int[]) { 1, 2 });
}

static FbTensor *
shift_each (Test *t)
{
  return fb_nn_conv2d_shift (t->ctx, &t->conv, t->x[0], t->x[1]);
}

static FbTensor *
shift_shared (Test *t)
{
  return fb_nn_conv2d_shift (t->ctx, &t->conv, t->x[0], t->x[2]);
}

static void
enlarge_init (Test *t)
{
  const FbConv2dParams settings = { .stride = 1, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 2 };

  t->x[0] = picture (t, 1, 3, 2, 3);
  fb_params_conv2d_full (t->params, &t->conv, "conv", 3, 2, 3, TRUE, &settings);
  fb_params_set_odd_sizes (t->params, TRUE);
  fill_params (t, TRUE);
}

static FbTensor *
enlarge_even (Test *t)
{
  return fb_nn_conv2d_enlarge (t->ctx, &t->conv, t->x[0], 6, 4);
}

static FbTensor *
enlarge_odd (Test *t)
{
  return fb_nn_conv2d_enlarge (t->ctx, &t->conv, t->x[0], 5, 3);
}

static void
norm_init (Test *t)
{
  t->x[0] = picture (t, 2, 2, 3, 6);
  fb_params_group_norm (t->params, &t->norm, "norm", 6, 2, 1e-3f);
  fill_params (t, TRUE);
}

static FbTensor *
group_norm (Test *t)
{
  return fb_nn_group_norm (t->ctx, &t->norm, t->x[0], FB_ACT_SILU);
}

static FbTensor *
layer_norm (Test *t)
{
  return fb_nn_layer_norm (t->ctx, &t->norm, fb_nn_as_tokens (t->ctx, t->x[0]));
}

static void
attention_init (Test *t)
{
  t->x[0] = tokens (t, 2, 4, 6);
  t->x[1] = tokens (t, 2, 3, 6);
  t->x[2] = tokens (t, 2, 3, 6);
}

static FbTensor *
attention_cross (Test *t)
{
  return fb_nn_attention (t->ctx, t->x[0], t->x[1], t->x[2], 2, FALSE);
}

static FbTensor *
attention_self (Test *t)
{
  return fb_nn_attention (t->ctx, t->x[0], t->x[0], t->x[0], 2, TRUE);
}

static FbTensor *
geglu (Test *t)
{
  return fb_nn_geglu (t->ctx, t->x[0]);
}

static void
features_init (Test *t)
{
  t->x[0] = picture (t, 2, 5, 4, 3);
  t->x[1] = picture (t, 2, 5, 4, 3);
  fb_params_group_norm (t->params, &t->norm, "norm", 3, 1, 1e-3f);        /* whose weight stands for the channels' */
  fill_params (t, FALSE);
}

static FbTensor *
max_pool (Test *t)
{
  return fb_nn_max_pool (t->ctx, fb_nn_activation (t->ctx, t->x[0], FB_ACT_TANH));
}

/* on either side */
static FbTensor *
feature_distance (Test *t)
{
  FbTensor *a = fb_nn_activation (t->ctx, t->x[0], FB_ACT_SILU);

  return fb_nn_add (t->ctx, fb_nn_feature_distance (t->ctx, a, t->x[1], t->norm.weight, 1e-10f),
                    fb_nn_feature_distance (t->ctx, t->x[1], fb_nn_add (t->ctx, a, t->x[0]), t->norm.weight, 1e-10f));
}

/* a value used three times, once by way of its tokens */
static FbTensor *
used_often (Test *t)
{
  FbTensor *a = fb_nn_activation (t->ctx, t->x[0], FB_ACT_QUICK_GELU);
  FbTensor *b = fb_nn_as_picture (t->ctx, fb_nn_geglu (t->ctx, fb_nn_as_tokens (t->ctx, a)), 2, 3);

  return fb_nn_concat (t->ctx, fb_nn_add (t->ctx, a, a), fb_nn_concat (t->ctx, b, a));
}

static void
repeated_init (Test *t)
{
  t->x[0] = tokens (t, 2, 3, 4);
  t->x[1] = input (t, 2, (int[]) { 3, 4 });
  t->x[2] = input (t, 1, (int[]) { 4 });
}

static FbTensor *
add_repeated (Test *t)
{
  return fb_nn_activation (t->ctx, fb_nn_add (t->ctx, fb_nn_add (t->ctx, t->x[0], t->x[1]), t->x[2]), FB_ACT_TANH);
}

/* Two residual blocks with one time embedding, a transformer with LoRA in all its attentions, and a skip around it all: x, temb, context */
static void
network_init (Test *t)
{
  FbAttention *attention;

  t->x[0] = picture (t, 2, 3, 2, 4);
  t->x[1] = input (t, 2, (int[]) { 1, 3 });
  t->x[2] = tokens (t, 2, 3, 5);
  fb_params_enter (t->params, "a.");
  fb_resnet_init (&t->resnets[0], t->params, 4, 6, 3, 2, 1e-3f);
  fb_params_leave (t->params);
  fb_params_enter (t->params, "b.");
  fb_resnet_init (&t->resnets[1], t->params, 6, 6, 3, 2, 1e-3f);
  fb_params_leave (t->params);
  fb_transformer_init (&t->transformer, t->params, 6, 5, 1, 2, FALSE, 2);
  fill_params (t, FALSE);
  attention = &t->transformer.blocks[0].attn1;
  add_lora (t, &attention->q, 6, 6);
  add_lora (t, &attention->v, 6, 6);
  attention = &t->transformer.blocks[0].attn2;
  add_lora (t, &attention->k, 5, 6);
  add_lora (t, &attention->out, 6, 6);
}

static FbTensor *
network (Test *t)
{
  FbContext *ctx = t->ctx;
  FbTensor  *temb, *h;

  fb_nn_scope_begin (ctx);
  temb = fb_nn_activation (ctx, t->x[1], FB_ACT_SILU);
  h = fb_resnet_forward (ctx, &t->resnets[0], t->x[0], temb);
  h = fb_nn_then (ctx, h, fb_transformer_forward (ctx, &t->transformer, h, t->x[2]));
  h = fb_nn_then (ctx, h, fb_resnet_forward (ctx, &t->resnets[1], h, temb));

  return fb_nn_scope_end (ctx, fb_nn_concat (ctx, h, t->x[0]));
}

static double
loss (Test *t, const double *dy)
{
  FbTensor          *y   = t->item->forward (t);
  g_autofree double *out = g_new (double, fb_tensor_n_elements (y));
  double             sum = 0.0;

  fb_tensor_download (y, out, FB_DTYPE_F64);
  for (gsize i = 0; i < fb_tensor_n_elements (y); i++)
    sum += dy[i] * out[i];
  fb_nn_reset (t->ctx);

  return sum;
}

static void
put (Leaf *l)
{
  if (l->tensor != NULL)
    fb_tensor_upload (l->tensor, l->values, FB_DTYPE_F64);
  else
    fb_weight_update (*l->weight, l->values, FB_DTYPE_F64);
}

static void
check_leaf (Test *t, Leaf *l, const double *gradient, const double *dy)
{
  g_autofree double *differences = g_new (double, l->n);
  double             largest = 0.0, error = 0.0;

  for (gsize i = 0; i < l->n; i++)
    {
      const double value = l->values[i];
      double       above;

      l->values[i] = value + STEP;
      put (l);
      above = loss (t, dy);
      l->values[i] = value - STEP;
      put (l);
      differences[i] = (above - loss (t, dy)) / (2.0 * STEP);
      l->values[i] = value;
      put (l);
      largest = MAX (largest, fabs (differences[i]));
      error = MAX (error, fabs (differences[i] - gradient[i]));
    }

  g_test_message ("leaf %d: error %.3g of %.3g", (int) (l - t->leaves), error, largest);
  g_assert_cmpfloat (error, <=, TOLERANCE * MAX (largest, 1.0));
}

static Test *
test_new (const Case *item, const char *device, FbDtype dtype)
{
  g_autoptr(GError) error = NULL;
  Test             *t     = g_new0 (Test, 1);

  t->item = item;
  t->dev = fb_device_new (device, 1, &error);
  g_assert_no_error (error);
  t->ctx = fb_nn_context_new (t->dev, dtype);
  t->params = fb_params_new ();
  t->rand = g_rand_new_with_seed (7);
  fb_nn_set_lora_enabled (t->ctx, TRUE);

  return t;
}

static void
test_free (Test *t)
{
  g_autoptr(GError) error = NULL;

  fb_device_check (t->dev, &error);
  g_assert_no_error (error);

  fb_nn_context_free (t->ctx);
  fb_params_free (t->params);
  fb_transformer_clear (&t->transformer);
  for (int i = 0; i < t->n_loras; i++)
    {
      fb_weight_unref (t->lora[i].down);
      fb_weight_unref (t->lora[i].up);
      fb_tensor_unref (t->lora[i].ddown);
      fb_tensor_unref (t->lora[i].dup);
    }
  for (int i = 0; i < t->n_leaves; i++)
    {
      g_clear_pointer (&t->leaves[i].tensor, fb_tensor_unref);
      g_free (t->leaves[i].values);
    }
  g_rand_free (t->rand);
  g_assert_cmpuint (fb_device_bytes_in_use (t->dev), ==, 0);
  fb_device_unref (t->dev);
  g_free (t);
}

/* Records the forward pass, walks back from a random @dy (transfer full); the slots and the tape then hold the gradients. */
static FbTape *
differentiate (Test *t, gsize memory_budget, double **dy)
{
  FbTape              *tape = fb_tape_new (t->dev, memory_budget);
  g_autoptr(FbTensor)  d    = NULL;
  FbTensor            *y;

  for (int i = 0; i < t->n_leaves; i++)
    if (t->leaves[i].slot == NULL)
      fb_tape_watch (tape, t->leaves[i].tensor);
    else
      zero (*t->leaves[i].slot);
  fb_nn_set_tape (t->ctx, tape);
  y = t->item->forward (t);
  fb_nn_set_tape (t->ctx, NULL);

  g_rand_set_seed (t->rand, 13);
  *dy = g_new (double, fb_tensor_n_elements (y));
  for (gsize i = 0; i < fb_tensor_n_elements (y); i++)
    (*dy)[i] = g_rand_double_range (t->rand, -1.0, 1.0);
  d = fb_tensor_new (t->dev, y->dtype, y->n_dims, y->shape);
  fb_tensor_upload (d, *dy, FB_DTYPE_F64);
  fb_tape_backward (tape, y, d);
  fb_nn_reset (t->ctx);

  return tape;
}

/* (transfer full): zeros where the output does not depend on it */
static double *
gradient_of (const Leaf *l, FbTape *tape)
{
  FbTensor *gradient = l->slot != NULL ? *l->slot : fb_tape_gradient (tape, l->tensor);
  double   *values   = g_new0 (double, l->n);

  if (gradient != NULL)
    {
      g_assert_cmpuint (fb_tensor_n_elements (gradient), ==, l->n);
      fb_tensor_download (gradient, values, FB_DTYPE_F64);
    }

  return values;
}

static void
test_differences (gconstpointer data)
{
  Test              *t    = test_new (data, "reference", FB_DTYPE_F64);
  g_autofree double *dy   = NULL;
  FbTape            *tape = NULL;

  t->item->init (t);
  tape = differentiate (t, G_MAXSIZE, &dy);
  for (int i = 0; i < t->n_leaves; i++)
    {
      g_autofree double *gradient = gradient_of (&t->leaves[i], tape);

      check_leaf (t, &t->leaves[i], gradient, dy);
    }
  fb_tape_free (tape);
  test_free (t);
}

static const Case network_case = { "network", network_init, network };

/* The same bytes, whether blocks keep their values or run again */
static void
test_checkpointing (void)
{
  Test              *t = test_new (&network_case, "reference", FB_DTYPE_F64);
  g_autofree double *dy = NULL, *dy_again = NULL;
  double            *kept[MOST];
  FbTape            *tape;

  network_init (t);
  tape = differentiate (t, G_MAXSIZE, &dy);
  for (int i = 0; i < t->n_leaves; i++)
    kept[i] = gradient_of (&t->leaves[i], tape);
  fb_tape_free (tape);

  tape = differentiate (t, 0, &dy_again);
  for (int i = 0; i < t->n_leaves; i++)
    {
      g_autofree double *again = gradient_of (&t->leaves[i], tape);

      g_assert_cmpmem (kept[i], t->leaves[i].n * sizeof (double), again, t->leaves[i].n * sizeof (double));
      g_free (kept[i]);
    }
  fb_tape_free (tape);
  test_free (t);
}

/* bytes that live after the forward pass */
static gsize
bytes_kept (Test *t, gsize memory_budget)
{
  const gsize       before = fb_device_bytes_in_use (t->dev);
  g_autoptr(FbTape) tape   = fb_tape_new (t->dev, memory_budget);

  fb_tape_watch (tape, t->x[0]);
  fb_nn_set_tape (t->ctx, tape);
  t->item->forward (t);
  fb_nn_set_tape (t->ctx, NULL);

  return fb_device_bytes_in_use (t->dev) - before;
}

static void
test_budget (void)
{
  Test       *t = test_new (&network_case, "reference", FB_DTYPE_F64);
  gsize       all, none, some;

  network_init (t);
  all = bytes_kept (t, G_MAXSIZE);
  fb_nn_reset (t->ctx);
  none = bytes_kept (t, 0);
  fb_nn_reset (t->ctx);
  some = bytes_kept (t, none);
  fb_nn_reset (t->ctx);

  g_test_message ("%zu bytes kept; %zu with checkpoints; %zu with a budget of that", all, none, some);
  g_assert_cmpuint (none, <, all / 2);
  g_assert_cmpuint (some, >, none);
  g_assert_cmpuint (some, <, all);
  test_free (t);
}

/* No watched input, nothing that trains: nothing is kept, and the output is known not to lead anywhere. */
static void
test_nothing_wanted (void)
{
  Test             *t    = test_new (&network_case, "reference", FB_DTYPE_F64);
  g_autoptr(FbTape) tape = NULL;
  gsize             plain, recorded;
  FbTensor         *y;

  network_init (t);
  fb_nn_set_lora_enabled (t->ctx, FALSE);
  plain = fb_device_bytes_in_use (t->dev);
  network (t);
  plain = fb_device_bytes_in_use (t->dev) - plain;
  fb_nn_reset (t->ctx);

  recorded = fb_device_bytes_in_use (t->dev);
  tape = fb_tape_new (t->dev, G_MAXSIZE);
  fb_nn_set_tape (t->ctx, tape);
  y = network (t);
  fb_nn_set_tape (t->ctx, NULL);
  g_assert_false (fb_tape_reaches (tape, y));
  g_assert_cmpuint (fb_device_bytes_in_use (t->dev) - recorded, ==, plain);

  fb_nn_reset (t->ctx);
  g_clear_pointer (&tape, fb_tape_free);
  test_free (t);
}

/* A frozen tape leaves the slots alone and finds the same input gradient. */
static void
test_frozen (void)
{
  Test                *t = test_new (&network_case, "reference", FB_DTYPE_F64);
  g_autofree double   *dy = NULL, *want = NULL, *got = NULL;
  g_autoptr(FbTape)    trained = NULL, frozen = NULL;
  g_autoptr(FbTensor)  d = NULL;
  FbTensor            *y;

  network_init (t);
  trained = differentiate (t, G_MAXSIZE, &dy);
  want = gradient_of (&t->leaves[0], trained);
  for (int i = 0; i < t->n_leaves; i++)
    if (t->leaves[i].slot != NULL)
      zero (*t->leaves[i].slot);

  frozen = fb_tape_new (t->dev, 0);
  fb_tape_freeze (frozen);
  fb_tape_watch (frozen, t->x[0]);
  fb_nn_set_tape (t->ctx, frozen);
  y = network (t);
  fb_nn_set_tape (t->ctx, NULL);
  d = fb_tensor_new (t->dev, y->dtype, y->n_dims, y->shape);
  fb_tensor_upload (d, dy, FB_DTYPE_F64);
  fb_tape_backward (frozen, y, d);
  fb_nn_reset (t->ctx);

  got = gradient_of (&t->leaves[0], frozen);
  g_assert_cmpmem (want, t->leaves[0].n * sizeof (double), got, t->leaves[0].n * sizeof (double));
  for (int i = 0; i < t->n_leaves; i++)
    if (t->leaves[i].slot != NULL)
      {
        g_autofree double *slot = gradient_of (&t->leaves[i], frozen);

        for (gsize k = 0; k < t->leaves[i].n; k++)
          g_assert_cmpfloat (slot[k], ==, 0.0);
      }
  g_clear_pointer (&trained, fb_tape_free);
  g_clear_pointer (&frozen, fb_tape_free);
  g_clear_pointer (&d, fb_tensor_unref);
  test_free (t);
}

/* An f32 head on a network in another type: the gradient comes back in the network's type. */
static void
test_cast (void)
{
  Test                *t      = test_new (&network_case, "reference", FB_DTYPE_F64);
  FbContext           *narrow = fb_nn_context_new (t->dev, FB_DTYPE_F32);
  g_autoptr(FbTape)    tape   = fb_tape_new (t->dev, G_MAXSIZE);
  g_autoptr(FbTensor)  dy     = NULL;
  FbTensor            *x      = picture (t, 1, 1, 1, 2), *y, *dx;
  double               values[2];

  fb_tape_watch (tape, x);
  fb_tensor_upload (x, (double[]) { 1.0, -1.0 }, FB_DTYPE_F64);
  fb_nn_set_tape (narrow, tape);
  y = fb_nn_activation (narrow, fb_nn_cast (narrow, x), FB_ACT_RELU);
  g_assert_cmpint (y->dtype, ==, FB_DTYPE_F32);

  dy = fb_tensor_new (t->dev, FB_DTYPE_F32, y->n_dims, y->shape);
  fb_tensor_upload (dy, (double[]) { 3.0, 3.0 }, FB_DTYPE_F64);
  fb_tape_backward (tape, y, dy);
  dx = fb_tape_gradient (tape, x);
  g_assert_cmpint (dx->dtype, ==, FB_DTYPE_F64);
  fb_tensor_download (dx, values, FB_DTYPE_F64);
  g_assert_cmpfloat (values[0], ==, 3.0);
  g_assert_cmpfloat (values[1], ==, 0.0);

  fb_nn_context_free (narrow);
  g_clear_pointer (&tape, fb_tape_free);
  g_clear_pointer (&dy, fb_tensor_unref);
  test_free (t);
}

/* Cancelled on the way: no crash, the device says so, and everything is given back. */
static void
test_cancelled (void)
{
  Test              *t    = test_new (&network_case, "reference", FB_DTYPE_F64);
  g_autoptr(GError)  error = NULL;
  gint               flag  = 0;
  FbTape            *tape;
  FbTensor          *y;

  network_init (t);
  for (int when = 0; when < 3; when++)
    {
      g_autoptr(FbTensor) dy = NULL;

      fb_device_set_cancel_flag (t->dev, &flag);
      flag = when == 0;
      tape = fb_tape_new (t->dev, 0);
      fb_tape_watch (tape, t->x[0]);
      fb_nn_set_tape (t->ctx, tape);
      y = network (t);
      fb_nn_set_tape (t->ctx, NULL);
      flag = when == 1;
      dy = fb_tensor_new (t->dev, y->dtype, y->n_dims, y->shape);
      if (when == 2)
        zero (dy);
      fb_tape_backward (tape, y, dy);
      fb_tape_free (tape);
      fb_nn_reset (t->ctx);
      if (when < 2)
        {
          g_assert_false (fb_device_check (t->dev, &error));
          g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_CANCELLED);
          g_clear_error (&error);
        }
      fb_device_set_cancel_flag (t->dev, NULL);
    }
  test_free (t);
}

static const Case cases[] =
{
  { "linear-with-residual",       linear_init,      linear_add      },
  { "linear-with-activation",     linear_init,      linear_act      },
  { "linear-to-f32",              linear_init,      linear_f32      },
  { "lora-with-residual",         linear_lora_init, linear_add      },
  { "lora-with-activation",       linear_lora_init, linear_act      },
  { "convolution",                conv2d_init,      conv2d          },
  { "convolution-activation",     conv2d_init,      conv2d_act      },
  { "convolution-with-residual",  conv2d_init,      conv2d_add      },
  { "convolution-to-f32",         conv2d_init,      conv2d_f32      },
  { "convolution-shifted-each",   shift_init,       shift_each      },
  { "convolution-shifted-shared", shift_init,       shift_shared    },
  { "convolution-enlarging",      enlarge_init,     enlarge_even    },
  { "convolution-enlarging-odd",  enlarge_init,     enlarge_odd     },
  { "group-norm",                 norm_init,        group_norm      },
  { "layer-norm-of-tokens",       norm_init,        layer_norm      },
  { "attention",                  attention_init,   attention_cross },
  { "attention-to-itself",        attention_init,   attention_self  },
  { "geglu",                      attention_init,   geglu           },
  { "max-pool",                   features_init,    max_pool        },
  { "feature-distance",           features_init,    feature_distance },
  { "value-used-often",           norm_init,        used_often      },
  { "sum-of-repeated",            repeated_init,    add_repeated    },
  { "network",                    network_init,     network         },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/core/nn/tape/matches-differences/%s", cases[i].name);

      g_test_add_data_func (path, &cases[i], test_differences);
    }
  g_test_add_func ("/core/nn/tape/checkpoints-change-no-bit", test_checkpointing);
  g_test_add_func ("/core/nn/tape/budget-decides-what-is-kept", test_budget);
  g_test_add_func ("/core/nn/tape/keeps-nothing-that-is-not-wanted", test_nothing_wanted);
  g_test_add_func ("/core/nn/tape/frozen-trains-nothing", test_frozen);
  g_test_add_func ("/core/nn/tape/spans-contexts-of-two-types", test_cast);
  g_test_add_func ("/core/nn/tape/stops-when-cancelled", test_cancelled);

  return g_test_run ();
}
