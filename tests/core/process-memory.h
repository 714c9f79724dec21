/* tests/core/process-memory.h: the memory that the test's own process takes. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <glib.h>

/* Bytes; @field: "VmHWM", the most the process ever held, or "VmRSS", what it holds now */
static inline guint64
resident_bytes (const char *field)
{
  g_autofree char *text = NULL;
  const char      *line;

  g_assert_true (g_file_get_contents ("/proc/self/status", &text, NULL, NULL));
  line = strstr (text, field);
  g_assert_nonnull (line);
  return g_ascii_strtoull (line + strlen (field) + 1, NULL, 10) * 1024;
}

/* The process gets @n_bytes of addresses more than it has now, and no others. */
static inline void
limit_address_space (guint64 n_bytes)
{
  g_autofree char *text  = NULL;
  struct rlimit    limit = { RLIM_INFINITY, RLIM_INFINITY };

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  limit.rlim_cur = g_ascii_strtoull (text, NULL, 10) * sysconf (_SC_PAGESIZE) + n_bytes;
  g_assert_cmpint (setrlimit (RLIMIT_AS, &limit), ==, 0);
}
