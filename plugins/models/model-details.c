/* plugins/models/model-details.c: all that is known of the chosen model, and what can be done with it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/model-details.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

#include "plugins/models/model-text.h"
#include "plugins/models/parts.h"

/* the lines of the table, in this order */
typedef enum { PROBLEM, FAMILY, SAMPLING, TRIGGER, SIZE, PRECISION, MEMORY, DEFAULT_FOR, LICENCE, PLACE, HASH, FITS, N_LINES } Line;

static const char * const line_labels[N_LINES] =
{
  [PROBLEM]     = N_("Problem"),
  [FAMILY]      = N_("Family"),
  [SAMPLING]    = N_("Suits it"),
  [TRIGGER]     = N_("Words that call it up"),
  [SIZE]        = N_("Size"),
  [PRECISION]   = N_("Precision"),
  [MEMORY]      = N_("In memory"),
  [DEFAULT_FOR] = N_("Default for"),
  [LICENCE]     = N_("Licence"),
  [PLACE]       = N_("Place"),
  [HASH]        = N_("SHA-256"),
  [FITS]        = N_("Fits"),
};

struct _FbModelDetails
{
  GtkBox      parent_instance;
  FbPanel    *panel;
  GVariant   *model;              /* the one shown, or NULL */
  char       *checked;            /* path of the one whose check said what it fits */
  char       *fits;
  gboolean    is_loaded;

  GtkLabel   *title;
  GtkWidget  *names[N_LINES], *values[N_LINES];
  GtkWidget  *load, *verify, *make_default, *use, *remove;
  GtkWidget  *tasks;              /* the menu of @make_default */
};

G_DEFINE_FINAL_TYPE (FbModelDetails, fb_model_details, GTK_TYPE_BOX)

/* --- the table ---------------------------------------------------------------------------------------------------------------- */

static void
set_line (FbModelDetails *self, Line line, const char *text)
{
  gtk_label_set_text (GTK_LABEL (self->values[line]), text);
  gtk_widget_set_visible (self->names[line], *text != '\0');
  gtk_widget_set_visible (self->values[line], *text != '\0');
}

/* (transfer full): "1.2 GB in bf16", or that it is not loaded */
static char *
memory_text (FbModelDetails *self, GVariant *loaded)
{
  const char *path = fb_model_string (self->model, "path");

  for (gsize i = 0; i < g_variant_n_children (loaded); i++)
    {
      g_autoptr(GVariant)  model = g_variant_get_child_value (loaded, i);
      g_autofree char     *size  = NULL;
      guint64              bytes = 0;

      if (!g_str_equal (fb_model_string (model, "path"), path))
        continue;
      self->is_loaded = TRUE;
      g_variant_lookup (model, "bytes", "t", &bytes);
      size = g_format_size (bytes);
      /* Translators: an amount of memory, and the type of numbers a model computes in: "1.2 GB in bf16" */
      return g_strdup_printf (_("%s in %s"), size, fb_model_string (model, "dtype"));
    }

  return g_strdup (_("no; it is loaded when it is used"));
}

/* (transfer full) */
static char *
tasks_text (GVariant *model, GVariant *capabilities)
{
  g_autofree const char **tasks   = NULL;
  g_autofree const char **done    = NULL;
  g_autoptr(GPtrArray)    labels  = g_ptr_array_new ();

  g_variant_lookup (model, "default-for", "^a&s", &tasks);
  g_variant_lookup (capabilities, "tasks", "^a&s", &done);
  for (int i = 0; tasks != NULL && tasks[i] != NULL; i++)
    if (done != NULL && g_strv_contains (done, tasks[i]))
      g_ptr_array_add (labels, (gpointer) fb_model_task (tasks[i]));
  g_ptr_array_add (labels, NULL);

  return g_strjoinv (", ", (char **) labels->pdata);
}

static gboolean
is_kind (FbModelDetails *self, const char *kind)
{
  return self->model != NULL && g_str_equal (fb_model_string (self->model, "kind"), kind);
}

