/* core/distill/mpi/module.c: a team of processes over MPI. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: MPI: A Message-Passing Interface Standard, version 3.1, chapters 5 and 12. Errors are MPI's own way: the process says what is wrong
 * and all end.
 */
#define _GNU_SOURCE                    /* sched_getaffinity */
#include <mpi.h>
#include <sched.h>

#include "core/distill/team.h"

#define LARGEST (1 << 24)              /* values of one message: MPI counts in int */
#define SHORTEST_NAP 20                /* microseconds */
#define LONGEST_NAP  1000

__attribute__ ((visibility ("default"))) const FbTeam * fb_team_module_join (size_t size);

/* MPI itself waits without sleeping, which takes the processor from whom it waits for where they share one. So all meet first, asleep. */
static void
meet (void)
{
  MPI_Request request;
  gulong      nap  = SHORTEST_NAP;
  int         here = 0;

  MPI_Ibarrier (MPI_COMM_WORLD, &request);
  for (MPI_Test (&request, &here, MPI_STATUS_IGNORE); !here; MPI_Test (&request, &here, MPI_STATUS_IGNORE))
    {
      g_usleep (nap);
      nap = MIN (2 * nap, LONGEST_NAP);
    }
}

/* OpenMPI forms each sum in one place, or everywhere of the same two halves: all get the same bits, so that students do not drift apart. */
static void
sum_floats (const FbTeam *team, float *values, size_t n)
{
  meet ();
  for (size_t at = 0; at < n; at += LARGEST)
    MPI_Allreduce (MPI_IN_PLACE, values + at, (int) MIN (n - at, LARGEST), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void
sum_doubles (const FbTeam *team, double *values, size_t n)
{
  meet ();
  for (size_t at = 0; at < n; at += LARGEST)
    MPI_Allreduce (MPI_IN_PLACE, values + at, (int) MIN (n - at, LARGEST), MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

static void
share (const FbTeam *team, void *bytes, size_t n)
{
  meet ();
  for (size_t at = 0; at < n; at += LARGEST)
    MPI_Bcast ((char *) bytes + at, (int) MIN (n - at, LARGEST), MPI_BYTE, 0, MPI_COMM_WORLD);
}

static void
leave (const FbTeam *team)
{
  meet ();
  MPI_Finalize ();
}

/* the processes of this machine, and those of them that may run on a core that this one may run on */
static void
count_neighbours (FbTeam *team)
{
  cpu_set_t             mine;
  g_autofree cpu_set_t *all = NULL;
  MPI_Comm              machine;

  MPI_Comm_split_type (MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
  MPI_Comm_size (machine, &team->n_on_machine);
  MPI_Comm_rank (machine, &team->rank_on_machine);
  all = g_new0 (cpu_set_t, team->n_on_machine);
  CPU_ZERO (&mine);
  sched_getaffinity (0, sizeof mine, &mine);
  MPI_Allgather (&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, machine);
  for (int i = 0; i < team->n_on_machine; i++)
    {
      cpu_set_t both;

      CPU_AND (&both, &mine, &all[i]);
      team->n_on_cores += CPU_COUNT (&both) > 0;
    }
  team->n_on_cores = MAX (team->n_on_cores, 1);
  MPI_Comm_free (&machine);
}

const FbTeam *
fb_team_module_join (size_t size)
{
  static FbTeam team = { .sum_floats = sum_floats, .sum_doubles = sum_doubles, .share = share, .leave = leave };
  int           threads;

  if (size != sizeof team)
    return NULL;
  MPI_Init_thread (NULL, NULL, MPI_THREAD_SERIALIZED, &threads);           /* the job has a thread of its own */
  if (threads < MPI_THREAD_SERIALIZED)
    return NULL;
  MPI_Comm_rank (MPI_COMM_WORLD, &team.rank);
  MPI_Comm_size (MPI_COMM_WORLD, &team.size);
  count_neighbours (&team);
  return &team;
}
