/* ui/dialog-job.c: the dialog's job, from the button to the results. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dialog-private.h"

#include <glib/gi18n-lib.h>

#include "ui/job.h"
#include "ui/record.h"

/* a layer that was inserted while the job that made it was still running */
typedef struct
{
  GimpItem *layer;
  GBytes   *record;
  FbResult *result;
} Inserted;

static void
on_progress (FbJob *job, const FbJobProgress *progress, FbDialog *self)
{
  g_autofree char *text = fb_job_progress_text (progress, self->job_count);
  g_autofree char *time = progress->seconds_left >= 0.0 ? fb_format_seconds (progress->seconds_left) : NULL;
  /* Translators: "Step 2 of 4, 5 s left" */
  g_autofree char *line = time != NULL ? g_strdup_printf (_("%s, %s left"), text, time) : g_strdup (text);

  gtk_progress_bar_set_fraction (self->progress, progress->fraction);
  fb_dialog_set_status (self, line);
  if (progress->preview != NULL)
    {
      gtk_label_set_text (self->caption, text);
      FB_DIALOG_GET_CLASS (self)->show (self, progress->preview, text, NULL);
    }
}

void
fb_dialog_add_result (FbDialog *self, FbResult *result, FbTarget *target, const char *prompt)
{
  self->has_generated = TRUE;
  fb_history_add (self->history, fb_result_ref (result), target, prompt);
}

static void
on_picture (FbJob *job, int index, FbDialog *self)
{
  g_autoptr(GVariant) parameters = fb_job_get_metadata (job, index);
  FbResult           *result     = fb_result_new (fb_job_get_picture (job, index), fb_job_get_seed (job, index), parameters);

  if (self->job_mask != NULL)
    fb_result_set_mask (result, self->job_mask);
  g_ptr_array_add (self->job_results, result);
  fb_dialog_add_result (self, result, fb_target_copy (self->job_target), self->job_prompt);
}

static void
inserted_free (gpointer data)
{
  Inserted *inserted = data;

  g_bytes_unref (inserted->record);
  fb_result_unref (inserted->result);
  g_free (inserted);
}

GPtrArray *
fb_dialog_job_layers_new (void)
{
  return g_ptr_array_new_with_free_func (inserted_free);
}

void
fb_dialog_note_layers (FbDialog *self, FbResult *result, GPtrArray *layers)
{
  if (self->job == NULL || !g_ptr_array_find (self->job_results, result, NULL))
    return;
  for (guint i = 0; i < layers->len; i++)
    {
      GimpItem *layer  = g_ptr_array_index (layers, i);
      GBytes   *record = fb_record_get (layer);

      if (record != NULL)
        {
          Inserted *inserted = g_new (Inserted, 1);

          *inserted = (Inserted) { layer, record, fb_result_ref (result) };
          g_ptr_array_add (self->job_layers, inserted);
        }
    }
}

/* what was not known yet when the pictures came, in the results and in layers made of them */
static void
complete_parameters (FbDialog *self)
{
  for (guint i = 0; i < self->job_results->len; i++)
    {
      g_autoptr(GVariant) parameters = fb_job_get_metadata (self->job, (int) i);
      fb_result_set_parameters (g_ptr_array_index (self->job_results, i), parameters);
    }
  for (guint i = 0; i < self->job_layers->len; i++)
    {
      Inserted *inserted = g_ptr_array_index (self->job_layers, i);

      fb_record_complete (inserted->layer, inserted->record, inserted->result->parameters);
    }
}

/* how many of the LoRAs' layers the model took */
static void
tell_loras (FbDialog *self)
{
  FbResult        *result = self->job_results->len > 0 ? g_ptr_array_index (self->job_results, 0) : NULL;
  gboolean         all_matched;
  g_autofree char *text   = result != NULL && result->parameters != NULL
                            ? fb_job_lora_text (result->parameters, &all_matched) : NULL;

  if (text == NULL || fb_job_get_error (self->job) != NULL)
    return;
  if (all_matched)
    fb_dialog_set_status (self, text);
  else
    fb_dialog_show_message (self, GTK_MESSAGE_WARNING, text, FALSE, FALSE);
}

