/* core/engine/command-line.h: what commands say on a terminal, and what the options they are given have in common.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

/* A line that the next one overwrites, where there is somebody to see it; "" for none */
void     fb_command_show         (const char *line);
/* (transfer full): "3 h 05 min" */
char *   fb_command_duration     (double seconds);

/* A number that was not given, as an int and as a double */
#define FB_NOT_GIVEN G_MININT

/* Whether @value of option "--x" was not given or lies between, which NaN does not */
gboolean fb_command_check_range  (const char *option, double value, double low, double high, GError **error);
/* Whether @value (nullable) is one of @names, which %NULL ends */
gboolean fb_command_check_choice (const char *option, const char *value, const char * const *names, GError **error);
/* Whether @text (nullable) is UTF-8; @name: whose value it is */
gboolean fb_command_check_text   (const char *name, const char *text, GError **error);
/* Whether a file can be written to @path, asked before minutes of computing */
gboolean fb_command_check_output (const char *path, GError **error);
