/* core/engine/task.c: a job between the thread that does it and the thread that talks. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/task-private.h"

#include <glib/gi18n-lib.h>

static void
picture_free (FbTaskPicture *picture)
{
  if (picture->image != NULL)
    fb_image_unref (picture->image);
  g_variant_unref (picture->metadata);
  g_free (picture);
}

FbTask *
fb_task_new (FbWorkshop *workshop, const FbJobKind *kind, GVariant *request, GHashTable *put)
{
  FbTask *self = g_new0 (FbTask, 1);

  g_atomic_ref_count_init (&self->ref_count);
  g_mutex_init (&self->lock);
  self->workshop    = workshop;
  self->kind        = kind;
  self->request     = g_variant_ref_sink (request);
  self->put         = g_hash_table_ref (put);
  self->cancellable = g_cancellable_new ();
  self->pictures    = g_ptr_array_new_with_free_func ((GDestroyNotify) picture_free);
  return self;
}

FbTask *
fb_task_ref (FbTask *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
fb_task_unref (FbTask *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_clear_pointer (&self->preview, fb_image_unref);
  g_clear_pointer (&self->result, g_variant_unref);
  g_clear_error (&self->error);
  g_ptr_array_unref (self->pictures);
  g_object_unref (self->cancellable);
  g_hash_table_unref (self->put);
  g_variant_unref (self->request);
  g_mutex_clear (&self->lock);
  g_free (self);
}

FbWorkshop *
fb_task_workshop (FbTask *self)
{
  return self->workshop;
}

GVariant *
fb_task_request (FbTask *self)
{
  return self->request;
}

GCancellable *
fb_task_cancellable (FbTask *self)
{
  return self->cancellable;
}

FbImage *
fb_task_picture (FbTask *self, const char *name)
{
  return g_hash_table_lookup (self->put, name);
}

gboolean
fb_task_make_room (FbTask *self, const char *keep, guint64 peak, guint64 least, guint64 available, GError **error)
{
  g_autofree char *needs = NULL;
  g_autofree char *has   = NULL;

  if (available == 0)
    return TRUE;
  available = fb_residents_make_room (self->workshop->residents, keep, peak, available);
  if (least <= available)
    return TRUE;

  needs = g_format_size (least);
  has   = g_format_size (available);
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_MEMORY,
               _("This needs about %s of memory, but only %s can be had. Use a smaller size or a smaller model, or close other programs."), needs, has);
  return FALSE;
}

static gboolean
on_main_thread (gpointer user_data)
{
  FbTask   *self = user_data;
  gboolean  done;

  g_mutex_lock (&self->lock);
  self->notified = FALSE;
  done = self->done;
  g_mutex_unlock (&self->lock);

  if (done)
    g_clear_handle_id (&self->grace, g_source_remove);
  if (self->changed != NULL)
    self->changed (self, self->owner);
  return G_SOURCE_REMOVE;
}

/* with the lock held */
static void
notify_locked (FbTask *self)
{
  if (self->notified)
    return;
  self->notified = TRUE;
  g_idle_add_full (G_PRIORITY_DEFAULT, on_main_thread, fb_task_ref (self), (GDestroyNotify) fb_task_unref);
}

void
fb_task_notify (FbTask *self)
{
  g_mutex_lock (&self->lock);
  notify_locked (self);
  g_mutex_unlock (&self->lock);
}

void
fb_task_progress (FbTask *self, const FbJobProgress *progress)
{
  FbImage *old = NULL;

  g_mutex_lock (&self->lock);
  if (progress->preview != NULL)
    {
      old           = self->preview;
      self->preview = fb_image_ref (progress->preview);
    }
  self->progress         = *progress;
  self->progress.preview = NULL;
  self->has_progress     = TRUE;
  notify_locked (self);
  g_mutex_unlock (&self->lock);

  g_clear_pointer (&old, fb_image_unref);
}

void
fb_task_add_picture (FbTask *self, FbImage *image, gint64 seed, GVariant *metadata)
{
  FbTaskPicture *picture = g_new0 (FbTaskPicture, 1);

  picture->image    = fb_image_ref (image);
  picture->seed     = seed;
  picture->metadata = g_variant_ref_sink (metadata);

  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->pictures, picture);
  notify_locked (self);
  g_mutex_unlock (&self->lock);
}

void
fb_task_finish (FbTask *self, GVariant *result, GError *error)
{
  g_assert ((result != NULL) != (error != NULL));

  g_mutex_lock (&self->lock);
  if (self->done)
    {
      g_clear_pointer (&result, g_variant_unref);
      g_clear_error (&error);
    }
  else
    {
      self->done   = TRUE;
      self->result = result;
      self->error  = error;
      g_clear_pointer (&self->preview, fb_image_unref);
      notify_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

gboolean
fb_task_is_done (FbTask *self)
{
  gboolean done;

  g_mutex_lock (&self->lock);
  done = self->done;
  g_mutex_unlock (&self->lock);
  return done;
}
