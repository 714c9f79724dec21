/* core/engine/job-fetch.c: previews and finished pictures, from the engine. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * One at a time. What comes as a file descriptor is read in a thread: 10 megapixels take a tenth of a second, in which a pen would stand still.
 */
#include "core/engine/job-private.h"

#include <gio/gunixfdlist.h>
#include <glib/gi18n-lib.h>
#include <unistd.h>

#include "core/engine/pixels.h"

#define PREVIEW (-1)

static void take (FbJob *self, int number);

static void
arrived (FbJob *self, int number, FbImage *image)
{
  if (number == PREVIEW)
    {
      fb_job_emit_progress (self, image);
      return;
    }
  ((FbJobPicture *) self->pictures->pdata[number])->image = fb_image_ref (image);
  self->n_fetched++;
  fb_job_emit_picture (self, number);
}

static void
failed (FbJob *self, int number, GError *error)
{
  g_clear_pointer (&self->incoming, fb_image_unref);
  fb_link_explain (error);
  if (g_error_matches (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_DIED) || g_error_matches (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_TIMED_OUT))
    fb_job_lose (self, error);
  else if (number == PREVIEW)                              /* the job ended meanwhile; nobody misses it */
    g_clear_error (&error);
  else
    fb_job_end_early (self, error);
}

/* @number has come, as @image or with @error (transfer full) for both; or a chunk of it, with neither. */
static void
received (FbJob *self, int number, FbImage *image, GError *error)
{
  g_autoptr(FbImage) owned = image;

  self->taking = FALSE;
  if (self->finished)
    {
      g_clear_error (&error);
      return;
    }
  if (error == NULL && image == NULL)
    {
      take (self, number);                                 /* the next chunk */
      return;
    }
  if (error != NULL)
    failed (self, number, error);
  else
    arrived (self, number, image);
  if (!self->finished)
    fb_job_take_next (self);
}

/* --- in a thread --------------------------------------------------------------------------------------------------------- */

typedef struct
{
  int   number, fd;
  guint width, height, n_channels;
} Read;

static void
read_free (gpointer data)
{
  Read *what = data;

  if (what->fd >= 0)
    close (what->fd);
  g_free (what);
}

static void
read_in_thread (GTask *task, gpointer job, gpointer data, GCancellable *cancellable)
{
  const Read *what  = data;
  GError     *error = NULL;
  FbImage    *image = fb_pixels_from_fd (what->fd, what->width, what->height, what->n_channels, &error);

  if (image != NULL)
    g_task_return_pointer (task, image, (GDestroyNotify) fb_image_unref);
  else
    g_task_return_error (task, error);
}

static void
on_read (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(FbJob)  self  = user_data;
  const Read       *what  = g_task_get_task_data (G_TASK (result));
  GError           *error = NULL;
  FbImage          *image = g_task_propagate_pointer (G_TASK (result), &error);

  self->n_calls--;
  received (self, what->number, image, error);
}

/* (transfer full) @fd. The task does not hold the job: its last reference may go in the thread, where a job must not end. */
static void
read_later (FbJob *self, int number, int fd, GVariant *shape)
{
  g_autoptr(GTask)  task = g_task_new (NULL, NULL, on_read, g_object_ref (self));
  Read             *what = g_new (Read, 1);

  *what = (Read) { .number = number, .fd = fd };
  g_variant_get (shape, "(uuu)", &what->width, &what->height, &what->n_channels);
  self->n_calls++;
  g_task_set_task_data (task, what, read_free);
  g_task_run_in_thread (task, read_in_thread);
}

/* --- in chunks ----------------------------------------------------------------------------------------------------------- */

/* Adds what one Take brought. Returns: (transfer full): the image, if that was all of it; %NULL with @error when the engine sent nonsense */
static FbImage *
add_chunk (FbJob *self, GVariant *shape, GVariant *bytes, GError **error)
{
  guint width, height, n_channels;

  g_variant_get (shape, "(uuu)", &width, &height, &n_channels);
  if (self->incoming == NULL)
    {
      if (!fb_pixels_check_shape (width, height, n_channels, NULL, error))
        return NULL;
      self->incoming = fb_image_new (width, height, n_channels);
      self->n_filled = 0;
      if (self->incoming == NULL)
        {
          g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_MEMORY, _("There is no memory for a picture of %u × %u pixels."), width, height);
          return NULL;
        }
    }
  if (!fb_pixels_put_chunk (self->incoming, &self->n_filled, self->n_filled, bytes, error))
    return NULL;
  return self->n_filled == fb_image_n_bytes (self->incoming) ? g_steal_pointer (&self->incoming) : NULL;
}

/* --- one Take ------------------------------------------------------------------------------------------------------------ */

typedef struct
{
  FbJob *job;
  int    number;
} Take;

static void
on_taken (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Take                   *what    = user_data;
  g_autoptr(FbJob)        self    = what->job;
  const int               number  = what->number;
  g_autoptr(GVariant)     shape   = NULL;
  g_autoptr(GVariant)     bytes   = NULL;
  g_autoptr(GVariant)     handles = NULL;
  g_autoptr(GUnixFDList)  fds     = NULL;
  FbImage                *image   = NULL;
  GError                 *error   = NULL;

  g_free (what);
  self->n_calls--;
  if (fb_dbus_engine1_call_take_finish (FB_DBUS_ENGINE1 (source), &shape, &bytes, &handles, &fds, result, &error) && !self->finished)
    {
      if (fds != NULL && g_unix_fd_list_get_length (fds) == 1)
        {
          const int fd = g_unix_fd_list_get (fds, 0, &error);

          if (fd >= 0)
            {
              read_later (self, number, fd, shape);
              return;
            }
        }
      else
        image = add_chunk (self, shape, bytes, &error);
    }
  received (self, number, image, error);
}

static void
take (FbJob *self, int number)
{
  Take *what = g_new (Take, 1);

  *what = (Take) { g_object_ref (self), number };
  self->taking = TRUE;
  self->n_calls++;
  g_dbus_proxy_set_default_timeout (G_DBUS_PROXY (self->proxy), fb_link_ms (fb_link_limits.pixels));
  fb_dbus_engine1_call_take (self->proxy, self->number, number, self->incoming != NULL ? self->n_filled : 0, NULL, self->calls, on_taken, what);
}

void
fb_job_take_next (FbJob *self)
{
  if (self->taking || self->finished)
    return;
  if (self->n_fetched < self->pictures->len)
    take (self, (int) self->n_fetched);
  else if (self->answered)
    fb_job_finish (self);
  else if (self->has_preview)
    {
      self->has_preview = FALSE;
      take (self, PREVIEW);
    }
}
