/* ui/target.c: where a picture comes from and goes to in GIMP. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/target.h"

#include <math.h>

#include <glib/gi18n-lib.h>

#include "ui/record.h"
#include "ui/size.h"

#define NAME_LENGTH 40
#define PIXELS_MAX  (100 * 1000 * 1000)      /* 1.2 GB as f32 RGB */

G_DEFINE_QUARK (fb-target-error-quark, fb_target_error)

FbDestination
fb_destination_from_name (const char *name)
{
  return g_strcmp0 (name, "new-image") == 0 ? FB_DESTINATION_NEW_IMAGE : FB_DESTINATION_NEW_LAYER;
}

/* --- the place ------------------------------------------------------------------------------------------------------ */

static GimpImage *
image_of (const FbTarget *target)
{
  return fb_image_if_open (target->image_id, 0);
}

static GimpDrawable *
drawable_by_id (int id)
{
  return id > 0 && gimp_item_id_is_drawable (id) ? gimp_drawable_get_by_id (id) : NULL;
}

int
fb_display_id (void)
{
  GimpDisplay *display = gimp_default_display ();

  return display != NULL ? gimp_display_get_id (display) : 0;
}

GimpImage *
fb_image_if_open (int image_id, int display_id)
{
  if (image_id <= 0 || !gimp_image_id_is_valid (image_id))
    return NULL;
  if (display_id > 0 && !gimp_display_id_is_valid (display_id))
    return NULL;

  return gimp_image_get_by_id (image_id);
}

FbTarget *
fb_target_new (GimpImage *image, GimpDrawable **drawables)
{
  FbTarget *self = g_new0 (FbTarget, 1);
  gboolean  is_selected;
  int       x1, y1, x2, y2;

  if (image == NULL || !gimp_image_is_valid (image))
    return self;

  self->image_id   = gimp_image_get_id (image);
  self->display_id = fb_display_id ();
  self->base_type  = gimp_image_get_base_type (image);
  while (drawables != NULL && drawables[self->n_drawables] != NULL)
    self->n_drawables++;
  if (self->n_drawables > 0 && gimp_item_is_valid (GIMP_ITEM (drawables[0])))
    self->drawable_id = gimp_item_get_id (GIMP_ITEM (drawables[0]));

  self->width  = gimp_image_get_width (image);
  self->height = gimp_image_get_height (image);
  if (gimp_selection_bounds (image, &is_selected, &x1, &y1, &x2, &y2) && is_selected)
    {
      self->is_bounded = TRUE;
      self->x          = x1;
      self->y          = y1;
      self->width      = x2 - x1;
      self->height     = y2 - y1;
    }

  return self;
}

FbTarget *
fb_target_new_over (GimpImage *image, GimpDrawable *drawable)
{
  GimpDrawable *drawables[] = { drawable, NULL };
  FbTarget     *self        = fb_target_new (image, drawables);

  self->is_bounded = TRUE;
  self->is_fixed   = TRUE;
  self->width      = gimp_drawable_get_width (drawable);
  self->height     = gimp_drawable_get_height (drawable);
  gimp_drawable_get_offsets (drawable, &self->x, &self->y);

  return self;
}

FbTarget *
fb_target_copy (const FbTarget *target)
{
  return g_memdup2 (target, sizeof *target);
}

void
fb_target_free (FbTarget *target)
{
  g_free (target);
}

void
fb_target_choose_size (const FbTarget *target, int model_width, int model_height, int *width, int *height)
{
  int w = model_width;
  int h = model_height;

  if (target->is_bounded)
    fb_size_choose (target->width, target->height, model_width, model_height, &w, &h);

  if (*width <= 0)
    *width = w;
  if (*height <= 0)
    *height = h;
}

