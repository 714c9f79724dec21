/* core/engine/command.h: what flashbrush-engine does without serving anybody. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

/* Each takes the command's name in argv[0], prints what it has to say, and returns the process' exit status. */
int fb_command_distill  (int argc, char **argv);
int fb_command_eval     (int argc, char **argv);
int fb_command_generate (int argc, char **argv);
int fb_command_inpaint  (int argc, char **argv);
int fb_command_models   (int argc, char **argv);
int fb_command_upscale  (int argc, char **argv);
