/* plugins/inpaint/dialog.h: the window with the canvas. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

#include "ui/args.h"
#include "ui/mask.h"
#include "ui/target.h"

/**
 * inpaint_dialog_run: (blocking)
 * @asked: the procedure that was called, for the return values
 * @procedure, @config: Inpaint's own, whose arguments the dialog shows
 * @input_id: the layer to work on, 0 for the one that is selected
 * @continued: (nullable): a layer that Inpaint made; of what is visible, it and its variations are left out
 * @mask: (transfer full): the one to begin with
 *
 * Opens the dialog and returns when it is closed.
 */
GimpValueArray * inpaint_dialog_run (GimpProcedure *asked, GimpProcedure *procedure, GimpProcedureConfig *config, const FbArg *args,
                                     GimpImage *image, int input_id, GimpLayer *continued, FbMask *mask);
