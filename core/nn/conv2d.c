/* core/nn/conv2d.c: convolutions with their LoRA branches, forward and backward. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/elementwise.h"

#include "core/nn/nn-private.h"
#include "core/nn/tape-private.h"

enum { X, BIAS, RESIDUAL };

/* What a node keeps of a layer: the branch by value, for it may be without gradients here */
typedef struct
{
  FbConv2d     layer;
  FbLoraBranch lora;
} Conv2d;

static const FbConv2dParams one_by_one = { .stride = 1, .upsample = 1 };

/* y = up (down (x)); @kept: x, down (x). Returns (transfer full) what reaches x by this way, added to @sum; NULL unless wanted */
static FbTensor *
lora_backward (FbTape *tape, const FbNode *node, FbTensor *dy, FbTensor *sum)
{
  const FbConv2dParams *params = &((const Conv2d *) node->settings)->layer.params;
  const FbLoraBranch   *m      = &((const Conv2d *) node->settings)->lora;
  FbDevice             *dev    = fb_tape_device (tape);
  const FbTensor       *x      = node->kept[0], *low = node->kept[1];
  g_autoptr(FbTensor)   dlow   = fb_tensor_new (dev, low->dtype, low->n_dims, low->shape);
  FbTensor             *dx     = NULL;

  fb_op_conv2d_backward_input (dev, dlow, dy, m->up, &one_by_one, NULL);
  if (m->dup != NULL)
    fb_op_conv2d_backward_weight (dev, m->dup, dy, low, &one_by_one);
  if (m->ddown != NULL)
    fb_op_conv2d_backward_weight (dev, m->ddown, dlow, x, params);
  if (node->inputs[X].id != 0)
    {
      dx = fb_tape_like (tape, &node->inputs[X]);
      fb_op_conv2d_backward_input (dev, dx, dlow, m->down, params, sum);
    }

  return dx;
}

static void
conv2d_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const FbConv2d      *m    = &((const Conv2d *) node->settings)->layer;
  FbDevice            *dev  = fb_tape_device (tape);
  const FbVariable    *x    = &node->inputs[X], *bias = &node->inputs[BIAS];
  g_autoptr(FbTensor)  d    = fb_tape_cast (tape, dy, x->dtype);
  g_autoptr(FbTensor)  sum  = fb_tape_take (tape, x);

  fb_tape_add (tape, &node->inputs[RESIDUAL], fb_tensor_ref (dy));
  if (m->dweight != NULL)
    fb_op_conv2d_backward_weight (dev, m->dweight, d, node->kept[0], &m->params);
  if (m->dbias != NULL)
    fb_op_bias_backward (dev, m->dbias, d);
  if (bias->id != 0)
    {
      FbTensor *db = fb_tape_zeros (tape, bias->dtype, bias->n_dims, bias->shape);

      fb_op_bias_backward (dev, db, d);
      fb_tape_add (tape, bias, db);
    }
  if (m->lora != NULL)
    {
      FbTensor *dx = lora_backward (tape, node, d, sum);

      if (dx != NULL)
        {
          g_clear_pointer (&sum, fb_tensor_unref);
          sum = dx;
        }
    }
  if (x->id != 0)
    {
      FbTensor *dx = fb_tape_like (tape, x);

      fb_op_conv2d_backward_input (dev, dx, d, m->weight, &m->params, sum);
      fb_tape_add (tape, x, dx);
    }
}

static void
record (FbContext *ctx, const FbConv2d *m, gboolean trains, FbTensor *out, FbTensor **inputs, int n_inputs, FbTensor *low)
{
  Conv2d  settings = { .layer = *m };
  FbNode *node;

  if (low != NULL)
    settings.lora = *m->lora;
  else
    settings.layer.lora = NULL;
  if (!trains)
    {
      settings.layer.dweight = settings.layer.dbias = NULL;
      settings.lora.ddown = settings.lora.dup = NULL;
    }

  node = fb_tape_record (ctx, conv2d_backward, out, inputs, n_inputs, &settings, sizeof settings);
  if (settings.layer.dweight != NULL || low != NULL)
    fb_node_keep (node, inputs[X]);
  fb_node_keep (node, low);
}

/* (transfer none): [N, Ho, Wo, Cout] of the convolution of @x by @weight */
static FbTensor *
new_output (FbContext *ctx, FbDtype dtype, const FbTensor *x, const FbWeight *weight, const FbConv2dParams *p)
{
  const int *w       = fb_weight_shape (weight);
  const int  shape[] = {
    x->shape[0],
    (x->shape[1] * p->upsample + p->pad_top + p->pad_bottom - w[2]) / p->stride + 1,
    (x->shape[2] * p->upsample + p->pad_left + p->pad_right - w[3]) / p->stride + 1,
    w[0],
  };

  return fb_nn_own (ctx, fb_tensor_new (ctx->dev, dtype, 4, shape));
}