gboolean
fb_target_check (const FbTarget *target, FbDestination destination, GError **error)
{
  GimpImage *image = image_of (target);

  if (target->is_bounded && (gint64) target->width * target->height > PIXELS_MAX)
    {
      g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_SIZE,
                   _("The selection has %d × %d pixels, more than a generated layer can have; select a smaller part."),
                   target->width, target->height);
      return FALSE;
    }
  if (destination == FB_DESTINATION_NEW_IMAGE || target->image_id == 0)
    return TRUE;

  if (image == NULL)
    g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CLOSED,
                         _("The image was closed meanwhile; the result can go into a new image."));
  else if (fb_image_if_open (target->image_id, target->display_id) == NULL)
    g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED,
                         _("The window of the image was closed meanwhile; the result can go into a new image."));
  else if (gimp_image_get_floating_sel (image) != NULL)
    g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_FLOATING,
                         _("The image has a floating selection; anchor it or make it a layer first, or use a new image."));
  else if (gimp_image_get_base_type (image) == GIMP_INDEXED && target->base_type != GIMP_INDEXED)
    g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED,
                         _("The image became indexed meanwhile, so the result would be reduced to its palette."));
  else if (gimp_image_get_base_type (image) == GIMP_GRAY && target->base_type != GIMP_GRAY)
    g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED,
                         _("The image became grayscale meanwhile, so the result would lose its colors."));
  else if (target->drawable_id != 0 && drawable_by_id (target->drawable_id) == NULL)
    g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED,
                         _("The layer was deleted meanwhile, so the result would go on top of the image."));
  else
    return TRUE;

  return FALSE;
}

/* --- pixels in ------------------------------------------------------------------------------------------------------ */

gboolean
fb_target_use_input (FbTarget *target, GError **error)
{
  GimpDrawable    *drawable = drawable_by_id (target->drawable_id);
  g_autofree char *name     = NULL;
  int              x, y, width, height, offset_x, offset_y;

  if (target->is_fixed && target->input_id != 0)
    return TRUE;
  if (drawable == NULL || target->n_drawables != 1)
    {
      g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT,
                           target->image_id == 0
                           ? _("There is no picture to start from; open an image, or set the strength to 1.")
                           : _("One layer is needed to start from; select exactly one, or set the strength to 1."));
      return FALSE;
    }
  if (!gimp_drawable_mask_intersect (drawable, &x, &y, &width, &height))
    {
      name = gimp_item_get_name (GIMP_ITEM (drawable));
      g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT,
                   _("The selection does not touch the layer “%s”; select a part of it, or nothing."), name);
      return FALSE;
    }

  gimp_drawable_get_offsets (drawable, &offset_x, &offset_y);
  target->input_id   = target->drawable_id;
  target->is_bounded = TRUE;
  target->x          = x + offset_x;
  target->y          = y + offset_y;
  target->width      = width;
  target->height     = height;

  return TRUE;
}

FbImage *
fb_target_read (const FbTarget *target, int width, int height, GError **error)
{
  GimpDrawable          *drawable = drawable_by_id (target->input_id);
  g_autoptr(GeglBuffer)  buffer   = drawable != NULL ? gimp_drawable_get_buffer (drawable) : NULL;
  g_autoptr(FbImage)     picture  = NULL;
  int                    offset_x, offset_y;
  double                 scale;
  GeglRectangle          rect;

  if (buffer == NULL)
    {
      g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED,
                           _("The layer to start from was deleted meanwhile; select another one."));
      return NULL;
    }

  /* a large layer is read at twice the wanted size, not whole */
  scale = MIN (1.0, 2.0 * MAX ((double) width / target->width, (double) height / target->height));
  gimp_drawable_get_offsets (drawable, &offset_x, &offset_y);
  rect.x      = (int) round ((target->x - offset_x) * scale);
  rect.y      = (int) round ((target->y - offset_y) * scale);
  rect.width  = MAX (1, (int) round (target->width * scale));
  rect.height = MAX (1, (int) round (target->height * scale));

  picture = fb_image_new (rect.width, rect.height, 4);
  if (picture == NULL)
    {
      g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_SIZE,
                   _("There is not enough memory for %d × %d pixels; select a smaller part."), rect.width, rect.height);
      return NULL;
    }
  gegl_buffer_get (buffer, &rect, scale, babl_format ("R'G'B'A float"), picture->pixels,
                   GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);

  return fb_image_resize (picture, width, height);
}

/* --- pixels out ----------------------------------------------------------------------------------------------------- */

char *
fb_target_layer_name (const char *prompt)
{
  g_autofree char *line = g_strdup (prompt != NULL ? prompt : "");
  char            *end;

  g_strdelimit (line, "\n\r\t", ' ');
  g_strstrip (line);
  if (*line == '\0')
    return g_strdup (_("Generated"));
  if (g_utf8_strlen (line, -1) <= NAME_LENGTH)
    return g_steal_pointer (&line);

  /* at a space, unless the first word is longer than the name */
  end  = g_utf8_offset_to_pointer (line, NAME_LENGTH - 1);
  *end = '\0';
  if (strrchr (line, ' ') != NULL)
    *strrchr (line, ' ') = '\0';

  return g_strconcat (line, "…", NULL);
}

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

