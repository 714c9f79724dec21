/* core/store/hash.c: SHA-256 of large files, computed once. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/store/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#define CHUNK       (1 << 20)   /* bytes; hashed in a few milliseconds, so that a cancel is seen */
#define TELL        (4 << 20)   /* bytes between two calls of progress */
#define N_DIGITS    64
#define MAX_ENTRIES 4096        /* lines kept; the oldest go first */

/* One line of the cache: digits, size, time of change, path. */
static char *
cache_line (const char *digits, const struct stat *st, const char *path)
{
  return g_strdup_printf ("%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT ".%09ld %s", digits, (gint64) st->st_size,
                          (gint64) st->st_mtim.tv_sec, (long) st->st_mtim.tv_nsec, path);
}

static char *
cache_path (void)
{
  return g_build_filename (g_get_user_cache_dir (), "flashbrush", "hashes", NULL);
}

static char **
cache_read (void)
{
  g_autofree char *path = cache_path ();
  g_autofree char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? g_strsplit (text, "\n", -1) : g_new0 (char *, 1);
}

/* (transfer full) (nullable): of a line that ends in @wanted, all but the digits */
static char *
digits_of (const char *line, const char *wanted)
{
  if (strlen (line) > N_DIGITS && strcmp (line + N_DIGITS, wanted) == 0 && strspn (line, "0123456789abcdef") == N_DIGITS)
    return g_strndup (line, N_DIGITS);
  return NULL;
}

/* (transfer full) (nullable) */
static char *
cache_lookup (const char *path, const struct stat *st)
{
  g_auto(GStrv)    lines  = cache_read ();
  g_autofree char *wanted = cache_line ("", st, path);
  char            *digits = NULL;

  for (guint i = 0; digits == NULL && lines[i] != NULL; i++)
    digits = digits_of (lines[i], wanted);
  return digits;
}

/* Two processes that write at once lose one of the two lines, never the file: it is replaced as a whole. */
static void
cache_store (const char *digits, const struct stat *st, const char *path)
{
  g_auto(GStrv)      lines  = cache_read ();
  g_autofree char   *cache  = cache_path ();
  g_autofree char   *folder = g_path_get_dirname (cache);
  g_autofree char   *line   = cache_line (digits, st, path);
  g_autoptr(GString) text   = g_string_new (NULL);
  guint              n      = g_strv_length (lines);

  if (strchr (path, '\n') != NULL)
    return;

  for (guint i = n > MAX_ENTRIES ? n - MAX_ENTRIES : 0; i < n; i++)
    {
      g_auto(GStrv) words = g_strsplit (lines[i], " ", 4);

      if (g_strv_length (words) == 4 && strcmp (words[3], path) != 0)       /* an older version of the same file goes */
        g_string_append_printf (text, "%s\n", lines[i]);
    }
  g_string_append_printf (text, "%s\n", line);

  if (g_mkdir_with_parents (folder, 0700) == 0)
    g_file_set_contents (cache, text->str, text->len, NULL);                /* no cache is no failure */
}

/* of several files; all zeros where nobody is told */
typedef struct
{
  FbHashProgress  func;
  gpointer        user_data;
  double          done, total;        /* bytes */
  double          told;
} Progress;

static void
tell (Progress *progress, double bytes)
{
  progress->done += bytes;
  if (progress->func == NULL || (progress->done - progress->told < TELL && progress->done < progress->total))
    return;
  progress->told = progress->done;
  progress->func (progress->total > 0.0 ? MIN (progress->done / progress->total, 1.0) : 1.0, progress->user_data);
}

static char *
hash_descriptor (int fd, const char *path, Progress *progress, GCancellable *cancellable, GError **error)
{
  g_autoptr(GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guint8   *buffer   = g_malloc (CHUNK);

  for (;;)
    {
      gssize n;

      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        return NULL;
      n = read (fd, buffer, CHUNK);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          fb_model_error_set_errno (error, errno, path, FALSE);
          return NULL;
        }
      if (n == 0)
        return g_strdup (g_checksum_get_string (checksum));
      g_checksum_update (checksum, buffer, n);
      tell (progress, (double) n);
    }
}

