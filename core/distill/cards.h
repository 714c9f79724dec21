/* core/distill/cards.h: the graphics cards of a team, and sums over them. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/team.h"
#include "kernels/tensor.h"

/**
 * FbCards: the cards of a team's processes, which NVIDIA's NCCL connects: sums go from card to card, and past the processor's memory
 */
typedef struct FbCards FbCards;

/**
 * fb_cards_join:
 * @dev: what this process computes on
 *
 * To be called by all of @team together. Where they compute on cards, loads flashbrush-nccl.so from the folder of modules and keeps it until the
 * process ends; else nothing is loaded.
 *
 * Returns: (transfer full) (nullable): %NULL in all processes where one of them cannot, as when NCCL is not installed or two share a card: the first
 *   process says so in one line. The team's own sums do the same then.
 */
FbCards * fb_cards_join (const FbTeam *team, FbDevice *dev);
void      fb_cards_free (FbCards *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbCards, fb_cards_free)

/**
 * fb_cards_sum:
 * @tensors: (element-type FbTensor): f32, on the device; in all processes as many, of the same sizes
 *
 * Replaces each of @tensors by its sum over all processes, the same in each of them. To be called by all of them together; waits for the device
 * before, and sleeps until the sums are there.
 * Errors: those of the device; %FB_DISTILL_ERROR_TEAM where a connection breaks, or the others don't come within two minutes.
 */
gboolean  fb_cards_sum  (FbCards *self, GPtrArray *tensors, GError **error);

#define FB_CARDS_KEY_SIZE  128
#define FB_CARDS_NAME_SIZE 16

/**
 * FbCardsModule: what flashbrush-nccl.so exports, under the name "fb_cards_module"
 * @size: of this struct
 * @make_key: [FB_CARDS_KEY_SIZE]: by the first process, for all
 * @name_card: [FB_CARDS_NAME_SIZE]: tells the card whose memory @data is from all others in the world
 * @connect: (out) @link: of this process; @data as above
 * @sum: [n_tensors] addresses and numbers of elements
 *
 * They give NULL, or why they could not, in English (transfer none).
 */
typedef struct
{
  size_t        size;
  const char * (* make_key)   (void *key);
  const char * (* name_card)  (const void *data, void *name);
  const char * (* connect)    (void **link, const void *data, const void *key, int rank, int n_ranks);
  const char * (* sum)        (void *link, float *const *data, const size_t *n, size_t n_tensors);
  void         (* disconnect) (void *link);
} FbCardsModule;
