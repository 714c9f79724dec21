/* ui/form.c: the widgets for a table of arguments. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/form.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>
#include <libgimp/gimpui.h>

#include "ui/auto-spin.h"
#include "ui/lora-list.h"
#include "ui/model-chooser.h"

#define N_COLUMNS   4
#define LINE_HEIGHT 18

struct _FbForm
{
  GtkBox               parent_instance;
  GimpProcedureConfig *config;
  const FbArg         *args;
  GHashTable          *places;        /* of Place, by argument */
  GtkWidget           *grid;          /* the one that is being filled */
  int                  row;
};

typedef struct
{
  const FbArg *arg;
  GtkWidget   *label;
  GtkWidget   *widget;                /* what is packed */
  GtkWidget   *focus;                 /* what takes the keyboard, @widget or a part of it */
  GtkWidget   *reason;                /* NULL until there is one */
} Place;

G_DEFINE_FINAL_TYPE (FbForm, fb_form, GTK_TYPE_BOX)

/* --- one widget per kind of argument ------------------------------------------------------------------------------------ */

static void
bind (FbForm *self, const FbArg *arg, gpointer widget, const char *property)
{
  g_object_bind_property (self->config, arg->name, widget, property, G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE);
}

static void
make_text (FbForm *self, Place *place)
{
  GtkWidget     *window = gtk_scrolled_window_new (NULL, NULL);
  GtkWidget     *view   = gtk_text_view_new ();
  GtkTextBuffer *buffer = gimp_prop_text_buffer_new (G_OBJECT (self->config), place->arg->name, -1);

  gtk_text_view_set_buffer (GTK_TEXT_VIEW (view), buffer);
  g_object_unref (buffer);
  gtk_text_view_set_wrap_mode (GTK_TEXT_VIEW (view), GTK_WRAP_WORD_CHAR);
  gtk_text_view_set_accepts_tab (GTK_TEXT_VIEW (view), FALSE);         /* Tab goes on to the next field */
  gtk_text_view_set_left_margin (GTK_TEXT_VIEW (view), 6);
  gtk_text_view_set_right_margin (GTK_TEXT_VIEW (view), 6);
  gtk_text_view_set_top_margin (GTK_TEXT_VIEW (view), 4);
  gtk_text_view_set_bottom_margin (GTK_TEXT_VIEW (view), 4);
  gtk_scrolled_window_set_shadow_type (GTK_SCROLLED_WINDOW (window), GTK_SHADOW_IN);
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (window), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
  gtk_container_add (GTK_CONTAINER (window), view);
  place->widget = window;
  place->focus  = view;
}

static void
make_number (FbForm *self, Place *place)
{
  const FbArg *arg    = place->arg;
  gboolean     is_int = arg->kind == FB_ARG_KIND_INT;
  gboolean     pixels = arg->maximum >= 4096.0;
  double       step   = pixels ? 8.0 : is_int ? 1.0 : arg->maximum > 1.0 ? 0.5 : 0.05;
  int          digits = is_int ? 0 : arg->maximum > 1.0 ? 1 : 2;

  if (arg->zero_is_auto)
    place->widget = fb_auto_spin_new (arg->maximum, step, digits);
  else
    {
      place->widget = gtk_spin_button_new_with_range (arg->minimum, arg->maximum, step);
      gtk_spin_button_set_digits (GTK_SPIN_BUTTON (place->widget), (guint) digits);
    }
  bind (self, arg, gtk_spin_button_get_adjustment (GTK_SPIN_BUTTON (place->widget)), "value");
}

/* a fraction, as a slider with its number */
static void
make_slider (FbForm *self, Place *place)
{
  const FbArg *arg = place->arg;

  place->widget = gtk_scale_new_with_range (GTK_ORIENTATION_HORIZONTAL, arg->minimum, arg->maximum, 0.01);
  gtk_scale_set_value_pos (GTK_SCALE (place->widget), GTK_POS_RIGHT);
  gtk_scale_set_digits (GTK_SCALE (place->widget), 2);
  bind (self, arg, gtk_range_get_adjustment (GTK_RANGE (place->widget)), "value");
}

static void
draw_seed (GtkButton *button, FbForm *self)
{
  const char      *name = g_object_get_data (G_OBJECT (button), "name");
  g_autofree char *text = g_strdup_printf ("%u", g_random_int ());

  g_object_set (self->config, name, text, NULL);
}

