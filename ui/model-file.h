/* ui/model-file.h: choosing a model's file. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

typedef void (* FbModelFileFunc) (const char *path, gpointer user_data);

/**
 * fb_model_file_choose:
 * @parent: a widget of the dialog that asks
 * @chosen: called with the path of a .safetensors file, or of the folder whose model_index.json was chosen; not called
 *   when the user changes their mind, or when @parent has gone
 *
 * Returns at once.
 */
void   fb_model_file_choose (GtkWidget *parent, const char *title, FbModelFileFunc chosen, gpointer user_data);

/* (transfer full): a short name for @model, which is a name or a path: "dreams" for ".../dreams.safetensors" */
char * fb_model_file_label  (const char *model);
