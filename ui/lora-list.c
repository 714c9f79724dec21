/* ui/lora-list.c: LoRAs and their strengths. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/lora-list.h"

#include <math.h>

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

#include "ui/args.h"
#include "ui/model-file.h"

#define STRENGTH_MAX 4.0        /* negative strengths take a LoRA's effect away */

struct _FbLoraList
{
  GtkBox     parent_instance;
  GtkWidget *rows;              /* one child for each of loras */
  GtkWidget *button;
  GtkWidget *menu;
  GStrv      loras;
};

enum { PROP_0, PROP_LORAS };

G_DEFINE_FINAL_TYPE (FbLoraList, fb_lora_list, GTK_TYPE_BOX)

static void show_rows (FbLoraList *self);

/* Takes @loras; @rebuild unless the rows show them already. */
static void
take_loras (FbLoraList *self, GStrv loras, gboolean rebuild)
{
  g_strfreev (self->loras);
  self->loras = loras;
  if (rebuild)
    show_rows (self);
  g_object_notify (G_OBJECT (self), "loras");
}

static void
add_lora (const char *name, gpointer data)
{
  FbLoraList              *self    = data;
  g_autoptr(GStrvBuilder)  builder = g_strv_builder_new ();

  g_strv_builder_addv (builder, (const char **) self->loras);
  g_strv_builder_take (builder, fb_args_format_lora (name, 1.0));
  take_loras (self, g_strv_builder_end (builder), TRUE);
}

static int
index_of (FbLoraList *self, GtkWidget *row)
{
  g_autoptr(GList) children = gtk_container_get_children (GTK_CONTAINER (self->rows));

  return g_list_index (children, row);
}

static void
on_remove (GtkButton *button, FbLoraList *self)
{
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new ();
  int                     removed = index_of (self, gtk_widget_get_parent (GTK_WIDGET (button)));

  for (int i = 0; self->loras[i] != NULL; i++)
    if (i != removed)
      g_strv_builder_add (builder, self->loras[i]);
  gtk_widget_grab_focus (self->button);              /* the focus would be lost with the row */
  take_loras (self, g_strv_builder_end (builder), TRUE);
}

static void
on_strength (GtkSpinButton *spin, FbLoraList *self)
{
  int              changed  = index_of (self, gtk_widget_get_parent (GTK_WIDGET (spin)));
  g_auto(GStrv)    loras    = g_strdupv (self->loras);
  g_autofree char *name     = NULL;
  double           strength;

  if (changed < 0 || !fb_args_parse_lora (loras[changed], &name, &strength, NULL))
    return;
  g_free (loras[changed]);
  loras[changed] = fb_args_format_lora (name, rint (gtk_spin_button_get_value (spin) * 100.0) / 100.0);      /* what is shown, without steps' noise */
  take_loras (self, g_steal_pointer (&loras), FALSE);
}

static GtkWidget *
row_new (FbLoraList *self, const char *lora)
{
  GtkWidget       *row         = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 4);
  GtkWidget       *spin        = gtk_spin_button_new_with_range (-STRENGTH_MAX, STRENGTH_MAX, 0.05);
  GtkWidget       *remove      = gtk_button_new_from_icon_name ("list-remove-symbolic", GTK_ICON_SIZE_BUTTON);
  g_autofree char *name        = NULL;
  g_autofree char *short_name  = NULL;
  g_autofree char *spin_name   = NULL;
  g_autofree char *remove_name = NULL;
  double           strength    = 1.0;
  GtkWidget       *label;

  if (!fb_args_parse_lora (lora, &name, &strength, NULL))
    name = g_strdup (lora);
  short_name  = fb_model_file_label (name);
  spin_name   = g_strdup_printf (_("Strength of %s"), short_name);
  remove_name = g_strdup_printf (_("Remove %s"), short_name);

  label = gtk_label_new (short_name);
  gtk_label_set_xalign (GTK_LABEL (label), 0.0);
  gtk_label_set_ellipsize (GTK_LABEL (label), PANGO_ELLIPSIZE_MIDDLE);
  gtk_widget_set_tooltip_text (label, name);
  gtk_spin_button_set_value (GTK_SPIN_BUTTON (spin), strength);
  gtk_widget_set_tooltip_text (spin, spin_name);
  gtk_widget_set_tooltip_text (remove, remove_name);
  atk_object_set_name (gtk_widget_get_accessible (spin), spin_name);
  atk_object_set_name (gtk_widget_get_accessible (remove), remove_name);
  g_signal_connect (spin, "value-changed", G_CALLBACK (on_strength), self);
  g_signal_connect (remove, "clicked", G_CALLBACK (on_remove), self);

  gtk_box_pack_start (GTK_BOX (row), label, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (row), spin, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), remove, FALSE, FALSE, 0);
  gtk_widget_show_all (row);

  return row;
}

