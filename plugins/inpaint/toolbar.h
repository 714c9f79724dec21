/* plugins/inpaint/toolbar.h: the buttons above the canvas. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "ui/canvas.h"

/**
 * inpaint_toolbar_new:
 * @live: (out): the switch for results while painting
 * @from_selection: (out): the button that takes the selection as the mask
 *
 * Returns: (transfer floating): two rows of controls that act on @canvas
 */
GtkWidget * inpaint_toolbar_new (FbCanvas *canvas, GtkWidget **live, GtkWidget **from_selection);
