/* plugins/models/distill-new.c: what a new distillation job needs to know. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/distill-new.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

#include "plugins/models/model-text.h"
#include "ui/auto-spin.h"
#include "ui/model-chooser.h"

struct _FbDistillNew
{
  GtkBox     parent_instance;
  FbPanel   *panel;
  GtkWidget *teacher, *preset, *pictures, *name, *size, *steps;
  gboolean   named;               /* by the user, not after the folder */
  GtkWidget *start;
  GVariant  *presets;             /* NULL before they are known */
};

enum { SIGNAL_STARTED, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (FbDistillNew, fb_distill_new, GTK_TYPE_BOX)

/* --- what the form says ------------------------------------------------------------------------------------------------------- */

/* (transfer full) (nullable): the folder of pictures, if there is such a folder */
static char *
pictures_of (FbDistillNew *self)
{
  g_autofree char *path = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (self->pictures))));

  return g_path_is_absolute (path) && g_file_test (path, G_FILE_TEST_IS_DIR) ? g_steal_pointer (&path) : NULL;
}

static void
update (FbDistillNew *self)
{
  g_autofree char *pictures = pictures_of (self);
  g_autofree char *name     = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (self->name))));

  gtk_widget_set_sensitive (self->start, pictures != NULL && *name != '\0');
}

static void
on_name (FbDistillNew *self)
{
  self->named = *gtk_entry_get_text (GTK_ENTRY (self->name)) != '\0';
  update (self);
}

/* the folder's name is a good one for the LoRA, until another is typed */
static void
on_pictures (FbDistillNew *self)
{
  g_autofree char *path = pictures_of (self);
  g_autofree char *base = path != NULL ? g_path_get_basename (path) : NULL;
  g_autofree char *name = base != NULL ? g_strdup_printf ("%s-flash", base) : NULL;

  if (name != NULL && !self->named)
    {
      gtk_entry_set_text (GTK_ENTRY (self->name), name);
      self->named = FALSE;
    }
  update (self);
}

static void
on_folder_response (GtkDialog *dialog, int response, FbDistillNew *self)
{
  g_autofree char *path = response == GTK_RESPONSE_ACCEPT ? gtk_file_chooser_get_filename (GTK_FILE_CHOOSER (dialog)) : NULL;

  gtk_widget_destroy (GTK_WIDGET (dialog));
  if (path != NULL && g_utf8_validate (path, -1, NULL))
    gtk_entry_set_text (GTK_ENTRY (self->pictures), path);
}

static void
choose_folder (FbDistillNew *self)
{
  GtkWidget *dialog = gtk_file_chooser_dialog_new (_("Choose the Folder of Pictures"), GTK_WINDOW (self->panel), GTK_FILE_CHOOSER_ACTION_SELECT_FOLDER,
                                                   _("_Cancel"), GTK_RESPONSE_CANCEL, _("_Open"), GTK_RESPONSE_ACCEPT, NULL);

  gtk_window_set_modal (GTK_WINDOW (dialog), TRUE);
  gtk_window_set_destroy_with_parent (GTK_WINDOW (dialog), TRUE);
  g_signal_connect_object (dialog, "response", G_CALLBACK (on_folder_response), self, 0);
  gtk_widget_show (dialog);
}

/* an entry for the path, with a button that finds it */
static GtkWidget *
pictures_new (FbDistillNew *self)
{
  GtkWidget *box    = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 4);
  GtkWidget *button = gtk_button_new_from_icon_name ("folder-open-symbolic", GTK_ICON_SIZE_BUTTON);

  self->pictures = gtk_entry_new ();
  gtk_widget_set_tooltip_text (button, _("Choose a folder…"));
  atk_object_set_name (gtk_widget_get_accessible (button), _("Pictures: choose a folder"));
  g_signal_connect_swapped (button, "clicked", G_CALLBACK (choose_folder), self);
  gtk_box_pack_start (GTK_BOX (box), self->pictures, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (box), button, FALSE, FALSE, 0);

  return box;
}

