/* core/image/load.c: pictures from files of any kind we read. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/image/load.h"

#include <glib/gi18n-lib.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "core/image/png.h"

#define MAX_PIXELS    ((guint64) 1 << 28)     /* a file of a few kilobytes may promise any size */
#define EXIF          (JPEG_APP0 + 1)
#define MAX_EXIF      65533
#define TAG_ORIENTATION 0x0112

typedef struct
{
  struct jpeg_error_mgr manager;
  jmp_buf               jump;
  char                  message[JMSG_LENGTH_MAX];
} JpegErrors;

static void
on_error (j_common_ptr jpeg)
{
  JpegErrors *errors = (JpegErrors *) jpeg->err;

  jpeg->err->format_message (jpeg, errors->message);
  longjmp (errors->jump, 1);
}

/* a file that ends early decodes with a warning, and grey where it ended: such pictures are not to be learned from */
static void
on_message (j_common_ptr jpeg, int level)
{
  if (level < 0)
    on_error (jpeg);
}

static guint
read_number (const guint8 *p, int n, gboolean little)
{
  guint value = 0;

  for (int i = 0; i < n; i++)
    value |= (guint) p[i] << 8 * (little ? i : n - 1 - i);
  return value;
}

/* 1 … 8 as Exif counts them; 1 where there is none or it is broken */
static int
orientation (const struct jpeg_decompress_struct *jpeg)
{
  for (jpeg_saved_marker_ptr m = jpeg->marker_list; m != NULL; m = m->next)
    {
      const guint8 *tiff = m->data + 6;
      guint         n    = m->data_length, at, count;
      gboolean      little;

      if (m->marker != EXIF || n < 6 + 8 || memcmp (m->data, "Exif\0\0", 6) != 0)
        continue;
      n -= 6;
      little = tiff[0] == 'I';
      at = read_number (tiff + 4, 4, little);
      if (at > n - 2)
        continue;
      count = read_number (tiff + at, 2, little);
      for (guint i = 0; i < count && at + 2 + 12 * (i + 1) <= n; i++)
        {
          const guint8 *entry = tiff + at + 2 + 12 * i;
          guint         value = read_number (entry + 8, 2, little);

          if (read_number (entry, 2, little) == TAG_ORIENTATION && value >= 1 && value <= 8)
            return (int) value;
        }
    }
  return 1;
}

/* @image as it is meant to be seen; NULL when memory runs out */
static FbImage *
turned (FbImage *image, int how)
{
  const gboolean transposed = how >= 5;
  const gboolean flip_x     = how == 2 || how == 3 || how == 7 || how == 8;
  const gboolean flip_y     = how == 3 || how == 4 || how == 6 || how == 7;
  FbImage       *out;

  if (how == 1)
    return fb_image_ref (image);
  out = fb_image_new (transposed ? image->height : image->width, transposed ? image->width : image->height, image->n_channels);
  for (int y = 0; out != NULL && y < out->height; y++)
    for (int x = 0; x < out->width; x++)
      {
        int from_x = transposed ? y : x, from_y = transposed ? x : y;

        /* flips are of the stored picture: with its axes */
        from_x = flip_x ? image->width - 1 - from_x : from_x;
        from_y = flip_y ? image->height - 1 - from_y : from_y;
        memcpy (out->pixels + ((size_t) y * out->width + x) * image->n_channels,
                image->pixels + ((size_t) from_y * image->width + from_x) * image->n_channels, image->n_channels * sizeof (float));
      }
  return out;
}

static gboolean
read_rows (struct jpeg_decompress_struct *jpeg, FbImage *image, guint8 *row)
{
  while (jpeg->output_scanline < jpeg->output_height)
    {
      float *out = image->pixels + (size_t) jpeg->output_scanline * image->width * 3;

      if (jpeg_read_scanlines (jpeg, &row, 1) != 1)
        return FALSE;
      for (int i = 0; i < image->width * 3; i++)
        out[i] = row[i] / 255.0f;
    }
  return TRUE;
}

static FbImage *
load_jpeg (FILE *file, const char *path, GError **error)
{
  struct jpeg_decompress_struct jpeg   = { 0 };
  JpegErrors                    errors = { 0 };
  FbImage * volatile            image  = NULL;       /* set after setjmp(), read after longjmp() */
  guint8 * volatile             row    = NULL;
  FbImage * volatile            result = NULL;
  volatile int                  how    = 1;

  jpeg.err = jpeg_std_error (&errors.manager);
  errors.manager.error_exit   = on_error;
  errors.manager.emit_message = on_message;
  if (setjmp (errors.jump) == 0)
    {
      jpeg_create_decompress (&jpeg);
      jpeg_save_markers (&jpeg, EXIF, MAX_EXIF);
      jpeg_stdio_src (&jpeg, file);
      jpeg_read_header (&jpeg, TRUE);
      jpeg.out_color_space = JCS_RGB;
      how = orientation (&jpeg);
      if ((guint64) jpeg.image_width * jpeg.image_height > MAX_PIXELS)
        g_strlcpy (errors.message, _("the picture is too large"), sizeof errors.message);
      else
        {
          jpeg_start_decompress (&jpeg);
          image = fb_image_new ((int) jpeg.output_width, (int) jpeg.output_height, 3);
          row   = g_try_malloc ((gsize) jpeg.output_width * 3);
          if (image == NULL || row == NULL)
            g_strlcpy (errors.message, _("there is no memory for the picture"), sizeof errors.message);
          else if (read_rows (&jpeg, image, row) && jpeg_finish_decompress (&jpeg))
            result = turned (image, how);
        }
    }
  jpeg_destroy_decompress (&jpeg);
  g_free (row);
  g_clear_pointer ((FbImage **) &image, fb_image_unref);
  if (result == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, _("“%s”: %s."), path,
                 *errors.message != '\0' ? errors.message : _("there is no memory for the picture"));
  return result;
}

FbImage *
fb_image_load (const char *path, GError **error)
{
  FILE    *file     = fopen (path, "rb");
  guint8   magic[2] = { 0 };
  FbImage *image;

  if (file == NULL || fread (magic, 1, 2, file) != 2 || magic[0] != 0xff || magic[1] != 0xd8)
    {
      g_clear_pointer (&file, fclose);
      return fb_image_load_png (path, error);
    }
  rewind (file);
  image = load_jpeg (file, path, error);
  fclose (file);
  return image;
}

gboolean
fb_image_is_named_like_one (const char *path)
{
  static const char * const endings[] = { ".png", ".jpg", ".jpeg" };
  g_autofree char          *lower     = g_ascii_strdown (path, -1);

  for (gsize i = 0; i < G_N_ELEMENTS (endings); i++)
    if (g_str_has_suffix (lower, endings[i]))
      return TRUE;
  return FALSE;
}
