/* ui/model-file.c: choosing a model's file. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/model-file.h"

#include <glib/gi18n-lib.h>

typedef struct
{
  FbModelFileFunc chosen;
  gpointer        user_data;
} Request;

static void
on_response (GtkDialog *dialog, int response, Request *request)
{
  if (response == GTK_RESPONSE_ACCEPT)
    {
      g_autofree char *path = gtk_file_chooser_get_filename (GTK_FILE_CHOOSER (dialog));

      /* a diffusers model is a folder, known by this file */
      if (path != NULL && g_str_has_suffix (path, G_DIR_SEPARATOR_S "model_index.json"))
        *strrchr (path, G_DIR_SEPARATOR) = '\0';
      if (path != NULL)
        request->chosen (path, request->user_data);
    }
  gtk_widget_destroy (GTK_WIDGET (dialog));
}

static void
free_request (gpointer request, GClosure *closure)
{
  g_free (request);
}

void
fb_model_file_choose (GtkWidget *parent, const char *title, FbModelFileFunc chosen, gpointer user_data)
{
  GtkWindow     *window  = GTK_WINDOW (gtk_widget_get_toplevel (parent));
  GtkFileFilter *filter  = gtk_file_filter_new ();
  Request       *request = g_new (Request, 1);
  GtkWidget     *dialog;

  dialog = gtk_file_chooser_dialog_new (title, window, GTK_FILE_CHOOSER_ACTION_OPEN,
                                        _("_Cancel"), GTK_RESPONSE_CANCEL, _("_Open"), GTK_RESPONSE_ACCEPT, NULL);
  gtk_file_filter_set_name (filter, _("Models (*.safetensors, model_index.json)"));
  gtk_file_filter_add_pattern (filter, "*.safetensors");
  gtk_file_filter_add_pattern (filter, "*.safetensors.index.json");
  gtk_file_filter_add_pattern (filter, "model_index.json");
  gtk_file_chooser_add_filter (GTK_FILE_CHOOSER (dialog), filter);
  gtk_dialog_set_default_response (GTK_DIALOG (dialog), GTK_RESPONSE_ACCEPT);
  gtk_window_set_modal (GTK_WINDOW (dialog), TRUE);
  gtk_window_set_destroy_with_parent (GTK_WINDOW (dialog), TRUE);

  *request = (Request) { chosen, user_data };
  g_signal_connect_data (dialog, "response", G_CALLBACK (on_response), request, free_request, 0);
  gtk_widget_show (dialog);
}

char *
fb_model_file_label (const char *model)
{
  g_autofree char *name = g_path_get_basename (model);

  if (g_str_has_suffix (name, ".safetensors"))
    name[strlen (name) - strlen (".safetensors")] = '\0';

  return g_steal_pointer (&name);
}
