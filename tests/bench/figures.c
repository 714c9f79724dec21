/* tests/bench/figures.c: what every benchmark needs to come to a figure. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/bench/figures.h"

#include <stdlib.h>
#include <string.h>

void
bench_die_on (GError *error)
{
  if (error == NULL)
    return;
  g_printerr ("%s: %s\n", g_get_prgname (), error->message);
  exit (1);
}

double
bench_seconds (void)
{
  return g_get_monotonic_time () * 1e-6;
}

static int
compare (const void *a, const void *b)
{
  const double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

double
bench_percentile (double *values, int n, double share)
{
  qsort (values, n, sizeof *values, compare);
  return values[CLAMP ((int) (share * n), 0, n - 1)];
}

float *
bench_random (size_t n)
{
  g_autoptr(GRand) rand   = g_rand_new_with_seed (1);
  float           *values = g_new (float, n);

  for (size_t i = 0; i < n; i++)
    values[i] = (float) g_rand_double_range (rand, -1.7, 1.7);
  return values;
}

guint64
bench_peak_bytes (void)
{
  g_autofree char *text = NULL;
  const char      *line;

  g_file_get_contents ("/proc/self/status", &text, NULL, NULL);
  line = text != NULL ? strstr (text, "VmHWM:") : NULL;
  g_assert_nonnull (line);
  return g_ascii_strtoull (line + strlen ("VmHWM:"), NULL, 10) * 1024;
}
