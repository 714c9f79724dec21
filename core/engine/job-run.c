/* core/engine/job-run.c: the way of a job. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Find the engine, Put the pictures as they are ready, Run; while it runs, Take previews and finished pictures, one at a time; when Run has answered and
 * the last picture has come, "finished". Every step is one asynchronous call with its limit.
 */
#include "core/engine/job-private.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

#include "core/engine/pixels.h"
#include "core/engine/place.h"

/* --- the end ---------------------------------------------------------------------------------------------------------- */

void
fb_job_finish (FbJob *self)
{
  if (self->finished)
    return;
  self->finished = TRUE;
  g_cancellable_cancel (self->calls);
  if (self->beat != NULL)
    g_source_destroy (self->beat);
  g_clear_pointer (&self->beat, g_source_unref);
  if (self->running && self->proxy != NULL)                /* given up on our side */
    fb_dbus_engine1_call_cancel (self->proxy, self->number, NULL, NULL, NULL);
  if (self->proxy != NULL)
    g_signal_handlers_disconnect_by_data (self->proxy, self);
  g_clear_object (&self->proxy);
  g_clear_pointer (&self->link, fb_link_unref);
  fb_job_emit_finished (self);
  g_object_unref (self);                                   /* taken by fb_job_start() */
}

/* Run has answered, or something on the way to it failed: (transfer full) @error */
static void
end_with (FbJob *self, GError *error)
{
  if (self->error == NULL && self->result == NULL)
    self->error = error;
  else
    g_clear_error (&error);
  self->answered = TRUE;
}

static gboolean
is_engine_error (const GError *error, int code)
{
  return g_error_matches (error, FB_ENGINE_ERROR, code);
}

void
fb_job_end_early (FbJob *self, GError *error)
{
  end_with (self, error);
  fb_job_finish (self);
}

void
fb_job_lose (FbJob *self, GError *error)
{
  fb_engine_client_drop_link (self->client, self->link);
  fb_job_end_early (self, error);
}

/* --- running ---------------------------------------------------------------------------------------------------------- */

static void
on_progress (FbDbusEngine1 *proxy, guint32 number, GVariant *dict, FbJob *self)
{
  const char *stage       = "";
  gboolean    has_preview = FALSE;

  if (number != self->number || self->finished)
    return;
  self->accepted = TRUE;
  g_variant_lookup (dict, "stage", "&s", &stage);
  self->progress.stage = g_intern_string (stage);
  g_variant_lookup (dict, "picture",      "i", &self->progress.picture);
  g_variant_lookup (dict, "step",         "i", &self->progress.step);
  g_variant_lookup (dict, "n-steps",      "i", &self->progress.n_steps);
  g_variant_lookup (dict, "fraction",     "d", &self->progress.fraction);
  g_variant_lookup (dict, "seconds-left", "d", &self->progress.seconds_left);
  g_variant_lookup (dict, "preview",      "b", &has_preview);
  self->has_preview |= has_preview;

  fb_job_emit_progress (self, NULL);
  fb_job_take_next (self);
}

static void
on_picture (FbDbusEngine1 *proxy, guint32 number, int index, gint64 seed, GVariant *metadata, FbJob *self)
{
  FbJobPicture *picture;

  if (number != self->number || self->finished || index != (int) self->pictures->len)
    return;
  self->accepted    = TRUE;
  picture           = g_new0 (FbJobPicture, 1);
  picture->seed     = seed;
  picture->metadata = g_variant_ref (metadata);
  g_ptr_array_add (self->pictures, picture);
  fb_job_take_next (self);
}

/* The engine left, or is about to, before it took the job on: another one may do it. */
static gboolean
try_again (FbJob *self, const GError *error)
{
  gboolean left = is_engine_error (error, FB_ENGINE_ERROR_LEAVING) || (is_engine_error (error, FB_ENGINE_ERROR_DIED) && !self->accepted);

  if (!left || self->again || self->cancelled || self->n_fetched > 0)
    return FALSE;
  self->again    = TRUE;
  self->n_put    = 0;
  self->n_filled = 0;
  g_signal_handlers_disconnect_by_data (self->proxy, self);
  g_clear_object (&self->proxy);
  fb_engine_client_drop_link (self->client, self->link);
  g_clear_pointer (&self->link, fb_link_unref);
  fb_job_find_engine (self);
  return TRUE;
}

/* what became of the error that Put or Run answered with */
static void
fail (FbJob *self, GError *error)
{
  if (try_again (self, error))
    g_clear_error (&error);
  else if (is_engine_error (error, FB_ENGINE_ERROR_DIED))
    fb_job_lose (self, error);
  else
    {
      end_with (self, error);
      fb_job_take_next (self);                                    /* pictures that were finished before it failed */
    }
}

static void
on_run (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(FbJob)     self   = user_data;
  g_autoptr(GVariant)  answer = NULL;
  GError              *error  = NULL;

  self->n_calls--;
  self->running = FALSE;
  fb_dbus_engine1_call_run_finish (FB_DBUS_ENGINE1 (source), &answer, result, &error);
  if (self->finished)
    {
      g_clear_error (&error);
      return;
    }
  if (error != NULL)
    {
      fb_link_explain (error);
      fail (self, error);
      return;
    }
  self->result   = g_steal_pointer (&answer);
  self->answered = TRUE;
  fb_job_take_next (self);
}

