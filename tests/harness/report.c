/* tests/harness/report.c: turns meson's test log into what a person reads. SPDX-License-Identifier: LGPL-3.0-or-later
 * Usage: report TESTLOG.json. Prints each failed program with its output, each skipped case with its reason, and last
 * `N passed, N failed, N skipped`, where a case counts, not a program. Exit status 1 if a case failed or none ran.
 */
#include "tests/harness/tap.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

enum { N_LINES_SHOWN = 80 };    /* of a failed program's output: the whole log stays in the build folder */

typedef struct
{
  int      n_passed, n_failed, n_skipped;
  GString *failures, *skips;
} Report;

static void
report_failure (Report *self, const char *program, const char *name, const char *reason)
{
  self->n_failed++;
  g_string_append_printf (self->failures, "FAILED %s%s%s%s%s\n", program, name ? " " : "", name ? name : "",
                          reason ? ": " : "", reason ? reason : "");
}

static void
report_skip (Report *self, const char *program, const char *name, const char *reason)
{
  self->n_skipped++;
  g_string_append_printf (self->skips, "skipped %s%s%s: %s\n", program, name ? " " : "", name ? name : "",
                          reason ? reason : "it gave no reason");
}

static void
report_cases (Report *self, const char *program, const char *result, const FbTap *tap)
{
  const int n_unseen  = tap->planned - (int) tap->cases->len;
  gboolean  any_failed = FALSE;

  for (guint i = 0; i < tap->cases->len; i++)
    {
      const FbTapCase *c = g_ptr_array_index (tap->cases, i);

      if (c->result == FB_TAP_PASSED)
        self->n_passed++;
      else if (c->result == FB_TAP_SKIPPED)
        report_skip (self, program, c->name, c->reason);
      else
        report_failure (self, program, c->name, c->reason);

      any_failed |= c->result == FB_TAP_FAILED;
    }

  if (n_unseen > 0)
    {
      g_autofree char *reason = g_strdup_printf ("%s, %d of its %d cases did not run", result, n_unseen, tap->planned);

      if (any_failed)                                /* the failed case has been counted: GLib stops at the first one */
        g_string_append_printf (self->failures, "       %s: %s\n", program, reason);
      else
        report_failure (self, program, NULL, reason);
    }
  else if (tap->planned == 0)
    report_failure (self, program, NULL, "it holds no case");
  else if (!any_failed && !g_str_equal (result, "OK") && !g_str_equal (result, "SKIP"))
    report_failure (self, program, NULL, result);    /* a crash, a leak or a timeout after the last case */
}

/* The last line of @text that is not empty: where a script says why it skips */
static char *
last_line (const char *text)
{
  g_autofree char *copy  = g_strchomp (g_strdup (text));
  const char      *start = strrchr (copy, '\n');

  start = start ? start + 1 : copy;
  return *start != '\0' ? g_strdup (start) : NULL;
}

static void
report_exit_status (Report *self, const char *program, const char *result, const char *output)
{
  g_autofree char *reason = last_line (output);

  if (g_str_equal (result, "OK") || g_str_equal (result, "EXPECTEDFAIL"))
    self->n_passed++;
  else if (g_str_equal (result, "SKIP"))
    report_skip (self, program, NULL, reason);
  else
    report_failure (self, program, NULL, result);
}

static void
show_output (Report *self, const char *title, const char *output)
{
  g_autofree char *text  = g_strchomp (g_strdup (output));
  g_auto(GStrv)    lines = g_strsplit (text, "\n", -1);
  const int        n     = g_strv_length (lines);
  const int        first = MAX (n - N_LINES_SHOWN, 0);

  if (n > 0)
    g_string_append_printf (self->failures, "  %s%s:\n", title, first > 0 ? " (its end)" : "");
  for (int i = first; i < n; i++)
    g_string_append_printf (self->failures, "    %s\n", lines[i]);
}

/* One program: an object of meson's log */
static void
report_program (Report *self, JsonObject *log)
{
  const char       *full    = json_object_get_string_member (log, "name");      /* "flashbrush:core / safetensors" */
  const char       *program = g_str_has_prefix (full, "flashbrush:") ? full + strlen ("flashbrush:") : full;
  const char       *result  = json_object_get_string_member (log, "result");
  const char       *output  = json_object_get_string_member_with_default (log, "stdout", "");
  const char       *errors  = json_object_get_string_member_with_default (log, "stderr", "");
  g_autoptr(FbTap)  tap     = fb_tap_parse (output);
  const int         before  = self->n_failed;

  if (tap->planned >= 0)
    report_cases (self, program, result, tap);
  else
    report_exit_status (self, program, result, output);

  if (self->n_failed > before)
    {
      show_output (self, "output", output);
      show_output (self, "errors", errors);
    }
}

/* The log holds one JSON object per line */
static gboolean
report_log (Report *self, const char *path, GError **error)
{
  g_autofree char       *text   = NULL;
  g_auto(GStrv)          lines  = NULL;
  g_autoptr(JsonParser)  parser = json_parser_new ();

  if (!g_file_get_contents (path, &text, NULL, error))
    return FALSE;

  lines = g_strsplit (text, "\n", -1);
  for (int i = 0; lines[i] != NULL; i++)
    {
      if (lines[i][0] == '\0')
        continue;
      if (!json_parser_load_from_data (parser, lines[i], -1, error))
        return FALSE;
      report_program (self, json_node_get_object (json_parser_get_root (parser)));
    }

  return TRUE;
}

int
main (int argc, char **argv)
{
  Report             report = { .failures = g_string_new (NULL), .skips = g_string_new (NULL) };
  g_autoptr(GError)  error  = NULL;
  gboolean           ran;

  if (argc != 2)
    {
      fprintf (stderr, "usage: report TESTLOG.json\n");
      return 2;
    }
  if (!report_log (&report, argv[1], &error))
    {
      fprintf (stderr, "%s: %s\n", argv[1], error->message);
      return 2;
    }

  ran = report.n_passed + report.n_failed > 0;
  printf ("%s%s%s%d passed, %d failed, %d skipped\n", report.failures->str, report.skips->str,
          ran ? "" : "FAILED: no test ran\n", report.n_passed, report.n_failed, report.n_skipped);

  g_string_free (report.failures, TRUE);
  g_string_free (report.skips, TRUE);
  return ran && report.n_failed == 0 ? 0 : 1;
}
