/* core/engine/client-private.h: what a job needs of its client. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/client.h"
#include "core/engine/link-private.h"

/**
 * fb_engine_client_get_link_async:
 *
 * Returns: (transfer full): a link that is open, as far as one can tell; in the caller's thread-default main context
 */
void     fb_engine_client_get_link_async  (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
FbLink * fb_engine_client_get_link_finish (FbEngineClient *self, GAsyncResult *result, GError **error);

/* Forgets @link, so that the next one is a new one. */
void     fb_engine_client_drop_link (FbEngineClient *self, FbLink *link);

/* a number for a job, never used before on any of this client's links */
guint32  fb_engine_client_next_job (FbEngineClient *self);
