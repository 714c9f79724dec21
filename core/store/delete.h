/* core/store/delete.h: takes files away for good. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

/* Deletes what is at @path, a folder with all that is in it; a link is deleted, never followed. Nothing there is no error. */
gboolean fb_delete (const char *path, GError **error);
