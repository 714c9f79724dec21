/* ui/target.c: where a picture comes from and goes to in GIMP. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/target-private.h"

#include <math.h>

#include <glib/gi18n-lib.h>

#include "ui/size.h"

#define PIXELS_MAX 1000000000

G_DEFINE_QUARK (fb-target-error-quark, fb_target_error)

FbDestination
fb_destination_from_name (const char *name)
{
  if (g_strcmp0 (name, "new-image") == 0)
    return FB_DESTINATION_NEW_IMAGE;

  return g_strcmp0 (name, "in-place") == 0 ? FB_DESTINATION_IN_PLACE : FB_DESTINATION_NEW_LAYER;
}

/* --- the place ------------------------------------------------------------------------------------------------------ */

GimpImage *
fb_target_image (const FbTarget *target)
{
  return fb_image_if_open (target->image_id, 0);
}

GimpDrawable *
fb_drawable_by_id (int id)
{
  return id > 0 && gimp_item_id_is_drawable (id) ? gimp_drawable_get_by_id (id) : NULL;
}

GimpLayer *
fb_target_layer (const FbTarget *target)
{
  GimpDrawable *drawable = fb_drawable_by_id (target->drawable_id);

  if (drawable != NULL && gimp_item_is_layer_mask (GIMP_ITEM (drawable)))
    return gimp_layer_from_mask (GIMP_LAYER_MASK (drawable));

  return drawable != NULL && gimp_item_is_layer (GIMP_ITEM (drawable)) ? GIMP_LAYER (drawable) : NULL;
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
fb_target_has_margins (const FbTarget *target)
{
  const FbMargins *m = &target->margins;

  return m->left + m->top + m->right + m->bottom > 0;
}

/* whether the target's own layer can be given other pixels */
static gboolean
check_layer (const FbTarget *target, GError **error)
{
  GimpItem *layer = GIMP_ITEM (fb_target_layer (target));

  if (layer != NULL && !gimp_item_is_group (layer) && !gimp_item_get_lock_content (layer))
    return TRUE;
  g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT,
                       _("Pixels can be replaced in one layer that is not locked and is no group; select one, or take a new layer."));

  return FALSE;
}

gboolean
fb_target_check (const FbTarget *target, FbDestination destination, GError **error)
{
  GimpImage *image = fb_target_image (target);

  if (target->is_bounded && (gint64) target->width * target->height > PIXELS_MAX)
    {
      g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_SIZE,
                   _("The selection has %d × %d pixels, more than a generated layer can have; select a smaller part."),
                   target->width, target->height);
      return FALSE;
    }
  if (destination == FB_DESTINATION_IN_PLACE && fb_target_has_margins (target))
    {
      g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT,
                           _("What is added around the canvas lies outside the layer; take a new layer."));
      return FALSE;
    }
  if (destination == FB_DESTINATION_IN_PLACE && (image != NULL || target->image_id == 0) && !check_layer (target, error))
    return FALSE;
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
  else if (target->drawable_id != 0 && fb_drawable_by_id (target->drawable_id) == NULL)
    g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED,
                         _("The layer was deleted meanwhile, so the result would go on top of the image."));
  else
    return TRUE;

  return FALSE;
}

/* --- the input ------------------------------------------------------------------------------------------------------ */

gboolean
fb_target_use_input (FbTarget *target, GError **error)
{
  GimpDrawable    *drawable = fb_drawable_by_id (target->drawable_id);
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

FbRect
fb_target_seen (const FbTarget *target)
{
  return target->seen.width > 0 ? target->seen : (FbRect) { target->x, target->y, target->width, target->height };
}
