/* kernels/plan.h: where a step's temporary tensors lie in one block of memory. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/**
 * FbPlan: places in a block whose size is known once all have been given out. The same sequence of calls gets the same places, so that a first
 * run tells how large the block has to be for the next.
 */
typedef struct FbPlan FbPlan;

#define FB_PLAN_ALIGNMENT ((size_t) 256)     /* of every place: what a card's own allocations keep at least */

FbPlan * fb_plan_new    (void);
void     fb_plan_free   (FbPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbPlan, fb_plan_free)

/* Returns: the offset of the lowest place that is large enough. 0 < @n_bytes, and all together stay below G_MAXSIZE / 2. */
size_t   fb_plan_take   (FbPlan *plan, size_t n_bytes);
/* Gives the place at @offset back; %FALSE if none begins there */
gboolean fb_plan_give   (FbPlan *plan, size_t offset);

/* Whether nothing is given out */
gboolean fb_plan_is_empty (const FbPlan *plan);
/* Bytes from the block's start to the end of the last place that was ever given out */
size_t   fb_plan_extent (const FbPlan *plan);