/* @shift (nullable) stands for the layer's own bias */
static FbTensor *
conv2d (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbTensor *shift, FbTensor *residual, FbActivation act, FbDtype dtype)
{
  FbTensor           *inputs[] = { x, shift, residual };
  const FbLoraBranch *lora     = ctx->lora_enabled ? m->lora : NULL;
  const gboolean      trains   = fb_tape_trains (ctx) && (m->dweight != NULL || m->dbias != NULL ||
                                                          (lora != NULL && (lora->ddown != NULL || lora->dup != NULL)));
  const gboolean      records  = fb_tape_wants (ctx, trains, inputs, G_N_ELEMENTS (inputs));
  FbTensor           *out, *low = NULL;

  if (records && act != FB_ACT_NONE)              /* what went into the activation has to be kept */
    return fb_nn_activation (ctx, conv2d (ctx, m, x, shift, residual, FB_ACT_NONE, dtype), act);

  out = new_output (ctx, dtype, x, m->weight, &m->params);
  if (lora != NULL)
    {
      low = new_output (ctx, ctx->dtype, x, lora->down, &m->params);
      fb_op_conv2d (ctx->dev, low, x, lora->down, NULL, NULL, &m->params, FB_ACT_NONE);
      fb_op_conv2d (ctx->dev, out, low, lora->up, NULL, residual, &one_by_one, FB_ACT_NONE);
    }
  fb_op_conv2d (ctx->dev, out, x, m->weight, shift != NULL ? shift : m->bias, lora != NULL ? out : residual, &m->params, act);

  if (records)
    record (ctx, m, trains, out, inputs, G_N_ELEMENTS (inputs), low);
  if (low != NULL)
    fb_nn_drop (ctx, low);

  return out;
}

FbTensor *
fb_nn_conv2d (FbContext *ctx, const FbConv2d *m, FbTensor *x)
{
  return conv2d (ctx, m, x, NULL, NULL, FB_ACT_NONE, ctx->dtype);
}

FbTensor *
fb_nn_conv2d_act (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbActivation act)
{
  return conv2d (ctx, m, x, NULL, NULL, act, ctx->dtype);
}

FbTensor *
fb_nn_conv2d_add (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbTensor *residual, FbActivation act)
{
  return conv2d (ctx, m, x, NULL, residual, act, ctx->dtype);
}

FbTensor *
fb_nn_conv2d_shift (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbTensor *shift)
{
  FbTensor *bias = m->bias != NULL ? fb_nn_add (ctx, shift, m->bias) : shift;

  return conv2d (ctx, m, x, bias->shape[0] == 1 ? fb_nn_as_vector (ctx, bias) : bias, NULL, FB_ACT_NONE, ctx->dtype);
}

static void
upsample_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  FbTensor *dx = fb_tape_like (tape, &node->inputs[0]);

  fb_op_upsample_backward (fb_tape_device (tape), dx, dy);
  fb_tape_add (tape, &node->inputs[0], dx);
}

static FbTensor *
upsample (FbContext *ctx, FbTensor *x, int height, int width)
{
  const int shape[] = { x->shape[0], height, width, x->shape[3] };
  FbTensor *out     = fb_nn_own (ctx, fb_tensor_new (ctx->dev, x->dtype, 4, shape));

  fb_op_upsample (ctx->dev, out, x);
  if (fb_tape_wants (ctx, FALSE, &x, 1))
    fb_tape_record (ctx, upsample_backward, out, &x, 1, NULL, 0);

  return out;
}

FbTensor *
fb_nn_conv2d_enlarge (FbContext *ctx, const FbConv2d *m, FbTensor *x, int height, int width)
{
  FbConv2d  plain = *m;
  FbTensor *out;

  if (height == 2 * x->shape[1] && width == 2 * x->shape[2])
    return fb_nn_conv2d (ctx, m, x);

  fb_nn_scope_begin (ctx);
  plain.params.upsample = 1;
  out = fb_nn_conv2d (ctx, &plain, upsample (ctx, x, height, width));

  return fb_nn_scope_end (ctx, out);
}

FbTensor *
fb_nn_conv2d_f32 (FbContext *ctx, const FbConv2d *m, FbTensor *x)
{
  return conv2d (ctx, m, x, NULL, NULL, FB_ACT_NONE, fb_nn_wide (ctx));
}
