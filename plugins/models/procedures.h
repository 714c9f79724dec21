/* plugins/models/procedures.h: the models' procedures, complete without a window. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

/* (transfer full): their names, for GimpPlugIn's query */
GList *         fb_model_procedures_list   (void);

/* (transfer full) (nullable): the procedure called @name; NULL for one that is not among them */
GimpProcedure * fb_model_procedures_create (GimpPlugIn *plug_in, const char *name);
