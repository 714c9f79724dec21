/* core/engine/place.h: where engine and clients meet. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#define FB_ENGINE_PROTOCOL    1u
#define FB_ENGINE_OBJECT_PATH "/org/flashbrush/Engine1"
#define FB_ENGINE_INTERFACE   "org.flashbrush.Engine1"

/**
 * fb_place_socket:
 *
 * Path of the user's socket: $FLASHBRUSH_SOCKET; else in $XDG_RUNTIME_DIR/flashbrush; else, where that is unset or of no use,
 * in flashbrush/run in the user's cache folder. The folder is made, and belongs to the user alone (0700).
 *
 * Returns: (transfer full): the path, or %NULL with %FB_ENGINE_ERROR_NO_SOCKET
 */
char * fb_place_socket (GError **error);

/* (transfer full): the executable a client starts: $FLASHBRUSH_ENGINE, else the installed one */
char * fb_place_engine (void);

/**
 * fb_place_build:
 * @engine: path of an engine's executable
 *
 * Returns: (transfer full): what tells one build's executable from another's: version, size, inode and time of change. An engine that started before
 *   an update still names the file it was started from.
 */
char * fb_place_build (const char *engine);
