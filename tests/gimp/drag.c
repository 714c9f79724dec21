/* tests/gimp/drag.c: a window to drag a file from. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * flashbrush-drag FILE: a window of 200 × 100 pixels at the screen's top right corner, titled "Drag"; ends when the file has been dropped somewhere.
 */
#include <gtk/gtk.h>

static void
on_data_get (GtkWidget *window, GdkDragContext *context, GtkSelectionData *data, guint info, guint time, char **uris)
{
  gtk_selection_data_set_uris (data, uris);
}

int
main (int argc, char **argv)
{
  g_autofree char *uri    = NULL;
  char            *uris[] = { NULL, NULL };
  GtkWidget       *window;

  if (!gtk_init_check (&argc, &argv) || argc != 2)
    return 2;
  uri     = g_filename_to_uri (argv[1], NULL, NULL);
  uris[0] = uri;
  window  = gtk_window_new (GTK_WINDOW_TOPLEVEL);
  gtk_window_set_title (GTK_WINDOW (window), "Drag");
  gtk_window_set_default_size (GTK_WINDOW (window), 200, 100);
  gtk_window_move (GTK_WINDOW (window), 1060, 0);
  gtk_drag_source_set (window, GDK_BUTTON1_MASK, NULL, 0, GDK_ACTION_COPY);
  gtk_drag_source_add_uri_targets (window);
  g_signal_connect (window, "drag-data-get", G_CALLBACK (on_data_get), uris);
  g_signal_connect (window, "drag-end", G_CALLBACK (gtk_main_quit), NULL);
  gtk_widget_show (window);
  gtk_main ();

  return 0;
}
