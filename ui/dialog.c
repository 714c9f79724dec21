/* ui/dialog.c: the window every generating plug-in opens. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dialog-private.h"

#include <glib/gi18n-lib.h>

#include "ui/handover.h"
#include "ui/job.h"
#include "ui/model-list.h"
#include "ui/procedure.h"

G_DEFINE_TYPE (FbDialog, fb_dialog, GIMP_TYPE_PROCEDURE_DIALOG)

void
fb_dialog_show_error (FbDialog *self, const GError *error)
{
  fb_dialog_show_message (self, GTK_MESSAGE_ERROR, error->message, FALSE, FALSE);
}

/* --- what is possible now ----------------------------------------------------------------------------------------------- */

GimpImage *
fb_dialog_get_image (FbDialog *self)
{
  return fb_image_if_open (self->image_id, self->display_id);
}

char *
fb_dialog_get_text (FbDialog *self, const char *name)
{
  char *text = NULL;

  if (fb_args_find (self->layout->args, name) != NULL)
    g_object_get (self->config, name, &text, NULL);

  return text != NULL ? text : g_strdup ("");
}

void
fb_dialog_update (FbDialog *self)
{
  GtkDialog *dialog   = GTK_DIALOG (self);
  gboolean   is_idle  = self->job == NULL && !self->is_waiting;
  gboolean   is_ready = is_idle && FB_DIALOG_GET_CLASS (self)->is_ready (self);

  gtk_dialog_set_response_sensitive (dialog, FB_RESPONSE_GENERATE, is_ready);
  gtk_dialog_set_response_sensitive (dialog, FB_RESPONSE_ANOTHER, is_ready && self->has_generated);
  gtk_dialog_set_response_sensitive (dialog, GTK_RESPONSE_OK,
                                     fb_history_get_chosen (self->history) != NULL && FB_DIALOG_GET_CLASS (self)->can_insert (self));
  gtk_widget_set_sensitive (self->cancel, !is_idle);
}

static gboolean
is_ready (FbDialog *self)
{
  g_autofree char *prompt = g_strstrip (fb_dialog_get_text (self, "prompt"));

  return *prompt != '\0';
}

static gboolean
can_insert (FbDialog *self)
{
  return TRUE;
}

/* greys out what has no effect, with the reason */
static void
update_reasons (FbDialog *self)
{
  GVariant   *resolved = fb_estimator_get_resolved (self->estimator);
  GimpImage  *image    = fb_dialog_get_image (self);
  double      guidance = 0.0;
  const char *reason   = NULL;

  if (resolved != NULL && g_variant_lookup (resolved, "guidance-scale", "d", &guidance) && guidance == 1.0)
    reason = _("Without effect while the guidance is 1.");
  fb_form_set_reason (self->form, "negative-prompt", reason == NULL, reason);

  reason = image == NULL ? _("No image is open to start from.") : NULL;
  fb_form_set_reason (self->form, "strength", reason == NULL, reason);
  if (fb_args_find (self->layout->args, "width") == NULL)
    return;                            /* it works on an image only, and says itself what becomes of it */

  reason = NULL;
  if (image == NULL)
    reason = _("No image is open, so the result becomes a new one.");
  else if (gimp_image_get_base_type (image) == GIMP_INDEXED)
    reason = _("This image is indexed: a new layer is reduced to the colors of its palette.");
  fb_form_set_reason (self->form, "destination", image != NULL, reason);
}

static void
on_estimate (FbDialog *self)
{
  g_autofree char *text     = fb_estimator_get_text (self->estimator);
  GVariant        *resolved = fb_estimator_get_resolved (self->estimator);

  gtk_label_set_text (self->estimate, text);
  gtk_widget_set_visible (GTK_WIDGET (self->warning), fb_estimator_get_error (self->estimator) != NULL);
  fb_form_set_resolved (self->form, resolved);
  update_reasons (self);
  if (self->is_waiting)
    fb_dialog_start_job (self);
}

