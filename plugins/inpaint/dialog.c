/* plugins/inpaint/dialog.c: the window with the canvas. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/inpaint/dialog-private.h"

#include <glib/gi18n-lib.h>

#include "plugins/inpaint/request.h"
#include "plugins/inpaint/toolbar.h"
#include "ui/job.h"
#include "ui/mask-source.h"

#define CANVAS_WIDTH       560
#define CANVAS_HEIGHT      380

G_DEFINE_TYPE (InpaintDialog, inpaint_dialog, FB_TYPE_DIALOG)

#define SELF(object) ((InpaintDialog *) (object))

static const char * const rows[] =
{
  "use", "prompt", "negative-prompt", "model", "loras", "steps|guidance-scale", "strength", "feather", "seed|count", "destination", ">",
  "expand-left|expand-right", "expand-top|expand-bottom", "source", "context", "fill", "route", "match-colors", "grow|blend", "resolution|clip-skip", "passes", "sampler", "timestep-spacing", "vae", "taesd", "preview",
  "decoder", NULL
};

/* --- what it works on ---------------------------------------------------------------------------------------------------- */

static void
refresh_or_say (InpaintDialog *self)
{
  g_autoptr(GError) error = NULL;

  if (!inpaint_dialog_refresh (self, &error))
    fb_dialog_show_message (FB_DIALOG (self), GTK_MESSAGE_WARNING, error->message, FALSE, FALSE);
}

static gboolean
on_focus (InpaintDialog *self)
{
  if (fb_dialog_get_image (FB_DIALOG (self)) != NULL && !fb_canvas_is_painting (self->canvas))
    inpaint_dialog_refresh_later (self);

  return GDK_EVENT_PROPAGATE;
}

/* --- jobs ---------------------------------------------------------------------------------------------------------------- */

static FbTarget *
measure (FbDialog *dialog)
{
  InpaintDialog *self = SELF (dialog);

  return self->source != NULL ? fb_target_copy (self->source) : fb_target_new (fb_dialog_get_image (dialog), NULL);
}

/* (transfer full): the mask that @target's job has */
static FbMask *
mask_for (InpaintDialog *self, const FbTarget *target)
{
  return inpaint_enlarge_mask (fb_canvas_get_mask (self->canvas), target);
}

/* the job for what is painted now; @target gets its place */
static FbJob *
job_for (InpaintDialog *self, GVariant *request, FbTarget *target, gboolean is_draft, GError **error)
{
  FbDialog          *dialog   = FB_DIALOG (self);
  g_autoptr(FbMask)  mask     = NULL;
  g_autofree char   *use      = inpaint_dialog_text (self, "use");
  g_autofree char   *context  = inpaint_dialog_text (self, "context");
  GVariant          *resolved = fb_estimator_get_resolved (dialog->estimator);
  int                width    = 0;
  int                height   = 0;

  if (!inpaint_use_margins (target, dialog->config, error))
    return NULL;
  mask = mask_for (self, target);
  fb_estimator_get_model_size (dialog->estimator, &width, &height);
  if (!inpaint_check_mask (mask, use, error) || !inpaint_place_target (target, request, resolved, context, mask, width, NULL, error))
    return NULL;
  fb_canvas_set_context (self->canvas, &(GdkRectangle) { target->seen.x, target->seen.y, target->seen.width, target->seen.height });

  return is_draft ? inpaint_dialog_draft_job (self, request, target, mask, width, error)
                  : inpaint_job_new (dialog->client, request, target, mask, width, INPAINT_PIXELS_MAX, error);
}

static FbJob *
job_new (FbDialog *dialog, GVariant *request, FbTarget *target, GError **error)
{
  InpaintDialog *self = SELF (dialog);
  FbJob         *job  = job_for (self, request, target, FALSE, error);

  g_clear_pointer (&dialog->job_mask, fb_mask_free);
  dialog->job_mask = mask_for (self, target);

  return job;
}