static void
empty (GtkWidget *container)
{
  g_autoptr(GList) children = gtk_container_get_children (GTK_CONTAINER (container));

  for (GList *l = children; l != NULL; l = l->next)
    gtk_widget_destroy (l->data);
}

static void
show_rows (FbLoraList *self)
{
  empty (self->rows);
  for (int i = 0; self->loras[i] != NULL; i++)
    gtk_box_pack_start (GTK_BOX (self->rows), row_new (self, self->loras[i]), FALSE, FALSE, 0);
}

/* --- the menu of known LoRAs -------------------------------------------------------------------------------------------- */

static void
on_known (GtkMenuItem *item, FbLoraList *self)
{
  add_lora (g_object_get_data (G_OBJECT (item), "name"), self);
}

static void
on_file (GtkMenuItem *item, FbLoraList *self)
{
  fb_model_file_choose (GTK_WIDGET (self), _("Choose a LoRA"), add_lora, self);
}

static void
append_item (FbLoraList *self, const char *label, GCallback callback, const char *name)
{
  GtkWidget *item = name != NULL ? gtk_menu_item_new_with_label (label) : gtk_menu_item_new_with_mnemonic (label);

  g_object_set_data_full (G_OBJECT (item), "name", g_strdup (name), g_free);
  g_signal_connect (item, "activate", callback, self);
  gtk_menu_shell_append (GTK_MENU_SHELL (self->menu), item);
  gtk_widget_show (item);
}

void
fb_lora_list_set_models (FbLoraList *self, GVariant *models)
{
  GVariantIter  iter;
  GVariant     *model;

  empty (self->menu);
  g_variant_iter_init (&iter, models);
  while ((model = g_variant_iter_next_value (&iter)) != NULL)
    {
      const char *kind = "", *name = NULL;

      g_variant_lookup (model, "kind", "&s", &kind);
      g_variant_lookup (model, "name", "&s", &name);
      if (name != NULL && g_str_equal (kind, "lora"))
        append_item (self, name, G_CALLBACK (on_known), name);
      g_variant_unref (model);
    }
  append_item (self, _("_Choose a file…"), G_CALLBACK (on_file), NULL);
}

GtkWidget *
fb_lora_list_get_button (FbLoraList *self)
{
  return self->button;
}

/* --- the object --------------------------------------------------------------------------------------------------------- */

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  g_value_set_boxed (value, FB_LORA_LIST (object)->loras);
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  static const char * const none[] = { NULL };
  FbLoraList               *self   = FB_LORA_LIST (object);
  const char * const       *loras  = g_value_get_boxed (value);

  if (loras == NULL)
    loras = none;
  if (!g_strv_equal (loras, (const char * const *) self->loras))
    take_loras (self, g_strdupv ((GStrv) loras), TRUE);
}

static void
finalize (GObject *object)
{
  g_strfreev (FB_LORA_LIST (object)->loras);

  G_OBJECT_CLASS (fb_lora_list_parent_class)->finalize (object);
}

static void
fb_lora_list_class_init (FbLoraListClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);

  object_class->get_property = get_property;
  object_class->set_property = set_property;
  object_class->finalize     = finalize;
  g_object_class_install_property (object_class, PROP_LORAS,
                                   g_param_spec_boxed ("loras", NULL, NULL, G_TYPE_STRV,
                                                       G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY));
}

static void
fb_lora_list_init (FbLoraList *self)
{
  self->loras  = g_new0 (char *, 1);
  self->rows   = gtk_box_new (GTK_ORIENTATION_VERTICAL, 2);
  self->button = gtk_menu_button_new ();
  self->menu   = gtk_menu_new ();

  gtk_orientable_set_orientation (GTK_ORIENTABLE (self), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (self), 2);
  gtk_container_add (GTK_CONTAINER (self->button), gtk_label_new (_("Add a LoRA")));
  gtk_menu_button_set_popup (GTK_MENU_BUTTON (self->button), self->menu);
  gtk_widget_set_halign (self->button, GTK_ALIGN_START);
  append_item (self, _("_Choose a file…"), G_CALLBACK (on_file), NULL);
  gtk_box_pack_start (GTK_BOX (self), self->rows, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (self), self->button, FALSE, FALSE, 0);
  gtk_widget_show_all (self->rows);
  gtk_widget_show_all (self->button);
}

GtkWidget *
fb_lora_list_new (void)
{
  return g_object_new (FB_TYPE_LORA_LIST, NULL);
}
