/* ui/message-bar.c: a sentence across the top of a window, until it is closed. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/message-bar.h"

#include <atk/atk.h>

struct _FbMessageBar
{
  GtkInfoBar  parent_instance;
  GtkImage   *icon;
  GtkLabel   *label;
};

G_DEFINE_FINAL_TYPE (FbMessageBar, fb_message_bar, GTK_TYPE_INFO_BAR)

void
fb_message_bar_hide (FbMessageBar *self)
{
  gtk_widget_hide (GTK_WIDGET (self));
}

void
fb_message_bar_show (FbMessageBar *self, GtkMessageType type, const char *text)
{
  const char *icon = type == GTK_MESSAGE_ERROR ? "dialog-error" : type == GTK_MESSAGE_WARNING ? "dialog-warning" : "dialog-information";

  gtk_info_bar_set_message_type (GTK_INFO_BAR (self), type);
  gtk_image_set_from_icon_name (self->icon, icon, GTK_ICON_SIZE_LARGE_TOOLBAR);
  gtk_label_set_text (self->label, text);
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (self)), text);
  gtk_widget_show (GTK_WIDGET (self));
}

static void
fb_message_bar_class_init (FbMessageBarClass *class)
{
}

static void
fb_message_bar_init (FbMessageBar *self)
{
  GtkWidget *inside = gtk_info_bar_get_content_area (GTK_INFO_BAR (self));

  self->icon  = GTK_IMAGE (gtk_image_new ());
  self->label = GTK_LABEL (gtk_label_new (NULL));
  gtk_label_set_line_wrap (self->label, TRUE);
  gtk_label_set_xalign (self->label, 0.0);
  gtk_label_set_selectable (self->label, TRUE);
  gtk_container_add (GTK_CONTAINER (inside), GTK_WIDGET (self->icon));
  gtk_container_add (GTK_CONTAINER (inside), GTK_WIDGET (self->label));
  atk_object_set_role (gtk_widget_get_accessible (GTK_WIDGET (self->icon)), ATK_ROLE_ICON);
  gtk_info_bar_set_show_close_button (GTK_INFO_BAR (self), TRUE);
  g_signal_connect (self, "response", G_CALLBACK (fb_message_bar_hide), NULL);
  gtk_widget_show_all (GTK_WIDGET (self));
  gtk_widget_hide (GTK_WIDGET (self));
  gtk_widget_set_no_show_all (GTK_WIDGET (self), TRUE);
}

GtkWidget *
fb_message_bar_new (void)
{
  return g_object_new (FB_TYPE_MESSAGE_BAR, NULL);
}
