/* core/engine/server.h: the engine as a process. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/job-kind.h"

/**
 * fb_server_main: what `flashbrush-engine` does when it is given no command
 *
 * Serves the user's socket until it has been idle for long enough, is asked to leave, or gets SIGTERM, SIGINT or SIGHUP.
 * With --started-by-client it leaves the terminal and tells how the start went in one line on standard output: "ready", "taken" when another
 * engine has the place, or a sentence for the user.
 *
 * Returns: the process' exit status
 */
int fb_server_main (int argc, char **argv, const FbTrade *trade);