void
fb_dialog_forget_job (FbDialog *self)
{
  g_clear_object (&self->job);
  g_ptr_array_set_size (self->job_results, 0);
  g_ptr_array_set_size (self->job_layers, 0);
  g_clear_pointer (&self->job_target, fb_target_free);
  g_clear_pointer (&self->job_prompt, g_free);
  g_clear_pointer (&self->job_mask, fb_mask_free);
}

static void
on_finished (FbJob *job, FbDialog *self)
{
  const GError *error = fb_job_get_error (job);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    fb_dialog_set_status (self, _("Cancelled"));
  else
    fb_dialog_set_status (self, error != NULL ? _("Failed") : _("Done"));
  gtk_progress_bar_set_fraction (self->progress, error != NULL ? 0.0 : 1.0);
  if (error != NULL && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    fb_dialog_show_error (self, error);

  g_signal_handlers_disconnect_by_data (job, self);
  complete_parameters (self);
  tell_loras (self);
  fb_dialog_forget_job (self);
  fb_dialog_show_chosen (self);                  /* a cancelled preview makes way for the last result */
  fb_dialog_update (self);
  fb_estimator_ask (self->estimator);  /* the pace is known better now, and memory has changed */
  if (FB_DIALOG_GET_CLASS (self)->finished != NULL)
    FB_DIALOG_GET_CLASS (self)->finished (self);
}

static FbJob *
checked_job (FbDialog *self, GError **error)
{
  g_autoptr(GVariant) request     = fb_dialog_get_request (self, error);
  g_autofree char    *destination = fb_dialog_get_text (self, "destination");

  if (request == NULL || !fb_target_check (self->job_target, fb_destination_from_name (destination), error))
    return NULL;
  if (fb_estimator_get_error (self->estimator) != NULL)
    {
      g_propagate_error (error, g_error_copy (fb_estimator_get_error (self->estimator)));
      return NULL;
    }

  self->job_count = 1;
  g_variant_lookup (request, "count", "i", &self->job_count);

  return FB_DIALOG_GET_CLASS (self)->job_new (self, request, self->job_target, error);
}

void
fb_dialog_start_job (FbDialog *self)
{
  g_autoptr(GError) error = NULL;

  self->is_waiting = FALSE;
  self->job_target = FB_DIALOG_GET_CLASS (self)->measure (self);
  self->job_prompt = fb_dialog_get_text (self, "prompt");
  if (*self->job_prompt == '\0' && self->layout->unnamed != NULL)
    {
      g_free (self->job_prompt);
      self->job_prompt = g_strdup (_(self->layout->unnamed));
    }
  self->job        = checked_job (self, &error);
  if (self->job == NULL)
    {
      fb_dialog_show_error (self, error);
      fb_dialog_set_status (self, "");
      fb_dialog_forget_job (self);
      fb_dialog_update (self);
      return;
    }

  g_signal_connect (self->job, "progress", G_CALLBACK (on_progress), self);
  g_signal_connect (self->job, "picture",  G_CALLBACK (on_picture), self);
  g_signal_connect (self->job, "finished", G_CALLBACK (on_finished), self);
  fb_job_start (self->job);
  fb_dialog_update (self);
  gtk_widget_grab_focus (self->cancel);
}

void
fb_dialog_generate_job (FbDialog *self, gboolean wants_another)
{
  if (self->job != NULL || self->is_waiting)
    return;

  fb_dialog_hide_message (self);
  if (FB_DIALOG_GET_CLASS (self)->started != NULL)
    FB_DIALOG_GET_CLASS (self)->started (self);
  self->is_waiting    = TRUE;
  self->wants_another = wants_another;
  gtk_progress_bar_set_fraction (self->progress, 0.0);
  fb_dialog_set_status (self, _("Starting"));
  fb_dialog_update (self);
  if (fb_estimator_is_current (self->estimator))
    fb_dialog_start_job (self);
  else
    fb_estimator_ask_now (self->estimator);
}

void
fb_dialog_generate (FbDialog *self)
{
  fb_dialog_generate_job (self, FALSE);
}

void
fb_dialog_cancel (FbDialog *self)
{
  if (self->job == NULL)
    {
      self->is_waiting = FALSE;
      fb_dialog_set_status (self, _("Cancelled"));
      fb_dialog_update (self);
      return;
    }
  fb_dialog_set_status (self, _("Cancelling"));
  gtk_widget_set_sensitive (self->cancel, FALSE);
  fb_job_cancel (self->job);
}
