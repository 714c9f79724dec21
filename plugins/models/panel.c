/* plugins/models/panel.c: the window: pages, one message, one job at a time, memory. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/panel.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>
#include <libgimp/gimpui.h>

#include "plugins/models/distill-page.h"
#include "plugins/models/model-text.h"
#include "plugins/models/models-page.h"
#include "ui/handover.h"
#include "ui/message-bar.h"
#include "ui/one-window.h"

#define PULSE_MS 100

/* a job that was asked for */
typedef struct
{
  char        *kind;
  GVariant    *request;
  char        *what;
  FbPanelDone  done;
  gpointer     user_data;
} Errand;

struct _FbPanel
{
  GtkWindow        parent_instance;
  FbEngineClient  *client;
  gboolean         is_closed;
  GQueue           errands;          /* of Errand, the first is being done */
  FbJob           *job;
  GVariant        *models;           /* as told last; NULL before */
  gboolean         is_asking;
  gboolean         ask_again;        /* something changed since the question went out */

  FbMessageBar    *bar;
  GtkLabel        *device;
  GtkLabel        *memory;
  GtkProgressBar  *progress;
  guint            pulse;            /* source, or 0: moves the bar while it is not known how far a job is */
  GtkWidget       *cancel;
};

enum { SIGNAL_LISTED, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (FbPanel, fb_panel, GTK_TYPE_WINDOW)

FbEngineClient *
fb_panel_get_client (FbPanel *self)
{
  return self->client;
}

void
fb_panel_say (FbPanel *self, GtkMessageType type, const char *text)
{
  fb_message_bar_show (self->bar, type, text);
}

/* A screen reader knows the bar by its name only. */
void
fb_panel_set_status (FbPanel *self, const char *text)
{
  gtk_progress_bar_set_text (self->progress, text);
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (self->progress)), *text != '\0' ? text : _("Progress"));
}

/* --- what is there -------------------------------------------------------------------------------------------------------- */

/* an engine that cannot open its device names none */
static void
show_device (FbPanel *self, GVariant *capabilities)
{
  const char      *device = "";
  g_autofree char *text   = NULL;

  g_variant_lookup (capabilities, "device", "&s", &device);
  gtk_widget_set_visible (GTK_WIDGET (self->device), *device != '\0');
  if (g_str_equal (device, "cpu"))
    device = _("processor (CPU)");
  g_variant_lookup (capabilities, "card", "&s", &device);
  /* Translators: %s is the name of a graphics card, or “processor (CPU)” */
  text = g_strdup_printf (_("Runs on: %s"), device);
  gtk_label_set_text (self->device, text);
}

static void
show_memory (FbPanel *self, GVariant *loaded, GVariant *capabilities)
{
  guint64          total  = 0, budget = 0, available = 0;
  g_autofree char *used   = NULL, *kept = NULL, *rest = NULL, *text = NULL;

  for (gsize i = 0; i < g_variant_n_children (loaded); i++)
    {
      g_autoptr(GVariant) model = g_variant_get_child_value (loaded, i);
      guint64             bytes = 0;

      g_variant_lookup (model, "bytes", "t", &bytes);
      total += bytes;
    }
  g_variant_lookup (capabilities, "memory-budget", "t", &budget);
  g_variant_lookup (capabilities, "available-bytes", "t", &available);
  used = g_format_size (total);
  kept = g_format_size (budget);
  rest = g_format_size (available);
  /* Translators: three amounts of memory, "1.2 GB" for example */
  text = g_strdup_printf (_("Models in memory: %s of %s that they may keep; %s are free"), used, kept, rest);
  gtk_label_set_text (self->memory, text);
}

/* a question has come back, or failed: the last one after changes is asked again */
static void
end_asking (FbPanel *self, const GError *error)
{
  if (error != NULL && !self->is_closed)
    fb_panel_say (self, GTK_MESSAGE_ERROR, error->message);
  self->is_asking = FALSE;
  if (self->ask_again && !self->is_closed)
    fb_panel_refresh (self);
}

typedef struct
{
  FbPanel  *panel;
  GVariant *loaded;
} Answers;

