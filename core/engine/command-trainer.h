/* core/engine/command-trainer.h: what commands about training jobs share. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/trainer.h"

/* Says why flashbrush-engine @command ends, unless another process of its team does; takes @error, returns @status. */
int         fb_command_trainer_fail (const char *command, GError *error, int status);

/* (transfer full): with the job's teacher, found beside the job or by name, on a device of this process' share of the cores */
FbTrainer * fb_command_open_trainer (const FbDistillJob *job, const FbTeam *team, GError **error);
