/* core/distill/trainer-reuse.c: teacher's solutions that are learned from more than once. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The teacher's way takes most of a step, and does not depend on the student: solutions stay right however far it has come. Batches are numbered
 * in the order in which they are first met. FB_REUSE_BLOCK of them are gone through, then again in other orders, then come the next. What they are
 * follows from their numbers; a job that goes on in the middle of a block only has the teacher make anew what it meets.
 */
#include <string.h>

#include "core/distill/trainer-private.h"

typedef struct
{
  int     batch;         /* whose the targets are */
  float **targets;       /* [batch_size]; NULL where there is none yet */
} Slot;

struct FbReuse
{
  int  batch_size;
  Slot slots[FB_REUSE_BLOCK];
};

int
fb_trainer_batch_of (const FbTrainer *self, int step)
{
  const int    reuse = self->job->teacher_reuse;
  const int    pass  = step / FB_REUSE_BLOCK, at = step % FB_REUSE_BLOCK;
  const int    first = pass / reuse * FB_REUSE_BLOCK;
  const FbDraw draw  = { self->job->seed, (guint32) pass, 0 };
  guint        order[FB_REUSE_BLOCK];

  if (pass % reuse == 0)
    return first + at;
  fb_draw_order (&draw, FB_DRAW_REUSE_ORDER, order, FB_REUSE_BLOCK);
  return first + (int) order[at];
}

int
fb_trainer_first_use (const FbTrainer *self, int batch)
{
  return batch / FB_REUSE_BLOCK * FB_REUSE_BLOCK * self->job->teacher_reuse + batch % FB_REUSE_BLOCK;
}

FbReuse *
fb_reuse_new (int batch_size)
{
  FbReuse *self = g_new0 (FbReuse, 1);

  self->batch_size = batch_size;
  for (int i = 0; i < FB_REUSE_BLOCK; i++)
    self->slots[i] = (Slot) { -1, g_new0 (float *, batch_size) };
  return self;
}

void
fb_reuse_free (FbReuse *self)
{
  if (self == NULL)
    return;
  for (int i = 0; i < FB_REUSE_BLOCK; i++)
    {
      for (int k = 0; k < self->batch_size; k++)
        g_free (self->slots[i].targets[k]);
      g_free (self->slots[i].targets);
    }
  g_free (self);
}

gboolean
fb_reuse_recall (const FbReuse *self, int batch, const int *members, int n, size_t size, float *targets)
{
  const Slot *slot = &self->slots[batch % FB_REUSE_BLOCK];

  if (slot->batch != batch)
    return FALSE;
  for (int i = 0; i < n; i++)
    if (slot->targets[members[i]] == NULL)
      return FALSE;
  for (int i = 0; i < n; i++)
    memcpy (targets + i * size, slot->targets[members[i]], size * sizeof *targets);
  return TRUE;
}

void
fb_reuse_remember (FbReuse *self, int batch, const int *members, int n, size_t size, const float *targets)
{
  Slot *slot = &self->slots[batch % FB_REUSE_BLOCK];

  if (slot->batch != batch)
    for (int k = 0; k < self->batch_size; k++)
      g_clear_pointer (&slot->targets[k], g_free);
  slot->batch = batch;
  for (int i = 0; i < n; i++)
    {
      g_free (slot->targets[members[i]]);
      slot->targets[members[i]] = g_memdup2 (targets + i * size, size * sizeof *targets);
    }
}
