/* plugins/models/distill-page.c: distillation jobs: a new one, and how those stand that there are. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/distill-page.h"

#include <glib/gi18n-lib.h>

#include "plugins/models/distill-new.h"
#include "plugins/models/distill-text.h"
#include "plugins/models/distill-view.h"
#include "plugins/models/model-text.h"
#include "ui/list.h"

#define POLL_MS 1000      /* while a job is at work and the page is seen; a step takes about as long */

#define FB_TYPE_DISTILL_PAGE (fb_distill_page_get_type ())
G_DECLARE_FINAL_TYPE (FbDistillPage, fb_distill_page, FB, DISTILL_PAGE, GtkBox)

struct _FbDistillPage
{
  GtkBox         parent_instance;
  FbPanel       *panel;
  FbJob         *question;         /* a "distill-list" that is out, or NULL */
  GVariant      *jobs;             /* as told last, or NULL */
  guint          poll;             /* source, or 0 */
  char          *chosen;           /* path of the job that is shown; NULL: the form */
  gboolean       knows_presets;
  gboolean       wants_focus;      /* the chosen row takes the keyboard when it comes */

  GtkListBox    *list;
  GtkStack      *stack;
  FbDistillNew  *form;
  FbDistillView *view;
};

G_DEFINE_FINAL_TYPE (FbDistillPage, fb_distill_page, GTK_TYPE_BOX)

/* --- the list: first a row for a new job, then the jobs --------------------------------------------------------------------------- */

static void
set_row (GtkWidget *row, GVariant *job)
{
  g_autofree char *summary = job != NULL ? fb_distill_summary (job) : NULL;

  fb_list_row_set (row, job != NULL ? fb_model_string (job, "name") : _("New job…"), summary, job);
}

static void
show_chosen (FbDistillPage *self)
{
  GtkListBoxRow *row = gtk_list_box_get_selected_row (self->list);
  GVariant      *job = row != NULL ? fb_list_row_get (row) : NULL;

  gtk_stack_set_visible_child (self->stack, job != NULL ? GTK_WIDGET (self->view) : GTK_WIDGET (self->form));
  if (job != NULL)
    fb_distill_view_show (self->view, job);
}

static void
on_selected (GtkListBox *list, GtkListBoxRow *row, FbDistillPage *self)
{
  GVariant *job = row != NULL ? fb_list_row_get (row) : NULL;

  if (row == NULL)
    return;
  g_free (self->chosen);
  self->chosen = job != NULL ? g_strdup (fb_model_string (job, "job")) : NULL;
  show_chosen (self);
}

/* Rows are kept and filled anew, so that the keyboard stays where it is while a job goes on. */
static void
fill (FbDistillPage *self)
{
  gsize          n      = g_variant_n_children (self->jobs);
  GtkListBoxRow *chosen = gtk_list_box_get_row_at_index (self->list, 0);
  GtkListBoxRow *row;

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) job = g_variant_get_child_value (self->jobs, i);

      row = gtk_list_box_get_row_at_index (self->list, 1 + (int) i);
      if (row == NULL)
        {
          row = GTK_LIST_BOX_ROW (fb_list_row_new ());
          gtk_container_add (GTK_CONTAINER (self->list), GTK_WIDGET (row));
        }
      set_row (GTK_WIDGET (row), job);
      if (g_strcmp0 (self->chosen, fb_model_string (job, "job")) == 0)
        chosen = row;
    }
  while ((row = gtk_list_box_get_row_at_index (self->list, 1 + (int) n)) != NULL)
    gtk_widget_destroy (GTK_WIDGET (row));
  gtk_list_box_select_row (self->list, chosen);
  if (self->wants_focus && fb_list_row_get (chosen) != NULL)
    {
      self->wants_focus = FALSE;
      gtk_widget_grab_focus (GTK_WIDGET (chosen));
    }
  show_chosen (self);
}

/* --- asking ---------------------------------------------------------------------------------------------------------------------- */

static void ask (FbDistillPage *self);

static gboolean
on_poll (gpointer data)
{
  FbDistillPage *self = data;

  self->poll = 0;
  ask (self);

  return G_SOURCE_REMOVE;
}

static gboolean
has_active (FbDistillPage *self)
{
  for (gsize i = 0; self->jobs != NULL && i < g_variant_n_children (self->jobs); i++)
    {
      g_autoptr(GVariant) job = g_variant_get_child_value (self->jobs, i);

      if (fb_distill_is_active (job))
        return TRUE;
    }

  return FALSE;
}

static void
on_answer (FbJob *question, FbDistillPage *self)
{
  g_autoptr(GVariant) result = fb_job_get_error (question) == NULL ? fb_job_get_result (question) : NULL;
  GVariant           *jobs   = result != NULL ? g_variant_lookup_value (result, "jobs", G_VARIANT_TYPE ("aa{sv}")) : NULL;

  g_signal_handlers_disconnect_by_data (question, self);
  g_clear_object (&self->question);
  if (jobs != NULL)
    {
      g_clear_pointer (&self->jobs, g_variant_unref);
      self->jobs = jobs;
      fill (self);
    }
  if (self->poll == 0 && has_active (self) && gtk_widget_get_mapped (GTK_WIDGET (self)))
    self->poll = g_timeout_add (POLL_MS, on_poll, self);
}

