/* tests/harness/test-report.c: the counts and reasons a test run ends with. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/harness/tap.h"

#include <glib/gstdio.h>

typedef struct
{
  char *output;
  int   status;
} Run;

/* Runs the report on a log of one program, or of none */
static Run
run_report (const char *json)
{
  g_autoptr(GError)  error  = NULL;
  g_autofree char   *path   = NULL;
  const int          fd     = g_file_open_tmp ("testlog-XXXXXX.json", &path, &error);
  char              *argv[] = { (char *) g_getenv ("FB_REPORT"), path, NULL };
  Run                run    = { NULL, -1 };

  g_assert_no_error (error);
  g_assert_true (g_file_set_contents (path, json, -1, &error));
  g_spawn_sync (NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &run.output, NULL, &run.status, &error);
  g_assert_no_error (error);
  g_close (fd, NULL);
  g_remove (path);
  return run;
}

/* Asserts that the report on @json ends with @summary, succeeds only if @success, and holds @detail (nullable) above */
static void
check (const char *json, const char *summary, gboolean success, const char *detail)
{
  Run               run  = run_report (json);
  g_autofree char  *line = g_strconcat (summary, "\n", NULL);
  g_autofree char  *own  = g_strconcat ("\n", line, NULL);

  g_test_message ("%s", run.output);
  g_assert_true (g_str_equal (run.output, line) || g_str_has_suffix (run.output, own));
  g_assert_true (g_spawn_check_wait_status (run.status, NULL) == success);
  if (detail != NULL)
    g_assert_nonnull (g_strstr_len (run.output, -1, detail));
  g_free (run.output);
}

static void
cases_are_read (void)
{
  g_autoptr(FbTap) tap = fb_tap_parse ("TAP version 14\n# random seed: 1\n1..4\n# not ok 9 a message\n"
                                       "ok 1 /a is # odd # SKIP no bf16 here\n# Start of b tests\nok 2 /b\n"
                                       "not ok 3 /c - bad 3\nnot ok /d - ERROR:t.c:2:c: 1 == 2\nBail out!\n");
  const struct { FbTapResult result; const char *name, *reason; } expected[] =
  {
    { FB_TAP_SKIPPED, "/a is # odd", "no bf16 here" },
    { FB_TAP_PASSED,  "/b",          NULL },
    { FB_TAP_FAILED,  "/c",          "bad 3" },
    { FB_TAP_FAILED,  "/d",          "ERROR:t.c:2:c: 1 == 2" },      /* an assertion: GLib leaves the number out */
  };

  g_assert_cmpint (tap->planned, ==, 4);
  g_assert_cmpint (tap->cases->len, ==, G_N_ELEMENTS (expected));
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      const FbTapCase *c = g_ptr_array_index (tap->cases, i);

      g_assert_cmpint (c->result, ==, expected[i].result);
      g_assert_cmpstr (c->name, ==, expected[i].name);
      g_assert_cmpstr (c->reason, ==, expected[i].reason);
    }
}

static void
cases_count_not_programs (void)
{
  check ("{\"name\":\"conv\",\"result\":\"OK\",\"stdout\":\"1..3\\nok 1 /a\\nok 2 /b\\nok 3 /c # SKIP no AMX\\n\"}\n"
         "{\"name\":\"style\",\"result\":\"OK\",\"stdout\":\"all fine\\n\"}\n",
         "3 passed, 0 failed, 1 skipped", TRUE, "skipped conv /c: no AMX\n");
}

static void
a_failed_case_is_shown_with_its_output (void)
{
  check ("{\"name\":\"conv\",\"result\":\"ERROR\",\"stdout\":\"1..3\\nok 1 /a\\nnot ok 2 /b - 1 == 2\\nBail out!\\n\","
         "\"stderr\":\"Aborted\\n\"}\n",
         "1 passed, 1 failed, 0 skipped", FALSE,
         "FAILED conv /b: 1 == 2\n       conv: ERROR, 1 of its 3 cases did not run\n  output:\n    1..3\n");
}

static void
a_crash_counts_as_failed (void)
{
  check ("{\"name\":\"conv\",\"result\":\"ERROR\",\"stdout\":\"1..3\\nok 1 /a\\n\",\"stderr\":\"Segmentation fault\\n\"}\n",
         "1 passed, 1 failed, 0 skipped", FALSE, "FAILED conv: ERROR, 2 of its 3 cases did not run\n");
  check ("{\"name\":\"conv\",\"result\":\"FAIL\",\"stdout\":\"1..1\\nok 1 /a\\n\",\"stderr\":\"LeakSanitizer\\n\"}\n",
         "1 passed, 1 failed, 0 skipped", FALSE, "LeakSanitizer");
  check ("{\"name\":\"style\",\"result\":\"FAIL\",\"stderr\":\"a tab\\n\"}\n",
         "0 passed, 1 failed, 0 skipped", FALSE, "a tab");
}

static void
a_timeout_counts_as_failed (void)
{
  check ("{\"name\":\"unet\",\"result\":\"TIMEOUT\",\"stdout\":\"1..2\\nok 1 /a\\n\"}\n",
         "1 passed, 1 failed, 0 skipped", FALSE, "FAILED unet: TIMEOUT, 1 of its 2 cases did not run\n");
  check ("{\"name\":\"unet\",\"result\":\"TIMEOUT\"}\n", "0 passed, 1 failed, 0 skipped", FALSE, "FAILED unet: TIMEOUT\n");
}

static void
nothing_run_is_a_failure (void)
{
  check ("", "0 passed, 0 failed, 0 skipped", FALSE, "no test ran");
  check ("{\"name\":\"a\",\"result\":\"SKIP\",\"stdout\":\"1..0 # SKIP no display\\n\"}\n",
         "0 passed, 0 failed, 1 skipped", FALSE, "skipped a all of it: no display\n");
  check ("{\"name\":\"a\",\"result\":\"OK\",\"stdout\":\"1..0\\n\"}\n",
         "0 passed, 1 failed, 0 skipped", FALSE, "FAILED a: it holds no case\n");
}

static void
a_skipped_script_names_its_reason (void)
{
  check ("{\"name\":\"man\",\"result\":\"SKIP\",\"stdout\":\"looking\\nno mandoc here\\n\"}\n"
         "{\"name\":\"po\",\"result\":\"OK\"}\n",
         "1 passed, 0 failed, 1 skipped", TRUE, "skipped man: no mandoc here\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/harness/tap/cases-are-read", cases_are_read);
  g_test_add_func ("/harness/report/cases-count-not-programs", cases_count_not_programs);
  g_test_add_func ("/harness/report/a-failed-case-is-shown-with-its-output", a_failed_case_is_shown_with_its_output);
  g_test_add_func ("/harness/report/a-crash-counts-as-failed", a_crash_counts_as_failed);
  g_test_add_func ("/harness/report/a-timeout-counts-as-failed", a_timeout_counts_as_failed);
  g_test_add_func ("/harness/report/nothing-run-is-a-failure", nothing_run_is_a_failure);
  g_test_add_func ("/harness/report/a-skipped-script-names-its-reason", a_skipped_script_names_its_reason);

  return g_test_run ();
}