/* @remembers: whether the cache is asked and told */
static char *
hash_file (const char *path, gboolean remembers, Progress *progress, GCancellable *cancellable, GError **error)
{
  g_autofree char *absolute = g_canonicalize_filename (path, NULL);
  int              fd       = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat      before, after;
  char            *digits   = NULL;

  if (fd < 0 || fstat (fd, &before) != 0)
    fb_model_error_set_errno (error, errno, path, FALSE);
  else if (!S_ISREG (before.st_mode))
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, _("“%s” is not a file."), path);
  else if (remembers && (digits = cache_lookup (absolute, &before)) != NULL)
    tell (progress, (double) before.st_size);
  else
    {
      digits = hash_descriptor (fd, path, progress, cancellable, error);
      if (remembers && digits != NULL && fstat (fd, &after) == 0 && after.st_size == before.st_size &&
          after.st_mtim.tv_sec == before.st_mtim.tv_sec && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
        cache_store (digits, &before, absolute);             /* not of a file that has changed meanwhile */
    }

  if (fd >= 0)
    close (fd);
  return digits;
}

/* (transfer full): one fingerprint of several; see fb_hash_files() */
static char *
combine (GPtrArray *digits)
{
  g_autoptr(GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);

  g_assert (digits->len > 0);
  if (digits->len == 1)
    return g_strdup (digits->pdata[0]);

  g_ptr_array_sort_values (digits, (GCompareFunc) strcmp);
  for (guint i = 0; i < digits->len; i++)
    {
      g_checksum_update (checksum, digits->pdata[i], N_DIGITS);
      g_checksum_update (checksum, (const guchar *) "\n", 1);
    }

  return g_strdup (g_checksum_get_string (checksum));
}

char *
fb_hash_file (const char *path, GCancellable *cancellable, GError **error)
{
  Progress nobody = { 0 };

  return hash_file (path, TRUE, &nobody, cancellable, error);
}

char *
fb_hash_small_file (const char *path, GCancellable *cancellable, GError **error)
{
  Progress nobody = { 0 };

  return hash_file (path, FALSE, &nobody, cancellable, error);
}

char *
fb_hash_files (const char * const *paths, GCancellable *cancellable, GError **error)
{
  return fb_hash_files_with_progress (paths, NULL, NULL, cancellable, error);
}

char *
fb_hash_files_with_progress (const char * const *paths, FbHashProgress func, gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_autoptr(GPtrArray) digits   = g_ptr_array_new_with_free_func (g_free);
  Progress             progress = { .func = func, .user_data = user_data };

  for (guint i = 0; paths[i] != NULL; i++)
    {
      struct stat st;

      progress.total += stat (paths[i], &st) == 0 ? (double) st.st_size : 0.0;
    }
  for (guint i = 0; paths[i] != NULL; i++)
    {
      char *one = hash_file (paths[i], TRUE, &progress, cancellable, error);

      if (one == NULL)
        return NULL;
      g_ptr_array_add (digits, one);
    }
  return combine (digits);
}

/* --- what is known already ---------------------------------------------------------------------------------------------- */

struct FbHashes
{
  GHashTable *lines;              /* path -> line */
};

FbHashes *
fb_hashes_load (void)
{
  FbHashes      *self  = g_new (FbHashes, 1);
  g_auto(GStrv)  lines = cache_read ();

  self->lines = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_auto(GStrv) words = g_strsplit (lines[i], " ", 4);

      if (g_strv_length (words) == 4)
        g_hash_table_replace (self->lines, g_strdup (words[3]), g_strdup (lines[i]));
    }
  return self;
}

void
fb_hashes_free (FbHashes *self)
{
  g_hash_table_unref (self->lines);
  g_free (self);
}

static char *
lookup (FbHashes *self, const char *path)
{
  g_autofree char *absolute = g_canonicalize_filename (path, NULL);
  const char      *line     = g_hash_table_lookup (self->lines, absolute);
  struct stat      st;
  g_autofree char *wanted   = line != NULL && stat (path, &st) == 0 ? cache_line ("", &st, absolute) : NULL;

  return wanted != NULL ? digits_of (line, wanted) : NULL;
}

char *
fb_hashes_lookup (FbHashes *self, const char * const *paths)
{
  g_autoptr(GPtrArray) digits = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; paths[i] != NULL; i++)
    {
      char *one = lookup (self, paths[i]);

      if (one == NULL)
        return NULL;
      g_ptr_array_add (digits, one);
    }
  return combine (digits);
}
