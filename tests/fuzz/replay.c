/* tests/fuzz/replay.c: runs a fuzz target over its corpus. SPDX-License-Identifier: LGPL-3.0-or-later
 * Takes the place of libFuzzer's main where the compiler has none; also feeds each input's beginnings, which no corpus needs to list. */
#include <glib.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
test_file (gconstpointer path)
{
  g_autofree char  *content = NULL;
  gsize             n;
  g_autoptr(GError) error   = NULL;

  g_file_get_contents (path, &content, &n, &error);
  g_assert_no_error (error);
  for (gsize cut = n > 4096 ? n - 4096 : 0; cut <= n; cut++)
    {
      g_autofree guint8 *exact = g_memdup2 (content, cut);     /* a read past the end is a sanitizer's find only so */

      LLVMFuzzerTestOneInput (cut > 0 ? exact : (const guint8 *) "", cut);
    }
}

int
main (int argc, char **argv)
{
  g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GError)    error = NULL;
  g_autoptr(GDir)      dir   = NULL;
  const char          *name;

  g_test_init (&argc, &argv, NULL);
  g_assert_cmpint (argc, ==, 3);                               /* what is fuzzed, the corpus */
  dir = g_dir_open (argv[2], 0, &error);
  g_assert_no_error (error);
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      char            *path = g_build_filename (argv[2], name, NULL);
      g_autofree char *test = g_strdup_printf ("/fuzz/%s/%s", argv[1], name);

      g_ptr_array_add (paths, path);
      g_test_add_data_func (test, path, test_file);
    }
  g_assert_cmpuint (paths->len, >, 0);

  return g_test_run ();
}
