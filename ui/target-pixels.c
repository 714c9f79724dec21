/* ui/target-pixels.c: a picture's pixels into GIMP's buffers. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/target-private.h"

#include <math.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#define BAND       64                    /* rows that are made at a time */
#define FITTED_MAX (25 * 1000 * 1000)    /* pixels that are scaled well, and in memory as a whole */

/* (transfer full): @image at @width × @height; scaled without distortion, what is over is cut off evenly. A picture made
 * from an input is stretched instead, as the input was, or it would not lie on it. */
static FbImage *
fit (FbImage *image, int width, int height, gboolean stretch)
{
  double             scale  = MAX ((double) width / image->width, (double) height / image->height);
  int                w      = MAX (width, (int) round (image->width * scale));
  int                h      = MAX (height, (int) round (image->height * scale));
  g_autoptr(FbImage) scaled = NULL;
  FbImage           *cut    = NULL;
  int                n      = image->n_channels;

  if (width == image->width && height == image->height)
    return fb_image_ref (image);

  if (stretch)
    return fb_image_resize (image, width, height);

  scaled = fb_image_resize (image, w, h);
  if (scaled == NULL || (w == width && h == height))
    return g_steal_pointer (&scaled);

  cut = fb_image_new (width, height, n);
  for (int y = 0; cut != NULL && y < height; y++)
    memcpy (cut->pixels + (size_t) y * width * n,
            scaled->pixels + ((size_t) (y + (h - height) / 2) * w + (w - width) / 2) * n,
            (size_t) width * n * sizeof (float));

  return cut;
}

/* --- from anywhere in a picture that is scaled as it is read ---------------------------------------------------------------- */

/* a row of a stretched picture: bilinear, for places so large that nothing else fits into memory */
static void
stretch_row (const FbImage *image, int width, int height, int y, float *row)
{
  int    n  = image->n_channels;
  double fy = CLAMP ((y + 0.5) * image->height / height - 0.5, 0.0, image->height - 1.0);
  int    y0 = (int) fy;
  int    y1 = MIN (y0 + 1, image->height - 1);
  float  ty = (float) (fy - y0);

  for (int x = 0; x < width; x++)
    {
      double       fx   = CLAMP ((x + 0.5) * image->width / width - 0.5, 0.0, image->width - 1.0);
      int          x0   = (int) fx;
      int          x1   = MIN (x0 + 1, image->width - 1);
      float        tx   = (float) (fx - x0);
      const float *top  = image->pixels + (size_t) y0 * image->width * n;
      const float *down = image->pixels + (size_t) y1 * image->width * n;

      for (int c = 0; c < n; c++)
        {
          float a = top[x0 * n + c] + tx * (top[x1 * n + c] - top[x0 * n + c]);
          float b = down[x0 * n + c] + tx * (down[x1 * n + c] - down[x0 * n + c]);

          row[x * n + c] = a + ty * (b - a);
        }
    }
}

static void
get_row (const FbImage *image, int width, int height, int y, float *row)
{
  size_t n = (size_t) width * image->n_channels;

  if (image->width == width && image->height == height)
    memcpy (row, image->pixels + (size_t) y * n, n * sizeof (float));
  else
    stretch_row (image, width, height, y, row);
}

/* --- writing ------------------------------------------------------------------------------------------------------------- */

/* @n_from channels to the first @n_to of them, or to the last alone when @n_to is 1 */
static void
pick (const float *from, int n_from, float *to, int n_to, size_t n_pixels)
{
  int first = n_to == 1 ? n_from - 1 : 0;

  for (size_t i = 0; i < n_pixels; i++)
    for (int c = 0; c < n_to; c++)
      to[i * n_to + c] = from[i * n_from + first + c];
}

