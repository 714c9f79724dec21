/* plugins/upscale/dialog.h: the window. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

/* (blocking): opens the dialog and returns when it is closed: the procedure's return values */
GimpValueArray * upscale_dialog_run (GimpProcedure *procedure, GimpProcedureConfig *config, GimpImage *image);
