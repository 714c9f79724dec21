/* core/engine/task-private.h: a job between the thread that does it and the thread that talks. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/job-kind.h"

typedef struct
{
  FbImage  *image;                /* NULL once it has been taken */
  gint64    seed;
  GVariant *metadata;
} FbTaskPicture;

/* On the main thread: something in @task is new. Calls are merged. */
typedef void (* FbTaskChangedFunc) (FbTask *task, gpointer owner);

struct FbTask
{
  gatomicrefcount    ref_count;
  FbWorkshop        *workshop;
  const FbJobKind   *kind;
  GVariant          *request;
  GHashTable        *put;          /* name → FbImage */
  GCancellable      *cancellable;

  /* main thread only */
  guint32            number;       /* the client's */
  FbTaskChangedFunc  changed;      /* NULL once the client is gone */
  gpointer           owner;
  guint              grace;        /* source that watches a cancelled job */
  int                n_announced;  /* pictures the client knows of */

  GMutex             lock;
  /* under the lock */
  gboolean           notified;     /* changed() is on its way */
  gboolean           has_progress;
  FbJobProgress      progress;     /* newest, not sent yet; its preview is in @preview */
  FbImage           *preview;
  GPtrArray         *pictures;     /* of FbTaskPicture */
  gboolean           done;
  GVariant          *result;
  GError            *error;
};

FbTask * fb_task_new    (FbWorkshop *workshop, const FbJobKind *kind, GVariant *request, GHashTable *put);
FbTask * fb_task_ref    (FbTask *self);
void     fb_task_unref  (FbTask *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbTask, fb_task_unref)

/* Any thread: schedules changed() on the main thread. */
void     fb_task_notify (FbTask *self);
/* Any thread: the job is over; takes @result and @error, one of which is %NULL. Only the first call counts. */
void     fb_task_finish (FbTask *self, GVariant *result, GError *error);
gboolean fb_task_is_done (FbTask *self);
