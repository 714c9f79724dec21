/* tests/core/engine/test-settings.c: engine.conf. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <string.h>

#include "core/engine/error.h"
#include "core/engine/settings.h"
#include "core/tasks/pace.h"

static FbSettings *
parse (const char *text, GError **error)
{
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "fb-settings-XXXXXX", NULL);
  int              fd   = g_mkstemp (path);
  FbSettings      *settings;

  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  settings = fb_settings_load (path, error);
  g_unlink (path);
  return settings;
}

static void
defaults (void)
{
  g_autoptr(GError)     error    = NULL;
  g_autoptr(FbSettings) settings = fb_settings_load ("/nowhere/engine.conf", &error);

  g_assert_no_error (error);
  g_assert_cmpint (settings->threads, ==, 0);
  g_assert_cmpint (settings->nice, ==, 10);
  g_assert_cmpfloat (settings->idle_seconds, ==, 300.0);
  g_assert_cmpstr (settings->dtype, ==, "auto");
  g_assert_cmpuint (settings->memory_budget, >, 0);
  g_assert_cmpuint (settings->memory_budget, <=, fb_memory_available ());
}

static void
all_keys (void)
{
  g_autoptr(GError)     error    = NULL;
  g_autoptr(FbSettings) settings = parse ("[engine]\nthreads=3\nnice = 0\nmemory-budget=1.5 GB\nidle-seconds=12.5\nhang-seconds=2\ndtype=f32\n"
                                          "[elsewhere]\nthreads=x\n", &error);

  g_assert_no_error (error);
  g_assert_cmpint (settings->threads, ==, 3);
  g_assert_cmpint (settings->nice, ==, 0);
  g_assert_cmpuint (settings->memory_budget, ==, 1500000000);
  g_assert_cmpfloat (settings->idle_seconds, ==, 12.5);
  g_assert_cmpfloat (settings->hang_seconds, ==, 2.0);
  g_assert_cmpstr (settings->dtype, ==, "f32");
}

static void
wrong_values_are_named (void)
{
  static const struct { const char *line, *key; } cases[] =
  {
    { "threads=two", "threads" }, { "threads=-1", "threads" }, { "threads=1.5", "threads" }, { "threads=", "threads" },
    { "threads=1e300", "threads" }, { "nice=20", "nice" }, { "nice=nan", "nice" }, { "memory-budget=lots", "memory-budget" },
    { "memory-budget=-1", "memory-budget" }, { "memory-budget=101%", "memory-budget" }, { "memory-budget=1e15TB", "memory-budget" },
    { "memory-budget=5 XB", "memory-budget" }, { "idle-seconds=0", "idle-seconds" }, { "idle-seconds=inf", "idle-seconds" },
    { "hang-seconds=soon", "hang-seconds" }, { "dtype=f8", "dtype" }, { "thread=2", "thread" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char       *text     = g_strdup_printf ("[engine]\n%s\n", cases[i].line);
      g_autofree char       *wanted   = g_strdup_printf (": %s: ", cases[i].key);
      g_autoptr(GError)      error    = NULL;
      g_autoptr(FbSettings)  settings = parse (text, &error);

      g_assert_null (settings);
      g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_SETTINGS);
      g_assert_nonnull (strstr (error->message, wanted));
    }
}

static void
a_broken_file_is_named (void)
{
  g_autoptr(GError)     error    = NULL;
  g_autoptr(FbSettings) settings = parse ("threads=2\n", &error);

  g_assert_null (settings);
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_SETTINGS);
  g_assert_nonnull (strstr (error->message, "fb-settings-"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/engine/settings/no-file-means-defaults", defaults);
  g_test_add_func ("/core/engine/settings/every-key-is-read", all_keys);
  g_test_add_func ("/core/engine/settings/wrong-values-are-named", wrong_values_are_named);
  g_test_add_func ("/core/engine/settings/a-broken-file-is-named", a_broken_file_is_named);
  return g_test_run ();
}
