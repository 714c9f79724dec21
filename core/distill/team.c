/* core/distill/team.c: the processes that train a job together. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/team.h"

#include <dlfcn.h>
#include <glib/gi18n-lib.h>

#include "core/distill/distill-error.h"
#include "kernels/module.h"

const FbTeam *
fb_team_alone (void)
{
  static const FbTeam alone = { .rank = 0, .size = 1, .n_on_machine = 1, .n_on_cores = 1 };

  return &alone;
}

const FbTeam *
fb_team_open (GError **error)
{
  g_autofree char *path = NULL;
  const FbTeam    *team = NULL;
  FbTeamJoin       join;
  void            *module;

  if (g_getenv ("OMPI_COMM_WORLD_SIZE") == NULL && g_getenv ("PMIX_RANK") == NULL)
    return fb_team_alone ();

  path   = fb_module_path ("mpi");
  module = dlopen (path, RTLD_NOW | RTLD_LOCAL);
  if (module == NULL)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_TEAM,
                   /* Translators: %s is the system's own reason, in English */
                   _("This was started by mpirun, but the module for several processes could not be loaded (%s). Install OpenMPI and a build "
                     "with it, or start one process without mpirun."), dlerror ());
      return NULL;
    }

  join = (FbTeamJoin) dlsym (module, "fb_team_module_join");
  if (join != NULL)
    team = join (sizeof (FbTeam));
  if (team == NULL)
    g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_TEAM,
                 _("This was started by mpirun, but %s belongs to another version of this program or of OpenMPI; install both anew."), path);
  return team;
}

void
fb_team_sum_floats (const FbTeam *team, float *values, size_t n)
{
  if (team->size > 1)
    team->sum_floats (team, values, n);
}

void
fb_team_sum_doubles (const FbTeam *team, double *values, size_t n)
{
  if (team->size > 1)
    team->sum_doubles (team, values, n);
}

void
fb_team_share (const FbTeam *team, void *bytes, size_t n)
{
  if (team->size > 1)
    team->share (team, bytes, n);
}

void
fb_team_leave (const FbTeam *team)
{
  if (team->leave != NULL)
    team->leave (team);
}

/* how a process stands; 0 = it may go on */
enum { CANCELLED = 1, TOLD, FAILED };          /* TOLD: it has heard of another's failure before */

static int
state_of (gboolean ok, GError **error)
{
  if (ok)
    return 0;
  if (error == NULL)
    return FAILED;
  if (g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return CANCELLED;
  return g_error_matches (*error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_ELSEWHERE) ? TOLD : FAILED;
}

gboolean
fb_team_agree (const FbTeam *team, gboolean ok, GError **error)
{
  g_autofree double *states = NULL;
  int                first  = -1, worst = 0;

  if (team->size == 1)
    return ok;

  states = g_new0 (double, team->size);
  states[team->rank] = state_of (ok, error);
  fb_team_sum_doubles (team, states, team->size);
  for (int i = 0; i < team->size; i++)
    {
      worst = MAX (worst, (int) states[i]);
      if (first < 0 && states[i] == FAILED)
        first = i;
    }

  if (worst == 0)
    return TRUE;
  if (first == team->rank || (worst < FAILED && states[team->rank] == worst))
    return FALSE;                                /* with the error it has */
  g_clear_error (error);
  if (worst == CANCELLED)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _("Another process of the job was interrupted."));
  else
    g_set_error_literal (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_ELSEWHERE, _("Another process of the job has failed; it says why."));
  return FALSE;
}
