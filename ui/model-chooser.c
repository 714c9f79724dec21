/* ui/model-chooser.c: the models the engine knows, and any file. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/model-chooser.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

#include "ui/model-file.h"

struct _FbModelChooser
{
  GtkBox     parent_instance;
  GtkWidget *combo;                /* ids are values of "model" */
  GtkWidget *button;
  char      *kind;
  char      *empty;                /* label of the row for "" */
  char      *model;
};

enum { PROP_0, PROP_MODEL };

G_DEFINE_FINAL_TYPE (FbModelChooser, fb_model_chooser, GTK_TYPE_BOX)

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
  GList *cells;

  self->model  = g_strdup ("");
  self->combo  = gtk_combo_box_text_new ();
  self->button = gtk_button_new_from_icon_name ("document-open-symbolic", GTK_ICON_SIZE_BUTTON);

  /* a long file name must not widen the dialog */
  cells = gtk_cell_layout_get_cells (GTK_CELL_LAYOUT (self->combo));
  g_object_set (cells->data, "ellipsize", PANGO_ELLIPSIZE_MIDDLE, "width-chars", 12, NULL);
  g_list_free (cells);

  gtk_widget_set_tooltip_text (self->button, _("Choose a file…"));
  gtk_box_set_spacing (GTK_BOX (self), 4);
  gtk_box_pack_start (GTK_BOX (self), self->combo, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (self), self->button, FALSE, FALSE, 0);
  g_signal_connect (self->combo, "changed", G_CALLBACK (on_changed), self);
  g_signal_connect (self->button, "clicked", G_CALLBACK (on_clicked), self);
  gtk_widget_show_all (self->combo);
  gtk_widget_show_all (self->button);
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
