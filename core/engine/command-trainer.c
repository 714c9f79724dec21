/* core/engine/command-trainer.c: what commands about training jobs share. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/command-trainer.h"

#include <stdio.h>

#include "core/engine/distill-wish.h"
#include "core/models/model.h"

int
fb_command_trainer_fail (const char *command, GError *error, int status)
{
  if (!g_error_matches (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_ELSEWHERE))
    fprintf (stderr, "flashbrush-engine %s: %s\n", command, error->message);
  g_error_free (error);
  return status;
}

/* The device that FLASHBRUSH_DEVICE names; of several cards, each of a team's processes has its own.
 * @n_threads: 0: the cores that this process may use, shared with those of the team that use them too */
static FbDevice *
open_device (int n_threads, const FbTeam *team, GError **error)
{
  if (n_threads == 0 && team->n_on_cores > 1)
    {
      g_autoptr(FbDevice) all = fb_device_new ("cpu", 0, error);

      if (all == NULL)
        return NULL;
      n_threads = MAX (fb_device_n_threads (all) / team->n_on_cores, 1);
    }
  return fb_device_new_in_place (team->size > 1 ? team->rank_on_machine : -1, n_threads, error);
}

FbTrainer *
fb_command_open_trainer (const FbDistillJob *job, const FbTeam *team, GError **error)
{
  g_autofree char     *path = fb_distill_wish_teacher (job, error);
  g_autoptr(FbDevice)  dev  = path != NULL ? open_device (job->threads, team, error) : NULL;

  return fb_team_agree (team, dev != NULL, error) ? fb_trainer_new_in_team (job, path, dev, team, error) : NULL;
}
