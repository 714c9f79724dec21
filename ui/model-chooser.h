/* ui/model-chooser.h: the models the engine knows, and any file. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

/* FbModelChooser: a list of names and a button that takes a file, and under it what a model that comes along cannot do; property "model" s, a name or a path, "" for the default */
#define FB_TYPE_MODEL_CHOOSER (fb_model_chooser_get_type ())
G_DECLARE_FINAL_TYPE (FbModelChooser, fb_model_chooser, FB, MODEL_CHOOSER, GtkBox)

/**
 * fb_model_chooser_new:
 * @kind: "checkpoint" or "vae": what is listed of the models
 * @empty: what the default is called
 * @name: for screen readers
 */
GtkWidget * fb_model_chooser_new        (const char *kind, const char *empty, const char *name);

/* @models: aa{sv} as fb_engine_client_list_models_finish() gives it */
void        fb_model_chooser_set_models (FbModelChooser *self, GVariant *models);

/* the list, which a label's mnemonic should go to */
GtkWidget * fb_model_chooser_get_list   (FbModelChooser *self);
