/* core/nn/tape-private.h: how layers record themselves; for core/nn. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/nn/nn.h"
#include "core/nn/tape.h"

#define FB_NODE_INPUTS 3
#define FB_NODE_KEPT   4

/**
 * FbVariable: a layer's input or output as a node remembers it: what its gradient looks like, not its values
 * @id: the tensor's; 0 where no gradient is wanted
 */
typedef struct
{
  guint64 id;
  FbDtype dtype;
  int     n_dims;
  int     shape[FB_MAX_DIMS];
} FbVariable;

typedef struct FbNode FbNode;

/* Adds to what @node's layer trains, and to the gradients of its inputs. @dy has the output's shape and dtype and is not to be written. */
typedef void (* FbBackward) (FbTape *tape, const FbNode *node, FbTensor *dy);

/**
 * FbNode: one layer that was recorded
 * @inputs: in the order given to fb_tape_record()
 * @kept: in the order given to fb_node_keep(); owned
 * @settings: a copy of the layer's
 */
struct FbNode
{
  FbBackward  backward;
  FbVariable  out;
  FbVariable  inputs[FB_NODE_INPUTS];
  FbTensor   *kept[FB_NODE_KEPT];
  int         n_kept;
  gpointer    settings;
  void     (* clear_settings) (gpointer settings);      /* nullable */
};

/* Whether layers with weights train on @ctx's tape */
gboolean   fb_tape_trains (const FbContext *ctx);

/* Whether a layer is to be recorded: it trains, or one of its inputs (each nullable) wants a gradient. */
gboolean   fb_tape_wants (const FbContext *ctx, gboolean trains, FbTensor * const *inputs, int n_inputs);

/**
 * fb_tape_record:
 * @out: now wants a gradient
 * @settings: (nullable): @size bytes that @backward needs besides; copied
 *
 * Appends a node to @ctx's tape; only where fb_tape_wants().
 *
 * Returns: (transfer none) (nullable): the node, to keep values with; %NULL on a tape that keeps nothing because its block will run again
 */
FbNode *   fb_tape_record (FbContext *ctx, FbBackward backward, FbTensor *out, FbTensor * const *inputs, int n_inputs,
                           gconstpointer settings, gsize size);
/* @node and @t may be NULL */
void       fb_node_keep   (FbNode *node, FbTensor *t);

FbDevice * fb_tape_device (const FbTape *tape);

/* (transfer full): an uninitialised tensor for @v's gradient */
FbTensor * fb_tape_like   (FbTape *tape, const FbVariable *v);
/* (transfer full): zeros of @dtype */
FbTensor * fb_tape_zeros  (FbTape *tape, FbDtype dtype, int n_dims, const int *shape);
/* (transfer full): @dy in @dtype */
FbTensor * fb_tape_cast   (FbTape *tape, FbTensor *dy, FbDtype dtype);

/* (transfer full) (nullable): the sum of @v's gradients so far, in @v's shape, for an op that adds to it by itself; goes back through fb_tape_add() */
FbTensor * fb_tape_take   (FbTape *tape, const FbVariable *v);
/* Adds @dx (transfer full; as many elements as @v) to @v's gradient; drops it where @v wants none. */
void       fb_tape_add    (FbTape *tape, const FbVariable *v, FbTensor *dx);

/* A tape for one block of @outer: it trains what @outer trains. One that keeps nothing only learns what reaches what. */
FbTape *   fb_tape_new_inner (FbTape *outer, gboolean keeps);
/* Whether the memory budget is spent, or nothing is kept anyway */
gboolean   fb_tape_is_full   (const FbTape *tape);
/* As the public functions, by variable */
void       fb_tape_watch_variable    (FbTape *tape, const FbVariable *v);
FbTensor * fb_tape_variable_gradient (FbTape *tape, const FbVariable *v);
void       fb_tape_backward_from     (FbTape *tape, const FbVariable *y, FbTensor *dy);