/* whether there is something to repaint: painted, or around the canvas */
static gboolean
is_ready (FbDialog *dialog)
{
  GimpImage *image  = fb_dialog_get_image (dialog);
  FbTarget   target = { .image_id = image != NULL ? gimp_image_get_id (image) : 0 };

  return SELF (dialog)->is_masked || (image != NULL && inpaint_use_margins (&target, dialog->config, NULL) && fb_target_has_margins (&target));
}

static gboolean
can_insert (FbDialog *dialog)
{
  return !SELF (dialog)->is_stale;
}

/* --- what is shown ------------------------------------------------------------------------------------------------------- */

static void
show_at (InpaintDialog *self, FbImage *picture, const FbTarget *target)
{
  fb_canvas_set_result (self->canvas, picture, &(GdkRectangle) { target->x, target->y, target->width, target->height });
}

static void
show (FbDialog *dialog, FbImage *picture, const char *text, const FbHistoryEntry *entry)
{
  InpaintDialog *self = SELF (dialog);

  self->is_stale = entry == NULL;
  if (entry != NULL)
    show_at (self, picture, entry->target);
  else if (dialog->job_target != NULL)
    show_at (self, picture, dialog->job_target);
}

/* --- live ---------------------------------------------------------------------------------------------------------------- */

static gboolean
is_live (InpaintDialog *self)
{
  return gtk_toggle_button_get_active (GTK_TOGGLE_BUTTON (self->live_switch));
}