static void
on_capabilities (GObject *source, GAsyncResult *result, gpointer data)
{
  Answers             *answers      = data;
  g_autoptr(FbPanel)   self         = answers->panel;
  g_autoptr(GVariant)  loaded       = answers->loaded;
  g_autoptr(GError)    error        = NULL;
  g_autoptr(GVariant)  capabilities = fb_engine_client_get_capabilities_finish (FB_ENGINE_CLIENT (source), result, &error);

  g_free (answers);
  if (capabilities != NULL && !self->is_closed)
    {
      show_device (self, capabilities);
      show_memory (self, loaded, capabilities);
      g_signal_emit (self, signals[SIGNAL_LISTED], 0, self->models, loaded, capabilities);
    }
  end_asking (self, error);
}

static void
on_loaded (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(FbPanel)   self    = data;
  g_autoptr(GError)    error   = NULL;
  GVariant            *loaded  = fb_engine_client_list_loaded_finish (FB_ENGINE_CLIENT (source), result, &error);
  Answers             *answers = NULL;

  if (loaded == NULL)
    {
      end_asking (self, error);
      return;
    }
  answers  = g_new (Answers, 1);
  *answers = (Answers) { g_steal_pointer (&self), loaded };
  fb_engine_client_get_capabilities_async (answers->panel->client, NULL, on_capabilities, answers);
}

static void
on_models (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(FbPanel)   self   = data;
  g_autoptr(GError)    error  = NULL;
  GVariant            *models = fb_engine_client_list_models_finish (FB_ENGINE_CLIENT (source), result, &error);

  if (models == NULL)
    {
      end_asking (self, error);
      return;
    }
  g_clear_pointer (&self->models, g_variant_unref);
  self->models = models;
  fb_engine_client_list_loaded_async (self->client, NULL, on_loaded, g_object_ref (self));
}

void
fb_panel_refresh (FbPanel *self)
{
  self->ask_again = self->is_asking;
  if (self->is_asking)
    return;
  self->is_asking = TRUE;
  fb_engine_client_list_models_async (self->client, NULL, on_models, g_object_ref (self));
}

/* --- one job at a time ------------------------------------------------------------------------------------------------------ */

static void
errand_free (Errand *errand)
{
  g_free (errand->kind);
  g_free (errand->what);
  g_variant_unref (errand->request);
  g_free (errand);
}

static void begin_errand (FbPanel *self);

static gboolean
on_pulse (gpointer self)
{
  gtk_progress_bar_pulse (FB_PANEL (self)->progress);

  return G_SOURCE_CONTINUE;
}

static void
set_fraction (FbPanel *self, double fraction)
{
  g_clear_handle_id (&self->pulse, g_source_remove);
  gtk_progress_bar_set_fraction (self->progress, fraction);
}

static void
on_progress (FbJob *job, const FbJobProgress *progress, FbPanel *self)
{
  Errand          *errand = g_queue_peek_head (&self->errands);
  /* Translators: what is done and how far it is, "Loading “dreams”: Waiting for another job" */
  g_autofree char *text   = g_strdup_printf (_("%s: %s"), errand->what, fb_job_stage_label (progress->stage));

  fb_panel_set_status (self, text);
  if (progress->fraction > 0.0)
    set_fraction (self, progress->fraction);
}

static void
on_finished (FbJob *job, FbPanel *self)
{
  Errand              *errand  = g_queue_pop_head (&self->errands);
  const GError        *error   = fb_job_get_error (job);
  g_autoptr(GVariant)  result  = error == NULL ? fb_job_get_result (job) : NULL;
  g_autofree char     *outcome = NULL;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    outcome = g_strdup_printf (_("%s: cancelled"), errand->what);
  else if (error != NULL)
    {
      outcome = g_strdup_printf (_("%s: failed"), errand->what);
      fb_panel_say (self, GTK_MESSAGE_ERROR, error->message);
    }
  else
    outcome = g_strdup_printf (_("%s: done"), errand->what);

  set_fraction (self, error != NULL ? 0.0 : 1.0);
  fb_panel_set_status (self, outcome);
  g_signal_handlers_disconnect_by_data (job, self);
  g_clear_object (&self->job);
  if (errand->done != NULL)
    errand->done (result, errand->user_data);
  errand_free (errand);
  fb_panel_refresh (self);
  begin_errand (self);
}