/* the colours of @image, or its alpha, into @buffer */
static void
write_rows (GeglBuffer *buffer, const FbImage *image, int width, int height, int n_out, const Babl *format)
{
  g_autofree float *row  = g_new (float, (size_t) width * image->n_channels);
  g_autofree float *band = g_new (float, (size_t) width * BAND * n_out);

  for (int y = 0; y < height; y += BAND)
    {
      int n_rows = MIN (BAND, height - y);

      for (int i = 0; i < n_rows; i++)
        {
          get_row (image, width, height, y + i, row);
          pick (row, image->n_channels, band + (size_t) i * width * n_out, n_out, width);
        }
      gegl_buffer_set (buffer, GEGL_RECTANGLE (0, y, width, n_rows), 0, format, band, GEGL_AUTO_ROWSTRIDE);
    }
  gegl_buffer_flush (buffer);
}

gboolean
fb_target_write (GeglBuffer *buffer, FbImage *image, int width, int height, gboolean stretch)
{
  gboolean           is_fitted = !stretch || (gint64) width * height <= FITTED_MAX;
  g_autoptr(FbImage) picture   = is_fitted ? fit (image, width, height, stretch) : fb_image_ref (image);
  int                n_out     = image->n_channels == 1 ? 1 : 3;

  if (picture == NULL)
    return FALSE;
  write_rows (buffer, picture, width, height, n_out, babl_format (n_out == 1 ? "Y' float" : "R'G'B' float"));

  return TRUE;
}

void
fb_target_mask (GimpLayer *layer, FbImage *image)
{
  GimpLayerMask         *mask   = gimp_layer_create_mask (layer, GIMP_ADD_MASK_BLACK);
  g_autoptr(GeglBuffer)  buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (mask));

  write_rows (buffer, image, gimp_drawable_get_width (GIMP_DRAWABLE (layer)), gimp_drawable_get_height (GIMP_DRAWABLE (layer)), 1,
              babl_format ("Y float"));
  gimp_layer_add_mask (layer, mask);
}

/* --- in place ------------------------------------------------------------------------------------------------------------ */

