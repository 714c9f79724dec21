/* core/tasks/task-error.c: what can be wrong with a request. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/task-error.h"

#include <glib/gi18n-lib.h>

static const GDBusErrorEntry entries[] =
{
  { FB_TASK_ERROR_FIELD,  "org.flashbrush.Error.Field" },
  { FB_TASK_ERROR_MEMORY, "org.flashbrush.Error.Memory" },
};
G_STATIC_ASSERT (G_N_ELEMENTS (entries) == FB_TASK_N_ERRORS);

GQuark
fb_task_error_quark (void)
{
  static gsize quark = 0;
  g_dbus_error_register_error_domain ("fb-task-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}

gboolean
fb_task_no_memory (int width, int height, GError **error)
{
  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY, _("No memory for a picture of %d×%d."), width, height);
  return FALSE;
}
