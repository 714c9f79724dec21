/* plugins/models/models-page.h: what is installed, and everything one can do with it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "plugins/models/panel.h"

GtkWidget * fb_models_page_new (FbPanel *panel);
