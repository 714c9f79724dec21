/* core/engine/server-private.h: the engine at its socket, and its peers. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/queue-private.h"

typedef struct FbPeer FbPeer;

typedef struct
{
  const FbTrade *trade;
  FbWorkshop     workshop;
  FbQueue       *queue;
  FbQueue       *errands;         /* jobs of the kinds that are done beside the others */
  GThreadPool   *clerk;           /* one thread for questions that read files: Estimate, ListModels */
  char          *build;
  GMainLoop     *loop;
  GDBusServer   *socket;          /* NULL once it takes no more connections */
  char          *path;
  int            lock_fd;
  GList         *peers;           /* of FbPeer */
  gboolean       leaving;
  gboolean       hung;
  gint64         last_used;       /* monotonic */
} FbServer;

/* the queue that does @kind's jobs */
FbQueue * fb_server_queue (FbServer *self, const FbJobKind *kind);
/* queued and running, of all kinds */
int      fb_server_n_queued (FbServer *self);
/* Something happened for a client: the idle time starts again. */
void     fb_server_touch (FbServer *self);
/* No new connections and jobs; the process ends when the present jobs are done and their pictures fetched. */
void     fb_server_leave (FbServer *self);
/* Called by a peer when a job is over, or the peer itself. */
void     fb_server_check_leave (FbServer *self);

/* core/engine/peer.c: one connection. Lives until the connection closes. */
FbPeer * fb_peer_new  (FbServer *server, GDBusConnection *connection, GError **error);
void     fb_peer_free (FbPeer *self);
/* jobs that are not done, or whose pictures have not been fetched */
int      fb_peer_n_jobs (FbPeer *self);
/* Answers all open calls with @error. */
void     fb_peer_fail_all (FbPeer *self, const GError *error);
/* the clerk's work: answers one question of a peer */
void     fb_peer_answer (gpointer question, gpointer user_data);
GDBusConnection * fb_peer_connection (FbPeer *self);
