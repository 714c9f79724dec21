/* core/engine/queue-private.h: jobs one after another, on one thread. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/task-private.h"

/* Used from the main thread; the thread for the jobs starts with the first of them. */
typedef struct FbQueue FbQueue;

/* Called on the main thread when a cancelled job has not ended within the settings' hang_seconds. */
typedef void (* FbHungFunc) (FbTask *task, gpointer user_data);

/* @beside: for jobs that use neither device nor models in memory, and so needn't wait for those that do */
FbQueue * fb_queue_new    (FbWorkshop *workshop, gboolean beside, FbHungFunc hung, gpointer user_data);

/* Cancels everything, and waits at most @seconds for the running job. Returns: %FALSE if it didn't end: then neither the queue nor the workshop may be freed */
gboolean  fb_queue_stop   (FbQueue *self, double seconds);
void      fb_queue_free   (FbQueue *self);

void      fb_queue_push   (FbQueue *self, FbTask *task);
void      fb_queue_cancel (FbQueue *self, FbTask *task);

/* queued and running */
int       fb_queue_n_jobs (FbQueue *self);
