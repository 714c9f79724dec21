/* plugins/inpaint/dialog-source.c: what of the image the window works on, as it is now. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/inpaint/dialog-private.h"

#include <glib/gi18n-lib.h>

#include "plugins/inpaint/request.h"

#define THUMBNAIL 96          /* of the image, to see that it changed */

char *
inpaint_dialog_text (InpaintDialog *self, const char *name)
{
  char *text = NULL;

  g_object_get (FB_DIALOG (self)->config, name, &text, NULL);

  return text;
}

/* (transfer full): changes whenever something visible does */
static char *
look_at (GimpImage *image)
{
  int               width = THUMBNAIL, height = THUMBNAIL, bytes;
  g_autoptr(GBytes) data  = gimp_image_get_thumbnail_data (image, &width, &height, &bytes);

  return data != NULL ? g_compute_checksum_for_bytes (G_CHECKSUM_MD5, data) : g_strdup ("");
}

void
inpaint_dialog_forget_source (InpaintDialog *self)
{
  if (self->source != NULL)
    inpaint_forget_source (self->source);
  g_clear_pointer (&self->source, fb_target_free);
  g_clear_pointer (&self->seen, g_free);
}

/* (transfer full): the image and the layer as they are now, with their input, or NULL with @error */
static FbTarget *
source_new (InpaintDialog *self, GimpImage *image, const char *source, GError **error)
{
  g_autofree GimpDrawable **drawables = gimp_image_get_selected_drawables (image);
  g_autoptr(FbTarget)       target    = fb_target_new (image, drawables);
  GimpLayer                *without   = gimp_item_id_is_layer (self->continued_id) ? gimp_layer_get_by_id (self->continued_id) : NULL;

  target->task = "inpaint";
  if (self->input_id != 0 && gimp_item_id_is_layer (self->input_id) && g_strcmp0 (source, "visible") != 0)
    target->input_id = self->input_id;
  else if (!inpaint_use_source (target, source, without, error))
    return NULL;

  return g_steal_pointer (&target);
}

/* a copy of all that is visible is made anew only when something visible has changed */
static gboolean
is_up_to_date (InpaintDialog *self, GimpImage *image, const char *source)
{
  g_autofree char *seen = NULL;

  if (self->source == NULL || !self->source->input_is_copy || g_strcmp0 (source, "visible") != 0)
    return FALSE;
  seen = look_at (image);

  return g_strcmp0 (seen, self->seen) == 0;
}

gboolean
inpaint_dialog_refresh (InpaintDialog *self, GError **error)
{
  GimpImage           *image  = fb_dialog_get_image (FB_DIALOG (self));
  g_autofree char     *source = inpaint_dialog_text (self, "source");
  g_autoptr(FbTarget)  target = NULL;

  if (image == NULL)
    {
      g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CLOSED, _("The image was closed, so there is nothing to work on."));
      return FALSE;
    }
  if (is_up_to_date (self, image, source))
    return TRUE;
  target = source_new (self, image, source, error);
  if (target == NULL)
    return FALSE;

  inpaint_dialog_forget_source (self);
  self->source = g_steal_pointer (&target);
  if (self->source->input_is_copy)
    self->seen = look_at (image);
  fb_canvas_set_source (self->canvas, image, gimp_drawable_get_by_id (self->source->input_id));

  return TRUE;
}
