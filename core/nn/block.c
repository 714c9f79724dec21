/* core/nn/block.c: parts of a network that can be computed once more on the way back. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/nn/nn-private.h"
#include "core/nn/tape-private.h"

/* A block has a tape of its own whether it keeps its values or not, so that gradients are summed in the same order. */
typedef struct
{
  FbContext  *ctx;
  FbBlockFunc forward;
  const void *layer;
  int         n_inputs;
  FbTensor   *inputs[FB_NODE_INPUTS];     /* owned, only where it runs again */
  gboolean    lora_enabled;
  FbTape     *tape;                       /* owned; NULL: runs again */
  FbVariable  out;
} Block;

static void
block_clear (gpointer settings)
{
  Block *block = settings;

  fb_tape_free (block->tape);
  for (int i = 0; i < block->n_inputs; i++)
    g_clear_pointer (&block->inputs[i], fb_tensor_unref);
}

static FbTensor *
run_on (FbTape *tape, const Block *block, FbTensor **inputs)
{
  FbContext     *ctx          = block->ctx;
  FbTape        *outer        = ctx->tape;
  const gboolean lora_enabled = ctx->lora_enabled;
  FbTensor      *out;

  ctx->tape = tape;
  ctx->lora_enabled = block->lora_enabled;
  out = block->forward (ctx, block->layer, inputs);
  ctx->tape = outer;
  ctx->lora_enabled = lora_enabled;

  return out;
}

static void
run_again (FbTape *outer, const FbNode *node, Block *block)
{
  FbTensor *inputs[FB_NODE_INPUTS];
  FbTensor *out;

  block->tape = fb_tape_new_inner (outer, TRUE);
  for (int i = 0; i < block->n_inputs; i++)
    {
      inputs[i] = block->inputs[i];
      if (node->inputs[i].id != 0)
        fb_tape_watch_variable (block->tape, &node->inputs[i]);
    }

  fb_nn_scope_begin (block->ctx);
  out = run_on (block->tape, block, inputs);
  block->out.id = out->id;
  fb_nn_scope_end (block->ctx, NULL);
}

static void
block_backward (FbTape *tape, const FbNode *node, FbTensor *dy)
{
  Block *block = node->settings;

  if (block->tape == NULL)
    run_again (tape, node, block);

  fb_tape_backward_from (block->tape, &block->out, dy);
  for (int i = 0; i < block->n_inputs; i++)
    if (node->inputs[i].id != 0)
      {
        FbTensor *dx = fb_tape_variable_gradient (block->tape, &node->inputs[i]);

        if (dx != NULL)
          fb_tape_add (tape, &node->inputs[i], fb_tensor_ref (dx));
      }
}

/* Takes over @inner, to walk back later, or keeps @inputs, to run again. */
static void
keep (FbNode *node, FbTape *inner, gboolean keeps, FbTensor **inputs)
{
  Block *block = node->settings;

  node->clear_settings = block_clear;
  block->out = node->out;
  if (keeps)
    {
      block->tape = inner;
      return;
    }

  for (int i = 0; i < block->n_inputs; i++)
    block->inputs[i] = inputs[i] != NULL ? fb_tensor_ref (inputs[i]) : NULL;
  fb_tape_free (inner);
}

FbTensor *
fb_nn_block (FbContext *ctx, FbBlockFunc forward, const void *layer, FbTensor **inputs, int n_inputs)
{
  const Block block = { .ctx = ctx, .forward = forward, .layer = layer, .n_inputs = n_inputs, .lora_enabled = ctx->lora_enabled };
  gboolean    keeps;
  FbTape     *inner;
  FbNode     *node = NULL;
  FbTensor   *out;

  g_assert (n_inputs >= 1 && n_inputs <= FB_NODE_INPUTS);

  if (ctx->tape == NULL)
    return forward (ctx, layer, inputs);

  keeps = !fb_tape_is_full (ctx->tape);
  inner = fb_tape_new_inner (ctx->tape, keeps);
  for (int i = 0; i < n_inputs; i++)
    if (inputs[i] != NULL && fb_tape_reaches (ctx->tape, inputs[i]))
      fb_tape_watch (inner, inputs[i]);
  out = run_on (inner, &block, inputs);

  if (fb_tape_reaches (inner, out))
    node = fb_tape_record (ctx, block_backward, out, inputs, n_inputs, &block, sizeof block);
  if (node != NULL)
    keep (node, inner, keeps, inputs);
  else
    fb_tape_free (inner);

  return out;
}
