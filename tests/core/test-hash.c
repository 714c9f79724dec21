/* tests/core/test-hash.c: fingerprints of files and their cache. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include <glib/gstdio.h>

#include "core/store/hash.h"
#include "tests/core/scratch.h"

/* FIPS 180-4's example "abc", and the empty message */
#define ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/* printf 'ba78…\ne3b0…\n' | sha256sum */
#define BOTH  "ff481ce4c9482a1350469a8ff263915d6a478123e3a0c03f6eba5cb3e38a150f"

/* Each test has its own, and the folder for it. */
static char *
cache_file (void)
{
  g_autofree char *folder = g_build_filename (g_get_user_cache_dir (), "flashbrush", NULL);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  return g_build_filename (folder, "hashes", NULL);
}

static void
assert_hash (const char *path, const char *expected)
{
  g_autoptr(GError) error  = NULL;
  g_autofree char  *digits = fb_hash_file (path, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (digits, ==, expected);
}

static void
test_files_have_their_sha256 (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *a      = g_build_filename (folder, "a", NULL);
  g_autofree char   *b      = g_build_filename (folder, "b", NULL);
  const char        *ab[]   = { a, b, NULL }, *ba[] = { b, a, NULL }, *one[] = { a, NULL };
  g_autofree char   *first = NULL, *second = NULL, *single = NULL;

  scratch_write (folder, "a", "abc", 3);
  scratch_write (folder, "b", "", 0);
  assert_hash (a, ABC);
  assert_hash (b, EMPTY);
  first  = fb_hash_files (ab, NULL, NULL);
  second = fb_hash_files (ba, NULL, NULL);
  single = fb_hash_files (one, NULL, NULL);
  g_assert_cmpstr (first, ==, BOTH);
  g_assert_cmpstr (second, ==, BOTH);
  g_assert_cmpstr (single, ==, ABC);
}

/* What the cache says is believed while size and time of change are the same, and no longer. */
static void
test_cache_is_used_until_the_file_changes (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = g_build_filename (folder, "a", NULL);
  g_autofree char   *cache  = cache_file ();
  g_autofree char   *text   = NULL;
  g_autoptr(GString) forged = NULL;

  scratch_write (folder, "a", "abd", 3);
  g_free (fb_hash_file (path, NULL, NULL));
  g_assert_true (g_file_get_contents (cache, &text, NULL, NULL));
  forged = g_string_new (text);
  g_string_replace (forged, "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9", EMPTY, 0);
  g_assert_cmpstr (forged->str, !=, text);
  g_assert_true (g_file_set_contents (cache, forged->str, -1, NULL));
  assert_hash (path, EMPTY);

  g_usleep (20000);
  scratch_write (folder, "a", "abc", 3);                       /* same size, another time */
  assert_hash (path, ABC);
  assert_hash (path, ABC);
}

static void
test_spoiled_cache_is_ignored (void)
{
  static const char * const texts[] = { "", "\n\n\n", "x", "\xff\xfe\n", "0000 0 0 /a\n", ABC, ABC "\n", ABC " 3 0.0" };
  g_autoptr(Scratch)        folder  = scratch_new ();
  g_autofree char          *path    = g_build_filename (folder, "a", NULL);
  g_autofree char          *cache   = cache_file ();

  scratch_write (folder, "a", "abc", 3);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_assert_true (g_file_set_contents (cache, texts[i], -1, NULL));
      assert_hash (path, ABC);
      assert_hash (path, ABC);
    }
}

static void
test_small_files_leave_the_cache_alone (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = g_build_filename (folder, "small", NULL);
  g_autofree char   *cache  = cache_file ();
  g_autofree char   *digits = NULL, *known = NULL, *lines = NULL;

  scratch_write (folder, "small", "abc", -1);
  digits = fb_hash_small_file (path, NULL, NULL);
  g_assert_cmpstr (digits, ==, ABC);
  g_assert_false (g_file_get_contents (cache, &lines, NULL, NULL) && strstr (lines, path) != NULL);
  known = fb_hash_file (path, NULL, NULL);
  g_assert_cmpstr (known, ==, digits);
}

