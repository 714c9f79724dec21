/* plugins/models/distill-view.c: how one distillation job stands. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/distill-view.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

#include "plugins/models/distill-text.h"
#include "plugins/models/model-text.h"
#include "plugins/models/parts.h"
#include "ui/plot.h"
#include "ui/preview.h"

/* the curves, in the order of the engine's rows */
typedef enum { DISTILLATION, MATCHING, ADVERSARIAL, DISCRIMINATOR, N_LOSSES } Loss;

static const char * const loss_labels[N_LOSSES] =
{
  [DISTILLATION]  = N_("Distance to the teacher"),
  [MATCHING]      = N_("Distribution matching"),
  [ADVERSARIAL]   = N_("Adversarial"),
  [DISCRIMINATOR] = N_("Discriminator"),
};

struct _FbDistillView
{
  GtkBox          parent_instance;
  FbPanel        *panel;
  GVariant       *job;             /* as listed last, or NULL */
  int             last_step;       /* of the curves */
  int             last_sample;     /* step of the sample shown, or -1 */
  FbJob          *watch;           /* a question that is out, or NULL */

  GtkLabel       *title, *state, *cost, *problem;
  GtkProgressBar *progress;
  FbPlot         *plots[N_LOSSES];
  FbPreviewArea  *sample;
  GtkLabel       *legend;          /* what the sample shows, from left to right */
  GtkWidget      *pause, *stop, *use, *remove;
};

G_DEFINE_FINAL_TYPE (FbDistillView, fb_distill_view, GTK_TYPE_BOX)

/* --- curves and samples ----------------------------------------------------------------------------------------------------------- */

static void
add_rows (FbDistillView *self, GVariant *result)
{
  g_autoptr(GVariant) rows = g_variant_lookup_value (result, "rows", G_VARIANT_TYPE ("a(idddd)"));
  GVariantIter        iter;
  int                 step;
  double              values[N_LOSSES];

  if (rows == NULL)
    return;
  g_variant_iter_init (&iter, rows);
  while (g_variant_iter_next (&iter, "(idddd)", &step, &values[0], &values[1], &values[2], &values[3]))
    if (step > self->last_step)
      {
        self->last_step = step;
        for (int loss = 0; loss < N_LOSSES; loss++)
          {
            fb_plot_add (self->plots[loss], step, values[loss]);
            if (values[loss] != 0.0)
              gtk_widget_show (GTK_WIDGET (self->plots[loss]));
          }
      }
}

static void
on_watched (FbJob *job, FbDistillView *self)
{
  g_autoptr(GVariant) result = fb_job_get_error (job) == NULL ? fb_job_get_result (job) : NULL;

  g_signal_handlers_disconnect_by_data (job, self);
  if (result != NULL)
    add_rows (self, result);
  if (result != NULL && fb_job_get_n_pictures (job) > 0)
    {
      g_autofree char *text = NULL;

      self->last_sample = (int) fb_job_get_seed (job, 0);
      text = g_strdup_printf (_("Sample after %d iterations: the teacher's pictures first, then the student's in 1, 2 and 4 steps"), self->last_sample);
      fb_preview_area_set_image (self->sample, fb_job_get_picture (job, 0), text);
      gtk_label_set_text (self->legend, text);
      gtk_widget_show (GTK_WIDGET (self->legend));
    }
  g_clear_object (&self->watch);
}

/* what is new of the job shown; one question at a time */
static void
watch (FbDistillView *self)
{
  if (self->watch != NULL)
    return;
  self->watch = fb_job_new (fb_panel_get_client (self->panel), "distill-watch",
                            g_variant_new_parsed ("{'job': <%s>, 'from': <%i>, 'sample': <%i>}", fb_model_string (self->job, "job"),
                                                  self->last_step, self->last_sample));
  g_signal_connect (self->watch, "finished", G_CALLBACK (on_watched), self);
  fb_job_start (self->watch);
}

static void
forget_watch (FbDistillView *self)
{
  if (self->watch == NULL)
    return;
  g_signal_handlers_disconnect_by_data (self->watch, self);
  fb_job_cancel (self->watch);
  g_clear_object (&self->watch);
}

static void
begin_anew (FbDistillView *self)
{
  forget_watch (self);
  self->last_step   = 0;
  self->last_sample = -1;
  for (int loss = 0; loss < N_LOSSES; loss++)
    {
      fb_plot_clear (self->plots[loss]);
      gtk_widget_set_visible (GTK_WIDGET (self->plots[loss]), loss == DISTILLATION);
    }
  fb_preview_area_set_image (self->sample, NULL, NULL);
  gtk_widget_hide (GTK_WIDGET (self->legend));
}

