/* plugins/inpaint/dialog-source.c: what of the image the window works on, as it is now. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/inpaint/dialog-private.h"

#include <glib/gi18n-lib.h>

#include "plugins/inpaint/request.h"
#include "plugins/inpaint/source.h"

#define THUMBNAIL 96          /* of the image, to see that it changed */
#define LATER_MS  500

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
  g_clear_handle_id (&self->refresh_later, g_source_remove);
}

/* (transfer none) (nullable) */
static GimpLayer *
not_looked_at (InpaintDialog *self)
{
  return gimp_item_id_is_layer (self->continued_id) ? gimp_layer_get_by_id (self->continued_id) : NULL;
}

static gboolean
looks_at_all (InpaintDialog *self)
{
  g_autofree char *source = inpaint_dialog_text (self, "source");

  return self->source != NULL && self->source->input_is_copy && g_str_equal (source, "visible");
}

/* (transfer full): the image and the layer as they are now, with their input, or NULL with @error */
static FbTarget *
source_new (InpaintDialog *self, GimpImage *image, const char *source, GError **error)
{
  g_autofree GimpDrawable **drawables = gimp_image_get_selected_drawables (image);
  g_autoptr(FbTarget)       target    = fb_target_new (image, drawables);

  target->task = "inpaint";
  if (self->input_id != 0 && gimp_item_id_is_layer (self->input_id) && g_strcmp0 (source, "visible") != 0)
    target->input_id = self->input_id;
  else if (!inpaint_use_source (target, source, not_looked_at (self), error))
    return NULL;

  return g_steal_pointer (&target);
}

/* a copy of all that is visible is made anew only when something visible has changed */
static gboolean
is_up_to_date (InpaintDialog *self, GimpImage *image)
{
  g_autofree char *seen = looks_at_all (self) ? look_at (image) : NULL;

  return seen != NULL && g_strcmp0 (seen, self->seen) == 0;
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
  g_clear_handle_id (&self->refresh_later, g_source_remove);
  if (is_up_to_date (self, image))
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

/* --- while GIMP may still have to compose all that is visible ------------------------------------------------------------ */

static gboolean
on_later (gpointer data)
{
  InpaintDialog *self = data;

  if (fb_canvas_is_painting (self->canvas) || inpaint_live_is_busy (self->live))
    return G_SOURCE_CONTINUE;
  self->refresh_later = 0;
  inpaint_dialog_refresh (self, NULL);                /* what stands against it is said when something is to be done */

  return G_SOURCE_REMOVE;
}

void
inpaint_dialog_refresh_later (InpaintDialog *self)
{
  if (!looks_at_all (self))
    inpaint_dialog_refresh (self, NULL);
  else if (self->refresh_later == 0)
    self->refresh_later = g_timeout_add (LATER_MS, on_later, self);
}

gboolean
inpaint_dialog_can_draft (InpaintDialog *self)
{
  GimpImage    *image = fb_dialog_get_image (FB_DIALOG (self));
  const FbMask *mask  = fb_canvas_get_mask (self->canvas);

  return image != NULL && looks_at_all (self) && gimp_image_get_width (image) == fb_mask_width (mask) && gimp_image_get_height (image) == fb_mask_height (mask);
}

FbJob *
inpaint_dialog_draft_job (InpaintDialog *self, GVariant *request, FbTarget *target, const FbMask *mask, int native, GError **error)
{
  const int  copy_id = target->input_id;
  gboolean   is_part = target->input_is_copy && self->refresh_later != 0 && inpaint_look_at_part (target, not_looked_at (self));
  FbJob     *job     = inpaint_job_new (FB_DIALOG (self)->client, request, target, mask, native, INPAINT_DRAFT_MAX, error);

  if (is_part)
    {
      inpaint_forget_source (target);
      target->input_id      = copy_id;
      target->input_is_copy = TRUE;
    }

  return job;
}
