/* tests/core/scratch.h: a folder for the files a test writes. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <stdio.h>

#include <gio/gio.h>

/* (transfer full): a new folder below the temporary one */
static inline char *
scratch_new (void)
{
  g_autoptr(GError) error = NULL;
  char             *path  = g_dir_make_tmp ("flashbrush-test-XXXXXX", &error);

  g_assert_no_error (error);
  return path;
}

/* Removes the folder and what is in it. */
static inline void
scratch_free (char *path)
{
  GDir       *dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    scratch_free (g_build_filename (path, name, NULL));
  g_clear_pointer (&dir, g_dir_close);
  g_assert_cmpint (remove (path), ==, 0);
  g_free (path);
}

typedef char Scratch;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Scratch, scratch_free)

static inline void
scratch_write (const char *folder, const char *name, const void *data, gssize n)
{
  g_autofree char  *path   = g_build_filename (folder, name, NULL);
  g_autofree char  *parent = g_path_get_dirname (path);
  g_autoptr(GError) error  = NULL;

  g_assert_cmpint (g_mkdir_with_parents (parent, 0700), ==, 0);
  g_file_set_contents (path, data, n, &error);
  g_assert_no_error (error);
}

/* The number of entries in @folder: temporary files left behind show in it. */
static inline int
scratch_count (const char *folder)
{
  g_autoptr(GDir) dir = g_dir_open (folder, 0, NULL);
  int             n   = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* g_test_run() with an empty folder for caches, before anything has asked where caches are: what is encoded for one test serves the others. */
static inline int
scratch_test_run (void)
{
  char *cache = scratch_new ();
  int   status;

  g_setenv ("XDG_CACHE_HOME", cache, TRUE);
  status = g_test_run ();
  scratch_free (cache);
  return status;
}
