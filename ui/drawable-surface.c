/* ui/drawable-surface.c: a part of a drawable for the screen. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/drawable-surface.h"

/* straight R'G'B'A to what cairo draws */
static cairo_surface_t *
surface_of (const guint8 *pixels, int width, int height)
{
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_ARGB32, width, height);
  guchar          *data    = cairo_image_surface_get_data (surface);
  int              stride  = cairo_image_surface_get_stride (surface);

  for (int y = 0; y < height; y++)
    {
      guint32 *out = (guint32 *) (data + (gsize) y * stride);

      for (int x = 0; x < width; x++, pixels += 4)
        {
          guint32 a = pixels[3];

          out[x] = a << 24 | (pixels[0] * a + 127) / 255 << 16 | (pixels[1] * a + 127) / 255 << 8 | (pixels[2] * a + 127) / 255;
        }
    }
  cairo_surface_mark_dirty (surface);

  return surface;
}

/* (nullable): what GIMP's thumbnails of @drawable hold: its own numbers, 16 bits or floats as they may be; of an indexed one its colours, in 8 bits */
static const Babl *
thumbnail_format (GimpDrawable *drawable, int bytes)
{
  static const char * const encodings[] = { NULL, "Y' u8", "Y'A u8", "R'G'B' u8", "R'G'B'A u8" };
  const Babl               *own         = gimp_drawable_get_format (drawable);

  if (!babl_format_is_palette (own) && babl_format_get_bytes_per_pixel (own) == bytes)
    return own;

  return bytes >= 1 && bytes <= 4 ? babl_format_with_space (encodings[bytes], own) : NULL;
}

guint8 *
fb_drawable_thumbnail (GimpDrawable *drawable, const GdkRectangle *part, int *width, int *height)
{
  int               bytes  = 0;
  g_autoptr(GBytes) data   = NULL;
  const Babl       *format = NULL;
  guint8           *pixels = NULL;

  *width  = CLAMP (*width, 1, FB_THUMBNAIL_MAX);
  *height = CLAMP (*height, 1, FB_THUMBNAIL_MAX);
  data    = gimp_drawable_get_sub_thumbnail_data (drawable, part->x, part->y, part->width, part->height, *width, *height, width, height, &bytes);
  format  = data != NULL ? thumbnail_format (drawable, bytes) : NULL;
  if (format == NULL || g_bytes_get_size (data) < (gsize) *width * *height * bytes)
    return NULL;
  pixels = g_malloc ((gsize) *width * *height * 4);
  babl_process (babl_fish (format, babl_format ("R'G'B'A u8")), g_bytes_get_data (data, NULL), pixels, (long) *width * *height);

  return pixels;
}

static cairo_surface_t *
thumbnail (GimpDrawable *drawable, const GdkRectangle *part, double scale)
{
  int                width  = (int) (part->width * scale + 0.5);
  int                height = (int) (part->height * scale + 0.5);
  g_autofree guint8 *pixels = fb_drawable_thumbnail (drawable, part, &width, &height);

  return pixels != NULL ? surface_of (pixels, width, height) : NULL;
}

static cairo_surface_t *
pixels (GimpDrawable *drawable, const GdkRectangle *part)
{
  g_autoptr(GeglBuffer)  buffer = gimp_drawable_get_buffer (drawable);
  g_autofree guint8     *pixels = g_malloc ((gsize) part->width * part->height * 4);

  gegl_buffer_get (buffer, GEGL_RECTANGLE (part->x, part->y, part->width, part->height), 1.0, babl_format ("R'G'B'A u8"), pixels,
                   GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);

  return surface_of (pixels, part->width, part->height);
}

cairo_surface_t *
fb_drawable_to_surface (GimpDrawable *drawable, const GdkRectangle *area, double scale, GdkRectangle *covered)
{
  GdkRectangle part;
  int          x, y;

  gimp_drawable_get_offsets (drawable, &x, &y);
  if (!gdk_rectangle_intersect (area, &(GdkRectangle) { x, y, gimp_drawable_get_width (drawable), gimp_drawable_get_height (drawable) }, covered))
    return NULL;
  part = (GdkRectangle) { covered->x - x, covered->y - y, covered->width, covered->height };

  return scale < 1.0 ? thumbnail (drawable, &part, scale) : pixels (drawable, &part);
}
