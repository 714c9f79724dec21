/* core/image/png.c: pictures as PNG files. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/image/png.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <png.h>
#include <unistd.h>

#define MAX_PIXELS ((guint64) 1 << 28)     /* a file of a few kilobytes may promise any size */

static const png_uint_32 formats[] = { 0, PNG_FORMAT_GRAY, 0, PNG_FORMAT_RGB, PNG_FORMAT_RGBA };      /* by channels */

static gboolean
fail (GError **error, const char *path, const char *reason)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, _("“%s”: %s."), path, reason);
  return FALSE;
}

/* The library has a few words for what it met; %NULL */
static FbImage *
fail_reading (GError **error, const char *path, const png_image *png)
{
  /* Translators: the second %s is what the library for PNG files says, in English */
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, _("“%s” is no PNG file, or a damaged one (%s). Save or copy it again."), path, png->message);
  return NULL;
}

/* GLib names the temporary file, which nobody knows */
static gboolean
fail_writing (GError **error, const char *path, const GError *cause)
{
  static const struct { int code; const char *reason; } reasons[] =
  {
    { G_FILE_ERROR_NOSPC, N_("the disk is full; free some space or choose another folder") },
    { G_FILE_ERROR_ROFS,  N_("the disk is read-only; choose another folder") },
    { G_FILE_ERROR_ACCES, N_("permission denied; choose a folder that belongs to you") },
    { G_FILE_ERROR_PERM,  N_("permission denied; choose a folder that belongs to you") },
    { G_FILE_ERROR_NOENT, N_("the folder does not exist; create it or choose another one") },
  };
  const char *reason = cause->message;

  for (gsize i = 0; i < G_N_ELEMENTS (reasons); i++)
    if (g_error_matches (cause, G_FILE_ERROR, reasons[i].code))
      reason = _(reasons[i].reason);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, _("“%s” could not be written: %s."), path, reason);
  return FALSE;
}

gboolean
fb_image_save_png (const FbImage *image, const char *path, GError **error)
{
  png_image           png   = { .version = PNG_IMAGE_VERSION, .width = image->width, .height = image->height, .format = formats[image->n_channels] };
  gsize               n     = (gsize) image->width * image->height * image->n_channels;
  g_autofree guint8  *bytes = g_try_malloc (n);
  g_autofree char    *file  = g_try_malloc (PNG_IMAGE_PNG_SIZE_MAX (png));
  png_alloc_size_t    size  = PNG_IMAGE_PNG_SIZE_MAX (png);
  g_autoptr(GError)   cause = NULL;

  if (g_file_test (path, G_FILE_TEST_EXISTS) && !g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return fail (error, path, _("it is there already and is not a file"));      /* a rename would put the picture in a device's place */
  if (bytes == NULL || file == NULL)
    return fail (error, path, _("there is no memory for the file"));
  for (gsize i = 0; i < n; i++)
    bytes[i] = (guint8) (CLAMP (image->pixels[i], 0.0f, 1.0f) * 255.0f + 0.5f);
  if (!png_image_write_to_memory (&png, file, &size, 0, bytes, 0, NULL))
    return fail (error, path, png.message);
  return g_file_set_contents (path, file, (gssize) size, &cause) || fail_writing (error, path, cause);
}

FbImage *
fb_image_load_png (const char *path, GError **error)
{
  png_image           png    = { .version = PNG_IMAGE_VERSION };
  g_autoptr(FbImage)  image  = NULL;
  g_autofree guint8  *bytes  = NULL;
  int                 n_channels;

  if (g_access (path, R_OK) != 0)
    {
      fail (error, path, g_strerror (errno));
      return NULL;
    }
  if (!png_image_begin_read_from_file (&png, path))
    return fail_reading (error, path, &png);
  if ((guint64) png.width * png.height > MAX_PIXELS)
    {
      png_image_free (&png);
      fail (error, path, _("the picture is too large"));
      return NULL;
    }

  n_channels = (png.format & PNG_FORMAT_FLAG_ALPHA) != 0 ? 4 : 3;
  png.format = formats[n_channels];
  bytes      = g_try_malloc (PNG_IMAGE_SIZE (png));
  image      = fb_image_new ((int) png.width, (int) png.height, n_channels);
  if (bytes == NULL || image == NULL)
    {
      fail (error, path, _("there is no memory for the picture"));
      png_image_free (&png);
      return NULL;
    }
  if (!png_image_finish_read (&png, NULL, bytes, 0, NULL))
    return fail_reading (error, path, &png);
  for (gsize i = 0; i < (gsize) png.width * png.height * n_channels; i++)
    image->pixels[i] = bytes[i] / 255.0f;
  return g_steal_pointer (&image);
}
