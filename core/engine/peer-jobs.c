/* core/engine/peer-jobs.c: a client's jobs, from Run to the last picture fetched. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/peer-private.h"

#include <glib/gi18n-lib.h>

#include "core/engine/pixels.h"

#define MAX_JOBS 64                 /* of one client, queued or with pictures to fetch */

void
fb_peer_job_free (FbPeerJob *job)
{
  job->task->changed = NULL;
  fb_task_unref (job->task);
  g_clear_pointer (&job->preview, fb_image_unref);
  g_clear_object (&job->call);
  g_free (job);
}

/* --- Run -------------------------------------------------------------------------------------------------------------- */

static GVariant *
progress_to_variant (const FbJobProgress *progress, gboolean has_preview)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "stage",        "s", progress->stage);
  g_variant_dict_insert (&dict, "picture",      "i", progress->picture);
  g_variant_dict_insert (&dict, "step",         "i", progress->step);
  g_variant_dict_insert (&dict, "n-steps",      "i", progress->n_steps);
  g_variant_dict_insert (&dict, "fraction",     "d", progress->fraction);
  g_variant_dict_insert (&dict, "seconds-left", "d", progress->seconds_left);
  g_variant_dict_insert (&dict, "preview",      "b", has_preview);
  return g_variant_dict_end (&dict);
}

static void task_changed (FbTask *task, gpointer user_data);

/* the socket took the last progress: send what is newest now */
static void
on_flushed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GHashTableIter iter;
  gpointer       job;
  FbPeer        *self;

  if (!g_dbus_connection_flush_finish (G_DBUS_CONNECTION (source), result, NULL))
    return;
  self = g_object_get_data (source, "fb-peer");            /* gone when the connection was lost meanwhile */
  if (self == NULL)
    return;
  self->flushing = FALSE;
  g_hash_table_iter_init (&iter, self->jobs);
  while (g_hash_table_iter_next (&iter, NULL, &job))
    fb_task_notify (((FbPeerJob *) job)->task);
}

static void
send_progress (FbPeer *self, FbTask *task)
{
  FbJobProgress progress;
  gboolean      has_progress, has_preview;

  g_mutex_lock (&task->lock);
  has_progress = task->has_progress && !self->flushing;
  if (has_progress)
    {
      progress           = task->progress;
      task->has_progress = FALSE;
      has_preview        = task->preview != NULL;
    }
  g_mutex_unlock (&task->lock);

  if (has_progress)
    {
      fb_dbus_engine1_emit_progress (self->skeleton, task->number, progress_to_variant (&progress, has_preview));
      self->flushing = TRUE;
      g_dbus_connection_flush (self->connection, NULL, on_flushed, NULL);
    }
}

/* forgets a job that is answered and whose pictures are fetched */
static void
forget_if_over (FbPeer *self, FbPeerJob *job)
{
  gboolean over = job->call == NULL;

  g_mutex_lock (&job->task->lock);
  for (guint i = 0; i < job->task->pictures->len; i++)
    over = over && ((FbTaskPicture *) job->task->pictures->pdata[i])->image == NULL;
  g_mutex_unlock (&job->task->lock);

  if (over)
    {
      g_hash_table_remove (self->jobs, GUINT_TO_POINTER (job->task->number));
      fb_server_check_leave (self->server);
    }
}

static void
task_changed (FbTask *task, gpointer user_data)
{
  FbPeer   *self = user_data;
  FbPeerJob      *job  = g_hash_table_lookup (self->jobs, GUINT_TO_POINTER (task->number));
  gboolean  done;
  guint     n_pictures;

  fb_server_touch (self->server);
  send_progress (self, task);

  g_mutex_lock (&task->lock);
  done       = task->done;
  n_pictures = task->pictures->len;
  for (guint i = task->n_announced; i < n_pictures; i++)      /* emitting only queues the message, so the lock may stay */
    {
      FbTaskPicture *picture = task->pictures->pdata[i];

      fb_dbus_engine1_emit_picture (self->skeleton, task->number, (int) i, picture->seed, picture->metadata);
    }
  task->n_announced = n_pictures;
  g_mutex_unlock (&task->lock);

  if (done && job->call != NULL)
    {
      GDBusMethodInvocation *call = g_steal_pointer (&job->call);

      if (task->result != NULL)
        fb_dbus_engine1_complete_run (self->skeleton, call, task->result);
      else
        g_dbus_method_invocation_return_gerror (call, task->error);
      forget_if_over (self, job);
    }
}