/* the numbers that are taken where the fields say "Auto" */
static void
on_preset (FbDistillNew *self)
{
  const char *id    = gtk_combo_box_get_active_id (GTK_COMBO_BOX (self->preset));
  int         size  = -1, steps = -1;

  for (gsize i = 0; self->presets != NULL && id != NULL && i < g_variant_n_children (self->presets); i++)
    {
      g_autoptr(GVariant) preset = g_variant_get_child_value (self->presets, i);

      if (g_str_equal (fb_model_string (preset, "name"), id))
        {
          g_variant_lookup (preset, "size", "i", &size);
          g_variant_lookup (preset, "steps", "i", &steps);
        }
    }
  fb_auto_spin_set_resolved (FB_AUTO_SPIN (self->size), size > 0 ? size : -1);
  fb_auto_spin_set_resolved (FB_AUTO_SPIN (self->steps), steps > 0 ? steps : -1);
}

void
fb_distill_new_set_models (FbDistillNew *self, GVariant *models)
{
  fb_model_chooser_set_models (FB_MODEL_CHOOSER (self->teacher), models);
}

void
fb_distill_new_set_presets (FbDistillNew *self, GVariant *presets)
{
  GtkComboBoxText *combo = GTK_COMBO_BOX_TEXT (self->preset);

  g_clear_pointer (&self->presets, g_variant_unref);
  self->presets = g_variant_ref (presets);
  gtk_combo_box_text_remove_all (combo);
  gtk_combo_box_text_append (combo, "", _("What suits the teacher"));
  for (gsize i = 0; i < g_variant_n_children (presets); i++)
    {
      g_autoptr(GVariant)  preset = g_variant_get_child_value (presets, i);
      const char          *label  = fb_model_string (preset, "label");

      gtk_combo_box_text_append (combo, fb_model_string (preset, "name"), *label != '\0' ? _(label) : fb_model_string (preset, "name"));
    }
  gtk_combo_box_set_active_id (GTK_COMBO_BOX (combo), "");
}

/* --- start ---------------------------------------------------------------------------------------------------------------------- */

static void
on_started (GVariant *result, gpointer data)
{
  FbDistillNew *self = data;

  if (result == NULL)
    return;
  gtk_entry_set_text (GTK_ENTRY (self->name), "");
  g_signal_emit (self, signals[SIGNAL_STARTED], 0, result);
}

static void
add_number (GVariantDict *dict, const char *key, GtkWidget *spin)
{
  int number = gtk_spin_button_get_value_as_int (GTK_SPIN_BUTTON (spin));

  if (number > 0)
    g_variant_dict_insert (dict, key, "i", number);
}

static void
start (FbDistillNew *self)
{
  g_autofree char *pictures = pictures_of (self);
  g_autofree char *teacher  = NULL;
  g_autofree char *name     = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (self->name))));
  g_autofree char *what     = g_strdup_printf (_("Starting “%s”"), name);
  const char      *preset   = gtk_combo_box_get_active_id (GTK_COMBO_BOX (self->preset));
  GVariantDict     dict;

  g_object_get (self->teacher, "model", &teacher, NULL);
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "pictures", "s", pictures);
  g_variant_dict_insert (&dict, "name", "s", name);
  if (teacher != NULL && *teacher != '\0')
    g_variant_dict_insert (&dict, "teacher", "s", teacher);
  if (preset != NULL && *preset != '\0')
    g_variant_dict_insert (&dict, "preset", "s", preset);
  add_number (&dict, "size", self->size);
  add_number (&dict, "steps", self->steps);
  fb_panel_do (self->panel, "distill-start", g_variant_dict_end (&dict), what, on_started, self);
}

/* --- the object ----------------------------------------------------------------------------------------------------------------- */

static void
attach (FbDistillNew *self, GtkWidget *grid, int row, const char *label, const char *name, const char *blurb, GtkWidget *widget, GtkWidget *focus)
{
  GtkWidget *text = gtk_label_new_with_mnemonic (label);

  gtk_label_set_xalign (GTK_LABEL (text), 0.0);
  gtk_label_set_mnemonic_widget (GTK_LABEL (text), focus);
  gtk_widget_set_tooltip_text (widget, blurb);
  atk_object_set_name (gtk_widget_get_accessible (focus), name);
  atk_object_set_description (gtk_widget_get_accessible (focus), blurb);
  gtk_widget_set_hexpand (widget, TRUE);
  gtk_grid_attach (GTK_GRID (grid), text, 0, row, 1, 1);
  gtk_grid_attach (GTK_GRID (grid), widget, 1, row, 1, 1);
}

