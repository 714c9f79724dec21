/* tests/core/distill/threads.h: a team of threads, which stands for MPI's of processes. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <string.h>

#include "core/distill/team.h"
#include "tests/core/distill/meeting.h"

/**
 * Seat: one thread's
 * @team: first, so that the team's functions find the rest
 * @n_floats: that it has summed
 */
typedef struct
{
  FbTeam   team;
  Meeting *meeting;
  gsize    n_floats;
} Seat;

static void
sum_doubles (const FbTeam *team, double *values, size_t n)
{
  Meeting           *meeting = ((const Seat *) team)->meeting;
  g_autofree double *sums    = g_new0 (double, n);

  meeting->slots[team->rank] = values;
  meet (meeting);
  for (int r = 0; r < team->size; r++)
    for (size_t i = 0; i < n; i++)
      sums[i] += ((const double *) meeting->slots[r])[i];
  meet (meeting);
  memcpy (values, sums, n * sizeof *values);
}

static void
sum_floats (const FbTeam *team, float *values, size_t n)
{
  Seat             *seat    = (Seat *) team;
  Meeting          *meeting = seat->meeting;
  g_autofree float *sums    = g_new0 (float, n);

  meeting->slots[team->rank] = values;
  meet (meeting);
  for (int r = 0; r < team->size; r++)
    for (size_t i = 0; i < n; i++)
      sums[i] += ((const float *) meeting->slots[r])[i];
  meet (meeting);
  memcpy (values, sums, n * sizeof *values);
  seat->n_floats += n;
}

static void
share (const FbTeam *team, void *bytes, size_t n)
{
  Meeting *meeting = ((const Seat *) team)->meeting;

  meeting->slots[team->rank] = bytes;
  meet (meeting);
  if (team->rank > 0)
    memcpy (bytes, meeting->slots[0], n);
  meet (meeting);
}

/* @work in a thread for each of @members, which are @member_size bytes each and begin with a Seat */
static void
sit_together (void *members, gsize member_size, int size, GThreadFunc work)
{
  g_autofree Meeting *meeting = g_new0 (Meeting, 1);
  GThread            *threads[MOST_MEMBERS];

  meeting->size = size;
  for (int r = 0; r < size; r++)
    *(Seat *) (void *) ((char *) members + r * member_size) =
      (Seat) { { r, size, size, r, size, sum_floats, sum_doubles, share, NULL }, meeting, 0 };
  for (int r = 0; r < size; r++)
    threads[r] = g_thread_new ("member", work, (char *) members + r * member_size);
  for (int r = 0; r < size; r++)
    g_thread_join (threads[r]);
}
