/* plugins/models/models-page.c: what is installed, and everything one can do with it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/models-page.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "plugins/models/model-details.h"
#include "plugins/models/model-text.h"
#include "ui/list.h"
#include "ui/model-file.h"

#define FB_TYPE_MODELS_PAGE (fb_models_page_get_type ())
G_DECLARE_FINAL_TYPE (FbModelsPage, fb_models_page, FB, MODELS_PAGE, GtkBox)

struct _FbModelsPage
{
  GtkBox          parent_instance;
  FbPanel        *panel;
  GVariant       *models, *loaded, *capabilities;      /* as told last; NULL before */
  char           *chosen;                              /* path of the row that is selected, or NULL */
  char           *wanted;                              /* path to select when it is listed */
  GtkListBox     *list;
  FbModelDetails *details;
};

G_DEFINE_FINAL_TYPE (FbModelsPage, fb_models_page, GTK_TYPE_BOX)

/* --- the list ----------------------------------------------------------------------------------------------------------------- */

static GtkWidget *
row_new (GVariant *model)
{
  GtkWidget       *row     = fb_list_row_new ();
  g_autofree char *summary = fb_model_summary (model);

  fb_list_row_set (row, fb_model_title (model), summary, model);

  return row;
}

/* a heading above the first row of each kind */
static void
set_heading (GtkListBoxRow *row, GtkListBoxRow *before, gpointer unused)
{
  const char *kind    = fb_model_string (fb_list_row_get (row), "kind");
  GtkWidget  *heading = NULL;

  if (before == NULL || !g_str_equal (fb_model_string (fb_list_row_get (before), "kind"), kind))
    {
      heading = gtk_label_new (fb_model_section (kind));
      gtk_label_set_xalign (GTK_LABEL (heading), 0.0);
      gtk_widget_set_margin_start (heading, 6);
      gtk_widget_set_margin_top (heading, 8);
      gtk_style_context_add_class (gtk_widget_get_style_context (heading), GTK_STYLE_CLASS_DIM_LABEL);
      gtk_widget_show (heading);
    }
  gtk_list_box_row_set_header (row, heading);
}

static void
show_details (FbModelsPage *self)
{
  GtkListBoxRow *row = gtk_list_box_get_selected_row (self->list);

  if (self->models != NULL)
    fb_model_details_show (self->details, row != NULL ? fb_list_row_get (row) : NULL, self->loaded, self->capabilities);
}

static void
on_selected (GtkListBox *list, GtkListBoxRow *row, FbModelsPage *self)
{
  if (row == NULL)                       /* while the list is filled anew */
    return;
  g_free (self->chosen);
  self->chosen = g_strdup (fb_model_string (fb_list_row_get (row), "path"));
  show_details (self);
}

/* The rows anew; the chosen one stays chosen, and keeps the keyboard if it had it. */
static void
fill (FbModelsPage *self)
{
  g_autoptr(GList)     old       = gtk_container_get_children (GTK_CONTAINER (self->list));
  g_autofree char     *wanted    = g_strdup (self->wanted != NULL ? self->wanted : self->chosen);
  GtkWidget           *focus     = gtk_window_get_focus (GTK_WINDOW (self->panel));
  gboolean             has_focus = focus != NULL && gtk_widget_is_ancestor (focus, GTK_WIDGET (self->list));
  GtkListBoxRow       *chosen    = NULL;

  for (GList *l = old; l != NULL; l = l->next)
    gtk_widget_destroy (l->data);
  for (gsize i = 0; i < g_variant_n_children (self->models); i++)
    {
      g_autoptr(GVariant)  model = g_variant_get_child_value (self->models, i);
      GtkWidget           *row   = row_new (model);

      gtk_container_add (GTK_CONTAINER (self->list), row);
      if (chosen == NULL || g_strcmp0 (fb_model_string (model, "path"), wanted) == 0)
        chosen = GTK_LIST_BOX_ROW (row);
    }
  if (self->wanted != NULL && chosen != NULL && g_strcmp0 (fb_model_string (fb_list_row_get (chosen), "path"), self->wanted) == 0)
    g_clear_pointer (&self->wanted, g_free);
  if (chosen != NULL)
    gtk_list_box_select_row (self->list, chosen);
  if (chosen != NULL && (has_focus || focus == NULL))        /* else the first text that can be selected would have it */
    gtk_widget_grab_focus (GTK_WIDGET (chosen));
  show_details (self);
}

