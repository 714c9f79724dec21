/* core/engine/peer-private.h: one client's connection, seen from the engine. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gunixfdlist.h>

#include "core/engine/engine-dbus.h"
#include "core/engine/server-private.h"

struct FbPeer
{
  FbServer        *server;
  GDBusConnection *connection;
  FbDbusEngine1   *skeleton;
  gboolean         greeted;
  gboolean         with_fds;        /* else pixels travel inline */
  gboolean         flushing;        /* progress is on its way; newer progress waits in its task and is replaced there */
  GHashTable      *put;             /* job number → GHashTable: name → FbInbox; for jobs that were not run yet */
  GHashTable      *jobs;            /* job number → FbPeerJob */
};

/* a picture the client is sending */
typedef struct
{
  FbImage *image;
  gsize    n_filled;
} FbInbox;

typedef struct
{
  FbTask                *task;
  GDBusMethodInvocation *call;      /* Run, not answered yet */
  FbImage               *preview;   /* being fetched in chunks */
} FbPeerJob;

void fb_inbox_free    (FbInbox *inbox);
void fb_peer_job_free (FbPeerJob *job);

/* Every handler starts with it: counts as use, and asks for a Hello first; %FALSE when the call has been refused. */
gboolean          fb_peer_may_call  (FbPeer *self, GDBusMethodInvocation *call);
void              fb_peer_refuse    (GDBusMethodInvocation *call, FbEngineError code, const char *message);
/* A kind by its name; %NULL when the call has been refused because there is none. */
const FbJobKind * fb_peer_find_kind (FbPeer *self, GDBusMethodInvocation *call, const char *name);
/* (transfer full): the one descriptor of a message, or -1 */
int               fb_peer_get_fd    (GUnixFDList *list, GVariant *handles);

/* core/engine/peer-put.c */
gboolean fb_peer_on_put (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, GUnixFDList *fds, guint32 number, const char *name, GVariant *shape,
                         guint64 offset, GVariant *bytes, GVariant *handles, FbPeer *self);
/* (transfer full): name → FbImage, of the pictures put for job @number; NULL if one of them is not complete */
GHashTable * fb_peer_collect_put (FbPeer *self, guint32 number);

/* core/engine/peer-jobs.c */
gboolean fb_peer_on_run    (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, guint32 number, const char *name, GVariant *request, FbPeer *self);
gboolean fb_peer_on_cancel (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, guint32 number, FbPeer *self);
gboolean fb_peer_on_take   (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, GUnixFDList *fds, guint32 number, int picture, guint64 offset,
                            FbPeer *self);
