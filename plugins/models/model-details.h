/* plugins/models/model-details.h: all that is known of the chosen model, and what can be done with it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "plugins/models/panel.h"

#define FB_TYPE_MODEL_DETAILS (fb_model_details_get_type ())
G_DECLARE_FINAL_TYPE (FbModelDetails, fb_model_details, FB, MODEL_DETAILS, GtkBox)

GtkWidget * fb_model_details_new  (FbPanel *panel);

/* @model: (nullable): an entry of the list; @loaded, @capabilities: as the panel's signal "listed" gives them */
void        fb_model_details_show (FbModelDetails *self, GVariant *model, GVariant *loaded, GVariant *capabilities);