/* @own: (out): one row in the layer's own format, mixed only where the result has a say */
static void
blend_row (GeglBuffer *from, const GeglRectangle *rect, FbImage *before, FbImage *result, const float *row, guint8 *own)
{
  const Babl            *format = gegl_buffer_get_format (from);
  int                    bytes  = babl_format_get_bytes_per_pixel (format);
  g_autoptr(FbImage)     mixed  = NULL;
  g_autofree guint8     *made   = g_malloc ((gsize) rect->width * bytes);

  memcpy (result->pixels, row, fb_image_n_bytes (result));
  gegl_buffer_get (from, rect, 1.0, babl_format ("R'G'B'A float"), before->pixels, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  gegl_buffer_get (from, rect, 1.0, format, own, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  mixed = fb_inpaint_blend (before, result);
  babl_process (babl_fish (babl_format ("R'G'B'A float"), format), mixed->pixels, made, rect->width);
  for (int x = 0; x < rect->width; x++)
    if (result->pixels[4 * x + 3] > 0.0f)
      memcpy (own + (gsize) x * bytes, made + (gsize) x * bytes, bytes);
}

/* (transfer full) (nullable): [area], in the layer's own format */
static guint8 *
blend_rows (GeglBuffer *from, const FbTarget *target, const GeglRectangle *area, int offset_x, int offset_y, FbImage *image)
{
  int                 bytes  = babl_format_get_bytes_per_pixel (gegl_buffer_get_format (from));
  guint8             *made   = g_try_malloc ((gsize) area->width * area->height * bytes);
  g_autofree float   *row    = g_new (float, (size_t) target->width * 4);
  g_autoptr(FbImage)  before = fb_image_new (area->width, 1, 4);
  g_autoptr(FbImage)  result = fb_image_new (area->width, 1, 4);

  for (int y = area->y; made != NULL && y < area->y + area->height; y++)
    {
      get_row (image, target->width, target->height, y + offset_y - target->y, row);
      blend_row (from, GEGL_RECTANGLE (area->x, y, area->width, 1), before, result, row + 4 * (area->x + offset_x - target->x),
                 made + (gsize) (y - area->y) * area->width * bytes);
    }

  return made;
}

/* What GIMP puts into a drawable with undo goes through the selection; so it is the area for a moment, and the user's again after. */
typedef struct
{
  GimpImage    *image;
  GimpItem    **selected;             /* saving a selection selects the channel */
  GimpChannel  *channel;              /* NULL where nothing is selected */
} Aside;

static Aside
put_selection_aside (GimpImage *image)
{
  Aside aside = { .image = image, .selected = (GimpItem **) gimp_image_get_selected_layers (image) };

  if (!gimp_selection_is_empty (image))
    aside.channel = GIMP_CHANNEL (gimp_selection_save (image));

  return aside;
}

static void
take_selection_back (Aside *aside)
{
  if (aside->channel != NULL)
    {
      gimp_image_select_item (aside->image, GIMP_CHANNEL_OP_REPLACE, GIMP_ITEM (aside->channel));
      gimp_image_remove_channel (aside->image, aside->channel);
    }
  else
    gimp_selection_none (aside->image);
  if (aside->selected != NULL && aside->selected[0] != NULL)
    gimp_image_set_selected_layers (aside->image, (const GimpLayer **) aside->selected);
  g_free (aside->selected);
}

static void
set_pixels (GeglBuffer *buffer, const GeglRectangle *area, const Babl *format, const guint8 *pixels)
{
  gegl_buffer_set (buffer, area, 0, format, pixels, GEGL_AUTO_ROWSTRIDE);
  gegl_buffer_flush (buffer);
  g_object_unref (buffer);
}

/* GIMP takes what is put in with undo through linear light, which costs floats their last bits. So it is put in once for the undo step, and once more
 * as it is. */
static void
put_with_undo (GimpDrawable *drawable, GimpImage *owner, const guint8 *made, const GeglRectangle *area, int offset_x, int offset_y)
{
  const Babl *format = gimp_drawable_get_format (drawable);
  Aside       aside  = put_selection_aside (owner);

  gimp_image_select_rectangle (owner, GIMP_CHANNEL_OP_REPLACE, area->x + offset_x, area->y + offset_y, area->width, area->height);
  set_pixels (gimp_drawable_get_shadow_buffer (drawable), area, format, made);
  gimp_drawable_merge_shadow (drawable, TRUE);
  set_pixels (gimp_drawable_get_buffer (drawable), area, format, made);
  gimp_drawable_update (drawable, area->x, area->y, area->width, area->height);
  take_selection_back (&aside);
}

gboolean
fb_target_blend (const FbTarget *target, GimpLayer *layer, FbImage *image, GError **error)
{
  GimpDrawable          *drawable = GIMP_DRAWABLE (layer);
  GimpImage             *owner    = gimp_item_get_image (GIMP_ITEM (layer));
  g_autoptr(FbImage)     picture  = (gint64) target->width * target->height <= FITTED_MAX ? fit (image, target->width, target->height, TRUE)
                                                                                          : fb_image_ref (image);
  g_autoptr(GeglBuffer)  from     = gimp_drawable_get_buffer (drawable);
  g_autofree guint8     *made     = NULL;
  GeglRectangle          area;
  int                    offset_x, offset_y;

  gimp_drawable_get_offsets (drawable, &offset_x, &offset_y);
  if (!gegl_rectangle_intersect (&area, GEGL_RECTANGLE (target->x - offset_x, target->y - offset_y, target->width, target->height),
                                 GEGL_RECTANGLE (0, 0, gimp_drawable_get_width (drawable), gimp_drawable_get_height (drawable))))
    {
      g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT,
                           _("The mask lies beside the layer, so nothing of it can be replaced; take a new layer."));
      return FALSE;
    }
  if (picture == NULL || (made = blend_rows (from, target, &area, offset_x, offset_y, picture)) == NULL)
    {
      g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_SIZE,
                   _("There is not enough memory for %d × %d pixels; select a smaller part."), target->width, target->height);
      return FALSE;
    }

  put_with_undo (drawable, owner, made, &area, offset_x, offset_y);

  return TRUE;
}
