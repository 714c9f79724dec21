/* core/formats/safetensors.c: opens safetensors files and reads their tensors. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/safetensors-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#define CHUNK (4 << 20)   /* bytes; read in a few milliseconds even from a slow disk, so that a cancel is seen */

G_STATIC_ASSERT (G_BYTE_ORDER == G_LITTLE_ENDIAN);   /* elements are handed out as they lie in the file */

struct FbSafetensors
{
  int                 ref_count;
  char               *path;
  int                 fd;       /* -1: in memory */
  GBytes             *bytes;    /* NULL: in a file */
  FbSafetensorsHeader header;
};

char *
fb_tensor_info_shape_string (const FbTensorInfo *info)
{
  GString *s = g_string_new ("[");

  for (int d = 0; d < info->n_dims; d++)
    g_string_append_printf (s, d > 0 ? ", %" G_GINT64_FORMAT : "%" G_GINT64_FORMAT, info->shape[d]);
  g_string_append_c (s, ']');

  return g_string_free (s, FALSE);
}

guint64
fb_tensor_info_n_elements (const FbTensorInfo *info)
{
  guint64 n = 1;

  for (int d = 0; d < info->n_dims; d++)
    n *= info->shape[d];                     /* checked against wrapping when the header was read */

  return n;
}

/* Reads up to @n bytes at @offset: fewer only at the end of the file; -1 with errno set on failure. */
static gssize
read_at (int fd, void *dst, gsize n, guint64 offset)
{
  gsize done = 0;

  while (done < n)
    {
      gssize got = pread (fd, (char *) dst + done, n - done, offset + done);

      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return -1;
      if (got == 0)
        break;
      done += got;
    }

  return done;
}

static gboolean
is_pickle_name (const char *path)
{
  static const char * const suffixes[] = { ".ckpt", ".bin", ".pt", ".pth", ".pkl" };
  g_autofree char *lower = g_ascii_strdown (path, -1);

  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (g_str_has_suffix (lower, suffixes[i]))
      return TRUE;
  return FALSE;
}

static gboolean
open_descriptor (FbSafetensors *self, guint64 *size, GError **error)
{
  struct stat st;

  self->fd = open (self->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);   /* O_NONBLOCK: a pipe of that name must not block us */
  if (self->fd < 0 || fstat (self->fd, &st) != 0)
    fb_model_error_set_errno (error, errno, self->path, FALSE);
  else if (!S_ISREG (st.st_mode))
    fb_safetensors_fail (error, FB_MODEL_ERROR_NOT_FOUND, self->path, _("it is not a file"));
  else if (is_pickle_name (self->path))
    fb_safetensors_fail (error, FB_MODEL_ERROR_PICKLE, self->path,
                         _("its format is Python's pickle, and loading a pickle can run any code it contains; "
                           "convert it to safetensors, or download the safetensors version"));
  else
    {
      *size = st.st_size;
      return TRUE;
    }

  return FALSE;
}

static gboolean
read_header (FbSafetensors *self, guint64 size, GError **error)
{
  guint8           start[8];
  gssize           n_start = read_at (self->fd, start, sizeof start, 0);
  guint64          length;
  g_autofree char *json = NULL;
  gssize           n;

  if (n_start < 0)
    {
      fb_model_error_set_errno (error, errno, self->path, FALSE);
      return FALSE;
    }

  length = fb_safetensors_header_length (start, n_start, size, self->path, error);
  if (length == 0)
    return FALSE;

  json = g_malloc (length);
  n    = read_at (self->fd, json, length, 8);
  if (n < 0)
    fb_model_error_set_errno (error, errno, self->path, FALSE);
  else if ((guint64) n < length)
    fb_safetensors_fail (error, FB_MODEL_ERROR_TRUNCATED, self->path, _("it ends within its header"));
  else
    return fb_safetensors_header_parse (&self->header, json, length, 8 + length, size, self->path, error);

  return FALSE;
}

FbSafetensors *
fb_safetensors_open (const char *path, GError **error)
{
  g_autoptr(FbSafetensors) self = g_new0 (FbSafetensors, 1);
  guint64                  size;

  self->ref_count = 1;
  self->path      = g_strdup (path);
  self->fd        = -1;

  if (!open_descriptor (self, &size, error) || !read_header (self, size, error))
    return NULL;

  return g_steal_pointer (&self);
}

FbSafetensors *
fb_safetensors_parse (GBytes *bytes, GError **error)
{
  g_autoptr(FbSafetensors) self = g_new0 (FbSafetensors, 1);
  gsize                    size;
  const guint8            *data = g_bytes_get_data (bytes, &size);
  guint64                  length;

  self->ref_count = 1;
  self->path      = g_strdup ("<memory>");
  self->fd        = -1;
  self->bytes     = g_bytes_ref (bytes);

  length = fb_safetensors_header_length (data, size, size, self->path, error);
  if (length == 0 ||
      !fb_safetensors_header_parse (&self->header, (const char *) data + 8, length, 8 + length, size, self->path, error))
    return NULL;

  return g_steal_pointer (&self);
}

