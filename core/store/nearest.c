/* core/store/nearest.c: the known names closest to one that is not known. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/store/nearest.h"

#include <glib/gi18n-lib.h>
#include <string.h>

enum { MAX_LETTERS = 128 };

/* @letters: room for MAX_LETTERS; returns how many */
static int
fold (const char *name, gunichar *letters)
{
  int n = 0;

  for (const char *p = name; *p != '\0' && n < MAX_LETTERS; p = g_utf8_next_char (p))
    letters[n++] = g_unichar_tolower (g_utf8_get_char (p));
  return n;
}

static gboolean
contains (const gunichar *a, int n_a, const gunichar *b, int n_b)
{
  for (int i = 0; n_b > 0 && i + n_b <= n_a; i++)
    if (memcmp (a + i, b, n_b * sizeof *b) == 0)
      return TRUE;
  return FALSE;
}

/* added, lost, changed and swapped letters that lead from a to b: Damerau's distance in its restricted form */
static int
distance (const gunichar *a, int n_a, const gunichar *b, int n_b)
{
  int rows[3][MAX_LETTERS + 1];                 /* row i holds the distances of a's first i letters; three are alive */

  for (int j = 0; j <= n_b; j++)
    rows[0][j] = j;
  for (int i = 1; i <= n_a; i++)
    {
      int *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];

      row[0] = i;
      for (int j = 1; j <= n_b; j++)
        {
          row[j] = MIN (MIN (above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
          if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            row[j] = MIN (row[j], two_above[j - 2] + 1);
        }
    }
  return rows[n_a % 3][n_b];
}

typedef struct
{
  const char *name;
  int         cost;     /* in half errors */
} Candidate;

static int
compare_costs (const void *a, const void *b)
{
  return ((const Candidate *) a)->cost - ((const Candidate *) b)->cost;
}

char **
fb_nearest (const char *wanted, const char * const *names, int n_names, int max)
{
  g_autoptr(GArray)       near  = g_array_new (FALSE, FALSE, sizeof (Candidate));
  g_autoptr(GStrvBuilder) found = g_strv_builder_new ();
  gunichar                a[MAX_LETTERS], b[MAX_LETTERS];
  int                     n_a = fold (wanted, a);

  for (int i = 0; i < n_names; i++)
    {
      int       n_b = fold (names[i], b);
      Candidate candidate = { names[i], 2 * distance (a, n_a, b, n_b) };

      if (contains (b, n_b, a, n_a))
        candidate.cost = 1;
      if (candidate.cost <= MAX (n_a, n_b))
        g_array_append_val (near, candidate);
    }

  g_array_sort (near, compare_costs);           /* stable */
  for (int i = 0; i < max && i < (int) near->len; i++)
    g_strv_builder_add (found, g_array_index (near, Candidate, i).name);
  return g_strv_builder_end (found);
}

char *
fb_nearest_sentence (const char *wanted, const char * const *names, int n_names)
{
  g_auto(GStrv) near = fb_nearest (wanted, names, n_names, 3);

  switch (g_strv_length (near))
    {
    case 0:
      return g_strdup ("");
    case 1:
      return g_strdup_printf (_(" Did you mean “%s”?"), near[0]);
    case 2:
      return g_strdup_printf (_(" Did you mean “%s” or “%s”?"), near[0], near[1]);
    default:
      return g_strdup_printf (_(" Did you mean “%s”, “%s” or “%s”?"), near[0], near[1], near[2]);
    }
}
