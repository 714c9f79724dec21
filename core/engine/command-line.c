/* core/engine/command-line.c: what commands say on a terminal, and what the options they are given have in common.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/command-line.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

void
fb_command_show (const char *line)
{
  if (isatty (STDERR_FILENO))
    fprintf (stderr, "\r\033[K%s", line);
}

char *
fb_command_duration (double seconds)
{
  const gint64 minutes = (gint64) ceil (seconds / 60.0);

  if (seconds < 60.0)
    return g_strdup_printf (_("%.0f s"), seconds);
  return minutes < 60 ? g_strdup_printf (_("%d min"), (int) minutes)
                      : g_strdup_printf (_("%d h %02d min"), (int) (minutes / 60), (int) (minutes % 60));
}

gboolean
fb_command_check_range (const char *option, double value, double low, double high, GError **error)
{
  if (value == FB_NOT_GIVEN || (value >= low && value <= high))
    return TRUE;

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” is %g; it must lie between %g and %g."), option, value, low, high);
  return FALSE;
}

gboolean
fb_command_check_choice (const char *option, const char *value, const char * const *names, GError **error)
{
  g_autofree char *known = NULL;

  if (value == NULL || g_strv_contains (names, value))
    return TRUE;

  known = g_strjoinv (", ", (char **) names);
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” is not a value of “%s”; it takes: %s."), value, option, known);
  return FALSE;
}

gboolean
fb_command_check_text (const char *name, const char *text, GError **error)
{
  const char *bad;

  if (text == NULL || g_utf8_validate (text, -1, &bad))
    return TRUE;

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” is not valid UTF-8 text at byte %d."), name, (int) (bad - text));
  return FALSE;
}

gboolean
fb_command_check_output (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  int              code   = g_file_test (path, G_FILE_TEST_IS_DIR) ? EISDIR : 0;

  if (code == 0 && g_access (folder, W_OK | X_OK) != 0)
    code = errno;
  if (code == 0)
    return TRUE;

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” cannot be written: %s."), path, g_strerror (code));
  return FALSE;
}
