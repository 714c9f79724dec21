/* ui/form.h: the widgets for a table of arguments. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>
#include <libgimp/gimp.h>

#include "ui/args.h"

/**
 * FbForm: one widget for each argument, bound to the procedure's config in both directions.
 *
 * A layout is a list of rows, from top to bottom, that ends with %NULL: "name" for one argument, "name|name" for two side by
 * side; what follows the row ">" is folded away until asked for. Signal grown (void): it was, or something else came up, so that there is more to show.
 */
#define FB_TYPE_FORM (fb_form_get_type ())
G_DECLARE_FINAL_TYPE (FbForm, fb_form, FB, FORM, GtkBox)

GtkWidget * fb_form_new          (GimpProcedureConfig *config, const FbArg *args, const char * const *layout);

/* (transfer none): the widget that takes the keyboard for @name */
GtkWidget * fb_form_get_widget   (FbForm *self, const char *name);

/* Greys out @name, or not; @reason (nullable) is shown below it and read as its description. */
void        fb_form_set_reason   (FbForm *self, const char *name, gboolean sensitive, const char *reason);

/* @models: aa{sv}, @capabilities: a{sv}, from the engine */
void        fb_form_set_models   (FbForm *self, GVariant *models);
void        fb_form_set_samplers (FbForm *self, GVariant *capabilities);

/* @request: a{sv}, with what the model fills into the places left open; %NULL while that is unknown */
void        fb_form_set_resolved (FbForm *self, GVariant *request);