FbSafetensors *
fb_safetensors_ref (FbSafetensors *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
fb_safetensors_unref (FbSafetensors *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  fb_safetensors_header_clear (&self->header);
  g_clear_pointer (&self->bytes, g_bytes_unref);
  if (self->fd >= 0)
    close (self->fd);
  g_free (self->path);
  g_free (self);
}

const char *
fb_safetensors_path (const FbSafetensors *self)
{
  return self->path;
}

guint
fb_safetensors_n_tensors (const FbSafetensors *self)
{
  return self->header.tensors->len;
}

const FbTensorInfo *
fb_safetensors_tensor (const FbSafetensors *self, guint i)
{
  g_assert (i < self->header.tensors->len);
  return &g_array_index (self->header.tensors, FbTensorInfo, i);
}

const FbTensorInfo *
fb_safetensors_lookup (const FbSafetensors *self, const char *name)
{
  return g_hash_table_lookup (self->header.by_name, name);
}

const char *
fb_safetensors_metadata (const FbSafetensors *self, const char *key)
{
  return g_hash_table_lookup (self->header.metadata, key);
}

gboolean
fb_safetensors_read (FbSafetensors *self, const FbTensorInfo *info, guint64 offset, size_t n, void *dst, GCancellable *cancellable,
                     GError **error)
{
  g_assert (offset <= info->n_bytes && n <= info->n_bytes - offset);

  if (self->bytes != NULL)
    {
      memcpy (dst, (const char *) g_bytes_get_data (self->bytes, NULL) + info->offset + offset, n);
      return TRUE;
    }

  for (size_t done = 0; done < n;)
    {
      size_t chunk = MIN (n - done, CHUNK);
      gssize got;

      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;

      got = read_at (self->fd, (char *) dst + done, chunk, info->offset + offset + done);
      if (got < 0)
        {
          fb_model_error_set_errno (error, errno, self->path, FALSE);
          g_prefix_error (error, _("Tensor “%s”: "), info->name);
          return FALSE;
        }
      if ((size_t) got < chunk)
        {
          fb_safetensors_fail (error, FB_MODEL_ERROR_TRUNCATED, self->path,
                               _("it was cut short while in use, and tensor “%s” is missing"), info->name);
          return FALSE;
        }
      done += chunk;
    }

  return TRUE;
}

/* Whether no element is NaN or infinite: all ones in the exponent. One pass without a branch, which compilers turn into vector code. */
static gboolean
all_finite (const void *data, FbDtype dtype, size_t n)
{
  guint32 bad = 0;

  if (dtype == FB_DTYPE_F32)
    {
      const guint32 *x = data;

      for (size_t i = 0; i < n; i++)
        bad |= (x[i] & 0x7f800000u) == 0x7f800000u;
    }
  else
    {
      const guint16 *x        = data;
      const guint16  exponent = dtype == FB_DTYPE_F16 ? 0x7c00 : 0x7f80;

      for (size_t i = 0; i < n; i++)
        bad |= (x[i] & exponent) == exponent;
    }

  return bad == 0;
}

static gboolean
check_finite (const FbSafetensors *self, const FbTensorInfo *info, const void *data, FbDtype dtype, size_t n, GError **error)
{
  if (all_finite (data, dtype, n))
    return TRUE;

  fb_safetensors_fail (error, FB_MODEL_ERROR_NOT_FINITE, self->path,
                       _("tensor “%s” holds values that are not finite numbers (NaN or infinity); "
                         "the file is spoiled, use another copy or another model"), info->name);
  return FALSE;
}

gboolean
fb_safetensors_check_dtype (const FbSafetensors *self, const FbTensorInfo *info, gboolean allow_f64, GError **error)
{
  if (info->readable && (info->dtype == FB_DTYPE_F32 || info->dtype == FB_DTYPE_F16 || info->dtype == FB_DTYPE_BF16 ||
                         (allow_f64 && info->dtype == FB_DTYPE_F64)))
    return TRUE;

  fb_safetensors_fail (error, FB_MODEL_ERROR_DTYPE, self->path,
                       _("tensor “%s” is of type %s, where F32, F16 or BF16 is needed; use another version of the model"),
                       info->name, info->dtype_name);
  return FALSE;
}

gboolean
fb_safetensors_read_f32 (FbSafetensors *self, const FbTensorInfo *info, guint64 first, size_t n, float *dst, GCancellable *cancellable,
                         GError **error)
{
  const size_t     n_buffer = MIN (n, CHUNK / 8);
  g_autofree void *buffer   = NULL;
  size_t           size;

  if (!fb_safetensors_check_dtype (self, info, TRUE, error))
    return FALSE;

  size = fb_dtype_size (info->dtype);
  if (info->dtype != FB_DTYPE_F32)
    buffer = g_malloc (n_buffer * size);

  for (size_t done = 0; done < n;)
    {
      size_t chunk = MIN (n - done, n_buffer);

      if (!fb_safetensors_read (self, info, (first + done) * size, chunk * size, buffer != NULL ? buffer : dst + done, cancellable, error))
        return FALSE;
      if (buffer != NULL)
        fb_dtype_convert (dst + done, FB_DTYPE_F32, buffer, info->dtype, chunk);
      if (!check_finite (self, info, dst + done, FB_DTYPE_F32, chunk, error))
        return FALSE;
      done += chunk;
    }

  return TRUE;
}

gboolean
fb_safetensors_read_finite (FbSafetensors *self, const FbTensorInfo *info, void *dst, GCancellable *cancellable, GError **error)
{
  return fb_safetensors_check_dtype (self, info, FALSE, error) &&
         fb_safetensors_read (self, info, 0, info->n_bytes, dst, cancellable, error) &&
         check_finite (self, info, dst, info->dtype, fb_tensor_info_n_elements (info), error);
}
