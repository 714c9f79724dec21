/* plugins/models/model-text.h: an entry of the list of models, in words. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * @model is an a{sv} as fb_engine_client_list_models_finish() gives it. All texts are (transfer full).
 */
#pragma once

#include <glib.h>

/* "" where there is none */
const char * fb_model_string   (GVariant *model, const char *key);
gboolean     fb_model_flag     (GVariant *model, const char *key);

/* the title, or the name where there is none */
const char * fb_model_title    (GVariant *model);
/* heading of the section that @kind's entries stand in: "Models", "LoRAs" … */
const char * fb_model_section  (const char *kind);
/* "Stable Diffusion 1.x, 1.2 GB, in memory" */
char *       fb_model_summary  (GVariant *model);

char *       fb_model_size     (GVariant *model);
char *       fb_model_family   (GVariant *model);
/* "LCM, 4 steps, guidance 1", with how it is called for people in @samplers (aa{sv}) */
char *       fb_model_sampling (GVariant *model, GVariant *samplers);
/* where it lies, and what that means for removing it */
char *       fb_model_place    (GVariant *model);
/* "Generate", "Inpaint" … for a task's name */
const char * fb_model_task     (const char *task);
/* "_Use in Generate…", for the button that opens the dialog for this task */
const char * fb_model_use_label (const char *task);