static void
show_lines (FbModelDetails *self, GVariant *loaded, GVariant *capabilities)
{
  GVariant            *model    = self->model;
  g_autoptr(GVariant)  samplers = g_variant_lookup_value (capabilities, "samplers", G_VARIANT_TYPE ("aa{sv}"));
  g_autofree char     *family   = fb_model_family (model);
  g_autofree char     *sampling = fb_model_sampling (model, samplers);
  g_autofree char     *size     = fb_model_size (model);
  g_autofree char     *memory   = NULL;
  g_autofree char     *tasks    = tasks_text (model, capabilities);
  g_autofree char     *place    = fb_model_place (model);
  const char          *licence  = fb_model_string (model, "licence");
  const char          *hash     = fb_model_string (model, "hash");
  gboolean             checked  = g_strcmp0 (self->checked, fb_model_string (model, "path")) == 0;

  self->is_loaded = FALSE;
  memory          = is_kind (self, "checkpoint") ? memory_text (self, loaded) : g_strdup ("");
  set_line (self, PROBLEM,     fb_model_string (model, "problem"));
  set_line (self, FAMILY,      family);
  set_line (self, SAMPLING,    sampling);
  set_line (self, TRIGGER,     fb_model_string (model, "trigger"));
  set_line (self, SIZE,        size);
  set_line (self, PRECISION,   fb_model_string (model, "precision"));
  set_line (self, MEMORY,      memory);
  set_line (self, DEFAULT_FOR, tasks);
  set_line (self, LICENCE,     *licence != '\0' ? licence : _("not said in its files"));
  set_line (self, PLACE,       place);
  set_line (self, HASH,        *hash != '\0' ? hash : _("not computed yet; press Verify"));
  set_line (self, FITS,        checked ? self->fits : "");
}

/* --- what can be done ----------------------------------------------------------------------------------------------------------- */

/* the request that means the model shown */
static GVariant *
request_of (FbModelDetails *self)
{
  return g_variant_new_parsed ("{'model': <%s>, 'kind': <%s>}", fb_model_string (self->model, "path"), fb_model_string (self->model, "kind"));
}

static void
do_it (FbModelDetails *self, const char *kind, const char *format, FbPanelDone done)
{
  g_autofree char *what = g_strdup_printf (format, fb_model_title (self->model));

  fb_panel_do (self->panel, kind, request_of (self), what, done, self);
}

static void
on_load (FbModelDetails *self)
{
  if (self->is_loaded)
    do_it (self, "unload", _("Unloading “%s”"), NULL);
  else
    do_it (self, "load", _("Loading “%s”"), NULL);
}

static void
on_verified (GVariant *result, gpointer data)
{
  FbModelDetails          *self  = data;
  g_autofree const char  **names = NULL;
  g_autofree char         *all   = NULL;

  if (result == NULL || !g_variant_lookup (result, "fits", "^a&s", &names))
    return;
  g_free (self->fits);
  all        = g_strjoinv (", ", (char **) names);
  self->fits = g_strdup (*all != '\0' ? all : _("none of the models installed"));
  set_line (self, FITS, g_strcmp0 (self->checked, fb_model_string (self->model, "path")) == 0 ? self->fits : "");
}

static void
on_verify (FbModelDetails *self)
{
  g_free (self->checked);
  self->checked = g_strdup (fb_model_string (self->model, "path"));
  g_clear_pointer (&self->fits, g_free);
  self->fits = g_strdup ("");
  do_it (self, "verify", _("Verifying “%s”"), on_verified);
}

static const char *
task_of (FbModelDetails *self)
{
  return is_kind (self, "checkpoint") ? fb_panel_task_of (self->panel, fb_model_string (self->model, "path")) : "generate";
}

/* what suits a model or LoRA, as settings for its dialog */
static void
on_use (FbModelDetails *self)
{
  GVariantDict dict;
  int          n_steps = 0;
  double       scale   = 0.0;
  const char  *name    = fb_model_string (self->model, "name");

  g_variant_dict_init (&dict, NULL);
  if (is_kind (self, "lora"))
    {
      g_variant_dict_insert_value (&dict, "loras", g_variant_new_parsed ("[(%s, 1.0)]", name));
      if (g_variant_lookup (self->model, "n-steps", "i", &n_steps))
        g_variant_dict_insert (&dict, "n-steps", "i", n_steps);
      if (g_variant_lookup (self->model, "guidance-scale", "d", &scale))
        g_variant_dict_insert (&dict, "guidance-scale", "d", scale);
      g_variant_dict_insert (&dict, "sampler", "s", fb_model_string (self->model, "sampler"));
    }
  else
    {
      g_variant_dict_insert (&dict, is_kind (self, "checkpoint") ? "model" : fb_model_string (self->model, "kind"), "s", name);
      if (is_kind (self, "checkpoint"))                    /* its own settings, whatever the last model had */
        {
          g_variant_dict_insert (&dict, "n-steps", "i", 0);
          g_variant_dict_insert (&dict, "guidance-scale", "d", 0.0);
          g_variant_dict_insert (&dict, "sampler", "s", "");
        }
    }
  fb_panel_use (self->panel, task_of (self), g_variant_dict_end (&dict));
}

