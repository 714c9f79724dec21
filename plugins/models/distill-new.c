/* plugins/models/distill-new.c: what a new distillation job needs to know. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/distill-new.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>
#include <string.h>

#include "plugins/models/model-text.h"
#include "ui/auto-spin.h"
#include "ui/model-chooser.h"
#include "ui/model-list.h"

#define PAUSE_MS 250                /* before asking, while someone types */

struct _FbDistillNew
{
  GtkBox        parent_instance;
  FbPanel      *panel;
  GtkWidget    *teacher, *preset, *pictures, *name, *size, *steps;
  gboolean      named;            /* by the user, not after the folder */
  GtkLabel     *needs, *lack;
  GtkWidget    *start;
  guint         pause;            /* source, or 0 */
  GCancellable *asking;           /* of the question that is out, or NULL */
};

enum { SIGNAL_STARTED, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (FbDistillNew, fb_distill_new, GTK_TYPE_BOX)

/* --- what the form says ------------------------------------------------------------------------------------------------------- */

/* (transfer full) (nullable): the folder of pictures, or the file of prompts, if there is such a one */
static char *
pictures_of (FbDistillNew *self)
{
  g_autofree char *path = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (self->pictures))));

  return g_path_is_absolute (path) && g_file_test (path, G_FILE_TEST_EXISTS) ? g_steal_pointer (&path) : NULL;
}

/* Start waits for what has no default, and says so. */
static void
update (FbDistillNew *self)
{
  g_autofree char *pictures = pictures_of (self);
  g_autofree char *name     = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (self->name))));
  const char      *lack     = "";

  if (pictures == NULL)
    lack = *gtk_entry_get_text (GTK_ENTRY (self->pictures)) == '\0' ? _("Choose a folder of pictures.") : _("There is no such folder or file.");
  else if (*name == '\0')
    lack = _("Give the LoRA a name.");
  gtk_label_set_text (self->lack, lack);
  gtk_widget_set_sensitive (self->start, *lack == '\0');
}

static void
on_name (FbDistillNew *self)
{
  self->named = *gtk_entry_get_text (GTK_ENTRY (self->name)) != '\0';
  update (self);
}

/* the folder's name is a good one for the LoRA, until another is typed; a file's without its ending */
static void
on_pictures (FbDistillNew *self)
{
  g_autofree char *path = pictures_of (self);
  g_autofree char *base = path != NULL ? g_path_get_basename (path) : NULL;
  gboolean         text = base != NULL && (g_str_has_suffix (base, ".txt") || g_str_has_suffix (base, ".tsv"));
  g_autofree char *name = base != NULL ? g_strdup_printf ("%.*s-flash", (int) strlen (base) - (text ? 4 : 0), base) : NULL;

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

/* --- what it would take --------------------------------------------------------------------------------------------------------- */

static void
add_number (GVariantDict *dict, const char *key, GtkWidget *spin)
{
  int number = gtk_spin_button_get_value_as_int (GTK_SPIN_BUTTON (spin));

  if (number > 0)
    g_variant_dict_insert (dict, key, "i", number);
}

static void
add_text (GVariantDict *dict, const char *key, const char *text)
{
  if (text != NULL && *text != '\0')
    g_variant_dict_insert (dict, key, "s", text);
}

/* (transfer floating): for "distill-start" */
static GVariant *
request_of (FbDistillNew *self)
{
  g_autofree char *pictures = pictures_of (self);
  g_autofree char *name     = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (self->name))));
  g_autofree char *teacher  = NULL;
  GVariantDict     dict;

  g_object_get (self->teacher, "model", &teacher, NULL);
  g_variant_dict_init (&dict, NULL);
  add_text (&dict, "pictures", pictures);
  add_text (&dict, "name", name);
  add_text (&dict, "teacher", teacher);
  add_text (&dict, "preset", gtk_combo_box_get_active_id (GTK_COMBO_BOX (self->preset)));
  add_number (&dict, "size", self->size);
  add_number (&dict, "steps", self->steps);

  return g_variant_dict_end (&dict);
}

