/* tests/core/distill/meeting.h: where threads wait for each other. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

#define MOST_MEMBERS 4

/**
 * Meeting:
 * @size: threads that meet
 * @slots: what each has brought
 */
typedef struct
{
  GMutex lock;
  GCond  changed;
  int    size, n_here;
  guint  round;
  void  *slots[MOST_MEMBERS];
} Meeting;

/* Returns when all are here. */
static inline void
meet (Meeting *meeting)
{
  guint round;

  g_mutex_lock (&meeting->lock);
  round = meeting->round;
  if (++meeting->n_here == meeting->size)
    {
      meeting->n_here = 0;
      meeting->round++;
      g_cond_broadcast (&meeting->changed);
    }
  while (meeting->round == round)
    g_cond_wait (&meeting->changed, &meeting->lock);
  g_mutex_unlock (&meeting->lock);
}
