/* core/nn/features.c: pooling of features and the distance between them, forward and backward. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/feature-distance.h"
#include "kernels/max-pool.h"

#include "core/nn/nn-private.h"
#include "core/nn/tape-private.h"

enum { A, B, WEIGHT };

/* @kept: x */
static void
max_pool_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  FbTensor *dx = fb_tape_like (tape, &node->inputs[0]);

  fb_op_max_pool_backward (fb_tape_device (tape), dx, dy, node->kept[0]);
  fb_tape_add (tape, &node->inputs[0], dx);
}

FbTensor *
fb_nn_max_pool (FbContext *ctx, FbTensor *x)
{
  const int shape[] = { x->shape[0], x->shape[1] / 2, x->shape[2] / 2, x->shape[3] };
  FbTensor *out     = fb_nn_own (ctx, fb_tensor_new (ctx->dev, x->dtype, 4, shape));

  fb_op_max_pool (ctx->dev, out, x);
  if (fb_tape_wants (ctx, FALSE, &x, 1))
    fb_node_keep (fb_tape_record (ctx, max_pool_backward, out, &x, 1, NULL, 0), x);

  return out;
}

/* @kept: a, b, weight */
static void
feature_distance_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const float *eps = node->settings;

  for (int i = A; i <= B; i++)
    if (node->inputs[i].id != 0)
      {
        FbTensor *dx = fb_tape_like (tape, &node->inputs[i]);

        fb_op_feature_distance_backward (fb_tape_device (tape), dx, dy, node->kept[i], node->kept[i == A ? B : A], node->kept[WEIGHT], *eps);
        fb_tape_add (tape, &node->inputs[i], dx);
      }
}

FbTensor *
fb_nn_feature_distance (FbContext *ctx, FbTensor *a, FbTensor *b, FbTensor *weight, float eps)
{
  FbTensor *inputs[] = { a, b };
  FbTensor *out      = fb_nn_own (ctx, fb_tensor_new (ctx->dev, fb_nn_wide (ctx), 1, a->shape));

  fb_op_feature_distance (ctx->dev, out, a, b, weight, eps);
  if (fb_tape_wants (ctx, FALSE, inputs, G_N_ELEMENTS (inputs)))
    {
      FbNode *node = fb_tape_record (ctx, feature_distance_backward, out, inputs, G_N_ELEMENTS (inputs), &eps, sizeof eps);

      fb_node_keep (node, a);
      fb_node_keep (node, b);
      fb_node_keep (node, weight);
    }

  return out;
}
