/* ui/lora-list.h: LoRAs and their strengths. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

/* FbLoraList: one row for each LoRA, and a button that adds one; property "loras" as, each "NAME=STRENGTH" */
#define FB_TYPE_LORA_LIST (fb_lora_list_get_type ())
G_DECLARE_FINAL_TYPE (FbLoraList, fb_lora_list, FB, LORA_LIST, GtkBox)

GtkWidget * fb_lora_list_new        (void);

/* @models: aa{sv} as fb_engine_client_list_models_finish() gives it; those of kind "lora" are offered */
void        fb_lora_list_set_models (FbLoraList *self, GVariant *models);

/* the button, which a label's mnemonic should go to */
GtkWidget * fb_lora_list_get_button (FbLoraList *self);
