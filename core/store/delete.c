/* core/store/delete.c: takes files away for good. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/store/delete.h"

#include <errno.h>
#include <glib/gstdio.h>

#include "core/formats/model-error.h"

gboolean
fb_delete (const char *path, GError **error)
{
  g_autoptr(GDir)  dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);
  const char      *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (!fb_delete (child, error))
        return FALSE;
    }
  if (g_remove (path) == 0 || errno == ENOENT)
    return TRUE;
  fb_model_error_set_errno (error, errno, path, TRUE);
  return FALSE;
}