static void
begin_errand (FbPanel *self)
{
  Errand *errand = g_queue_peek_head (&self->errands);

  gtk_widget_set_sensitive (self->cancel, errand != NULL);
  if (errand == NULL || self->job != NULL)
    return;
  self->job = fb_job_new (self->client, errand->kind, errand->request);
  set_fraction (self, 0.0);
  self->pulse = g_timeout_add (PULSE_MS, on_pulse, self);
  fb_panel_set_status (self, errand->what);
  g_signal_connect (self->job, "progress", G_CALLBACK (on_progress), self);
  g_signal_connect (self->job, "finished", G_CALLBACK (on_finished), self);
  fb_job_start (self->job);
}

void
fb_panel_do (FbPanel *self, const char *kind, GVariant *request, const char *what, FbPanelDone done, gpointer user_data)
{
  Errand *errand = g_new (Errand, 1);

  *errand = (Errand) { g_strdup (kind), g_variant_ref_sink (request), g_strdup (what), done, user_data };
  g_queue_push_tail (&self->errands, errand);
  fb_message_bar_hide (self->bar);
  begin_errand (self);
}

static void
on_confirmed (GtkDialog *dialog, int response, FbPanel *self)
{
  Errand *asked = g_object_get_data (G_OBJECT (dialog), "errand");

  if (response == GTK_RESPONSE_ACCEPT)
    fb_panel_do (self, asked->kind, asked->request, asked->what, NULL, NULL);
  gtk_widget_destroy (GTK_WIDGET (dialog));
}

void
fb_panel_confirm (FbPanel *self, const char *question, const char *consequence, const char *accept,
                  const char *kind, GVariant *request, const char *what)
{
  GtkWidget *dialog = gtk_message_dialog_new (GTK_WINDOW (self), GTK_DIALOG_MODAL | GTK_DIALOG_DESTROY_WITH_PARENT, GTK_MESSAGE_QUESTION,
                                              GTK_BUTTONS_NONE, "%s", question);
  Errand    *asked  = g_new (Errand, 1);

  *asked = (Errand) { g_strdup (kind), g_variant_ref_sink (request), g_strdup (what) };
  gtk_message_dialog_format_secondary_text (GTK_MESSAGE_DIALOG (dialog), "%s", consequence);
  gtk_dialog_add_buttons (GTK_DIALOG (dialog), _("_Keep"), GTK_RESPONSE_CANCEL, accept, GTK_RESPONSE_ACCEPT, NULL);
  gtk_dialog_set_default_response (GTK_DIALOG (dialog), GTK_RESPONSE_CANCEL);
  g_object_set_data_full (G_OBJECT (dialog), "errand", asked, (GDestroyNotify) errand_free);
  g_signal_connect_object (dialog, "response", G_CALLBACK (on_confirmed), self, 0);
  gtk_widget_show (dialog);
}

static void
cancel (FbPanel *self)
{
  if (self->job != NULL)
    fb_job_cancel (self->job);
}

/* --- use ---------------------------------------------------------------------------------------------------------------------- */

const char *
fb_panel_task_of (FbPanel *self, const char *model)
{
  for (gsize i = 0; self->models != NULL && i < g_variant_n_children (self->models); i++)
    {
      g_autoptr(GVariant)     row   = g_variant_get_child_value (self->models, i);
      g_autofree const char **tasks = NULL;

      if ((g_str_equal (fb_model_string (row, "name"), model) || g_str_equal (fb_model_string (row, "path"), model)) &&
          g_variant_lookup (row, "tasks", "^a&s", &tasks) && g_strv_contains (tasks, "inpaint") && !g_strv_contains (tasks, "generate"))
        return "inpaint";
    }

  return "generate";
}

