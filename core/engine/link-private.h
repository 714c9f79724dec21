/* core/engine/link-private.h: a connection to an engine that is found, or started. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

/* FbLink: a connection that has said Hello. Immutable, reference-counted. */
typedef struct
{
  gatomicrefcount  ref_count;
  GDBusConnection *connection;
  gboolean         with_fds;      /* else pixels travel inline */
  guint32          pid;
} FbLink;

/**
 * fb_link_open: (blocking)
 *
 * The engine at $FLASHBRUSH_REMOTE; else the user's own, which is started if nobody answers, and replaced if it is of another build than the one
 * that would be started. An engine that still works for others is waited for.
 *
 * Returns: (transfer full): never a link that is closed already, as far as one can tell
 */
FbLink * fb_link_open  (GCancellable *cancellable, GError **error);
FbLink * fb_link_ref   (FbLink *self);
void     fb_link_unref (FbLink *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbLink, fb_link_unref)

/* Turns what GDBus says when a connection breaks or stays silent into %FB_ENGINE_ERROR, and removes GDBus' own words from the message. */
void     fb_link_explain (GError *error);

/**
 * FbLinkLimits: how long a client waits, in seconds; not const, so that tests needn't wait as long
 * @connect: for the socket, and for Hello
 * @start: for a new engine
 * @leave: for an engine of another build to finish its work
 * @call: for an answer that needs no computing
 * @pixels: for a piece of a picture; 4 MiB over a slow forwarded line
 * @beat: between two signs of life while a job runs
 */
typedef struct
{
  double connect, start, leave, call, pixels, beat;
} FbLinkLimits;

extern FbLinkLimits fb_link_limits;

static inline int
fb_link_ms (double seconds)
{
  return (int) (seconds * 1000.0);
}
