/* core/distill/team.h: the processes that train a job together. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

/**
 * FbTeam: as one of its processes sees it
 * @rank: 0 … size − 1; the first writes the files and speaks to people
 * @size: 1 …
 * @n_on_machine: those of them on this machine, itself included: they share its memory
 * @rank_on_machine: 0 … n_on_machine − 1
 * @n_on_cores: those of these that may run on this process's cores: they share its threads
 * @sum_floats, @sum_doubles: [n]: replaces the values by their sums over all processes, the same in each of them
 * @share: replaces the bytes by the first process's
 * @leave: the process takes no part any more
 *
 * The four are called by all processes in the same order with the same sizes, by one thread at a time, and return when all have called them;
 * one that waits for the others sleeps. A process that dies ends the others.
 */
typedef struct FbTeam FbTeam;
struct FbTeam
{
  int     rank, size;
  int     n_on_machine, rank_on_machine, n_on_cores;
  void (* sum_floats)  (const FbTeam *team, float *values, size_t n);
  void (* sum_doubles) (const FbTeam *team, double *values, size_t n);
  void (* share)       (const FbTeam *team, void *bytes, size_t n);
  void (* leave)       (const FbTeam *team);
};

/* (transfer none): a process by itself: there is nothing to sum, nor anybody to wait for */
const FbTeam * fb_team_alone (void);

/**
 * fb_team_open:
 *
 * Where OpenMPI's mpirun (or another starter that speaks PMIx) has started this process, loads flashbrush-mpi.so from the folder of modules and
 * keeps it until the process ends; else nothing is loaded. To be called once.
 *
 * Returns: (transfer none): the team, to be left by fb_team_leave(); %NULL with %FB_DISTILL_ERROR_TEAM where the module is missing.
 */
const FbTeam * fb_team_open (GError **error);

void           fb_team_sum_floats  (const FbTeam *team, float *values, size_t n);
void           fb_team_sum_doubles (const FbTeam *team, double *values, size_t n);
void           fb_team_share       (const FbTeam *team, void *bytes, size_t n);
void           fb_team_leave       (const FbTeam *team);

/**
 * fb_team_agree:
 * @ok: whether this process may go on; if not, @error is set
 * @error: (inout)
 *
 * All go on, or none. Where several have failed, the first of them keeps its error: one is enough to read.
 *
 * Returns: whether all may go on. Errors, where this process could have gone on or is not the first that failed: %FB_DISTILL_ERROR_ELSEWHERE,
 * %G_IO_ERROR_CANCELLED where others were only cancelled.
 */
gboolean       fb_team_agree (const FbTeam *team, gboolean ok, GError **error);

/* What a module exports, under the name "fb_team_module_join": takes part from here on; %NULL where @size is not that of its FbTeam, or MPI
 * cannot be had. */
typedef const FbTeam * (* FbTeamJoin) (size_t size);