/* Calls of procedures block, and this one lasts as long as its dialog is open: a window that does not answer would be worse than none. */
static void
open_generate (FbPanel *self)
{
  GimpProcedure       *procedure = gimp_pdb_lookup_procedure (gimp_get_pdb (), "plug-in-flashbrush-generate");
  GimpProcedureConfig *config    = procedure != NULL ? gimp_procedure_create_config (procedure) : NULL;
  GimpValueArray      *values    = NULL;

  if (config == NULL)
    {
      fb_panel_say (self, GTK_MESSAGE_ERROR, _("The plug-in for “Generate…” is not installed. Install Flashbrush again."));
      return;
    }
  gtk_widget_hide (GTK_WIDGET (self));
  while (gtk_events_pending ())
    gtk_main_iteration ();
  g_object_set (config, "run-mode", GIMP_RUN_INTERACTIVE, NULL);
  values = gimp_procedure_run_config (procedure, config);
  gimp_value_array_unref (values);
  g_object_unref (config);
  gtk_window_present (GTK_WINDOW (self));
  fb_panel_refresh (self);
}

void
fb_panel_use (FbPanel *self, const char *task, GVariant *settings)
{
  fb_handover_put (task, settings);
  if (g_str_equal (task, "generate"))
    open_generate (self);
  else
    fb_panel_say (self, GTK_MESSAGE_INFO, _("It paints into pictures: open one and choose Filters ▸ Flashbrush ▸ Inpaint…, which begins with it."));
}

/* --- the window ---------------------------------------------------------------------------------------------------------------- */

static GtkWidget *
foot_new (FbPanel *self)
{
  GtkWidget *box   = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
  GtkWidget *left  = gtk_box_new (GTK_ORIENTATION_VERTICAL, 4);
  GtkWidget *close = gtk_button_new_with_mnemonic (_("_Close"));

  self->device   = GTK_LABEL (gtk_label_new (NULL));
  self->memory   = GTK_LABEL (gtk_label_new (_("Asking the engine…")));
  self->progress = GTK_PROGRESS_BAR (gtk_progress_bar_new ());
  self->cancel   = gtk_button_new_with_mnemonic (_("Ca_ncel"));
  gtk_label_set_xalign (self->device, 0.0);
  gtk_label_set_ellipsize (self->device, PANGO_ELLIPSIZE_END);
  gtk_widget_set_no_show_all (GTK_WIDGET (self->device), TRUE);
  gtk_label_set_xalign (self->memory, 0.0);
  gtk_label_set_ellipsize (self->memory, PANGO_ELLIPSIZE_END);
  gtk_progress_bar_set_show_text (self->progress, TRUE);
  gtk_progress_bar_set_ellipsize (self->progress, PANGO_ELLIPSIZE_END);
  gtk_widget_set_tooltip_text (self->cancel, _("End what is being done"));
  gtk_widget_set_sensitive (self->cancel, FALSE);
  gtk_widget_set_valign (self->cancel, GTK_ALIGN_CENTER);
  gtk_widget_set_valign (close, GTK_ALIGN_CENTER);
  fb_panel_set_status (self, "");
  g_signal_connect_swapped (self->cancel, "clicked", G_CALLBACK (cancel), self);
  g_signal_connect_swapped (close, "clicked", G_CALLBACK (gtk_window_close), self);

  gtk_box_pack_start (GTK_BOX (left), GTK_WIDGET (self->device), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (left), GTK_WIDGET (self->memory), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (left), GTK_WIDGET (self->progress), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), left, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (box), self->cancel, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), close, FALSE, FALSE, 0);

  return box;
}

static void
add_page (GtkNotebook *notebook, GtkWidget *page, const char *label)
{
  gtk_container_set_border_width (GTK_CONTAINER (page), 12);
  gtk_notebook_append_page (notebook, page, gtk_label_new_with_mnemonic (label));      /* whose key brings the page; in lists, Ctrl+Page Down does not */
}

static gboolean
on_escape (GtkAccelGroup *group, GObject *window, guint key, GdkModifierType modifiers, FbPanel *self)
{
  if (self->job != NULL)
    cancel (self);
  else
    gtk_window_close (GTK_WINDOW (self));

  return TRUE;
}

