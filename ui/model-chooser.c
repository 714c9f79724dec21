/* ui/model-chooser.c: the models the engine knows, and any file. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/model-chooser.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

#include "ui/model-file.h"
#include "ui/model-list.h"

struct _FbModelChooser
{
  GtkBox     parent_instance;
  GtkWidget *combo;                /* ids are values of "model" */
  GtkWidget *button;
  GtkWidget *limits;               /* what a model that comes along cannot do; else hidden */
  GVariant  *models;               /* (nullable) */
  char      *kind;
  char      *empty;                /* label of the row for "" */
  char      *model;
};

enum { PROP_0, PROP_MODEL };

G_DEFINE_FINAL_TYPE (FbModelChooser, fb_model_chooser, GTK_TYPE_BOX)

/* (transfer full) (nullable): what is listed of the model that "model" means; the first is the default one */
static GVariant *
find_model (FbModelChooser *self)
{
  GVariantIter iter;
  GVariant    *model;

  if (self->models == NULL)
    return NULL;

  g_variant_iter_init (&iter, self->models);
  while ((model = g_variant_iter_next_value (&iter)) != NULL)
    {
      const char *kind = "", *name = "";

      g_variant_lookup (model, "kind", "&s", &kind);
      g_variant_lookup (model, "name", "&s", &name);
      if (g_str_equal (kind, self->kind) && (*self->model == '\0' || g_str_equal (name, self->model)))
        return model;
      g_variant_unref (model);
    }
  return NULL;
}

/* Says of a model that comes along what it can do, and how to get more. */
static void
show_limits (FbModelChooser *self)
{
  g_autoptr(GVariant) model    = g_str_equal (self->kind, "checkpoint") ? find_model (self) : NULL;
  gboolean            embedded = FALSE;

  if (model != NULL)
    g_variant_lookup (model, "embedded", "b", &embedded);
  if (embedded)
    gtk_label_set_text (GTK_LABEL (self->limits), !fb_model_list_suits (model, "generate")
                        ? _("Small, makes photographs somewhat clearer. For more, add the x4 upscaler in “Models and Distillation”.")
                        : _("Small, for simple things like emoji. For more, add a full-size model in “Models and Distillation”."));
  gtk_widget_set_visible (self->limits, embedded);
}

/* Selects the row of the property's value; a path that was never listed gets a row. */
static void
show_model (FbModelChooser *self)
{
  GtkComboBox *combo = GTK_COMBO_BOX (self->combo);

  if (!gtk_combo_box_set_active_id (combo, self->model))
    {
      g_autofree char *label = fb_model_file_label (self->model);

      gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (combo), self->model, label);
      gtk_combo_box_set_active_id (combo, self->model);
    }
  gtk_widget_set_tooltip_text (self->combo, self->model);
  show_limits (self);
}

static void
set_model (FbModelChooser *self, const char *model)
{
  if (g_strcmp0 (model, self->model) == 0)
    return;

  g_free (self->model);
  self->model = g_strdup (model != NULL ? model : "");
  show_model (self);
  g_object_notify (G_OBJECT (self), "model");
}

static void
on_changed (GtkComboBox *combo, FbModelChooser *self)
{
  const char *id = gtk_combo_box_get_active_id (combo);

  if (id != NULL)                  /* NULL while the list is filled anew */
    set_model (self, id);
}

static void
on_chosen (const char *path, gpointer self)
{
  set_model (self, path);
}

static void
on_clicked (GtkButton *button, FbModelChooser *self)
{
  fb_model_file_choose (GTK_WIDGET (self), _("Choose a Model"), on_chosen, self);
}

/* (transfer full): the first checkpoint is the default one; the other kinds' defaults come with the checkpoint */
static char *
label_of_default (FbModelChooser *self, GVariant *models)
{
  g_autofree char *label = NULL;
  GVariantIter     iter;
  GVariant        *model;

  g_variant_iter_init (&iter, models);
  while (label == NULL && g_str_equal (self->kind, "checkpoint") && (model = g_variant_iter_next_value (&iter)) != NULL)
    {
      const char *kind = "";

      if (g_variant_lookup (model, "kind", "&s", &kind) && g_str_equal (kind, self->kind) &&
          !g_variant_lookup (model, "title", "s", &label))
        g_variant_lookup (model, "name", "s", &label);
      g_variant_unref (model);
    }

  /* Translators: “Default model (starter)” */
  return label != NULL ? g_strdup_printf (_("%s (%s)"), self->empty, label) : g_strdup (self->empty);
}

