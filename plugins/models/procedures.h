/* plugins/models/procedures.h: what works without a window. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "plugins/models/procedure-table.h"

/* plugins/models/model-procedures.c: plug-in-flashbrush-models-*; ends with a row without name */
extern const FbProcedureRow fb_model_procedures[];

/* plugins/models/distill-procedures.c: plug-in-flashbrush-distill and those beside it; ends with a row without name */
extern const FbProcedureRow fb_distill_procedures[];