gboolean
fb_peer_on_run (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, guint32 number, const char *name, GVariant *request, FbPeer *self)
{
  g_autoptr(GHashTable)  put = NULL;
  const FbJobKind       *kind;
  FbPeerJob                   *job;

  if (!fb_peer_may_call (self, call) || (kind = fb_peer_find_kind (self, call, name)) == NULL)
    return TRUE;
  if (self->server->leaving)
    fb_peer_refuse (call, FB_ENGINE_ERROR_LEAVING, _("The engine is about to leave."));
  else if (g_hash_table_contains (self->jobs, GUINT_TO_POINTER (number)))
    fb_peer_refuse (call, FB_ENGINE_ERROR_PROTOCOL, "this job's number is in use");
  else if (g_hash_table_size (self->jobs) >= MAX_JOBS)
    fb_peer_refuse (call, FB_ENGINE_ERROR_BUSY, _("Too many jobs wait already."));
  else if ((put = fb_peer_collect_put (self, number)) == NULL)
    fb_peer_refuse (call, FB_ENGINE_ERROR_PIXELS, _("A picture was refused: parts of it never came."));
  else
    {
      job                = g_new0 (FbPeerJob, 1);
      job->call          = call;
      job->task          = fb_task_new (&self->server->workshop, kind, request, put);
      job->task->number  = number;
      job->task->changed = task_changed;
      job->task->owner   = self;
      g_hash_table_insert (self->jobs, GUINT_TO_POINTER (number), job);
      fb_queue_push (fb_server_queue (self->server, kind), job->task);
    }
  return TRUE;
}

/* --- Cancel, Take ----------------------------------------------------------------------------------------------------- */

gboolean
fb_peer_on_cancel (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, guint32 number, FbPeer *self)
{
  FbPeerJob *job = g_hash_table_lookup (self->jobs, GUINT_TO_POINTER (number));

  if (!fb_peer_may_call (self, call))
    return TRUE;
  g_hash_table_remove (self->put, GUINT_TO_POINTER (number));
  if (job != NULL)
    fb_queue_cancel (fb_server_queue (self->server, job->task->kind), job->task);
  fb_dbus_engine1_complete_cancel (skeleton, call);
  return TRUE;
}

/* (transfer full) (nullable): the image a Take asks for */
static FbImage *
find_image (FbPeerJob *job, int number, guint64 offset)
{
  FbImage *image = NULL;

  g_mutex_lock (&job->task->lock);
  if (number == -1 && offset == 0)                         /* later chunks are of the same preview, whatever came since */
    {
      g_clear_pointer (&job->preview, fb_image_unref);
      job->preview = g_steal_pointer (&job->task->preview);
    }
  if (number == -1)
    image = job->preview;
  else if (number >= 0 && (guint) number < job->task->pictures->len)
    image = ((FbTaskPicture *) job->task->pictures->pdata[number])->image;
  if (image != NULL)
    fb_image_ref (image);
  g_mutex_unlock (&job->task->lock);
  return image;
}

static void
forget_image (FbPeer *self, FbPeerJob *job, int number)
{
  g_mutex_lock (&job->task->lock);
  if (number == -1)
    g_clear_pointer (&job->preview, fb_image_unref);
  else
    g_clear_pointer (&((FbTaskPicture *) job->task->pictures->pdata[number])->image, fb_image_unref);
  g_mutex_unlock (&job->task->lock);
  forget_if_over (self, job);
}

/* answers Take with the whole image, or with a chunk. Returns: whether that was all of it */
static gboolean
send_image (FbPeer *self, GDBusMethodInvocation *call, FbImage *image, guint64 offset)
{
  g_autoptr(GUnixFDList) fds   = NULL;
  g_autoptr(GError)      error = NULL;
  GVariant              *shape = g_variant_ref_sink (g_variant_new ("(uuu)", image->width, image->height, image->n_channels));
  GVariant              *bytes = NULL;
  int                    fd    = -1;
  gboolean               last  = FALSE;

  if (self->with_fds)
    {
      fd = fb_pixels_to_fd (image, &error);
      if (fd >= 0)
        {
          fds   = g_unix_fd_list_new_from_array (&fd, 1);   /* takes the descriptor */
          bytes = g_variant_new_array (G_VARIANT_TYPE_BYTE, NULL, 0);
          last  = TRUE;
        }
    }
  else
    {
      bytes = fb_pixels_get_chunk (image, offset, &error);
      last  = bytes != NULL && offset + g_variant_get_size (bytes) == fb_image_n_bytes (image);
    }

  if (bytes != NULL)
    fb_dbus_engine1_complete_take (self->skeleton, call, fds, shape, bytes,
                                   fds != NULL ? g_variant_new_parsed ("[handle 0]") : g_variant_new_array (G_VARIANT_TYPE_HANDLE, NULL, 0));
  else
    g_dbus_method_invocation_return_gerror (call, error);
  g_variant_unref (shape);
  return last;
}

gboolean
fb_peer_on_take (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, GUnixFDList *fds, guint32 number, int picture, guint64 offset, FbPeer *self)
{
  FbPeerJob                *job   = g_hash_table_lookup (self->jobs, GUINT_TO_POINTER (number));
  g_autoptr(FbImage)  image = NULL;

  if (!fb_peer_may_call (self, call))
    return TRUE;
  if (job != NULL)
    image = find_image (job, picture, offset);
  if (image == NULL)
    fb_peer_refuse (call, FB_ENGINE_ERROR_PIXELS, _("There is no such picture to fetch."));
  else if (send_image (self, call, image, offset))
    forget_image (self, job, picture);
  return TRUE;
}
