/* core/nn/tape.h: what layers did, to be walked back for gradients. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

/**
 * FbTape:
 *
 * Reverse-mode differentiation of what a model's forward code computes while the tape is set on its context (fb_nn_set_tape()). A layer is
 * recorded when something it takes leads back to a watched tensor, or when it trains; it then keeps the values that its backward needs,
 * whatever the forward code drops. Frozen layers pass gradients through and get none themselves. A tape may serve several contexts of one
 * device, serves one backward, and is then empty.
 */
typedef struct FbTape FbTape;

/**
 * fb_tape_new:
 * @memory_budget: bytes of values that the tape may keep. Once the device's tensors have grown by more since the tape was made, blocks
 *   (fb_nn_block()) keep their inputs only and are computed once more on the way back: 0 checkpoints every block, %G_MAXSIZE none.
 *   Gradients are the same to the bit.
 */
FbTape *   fb_tape_new  (FbDevice *dev, gsize memory_budget);
void       fb_tape_free (FbTape *tape);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbTape, fb_tape_free)

/* From here on no layer trains on this tape: gradients of watched tensors only, as for a loss that looks through a network. */
void       fb_tape_freeze (FbTape *tape);

/* Makes @x a leaf: fb_tape_gradient() will know its gradient. A view of all of a tensor is the tensor. */
void       fb_tape_watch (FbTape *tape, const FbTensor *x);

/* Whether @x leads back to a watched tensor or to a layer that trains; where not, its backward has nothing to do. */
gboolean   fb_tape_reaches (const FbTape *tape, const FbTensor *x);

/**
 * fb_tape_backward:
 * @y: made by layers on this tape, or watched
 * @dy: shape and dtype of @y: the loss's gradient there
 *
 * Walks back from @y, adds to the gradients of the layers that train (FbLinear.dweight and the like), leaves those of the watched tensors
 * with the tape, and frees what it kept on the way.
 * Errors: the device's.
 */
void       fb_tape_backward (FbTape *tape, const FbTensor *y, FbTensor *dy);

/* (transfer none) (nullable): after the backward, the gradient of a watched tensor, in its shape and dtype; %NULL if @y does not depend on it */
FbTensor * fb_tape_gradient (FbTape *tape, const FbTensor *x);
