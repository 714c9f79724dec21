/* core/engine/log.c: the engine's log file. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/log.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_BYTES (1 << 20)

/* the process has one log, as GLib has one writer function */
static GMutex    lock;
static FILE     *file;
static char     *path;
static gboolean  with_stderr;

static void
rotate (void)
{
  g_autofree char *older = g_strconcat (path, ".1", NULL);

  fclose (file);
  g_rename (path, older);
  file = g_fopen (path, "ae");
}

static const char *
field (const GLogField *fields, gsize n_fields, const char *key)
{
  for (gsize i = 0; i < n_fields; i++)
    if (g_strcmp0 (fields[i].key, key) == 0 && fields[i].length == -1)
      return fields[i].value;
  return "";
}

static GLogWriterOutput
write_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  if (with_stderr)
    g_log_writer_standard_streams (level, fields, n_fields, NULL);
  if ((level & G_LOG_LEVEL_DEBUG) != 0)
    return G_LOG_WRITER_HANDLED;

  g_mutex_lock (&lock);
  if (file != NULL)
    {
      g_autoptr(GDateTime) now  = g_date_time_new_now_local ();
      g_autofree char     *time = g_date_time_format (now, "%F %T");

      fprintf (file, "%s [%d] %s%s\n", time, (int) getpid (), level & G_LOG_LEVEL_MESSAGE ? "" : "! ", field (fields, n_fields, "MESSAGE"));
      fflush (file);
      if (ftell (file) > MAX_BYTES)
        rotate ();
    }
  g_mutex_unlock (&lock);
  return G_LOG_WRITER_HANDLED;
}

void
fb_log_open (gboolean to_stderr)
{
  g_autofree char *folder = g_build_filename (g_get_user_state_dir (), "flashbrush", NULL);

  with_stderr = to_stderr;
  path        = g_build_filename (folder, "engine.log", NULL);
  if (g_mkdir_with_parents (folder, 0700) == 0)
    file = g_fopen (path, "ae");
  g_log_set_writer_func (write_log, NULL, NULL);
}

int
fb_log_fd (void)
{
  return file != NULL ? fileno (file) : -1;
}