static void
on_config (FbDialog *self)
{
  g_autofree char *model = NULL;

  fb_dialog_update (self);
  g_object_get (self->config, "model", &model, NULL);
  if (self->job == NULL && (!self->lacks_models || (model != NULL && *model != '\0')))
    fb_dialog_hide_message (self);
}

/* --- the picture shown -------------------------------------------------------------------------------------------------- */

void
fb_dialog_show_chosen (FbDialog *self)
{
  const FbHistoryEntry *entry   = fb_history_get_chosen (self->history);
  g_autofree char      *seed    = NULL;
  g_autofree char      *caption = NULL;

  gtk_widget_set_visible (self->take_seed, entry != NULL);
  if (entry == NULL)
    return;

  seed    = g_strdup_printf ("%" G_GINT64_FORMAT, entry->result->seed);
  /* Translators: size and seed of a picture, "512 × 512, seed 1234" */
  caption = g_strdup_printf (_("%d × %d, seed %s"), entry->result->image->width, entry->result->image->height, seed);
  gtk_label_set_text (self->caption, caption);
  FB_DIALOG_GET_CLASS (self)->show (self, entry->result->image, caption, entry);
  fb_dialog_update (self);
}

static void
show (FbDialog *self, FbImage *picture, const char *text, const FbHistoryEntry *entry)
{
  fb_preview_area_set_image (self->preview, picture, text);
}

static void
take_seed (FbDialog *self)
{
  const FbHistoryEntry *entry = fb_history_get_chosen (self->history);
  g_autofree char      *seed  = entry != NULL ? g_strdup_printf ("%" G_GINT64_FORMAT, entry->result->seed) : NULL;

  if (seed != NULL)
    g_object_set (self->config, "seed", seed, NULL);
}

/* --- what is asked for -------------------------------------------------------------------------------------------------- */

static FbTarget *
measure_for_estimate (gpointer self)
{
  return FB_DIALOG_GET_CLASS (self)->measure (self);
}

/* the target as things are now: the selection and the chosen layers may have changed since the last time */
static FbTarget *
measure (FbDialog *self)
{
  GimpImage                *image     = fb_dialog_get_image (self);
  g_autofree GimpDrawable **drawables = image != NULL ? gimp_image_get_selected_drawables (image) : NULL;
  FbTarget                 *target    = fb_target_new (image, drawables);
  double                    strength  = 1.0;

  if (fb_args_find (self->layout->args, "strength") != NULL)
    g_object_get (self->config, "strength", &strength, NULL);
  if (image != NULL && strength < 1.0)
    fb_target_use_input (target, NULL);            /* what stands against it is said when the job starts */

  return target;
}