static void
ask (FbDistillPage *self)
{
  if (self->question != NULL)
    return;
  self->question = fb_job_new (fb_panel_get_client (self->panel), "distill-list", g_variant_new_parsed ("@a{sv} {}"));
  g_signal_connect (self->question, "finished", G_CALLBACK (on_answer), self);
  fb_job_start (self->question);
}

static void
on_presets (FbJob *question, FbDistillPage *self)
{
  g_autoptr(GVariant) result  = fb_job_get_error (question) == NULL ? fb_job_get_result (question) : NULL;
  g_autoptr(GVariant) presets = result != NULL ? g_variant_lookup_value (result, "presets", G_VARIANT_TYPE ("aa{sv}")) : NULL;

  if (presets != NULL && self->form != NULL)
    fb_distill_new_set_presets (self->form, presets);
}

static void
ask_presets (FbDistillPage *self)
{
  g_autoptr(FbJob) question = fb_job_new (fb_panel_get_client (self->panel), "distill-presets", g_variant_new_parsed ("@a{sv} {}"));

  self->knows_presets = TRUE;
  g_signal_connect_object (question, "finished", G_CALLBACK (on_presets), self, 0);
  fb_job_start (question);
}

/* the page is there only where the engine can distil */
static void
on_listed (FbPanel *panel, GVariant *models, GVariant *loaded, GVariant *capabilities, FbDistillPage *self)
{
  g_autofree const char **kinds = NULL;

  g_variant_lookup (capabilities, "kinds", "^a&s", &kinds);
  if (kinds == NULL || !g_strv_contains (kinds, "distill-start"))
    return;
  gtk_widget_show (GTK_WIDGET (self));
  fb_distill_new_set_models (self->form, models);
  if (!self->knows_presets)
    ask_presets (self);
  ask (self);
}

static void
on_started (FbDistillNew *form, GVariant *job, FbDistillPage *self)
{
  g_free (self->chosen);
  self->chosen      = g_strdup (fb_model_string (job, "job"));
  self->wants_focus = TRUE;              /* the form goes away under it */
  ask (self);
}

/* --- the object ----------------------------------------------------------------------------------------------------------------- */

static GtkWidget *
left_new (FbDistillPage *self)
{
  GtkWidget *box    = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);
  GtkWidget *label  = gtk_label_new_with_mnemonic (_("_Jobs"));
  GtkWidget *scroll = gtk_scrolled_window_new (NULL, NULL);
  GtkWidget *first  = fb_list_row_new ();

  self->list = GTK_LIST_BOX (fb_list_new (GTK_LABEL (label), _("Jobs")));
  gtk_label_set_xalign (GTK_LABEL (label), 0.0);
  gtk_scrolled_window_set_shadow_type (GTK_SCROLLED_WINDOW (scroll), GTK_SHADOW_IN);
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (scroll), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
  set_row (first, NULL);
  gtk_container_add (GTK_CONTAINER (self->list), first);
  gtk_container_add (GTK_CONTAINER (scroll), GTK_WIDGET (self->list));
  gtk_box_pack_start (GTK_BOX (box), label, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), scroll, TRUE, TRUE, 0);
  gtk_widget_set_size_request (box, 260, -1);
  g_signal_connect (self->list, "row-selected", G_CALLBACK (on_selected), self);

  return box;
}

static void
dispose (GObject *object)
{
  FbDistillPage *self = FB_DISTILL_PAGE (object);

  if (self->question != NULL)
    {
      g_signal_handlers_disconnect_by_data (self->question, self);
      fb_job_cancel (self->question);
      g_clear_object (&self->question);
    }
  g_clear_handle_id (&self->poll, g_source_remove);
  g_clear_pointer (&self->jobs, g_variant_unref);
  g_clear_pointer (&self->chosen, g_free);
  self->form = NULL;

  G_OBJECT_CLASS (fb_distill_page_parent_class)->dispose (object);
}

static void
fb_distill_page_class_init (FbDistillPageClass *class)
{
  G_OBJECT_CLASS (class)->dispose = dispose;
}

static void
fb_distill_page_init (FbDistillPage *self)
{
  gtk_box_set_spacing (GTK_BOX (self), 18);
}

GtkWidget *
fb_distill_page_new (FbPanel *panel)
{
  FbDistillPage *self = g_object_new (FB_TYPE_DISTILL_PAGE, NULL);

  self->panel = panel;
  self->stack = GTK_STACK (gtk_stack_new ());
  self->form  = FB_DISTILL_NEW (fb_distill_new_new (panel));
  self->view  = FB_DISTILL_VIEW (fb_distill_view_new (panel));
  gtk_container_add (GTK_CONTAINER (self->stack), GTK_WIDGET (self->form));
  gtk_container_add (GTK_CONTAINER (self->stack), GTK_WIDGET (self->view));
  gtk_box_pack_start (GTK_BOX (self), left_new (self), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), GTK_WIDGET (self->stack), TRUE, TRUE, 0);
  gtk_widget_show_all (GTK_WIDGET (self));
  gtk_widget_set_no_show_all (GTK_WIDGET (self), TRUE);
  gtk_widget_hide (GTK_WIDGET (self));

  g_signal_connect (self->form, "started", G_CALLBACK (on_started), self);
  g_signal_connect_swapped (self, "map", G_CALLBACK (ask), self);
  g_signal_connect_object (panel, "listed", G_CALLBACK (on_listed), self, 0);
  gtk_list_box_select_row (self->list, gtk_list_box_get_row_at_index (self->list, 0));

  return GTK_WIDGET (self);
}
