/* plugins/models/distill-view.h: how one distillation job stands. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "plugins/models/panel.h"

#define FB_TYPE_DISTILL_VIEW (fb_distill_view_get_type ())
G_DECLARE_FINAL_TYPE (FbDistillView, fb_distill_view, FB, DISTILL_VIEW, GtkBox)

GtkWidget * fb_distill_view_new  (FbPanel *panel);

/* @job: an entry of what "distill-list" gives; when it is another than before, its curves are fetched from their beginning */
void        fb_distill_view_show (FbDistillView *self, GVariant *job);