static void
write_pixels (GimpLayer *layer, const FbImage *image)
{
  static const char * const formats[] = { NULL, "Y' float", NULL, "R'G'B' float", "R'G'B'A float" };
  GeglBuffer               *buffer    = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));

  gegl_buffer_set (buffer, GEGL_RECTANGLE (0, 0, image->width, image->height), 0, babl_format (formats[image->n_channels]),
                   image->pixels, GEGL_AUTO_ROWSTRIDE);
  gegl_buffer_flush (buffer);
  g_object_unref (buffer);
}

/* (transfer full): @result's parameters, and which layer it started from, so that it can be repeated */
static GVariant *
parameters_of (const FbTarget *target, FbResult *result)
{
  GimpDrawable        *input = drawable_by_id (target->input_id);
  g_auto(GVariantDict) dict  = G_VARIANT_DICT_INIT (result->parameters);

  if (input != NULL)
    g_variant_dict_insert (&dict, "input-tattoo", "i", gimp_item_get_tattoo (GIMP_ITEM (input)));

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* a layer of @image, not in it yet, with @result's pixels at @width × @height and its parameters */
static GimpLayer *
layer_new (const FbTarget *target, GimpImage *image, FbResult *result, const char *name, GimpImageType type, int width, int height, GError **error)
{
  g_autoptr(FbImage)  picture    = fit (result->image, width, height, target->input_id != 0);
  g_autoptr(GVariant) parameters = parameters_of (target, result);
  GimpLayer          *layer      = NULL;

  if (picture != NULL)
    layer = gimp_layer_new (image, name, width, height, type, 100.0, gimp_image_get_default_new_layer_mode (image));
  if (layer == NULL)
    {
      g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INSERT,
                   _("GIMP could not make a layer of %d × %d pixels; the result can go into a new image of its own size."),
                   width, height);
      return NULL;
    }

  write_pixels (layer, picture);
  fb_record_write (GIMP_ITEM (layer), parameters);

  return layer;
}

static GimpImageType
layer_type (GimpImage *image)
{
  switch (gimp_image_get_base_type (image))
    {
    case GIMP_GRAY:    return GIMP_GRAYA_IMAGE;
    case GIMP_INDEXED: return GIMP_INDEXEDA_IMAGE;
    default:           return GIMP_RGBA_IMAGE;
    }
}

/* the new layer's group and place in it: above @target's layer, or on top */
static void
find_position (const FbTarget *target, GimpImage *image, GimpLayer **parent, int *position)
{
  GimpDrawable *drawable = drawable_by_id (target->drawable_id);
  GimpLayer    *layer    = NULL;

  if (drawable != NULL && gimp_item_is_layer_mask (GIMP_ITEM (drawable)))
    layer = gimp_layer_from_mask (GIMP_LAYER_MASK (drawable));
  else if (drawable != NULL && gimp_item_is_layer (GIMP_ITEM (drawable)))
    layer = GIMP_LAYER (drawable);

  *parent   = NULL;
  *position = 0;
  if (layer != NULL && gimp_item_get_image (GIMP_ITEM (layer)) == image)
    {
      *parent   = GIMP_LAYER (gimp_item_get_parent (GIMP_ITEM (layer)));
      *position = gimp_image_get_item_position (image, GIMP_ITEM (layer));
    }
}

/* whether some pixel within the target's bounds is not wholly selected */
static gboolean
selection_has_shape (const FbTarget *target, GimpImage *image)
{
  GimpSelection         *selection = gimp_image_get_selection (image);
  g_autoptr(GeglBuffer)  buffer    = NULL;
  g_autofree guint8     *row       = NULL;
  gboolean               is_selected;
  int                    x1, y1, x2, y2;

  if (!gimp_selection_bounds (image, &is_selected, &x1, &y1, &x2, &y2) || !is_selected ||
      x1 != target->x || y1 != target->y || x2 - x1 != target->width || y2 - y1 != target->height)
    return FALSE;

  buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (selection));
  row    = g_malloc ((gsize) target->width);
  for (int y = y1; y < y2; y++)
    {
      gegl_buffer_get (buffer, GEGL_RECTANGLE (x1, y, target->width, 1), 1.0, babl_format ("Y u8"), row,
                       GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
      for (int x = 0; x < target->width; x++)
        if (row[x] != 255)
          return TRUE;
    }

  return FALSE;
}