/* (transfer full): "132 pictures, 3 of them without a caption. ", "" while nothing is chosen */
static char *
pictures_text (GVariant *resolved)
{
  g_autofree char *all = NULL;
  int              n = 0, bare = 0;

  if (g_variant_lookup (resolved, "n-prompts", "i", &n))
    /* Translators: then a space before the next sentence */
    return g_strdup_printf (ngettext ("%d prompt, for which the teacher makes a picture. ", "%d prompts, for which the teacher makes the pictures. ",
                                      (gulong) n), n);
  if (!g_variant_lookup (resolved, "n-pictures", "i", &n))
    return g_strdup ("");
  g_variant_lookup (resolved, "n-without-caption", "i", &bare);
  all = g_strdup_printf (ngettext ("%d picture", "%d pictures", (gulong) n), n);
  if (bare == 0)
    /* Translators: "132 pictures", then a space before the next sentence */
    return g_strdup_printf (_("%s. "), all);

  /* Translators: "132 pictures", how many have no caption, then a space before the next sentence */
  return g_strdup_printf (_("%s, %d of them without a caption. "), all, bare);
}

/* (transfer full) */
static char *
needs_text (const FbJobEstimate *estimate)
{
  g_autofree char *pictures = pictures_text (estimate->resolved);
  g_autofree char *least    = g_format_size (estimate->peak_bytes);
  g_autofree char *limit    = g_format_size (estimate->available_bytes);
  g_autofree char *memory   = NULL;

  if (estimate->available_bytes == 0)                      /* the system does not say */
    memory = g_strdup_printf (_("Needs at least %s of memory. How long it takes is measured with the first iteration."), least);
  else
    memory = g_strdup_printf (_("Needs at least %s of the %s of memory that are free. How long it takes is measured with the first iteration."),
                              least, limit);

  return g_strconcat (pictures, memory, NULL);
}

/* the number that is taken where a field says "Automatic" */
static void
show_resolved (GtkWidget *spin, GVariant *resolved, const char *key)
{
  int number = -1;

  if (resolved != NULL)
    g_variant_lookup (resolved, key, "i", &number);
  fb_auto_spin_set_resolved (FB_AUTO_SPIN (spin), number);
}

static void
on_needs (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(FbDistillNew) self     = data;
  g_autoptr(GError)       error    = NULL;
  g_autofree char        *text     = NULL;
  g_autoptr(GVariant)     resolved = NULL;
  FbJobEstimate           estimate = { 0 };

  if (fb_engine_client_estimate_finish (FB_ENGINE_CLIENT (source), result, &estimate, &error))
    text = needs_text (&estimate);
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))      /* a newer question is out, or the window closed */
    return;
  resolved = estimate.resolved;
  gtk_label_set_text (self->needs, text != NULL ? text : error->message);
  show_resolved (self->size, resolved, "size");
  show_resolved (self->steps, resolved, "steps");
}

static gboolean
ask_needs (gpointer data)
{
  FbDistillNew *self = data;

  self->pause = 0;
  g_cancellable_cancel (self->asking);
  g_clear_object (&self->asking);
  self->asking = g_cancellable_new ();
  fb_engine_client_estimate_async (fb_panel_get_client (self->panel), "distill-start", request_of (self), self->asking, on_needs, g_object_ref (self));

  return G_SOURCE_REMOVE;
}

/* Asks a moment later, so that many changes make one question. */
static void
ask_needs_soon (FbDistillNew *self)
{
  g_clear_handle_id (&self->pause, g_source_remove);
  self->pause = g_timeout_add (PAUSE_MS, ask_needs, self);
}

/* --- what there is to choose from ---------------------------------------------------------------------------------------------- */

/* (transfer full): the trainer has nothing for models that only make pictures larger */
static GVariant *
teachers_of (GVariant *models)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (gsize i = 0; i < g_variant_n_children (models); i++)
    {
      g_autoptr(GVariant) model = g_variant_get_child_value (models, i);

      if (fb_model_list_suits (model, "generate") || fb_model_list_suits (model, "inpaint"))
        g_variant_builder_add_value (&builder, model);
    }

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