/* One that was removed and made again has the same file, and nothing else in common. */
static gboolean
is_shown (FbDistillView *self, GVariant *job)
{
  gint64 shown = 0, created = 0;

  if (self->job == NULL)
    return FALSE;
  g_variant_lookup (self->job, "created", "x", &shown);
  g_variant_lookup (job, "created", "x", &created);

  return shown == created && g_str_equal (fb_model_string (self->job, "job"), fb_model_string (job, "job"));
}

void
fb_distill_view_show (FbDistillView *self, GVariant *job)
{
  g_autofree char *summary = fb_distill_summary (job);
  g_autofree char *cost    = fb_distill_cost (job);
  const char      *problem = fb_model_string (job, "problem");
  gboolean         active  = fb_distill_is_active (job);
  int              step    = 0, n_steps = 0;

  if (!is_shown (self, job))
    begin_anew (self);
  g_variant_ref (job);
  g_clear_pointer (&self->job, g_variant_unref);
  self->job = job;
  g_variant_lookup (job, "step", "i", &step);
  g_variant_lookup (job, "n-steps", "i", &n_steps);

  gtk_label_set_text (self->title, fb_model_string (job, "name"));
  gtk_label_set_text (self->state, summary);
  gtk_label_set_text (self->cost, cost);
  gtk_widget_set_visible (GTK_WIDGET (self->cost), *cost != '\0');
  gtk_label_set_text (self->problem, problem);
  gtk_widget_set_visible (GTK_WIDGET (self->problem), *problem != '\0');
  gtk_progress_bar_set_fraction (self->progress, n_steps > 0 ? CLAMP ((double) step / n_steps, 0.0, 1.0) : 0.0);
  for (int loss = 0; loss < N_LOSSES; loss++)
    fb_plot_set_range (self->plots[loss], fb_distill_is_in (job, "preparing") ? 0 : n_steps);

  gtk_button_set_label (GTK_BUTTON (self->pause), active ? _("_Pause") : _("Res_ume"));
  gtk_widget_set_sensitive (self->pause, !fb_distill_is_in (job, "done"));
  gtk_widget_set_sensitive (self->stop, active || fb_distill_is_in (job, "paused") || (fb_distill_is_in (job, "failed") && step > 0));
  gtk_widget_set_sensitive (self->remove, !active);
  gtk_button_set_label (GTK_BUTTON (self->use), fb_model_use_label (fb_panel_task_of (self->panel, fb_model_string (job, "teacher"))));
  gtk_widget_set_sensitive (self->use, *fb_model_string (job, "output") != '\0');
  watch (self);
}

/* --- what can be done ------------------------------------------------------------------------------------------------------------- */

static void
do_it (FbDistillView *self, const char *kind, const char *format)
{
  g_autofree char *what = g_strdup_printf (format, fb_model_string (self->job, "name"));

  fb_panel_do (self->panel, kind, g_variant_new_parsed ("{'job': <%s>}", fb_model_string (self->job, "job")), what, NULL, NULL);
}

static void
on_pause (FbDistillView *self)
{
  if (fb_distill_is_active (self->job))
    do_it (self, "distill-pause", _("Pausing “%s”"));
  else
    do_it (self, "distill-resume", _("Resuming “%s”"));
}

static void
on_stop (FbDistillView *self)
{
  do_it (self, "distill-stop", _("Stopping “%s”"));
}

static void
on_use (FbDistillView *self)
{
  const char   *lora = fb_model_string (self->job, "lora");
  GVariantDict  dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert_value (&dict, "loras", g_variant_new_parsed ("[(%s, 1.0)]", *lora != '\0' ? lora : fb_model_string (self->job, "output")));
  g_variant_dict_insert (&dict, "model", "s", fb_model_string (self->job, "teacher"));
  g_variant_dict_insert (&dict, "sampler", "s", "flash");
  g_variant_dict_insert (&dict, "n-steps", "i", 4);
  g_variant_dict_insert (&dict, "guidance-scale", "d", 1.0);
  fb_panel_use (self->panel, fb_panel_task_of (self->panel, fb_model_string (self->job, "teacher")), g_variant_dict_end (&dict));
}

static void
on_remove (FbDistillView *self)
{
  const char      *name     = fb_model_string (self->job, "name");
  g_autofree char *question = g_strdup_printf (_("Remove the job “%s”?"), name);
  g_autofree char *what     = g_strdup_printf (_("Removing “%s”"), name);

  fb_panel_confirm (self->panel, question, _("Its curves, samples and what it would go on from are deleted; a LoRA that it has written stays."),
                    _("_Delete"), "distill-remove", g_variant_new_parsed ("{'job': <%s>}", fb_model_string (self->job, "job")), what);
}

