/* core/distill/lora-set.h: the LoRA that trains beside a network. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/trainable.h"

/**
 * FbLoraSettings:
 * @rank: ≥ 1
 * @alpha: ΔW = alpha / rank · up · down
 * @targets: %NULL-terminated; a linear layer or convolution gets a branch if its path is one of them or ends in "." and one of them
 * @seed: of the first values
 */
typedef struct
{
  int                  rank;
  double               alpha;
  const char * const * targets;
  guint64              seed;
} FbLoraSettings;

/* to_q, to_k, to_v, to_out.0: what the paper trains in Stable Diffusion; %NULL-terminated */
extern const char * const fb_lora_default_targets[];

/* The numbers that branches of these settings will have, by the shapes of the layers that get one; nothing need be loaded. */
guint64 fb_lora_n_values (FbParams *params, const FbLoraSettings *settings);

/**
 * FbLoraSet:
 *
 * Branches (FbLoraBranch) on a network's linear layers and convolutions. Contexts with fb_nn_set_lora_enabled() take them: that is the student; the others
 * remain the teacher, with the same weights.
 */
typedef struct FbLoraSet FbLoraSet;

/**
 * fb_lora_set_new:
 * @params: of the network, loaded; outlives the set
 * @dtype: that the network computes in
 *
 * down begins with normal deviates of variance 1 / rank², up with 0, so that the student begins as the teacher. (section 1.7 of the
 * published settings: PEFT's "gaussian".)
 *
 * Returns: (transfer full): %NULL with FB_DISTILL_ERROR_FIELD where a target fits no layer
 */
FbLoraSet * fb_lora_set_new  (FbParams *params, FbDevice *dev, FbDtype dtype, const FbLoraSettings *settings, GError **error);
/* Takes the branches off the network. */
void        fb_lora_set_free (FbLoraSet *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbLoraSet, fb_lora_set_free)

/**
 * fb_lora_set_trainables:
 *
 * Returns: (transfer none) (element-type FbTrainable): two per layer, in the network's order, with PEFT's names: PATH.lora_A.weight (down,
 *   [rank, in] or [rank, in, kH, kW]) and PATH.lora_B.weight (up, [out, rank] or [out, rank, 1, 1]; the scale alpha / rank is not in its values)
 */
GPtrArray * fb_lora_set_trainables (FbLoraSet *self);
