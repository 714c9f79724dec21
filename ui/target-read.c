/* ui/target-read.c: pixels out of GIMP's buffers. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/target-private.h"

#include <math.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#include "ui/drawable-surface.h"

/* the drawable to read; NULL with @error where it is no more */
static GimpDrawable *
input_of (const FbTarget *target, GError **error)
{
  GimpDrawable *drawable = fb_drawable_by_id (target->input_id);

  if (drawable == NULL)
    g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED,
                         _("The layer to start from was deleted meanwhile; select another one."));

  return drawable;
}

/* (transfer full) (nullable): RGBA */
static FbImage *
picture_new (int width, int height, GError **error)
{
  FbImage *picture = fb_image_new (width, height, 4);

  if (picture == NULL)
    g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_SIZE,
                 _("There is not enough memory for %d × %d pixels; select a smaller part."), width, height);

  return picture;
}

/* (transfer full) (nullable): scaled with its colours multiplied by alpha, or what is transparent beside them would darken them */
static FbImage *
scaled_by_alpha (FbImage *picture, int width, int height)
{
  const gsize  n      = (gsize) picture->width * picture->height;
  FbImage     *scaled = NULL;

  for (gsize i = 0; i < n; i++)
    for (int c = 0; c < 3; c++)
      picture->pixels[4 * i + c] *= picture->pixels[4 * i + 3];
  scaled = fb_image_resize (picture, width, height);
  for (gsize i = 0; scaled != NULL && i < (gsize) width * height; i++)
    {
      float       *p     = scaled->pixels + 4 * i;
      const float  share = p[3] > 1e-4f ? 1.0f / p[3] : 0.0f;

      for (int c = 0; c < 3; c++)
        p[c] *= share;
      p[3] = CLAMP (p[3], 0.0f, 1.0f);                    /* scaling overshoots at edges */
    }

  return scaled;
}

/* libgimp leaves this to plug-ins; without it, GEGL has no tables for scaling 8 bits down, and gives black */
static void
init_gegl (void)
{
  static gsize done = 0;

  if (g_once_init_enter (&done))
    {
      gegl_init (NULL, NULL);
      g_once_init_leave (&done, 1);
    }
}

FbImage *
fb_target_read (const FbTarget *target, int width, int height, GError **error)
{
  const FbRect           seen     = fb_target_seen (target);
  GimpDrawable          *drawable = input_of (target, error);
  g_autoptr(GeglBuffer)  buffer   = drawable != NULL ? gimp_drawable_get_buffer (drawable) : NULL;
  g_autoptr(FbImage)     picture  = NULL;
  int                    offset_x, offset_y;
  double                 scale;
  GeglRectangle          rect;

  if (buffer == NULL)
    return NULL;

  /* a large layer is read at twice the wanted size, not whole */
  scale = MIN (1.0, 2.0 * MAX ((double) width / seen.width, (double) height / seen.height));
  if (scale < 1.0)
    init_gegl ();
  gimp_drawable_get_offsets (drawable, &offset_x, &offset_y);
  rect.x      = (int) round ((seen.x - offset_x) * scale);
  rect.y      = (int) round ((seen.y - offset_y) * scale);
  rect.width  = MAX (1, (int) round (seen.width * scale));
  rect.height = MAX (1, (int) round (seen.height * scale));

  picture = picture_new (rect.width, rect.height, error);
  if (picture == NULL)
    return NULL;
  gegl_buffer_get (buffer, &rect, scale, babl_format ("R'G'B'A float"), picture->pixels,
                   GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);

  return rect.width == width && rect.height == height ? g_steal_pointer (&picture) : scaled_by_alpha (picture, width, height);
}

/* --- at a glance --------------------------------------------------------------------------------------------------------- */

/* @part of @drawable, scaled to @area of @picture, which is transparent there. */
static gboolean
put_thumbnail (GimpDrawable *drawable, const GdkRectangle *part, const GdkRectangle *area, FbImage *picture)
{
  int                width  = area->width, height = area->height;
  g_autofree guint8 *pixels = fb_drawable_thumbnail (drawable, part, &width, &height);

  for (int y = 0; pixels != NULL && y < MIN (height, area->height); y++)
    for (int i = 0; i < 4 * MIN (width, area->width); i++)
      picture->pixels[4 * ((gsize) (area->y + y) * picture->width + area->x) + i] = pixels[4 * (gsize) y * width + i] / 255.0f;

  return pixels != NULL;
}

FbImage *
fb_target_glance (const FbTarget *target, int width, int height, GError **error)
{
  const FbRect        seen     = fb_target_seen (target);
  const double        fx       = (double) width / seen.width, fy = (double) height / seen.height;
  GimpDrawable       *drawable = input_of (target, error);
  g_autoptr(FbImage)  picture  = NULL;
  GdkRectangle        part, area;
  int                 x, y;

  if (drawable == NULL)
    return NULL;
  if (MAX (fx, fy) >= 0.5 || MAX (width, height) > FB_THUMBNAIL_MAX)
    return fb_target_read (target, width, height, error);
  picture = picture_new (width, height, error);
  if (picture == NULL)
    return NULL;
  memset (picture->pixels, 0, fb_image_n_bytes (picture));

  gimp_drawable_get_offsets (drawable, &x, &y);
  if (!gdk_rectangle_intersect (&(GdkRectangle) { seen.x, seen.y, seen.width, seen.height },
                                &(GdkRectangle) { x, y, gimp_drawable_get_width (drawable), gimp_drawable_get_height (drawable) }, &part))
    return g_steal_pointer (&picture);
  area.x      = (int) round ((part.x - seen.x) * fx);
  area.y      = (int) round ((part.y - seen.y) * fy);
  area.width  = MIN ((int) round ((part.x + part.width - seen.x) * fx), width) - area.x;
  area.height = MIN ((int) round ((part.y + part.height - seen.y) * fy), height) - area.y;
  part.x     -= x;
  part.y     -= y;
  if (area.width > 0 && area.height > 0 && !put_thumbnail (drawable, &part, &area, picture))
    return fb_target_read (target, width, height, error);

  return g_steal_pointer (&picture);
}
