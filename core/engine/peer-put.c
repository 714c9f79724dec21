/* core/engine/peer-put.c: pictures that a client sends ahead of its job. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/peer-private.h"

#include <glib/gi18n-lib.h>
#include <unistd.h>

#include "core/engine/pixels.h"
#include "core/tasks/pace.h"

#define MAX_JOBS 64                 /* of one client, that pictures are there for */
#define MAX_PUT  8                  /* pictures for one job */

void
fb_inbox_free (FbInbox *inbox)
{
  fb_image_unref (inbox->image);
  g_free (inbox);
}

/* the job's table of pictures, made if need be; NULL if the client has put too much already */
static GHashTable *
get_inboxes (FbPeer *self, guint32 number, const char *name)
{
  GHashTable *inboxes = g_hash_table_lookup (self->put, GUINT_TO_POINTER (number));

  if (inboxes == NULL && g_hash_table_size (self->put) < MAX_JOBS)
    {
      inboxes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) fb_inbox_free);
      g_hash_table_insert (self->put, GUINT_TO_POINTER (number), inboxes);
    }
  if (inboxes != NULL && g_hash_table_size (inboxes) >= MAX_PUT && !g_hash_table_contains (inboxes, name))
    return NULL;
  return inboxes;
}

static FbInbox *
put_fd (int fd, guint width, guint height, guint n_channels, GError **error)
{
  g_autoptr(FbImage)  image = fb_pixels_from_fd (fd, width, height, n_channels, error);
  FbInbox              *inbox = NULL;

  if (image != NULL)
    {
      inbox  = g_new (FbInbox, 1);
      *inbox = (FbInbox) { image, fb_image_n_bytes (image) };
      g_steal_pointer (&image);
    }
  return inbox;
}

static FbInbox *
begin_inbox (guint width, guint height, guint n_channels, GError **error)
{
  gsize  size  = 0;
  FbInbox *inbox;

  if (!fb_pixels_check_shape (width, height, n_channels, &size, error))
    return NULL;
  inbox  = g_new0 (FbInbox, 1);
  if (size <= fb_memory_available ())                    /* only promised so far: the sender hasn't shown that it has as much */
    inbox->image = fb_image_new (width, height, n_channels);
  if (inbox->image == NULL)
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_MEMORY, _("There is no memory for a picture of %u × %u pixels."), width, height);
      g_free (inbox);
      return NULL;
    }
  return inbox;
}

static gboolean
put (GHashTable *inboxes, const char *name, GVariant *shape, guint64 offset, GVariant *bytes, int fd, GError **error)
{
  FbInbox *inbox = g_hash_table_lookup (inboxes, name);
  guint  width, height, n_channels;

  g_variant_get (shape, "(uuu)", &width, &height, &n_channels);
  if (fd >= 0 || offset == 0)
    {
      inbox = fd >= 0 ? put_fd (fd, width, height, n_channels, error) : begin_inbox (width, height, n_channels, error);
      if (inbox == NULL)
        return FALSE;
      g_hash_table_replace (inboxes, g_strdup (name), inbox);
    }
  if (inbox == NULL)
    {
      g_set_error_literal (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS, _("A picture was refused: its pieces do not fit together."));
      return FALSE;
    }
  if (fd < 0 && !fb_pixels_put_chunk (inbox->image, &inbox->n_filled, offset, bytes, error))
    return FALSE;
  return inbox->n_filled < fb_image_n_bytes (inbox->image) || fb_pixels_check_finite (inbox->image, error);
}

gboolean
fb_peer_on_put (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, GUnixFDList *fds, guint32 number, const char *name, GVariant *shape, guint64 offset,
        GVariant *bytes, GVariant *handles, FbPeer *self)
{
  g_autoptr(GError) error = NULL;
  GHashTable       *inboxes;
  int               fd;

  if (!fb_peer_may_call (self, call))
    return TRUE;
  inboxes = get_inboxes (self, number, name);
  if (inboxes == NULL)
    {
      fb_peer_refuse (call, FB_ENGINE_ERROR_BUSY, _("Too many pictures were sent for jobs that have not begun."));
      return TRUE;
    }

  fd = fb_peer_get_fd (fds, handles);
  if (put (inboxes, name, shape, offset, bytes, fd, &error))
    fb_dbus_engine1_complete_put (skeleton, call, NULL);
  else
    {
      g_hash_table_remove (inboxes, name);
      g_dbus_method_invocation_return_gerror (call, error);
    }
  if (fd >= 0)
    close (fd);
  return TRUE;
}

GHashTable *
fb_peer_collect_put (FbPeer *self, guint32 number)
{
  g_autoptr(GHashTable)  images  = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) fb_image_unref);
  GHashTable            *inboxes = g_hash_table_lookup (self->put, GUINT_TO_POINTER (number));
  GHashTableIter         iter;
  gpointer               name, value;

  if (inboxes != NULL)
    {
      g_hash_table_iter_init (&iter, inboxes);
      while (g_hash_table_iter_next (&iter, &name, &value))
        {
          FbInbox *inbox = value;

          if (inbox->n_filled < fb_image_n_bytes (inbox->image))
            return NULL;
          g_hash_table_insert (images, g_strdup (name), fb_image_ref (inbox->image));
        }
      g_hash_table_remove (self->put, GUINT_TO_POINTER (number));
    }
  return g_steal_pointer (&images);
}