/* one picture with a fixed seed */
static GVariant *
live_request (InpaintDialog *self, gboolean is_draft, GError **error)
{
  g_autoptr(GVariant)  request = fb_dialog_get_request (FB_DIALOG (self), error);
  g_autofree char     *seed    = inpaint_dialog_text (self, "seed");
  g_auto(GVariantDict) dict    = G_VARIANT_DICT_INIT (request);

  if (request == NULL)
    return NULL;
  g_variant_dict_insert (&dict, "count", "i", 1);
  if (g_str_equal (seed, "-1"))
    g_variant_dict_insert (&dict, "seed", "x", self->live_seed);
  if (is_draft)
    inpaint_dialog_make_draft (self, &dict);

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static FbJob *
live_job_new (gboolean is_draft, FbTarget **target, GError **error, gpointer data)
{
  InpaintDialog       *self    = data;
  FbDialog            *dialog  = FB_DIALOG (self);
  g_autoptr(GVariant)  request = NULL;

  if (!is_ready (dialog) || dialog->job != NULL || dialog->is_waiting || (!(is_draft && inpaint_dialog_can_draft (self)) && !inpaint_dialog_refresh (self, error)))
    return NULL;
  if (fb_estimator_get_error (dialog->estimator) != NULL)
    {
      g_propagate_error (error, g_error_copy (fb_estimator_get_error (dialog->estimator)));
      return NULL;
    }
  request = live_request (self, is_draft, error);
  if (request == NULL)
    return NULL;
  *target = measure (dialog);
  fb_dialog_set_status (dialog, is_draft ? _("Draft") : _("Refining"));

  return job_for (self, request, *target, is_draft, error);
}

static void
live_show (FbJob *job, FbImage *picture, const FbTarget *target, gboolean is_draft, gboolean is_complete, gpointer data)
{
  InpaintDialog       *self       = data;
  FbDialog            *dialog     = FB_DIALOG (self);
  g_autoptr(GVariant)  parameters = NULL;
  g_autoptr(FbResult)  result     = NULL;
  g_autoptr(FbMask)    mask       = NULL;
  g_autofree char     *prompt     = NULL;

  if (is_draft || !is_complete)
    {
      show_at (self, picture, target);
      if (is_complete)
        fb_dialog_set_status (dialog, _("Draft; pause for the full picture"));
      return;
    }

  parameters = fb_job_get_metadata (job, 0);
  result     = fb_result_new (picture, fb_job_get_seed (job, 0), parameters);
  mask       = mask_for (self, target);
  prompt     = inpaint_dialog_text (self, "prompt");
  fb_result_set_mask (result, mask);
  fb_dialog_set_status (dialog, _("Done"));
  fb_dialog_add_result (dialog, result, fb_target_copy (target), *prompt != '\0' ? prompt : _(dialog->layout->unnamed));
}

static void
live_failed (const GError *error, gpointer data)
{
  fb_dialog_set_status (data, _("Failed"));
  fb_dialog_show_message (data, GTK_MESSAGE_ERROR, error->message, FALSE, FALSE);
}

static const InpaintLiveHooks live_hooks = { live_job_new, live_show, live_failed };

/* --- what the user does -------------------------------------------------------------------------------------------------- */

static void
on_stroke (InpaintDialog *self)
{
  self->was_live = inpaint_live_is_busy (self->live);
  inpaint_live_interrupt (self->live);
}

static void
on_stroke_dropped (InpaintDialog *self)
{
  if (self->was_live)
    inpaint_live_begin (self->live);
}

static void
on_mask (InpaintDialog *self)
{
  GdkRectangle bounds;

  self->is_masked = fb_mask_get_bounds (fb_canvas_get_mask (self->canvas), &bounds);
  self->is_stale  = TRUE;
  if (!is_live (self) || !is_ready (FB_DIALOG (self)))
    {
      inpaint_live_interrupt (self->live);
      fb_canvas_set_result (self->canvas, NULL, NULL);
      fb_canvas_set_context (self->canvas, NULL);
    }
  else
    inpaint_live_begin (self->live);
  fb_dialog_update (FB_DIALOG (self));
}

static void
on_live (InpaintDialog *self)
{
  if (is_live (self) && is_ready (FB_DIALOG (self)))
    inpaint_live_begin (self->live);
  else
    inpaint_live_interrupt (self->live);
}

/* for an enlarged canvas, with nothing painted: what the layer does not cover */
static void
mask_what_is_open (InpaintDialog *self)
{
  GimpImage       *image = fb_dialog_get_image (FB_DIALOG (self));
  g_autofree char *use   = inpaint_dialog_text (self, "use");

  if (image != NULL && self->source != NULL && !self->is_masked && g_str_equal (use, "expand"))
    fb_canvas_set_mask (self->canvas, fb_mask_of_what_is_open (image, gimp_drawable_get_by_id (self->source->input_id)));
}

/* The canvas grows for one use only. */
static void
show_margins (InpaintDialog *self)
{
  static const char * const sides[] = { "expand-left", "expand-right", "expand-top", "expand-bottom" };
  g_autofree char *use = inpaint_dialog_text (self, "use");

  for (gsize i = 0; i < G_N_ELEMENTS (sides); i++)
    fb_form_set_reason (FB_DIALOG (self)->form, sides[i], g_str_equal (use, "expand"), NULL);
  fb_dialog_update (FB_DIALOG (self));
}

/* other words or numbers: the same mask, once more */
static void
on_config (InpaintDialog *self, GParamSpec *pspec)
{
  if (g_str_equal (pspec->name, "source"))
    refresh_or_say (self);
  if (g_str_equal (pspec->name, "use"))
    {
      mask_what_is_open (self);
      show_margins (self);
    }
  if (g_str_has_prefix (pspec->name, "expand-"))
    fb_dialog_update (FB_DIALOG (self));
  if (is_live (self) && is_ready (FB_DIALOG (self)) && !g_str_equal (pspec->name, "destination") && !g_str_equal (pspec->name, "count"))
    inpaint_live_begin (self->live);
}

static void
take_selection (InpaintDialog *self)
{
  GimpImage *image = fb_dialog_get_image (FB_DIALOG (self));

  if (image != NULL)
    fb_canvas_set_mask (self->canvas, fb_mask_read_drawable (image, GIMP_DRAWABLE (gimp_image_get_selection (image))));
}

static void
started (FbDialog *dialog)
{
  InpaintDialog *self = SELF (dialog);

  inpaint_live_interrupt (self->live);
  g_clear_pointer (&self->seen, g_free);         /* the thumbnail may be blind to a small change */
  refresh_or_say (self);
}

/* what is painted next should see the new layer */
static void
inserted (FbDialog *dialog)
{
  InpaintDialog   *self        = SELF (dialog);
  g_autofree char *destination = inpaint_dialog_text (self, "destination");

  fb_canvas_fill (self->canvas, 0);              /* so that it is seen; Undo brings the mask back */
  g_clear_pointer (&self->seen, g_free);
  self->continued_id = 0;
  g_object_set (dialog->config, "expand-left", 0, "expand-right", 0, "expand-top", 0, "expand-bottom", 0, NULL);
  if (fb_destination_from_name (destination) == FB_DESTINATION_NEW_LAYER)
    g_object_set (dialog->config, "source", "visible", NULL);
  refresh_or_say (self);
}

/* --- the object ---------------------------------------------------------------------------------------------------------- */

static GtkWidget *
picture_new (FbDialog *dialog)
{
  InpaintDialog *self = SELF (dialog);
  GtkWidget     *box  = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);

  self->canvas = FB_CANVAS (fb_canvas_new ());
  gtk_widget_set_size_request (GTK_WIDGET (self->canvas), CANVAS_WIDTH, CANVAS_HEIGHT);
  gtk_box_pack_start (GTK_BOX (box), inpaint_toolbar_new (self->canvas, &self->live_switch, &self->from_selection), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), GTK_WIDGET (self->canvas), TRUE, TRUE, 0);

  return box;
}

