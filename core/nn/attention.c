/* core/nn/attention.c: attention, forward and backward. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "core/nn/nn-private.h"
#include "core/nn/tape-private.h"

enum { Q, K, V, OUT };

typedef struct
{
  int      n_heads;
  float    scale;
  gboolean causal;
} Attention;

/* @kept: q, k, v, out */
static void
attention_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  const Attention  *m       = node->settings;
  const FbVariable *inputs  = node->inputs;
  const gboolean    context = inputs[K].id != 0 || inputs[V].id != 0;
  FbTensor         *dq      = fb_tape_like (tape, &inputs[Q]);
  FbTensor         *dk      = context ? fb_tape_like (tape, &inputs[K]) : NULL;
  FbTensor         *dv      = context ? fb_tape_like (tape, &inputs[V]) : NULL;

  fb_op_attention_backward (fb_tape_device (tape), dq, dk, dv, dy, node->kept[Q], node->kept[K], node->kept[V], node->kept[OUT],
                            m->n_heads, m->scale, m->causal);
  fb_tape_add (tape, &inputs[Q], dq);
  if (context)
    {
      fb_tape_add (tape, &inputs[K], dk);
      fb_tape_add (tape, &inputs[V], dv);
    }
}

FbTensor *
fb_nn_attention (FbContext *ctx, FbTensor *q, FbTensor *k, FbTensor *v, int n_heads, gboolean causal)
{
  const Attention settings = { .n_heads = n_heads, .scale = 1.0f / sqrtf ((float) (q->shape[2] / n_heads)), .causal = causal };
  FbTensor       *inputs[] = { q, k, v };
  FbTensor       *out      = fb_nn_like (ctx, q);

  fb_op_attention (ctx->dev, out, q, k, v, n_heads, settings.scale, causal);
  if (fb_tape_wants (ctx, FALSE, inputs, G_N_ELEMENTS (inputs)))
    {
      FbNode *node = fb_tape_record (ctx, attention_backward, out, inputs, G_N_ELEMENTS (inputs), &settings, sizeof settings);

      for (gsize i = 0; i < G_N_ELEMENTS (inputs); i++)
        fb_node_keep (node, inputs[i]);
      fb_node_keep (node, out);
    }

  return out;
}
