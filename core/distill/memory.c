/* core/distill/memory.c: the most memory that a job takes. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: Linux, proc_pid_status(5), proc_pid_clear_refs(5).
 */
#include "core/distill/memory.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

/* bytes: of a line of the process's status, "VmRSS:" for example */
static guint64
read_status (const char *key)
{
  g_autofree char *text = NULL;
  const char      *line;

  if (!g_file_get_contents ("/proc/self/status", &text, NULL, NULL) || (line = strstr (text, key)) == NULL)
    return 0;
  return g_ascii_strtoull (line + strlen (key), NULL, 10) * 1024;
}

guint64
fb_memory_mark (void)
{
  FILE *file = g_fopen ("/proc/self/clear_refs", "w");

  if (file != NULL)
    {
      fputs ("5", file);                       /* the peak alone */
      fclose (file);
    }
  return read_status ("VmRSS:");
}

guint64
fb_memory_peak (void)
{
  return read_status ("VmHWM:");
}
