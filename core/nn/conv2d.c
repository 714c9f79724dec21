/* core/nn/conv2d.c: convolutions, forward and backward. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/elementwise.h"

#include "core/nn/nn-private.h"
#include "core/nn/tape-private.h"

enum { X, BIAS, RESIDUAL };

/* @kept: x, where the kernel trains */
static void
conv2d_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const FbConv2d      *m    = node->settings;
  FbDevice            *dev  = fb_tape_device (tape);
  const FbVariable    *x    = &node->inputs[X], *bias = &node->inputs[BIAS];
  g_autoptr(FbTensor)  d    = fb_tape_cast (tape, dy, x->dtype);

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
  if (x->id != 0)
    {
      g_autoptr(FbTensor) sum = fb_tape_take (tape, x);
      FbTensor           *dx  = fb_tape_like (tape, x);

      fb_op_conv2d_backward_input (dev, dx, d, m->weight, &m->params, sum);
      fb_tape_add (tape, x, dx);
    }
}

/* @shift (nullable) stands for the layer's own bias */
static FbTensor *
conv2d (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbTensor *shift, FbTensor *residual, FbActivation act, FbDtype dtype)
{
  FbTensor             *inputs[] = { x, shift, residual };
  const gboolean        trains   = fb_tape_trains (ctx) && (m->dweight != NULL || m->dbias != NULL);
  const gboolean        records  = fb_tape_wants (ctx, trains, inputs, G_N_ELEMENTS (inputs));
  const FbConv2dParams *p        = &m->params;
  const int            *w        = fb_weight_shape (m->weight);
  const int             shape[]  = {
    x->shape[0],
    (x->shape[1] * p->upsample + p->pad_top + p->pad_bottom - w[2]) / p->stride + 1,
    (x->shape[2] * p->upsample + p->pad_left + p->pad_right - w[3]) / p->stride + 1,
    w[0],
  };
  FbTensor             *out;

  if (records && act != FB_ACT_NONE)              /* what went into the activation has to be kept */
    return fb_nn_activation (ctx, conv2d (ctx, m, x, shift, residual, FB_ACT_NONE, dtype), act);

  out = fb_nn_own (ctx, fb_tensor_new (ctx->dev, dtype, 4, shape));
  fb_op_conv2d (ctx->dev, out, x, m->weight, shift != NULL ? shift : m->bias, residual, p, act);

  if (records)
    {
      FbConv2d settings = *m;
      FbNode  *node;

      if (!trains)
        settings.dweight = settings.dbias = NULL;
      node = fb_tape_record (ctx, conv2d_backward, out, inputs, G_N_ELEMENTS (inputs), &settings, sizeof settings);
      fb_node_keep (node, settings.dweight != NULL ? x : NULL);
    }

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