static void
on_task (GtkMenuItem *item, FbModelDetails *self)
{
  const char      *task = g_object_get_data (G_OBJECT (item), "task");
  g_autofree char *what = g_strdup_printf (_("Choosing “%s” for %s"), fb_model_title (self->model), fb_model_task (task));

  fb_panel_do (self->panel, "set-default",
               g_variant_new_parsed ("{'task': <%s>, 'model': <%s>}", task, fb_model_string (self->model, "name")), what, NULL, NULL);
}

/* the menu anew, with the tasks that this engine does and the model suits; without any, there is nothing to choose */
static void
fill_tasks (FbModelDetails *self, GVariant *capabilities)
{
  gboolean                any      = FALSE;
  g_autofree const char **tasks    = NULL;
  g_autofree const char **suited   = NULL;
  g_autoptr(GList)        children = gtk_container_get_children (GTK_CONTAINER (self->tasks));

  for (GList *l = children; l != NULL; l = l->next)
    gtk_widget_destroy (l->data);
  g_variant_lookup (capabilities, "tasks", "^a&s", &tasks);
  if (self->model != NULL)
    g_variant_lookup (self->model, "tasks", "^a&s", &suited);
  for (int i = 0; tasks != NULL && suited != NULL && tasks[i] != NULL; i++)
    {
      GtkWidget *item;

      if (!g_strv_contains (suited, tasks[i]))
        continue;
      item = gtk_menu_item_new_with_label (fb_model_task (tasks[i]));

      g_object_set_data_full (G_OBJECT (item), "task", g_strdup (tasks[i]), g_free);
      g_signal_connect (item, "activate", G_CALLBACK (on_task), self);
      gtk_menu_shell_append (GTK_MENU_SHELL (self->tasks), item);
      gtk_widget_show (item);
      any = TRUE;
    }
  gtk_widget_set_sensitive (self->make_default, any && *fb_model_string (self->model, "problem") == '\0');
}

static void
on_remove (FbModelDetails *self)
{
  const gboolean   own      = fb_model_flag (self->model, "own");
  const char      *title    = fb_model_title (self->model);
  g_autofree char *size     = fb_model_size (self->model);
  g_autofree char *question = g_strdup_printf (own ? _("Delete “%s” from the disk?") : _("Take “%s” out of the list?"), title);
  g_autofree char *deleted  = g_strdup_printf (_("Its files in Flashbrush's folder (%s) are deleted for good."), size);
  g_autofree char *what     = g_strdup_printf (_("Removing “%s”"), title);

  fb_panel_confirm (self->panel, question, own ? deleted : _("Its files stay where they are; Flashbrush only forgets them."),
                    own ? _("_Delete") : _("_Forget"), "remove",
                    g_variant_new_parsed ("{'model': <%s>, 'kind': <%s>}", fb_model_string (self->model, "path"), fb_model_string (self->model, "kind")),
                    what);
}

static void
show_buttons (FbModelDetails *self)
{
  gboolean usable   = self->model != NULL && *fb_model_string (self->model, "problem") == '\0';
  gboolean is_model = is_kind (self, "checkpoint");

  gtk_button_set_label (GTK_BUTTON (self->use), fb_model_use_label (task_of (self)));
  gtk_button_set_label (GTK_BUTTON (self->load), self->is_loaded ? _("Un_load") : _("_Load"));
  gtk_widget_set_sensitive (self->load, usable && is_model);
  gtk_widget_set_sensitive (self->use, usable);
  gtk_widget_set_sensitive (self->verify, self->model != NULL);
  gtk_widget_set_sensitive (self->remove, self->model != NULL && !fb_model_flag (self->model, "embedded"));
}

void
fb_model_details_show (FbModelDetails *self, GVariant *model, GVariant *loaded, GVariant *capabilities)
{
  g_clear_pointer (&self->model, g_variant_unref);
  self->model     = model != NULL ? g_variant_ref (model) : NULL;
  self->is_loaded = FALSE;
  gtk_label_set_text (self->title, model != NULL ? fb_model_title (model) : _("Choose a model on the left, or bring one in."));
  if (model != NULL)
    show_lines (self, loaded, capabilities);
  else
    for (int line = 0; line < N_LINES; line++)
      set_line (self, line, "");
  fill_tasks (self, capabilities);
  show_buttons (self);
}

/* --- the object ---------------------------------------------------------------------------------------------------------------- */

