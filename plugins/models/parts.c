/* plugins/models/parts.c: widgets that a model's and a job's side have in common. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/parts.h"

void
fb_parts_make_heading (GtkLabel *label)
{
  PangoAttrList *bold = pango_attr_list_new ();

  pango_attr_list_insert (bold, pango_attr_weight_new (PANGO_WEIGHT_BOLD));
  pango_attr_list_insert (bold, pango_attr_scale_new (1.2));
  gtk_label_set_attributes (label, bold);
  pango_attr_list_unref (bold);
}

GtkWidget *
fb_parts_add_button (GtkWidget *box, const char *label, const char *tooltip, GCallback callback, gpointer receiver)
{
  GtkWidget *button = gtk_button_new_with_mnemonic (label);

  gtk_widget_set_tooltip_text (button, tooltip);
  g_signal_connect_swapped (button, "clicked", callback, receiver);
  gtk_container_add (GTK_CONTAINER (box), button);

  return button;
}
