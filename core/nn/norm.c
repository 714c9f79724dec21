/* core/nn/norm.c: group and layer normalisation, forward and backward. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/group-norm.h"
#include "kernels/layer-norm.h"

#include "core/nn/nn-private.h"
#include "core/nn/tape-private.h"

typedef struct
{
  FbNorm       layer;
  FbActivation act;
} Norm;

/* @kept: x */
static void
group_norm_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const Norm   *settings = node->settings;
  const FbNorm *m        = &settings->layer;
  FbTensor     *dx       = fb_tape_like (tape, &node->inputs[0]);

  fb_op_group_norm_backward (fb_tape_device (tape), dx, m->dweight, m->dbias, dy, node->kept[0], m->weight, m->bias,
                             m->n_groups, m->eps, settings->act);
  fb_tape_add (tape, &node->inputs[0], dx);
}

/* @kept: x */
static void
layer_norm_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const Norm   *settings = node->settings;
  const FbNorm *m        = &settings->layer;
  FbTensor     *dx       = fb_tape_like (tape, &node->inputs[0]);

  fb_op_layer_norm_backward (fb_tape_device (tape), dx, m->dweight, m->dbias, dy, node->kept[0], m->weight, m->bias, m->eps);
  fb_tape_add (tape, &node->inputs[0], dx);
}

static void
record (FbContext *ctx, FbBackward backward, const FbNorm *m, FbTensor *out, FbTensor *x, FbActivation act)
{
  const gboolean trains   = fb_tape_trains (ctx) && (m->dweight != NULL || m->dbias != NULL);
  Norm           settings = { .layer = *m, .act = act };

  if (!fb_tape_wants (ctx, trains, &x, 1))
    return;

  if (!trains)
    settings.layer.dweight = settings.layer.dbias = NULL;
  fb_node_keep (fb_tape_record (ctx, backward, out, &x, 1, &settings, sizeof settings), x);
}

FbTensor *
fb_nn_group_norm (FbContext *ctx, const FbNorm *m, FbTensor *x, FbActivation act)
{
  FbTensor *out = fb_nn_like (ctx, x);

  fb_op_group_norm (ctx->dev, out, x, m->weight, m->bias, m->n_groups, m->eps, act);
  record (ctx, group_norm_backward, m, out, x, act);

  return out;
}

FbTensor *
fb_nn_layer_norm (FbContext *ctx, const FbNorm *m, FbTensor *x)
{
  FbTensor *out = fb_nn_like (ctx, x);

  fb_op_layer_norm (ctx->dev, out, x, m->weight, m->bias, m->eps);
  record (ctx, layer_norm_backward, m, out, x, FB_ACT_NONE);

  return out;
}
