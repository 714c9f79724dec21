/* core/engine/log.h: the engine's log file. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/**
 * fb_log_open:
 * @to_stderr: whether a person watches
 *
 * From now on g_message() and its kin go to $XDG_STATE_HOME/flashbrush/engine.log, which is cut at 1 MB (one older piece is kept).
 * Where no file can be written, there is none, and nothing else changes.
 */
void fb_log_open (gboolean to_stderr);

/* The log's descriptor, or -1: standard error of an engine without terminal, so that last words of libraries are kept, too. */
int  fb_log_fd   (void);
