/* core/store/nearest.h: the known names closest to one that is not known. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/**
 * fb_nearest:
 * @wanted: what somebody wrote, UTF-8
 * @names: @n_names known names, UTF-8
 * @max: at most so many
 *
 * Compares without case. A name is near when it contains @wanted or few typing errors lead from one to the other (added, lost, changed
 * or swapped letters, at most half of the longer name); containing counts as half an error. Only the first 128 letters count.
 *
 * Returns: (transfer full): %NULL-terminated, the nearest first, equals in the order of @names; empty when nothing is near
 */
char ** fb_nearest          (const char *wanted, const char * const *names, int n_names, int max);

/**
 * fb_nearest_sentence:
 *
 * Returns: (transfer full): for the end of an error message, translated: “ Did you mean “a”, “b” or “c”?” with a leading blank, or ""
 * when nothing is near
 */
char *  fb_nearest_sentence (const char *wanted, const char * const *names, int n_names);
