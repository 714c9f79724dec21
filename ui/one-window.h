/* ui/one-window.h: a window that there is once, however often it is asked for. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

/**
 * fb_one_window_claim: (blocking, for two seconds at most)
 * @window: not shown yet; while it lives, others that ask for @name bring it to the front
 * @name: on the session's bus, "org.flashbrush.Models" for example
 * @time: of what the person did to have it, so that the window manager lets it come to the front; 0 if unknown
 *
 * GIMP runs a plug-in's process per call, so the window that is open already may be another process's. Without a session bus, nobody can be asked.
 * Errors: %G_IO_ERROR_BUSY when that process does not answer.
 *
 * Returns: whether to show @window; %FALSE without @error when the other has come to the front
 */
gboolean fb_one_window_claim (GtkWindow *window, const char *name, guint32 time, GError **error);
