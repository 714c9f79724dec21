/* kernels/plan.c: where a step's temporary tensors lie in one block of memory. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/plan.h"

typedef struct
{
  size_t offset, end;
} Place;

struct FbPlan
{
  GArray *places;        /* of Place, given out now, by offset */
  size_t  extent;
};

FbPlan *
fb_plan_new (void)
{
  FbPlan *plan = g_new0 (FbPlan, 1);

  plan->places = g_array_new (FALSE, FALSE, sizeof (Place));
  return plan;
}

void
fb_plan_free (FbPlan *plan)
{
  if (plan == NULL)
    return;

  g_array_unref (plan->places);
  g_free (plan);
}

size_t
fb_plan_take (FbPlan *plan, size_t n_bytes)
{
  const size_t size  = (n_bytes + FB_PLAN_ALIGNMENT - 1) / FB_PLAN_ALIGNMENT * FB_PLAN_ALIGNMENT;
  Place        place = { 0, size };
  guint        i;

  for (i = 0; i < plan->places->len; i++)              /* the gap before place i */
    {
      const Place *next = &g_array_index (plan->places, Place, i);

      if (place.end <= next->offset)
        break;
      place = (Place) { next->end, next->end + size };
    }
  g_array_insert_val (plan->places, i, place);
  plan->extent = MAX (plan->extent, place.end);

  return place.offset;
}

gboolean
fb_plan_give (FbPlan *plan, size_t offset)
{
  for (guint i = 0; i < plan->places->len; i++)
    if (g_array_index (plan->places, Place, i).offset == offset)
      {
        g_array_remove_index (plan->places, i);
        return TRUE;
      }

  return FALSE;
}

gboolean
fb_plan_is_empty (const FbPlan *plan)
{
  return plan->places->len == 0;
}

size_t
fb_plan_extent (const FbPlan *plan)
{
  return plan->extent;
}
