/* core/nn/guard.h: one computation on a device that can be cancelled. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "kernels/device.h"

/* Lives on the caller's stack between begin and end */
typedef struct
{
  FbDevice     *dev;
  GCancellable *cancellable;
  gulong        handler;
  gint          cancelled;
} FbGuard;

/* Hands @cancellable (nullable) to @dev. Errors: %G_IO_ERROR_CANCELLED, and there is nothing to end then. */
gboolean fb_guard_begin (FbGuard *guard, FbDevice *dev, GCancellable *cancellable, GError **error);

/* Takes it away again and says how it went. Errors: %G_IO_ERROR_CANCELLED, the device's. */
gboolean fb_guard_end   (FbGuard *guard, GError **error);
