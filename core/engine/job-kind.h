/* core/engine/job-kind.h: the kinds of jobs an engine does. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/client.h"
#include "core/engine/residents.h"
#include "core/engine/settings.h"

/**
 * FbWorkshop: what all jobs of an engine share
 * @bench: (nullable): made by the kinds when the worker first needs it (the device); freed by @free_bench on the worker thread
 * @desk: (nullable): the same for the clerk, who answers questions beside a running job; freed by @free_desk
 * @distiller: (nullable): the same for what goes on in the background; made on the thread for errands, freed by @free_distiller
 * @n_working: (atomic): jobs that wait for the worker or are done by it
 * @n_background: (atomic): what keeps the engine from leaving by itself although nobody waits for it
 */
typedef struct
{
  FbSettings     *settings;
  FbResidents    *residents;
  gpointer        bench;
  GDestroyNotify  free_bench;
  gpointer        desk;
  GDestroyNotify  free_desk;
  gpointer        distiller;
  GDestroyNotify  free_distiller;
  int             n_working;
  int             n_background;
} FbWorkshop;

/* A job while it is being done; all functions are called on the thread that does it. */
typedef struct FbTask FbTask;

FbWorkshop *   fb_task_workshop    (FbTask *self);
GVariant *     fb_task_request     (FbTask *self);
GCancellable * fb_task_cancellable (FbTask *self);
/* (transfer none) (nullable): a picture that the client put under @name */
FbImage *      fb_task_picture     (FbTask *self, const char *name);

/**
 * fb_task_make_room:
 * @keep: (nullable): key of the resident that the job uses
 * @peak: bytes the job takes, with what @keep holds
 * @least: bytes it can do with
 * @available: bytes the system can give now, with what @keep holds; 0 if it doesn't say
 *
 * Before a job computes: drops other residents until there is room for @peak. Returns: %FALSE with %FB_ENGINE_ERROR_NO_MEMORY if there isn't even
 * for @least
 */
gboolean       fb_task_make_room   (FbTask *self, const char *keep, guint64 peak, guint64 least, guint64 available, GError **error);

/* Tells the client. Only the newest state is kept, so this may be called as often as one likes. Strings must be static. */
void           fb_task_progress    (FbTask *self, const FbJobProgress *progress);

/* Hands a finished picture over. @metadata: a{sv}, what is known of it now; a floating reference is taken */
void           fb_task_add_picture (FbTask *self, FbImage *picture, gint64 seed, GVariant *metadata);

/**
 * FbJobKind: one row of an engine's table
 * @name: as in fb_job_new()
 * @estimate: (nullable): checks @request and says what it costs; on the clerk's thread
 * @run: (transfer full): a{sv}, metadata common to all pictures; %NULL with @error set
 * @beside: done by a thread of its own, one after another, and not after the jobs that compute; @run then uses neither bench nor residents
 */
typedef struct
{
  const char *name;
  gboolean   (* estimate) (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error);
  GVariant * (* run)      (FbTask *task, GError **error);
  gboolean    beside;
} FbJobKind;

/**
 * FbTrade: all that an engine's executable brings
 * @kinds: ends with a row without name
 * @capabilities: (nullable): adds to the answer of GetCapabilities; on the clerk's thread
 * @list_models: (nullable): (transfer full): aa{sv}; on the clerk's thread
 */
typedef struct
{
  const FbJobKind *kinds;
  void       (* capabilities) (FbWorkshop *workshop, GVariantDict *capabilities);
  GVariant * (* list_models)  (FbWorkshop *workshop, GCancellable *cancellable, GError **error);
} FbTrade;