static void
make_seed (FbForm *self, Place *place)
{
  GtkWidget *button = gtk_button_new_from_icon_name ("view-refresh-symbolic", GTK_ICON_SIZE_BUTTON);

  place->widget = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 4);
  place->focus  = gtk_entry_new ();
  gtk_entry_set_width_chars (GTK_ENTRY (place->focus), 8);
  gtk_entry_set_activates_default (GTK_ENTRY (place->focus), TRUE);
  gtk_widget_set_tooltip_text (button, _("Draw a seed"));
  atk_object_set_name (gtk_widget_get_accessible (button), _("Draw a seed"));
  g_object_set_data (G_OBJECT (button), "name", (gpointer) place->arg->name);
  g_signal_connect (button, "clicked", G_CALLBACK (draw_seed), self);
  gtk_box_pack_start (GTK_BOX (place->widget), place->focus, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (place->widget), button, FALSE, FALSE, 0);
  bind (self, place->arg, place->focus, "text");
}

static void
make_model (FbForm *self, Place *place)
{
  gboolean is_checkpoint = g_str_equal (place->arg->model_kind, "checkpoint");

  place->widget = fb_model_chooser_new (place->arg->model_kind, is_checkpoint ? _("Default model") : _("The model's own"),
                                        is_checkpoint ? _("Model") : _("Autoencoder"));
  place->focus  = fb_model_chooser_get_list (FB_MODEL_CHOOSER (place->widget));
  bind (self, place->arg, place->widget, "model");
}

static void
make_loras (FbForm *self, Place *place)
{
  place->widget = fb_lora_list_new ();
  place->focus  = fb_lora_list_get_button (FB_LORA_LIST (place->widget));
  bind (self, place->arg, place->widget, "loras");
}

static void
make_sampler (FbForm *self, Place *place)
{
  place->widget = gtk_combo_box_text_new ();
  gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (place->widget), "", _("The model's own"));
  bind (self, place->arg, place->widget, "active-id");
}

static void
make_string (FbForm *self, Place *place)
{
  place->widget = gtk_entry_new ();
  gtk_entry_set_activates_default (GTK_ENTRY (place->widget), TRUE);
  bind (self, place->arg, place->widget, "text");
}

static void
make_widget (FbForm *self, Place *place)
{
  switch (place->arg->kind)
    {
    case FB_ARG_KIND_STRING:  make_string (self, place);  break;
    case FB_ARG_KIND_TEXT:    make_text (self, place);    break;
    case FB_ARG_KIND_MODEL:   make_model (self, place);   break;
    case FB_ARG_KIND_SAMPLER: make_sampler (self, place); break;
    case FB_ARG_KIND_LORAS:   make_loras (self, place);   break;
    case FB_ARG_KIND_SEED:    make_seed (self, place);    break;
    case FB_ARG_KIND_INT:     make_number (self, place);  break;
    case FB_ARG_KIND_DOUBLE:
      if (place->arg->maximum > 1.0 || place->arg->zero_is_auto)
        make_number (self, place);
      else
        make_slider (self, place);
      break;
    case FB_ARG_KIND_CHOICE:
      place->widget = gimp_prop_choice_combo_box_new (G_OBJECT (self->config), place->arg->name);
      break;
    case FB_ARG_KIND_BOOL:
      place->widget = gtk_check_button_new ();
      bind (self, place->arg, place->widget, "active");
      break;
    }
  if (place->focus == NULL)
    place->focus = place->widget;
}

/* --- rows --------------------------------------------------------------------------------------------------------------- */

/* (transfer full): a translated label without its mnemonic */
static char *
plain_label (const FbArg *arg)
{
  g_auto(GStrv) parts = g_strsplit (_(arg->label), "_", -1);

  return g_strjoinv (NULL, parts);
}

static Place *
place_new (FbForm *self, const char *name)
{
  Place           *place      = g_new0 (Place, 1);
  g_autofree char *plain      = NULL;
  AtkObject       *accessible = NULL;

  place->arg = fb_args_find (self->args, name);
  g_assert (place->arg != NULL);
  plain = plain_label (place->arg);
  make_widget (self, place);

  place->label = gtk_label_new_with_mnemonic (_(place->arg->label));
  gtk_label_set_xalign (GTK_LABEL (place->label), 0.0);
  gtk_label_set_mnemonic_widget (GTK_LABEL (place->label), place->focus);
  gtk_widget_set_tooltip_text (place->widget, _(place->arg->blurb));
  accessible = gtk_widget_get_accessible (place->focus);
  atk_object_set_name (accessible, plain);
  atk_object_set_description (accessible, _(place->arg->blurb));
  gtk_widget_set_hexpand (place->widget, TRUE);
  g_hash_table_insert (self->places, (gpointer) name, place);

  return place;
}