static void
test_works_without_a_cache (void)
{
  g_autoptr(Scratch) folder = scratch_new ();
  g_autofree char   *path   = g_build_filename (folder, "a", NULL);
  g_autofree char   *cache  = cache_file ();
  g_autofree char   *parent = g_path_get_dirname (cache);

  scratch_write (folder, "a", "abc", 3);
  g_assert_cmpint (g_rmdir (parent), ==, 0);
  g_assert_true (g_file_set_contents (parent, "in the way", -1, NULL));      /* no folder can be made there, not even by root */
  assert_hash (path, ABC);
  assert_hash (path, ABC);
  g_assert_cmpint (g_unlink (parent), ==, 0);
}

static void
test_failures_name_the_file (void)
{
  g_autoptr(Scratch)      folder      = scratch_new ();
  g_autofree char        *absent      = g_build_filename (folder, "absent", NULL);
  g_autofree char        *path        = g_build_filename (folder, "a", NULL);
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError)       no_file = NULL, no_regular = NULL, cancelled = NULL;

  g_assert_null (fb_hash_file (absent, NULL, &no_file));
  g_assert_error (no_file, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (no_file->message, absent));
  g_assert_null (fb_hash_file (folder, NULL, &no_regular));
  g_assert_error (no_regular, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);

  scratch_write (folder, "a", "cancelled", -1);
  g_cancellable_cancel (cancellable);
  g_assert_null (fb_hash_file (path, cancellable, &cancelled));
  g_assert_error (cancelled, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

typedef struct
{
  int           n;                /* calls */
  double        last;
  GCancellable *cancellable;      /* NULL, or cancelled by the first call */
} Watch;

static void
watch (double fraction, gpointer user_data)
{
  Watch *w = user_data;

  g_assert_cmpfloat (fraction, >, w->last);
  g_assert_cmpfloat (fraction, <=, 1.0);
  w->n++;
  w->last = fraction;
  if (w->cancellable != NULL)
    g_cancellable_cancel (w->cancellable);
}

static void
test_progress_rises_to_the_end (void)
{
  enum { LARGE = 9 << 20 };
  g_autoptr(Scratch)      folder      = scratch_new ();
  g_autofree char        *a           = g_build_filename (folder, "a", NULL);
  g_autofree char        *b           = g_build_filename (folder, "b", NULL);
  g_autofree char        *zeros       = g_malloc0 (LARGE);
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  const char             *both[]      = { a, b, NULL };
  Watch                   computed = { 0 }, remembered = { 0 }, cancelled = { .cancellable = cancellable };
  g_autoptr(GError)       error = NULL;
  g_autofree char        *first = NULL, *second = NULL;

  scratch_write (folder, "a", zeros, LARGE);
  scratch_write (folder, "b", "abc", 3);
  g_assert_null (fb_hash_files_with_progress (both, watch, &cancelled, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (cancelled.n, ==, 1);

  first = fb_hash_files_with_progress (both, watch, &computed, NULL, NULL);
  g_assert_cmpint (computed.n, >=, 3);
  g_assert_cmpfloat (computed.last, ==, 1.0);
  second = fb_hash_files_with_progress (both, watch, &remembered, NULL, NULL);
  g_assert_cmpstr (first, ==, second);
  g_assert_cmpint (remembered.n, ==, 2);
  g_assert_cmpfloat (remembered.last, ==, 1.0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
  g_test_add_func ("/core/store/hash/files-have-their-sha256", test_files_have_their_sha256);
  g_test_add_func ("/core/store/hash/cache-is-used-until-the-file-changes", test_cache_is_used_until_the_file_changes);
  g_test_add_func ("/core/store/hash/spoiled-cache-is-ignored", test_spoiled_cache_is_ignored);
  g_test_add_func ("/core/store/hash/small-files-leave-the-cache-alone", test_small_files_leave_the_cache_alone);
  g_test_add_func ("/core/store/hash/works-without-a-cache", test_works_without_a_cache);
  g_test_add_func ("/core/store/hash/failures-name-the-file", test_failures_name_the_file);
  g_test_add_func ("/core/store/hash/progress-rises-to-the-end", test_progress_rises_to_the_end);
  return g_test_run ();
}