/* --- the object ----------------------------------------------------------------------------------------------------------------- */

static GtkLabel *
label_new (FbDistillView *self, gboolean wraps)
{
  GtkLabel *label = GTK_LABEL (gtk_label_new (NULL));

  gtk_label_set_xalign (label, 0.0);
  if (wraps)
    {
      gtk_label_set_line_wrap (label, TRUE);
      gtk_label_set_max_width_chars (label, 60);
    }
  else
    gtk_label_set_ellipsize (label, PANGO_ELLIPSIZE_END);
  gtk_box_pack_start (GTK_BOX (self), GTK_WIDGET (label), FALSE, FALSE, 0);

  return label;
}

/* Two beside each other; what a job does not learn from is not shown. */
static GtkWidget *
curves_new (FbDistillView *self)
{
  GtkWidget *rows = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6), *row = NULL;

  for (int loss = 0; loss < N_LOSSES; loss++)
    {
      GtkWidget *plot = fb_plot_new (_(loss_labels[loss]));

      if (loss % 2 == 0)
        {
          row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
          gtk_box_set_homogeneous (GTK_BOX (row), TRUE);
          gtk_box_pack_start (GTK_BOX (rows), row, FALSE, FALSE, 0);
        }
      gtk_widget_set_no_show_all (plot, loss != DISTILLATION);
      gtk_box_pack_start (GTK_BOX (row), plot, TRUE, TRUE, 0);
      self->plots[loss] = FB_PLOT (plot);
    }

  return rows;
}

static GtkWidget *
buttons_new (FbDistillView *self)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);

  self->pause  = fb_parts_add_button (box, _("_Pause"), _("Keep its state on the disk, and go on later"), G_CALLBACK (on_pause), self);
  self->stop   = fb_parts_add_button (box, _("S_top"), _("End it, and write the LoRA with what it has learned so far"), G_CALLBACK (on_stop), self);
  self->use    = fb_parts_add_button (box, fb_model_use_label ("generate"),
                                      _("Open the dialog with the teacher and the LoRA; this window comes back when that one is closed"), G_CALLBACK (on_use), self);
  self->remove = fb_parts_add_button (box, _("_Remove…"), _("Take it off the list; asks first"), G_CALLBACK (on_remove), self);

  return box;
}

static void
dispose (GObject *object)
{
  forget_watch (FB_DISTILL_VIEW (object));
  g_clear_pointer (&FB_DISTILL_VIEW (object)->job, g_variant_unref);

  G_OBJECT_CLASS (fb_distill_view_parent_class)->dispose (object);
}

static void
fb_distill_view_class_init (FbDistillViewClass *class)
{
  G_OBJECT_CLASS (class)->dispose = dispose;
}

static void
fb_distill_view_init (FbDistillView *self)
{
  gtk_orientable_set_orientation (GTK_ORIENTABLE (self), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (self), 6);
  self->last_sample = -1;
  self->title       = label_new (self, FALSE);
  self->state       = label_new (self, FALSE);
  self->cost        = label_new (self, TRUE);
  self->problem     = label_new (self, TRUE);
  fb_parts_make_heading (self->title);
  gtk_label_set_selectable (self->problem, TRUE);
  gtk_widget_set_no_show_all (GTK_WIDGET (self->cost), TRUE);
  gtk_widget_set_no_show_all (GTK_WIDGET (self->problem), TRUE);
  self->progress = GTK_PROGRESS_BAR (gtk_progress_bar_new ());
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (self->progress)), _("Progress of the job"));
  self->sample = FB_PREVIEW_AREA (fb_preview_area_new (_("Samples appear here while it learns.")));
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (self->sample)), _("Sample"));
  gtk_widget_set_size_request (GTK_WIDGET (self->sample), -1, 120);

  gtk_box_pack_start (GTK_BOX (self), GTK_WIDGET (self->progress), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), curves_new (self), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), GTK_WIDGET (self->sample), TRUE, TRUE, 0);
  self->legend = label_new (self, TRUE);
  gtk_widget_set_no_show_all (GTK_WIDGET (self->legend), TRUE);
  gtk_box_pack_start (GTK_BOX (self), buttons_new (self), FALSE, FALSE, 0);
}

GtkWidget *
fb_distill_view_new (FbPanel *panel)
{
  FbDistillView *self = g_object_new (FB_TYPE_DISTILL_VIEW, NULL);

  self->panel = panel;

  return GTK_WIDGET (self);
}