static GtkWidget *
table_new (FbModelDetails *self)
{
  GtkWidget *grid = gtk_grid_new ();

  gtk_grid_set_row_spacing (GTK_GRID (grid), 6);
  gtk_grid_set_column_spacing (GTK_GRID (grid), 12);
  for (int line = 0; line < N_LINES; line++)
    {
      GtkWidget *name  = gtk_label_new (_(line_labels[line]));
      GtkWidget *value = gtk_label_new (NULL);

      gtk_label_set_xalign (GTK_LABEL (name), 0.0);
      gtk_label_set_yalign (GTK_LABEL (name), 0.0);
      gtk_style_context_add_class (gtk_widget_get_style_context (name), GTK_STYLE_CLASS_DIM_LABEL);
      gtk_label_set_xalign (GTK_LABEL (value), 0.0);
      gtk_label_set_line_wrap (GTK_LABEL (value), TRUE);
      gtk_label_set_line_wrap_mode (GTK_LABEL (value), PANGO_WRAP_WORD_CHAR);
      gtk_label_set_max_width_chars (GTK_LABEL (value), 46);
      gtk_label_set_selectable (GTK_LABEL (value), line == PLACE || line == HASH || line == PROBLEM);    /* worth copying */
      gtk_widget_set_hexpand (value, TRUE);
      atk_object_add_relationship (gtk_widget_get_accessible (value), ATK_RELATION_LABELLED_BY, gtk_widget_get_accessible (name));
      gtk_grid_attach (GTK_GRID (grid), name, 0, line, 1, 1);
      gtk_grid_attach (GTK_GRID (grid), value, 1, line, 1, 1);
      gtk_widget_set_no_show_all (name, TRUE);
      gtk_widget_set_no_show_all (value, TRUE);
      self->names[line]  = name;
      self->values[line] = value;
    }

  return grid;
}

static GtkWidget *
buttons_new (FbModelDetails *self)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);

  self->tasks        = gtk_menu_new ();
  self->use          = fb_parts_add_button (box, fb_model_use_label ("generate"),
                                            _("Open the dialog with it, and with the settings that suit it; this window comes back when that one is closed"),
                                            G_CALLBACK (on_use), self);
  self->load         = fb_parts_add_button (box, _("_Load"), _("Bring it into memory, so that the first picture comes sooner, or take it out"),
                                            G_CALLBACK (on_load), self);
  self->make_default = gtk_menu_button_new ();
  gtk_container_add (GTK_CONTAINER (self->make_default), gtk_label_new_with_mnemonic (_("_Default for")));
  atk_object_set_name (gtk_widget_get_accessible (self->make_default), _("Default for"));
  gtk_menu_button_set_popup (GTK_MENU_BUTTON (self->make_default), self->tasks);
  gtk_widget_set_tooltip_text (self->make_default, _("Choose what takes this model when no other is named"));
  gtk_widget_set_sensitive (self->make_default, FALSE);
  gtk_container_add (GTK_CONTAINER (box), self->make_default);
  self->verify       = fb_parts_add_button (box, _("_Verify"), _("Check its files and compute their hash; of a LoRA, find out which models it fits"),
                                            G_CALLBACK (on_verify), self);
  self->remove       = fb_parts_add_button (box, _("_Remove…"), _("Take it out of the list; asks first"), G_CALLBACK (on_remove), self);

  return box;
}

static void
finalize (GObject *object)
{
  FbModelDetails *self = FB_MODEL_DETAILS (object);

  g_clear_pointer (&self->model, g_variant_unref);
  g_free (self->checked);
  g_free (self->fits);

  G_OBJECT_CLASS (fb_model_details_parent_class)->finalize (object);
}

static void
fb_model_details_class_init (FbModelDetailsClass *class)
{
  G_OBJECT_CLASS (class)->finalize = finalize;
}

static void
fb_model_details_init (FbModelDetails *self)
{
  GtkWidget *scroll = gtk_scrolled_window_new (NULL, NULL);

  gtk_orientable_set_orientation (GTK_ORIENTABLE (self), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (self), 12);
  self->title = GTK_LABEL (gtk_label_new (NULL));
  fb_parts_make_heading (self->title);
  gtk_label_set_xalign (self->title, 0.0);
  gtk_label_set_ellipsize (self->title, PANGO_ELLIPSIZE_MIDDLE);
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (scroll), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
  gtk_container_add (GTK_CONTAINER (scroll), table_new (self));

  gtk_box_pack_start (GTK_BOX (self), GTK_WIDGET (self->title), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), scroll, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (self), buttons_new (self), FALSE, FALSE, 0);
  show_buttons (self);
}

GtkWidget *
fb_model_details_new (FbPanel *panel)
{
  FbModelDetails *self = g_object_new (FB_TYPE_MODEL_DETAILS, NULL);

  self->panel = panel;

  return GTK_WIDGET (self);
}
