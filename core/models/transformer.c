/* core/models/transformer.c: the UNet's attention over a picture and a prompt. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/transformer.h"

static void
attention_init (FbAttention *m, FbParams *params, const char *name, int channels, int context_width)
{
  fb_params_enter (params, "%s.", name);
  fb_params_linear (params, &m->q, "to_q", channels, channels, FALSE);
  fb_params_linear (params, &m->k, "to_k", context_width, channels, FALSE);
  fb_params_linear (params, &m->v, "to_v", context_width, channels, FALSE);
  fb_params_linear (params, &m->out, "to_out.0", channels, channels, TRUE);
  fb_params_leave (params);
}

void
fb_transformer_init (FbTransformer *m, FbParams *params, int channels, int context_width, int depth, int n_heads,
                     gboolean only_cross, int n_groups)
{
  m->blocks = g_new0 (FbTransformerBlock, depth);
  m->depth = depth;
  m->n_heads = n_heads;
  m->only_cross = only_cross;

  fb_params_group_norm (params, &m->norm, "norm", channels, n_groups, 1e-6f);
  fb_params_linear (params, &m->proj_in, "proj_in", channels, channels, TRUE);
  for (int i = 0; i < depth; i++)
    {
      FbTransformerBlock *block = &m->blocks[i];

      fb_params_enter (params, "transformer_blocks.%d.", i);
      fb_params_layer_norm (params, &block->norm1, "norm1", channels, 1e-5f);
      attention_init (&block->attn1, params, "attn1", channels, only_cross ? context_width : channels);
      fb_params_layer_norm (params, &block->norm2, "norm2", channels, 1e-5f);
      attention_init (&block->attn2, params, "attn2", channels, context_width);
      fb_params_layer_norm (params, &block->norm3, "norm3", channels, 1e-5f);
      fb_params_linear (params, &block->ff_in, "ff.net.0.proj", channels, 8 * channels, TRUE);
      fb_params_linear (params, &block->ff_out, "ff.net.2", 4 * channels, channels, TRUE);
      fb_params_leave (params);
    }
  fb_params_linear (params, &m->proj_out, "proj_out", channels, channels, TRUE);
}

void
fb_transformer_clear (FbTransformer *m)
{
  g_clear_pointer (&m->blocks, g_free);
}

/* x + attention (h, source), [N, T, C] */
static FbTensor *
attention_forward (FbContext *ctx, const FbAttention *m, FbTensor *x, FbTensor *h, FbTensor *source, int n_heads)
{
  FbTensor *q, *k, *v;

  fb_nn_scope_begin (ctx);

  q = fb_nn_linear (ctx, &m->q, h);
  k = fb_nn_linear (ctx, &m->k, source);
  v = fb_nn_linear (ctx, &m->v, source);
  h = fb_nn_attention (ctx, q, k, v, n_heads, FALSE);

  return fb_nn_scope_end (ctx, fb_nn_linear_add (ctx, &m->out, h, x));
}

static FbTensor *
block_forward (FbContext *ctx, const FbTransformer *t, const FbTransformerBlock *m, FbTensor *x, FbTensor *context)
{
  FbTensor *h;

  fb_nn_scope_begin (ctx);

  h = fb_nn_layer_norm (ctx, &m->norm1, x);
  x = attention_forward (ctx, &m->attn1, x, h, t->only_cross ? context : h, t->n_heads);
  h = fb_nn_then (ctx, h, fb_nn_layer_norm (ctx, &m->norm2, x));
  x = fb_nn_then (ctx, x, attention_forward (ctx, &m->attn2, x, h, context, t->n_heads));
  h = fb_nn_then (ctx, h, fb_nn_layer_norm (ctx, &m->norm3, x));
  h = fb_nn_then (ctx, h, fb_nn_linear (ctx, &m->ff_in, h));
  h = fb_nn_then (ctx, h, fb_nn_geglu (ctx, h));
  x = fb_nn_linear_add (ctx, &m->ff_out, h, x);

  return fb_nn_scope_end (ctx, x);
}

static FbTensor *
forward (FbContext *ctx, const void *layer, FbTensor **inputs)
{
  const FbTransformer *m = layer;
  FbTensor            *x = inputs[0], *context = inputs[1];
  FbTensor            *h, *residual;

  fb_nn_scope_begin (ctx);

  h = fb_nn_group_norm (ctx, &m->norm, x, FB_ACT_NONE);
  h = fb_nn_then (ctx, h, fb_nn_linear (ctx, &m->proj_in, fb_nn_as_tokens (ctx, h)));
  for (int i = 0; i < m->depth; i++)
    h = fb_nn_then (ctx, h, block_forward (ctx, m, &m->blocks[i], h, context));
  residual = fb_nn_as_tokens (ctx, x);
  h = fb_nn_linear_add (ctx, &m->proj_out, h, residual);

  return fb_nn_scope_end (ctx, fb_nn_as_picture (ctx, h, x->shape[1], x->shape[2]));
}

FbTensor *
fb_transformer_forward (FbContext *ctx, const FbTransformer *m, FbTensor *x, FbTensor *context)
{
  FbTensor *inputs[] = { x, context };

  return fb_nn_block (ctx, forward, m, inputs, G_N_ELEMENTS (inputs));
}