static void
attach_one (FbForm *self, const char *name)
{
  Place   *place    = place_new (self, name);
  gboolean is_large = place->arg->kind == FB_ARG_KIND_TEXT;

  if (is_large)                                       /* the label above, so that the text has the whole width */
    {
      gtk_widget_set_vexpand (place->widget, TRUE);
      gtk_widget_set_size_request (place->widget, -1, 12 + LINE_HEIGHT * (int) place->arg->value);
      gtk_grid_attach (GTK_GRID (self->grid), place->label, 0, self->row++, N_COLUMNS, 1);
      gtk_grid_attach (GTK_GRID (self->grid), place->widget, 0, self->row++, N_COLUMNS, 1);
    }
  else
    {
      /* several rows high: the label stays beside the first */
      if (place->arg->kind == FB_ARG_KIND_LORAS || FB_IS_MODEL_CHOOSER (place->widget))
        {
          gtk_widget_set_valign (place->label, GTK_ALIGN_START);
          gtk_widget_set_margin_top (place->label, 8);
        }
      gtk_grid_attach (GTK_GRID (self->grid), place->label, 0, self->row, 1, 1);
      gtk_grid_attach (GTK_GRID (self->grid), place->widget, 1, self->row++, N_COLUMNS - 1, 1);
    }
  self->row++;                                        /* for a reason */
}

static void
attach_two (FbForm *self, const char *left, const char *right)
{
  Place *places[] = { place_new (self, left), place_new (self, right) };

  for (int i = 0; i < 2; i++)
    {
      gtk_grid_attach (GTK_GRID (self->grid), places[i]->label, 2 * i, self->row, 1, 1);
      gtk_grid_attach (GTK_GRID (self->grid), places[i]->widget, 2 * i + 1, self->row, 1, 1);
    }
  self->row += 2;
}

static GtkWidget *
grid_new (void)
{
  GtkWidget *grid = gtk_grid_new ();

  gtk_grid_set_row_spacing (GTK_GRID (grid), 4);
  gtk_grid_set_column_spacing (GTK_GRID (grid), 8);

  return grid;
}

static void
on_expanded (GtkExpander *expander, GParamSpec *pspec, FbForm *self)
{
  if (gtk_expander_get_expanded (expander))
    g_signal_emit_by_name (self, "grown");
}

static void
fold (FbForm *self)
{
  GtkWidget *expander = gtk_expander_new_with_mnemonic (_("More settings"));

  g_signal_connect (expander, "notify::expanded", G_CALLBACK (on_expanded), self);

  self->grid = grid_new ();
  gtk_container_set_border_width (GTK_CONTAINER (self->grid), 4);
  gtk_container_add (GTK_CONTAINER (expander), self->grid);
  gtk_box_pack_start (GTK_BOX (self), expander, FALSE, FALSE, 0);
}

static void
fill (FbForm *self, const char * const *layout)
{
  self->grid = grid_new ();
  gtk_box_pack_start (GTK_BOX (self), self->grid, TRUE, TRUE, 0);

  for (int i = 0; layout[i] != NULL; i++)
    {
      g_auto(GStrv) names = g_strsplit (layout[i], "|", 2);

      if (g_str_equal (layout[i], ">"))
        fold (self);
      else if (names[1] != NULL)
        attach_two (self, fb_args_find (self->args, names[0])->name, fb_args_find (self->args, names[1])->name);
      else
        attach_one (self, layout[i]);
    }
}

/* --- what is learned later ---------------------------------------------------------------------------------------------- */

GtkWidget *
fb_form_get_widget (FbForm *self, const char *name)
{
  Place *place = g_hash_table_lookup (self->places, name);

  return place != NULL ? place->focus : NULL;
}

static GtkWidget *
reason_new (Place *place)
{
  GtkWidget *reason = gtk_label_new (NULL);
  GtkWidget *grid   = gtk_widget_get_parent (place->widget);
  int        row;

  gtk_container_child_get (GTK_CONTAINER (grid), place->widget, "top-attach", &row, NULL);
  gtk_label_set_xalign (GTK_LABEL (reason), 0.0);
  gtk_label_set_line_wrap (GTK_LABEL (reason), TRUE);
  gtk_label_set_max_width_chars (GTK_LABEL (reason), 40);
  gtk_style_context_add_class (gtk_widget_get_style_context (reason), GTK_STYLE_CLASS_DIM_LABEL);
  gtk_grid_attach (GTK_GRID (grid), reason, 0, row + 1, N_COLUMNS, 1);

  return reason;
}