static void
dispose (GObject *object)
{
  InpaintDialog *self = SELF (object);

  if (self->canvas != NULL)
    g_signal_handlers_disconnect_by_data (self->canvas, self);
  self->canvas = NULL;
  if (FB_DIALOG (self)->config != NULL)
    g_signal_handlers_disconnect_by_data (FB_DIALOG (self)->config, self);
  g_clear_pointer (&self->live, inpaint_live_free);
  inpaint_dialog_forget_source (self);

  G_OBJECT_CLASS (inpaint_dialog_parent_class)->dispose (object);
}

static void
inpaint_dialog_class_init (InpaintDialogClass *class)
{
  G_OBJECT_CLASS (class)->dispose = dispose;

  class->picture_new = picture_new;
  class->show        = show;
  class->is_ready    = is_ready;
  class->can_insert  = can_insert;
  class->measure     = measure;
  class->job_new     = job_new;
  class->started     = started;
  class->inserted    = inserted;
}

static void
inpaint_dialog_init (InpaintDialog *self)
{
  self->live      = inpaint_live_new (&live_hooks, self);
  self->live_seed = g_random_int ();
}

GimpValueArray *
inpaint_dialog_run (GimpProcedure *asked, GimpProcedure *procedure, GimpProcedureConfig *config, const FbArg *args,
                    GimpImage *image, int input_id, GimpLayer *continued, FbMask *mask)
{
  FbDialogLayout  layout = { "inpaint", N_("Inpaint"), args, rows, N_("Inpainted") };
  InpaintDialog  *self   = SELF (fb_dialog_new (INPAINT_TYPE_DIALOG, procedure, config, &layout, image));

  self->input_id     = input_id;
  self->continued_id = continued != NULL ? gimp_item_get_id (GIMP_ITEM (continued)) : 0;
  refresh_or_say (self);
  g_signal_connect_swapped (self->canvas, "stroke-began", G_CALLBACK (on_stroke), self);
  g_signal_connect_swapped (self->canvas, "stroke-dropped", G_CALLBACK (on_stroke_dropped), self);
  g_signal_connect_swapped (self->canvas, "changed", G_CALLBACK (on_mask), self);
  g_signal_connect_swapped (self->live_switch, "toggled", G_CALLBACK (on_live), self);
  g_signal_connect_swapped (self->from_selection, "clicked", G_CALLBACK (take_selection), self);
  g_signal_connect_swapped (config, "notify", G_CALLBACK (on_config), self);
  g_signal_connect_swapped (self, "focus-in-event", G_CALLBACK (on_focus), self);
  fb_canvas_begin_with (self->canvas, mask);
  show_margins (self);

  return fb_dialog_loop (FB_DIALOG (self), asked);
}
