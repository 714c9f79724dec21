/* ui/handover.h: settings that one window gives the next. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A procedure that opens a dialog starts from its last values, whatever it is called with. So what the dialog should begin with is laid down in a
 * parasite of GIMP's own, which lasts until it is taken or GIMP ends.
 */
#pragma once

#include <libgimp/gimp.h>

#include "ui/args.h"

/* @kind: of the dialog's jobs, "generate". @values: a{sv} with keys of its table; a floating reference is taken */
void fb_handover_put  (const char *kind, GVariant *values);

/* Sets @config from what was laid down for @kind, once; as with a layer's record, only keys of @args with values in range are taken. */
void fb_handover_take (const char *kind, const FbArg *args, GimpProcedureConfig *config);
