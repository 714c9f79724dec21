/* core/engine/queue.c: jobs one after another, on one thread. SPDX-License-Identifier: LGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/engine/queue-private.h"

#include <glib/gi18n-lib.h>
#include <sys/resource.h>
#include <unistd.h>

struct FbQueue
{
  FbWorkshop *workshop;
  gboolean    beside;
  FbHungFunc  hung;
  gpointer    user_data;
  GThread    *thread;             /* NULL until the first job */

  GMutex      lock;
  GCond       changed;
  GQueue      waiting;            /* of FbTask, under the lock, as the next two */
  FbTask     *running;
  gboolean    stopping;
  gboolean    stopped;
};

typedef struct
{
  FbQueue *queue;
  FbTask  *task;
} Watch;

FbQueue *
fb_queue_new (FbWorkshop *workshop, gboolean beside, FbHungFunc hung, gpointer user_data)
{
  FbQueue *self = g_new0 (FbQueue, 1);

  self->workshop  = workshop;
  self->beside    = beside;
  self->hung      = hung;
  self->user_data = user_data;
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  g_queue_init (&self->waiting);
  return self;
}

void
fb_queue_free (FbQueue *self)
{
  if (self->thread != NULL)
    g_thread_join (self->thread);
  g_queue_clear_full (&self->waiting, (GDestroyNotify) fb_task_unref);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}

/* tells waiting jobs how many are ahead of them; with the lock held */
static void
announce_places (FbQueue *self)
{
  int n_ahead = self->running != NULL ? 1 : 0;

  for (GList *l = self->waiting.head; l != NULL; l = l->next, n_ahead++)
    {
      FbJobProgress place = { .stage = "queue", .step = n_ahead, .seconds_left = -1.0 };

      fb_task_progress (l->data, &place);
    }
}

static void
run_task (FbQueue *self, FbTask *task)
{
  GError   *error  = NULL;
  GVariant *result = NULL;
  gint64    start  = g_get_monotonic_time ();

  g_message ("job of kind %s starts", task->kind->name);
  if (!g_cancellable_set_error_if_cancelled (task->cancellable, &error))
    result = task->kind->run (task, &error);
  if (result != NULL)
    g_variant_take_ref (result);

  if (!self->beside)
    fb_residents_settle (task->workshop->residents);
  g_message ("job of kind %s ends after %.2f s: %s", task->kind->name, (g_get_monotonic_time () - start) / 1e6,
             error != NULL ? error->message : "done");
  fb_task_finish (task, result, error);
}

/* for what works in the background; with the lock held */
static void
count (FbQueue *self)
{
  if (!self->beside)
    g_atomic_int_set (&self->workshop->n_working, (int) self->waiting.length + (self->running != NULL ? 1 : 0));
}

static gpointer
work (gpointer user_data)
{
  FbQueue *self = user_data;

  /* Linux counts niceness per thread, and threads started by this one (OpenMP's) take it over; the thread that answers stays quick */
  setpriority (PRIO_PROCESS, gettid (), self->workshop->settings->nice);

  g_mutex_lock (&self->lock);
  while (!self->stopping)
    {
      FbTask *task = g_queue_pop_head (&self->waiting);

      if (task == NULL)
        {
          g_cond_wait (&self->changed, &self->lock);
          continue;
        }
      self->running = task;
      announce_places (self);
      g_mutex_unlock (&self->lock);

      run_task (self, task);

      g_mutex_lock (&self->lock);
      self->running = NULL;
      count (self);
      fb_task_unref (task);
    }
  g_mutex_unlock (&self->lock);

  if (!self->beside)                                       /* what jobs share is freed where it was made */
    {
      fb_residents_drop (self->workshop->residents, NULL);
      if (self->workshop->bench != NULL)
        g_clear_pointer (&self->workshop->bench, self->workshop->free_bench);
    }

  g_mutex_lock (&self->lock);
  self->stopped = TRUE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return NULL;
}

void
fb_queue_push (FbQueue *self, FbTask *task)
{
  g_mutex_lock (&self->lock);
  g_queue_push_tail (&self->waiting, fb_task_ref (task));
  count (self);
  announce_places (self);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);

  if (self->thread == NULL)
    self->thread = g_thread_new ("jobs", work, self);
}

static void
watch_free (Watch *watch)
{
  fb_task_unref (watch->task);
  g_free (watch);
}

static gboolean
on_grace_over (gpointer user_data)
{
  Watch *watch = user_data;

  watch->task->grace = 0;
  if (!fb_task_is_done (watch->task))
    watch->queue->hung (watch->task, watch->queue->user_data);
  return G_SOURCE_REMOVE;
}

void
fb_queue_cancel (FbQueue *self, FbTask *task)
{
  gboolean was_waiting;

  if (g_cancellable_is_cancelled (task->cancellable) || fb_task_is_done (task))
    return;

  g_mutex_lock (&self->lock);
  was_waiting = g_queue_remove (&self->waiting, task);
  count (self);
  if (was_waiting)
    announce_places (self);
  g_mutex_unlock (&self->lock);

  g_cancellable_cancel (task->cancellable);
  if (was_waiting)
    {
      fb_task_finish (task, NULL, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, _("Cancelled.")));
      fb_task_unref (task);
    }
  else
    {
      Watch *watch = g_new (Watch, 1);

      *watch = (Watch) { self, fb_task_ref (task) };
      task->grace = g_timeout_add_full (G_PRIORITY_DEFAULT, (guint) (self->workshop->settings->hang_seconds * 1000.0), on_grace_over, watch,
                                        (GDestroyNotify) watch_free);
    }
}

int
fb_queue_n_jobs (FbQueue *self)
{
  int n;

  g_mutex_lock (&self->lock);
  n = (int) self->waiting.length + (self->running != NULL ? 1 : 0);
  g_mutex_unlock (&self->lock);
  return n;
}

gboolean
fb_queue_stop (FbQueue *self, double seconds)
{
  gint64   until = g_get_monotonic_time () + (gint64) (seconds * 1e6);
  gboolean stopped;

  g_mutex_lock (&self->lock);
  self->stopping = TRUE;
  if (self->running != NULL)
    g_cancellable_cancel (self->running->cancellable);
  g_cond_broadcast (&self->changed);
  while (self->thread != NULL && !self->stopped && g_cond_wait_until (&self->changed, &self->lock, until))
    ;
  stopped = self->thread == NULL || self->stopped;
  g_mutex_unlock (&self->lock);
  return stopped;
}
