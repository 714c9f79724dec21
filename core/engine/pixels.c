/* core/engine/pixels.c: pictures on their way through the socket. SPDX-License-Identifier: LGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/engine/pixels.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/engine/error.h"

#define MAX_SIDE  65536u                       /* GIMP's own limit is 524,288; no model comes near */
#define MAX_BYTES ((guint64) 8 << 30)          /* 23,000 × 23,000 RGBA in f32 */
#define SEALS     (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

gboolean
fb_pixels_check_shape (guint width, guint height, guint n_channels, gsize *n_bytes, GError **error)
{
  gboolean fits = width >= 1 && width <= MAX_SIDE && height >= 1 && height <= MAX_SIDE;
  guint64  size = 0;

  if (n_channels != 1 && n_channels != 3 && n_channels != 4)
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS, _("A picture with %u channels was sent; 1, 3 or 4 are possible."), n_channels);
      return FALSE;
    }
  if (fits)
    size = (guint64) width * height * n_channels * sizeof (float);        /* 2^16 · 2^16 · 4 · 4: no wrap */
  if (!fits || size > MAX_BYTES)
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS,
                   _("A picture of %u × %u pixels was sent, which is more than the engine accepts; use a smaller one."), width, height);
      return FALSE;
    }
  if (n_bytes != NULL)
    *n_bytes = size;
  return TRUE;
}

static gboolean
write_all (int fd, const void *data, gsize size)
{
  const char *p = data;

  while (size > 0)
    {
      ssize_t n = write (fd, p, MIN (size, (gsize) 1 << 30));             /* Linux writes at most 2 GiB at once */

      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        return FALSE;
      p    += n;
      size -= n;
    }
  return TRUE;
}

int
fb_pixels_to_fd (const FbImage *image, GError **error)
{
  int fd = memfd_create ("flashbrush-pixels", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  if (fd < 0 || !write_all (fd, image->pixels, fb_image_n_bytes (image)) || fcntl (fd, F_ADD_SEALS, SEALS) < 0)
    {
      int saved = errno;

      if (fd >= 0)
        close (fd);
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS, _("A picture could not be sent: %s."), g_strerror (saved));
      return -1;
    }
  return fd;
}

/* whether @fd is what a well-behaved sender makes: sealed for good, and of @size bytes */
static gboolean
check_fd (int fd, gsize size, GError **error)
{
  int         seals = fcntl (fd, F_GET_SEALS);
  struct stat st;

  if (seals < 0 || (seals & SEALS) != SEALS)
    {
      g_set_error_literal (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS, _("A picture was refused: its memory is not sealed."));
      return FALSE;
    }
  if (fstat (fd, &st) < 0 || st.st_size < 0 || (guint64) st.st_size != size)
    {
      g_autofree char *promised = g_format_size (size);

      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS, _("A picture was refused: its memory does not hold the %s promised."), promised);
      return FALSE;
    }
  return TRUE;
}

static FbImage *
new_image (guint width, guint height, guint n_channels, GError **error)
{
  FbImage *image = fb_image_new (width, height, n_channels);

  if (image == NULL)
    g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_MEMORY, _("There is no memory for a picture of %u × %u pixels."), width, height);
  return image;
}

FbImage *
fb_pixels_from_fd (int fd, guint width, guint height, guint n_channels, GError **error)
{
  g_autoptr(FbImage) image = NULL;
  gsize              size  = 0;

  if (!fb_pixels_check_shape (width, height, n_channels, &size, error) || !check_fd (fd, size, error))
    return NULL;

  image = new_image (width, height, n_channels, error);
  if (image == NULL)
    return NULL;

  for (gsize done = 0; done < size; )
    {
      ssize_t n = pread (fd, (char *) image->pixels + done, MIN (size - done, (gsize) 1 << 30), done);

      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        {
          g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS, _("A picture could not be read: %s."), g_strerror (n < 0 ? errno : ENODATA));
          return NULL;
        }
      done += n;
    }
  return g_steal_pointer (&image);
}

GVariant *
fb_pixels_get_chunk (FbImage *image, guint64 offset, GError **error)
{
  gsize size = fb_image_n_bytes (image);

  if (offset >= size)
    {
      g_set_error_literal (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS, _("Bytes behind the end of a picture were asked for."));
      return NULL;
    }
  return g_variant_new_from_data (G_VARIANT_TYPE ("ay"), (const char *) image->pixels + offset, MIN (size - offset, FB_PIXELS_CHUNK), TRUE,
                                  (GDestroyNotify) fb_image_unref, fb_image_ref (image));
}

gboolean
fb_pixels_put_chunk (FbImage *image, gsize *n_filled, guint64 offset, GVariant *chunk, GError **error)
{
  gsize         size = fb_image_n_bytes (image);
  gsize         n    = 0;
  gconstpointer data = g_variant_get_fixed_array (chunk, &n, 1);

  if (n == 0 || offset != *n_filled || n > size - *n_filled)
    {
      g_set_error_literal (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS, _("A picture was refused: its pieces do not fit together."));
      return FALSE;
    }
  memcpy ((char *) image->pixels + *n_filled, data, n);
  *n_filled += n;
  return TRUE;
}

gboolean
fb_pixels_check_finite (const FbImage *image, GError **error)
{
  gsize n = (gsize) image->width * image->height * image->n_channels;

  for (gsize i = 0; i < n; i++)
    if (!isfinite (image->pixels[i]))
      {
        g_set_error_literal (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS,
                             _("The picture holds values that are not numbers (NaN or infinite); convert it to an integer precision first."));
        return FALSE;
      }
  return TRUE;
}