static void
fill (FbDistillNew *self, GtkWidget *grid)
{
  GtkWidget *pictures = pictures_new (self);

  self->teacher  = fb_model_chooser_new ("checkpoint", _("Default model"), _("Teacher"));
  self->preset   = gtk_combo_box_text_new ();
  self->name     = gtk_entry_new ();
  self->size     = fb_auto_spin_new (4096, 8, 0);
  self->steps    = fb_auto_spin_new (1000000, 100, 0);
  gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (self->preset), "", _("What suits the teacher"));
  gtk_combo_box_set_active_id (GTK_COMBO_BOX (self->preset), "");
  gtk_entry_set_activates_default (GTK_ENTRY (self->name), TRUE);

  attach (self, grid, 0, _("_Teacher"), _("Teacher"), _("The model that needs many steps; it is not changed"), self->teacher,
          fb_model_chooser_get_list (FB_MODEL_CHOOSER (self->teacher)));
  attach (self, grid, 1, _("_Pictures"), _("Pictures"), _("A folder of pictures, each with a .txt file that says what it shows"), pictures, self->pictures);
  attach (self, grid, 2, _("_Name"), _("Name"), _("What the LoRA will be called"), self->name, self->name);
  attach (self, grid, 3, _("P_reset"), _("Preset"), _("Settings for the training: small for models like the one that comes along"), self->preset, self->preset);
  attach (self, grid, 4, _("Si_ze"), _("Size"), _("Pixels per side of the pictures it learns from"), self->size, self->size);
  attach (self, grid, 5, _("_Iterations"), _("Iterations"), _("How often the student is corrected: more is better and takes longer"), self->steps, self->steps);
}

static void
finalize (GObject *object)
{
  g_clear_pointer (&FB_DISTILL_NEW (object)->presets, g_variant_unref);

  G_OBJECT_CLASS (fb_distill_new_parent_class)->finalize (object);
}

static void
fb_distill_new_class_init (FbDistillNewClass *class)
{
  G_OBJECT_CLASS (class)->finalize = finalize;
  signals[SIGNAL_STARTED] = g_signal_new ("started", FB_TYPE_DISTILL_NEW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_VARIANT);
}

static void
fb_distill_new_init (FbDistillNew *self)
{
  GtkWidget *grid = gtk_grid_new ();
  GtkWidget *text = gtk_label_new (_("A model that needs many steps teaches a small LoRA to draw as well in one to four. Give it a folder of pictures of the "
                                     "kind it should draw; the job goes on in the background when this window or GIMP is closed."));

  gtk_orientable_set_orientation (GTK_ORIENTABLE (self), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (self), 12);
  gtk_label_set_line_wrap (GTK_LABEL (text), TRUE);
  gtk_label_set_xalign (GTK_LABEL (text), 0.0);
  gtk_label_set_max_width_chars (GTK_LABEL (text), 60);
  gtk_grid_set_row_spacing (GTK_GRID (grid), 6);
  gtk_grid_set_column_spacing (GTK_GRID (grid), 12);
  fill (self, grid);
  self->start = gtk_button_new_with_mnemonic (_("_Start"));
  gtk_widget_set_halign (self->start, GTK_ALIGN_END);
  gtk_box_pack_start (GTK_BOX (self), text, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), grid, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), self->start, FALSE, FALSE, 0);

  g_signal_connect_swapped (self->pictures, "changed", G_CALLBACK (on_pictures), self);
  g_signal_connect_swapped (self->name, "changed", G_CALLBACK (on_name), self);
  g_signal_connect_swapped (self->preset, "changed", G_CALLBACK (on_preset), self);
  g_signal_connect_swapped (self->start, "clicked", G_CALLBACK (start), self);
  update (self);
}

GtkWidget *
fb_distill_new_new (FbPanel *panel)
{
  FbDistillNew *self = g_object_new (FB_TYPE_DISTILL_NEW, NULL);

  self->panel = panel;

  return GTK_WIDGET (self);
}