static void
on_listed (FbPanel *panel, GVariant *models, GVariant *loaded, GVariant *capabilities, FbModelsPage *self)
{
  gboolean is_same = self->models != NULL && g_variant_equal (models, self->models) && self->wanted == NULL;

  g_clear_pointer (&self->models, g_variant_unref);
  g_clear_pointer (&self->loaded, g_variant_unref);
  g_clear_pointer (&self->capabilities, g_variant_unref);
  self->models       = g_variant_ref (models);
  self->loaded       = g_variant_ref (loaded);
  self->capabilities = g_variant_ref (capabilities);
  if (is_same)
    show_details (self);
  else
    fill (self);
}

/* --- bringing in ----------------------------------------------------------------------------------------------------------------- */

static void
on_imported (GVariant *result, gpointer data)
{
  FbModelsPage    *self = data;
  g_autofree char *text = NULL;
  int              n    = 0;

  if (result == NULL)
    return;
  g_variant_lookup (result, "n-found", "i", &n);
  if (n == 1)
    {
      g_free (self->wanted);
      self->wanted = g_strdup (fb_model_string (result, "path"));
      return;
    }
  text = g_strdup_printf (ngettext ("The folder “%s” holds %d file of models, which is listed now.",
                                    "The folder “%s” holds %d files of models, which are listed now.", (gulong) n),
                          fb_model_string (result, "name"), n);
  fb_panel_say (self->panel, GTK_MESSAGE_INFO, text);
}

static void
bring_in (const char *path, gpointer data)
{
  FbModelsPage    *self  = data;
  g_autofree char *label = fb_model_file_label (path);
  g_autofree char *what  = g_strdup_printf (_("Bringing in “%s”"), label);

  if (!g_utf8_validate (path, -1, NULL))
    {
      fb_panel_say (self->panel, GTK_MESSAGE_ERROR, _("The name of this file is not UTF-8 text. Rename it, then bring it in."));
      return;
    }
  fb_panel_do (self->panel, "import", g_variant_new_parsed ("{'path': <%s>}", path), what, on_imported, self);
}

static void
on_import_file (FbModelsPage *self)
{
  fb_model_file_choose (GTK_WIDGET (self), _("Choose a Model or LoRA"), bring_in, self);
}

static void
on_folder_response (GtkDialog *dialog, int response, FbModelsPage *self)
{
  g_autofree char *path = response == GTK_RESPONSE_ACCEPT ? gtk_file_chooser_get_filename (GTK_FILE_CHOOSER (dialog)) : NULL;

  gtk_widget_destroy (GTK_WIDGET (dialog));
  if (path != NULL)
    bring_in (path, self);
}

static void
on_import_folder (FbModelsPage *self)
{
  GtkWidget *dialog = gtk_file_chooser_dialog_new (_("Choose a Folder of Models or LoRAs"), GTK_WINDOW (self->panel),
                                                   GTK_FILE_CHOOSER_ACTION_SELECT_FOLDER, _("_Cancel"), GTK_RESPONSE_CANCEL,
                                                   _("_Open"), GTK_RESPONSE_ACCEPT, NULL);

  gtk_window_set_modal (GTK_WINDOW (dialog), TRUE);
  gtk_window_set_destroy_with_parent (GTK_WINDOW (dialog), TRUE);
  g_signal_connect_object (dialog, "response", G_CALLBACK (on_folder_response), self, 0);
  gtk_widget_show (dialog);
}

static void
on_dropped (GtkWidget *widget, GdkDragContext *context, int x, int y, GtkSelectionData *data, guint info, guint time, FbModelsPage *self)
{
  g_auto(GStrv) uris = gtk_selection_data_get_uris (data);

  for (int i = 0; uris != NULL && uris[i] != NULL; i++)
    {
      g_autofree char *path = g_filename_from_uri (uris[i], NULL, NULL);
      g_autofree char *text = NULL;

      if (path != NULL)
        bring_in (path, self);
      else
        {
          text = g_strdup_printf (_("“%s” is not on this computer. Download it first, then bring in the file."), uris[i]);
          fb_panel_say (self->panel, GTK_MESSAGE_ERROR, text);
        }
    }
  gtk_drag_finish (context, uris != NULL, FALSE, time);
}

