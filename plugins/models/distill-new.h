/* plugins/models/distill-new.h: what a new distillation job needs to know. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "plugins/models/panel.h"

/* FbDistillNew: signal started (GVariant *job): a job as the engine lists it has been started from this form */
#define FB_TYPE_DISTILL_NEW (fb_distill_new_get_type ())
G_DECLARE_FINAL_TYPE (FbDistillNew, fb_distill_new, FB, DISTILL_NEW, GtkBox)

GtkWidget * fb_distill_new_new         (FbPanel *panel);

/* @models: as the engine lists them; @presets: aa{sv}, as "distill-presets" gives them */
void        fb_distill_new_set_models  (FbDistillNew *self, GVariant *models);
void        fb_distill_new_set_presets (FbDistillNew *self, GVariant *presets);
