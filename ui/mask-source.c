/* ui/mask-source.c: masks that are in an image already. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/mask-source.h"

#include <math.h>

#include <glib/gi18n-lib.h>

#include "ui/target.h"

#define BAND 256            /* rows read at a time */

FbMaskFrom
fb_mask_from_name (const char *name)
{
  static const char * const names[] = { "selection", "channel", "layer", "layer-mask" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_strcmp0 (name, names[i]) == 0)
      return (FbMaskFrom) i;

  return FB_MASK_FROM_SELECTION;
}

/* --- finding ------------------------------------------------------------------------------------------------------------- */

static GimpDrawable *
refuse (GError **error, const char *format, const char *name)
{
  g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT, format, name);

  return NULL;
}

static GimpDrawable *
find_channel (GimpImage *image, const char *name, GError **error)
{
  GimpChannel *channel = gimp_image_get_channel_by_name (image, name);

  return channel != NULL ? GIMP_DRAWABLE (channel)
                         : refuse (error, _("The image has no channel “%s” to take the mask from; the Channels dialog lists them."), name);
}

static GimpDrawable *
find_layer (GimpImage *image, const char *name, GError **error)
{
  GimpLayer *layer = gimp_image_get_layer_by_name (image, name);

  return layer != NULL ? GIMP_DRAWABLE (layer)
                       : refuse (error, _("The image has no layer “%s” to take the mask from; the Layers dialog lists them."), name);
}

static GimpDrawable *
mask_of (GimpDrawable *layer, GError **error)
{
  GimpLayerMask   *mask = gimp_layer_get_mask (GIMP_LAYER (layer));
  g_autofree char *name = gimp_item_get_name (GIMP_ITEM (layer));

  return mask != NULL ? GIMP_DRAWABLE (mask)
                      : refuse (error, _("The layer “%s” has no layer mask; add one, or take the mask from the selection."), name);
}

GimpDrawable *
fb_mask_find (GimpImage *image, GimpLayer *layer, FbMaskFrom from, const char *name, GError **error)
{
  gboolean is_named = name != NULL && *name != '\0';

  switch (from)
    {
    case FB_MASK_FROM_SELECTION:
      return GIMP_DRAWABLE (gimp_image_get_selection (image));
    case FB_MASK_FROM_CHANNEL:
      return find_channel (image, is_named ? name : "", error);
    case FB_MASK_FROM_LAYER:
      return find_layer (image, is_named ? name : "", error);
    case FB_MASK_FROM_LAYER_MASK:
      {
        GimpDrawable *owner = is_named ? find_layer (image, name, error) : GIMP_DRAWABLE (layer);

        if (owner == NULL && !is_named)
          g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT,
                               _("Select the layer whose mask is meant, or give its name."));
        return owner != NULL ? mask_of (owner, error) : NULL;
      }
    }
  g_assert_not_reached ();
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

typedef guint8 (* ValueFunc) (const float *pixel);

/* brightness and alpha; a channel has no alpha and reads as 1 */
static guint8
value_of (const float *pixel)
{
  return (guint8) lroundf (255.0f * CLAMP (pixel[0] * pixel[1], 0.0f, 1.0f));
}

static guint8
openness_of (const float *pixel)
{
  return (guint8) lroundf (255.0f * CLAMP (1.0f - pixel[1], 0.0f, 1.0f));
}

/* the part of the canvas that @drawable covers */
static gboolean
area_of (GimpImage *image, GimpDrawable *drawable, int *offset_x, int *offset_y, GdkRectangle *area)
{
  gimp_drawable_get_offsets (drawable, offset_x, offset_y);

  return gdk_rectangle_intersect (&(GdkRectangle) { *offset_x, *offset_y, gimp_drawable_get_width (drawable), gimp_drawable_get_height (drawable) },
                                  &(GdkRectangle) { 0, 0, gimp_image_get_width (image), gimp_image_get_height (image) }, area);
}

/* masks and channels are stored as they are meant; a layer's brightness is what people see */
static const Babl *
format_for (GimpDrawable *drawable)
{
  return babl_format (gimp_item_is_channel (GIMP_ITEM (drawable)) ? "YA float" : "Y'A float");
}

static void
read_into (FbMask *mask, GimpImage *image, GimpDrawable *drawable, ValueFunc value)
{
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (drawable);
  const Babl           *format = format_for (drawable);
  g_autofree float     *pixels = NULL;
  g_autofree guint8    *values = NULL;
  GdkRectangle          area;
  int                   offset_x, offset_y;

  if (!area_of (image, drawable, &offset_x, &offset_y, &area))
    return;
  pixels = g_new (float, (gsize) area.width * BAND * 2);
  values = g_new (guint8, (gsize) area.width * BAND);
  for (int y = area.y; y < area.y + area.height; y += BAND)
    {
      GdkRectangle band = { area.x, y, area.width, MIN (BAND, area.y + area.height - y) };
      gsize        n    = (gsize) band.width * band.height;

      gegl_buffer_get (buffer, GEGL_RECTANGLE (band.x - offset_x, y - offset_y, band.width, band.height), 1.0, format, pixels,
                       GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
      for (gsize i = 0; i < n; i++)
        values[i] = value (pixels + 2 * i);
      fb_mask_write (mask, &band, values);
    }
}

/* the bounds of what is selected, so that a small selection in a huge image is read quickly */
static void
read_selection (FbMask *mask, GimpImage *image, GimpDrawable *selection)
{
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (selection);
  g_autofree guint8    *values = NULL;
  gboolean              is_selected;
  int                   x1, y1, x2, y2;

  if (!gimp_selection_bounds (image, &is_selected, &x1, &y1, &x2, &y2) || !is_selected)
    return;
  values = g_new (guint8, (gsize) (x2 - x1) * BAND);
  for (int y = y1; y < y2; y += BAND)
    {
      GdkRectangle band = { x1, y, x2 - x1, MIN (BAND, y2 - y) };

      gegl_buffer_get (buffer, GEGL_RECTANGLE (band.x, band.y, band.width, band.height), 1.0, babl_format ("Y u8"), values,
                       GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
      fb_mask_write (mask, &band, values);
    }
}

FbMask *
fb_mask_read_drawable (GimpImage *image, GimpDrawable *drawable)
{
  FbMask *mask = fb_mask_new (gimp_image_get_width (image), gimp_image_get_height (image));

  if (drawable == GIMP_DRAWABLE (gimp_image_get_selection (image)))
    read_selection (mask, image, drawable);
  else
    read_into (mask, image, drawable, value_of);

  return mask;
}

FbMask *
fb_mask_of_what_is_open (GimpImage *image, GimpDrawable *layer)
{
  FbMask *mask = fb_mask_new (gimp_image_get_width (image), gimp_image_get_height (image));

  fb_mask_fill (mask, 255);
  read_into (mask, image, layer, openness_of);

  return mask;
}
