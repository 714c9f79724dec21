/* core/nn/linear.c: linear layers with their LoRA branches, forward and backward. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/nn/nn-private.h"
#include "core/nn/tape-private.h"

enum { X, RESIDUAL };

/* y = up (down (x)), arXiv:2106.09685; @kept: x, down (x). Returns (transfer full) what reaches x by this way, added to @sum; NULL unless wanted */
static FbTensor *
lora_backward (FbTape *tape, const FbNode *node, const FbLoraBranch *m, FbTensor *dy, FbTensor *sum)
{
  FbDevice            *dev  = fb_tape_device (tape);
  const FbTensor      *x    = node->kept[0], *low = node->kept[1];
  g_autoptr(FbTensor)  dlow = fb_tensor_new (dev, low->dtype, low->n_dims, low->shape);
  FbTensor            *dx   = NULL;

  fb_op_linear_backward_input (dev, dlow, dy, m->up, NULL);
  if (m->dup != NULL)
    fb_op_linear_backward_weight (dev, m->dup, dy, low);
  if (m->ddown != NULL)
    fb_op_linear_backward_weight (dev, m->ddown, dlow, x);
  if (node->inputs[X].id != 0)
    {
      dx = fb_tape_like (tape, &node->inputs[X]);
      fb_op_linear_backward_input (dev, dx, dlow, m->down, sum);
    }

  return dx;
}

/* What a node keeps of a layer: the branch by value, for it may be without gradients here */
typedef struct
{
  FbLinear     layer;
  FbLoraBranch lora;
} Linear;

static void
linear_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const Linear        *m   = node->settings;
  FbDevice            *dev = fb_tape_device (tape);
  const FbVariable    *x   = &node->inputs[X];
  g_autoptr(FbTensor)  d   = fb_tape_cast (tape, dy, x->dtype);
  g_autoptr(FbTensor)  sum = fb_tape_take (tape, x);

  fb_tape_add (tape, &node->inputs[RESIDUAL], fb_tensor_ref (dy));
  if (m->layer.dweight != NULL)
    fb_op_linear_backward_weight (dev, m->layer.dweight, d, node->kept[0]);
  if (m->layer.dbias != NULL)
    fb_op_bias_backward (dev, m->layer.dbias, d);
  if (m->layer.lora != NULL)
    {
      FbTensor *dx = lora_backward (tape, node, &m->lora, d, sum);

      if (dx != NULL)
        {
          g_clear_pointer (&sum, fb_tensor_unref);
          sum = dx;
        }
    }
  if (x->id != 0)
    {
      FbTensor *dx = fb_tape_like (tape, x);

      fb_op_linear_backward_input (dev, dx, d, m->layer.weight, sum);
      fb_tape_add (tape, x, dx);
    }
}

static void
record (FbContext *ctx, const FbLinear *m, gboolean trains, FbTensor *out, FbTensor *x, FbTensor *residual, FbTensor *low)
{
  FbTensor *inputs[] = { x, residual };
  Linear    settings = { .layer = *m };
  FbNode   *node;

  if (low != NULL)
    settings.lora = *m->lora;
  else
    settings.layer.lora = NULL;
  if (!trains)
    {
      settings.layer.dweight = settings.layer.dbias = NULL;
      settings.lora.ddown = settings.lora.dup = NULL;
    }

  node = fb_tape_record (ctx, linear_backward, out, inputs, G_N_ELEMENTS (inputs), &settings, sizeof settings);
  if (settings.layer.dweight != NULL || low != NULL)
    fb_node_keep (node, x);
  fb_node_keep (node, low);
}

static FbTensor *
linear (FbContext *ctx, const FbLinear *m, FbTensor *x, FbTensor *residual, FbActivation act, FbDtype dtype)
{
  FbTensor           *inputs[] = { x, residual };
  const FbLoraBranch *lora     = ctx->lora_enabled ? m->lora : NULL;
  const gboolean      trains   = fb_tape_trains (ctx) && (m->dweight != NULL || m->dbias != NULL ||
                                                          (lora != NULL && (lora->ddown != NULL || lora->dup != NULL)));
  const gboolean      records  = fb_tape_wants (ctx, trains, inputs, G_N_ELEMENTS (inputs));
  FbTensor           *out, *low = NULL;

  if (act != FB_ACT_NONE && (records || lora != NULL))          /* the branch belongs inside, and what goes in has to be kept */
    return fb_nn_activation (ctx, linear (ctx, m, x, residual, FB_ACT_NONE, dtype), act);

  out = fb_nn_with_channels (ctx, dtype, x, fb_weight_shape (m->weight)[0]);
  if (lora != NULL)
    {
      low = fb_nn_with_channels (ctx, ctx->dtype, x, fb_weight_shape (lora->down)[0]);
      fb_op_linear (ctx->dev, low, x, lora->down, NULL, NULL, FB_ACT_NONE);
      fb_op_linear (ctx->dev, out, low, lora->up, NULL, residual, FB_ACT_NONE);
    }
  fb_op_linear (ctx->dev, out, x, m->weight, m->bias, lora != NULL ? out : residual, act);

  if (records)
    record (ctx, m, trains, out, x, residual, low);
  if (low != NULL)
    fb_nn_drop (ctx, low);

  return out;
}

FbTensor *
fb_nn_linear (FbContext *ctx, const FbLinear *m, FbTensor *x)
{
  return linear (ctx, m, x, NULL, FB_ACT_NONE, ctx->dtype);
}

FbTensor *
fb_nn_linear_act (FbContext *ctx, const FbLinear *m, FbTensor *x, FbActivation act)
{
  return linear (ctx, m, x, NULL, act, ctx->dtype);
}

FbTensor *
fb_nn_linear_add (FbContext *ctx, const FbLinear *m, FbTensor *x, FbTensor *residual)
{
  return linear (ctx, m, x, residual, FB_ACT_NONE, ctx->dtype);
}

FbTensor *
fb_nn_linear_f32 (FbContext *ctx, const FbLinear *m, FbTensor *x)
{
  return linear (ctx, m, x, NULL, FB_ACT_NONE, fb_nn_wide (ctx));
}
