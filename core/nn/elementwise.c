/* core/nn/elementwise.c: activations, sums, joins and casts, forward and backward. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/elementwise.h"

#include "core/nn/nn-private.h"
#include "core/nn/tape-private.h"

enum { A, B };

/* @kept: x */
static void
activation_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const FbActivation *act = node->settings;
  FbTensor           *dx  = fb_tape_like (tape, &node->inputs[0]);

  fb_op_activation_backward (fb_tape_device (tape), dx, dy, node->kept[0], *act);
  fb_tape_add (tape, &node->inputs[0], dx);
}

FbTensor *
fb_nn_activation (FbContext *ctx, FbTensor *x, FbActivation act)
{
  FbTensor *out = fb_nn_like (ctx, x);

  fb_op_activation (ctx->dev, out, x, act);
  if (fb_tape_wants (ctx, FALSE, &x, 1))
    fb_node_keep (fb_tape_record (ctx, activation_backward, out, &x, 1, &act, sizeof act), x);

  return out;
}

/* @kept: x */
static void
geglu_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  FbTensor *dx = fb_tape_like (tape, &node->inputs[0]);

  fb_op_geglu_backward (fb_tape_device (tape), dx, dy, node->kept[0]);
  fb_tape_add (tape, &node->inputs[0], dx);
}

FbTensor *
fb_nn_geglu (FbContext *ctx, FbTensor *x)
{
  FbTensor *out = fb_nn_with_channels (ctx, x->dtype, x, x->shape[x->n_dims - 1] / 2);

  fb_op_geglu (ctx->dev, out, x);
  if (fb_tape_wants (ctx, FALSE, &x, 1))
    fb_node_keep (fb_tape_record (ctx, geglu_backward, out, &x, 1, NULL, 0), x);

  return out;
}

static size_t
n_elements (const FbVariable *v)
{
  size_t n = 1;

  for (int i = 0; i < v->n_dims; i++)
    n *= v->shape[i];

  return n;
}

/* (transfer full): @dy summed over the first dimensions of a, which b was repeated over */
static FbTensor *
sum_repeats (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const int            n      = (int) n_elements (&node->inputs[B]);
  const int            rows[] = { (int) (fb_tensor_n_elements (dy) / n), n };
  g_autoptr(FbTensor)  flat   = fb_tensor_view (dy, 2, rows, 0);
  g_autoptr(FbTensor)  db     = fb_tape_zeros (tape, dy->dtype == FB_DTYPE_F64 ? FB_DTYPE_F64 : FB_DTYPE_F32, 1, &n);

  fb_op_bias_backward (fb_tape_device (tape), db, flat);

  return fb_tape_cast (tape, db, dy->dtype);
}

static void
add_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const FbVariable *a = &node->inputs[A], *b = &node->inputs[B];

  fb_tape_add (tape, a, fb_tensor_ref (dy));
  if (b->id != 0)
    fb_tape_add (tape, b, n_elements (a) == n_elements (b) ? fb_tensor_ref (dy) : sum_repeats (tape, node, dy));
}

FbTensor *
fb_nn_add (FbContext *ctx, FbTensor *a, FbTensor *b)
{
  FbTensor *inputs[] = { a, b };
  FbTensor *out      = fb_nn_like (ctx, a);

  fb_op_add (ctx->dev, out, a, b);
  if (fb_tape_wants (ctx, FALSE, inputs, G_N_ELEMENTS (inputs)))
    fb_tape_record (ctx, add_backward, out, inputs, G_N_ELEMENTS (inputs), NULL, 0);

  return out;
}

static void
concat_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const FbVariable *a  = &node->inputs[A], *b = &node->inputs[B];
  FbTensor         *da = a->id != 0 ? fb_tape_like (tape, a) : NULL;
  FbTensor         *db = b->id != 0 ? fb_tape_like (tape, b) : NULL;

  fb_op_concat_backward (fb_tape_device (tape), da, db, dy);
  if (da != NULL)
    fb_tape_add (tape, a, da);
  if (db != NULL)
    fb_tape_add (tape, b, db);
}

FbTensor *
fb_nn_concat (FbContext *ctx, FbTensor *a, FbTensor *b)
{
  FbTensor *inputs[] = { a, b };
  FbTensor *out      = fb_nn_with_channels (ctx, a->dtype, a, a->shape[a->n_dims - 1] + b->shape[b->n_dims - 1]);

  fb_op_concat (ctx->dev, out, a, b);
  if (fb_tape_wants (ctx, FALSE, inputs, G_N_ELEMENTS (inputs)))
    fb_tape_record (ctx, concat_backward, out, inputs, G_N_ELEMENTS (inputs), NULL, 0);

  return out;
}

static void
cast_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  fb_tape_add (tape, &node->inputs[0], fb_tape_cast (tape, dy, node->inputs[0].dtype));
}

FbTensor *
fb_nn_cast (FbContext *ctx, FbTensor *x)
{
  FbTensor *out = fb_nn_own (ctx, fb_tensor_new (ctx->dev, ctx->dtype, x->n_dims, x->shape));

  fb_op_cast (ctx->dev, out, x);
  if (fb_tape_wants (ctx, FALSE, &x, 1))
    fb_tape_record (ctx, cast_backward, out, &x, 1, NULL, 0);

  return out;
}
