/* core/formats/safetensors-writer.c: writes a safetensors file whole or not at all. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/safetensors-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>
#include <json-glib/json-glib.h>

struct FbSafetensorsWriter
{
  char        *path;
  char        *temporary;   /* NULL before the first write and after the last */
  int          fd;
  JsonBuilder *header;
  JsonObject  *metadata;
  GHashTable  *names;
  guint64      n_data;      /* bytes declared */
  guint64      n_written;
};

FbSafetensorsWriter *
fb_safetensors_writer_new (const char *path)
{
  FbSafetensorsWriter *self = g_new0 (FbSafetensorsWriter, 1);

  self->path     = g_strdup (path);
  self->fd       = -1;
  self->header   = json_builder_new ();
  self->metadata = json_object_new ();
  self->names    = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  json_builder_begin_object (self->header);

  return self;
}

void
fb_safetensors_writer_free (FbSafetensorsWriter *self)
{
  if (self->fd >= 0)
    close (self->fd);
  if (self->temporary != NULL)
    unlink (self->temporary);
  g_free (self->temporary);
  g_free (self->path);
  g_clear_object (&self->header);
  json_object_unref (self->metadata);
  g_hash_table_unref (self->names);
  g_free (self);
}

void
fb_safetensors_writer_set_metadata (FbSafetensorsWriter *self, const char *key, const char *value)
{
  g_assert (self->fd < 0 && g_utf8_validate (key, -1, NULL) && g_utf8_validate (value, -1, NULL));
  json_object_set_string_member (self->metadata, key, value);
}

static const char *
dtype_name (FbDtype dtype)
{
  switch (dtype)
    {
    case FB_DTYPE_F32:  return "F32";
    case FB_DTYPE_BF16: return "BF16";
    case FB_DTYPE_F16:  return "F16";
    case FB_DTYPE_F64:  return "F64";
    case FB_DTYPE_I32:  return "I32";
    case FB_DTYPE_I64:  return "I64";
    case FB_DTYPE_U8:   return "U8";
    }
  g_assert_not_reached ();
}

void
fb_safetensors_writer_add (FbSafetensorsWriter *self, const char *name, FbDtype dtype, int n_dims, const gint64 *shape)
{
  guint64  n    = fb_dtype_size (dtype);
  gboolean fits = TRUE;

  g_assert (self->fd < 0 && n_dims >= 0 && n_dims <= FB_SAFETENSORS_MAX_DIMS);
  g_assert (g_utf8_validate (name, -1, NULL) && strcmp (name, "__metadata__") != 0);
  g_assert (!g_hash_table_contains (self->names, name));
  g_hash_table_add (self->names, g_strdup (name));

  json_builder_set_member_name (self->header, name);
  json_builder_begin_object (self->header);
  json_builder_set_member_name (self->header, "dtype");
  json_builder_add_string_value (self->header, dtype_name (dtype));
  json_builder_set_member_name (self->header, "shape");
  json_builder_begin_array (self->header);
  for (int d = 0; d < n_dims; d++)
    {
      fits = fits && shape[d] >= 0 && g_uint64_checked_mul (&n, n, shape[d]);
      json_builder_add_int_value (self->header, shape[d]);
    }
  json_builder_end_array (self->header);
  json_builder_set_member_name (self->header, "data_offsets");
  json_builder_begin_array (self->header);
  json_builder_add_int_value (self->header, self->n_data);
  fits = fits && g_uint64_checked_add (&self->n_data, self->n_data, n) && self->n_data <= G_MAXINT64 / 2;
  g_assert (fits);
  json_builder_add_int_value (self->header, self->n_data);
  json_builder_end_array (self->header);
  json_builder_end_object (self->header);
}

static gboolean
write_bytes (FbSafetensorsWriter *self, const void *data, size_t n, GError **error)
{
  for (size_t done = 0; done < n;)
    {
      gssize put = write (self->fd, (const char *) data + done, n - done);

      if (put < 0 && errno == EINTR)
        continue;
      if (put < 0)
        {
          fb_model_error_set_errno (error, errno, self->path, TRUE);
          return FALSE;
        }
      done += put;
    }

  return TRUE;
}

/* The header as text, padded with spaces so that the data begins at a multiple of 8. */
static GString *
make_header (FbSafetensorsWriter *self)
{
  g_autoptr(JsonGenerator) generator = json_generator_new ();
  g_autoptr(JsonNode)      root      = NULL;
  GString                 *text      = g_string_new (NULL);

  if (json_object_get_size (self->metadata) > 0)
    {
      JsonNode *node = json_node_new (JSON_NODE_OBJECT);

      json_node_set_object (node, self->metadata);
      json_builder_set_member_name (self->header, "__metadata__");
      json_builder_add_value (self->header, node);
    }
  json_builder_end_object (self->header);
  root = json_builder_get_root (self->header);
  json_generator_set_root (generator, root);
  json_generator_to_gstring (generator, text);
  while (text->len % 8 != 0)
    g_string_append_c (text, ' ');

  return text;
}

static gboolean
begin (FbSafetensorsWriter *self, GError **error)
{
  g_autoptr(GString) header = make_header (self);
  g_autofree char   *name   = g_strconcat (self->path, ".XXXXXX", NULL);
  guint64            length = GUINT64_TO_LE (header->len);
  int                code;

  self->fd = g_mkstemp_full (name, O_RDWR | O_CLOEXEC, 0666);        /* less the umask, as any file the user saves */
  if (self->fd < 0)
    {
      fb_model_error_set_errno (error, errno, self->path, TRUE);
      return FALSE;
    }
  self->temporary = g_steal_pointer (&name);

  code = posix_fallocate (self->fd, 0, 8 + header->len + self->n_data);
  if (code == ENOSPC || code == EFBIG || code == EDQUOT)
    {
      fb_model_error_set_errno (error, code, self->path, TRUE);
      return FALSE;
    }

  return write_bytes (self, &length, 8, error) && write_bytes (self, header->str, header->len, error);
}

gboolean
fb_safetensors_writer_write (FbSafetensorsWriter *self, const void *data, size_t n, GError **error)
{
  g_assert (n <= self->n_data - self->n_written);

  if (self->fd < 0 && !begin (self, error))
    return FALSE;
  if (!write_bytes (self, data, n, error))
    return FALSE;

  self->n_written += n;
  return TRUE;
}

gboolean
fb_safetensors_writer_finish (FbSafetensorsWriter *self, GError **error)
{
  g_assert (self->n_written == self->n_data);

  if (self->fd < 0 && !begin (self, error))
    return FALSE;
  if (fsync (self->fd) != 0 || rename (self->temporary, self->path) != 0)
    {
      fb_model_error_set_errno (error, errno, self->path, TRUE);
      return FALSE;
    }

  g_clear_pointer (&self->temporary, g_free);
  return TRUE;
}
