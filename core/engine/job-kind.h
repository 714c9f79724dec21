/* core/engine/job-kind.h: the kinds of jobs an engine does. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/client.h"
#include "core/engine/residents.h"
#include "core/engine/settings.h"

/**
 * FbWorkshop: what all jobs of an engine share
 * @data: (nullable): made by the kinds when they first need it (devices, the store), freed by @free_data on the worker thread
 */
typedef struct
{
  FbSettings     *settings;
  FbResidents    *residents;
  gpointer        data;
  GDestroyNotify  free_data;
} FbWorkshop;

/* A job while it is being done; all functions are called on the worker thread. */
typedef struct FbTask FbTask;

FbWorkshop *   fb_task_workshop    (FbTask *self);
GVariant *     fb_task_request     (FbTask *self);
GCancellable * fb_task_cancellable (FbTask *self);
/* (transfer none) (nullable): a picture that the client put under @name */
FbImage *      fb_task_picture     (FbTask *self, const char *name);

/* Tells the client. Only the newest state is kept, so this may be called as often as one likes. Strings must be static. */
void           fb_task_progress    (FbTask *self, const FbJobProgress *progress);

/* Hands a finished picture over. @metadata: a{sv}, what is known of it now; a floating reference is taken */
void           fb_task_add_picture (FbTask *self, FbImage *picture, gint64 seed, GVariant *metadata);

/**
 * FbJobKind: one row of an engine's table
 * @name: as in fb_job_new()
 * @estimate: (nullable): checks @request and says what it costs; on a thread of its own, beside a running job, so it touches neither device nor residents
 * @run: (transfer full): a{sv}, metadata common to all pictures; %NULL with @error set
 */
typedef struct
{
  const char *name;
  gboolean   (* estimate) (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error);
  GVariant * (* run)      (FbTask *task, GError **error);
} FbJobKind;

/**
 * FbTrade: all that an engine's executable brings
 * @kinds: ends with a row without name
 * @capabilities: adds to the answer of GetCapabilities; on the main thread, so it only knows tables
 * @list_models: (transfer full): aa{sv}; on a thread of its own
 */
typedef struct
{
  const FbJobKind *kinds;
  void       (* capabilities) (FbWorkshop *workshop, GVariantDict *capabilities);
  GVariant * (* list_models)  (FbWorkshop *workshop, GCancellable *cancellable, GError **error);
} FbTrade;