static void
place_layer (const FbTarget *target, GimpImage *image, GimpLayer *layer, gboolean has_shape)
{
  int x = target->x;
  int y = target->y;

  if (!target->is_bounded)
    {
      x = (gimp_image_get_width (image) - gimp_drawable_get_width (GIMP_DRAWABLE (layer))) / 2;
      y = (gimp_image_get_height (image) - gimp_drawable_get_height (GIMP_DRAWABLE (layer))) / 2;
    }
  gimp_layer_set_offsets (layer, x, y);
  if (has_shape)
    gimp_layer_add_mask (layer, gimp_layer_create_mask (layer, GIMP_ADD_MASK_SELECTION));
}

static GimpImage *
insert_layers (const FbTarget *target, GPtrArray *results, const char *name, GPtrArray *layers, GError **error)
{
  GimpImage *image     = image_of (target);
  gboolean   has_shape = selection_has_shape (target, image);
  GimpLayer *parent    = NULL;
  int        position  = 0;

  /* everything that can fail comes before the image is touched */
  for (guint i = 0; i < results->len; i++)
    {
      FbResult  *result = g_ptr_array_index (results, i);
      int        width  = target->is_bounded ? target->width : result->image->width;
      int        height = target->is_bounded ? target->height : result->image->height;
      GimpLayer *layer  = layer_new (target, image, result, name, layer_type (image), width, height, error);

      if (layer == NULL)
        {
          for (guint j = 0; j < layers->len; j++)
            gimp_item_delete (g_ptr_array_index (layers, j));
          g_ptr_array_set_size (layers, 0);
          return NULL;
        }
      g_ptr_array_add (layers, layer);
    }

  find_position (target, image, &parent, &position);
  gimp_image_undo_group_start (image);
  for (guint i = 0; i < layers->len; i++)
    {
      gimp_image_insert_layer (image, g_ptr_array_index (layers, i), parent, position);
      place_layer (target, image, g_ptr_array_index (layers, i), has_shape);
    }
  gimp_image_undo_group_end (image);

  return image;
}

static GimpImage *
insert_image (const FbTarget *target, GPtrArray *results, const char *name, gboolean show, GPtrArray *layers, GError **error)
{
  FbResult  *first = g_ptr_array_index (results, 0);
  GimpImage *image = gimp_image_new (first->image->width, first->image->height, GIMP_RGB);

  gimp_image_undo_disable (image);
  for (guint i = 0; i < results->len; i++)
    {
      FbResult  *result = g_ptr_array_index (results, i);
      GimpLayer *layer  = layer_new (target, image, result, name, GIMP_RGB_IMAGE, result->image->width, result->image->height, error);

      if (layer == NULL)
        {
          gimp_image_delete (image);
          g_ptr_array_set_size (layers, 0);
          return NULL;
        }
      gimp_image_insert_layer (image, layer, NULL, 0);
      g_ptr_array_add (layers, layer);
    }
  gimp_image_undo_enable (image);
  if (show)
    gimp_display_new (image);

  return image;
}

GimpImage *
fb_target_insert (const FbTarget *target, FbDestination destination, GPtrArray *results, const char *name,
                  gboolean show, GPtrArray **layers, GError **error)
{
  g_autoptr(GPtrArray) made       = g_ptr_array_new ();
  g_autofree char     *layer_name = fb_target_layer_name (name);
  g_autoptr(GError)    problem    = NULL;
  GimpImage           *image      = NULL;

  if (!fb_target_check (target, destination, &problem) &&
      !g_error_matches (problem, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED))
    {
      g_propagate_error (error, g_steal_pointer (&problem));
      return NULL;
    }

  if (destination == FB_DESTINATION_NEW_IMAGE || target->image_id == 0)
    image = insert_image (target, results, layer_name, show, made, error);
  else
    image = insert_layers (target, results, layer_name, made, error);

  if (image != NULL && layers != NULL)
    *layers = g_steal_pointer (&made);

  return image;
}
