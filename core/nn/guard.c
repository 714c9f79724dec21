/* core/nn/guard.c: one computation on a device that can be cancelled. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/nn/guard.h"

#include <glib/gi18n-lib.h>

static void
on_cancelled (GCancellable *cancellable, gpointer flag)
{
  g_atomic_int_set ((gint *) flag, 1);
}

gboolean
fb_guard_begin (FbGuard *guard, FbDevice *dev, GCancellable *cancellable, GError **error)
{
  *guard = (FbGuard) { .dev = dev, .cancellable = cancellable };
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (cancellable != NULL)
    guard->handler = g_cancellable_connect (cancellable, G_CALLBACK (on_cancelled), &guard->cancelled, NULL);
  fb_device_set_cancel_flag (dev, &guard->cancelled);
  return TRUE;
}

gboolean
fb_guard_end (FbGuard *guard, GError **error)
{
  GError *failure = NULL;

  fb_device_check (guard->dev, &failure);
  fb_device_set_cancel_flag (guard->dev, NULL);
  if (guard->cancellable != NULL)
    g_cancellable_disconnect (guard->cancellable, guard->handler);

  if (failure == NULL)
    return TRUE;
  if (g_error_matches (failure, FB_DEVICE_ERROR, FB_DEVICE_ERROR_CANCELLED))
    {
      g_error_free (failure);
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _("The job was cancelled."));
    }
  else
    g_propagate_error (error, failure);
  return FALSE;
}