/* --- the object ---------------------------------------------------------------------------------------------------------------- */

static GtkWidget *
left_new (FbModelsPage *self)
{
  GtkWidget *box    = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);
  GtkWidget *label  = gtk_label_new_with_mnemonic (_("_Installed"));
  GtkWidget *scroll = gtk_scrolled_window_new (NULL, NULL);
  GtkWidget *bring  = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  GtkWidget *file   = gtk_button_new_with_mnemonic (_("Add _File…"));
  GtkWidget *folder = gtk_button_new_with_mnemonic (_("Add F_older…"));
  GtkWidget *hint   = gtk_label_new (_("Or drop files and folders here. They are used where they lie."));

  self->list = GTK_LIST_BOX (fb_list_new (GTK_LABEL (label), _("Installed")));
  gtk_list_box_set_header_func (self->list, set_heading, NULL, NULL);
  gtk_label_set_xalign (GTK_LABEL (label), 0.0);
  gtk_label_set_xalign (GTK_LABEL (hint), 0.0);
  gtk_label_set_line_wrap (GTK_LABEL (hint), TRUE);
  gtk_label_set_max_width_chars (GTK_LABEL (hint), 30);
  gtk_style_context_add_class (gtk_widget_get_style_context (hint), GTK_STYLE_CLASS_DIM_LABEL);
  gtk_scrolled_window_set_shadow_type (GTK_SCROLLED_WINDOW (scroll), GTK_SHADOW_IN);
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (scroll), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
  gtk_widget_set_tooltip_text (file, _("Bring in a .safetensors file, or a model's folder by its model_index.json"));
  gtk_widget_set_tooltip_text (folder, _("Bring in a folder of models or LoRAs; it is looked through again whenever models are listed"));
  gtk_container_add (GTK_CONTAINER (scroll), GTK_WIDGET (self->list));
  gtk_box_pack_start (GTK_BOX (bring), file, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (bring), folder, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (box), label, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), scroll, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (box), bring, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), hint, FALSE, FALSE, 0);
  gtk_widget_set_size_request (box, 300, -1);

  g_signal_connect (self->list, "row-selected", G_CALLBACK (on_selected), self);
  g_signal_connect_swapped (file, "clicked", G_CALLBACK (on_import_file), self);
  g_signal_connect_swapped (folder, "clicked", G_CALLBACK (on_import_folder), self);

  return box;
}

static void
finalize (GObject *object)
{
  FbModelsPage *self = FB_MODELS_PAGE (object);

  g_clear_pointer (&self->models, g_variant_unref);
  g_clear_pointer (&self->loaded, g_variant_unref);
  g_clear_pointer (&self->capabilities, g_variant_unref);
  g_free (self->chosen);
  g_free (self->wanted);

  G_OBJECT_CLASS (fb_models_page_parent_class)->finalize (object);
}

static void
fb_models_page_class_init (FbModelsPageClass *class)
{
  G_OBJECT_CLASS (class)->finalize = finalize;
}

static void
fb_models_page_init (FbModelsPage *self)
{
  gtk_box_set_spacing (GTK_BOX (self), 18);
}

GtkWidget *
fb_models_page_new (FbPanel *panel)
{
  FbModelsPage *self = g_object_new (FB_TYPE_MODELS_PAGE, NULL);

  self->panel   = panel;
  self->details = FB_MODEL_DETAILS (fb_model_details_new (panel));
  gtk_box_pack_start (GTK_BOX (self), left_new (self), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), GTK_WIDGET (self->details), TRUE, TRUE, 0);
  gtk_drag_dest_set (GTK_WIDGET (self), GTK_DEST_DEFAULT_ALL, NULL, 0, GDK_ACTION_COPY | GDK_ACTION_LINK);
  gtk_drag_dest_add_uri_targets (GTK_WIDGET (self));
  g_signal_connect (self, "drag-data-received", G_CALLBACK (on_dropped), self);
  g_signal_connect_object (panel, "listed", G_CALLBACK (on_listed), self, 0);

  return GTK_WIDGET (self);
}