void
fb_form_set_reason (FbForm *self, const char *name, gboolean sensitive, const char *reason)
{
  Place *place = g_hash_table_lookup (self->places, name);

  if (place == NULL)
    return;
  if (place->reason == NULL && reason != NULL)
    place->reason = reason_new (place);
  if (place->reason != NULL)
    {
      gtk_label_set_text (GTK_LABEL (place->reason), reason != NULL ? reason : "");
      gtk_widget_set_visible (place->reason, reason != NULL);
      if (reason != NULL)
        g_signal_emit_by_name (self, "grown");
    }
  gtk_widget_set_sensitive (place->widget, sensitive);
  gtk_widget_set_tooltip_text (place->widget, reason != NULL ? reason : _(place->arg->blurb));
  atk_object_set_description (gtk_widget_get_accessible (place->focus), reason != NULL ? reason : _(place->arg->blurb));
}

void
fb_form_set_models (FbForm *self, GVariant *models)
{
  GHashTableIter iter;
  gpointer       value;

  g_hash_table_iter_init (&iter, self->places);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Place *place = value;

      if (FB_IS_MODEL_CHOOSER (place->widget))
        fb_model_chooser_set_models (FB_MODEL_CHOOSER (place->widget), models);
      else if (FB_IS_LORA_LIST (place->widget))
        fb_lora_list_set_models (FB_LORA_LIST (place->widget), models);
    }
  g_signal_emit_by_name (self, "grown");              /* what a small model cannot do may stand there now */
}

static void
add_samplers (FbForm *self, Place *place, GVariant *samplers)
{
  GtkComboBoxText *combo   = GTK_COMBO_BOX_TEXT (place->widget);
  g_autofree char *current = NULL;
  GVariantIter     iter;
  GVariant        *sampler;

  g_object_get (self->config, place->arg->name, &current, NULL);
  g_variant_iter_init (&iter, samplers);
  while ((sampler = g_variant_iter_next_value (&iter)) != NULL)
    {
      const char *name = NULL, *label = NULL;

      if (g_variant_lookup (sampler, "name", "&s", &name))
        gtk_combo_box_text_append (combo, name, g_variant_lookup (sampler, "label", "&s", &label) ? label : name);
      g_variant_unref (sampler);
    }
  gtk_combo_box_set_active_id (GTK_COMBO_BOX (combo), current);
}

void
fb_form_set_samplers (FbForm *self, GVariant *capabilities)
{
  g_autoptr(GVariant) samplers = g_variant_lookup_value (capabilities, "samplers", G_VARIANT_TYPE ("aa{sv}"));
  GHashTableIter      iter;
  gpointer            value;

  g_hash_table_iter_init (&iter, self->places);
  while (samplers != NULL && g_hash_table_iter_next (&iter, NULL, &value))
    if (((Place *) value)->arg->kind == FB_ARG_KIND_SAMPLER)
      add_samplers (self, value, samplers);
}

void
fb_form_set_resolved (FbForm *self, GVariant *request)
{
  GHashTableIter iter;
  gpointer       value;

  g_hash_table_iter_init (&iter, self->places);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Place  *place    = value;
      double  resolved = -1.0;
      int     integer  = -1;

      if (!FB_IS_AUTO_SPIN (place->widget))
        continue;
      if (request != NULL && g_variant_lookup (request, fb_arg_key (place->arg), "i", &integer))
        resolved = integer;
      else if (request != NULL)
        g_variant_lookup (request, fb_arg_key (place->arg), "d", &resolved);
      fb_auto_spin_set_resolved (FB_AUTO_SPIN (place->widget), resolved);
    }
}

/* --- the object --------------------------------------------------------------------------------------------------------- */

static void
finalize (GObject *object)
{
  g_hash_table_unref (FB_FORM (object)->places);

  G_OBJECT_CLASS (fb_form_parent_class)->finalize (object);
}

static void
fb_form_class_init (FbFormClass *class)
{
  G_OBJECT_CLASS (class)->finalize = finalize;
  g_signal_new ("grown", FB_TYPE_FORM, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
fb_form_init (FbForm *self)
{
  self->places = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  gtk_orientable_set_orientation (GTK_ORIENTABLE (self), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (self), 4);
}

GtkWidget *
fb_form_new (GimpProcedureConfig *config, const FbArg *args, const char * const *layout)
{
  FbForm *self = g_object_new (FB_TYPE_FORM, NULL);

  self->config = config;          /* not referenced: libgimp asks for that, and the dialog ends before the config does */
  self->args   = args;
  fill (self, layout);
  gtk_widget_show_all (GTK_WIDGET (self));

  return GTK_WIDGET (self);
}
