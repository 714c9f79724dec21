/* ui/dialog-window.c: what the dialog looks like. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dialog-class.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

#define TITLE_BAR 48               /* pixels, generously: GTK does not tell what the window manager adds */

/* Makes the window as high as its content would like it to be, as far as the screen goes. */
static gboolean
grow (gpointer data)
{
  FbDialog     *self    = data;
  GtkWindow    *window  = GTK_WINDOW (self);
  GdkWindow    *gdk     = gtk_widget_get_window (GTK_WIDGET (self));
  GdkDisplay   *display = gtk_widget_get_display (GTK_WIDGET (self));
  GdkRectangle  area;
  int           width, height, natural, x, y, room;

  if (self->form == NULL || gdk == NULL)             /* closed meanwhile, or not shown yet */
    return G_SOURCE_REMOVE;

  gdk_monitor_get_workarea (gdk_display_get_monitor_at_window (display, gdk), &area);
  gtk_window_get_position (window, &x, &y);
  gtk_window_get_size (window, &width, &height);
  gtk_widget_get_preferred_height_for_width (GTK_WIDGET (self), width, NULL, &natural);
  room = area.y + area.height - MAX (y, area.y) - TITLE_BAR;
  if (MIN (natural, room) > height)
    gtk_window_resize (window, width, MIN (natural, room));

  return G_SOURCE_REMOVE;
}

/* once what was just shown or unfolded has its size */
static void
grow_soon (FbDialog *self)
{
  g_idle_add_full (G_PRIORITY_DEFAULT_IDLE, grow, g_object_ref (self), g_object_unref);
}

/* --- messages ----------------------------------------------------------------------------------------------------------- */

void
fb_dialog_set_status (FbDialog *self, const char *text)
{
  gtk_progress_bar_set_text (self->progress, text);
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (self->progress)), *text != '\0' ? text : _("Progress"));
}

void
fb_dialog_hide_message (FbDialog *self)
{
  gtk_widget_hide (GTK_WIDGET (self->bar));
}

void
fb_dialog_show_message (FbDialog *self, GtkMessageType type, const char *text, gboolean anyway, gboolean new_image)
{
  gtk_info_bar_set_message_type (self->bar, type);
  gtk_image_set_from_icon_name (self->bar_icon, type == GTK_MESSAGE_ERROR ? "dialog-error" : "dialog-warning",
                                GTK_ICON_SIZE_LARGE_TOOLBAR);
  gtk_label_set_text (self->message, text);
  gtk_widget_set_visible (self->anyway, anyway);
  gtk_widget_set_visible (self->new_image, new_image);
  gtk_widget_show (GTK_WIDGET (self->bar));
  grow_soon (self);
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (self->bar)), text);
}

/* --- the window --------------------------------------------------------------------------------------------------------- */

static GtkWidget *
bar_new (FbDialog *self)
{
  GtkWidget *bar    = gtk_info_bar_new ();
  GtkWidget *label  = gtk_label_new (NULL);
  GtkWidget *area   = gtk_info_bar_get_action_area (GTK_INFO_BAR (bar));
  GtkWidget *inside = gtk_info_bar_get_content_area (GTK_INFO_BAR (bar));

  self->bar       = GTK_INFO_BAR (bar);
  self->bar_icon  = GTK_IMAGE (gtk_image_new ());
  self->message   = GTK_LABEL (label);
  self->anyway    = gtk_info_bar_add_button (GTK_INFO_BAR (bar), _("Insert Anyway"), FB_RESPONSE_ANYWAY);
  self->new_image = gtk_info_bar_add_button (GTK_INFO_BAR (bar), _("New Image"), FB_RESPONSE_NEW_IMAGE);
  gtk_orientable_set_orientation (GTK_ORIENTABLE (area), GTK_ORIENTATION_HORIZONTAL);
  gtk_label_set_line_wrap (GTK_LABEL (label), TRUE);
  gtk_label_set_xalign (GTK_LABEL (label), 0.0);
  gtk_label_set_selectable (GTK_LABEL (label), TRUE);        /* to be copied into a report */
  gtk_container_add (GTK_CONTAINER (inside), GTK_WIDGET (self->bar_icon));
  gtk_container_add (GTK_CONTAINER (inside), label);
  atk_object_set_role (gtk_widget_get_accessible (GTK_WIDGET (self->bar_icon)), ATK_ROLE_ICON);
  gtk_info_bar_set_show_close_button (GTK_INFO_BAR (bar), TRUE);
  gtk_widget_show_all (bar);
  gtk_widget_hide (bar);
  gtk_widget_set_no_show_all (bar, TRUE);

  return bar;
}

static GtkWidget *
caption_new (FbDialog *self)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);

  self->caption   = GTK_LABEL (gtk_label_new (NULL));
  self->take_seed = gtk_button_new_with_mnemonic (_("Fi_x Seed"));
  gtk_label_set_xalign (self->caption, 0.0);
  gtk_label_set_ellipsize (self->caption, PANGO_ELLIPSIZE_END);
  gtk_widget_set_tooltip_text (self->take_seed, _("Take the seed of the picture shown into the settings"));
  gtk_widget_set_no_show_all (self->take_seed, TRUE);
  gtk_box_pack_start (GTK_BOX (box), GTK_WIDGET (self->caption), TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (box), self->take_seed, FALSE, FALSE, 0);
  gtk_widget_set_size_request (box, -1, 34);                /* the height with the button, so that nothing jumps */

  return box;
}

