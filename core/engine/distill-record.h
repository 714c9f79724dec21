/* core/engine/distill-record.h: what a distillation job leaves in its folder as it goes. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/image/image.h"

/* @folder: (nullable): the job's; %NULL, or one without these files, has nothing */

/* (transfer full): a(idddd), the log's steps after @from, at most some thousand of them, evenly; empty when there is no log */
GVariant * fb_distill_record_rows   (const char *folder, int from);

/* (transfer full) (nullable): the newest sample, if its step is above @known; @step: (out) */
FbImage *  fb_distill_record_sample (const char *folder, int known, int *step);