/* other windows change things, too */
static gboolean
on_focus (FbPanel *self, GdkEvent *event, gpointer unused)
{
  fb_panel_refresh (self);

  return FALSE;
}

static void
add_keys (FbPanel *self)
{
  g_autoptr(GtkAccelGroup) group = gtk_accel_group_new ();

  gtk_accel_group_connect (group, GDK_KEY_Escape, 0, 0, g_cclosure_new (G_CALLBACK (on_escape), self, NULL));
  gtk_window_add_accel_group (GTK_WINDOW (self), group);
}

static void
dispose (GObject *object)
{
  FbPanel *self = FB_PANEL (object);

  self->is_closed = TRUE;
  g_clear_handle_id (&self->pulse, g_source_remove);
  if (self->job != NULL)
    {
      g_signal_handlers_disconnect_by_data (self->job, self);
      fb_job_cancel (self->job);
      g_clear_object (&self->job);
    }
  g_queue_clear_full (&self->errands, (GDestroyNotify) errand_free);
  g_clear_pointer (&self->models, g_variant_unref);
  g_clear_object (&self->client);

  G_OBJECT_CLASS (fb_panel_parent_class)->dispose (object);
}

static void
fb_panel_class_init (FbPanelClass *class)
{
  G_OBJECT_CLASS (class)->dispose = dispose;
  signals[SIGNAL_LISTED] = g_signal_new ("listed", FB_TYPE_PANEL, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 3,
                                         G_TYPE_VARIANT, G_TYPE_VARIANT, G_TYPE_VARIANT);
}

static void
fb_panel_init (FbPanel *self)
{
  GtkWidget *box      = gtk_box_new (GTK_ORIENTATION_VERTICAL, 8);
  GtkWidget *notebook = gtk_notebook_new ();

  self->client = fb_engine_client_new ();
  self->bar    = FB_MESSAGE_BAR (fb_message_bar_new ());
  g_queue_init (&self->errands);
  gtk_container_set_border_width (GTK_CONTAINER (box), 12);
  gtk_box_pack_start (GTK_BOX (box), GTK_WIDGET (self->bar), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), notebook, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (box), foot_new (self), FALSE, FALSE, 0);
  gtk_container_add (GTK_CONTAINER (self), box);
  add_page (GTK_NOTEBOOK (notebook), fb_models_page_new (self), _("_Models"));
  add_page (GTK_NOTEBOOK (notebook), fb_distill_page_new (self), _("Distill_ation"));
  gtk_widget_show_all (box);

  gtk_window_set_title (GTK_WINDOW (self), _("Models and Distillation"));
  gtk_window_set_role (GTK_WINDOW (self), "flashbrush-models");
  gtk_window_set_default_size (GTK_WINDOW (self), 960, 620);
  add_keys (self);
  g_signal_connect (self, "focus-in-event", G_CALLBACK (on_focus), NULL);
}

gboolean
fb_panel_run (GError **error)
{
  g_autoptr(GMainLoop)  loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(FbPanel)    self = NULL;
  gboolean              show;
  GError               *late = NULL;

  gimp_ui_init ("flashbrush");
  gimp_plug_in_set_pdb_error_handler (gimp_get_plug_in (), GIMP_PDB_ERROR_HANDLER_PLUGIN);
  self = g_object_ref_sink (g_object_new (FB_TYPE_PANEL, "type", GTK_WINDOW_TOPLEVEL, NULL));
  show = fb_one_window_claim (GTK_WINDOW (self), "org.flashbrush.Models", gimp_user_time (), &late);
  if (show)
    {
      g_signal_connect_swapped (self, "destroy", G_CALLBACK (g_main_loop_quit), loop);
      fb_panel_refresh (self);
      gtk_window_present (GTK_WINDOW (self));
      g_main_loop_run (loop);
    }
  else
    gtk_widget_destroy (GTK_WIDGET (self));
  if (late != NULL)
    g_propagate_error (error, late);

  return late == NULL;
}
