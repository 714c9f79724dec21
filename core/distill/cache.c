/* core/distill/cache.c: what has been encoded once, on disk. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/cache.h"

#include <errno.h>
#include <glib/gstdio.h>

#include "core/formats/safetensors-writer.h"

#define TENSOR "values"

struct FbCache
{
  char *folder;
};

FbCache *
fb_cache_new (const char *folder)
{
  FbCache *self = g_new0 (FbCache, 1);

  self->folder = folder != NULL ? g_strdup (folder) : g_build_filename (g_get_user_cache_dir (), "flashbrush", "distill", NULL);
  return self;
}

void
fb_cache_free (FbCache *self)
{
  if (self != NULL)
    g_free (self->folder);
  g_free (self);
}

char *
fb_cache_key (const char *part, ...)
{
  g_autoptr(GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  va_list              args;

  va_start (args, part);
  for (; part != NULL; part = va_arg (args, const char *))
    {
      g_autofree char *length = g_strdup_printf ("%zu:", strlen (part));     /* so that no two lists of parts run together */

      g_checksum_update (sum, (const guchar *) length, -1);
      g_checksum_update (sum, (const guchar *) part, -1);
    }
  va_end (args);
  return g_strdup (g_checksum_get_string (sum));
}

/* in 256 folders: some file systems are slow with many files in one */
static char *
file_path (FbCache *self, const char *key)
{
  const char       shelf[] = { key[0], key[1], '\0' };
  g_autofree char *name    = g_strconcat (key, ".safetensors", NULL);

  return g_build_filename (self->folder, shelf, name, NULL);
}

gboolean
fb_cache_get (FbCache *self, const char *key, float *values, size_t n)
{
  g_autofree char          *path = file_path (self, key);
  g_autoptr(FbSafetensors)  file = fb_safetensors_open (path, NULL);
  const FbTensorInfo       *info = file != NULL ? fb_safetensors_lookup (file, TENSOR) : NULL;

  return info != NULL && info->readable && info->dtype == FB_DTYPE_F32 && info->n_bytes == n * sizeof *values &&
         fb_safetensors_read_finite (file, info, values, NULL, NULL);
}

gboolean
fb_cache_has (FbCache *self, const char *key, size_t n)
{
  g_autofree float *values = g_new (float, n);

  return fb_cache_get (self, key, values, n);
}

gboolean
fb_cache_put (FbCache *self, const char *key, const float *values, size_t n, GError **error)
{
  g_autofree char                *path    = file_path (self, key);
  g_autofree char                *folder  = g_path_get_dirname (path);
  g_autoptr(FbSafetensorsWriter)  writer  = fb_safetensors_writer_new (path);
  const gint64                    shape[] = { (gint64) n };

  if (g_mkdir_with_parents (folder, 0700) != 0)
    {
      fb_model_error_set_errno (error, errno, folder, TRUE);
      return FALSE;
    }
  fb_safetensors_writer_add (writer, TENSOR, FB_DTYPE_F32, 1, shape);
  return fb_safetensors_writer_write (writer, values, n * sizeof *values, error) && fb_safetensors_writer_finish (writer, error);
}