static GtkWidget *
progress_new (FbDialog *self)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);

  self->progress = GTK_PROGRESS_BAR (gtk_progress_bar_new ());
  self->cancel   = gtk_button_new_with_mnemonic (_("Ca_ncel"));
  gtk_progress_bar_set_show_text (self->progress, TRUE);
  fb_dialog_set_status (self, "");
  gtk_progress_bar_set_ellipsize (self->progress, PANGO_ELLIPSIZE_END);
  gtk_widget_set_valign (GTK_WIDGET (self->progress), GTK_ALIGN_CENTER);
  gtk_widget_set_tooltip_text (self->cancel, _("End the job; pictures already finished stay (Esc)"));
  gtk_box_pack_start (GTK_BOX (box), GTK_WIDGET (self->progress), TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (box), self->cancel, FALSE, FALSE, 0);

  return box;
}

static GtkWidget *
estimate_new (FbDialog *self)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);

  self->warning  = GTK_IMAGE (gtk_image_new_from_icon_name ("dialog-warning", GTK_ICON_SIZE_MENU));
  self->estimate = GTK_LABEL (gtk_label_new (_("Asking the engine…")));
  atk_object_set_role (gtk_widget_get_accessible (GTK_WIDGET (self->warning)), ATK_ROLE_ICON);
  gtk_widget_set_no_show_all (GTK_WIDGET (self->warning), TRUE);
  gtk_label_set_xalign (self->estimate, 0.0);
  gtk_label_set_line_wrap (self->estimate, TRUE);
  gtk_label_set_max_width_chars (self->estimate, 56);
  gtk_label_set_yalign (self->estimate, 0.0);
  gtk_widget_set_size_request (GTK_WIDGET (self->estimate), -1, 36);      /* two lines, so that nothing jumps */
  gtk_box_pack_start (GTK_BOX (box), GTK_WIDGET (self->warning), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), GTK_WIDGET (self->estimate), TRUE, TRUE, 0);

  return box;
}

GtkWidget *
fb_dialog_preview_new (FbDialog *self)
{
  self->preview = FB_PREVIEW_AREA (fb_preview_area_new (_("Describe a picture on the left, then press Generate.")));
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (self->preview)), _("Picture"));
  gtk_widget_set_size_request (GTK_WIDGET (self->preview), 360, 300);

  return GTK_WIDGET (self->preview);
}

static GtkWidget *
right_side_new (FbDialog *self)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);

  self->history  = FB_HISTORY (fb_history_new ());
  gtk_box_pack_start (GTK_BOX (box), FB_DIALOG_GET_CLASS (self)->picture_new (self), TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (box), caption_new (self), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), GTK_WIDGET (self->history), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), progress_new (self), FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), estimate_new (self), FALSE, FALSE, 0);

  return box;
}

static void
add_sides (FbDialog *self)
{
  GtkDialog *dialog  = GTK_DIALOG (self);
  GtkBox    *content = GTK_BOX (gtk_dialog_get_content_area (dialog));
  GtkWidget *sides   = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 18);
  GtkWidget *scroll  = gtk_scrolled_window_new (NULL, NULL);

  self->form = FB_FORM (fb_form_new (self->config, self->layout->args, self->layout->rows));
  g_signal_connect_swapped (self->form, "grown", G_CALLBACK (grow_soon), self);
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (scroll), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
  gtk_scrolled_window_set_propagate_natural_height (GTK_SCROLLED_WINDOW (scroll), TRUE);
  gtk_scrolled_window_set_overlay_scrolling (GTK_SCROLLED_WINDOW (scroll), FALSE);       /* or nobody sees that there is more below */
  gtk_container_add (GTK_CONTAINER (scroll), GTK_WIDGET (self->form));
  gtk_box_pack_start (GTK_BOX (sides), scroll, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (sides), right_side_new (self), TRUE, TRUE, 0);
  gtk_box_pack_start (content, bar_new (self), FALSE, FALSE, 0);
  gtk_box_pack_start (content, sides, TRUE, TRUE, 0);
  gtk_widget_show_all (sides);
}

/* Reset and Close are libgimp's; its OK is our Insert. */
static void
add_buttons (FbDialog *self)
{
  GtkDialog *dialog   = GTK_DIALOG (self);
  GtkWidget *close    = gtk_dialog_get_widget_for_response (dialog, GTK_RESPONSE_CANCEL);
  GtkWidget *another  = gtk_dialog_add_button (dialog, _("Anoth_er Seed"), FB_RESPONSE_ANOTHER);
  GtkWidget *generate = gtk_dialog_add_button (dialog, _("_Generate"), FB_RESPONSE_GENERATE);
  GtkWidget *area     = gtk_widget_get_parent (generate);

  gimp_procedure_dialog_set_ok_label (GIMP_PROCEDURE_DIALOG (self), _("_Insert"));
  gtk_button_set_label (GTK_BUTTON (close), _("_Close"));
  gtk_widget_set_tooltip_text (another, _("Generate again with the same settings and a new seed"));
  gtk_widget_set_tooltip_text (generate, _("Generate (Ctrl+Enter)"));
  gtk_widget_set_tooltip_text (gtk_dialog_get_widget_for_response (dialog, GTK_RESPONSE_OK),
                               _("Put the picture shown into GIMP"));
  gtk_box_reorder_child (GTK_BOX (area), gtk_dialog_get_widget_for_response (dialog, GTK_RESPONSE_OK), -1);
  gtk_dialog_set_default_response (dialog, FB_RESPONSE_GENERATE);
}

void
fb_dialog_fill_window (FbDialog *self)
{
  gtk_window_set_default_size (GTK_WINDOW (self), 940, -1);
  add_sides (self);
  add_buttons (self);
}
