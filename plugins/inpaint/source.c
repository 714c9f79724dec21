/* plugins/inpaint/source.c: the picture that the model is shown a part of. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/inpaint/source.h"

#include <glib/gi18n-lib.h>

#include "plugins/inpaint/args.h"
#include "ui/record.h"

static gboolean
refuse (GError **error, const char *sentence)
{
  g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT, sentence);

  return FALSE;
}

GimpLayer *
inpaint_layer_of (const FbTarget *target)
{
  GimpItem *item = target->drawable_id > 0 ? gimp_item_get_by_id (target->drawable_id) : NULL;

  if (item != NULL && gimp_item_is_layer_mask (item))
    return gimp_layer_from_mask (GIMP_LAYER_MASK (item));

  return item != NULL && gimp_item_is_layer (item) ? GIMP_LAYER (item) : NULL;
}

/* (transfer full) (nullable): what @layer's record says but for the seed; NULL where it has none */
static GVariant *
recipe_of (GimpItem *layer)
{
  g_autoptr(GVariant)  recorded = fb_record_read (layer, inpaint_args, NULL);
  g_auto(GVariantDict) dict     = G_VARIANT_DICT_INIT (recorded);

  if (recorded == NULL)
    return NULL;
  g_variant_dict_remove (&dict, "seed");

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* whether both are there, and the same */
static gboolean
is_same_mask (GBytes *a, GBytes *b)
{
  return a != NULL && b != NULL && g_bytes_equal (a, b);
}

/* Hides of @layers, and of the groups among them, what has this recipe and mask. */
static void
hide_variations (GimpItem **layers, GVariant *recipe, GBytes *mask)
{
  for (int i = 0; layers != NULL && layers[i] != NULL; i++)
    {
      g_autoptr(GVariant)   own    = recipe_of (layers[i]);
      g_autoptr(GBytes)     marked = own != NULL ? fb_record_read_mask (layers[i]) : NULL;
      g_autofree GimpItem **inside = gimp_item_is_group (layers[i]) ? gimp_item_get_children (layers[i]) : NULL;

      if (own != NULL && g_variant_equal (own, recipe) && is_same_mask (marked, mask))
        gimp_item_set_visible (layers[i], FALSE);
      hide_variations (inside, recipe, mask);
    }
}

/* (transfer full): where changes leave @image and its undo history as they are */
static GimpImage *
duplicate (GimpImage *image)
{
  GimpImage *copy = gimp_image_duplicate (image);

  gimp_image_undo_disable (copy);

  return copy;
}

/* (transfer none): a layer of @image, not in it, with what is visible there, or of it in @area (nullable), without @without and its variations */
static GimpLayer *
copy_visible (GimpImage *image, GimpLayer *without, const FbRect *area)
{
  g_autoptr(GVariant)    recipe = without != NULL ? recipe_of (GIMP_ITEM (without)) : NULL;
  g_autoptr(GBytes)      mask   = recipe != NULL ? fb_record_read_mask (GIMP_ITEM (without)) : NULL;
  g_autofree GimpItem  **layers = NULL;
  GimpImage             *copy;
  GimpLayer             *visible;

  if (mask == NULL && area == NULL)
    return gimp_layer_new_from_visible (image, image, "");

  copy = duplicate (image);
  if (mask != NULL)
    {
      layers = (GimpItem **) gimp_image_get_layers (copy);
      hide_variations (layers, recipe, mask);
    }
  if (area != NULL)
    gimp_image_resize (copy, area->width, area->height, -area->x, -area->y);     /* only the canvas: a layer's filters see what lies around it */
  visible = gimp_layer_new_from_visible (copy, image, "");
  if (area != NULL && visible != NULL)
    gimp_layer_set_offsets (visible, area->x, area->y);
  gimp_image_delete (copy);

  return visible;
}

gboolean
inpaint_use_source (FbTarget *target, const char *source, GimpLayer *without, GError **error)
{
  GimpImage *image = gimp_image_get_by_id (target->image_id);
  GimpLayer *layer = inpaint_layer_of (target);

  if (image == NULL)
    return refuse (error, _("There is no picture to work on; open an image."));
  if (g_strcmp0 (source, "visible") == 0)
    {
      layer                 = copy_visible (image, without, NULL);
      target->input_is_copy = TRUE;
    }
  else if (layer == NULL || target->n_drawables != 1)
    return refuse (error, _("Select exactly one layer to work on, or look at all that is visible."));
  target->input_id = gimp_item_get_id (GIMP_ITEM (layer));

  return TRUE;
}

gboolean
inpaint_look_at_part (FbTarget *target, GimpLayer *without)
{
  GimpImage    *image  = gimp_image_get_by_id (target->image_id);
  const FbRect  seen   = fb_target_seen (target);
  GdkRectangle  canvas = { 0, 0, gimp_image_get_width (image), gimp_image_get_height (image) };
  GdkRectangle  part;
  GimpLayer    *layer  = NULL;

  if (gdk_rectangle_intersect (&canvas, &(GdkRectangle) { seen.x, seen.y, seen.width, seen.height }, &part))
    layer = copy_visible (image, without, &(FbRect) { part.x, part.y, part.width, part.height });
  if (layer != NULL)
    {
      target->input_id      = gimp_item_get_id (GIMP_ITEM (layer));
      target->input_is_copy = TRUE;
    }

  return layer != NULL;
}

void
inpaint_forget_source (FbTarget *target)
{
  if (target->input_is_copy && gimp_item_id_is_valid (target->input_id))
    gimp_item_delete (gimp_item_get_by_id (target->input_id));
  target->input_is_copy = FALSE;
  target->input_id      = 0;
}