void
fb_model_chooser_set_models (FbModelChooser *self, GVariant *models)
{
  GtkComboBoxText *combo = GTK_COMBO_BOX_TEXT (self->combo);
  g_autofree char *empty = label_of_default (self, models);
  GVariantIter     iter;
  GVariant        *model;

  g_clear_pointer (&self->models, g_variant_unref);
  self->models = g_variant_ref (models);
  g_signal_handlers_block_by_func (combo, on_changed, self);
  gtk_combo_box_text_remove_all (combo);
  gtk_combo_box_text_append (combo, "", empty);
  g_variant_iter_init (&iter, models);
  while ((model = g_variant_iter_next_value (&iter)) != NULL)
    {
      const char *kind = "", *name = NULL, *title = NULL;

      g_variant_lookup (model, "kind", "&s", &kind);
      g_variant_lookup (model, "name", "&s", &name);
      g_variant_lookup (model, "title", "&s", &title);
      if (name != NULL && g_str_equal (kind, self->kind))
        gtk_combo_box_text_append (combo, name, title != NULL ? title : name);
      g_variant_unref (model);
    }
  show_model (self);
  g_signal_handlers_unblock_by_func (combo, on_changed, self);
}

GtkWidget *
fb_model_chooser_get_list (FbModelChooser *self)
{
  return self->combo;
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  g_value_set_string (value, FB_MODEL_CHOOSER (object)->model);
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  set_model (FB_MODEL_CHOOSER (object), g_value_get_string (value));
}

static void
finalize (GObject *object)
{
  FbModelChooser *self = FB_MODEL_CHOOSER (object);

  g_clear_pointer (&self->models, g_variant_unref);
  g_free (self->kind);
  g_free (self->empty);
  g_free (self->model);

  G_OBJECT_CLASS (fb_model_chooser_parent_class)->finalize (object);
}

static void
fb_model_chooser_class_init (FbModelChooserClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);

  object_class->get_property = get_property;
  object_class->set_property = set_property;
  object_class->finalize     = finalize;
  g_object_class_install_property (object_class, PROP_MODEL,
                                   g_param_spec_string ("model", NULL, NULL, "",
                                                        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY));
}

static void
fb_model_chooser_init (FbModelChooser *self)
{
  GtkWidget *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 4);
  GList     *cells;

  self->model  = g_strdup ("");
  self->combo  = gtk_combo_box_text_new ();
  self->button = gtk_button_new_from_icon_name ("document-open-symbolic", GTK_ICON_SIZE_BUTTON);

  /* a long file name must not widen the dialog */
  cells = gtk_cell_layout_get_cells (GTK_CELL_LAYOUT (self->combo));
  g_object_set (cells->data, "ellipsize", PANGO_ELLIPSIZE_MIDDLE, "width-chars", 12, NULL);
  g_list_free (cells);

  gtk_widget_set_tooltip_text (self->button, _("Choose a file…"));
  gtk_box_pack_start (GTK_BOX (row), self->combo, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (row), self->button, FALSE, FALSE, 0);

  self->limits = gtk_label_new (NULL);
  gtk_label_set_xalign (GTK_LABEL (self->limits), 0.0f);
  gtk_label_set_line_wrap (GTK_LABEL (self->limits), TRUE);
  gtk_label_set_width_chars (GTK_LABEL (self->limits), 12);
  gtk_label_set_max_width_chars (GTK_LABEL (self->limits), 40);
  gtk_style_context_add_class (gtk_widget_get_style_context (self->limits), GTK_STYLE_CLASS_DIM_LABEL);
  gtk_widget_set_no_show_all (self->limits, TRUE);

  gtk_orientable_set_orientation (GTK_ORIENTABLE (self), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (self), 4);
  gtk_box_pack_start (GTK_BOX (self), row, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), self->limits, FALSE, FALSE, 0);
  g_signal_connect (self->combo, "changed", G_CALLBACK (on_changed), self);
  g_signal_connect (self->button, "clicked", G_CALLBACK (on_clicked), self);
  gtk_widget_show_all (row);
}

GtkWidget *
fb_model_chooser_new (const char *kind, const char *empty, const char *name)
{
  FbModelChooser  *self        = g_object_new (FB_TYPE_MODEL_CHOOSER, NULL);
  g_autofree char *button_name = g_strdup_printf (_("%s: choose a file"), name);

  self->kind  = g_strdup (kind);
  self->empty = g_strdup (empty);
  gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (self->combo), "", empty);
  atk_object_set_name (gtk_widget_get_accessible (self->combo), name);
  atk_object_set_name (gtk_widget_get_accessible (self->button), button_name);
  show_model (self);

  return GTK_WIDGET (self);
}
