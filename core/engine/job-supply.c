/* core/engine/job-supply.c: a picture before it is sent: made in steps, and copied for the engine in a thread. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The copy of 12 megapixels takes a tenth of a second, in which a pen would stand still.
 */
#include "core/engine/job-private.h"

#include <unistd.h>

#include "core/engine/pixels.h"

/* --- in a thread --------------------------------------------------------------------------------------------------------- */

typedef struct
{
  FbJobParcel *parcel;
  gboolean     with_fd;           /* the link may be lost meanwhile */
} Work;

static void
make_ready (GTask *task, gpointer job, gpointer data, GCancellable *cancellable)
{
  const Work  *work   = data;
  FbJobParcel *parcel = work->parcel;
  GError      *error  = NULL;
  int          fd     = -1;

  if (parcel->image == NULL)
    parcel->image = parcel->source->finish (parcel->data, &error);
  if (parcel->image != NULL && work->with_fd)
    fd = fb_pixels_to_fd (parcel->image, &error);

  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_int (task, fd);
}

static void
on_ready (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(FbJob)  self   = user_data;
  FbJobParcel      *parcel = ((Work *) g_task_get_task_data (G_TASK (result)))->parcel;
  GError           *error  = NULL;
  int               fd     = (int) g_task_propagate_int (G_TASK (result), &error);

  self->n_calls--;
  if (!self->finished && error != NULL)
    fb_job_end_early (self, error);
  else if (!self->finished && !self->cancelled)
    fb_job_put (self, parcel, fd);
  else
    {
      g_clear_error (&error);
      if (fd >= 0)
        close (fd);
    }
}

/* The task does not hold the job: its last reference may go in the thread, where a job must not end. */
static void
finish_in_thread (FbJob *self, FbJobParcel *parcel)
{
  g_autoptr(GTask)  task = g_task_new (NULL, NULL, on_ready, g_object_ref (self));
  Work             *work = g_new (Work, 1);

  *work = (Work) { parcel, self->link->with_fds };
  self->n_calls++;
  g_task_set_task_data (task, work, g_free);
  g_task_run_in_thread (task, make_ready);
}

/* --- step by step -------------------------------------------------------------------------------------------------------- */

static gboolean
on_idle (gpointer data)
{
  FbJob       *self   = data;
  FbJobParcel *parcel = self->to_put->pdata[self->n_put];
  GError      *error  = NULL;

  if (self->cancelled || self->finished)                   /* the end is on its way, or has come */
    return G_SOURCE_REMOVE;
  if (parcel->source->step (parcel->data, &error))
    return G_SOURCE_CONTINUE;
  if (error != NULL)
    fb_job_end_early (self, error);
  else
    finish_in_thread (self, parcel);

  return G_SOURCE_REMOVE;
}

void
fb_job_supply (FbJob *self, FbJobParcel *parcel)
{
  g_autoptr(GSource) idle = NULL;

  if (parcel->image != NULL || parcel->source->step == NULL)
    {
      finish_in_thread (self, parcel);
      return;
    }
  idle = g_idle_source_new ();
  g_source_set_callback (idle, on_idle, g_object_ref (self), g_object_unref);
  g_source_attach (idle, self->context);
}