/* The request as the form has it; without an image there is nothing to start from, whatever the strength was last time. */
GVariant *
fb_dialog_get_request (FbDialog *self, GError **error)
{
  g_autoptr(GVariant)  request = fb_args_to_variant (self->layout->args, self->config, error);
  g_auto(GVariantDict) dict    = G_VARIANT_DICT_INIT (request);

  if (request == NULL)
    return NULL;
  if (self->wants_another)
    g_variant_dict_insert (&dict, "seed", "x", (gint64) g_random_int ());
  if (fb_dialog_get_image (self) == NULL && fb_args_find (self->layout->args, "width") != NULL)
    g_variant_dict_insert (&dict, "strength", "d", 1.0);

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static FbJob *
job_new (FbDialog *self, GVariant *request, FbTarget *target, GError **error)
{
  int width, height;

  fb_estimator_get_model_size (self->estimator, &width, &height);

  return fb_job_prepare (self->client, self->layout->kind, request, target, width, height, error);
}

/* --- into GIMP ---------------------------------------------------------------------------------------------------------- */

static void
remember (FbDialog *self, GimpImage *image, GPtrArray *layers, gint64 seed)
{
  self->last_image = image;
  for (guint i = 0; i < layers->len; i++)
    {
      g_ptr_array_add (self->layers, g_ptr_array_index (layers, i));
      g_strv_builder_take (self->seeds, g_strdup_printf ("%" G_GINT64_FORMAT, seed));
    }
}

/* @anyway: the user has been told that something changed */
static void
insert (FbDialog *self, FbDestination destination, gboolean anyway)
{
  const FbHistoryEntry *entry   = fb_history_get_chosen (self->history);
  g_autoptr(GPtrArray)  results = g_ptr_array_new ();
  g_autoptr(GPtrArray)  layers  = NULL;
  g_autoptr(GError)     error   = NULL;
  g_autofree char      *name    = NULL;
  g_autofree char      *text    = NULL;
  GimpImage            *image   = NULL;

  if (entry == NULL)
    return;
  if (!anyway && !fb_target_check (entry->target, destination, &error))
    {
      fb_dialog_show_message (self, GTK_MESSAGE_QUESTION, error->message,
                    g_error_matches (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED), TRUE);
      return;
    }

  g_ptr_array_add (results, entry->result);
  image = fb_target_insert (entry->target, destination, results, entry->prompt, TRUE, &layers, &error);
  if (image == NULL)
    {
      fb_dialog_show_message (self, GTK_MESSAGE_ERROR, error->message, FALSE, destination == FB_DESTINATION_NEW_LAYER);
      return;
    }
  gimp_displays_flush ();
  remember (self, image, layers, entry->result->seed);
  fb_dialog_note_layers (self, entry->result, layers);
  name = gimp_item_get_name (g_ptr_array_index (layers, 0));
  text = g_strdup_printf (_("Inserted as the layer “%s”."), name);
  fb_dialog_set_status (self, text);
  if (FB_DIALOG_GET_CLASS (self)->inserted != NULL)
    FB_DIALOG_GET_CLASS (self)->inserted (self);
}

static void
insert_as_set (FbDialog *self)
{
  g_autofree char *destination = fb_dialog_get_text (self, "destination");

  insert (self, fb_destination_from_name (destination), FALSE);
}

/* --- what the user does ------------------------------------------------------------------------------------------------- */

/* Runs before libgimp's own handler, which would end the dialog. */
static void
on_response (GtkDialog *dialog, int response, FbDialog *self)
{
  switch (response)
    {
    case FB_RESPONSE_GENERATE: fb_dialog_generate_job (self, FALSE); break;
    case FB_RESPONSE_ANOTHER:  fb_dialog_generate_job (self, TRUE);  break;
    case GTK_RESPONSE_OK:   insert_as_set (self);   break;
    default:
      return;
    }
  g_signal_stop_emission_by_name (dialog, "response");
}

static void
on_bar_response (GtkInfoBar *bar, int response, FbDialog *self)
{
  fb_dialog_hide_message (self);
  if (response == FB_RESPONSE_ANYWAY)
    insert (self, FB_DESTINATION_NEW_LAYER, TRUE);
  else if (response == FB_RESPONSE_NEW_IMAGE)
    insert (self, FB_DESTINATION_NEW_IMAGE, TRUE);
}

/* Esc: ends a running job before it ends the dialog */
static void
on_close (GtkDialog *dialog, FbDialog *self)
{
  if (self->job == NULL && !self->is_waiting)
    return;
  fb_dialog_cancel (self);
  g_signal_stop_emission_by_name (dialog, "close");
}

static gboolean
on_generate_key (GtkAccelGroup *group, GObject *window, guint key, GdkModifierType modifiers, FbDialog *self)
{
  GtkWidget *button = gtk_dialog_get_widget_for_response (GTK_DIALOG (self), FB_RESPONSE_GENERATE);

  if (gtk_widget_get_sensitive (button))
    fb_dialog_generate_job (self, FALSE);

  return TRUE;
}

/* --- what the engine tells ---------------------------------------------------------------------------------------------- */

static void
on_capabilities (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(FbDialog) self         = data;
  g_autoptr(GError)   error        = NULL;
  g_autoptr(GVariant) capabilities = fb_engine_client_get_capabilities_finish (FB_ENGINE_CLIENT (source), result, &error);

  if (self->form == NULL)              /* the dialog was closed meanwhile */
    return;
  if (capabilities != NULL)
    fb_form_set_samplers (self->form, capabilities);
  else
    fb_dialog_show_error (self, error);
}

static void
on_models (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(FbDialog) self   = data;
  g_autoptr(GVariant) all    = fb_engine_client_list_models_finish (FB_ENGINE_CLIENT (source), result, NULL);
  g_autoptr(GVariant) models = NULL;

  if (self->form == NULL || all == NULL)
    return;
  models = fb_model_list_for_task (all, self->layout->kind);
  fb_form_set_models (self->form, models);
  self->lacks_models = g_variant_n_children (models) == 0;
  if (self->lacks_models)
    fb_dialog_show_message (self, GTK_MESSAGE_WARNING,
                  _("There is no model yet; choose a file with the button beside “Model”."), FALSE, FALSE);
}

/* --- the object ---------------------------------------------------------------------------------------------------------- */

static void
add_keys (FbDialog *self)
{
  GtkAccelGroup *group = gtk_accel_group_new ();
  const guint    keys[] = { GDK_KEY_Return, GDK_KEY_KP_Enter };

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    gtk_accel_group_connect (group, keys[i], GDK_CONTROL_MASK, 0,
                             g_cclosure_new (G_CALLBACK (on_generate_key), self, NULL));
  gtk_window_add_accel_group (GTK_WINDOW (self), group);
  g_object_unref (group);
}

static void
dispose (GObject *object)
{
  FbDialog *self = FB_DIALOG (object);

  self->form = NULL;                   /* answers that come later know by this */
  if (self->job != NULL)
    {
      g_signal_handlers_disconnect_by_data (self->job, self);
      fb_job_cancel (self->job);
    }
  fb_dialog_forget_job (self);
  if (self->config != NULL)
    g_signal_handlers_disconnect_by_data (self->config, self);
  if (self->estimator != NULL)
    g_signal_handlers_disconnect_by_data (self->estimator, self);
  g_clear_object (&self->estimator);
  g_clear_object (&self->client);

  G_OBJECT_CLASS (fb_dialog_parent_class)->dispose (object);
}

static void
finalize (GObject *object)
{
  FbDialog *self = FB_DIALOG (object);

  g_ptr_array_unref (self->layers);
  g_ptr_array_unref (self->job_results);
  g_ptr_array_unref (self->job_layers);
  g_strv_builder_unref (self->seeds);

  G_OBJECT_CLASS (fb_dialog_parent_class)->finalize (object);
}

static void
fb_dialog_class_init (FbDialogClass *class)
{
  G_OBJECT_CLASS (class)->dispose  = dispose;
  G_OBJECT_CLASS (class)->finalize = finalize;

  class->picture_new = fb_dialog_preview_new;
  class->show        = show;
  class->is_ready    = is_ready;
  class->can_insert  = can_insert;
  class->measure     = measure;
  class->job_new     = job_new;
}

static void
fb_dialog_init (FbDialog *self)
{
  self->layers      = g_ptr_array_new ();
  self->job_results = g_ptr_array_new_with_free_func ((GDestroyNotify) fb_result_unref);
  self->job_layers  = fb_dialog_job_layers_new ();
  self->seeds       = g_strv_builder_new ();
}

/* what GIMP was used for meanwhile may have changed what a job takes */
static gboolean
on_focus (FbEstimator *estimator)
{
  fb_estimator_ask (estimator);

  return GDK_EVENT_PROPAGATE;
}

FbDialog *
fb_dialog_new (GType type, GimpProcedure *procedure, GimpProcedureConfig *config, const FbDialogLayout *layout, GimpImage *image)
{
  FbDialog *self;

  gimp_ui_init ("flashbrush");
  /* we look at what fails ourselves; libgimp's own writing of the settings on an image that was closed would open a window */
  gimp_plug_in_set_pdb_error_handler (gimp_get_plug_in (), GIMP_PDB_ERROR_HANDLER_PLUGIN);
  fb_handover_take (layout->kind, layout->args, config);
  self = g_object_new (type, "procedure", procedure, "config", config, "title", _(layout->title), NULL);

  self->config    = config;
  self->layout    = layout;
  self->image_id  = image != NULL ? gimp_image_get_id (image) : 0;
  self->client    = fb_engine_client_new ();
  if (image != NULL)
    self->display_id = fb_display_id ();
  self->estimator = fb_estimator_new (self->client, layout->kind, layout->args, config, measure_for_estimate, self);

  fb_dialog_fill_window (self);
  add_keys (self);
  g_signal_connect (self, "response", G_CALLBACK (on_response), self);
  g_signal_connect (self, "close", G_CALLBACK (on_close), self);
  g_signal_connect (self->bar, "response", G_CALLBACK (on_bar_response), self);
  g_signal_connect_swapped (self->history, "chosen", G_CALLBACK (fb_dialog_show_chosen), self);
  g_signal_connect_swapped (self->take_seed, "clicked", G_CALLBACK (take_seed), self);
  g_signal_connect_swapped (self->cancel, "clicked", G_CALLBACK (fb_dialog_cancel), self);
  g_signal_connect_swapped (config, "notify", G_CALLBACK (on_config), self);
  g_signal_connect_swapped (self->estimator, "changed", G_CALLBACK (on_estimate), self);
  g_signal_connect_swapped (self, "focus-in-event", G_CALLBACK (on_focus), self->estimator);

  fb_engine_client_get_capabilities_async (self->client, NULL, on_capabilities, g_object_ref (self));
  fb_engine_client_list_models_async (self->client, NULL, on_models, g_object_ref (self));
  fb_estimator_ask (self->estimator);
  fb_dialog_update (self);
  update_reasons (self);

  return self;
}

/* layers that the user has deleted since are no results */
static GPtrArray *
layers_left (FbDialog *self)
{
  GPtrArray *layers = g_ptr_array_new ();

  for (guint i = 0; i < self->layers->len; i++)
    if (gimp_item_is_valid (g_ptr_array_index (self->layers, i)))
      g_ptr_array_add (layers, g_ptr_array_index (self->layers, i));

  return layers;
}

GimpValueArray *
fb_dialog_loop (FbDialog *self, GimpProcedure *procedure)
{
  GimpValueArray *values = NULL;
  GimpImage      *result = NULL;

  g_object_ref (self);
  gtk_widget_grab_focus (fb_form_get_widget (self->form, "prompt"));
  gimp_procedure_dialog_run (GIMP_PROCEDURE_DIALOG (self));
  gtk_widget_hide (GTK_WIDGET (self));

  result = self->last_image != NULL && gimp_image_is_valid (self->last_image) ? self->last_image : NULL;
  if (self->has_generated)             /* a success, so that GIMP keeps the settings as the last ones */
    values = fb_procedure_return (procedure, result, layers_left (self), g_strv_builder_end (self->seeds), NULL);
  else
    values = fb_procedure_return (procedure, NULL, NULL, NULL,
                                  g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "closed"));

  gtk_widget_destroy (GTK_WIDGET (self));
  g_object_unref (self);

  return values;
}

GimpValueArray *
fb_dialog_run (GimpProcedure *procedure, GimpProcedureConfig *config, const FbDialogLayout *layout, GimpImage *image)
{
  return fb_dialog_loop (fb_dialog_new (FB_TYPE_DIALOG, procedure, config, layout, image), procedure);
}