static void
on_beat_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(FbJob)     self   = user_data;
  g_autoptr(GVariant)  answer = NULL;
  GError              *error  = NULL;

  self->n_calls--;
  fb_dbus_engine1_call_list_loaded_finish (FB_DBUS_ENGINE1 (source), &answer, result, &error);
  if (error == NULL)
    return;
  fb_link_explain (error);
  if (!self->finished && is_engine_error (error, FB_ENGINE_ERROR_TIMED_OUT))
    fb_job_lose (self, error);
  else
    g_clear_error (&error);
}

/* Run may take hours, so it has no limit; but the engine's main thread always answers at once, or the engine is stuck. */
static gboolean
on_beat (gpointer user_data)
{
  FbJob *self = user_data;

  if (!self->taking)                                       /* a slow line is full of pixels, which have their own limit */
    {
      self->n_calls++;
      g_dbus_proxy_set_default_timeout (G_DBUS_PROXY (self->proxy), fb_link_ms (fb_link_limits.beat));
      fb_dbus_engine1_call_list_loaded (self->proxy, self->calls, on_beat_answer, g_object_ref (self));
    }
  return G_SOURCE_CONTINUE;
}

static void
start_beat (FbJob *self)
{
  if (self->beat != NULL)
    return;
  self->beat = g_timeout_source_new ((guint) fb_link_ms (fb_link_limits.beat));
  g_source_set_callback (self->beat, on_beat, self, NULL);
  g_source_attach (self->beat, self->context);
}

static void
run (FbJob *self)
{
  self->running = TRUE;
  self->n_calls++;
  g_dbus_proxy_set_default_timeout (G_DBUS_PROXY (self->proxy), G_MAXINT);
  fb_dbus_engine1_call_run (self->proxy, self->number, self->kind, self->request, self->calls, on_run, g_object_ref (self));
  start_beat (self);
}

/* --- before the run --------------------------------------------------------------------------------------------------- */

static void put_next (FbJob *self);

static void
on_put (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(FbJob)  self  = user_data;
  FbJobParcel      *parcel;
  GError           *error = NULL;

  self->n_calls--;
  fb_dbus_engine1_call_put_finish (FB_DBUS_ENGINE1 (source), NULL, result, &error);
  if (self->finished)
    {
      g_clear_error (&error);
      return;
    }
  if (error != NULL)
    {
      fb_link_explain (error);
      fail (self, error);
      return;
    }
  parcel = self->to_put->pdata[self->n_put];
  if (self->link->with_fds || self->n_filled == fb_image_n_bytes (parcel->image))
    {
      self->n_put++;
      self->n_filled = 0;
    }
  put_next (self);
}

void
fb_job_put (FbJob *self, FbJobParcel *parcel, int fd)
{
  g_autoptr(GUnixFDList)  fds    = fd >= 0 ? g_unix_fd_list_new_from_array (&fd, 1) : NULL;
  GVariant               *bytes  = NULL;
  GError                 *error  = NULL;
  gsize                   offset = self->n_filled;

  bytes = fds != NULL ? g_variant_new_array (G_VARIANT_TYPE_BYTE, NULL, 0) : fb_pixels_get_chunk (parcel->image, offset, &error);
  if (bytes == NULL)
    {
      fb_job_end_early (self, error);
      return;
    }
  self->n_filled += g_variant_get_size (bytes);
  self->n_calls++;
  g_dbus_proxy_set_default_timeout (G_DBUS_PROXY (self->proxy), fb_link_ms (fb_link_limits.pixels));
  fb_dbus_engine1_call_put (self->proxy, self->number, parcel->name,
                            g_variant_new ("(uuu)", parcel->image->width, parcel->image->height, parcel->image->n_channels), offset, bytes,
                            fds != NULL ? g_variant_new_parsed ("[handle 0]") : g_variant_new_array (G_VARIANT_TYPE_HANDLE, NULL, 0), fds,
                            self->calls, on_put, g_object_ref (self));
}

/* sends the next picture, or its next chunk; runs the job when there is none */
static void
put_next (FbJob *self)
{
  FbJobParcel *parcel = self->n_put < self->to_put->len ? self->to_put->pdata[self->n_put] : NULL;

  if (self->cancelled)                                     /* before Run went out; the end is on its way */
    return;
  if (parcel == NULL)
    run (self);
  else if (self->n_filled > 0)                             /* of which a part has been sent */
    fb_job_put (self, parcel, -1);
  else
    fb_job_supply (self, parcel);
}

static void
on_link (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(FbJob)  self  = user_data;
  GError           *error = NULL;

  self->n_calls--;
  self->link = fb_engine_client_get_link_finish (self->client, result, &error);
  if (self->finished)
    {
      g_clear_error (&error);
      return;
    }
  if (self->link != NULL)                                  /* asks nothing of the engine, so it doesn't block */
    self->proxy = fb_dbus_engine1_proxy_new_sync (self->link->connection, G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES, NULL,
                                                  FB_ENGINE_OBJECT_PATH, NULL, &error);
  if (error != NULL)
    {
      fb_job_end_early (self, error);
      return;
    }
  self->number = fb_engine_client_next_job (self->client);
  g_signal_connect (self->proxy, "progress", G_CALLBACK (on_progress), self);
  g_signal_connect (self->proxy, "picture", G_CALLBACK (on_picture), self);
  put_next (self);
}

void
fb_job_find_engine (FbJob *self)
{
  self->n_calls++;
  fb_engine_client_get_link_async (self->client, self->calls, on_link, g_object_ref (self));
}
