/* ui/target-insert.c: results become layers. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/target-private.h"

#include <math.h>

#include <glib/gi18n-lib.h>

#include "ui/record.h"

#define NAME_LENGTH 40

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

/* (transfer full): @result's parameters, and which layer it started from, so that it can be repeated */
static GVariant *
parameters_of (const FbTarget *target, FbResult *result)
{
  GimpDrawable        *input = fb_drawable_by_id (target->input_id);
  const FbRect         seen  = fb_target_seen (target);
  g_auto(GVariantDict) dict  = G_VARIANT_DICT_INIT (result->parameters);

  if (target->task != NULL)
    g_variant_dict_insert (&dict, "task", "s", target->task);
  if (target->context != NULL)
    {
      g_variant_dict_insert (&dict, "context", "s", target->context);
      g_variant_dict_insert (&dict, "place-x", "i", seen.x + target->margins.left);
      g_variant_dict_insert (&dict, "place-y", "i", seen.y + target->margins.top);
      g_variant_dict_insert (&dict, "place-width", "i", seen.width);
      g_variant_dict_insert (&dict, "place-height", "i", seen.height);
    }
  if (input != NULL && !target->input_is_copy)
    g_variant_dict_insert (&dict, "input-tattoo", "i", gimp_item_get_tattoo (GIMP_ITEM (input)));

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* a layer of @image, not in it yet, with @result's pixels at @width × @height and its parameters */
static GimpLayer *
layer_new (const FbTarget *target, GimpImage *image, FbResult *result, const char *name, GimpImageType type, int width, int height, GError **error)
{
  g_autoptr(GVariant)   parameters = parameters_of (target, result);
  GimpLayer            *layer      = gimp_layer_new (image, name, width, height, type, 100.0, gimp_image_get_default_new_layer_mode (image));
  g_autoptr(GeglBuffer) buffer     = layer != NULL ? gimp_drawable_get_buffer (GIMP_DRAWABLE (layer)) : NULL;

  if (buffer == NULL || !fb_target_write (buffer, result->image, width, height, target->input_id != 0))
    {
      if (layer != NULL)
        gimp_item_delete (GIMP_ITEM (layer));
      g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INSERT,
                   _("GIMP could not make a layer of %d × %d pixels; the result can go into a new image of its own size."),
                   width, height);
      return NULL;
    }
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
  GimpLayer *layer = fb_target_layer (target);

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

/* In which numbers GIMP mixes the layer with what is below: those the image is stored in, because a pixel that the mask leaves alone then comes back
 * with the bytes it had. Linear light in 8 and 16 bit costs nothing: there the way to it and back is exact. */
static GimpLayerColorSpace
blend_space (GimpImage *image)
{
  switch (gimp_image_get_precision (image))
    {
    case GIMP_PRECISION_HALF_NON_LINEAR:
    case GIMP_PRECISION_FLOAT_NON_LINEAR:
    case GIMP_PRECISION_DOUBLE_NON_LINEAR:
      return GIMP_LAYER_COLOR_SPACE_RGB_NON_LINEAR;
    default:
      return GIMP_LAYER_COLOR_SPACE_RGB_LINEAR;
    }
}

/* @result's alpha becomes the mask of its layer, which is in @image already, or the layer's own. */
static void
cut_out_layer (const FbTarget *target, GimpImage *image, GimpLayer *layer, FbResult *result)
{
  if (target->is_enlarged)
    {
      fb_target_mask (layer, result->image);
      gimp_layer_remove_mask (layer, GIMP_MASK_APPLY);
      return;
    }
  gimp_layer_set_mode (layer, GIMP_LAYER_MODE_NORMAL);      /* the legacy one mixes in 8 bits' own curve */
  gimp_layer_set_blend_space (layer, blend_space (image));
  fb_target_mask (layer, result->image);
  if (result->mask != NULL)
    {
      g_autoptr(GBytes) packed = fb_mask_pack (result->mask);

      fb_record_write_mask (GIMP_ITEM (layer), packed);
    }
}

static void
place_layer (const FbTarget *target, GimpImage *image, GimpLayer *layer, FbResult *result, gboolean has_shape)
{
  int x = target->x;
  int y = target->y;

  if (!target->is_bounded)
    {
      x = (gimp_image_get_width (image) - gimp_drawable_get_width (GIMP_DRAWABLE (layer))) / 2;
      y = (gimp_image_get_height (image) - gimp_drawable_get_height (GIMP_DRAWABLE (layer))) / 2;
    }
  gimp_layer_set_offsets (layer, x, y);
  if (result->image->n_channels == 4)
    cut_out_layer (target, image, layer, result);
  else if (has_shape)
    gimp_layer_add_mask (layer, gimp_layer_create_mask (layer, GIMP_ADD_MASK_SELECTION));
}

/* Gives the canvas its margins, unless another result of the same place has done so; @target afterwards says where the place is then. */
static void
enlarge_canvas (GimpImage *image, FbTarget *target)
{
  const FbMargins m      = target->margins;
  const int       width  = target->canvas_width + m.left + m.right;
  const int       height = target->canvas_height + m.top + m.bottom;

  if (!fb_target_has_margins (target))
    return;
  if (gimp_image_get_width (image) != width || gimp_image_get_height (image) != height)
    gimp_image_resize (image, gimp_image_get_width (image) + m.left + m.right, gimp_image_get_height (image) + m.top + m.bottom, m.left, m.top);
  target->x += m.left;
  target->y += m.top;
}

static GimpImage *
insert_layers (const FbTarget *target, GPtrArray *results, const char *name, GPtrArray *layers, GError **error)
{
  GimpImage *image     = fb_target_image (target);
  gboolean   has_shape = selection_has_shape (target, image);
  GimpLayer *parent    = NULL;
  FbTarget   place     = *target;
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
  enlarge_canvas (image, &place);
  for (guint i = 0; i < layers->len; i++)
    {
      gimp_image_insert_layer (image, g_ptr_array_index (layers, i), parent, position);
      place_layer (&place, image, g_ptr_array_index (layers, i), g_ptr_array_index (results, i), has_shape);
    }
  gimp_image_undo_group_end (image);

  return image;
}

/* an image of that size: RGB, 8 bit, sRGB, or as precise as the one whose layer is made larger, with its profile */
static GimpImage *
image_new (const FbTarget *target, int width, int height)
{
  GimpImage                   *source  = target->is_enlarged ? fb_target_image (target) : NULL;
  g_autoptr(GimpColorProfile)  profile = NULL;
  GimpImage                   *image;

  if (source == NULL || gimp_image_get_base_type (source) == GIMP_INDEXED)
    return gimp_image_new (width, height, GIMP_RGB);

  image   = gimp_image_new_with_precision (width, height, GIMP_RGB, gimp_image_get_precision (source));
  profile = gimp_image_get_base_type (source) == GIMP_RGB ? gimp_image_get_color_profile (source) : NULL;
  if (profile != NULL)
    gimp_image_set_color_profile (image, profile);

  return image;
}

static GimpImage *
insert_image (const FbTarget *target, GPtrArray *results, const char *name, gboolean show, GPtrArray *layers, GError **error)
{
  FbResult  *first = g_ptr_array_index (results, 0);
  GimpImage *image = image_new (target, first->image->width, first->image->height);

  gimp_image_undo_disable (image);
  for (guint i = 0; i < results->len; i++)
    {
      FbResult  *result = g_ptr_array_index (results, i);
      GimpLayer *layer  = layer_new (target, image, result, name, result->image->n_channels == 4 ? GIMP_RGBA_IMAGE : GIMP_RGB_IMAGE,
                                     result->image->width, result->image->height, error);

      if (layer == NULL)
        {
          gimp_image_delete (image);
          g_ptr_array_set_size (layers, 0);
          return NULL;
        }
      gimp_image_insert_layer (image, layer, NULL, 0);
      if (result->image->n_channels == 4)
        cut_out_layer (target, image, layer, result);
      g_ptr_array_add (layers, layer);
    }
  gimp_image_undo_enable (image);
  if (show)
    gimp_display_new (image);

  return image;
}

/* the last result into the layer itself */
static GimpImage *
replace_pixels (const FbTarget *target, GPtrArray *results, GPtrArray *layers, GError **error)
{
  GimpImage           *image      = fb_target_image (target);
  GimpLayer           *layer      = fb_target_layer (target);
  FbResult            *result     = g_ptr_array_index (results, results->len - 1);
  g_autoptr(GVariant)  parameters = parameters_of (target, result);

  gimp_image_undo_group_start (image);
  if (!fb_target_blend (target, layer, result->image, error))
    image = NULL;
  else
    {
      fb_record_write (GIMP_ITEM (layer), parameters);
      g_ptr_array_add (layers, layer);
    }
  gimp_image_undo_group_end (fb_target_image (target));

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

  if (destination == FB_DESTINATION_IN_PLACE)
    image = replace_pixels (target, results, made, error);
  else if (destination == FB_DESTINATION_NEW_IMAGE || target->image_id == 0)
    image = insert_image (target, results, layer_name, show, made, error);
  else
    image = insert_layers (target, results, layer_name, made, error);

  if (image != NULL && layers != NULL)
    *layers = g_steal_pointer (&made);

  return image;
}