void
fb_distill_new_set_models (FbDistillNew *self, GVariant *models)
{
  g_autoptr(GVariant) teachers = teachers_of (models);

  fb_model_chooser_set_models (FB_MODEL_CHOOSER (self->teacher), teachers);
  ask_needs_soon (self);
}

void
fb_distill_new_set_presets (FbDistillNew *self, GVariant *presets)
{
  GtkComboBoxText *combo = GTK_COMBO_BOX_TEXT (self->preset);

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
start (FbDistillNew *self)
{
  g_autofree char *name = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (self->name))));
  g_autofree char *what = g_strdup_printf (_("Starting “%s”"), name);

  fb_panel_do (self->panel, "distill-start", request_of (self), what, on_started, self);
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

  attach (self, grid, 0, _("_Teacher"), _("Teacher"), _("The model that needs many steps; it is not changed"), self->teacher,
          fb_model_chooser_get_list (FB_MODEL_CHOOSER (self->teacher)));
  attach (self, grid, 1, _("_Pictures"), _("Pictures"), _("A folder of pictures, each with a .txt file that says what it shows; or the path of a text file of prompts, for which the teacher makes the pictures"),
          pictures, self->pictures);
  attach (self, grid, 2, _("Nam_e"), _("Name"), _("What the LoRA will be called"), self->name, self->name);
  attach (self, grid, 3, _("P_reset"), _("Preset"), _("Settings for the training: small for models like the one that comes along"), self->preset, self->preset);
  attach (self, grid, 4, _("Si_ze"), _("Size"), _("Pixels per side of the pictures it learns from"), self->size, self->size);
  attach (self, grid, 5, _("_Iterations"), _("Iterations"), _("How often the student is corrected: more is better and takes longer"), self->steps, self->steps);
}

static void
dispose (GObject *object)
{
  FbDistillNew *self = FB_DISTILL_NEW (object);

  g_clear_handle_id (&self->pause, g_source_remove);
  g_cancellable_cancel (self->asking);
  g_clear_object (&self->asking);

  G_OBJECT_CLASS (fb_distill_new_parent_class)->dispose (object);
}

static void
fb_distill_new_class_init (FbDistillNewClass *class)
{
  G_OBJECT_CLASS (class)->dispose = dispose;
  signals[SIGNAL_STARTED] = g_signal_new ("started", FB_TYPE_DISTILL_NEW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_VARIANT);
}

static void
fb_distill_new_init (FbDistillNew *self)
{
  GtkWidget *grid = gtk_grid_new ();
  GtkWidget *foot = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
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
  self->needs = GTK_LABEL (gtk_label_new (_("Asking the engine…")));
  self->lack  = GTK_LABEL (gtk_label_new (NULL));
  self->start = gtk_button_new_with_mnemonic (_("_Start"));
  gtk_label_set_line_wrap (self->needs, TRUE);
  gtk_label_set_xalign (self->needs, 0.0);
  gtk_label_set_max_width_chars (self->needs, 60);
  gtk_label_set_xalign (self->lack, 1.0);
  gtk_box_pack_end (GTK_BOX (foot), self->start, FALSE, FALSE, 0);
  gtk_box_pack_end (GTK_BOX (foot), GTK_WIDGET (self->lack), TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (self), text, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), grid, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), GTK_WIDGET (self->needs), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), foot, FALSE, FALSE, 0);

  g_signal_connect_swapped (self->pictures, "changed", G_CALLBACK (on_pictures), self);
  g_signal_connect_swapped (self->name, "changed", G_CALLBACK (on_name), self);
  g_signal_connect_swapped (self->pictures, "changed", G_CALLBACK (ask_needs_soon), self);
  g_signal_connect_swapped (self->teacher, "notify::model", G_CALLBACK (ask_needs_soon), self);
  g_signal_connect_swapped (self->preset, "changed", G_CALLBACK (ask_needs_soon), self);
  g_signal_connect_swapped (self->size, "value-changed", G_CALLBACK (ask_needs_soon), self);
  g_signal_connect_swapped (self->pictures, "activate", G_CALLBACK (gtk_widget_activate), self->start);
  g_signal_connect_swapped (self->name, "activate", G_CALLBACK (gtk_widget_activate), self->start);
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
