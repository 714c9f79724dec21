/* ui/list.c: a list of things with two lines each. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/list.h"

#include <atk/atk.h>

/* The list's mnemonic goes to the row that is chosen; the arrows then start from there. */
static gboolean
on_mnemonic (GtkWidget *list, gboolean cycling, gpointer unused)
{
  GtkListBoxRow *row = gtk_list_box_get_selected_row (GTK_LIST_BOX (list));

  gtk_widget_grab_focus (row != NULL ? GTK_WIDGET (row) : list);

  return TRUE;
}

GtkWidget *
fb_list_new (GtkLabel *label, const char *name)
{
  GtkWidget *list = gtk_list_box_new ();

  gtk_list_box_set_selection_mode (GTK_LIST_BOX (list), GTK_SELECTION_BROWSE);
  atk_object_set_name (gtk_widget_get_accessible (list), name);
  gtk_label_set_mnemonic_widget (label, list);
  g_signal_connect (list, "mnemonic-activate", G_CALLBACK (on_mnemonic), NULL);

  return list;
}

static GtkWidget *
line_new (GtkWidget *row, GtkWidget *box, const char *key, PangoEllipsizeMode ellipsize)
{
  GtkWidget *label = gtk_label_new (NULL);

  gtk_label_set_xalign (GTK_LABEL (label), 0.0);
  gtk_label_set_ellipsize (GTK_LABEL (label), ellipsize);
  gtk_container_add (GTK_CONTAINER (box), label);
  g_object_set_data (G_OBJECT (row), key, label);

  return label;
}

GtkWidget *
fb_list_row_new (void)
{
  GtkWidget *row = gtk_list_box_row_new ();
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 2);
  GtkWidget *below;

  gtk_container_set_border_width (GTK_CONTAINER (box), 6);
  line_new (row, box, "title", PANGO_ELLIPSIZE_MIDDLE);
  below = line_new (row, box, "below", PANGO_ELLIPSIZE_END);
  gtk_style_context_add_class (gtk_widget_get_style_context (below), GTK_STYLE_CLASS_DIM_LABEL);
  gtk_container_add (GTK_CONTAINER (row), box);
  gtk_widget_show_all (row);
  gtk_widget_set_no_show_all (below, TRUE);

  return row;
}

void
fb_list_row_set (GtkWidget *row, const char *title, const char *below, GVariant *data)
{
  GtkWidget       *second = g_object_get_data (G_OBJECT (row), "below");
  g_autofree char *name   = below != NULL ? g_strdup_printf ("%s, %s", title, below) : g_strdup (title);

  gtk_label_set_text (g_object_get_data (G_OBJECT (row), "title"), title);
  gtk_label_set_text (GTK_LABEL (second), below != NULL ? below : "");
  gtk_widget_set_visible (second, below != NULL);
  atk_object_set_name (gtk_widget_get_accessible (row), name);
  g_object_set_data_full (G_OBJECT (row), "data", data != NULL ? g_variant_ref (data) : NULL, (GDestroyNotify) g_variant_unref);
}

GVariant *
fb_list_row_get (GtkListBoxRow *row)
{
  return g_object_get_data (G_OBJECT (row), "data");
}
