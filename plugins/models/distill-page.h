/* plugins/models/distill-page.h: distillation jobs: a new one, and how those stand that there are. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "plugins/models/panel.h"

GtkWidget * fb_distill_page_new (FbPanel *panel);
