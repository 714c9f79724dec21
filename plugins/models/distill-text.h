/* plugins/models/distill-text.h: how a distillation job stands, in words. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/* Jobs are entries of what "distill-list" gives. */

gboolean fb_distill_is_in     (GVariant *job, const char *state);
/* whether a job of this state goes on by itself */
gboolean fb_distill_is_active (GVariant *job);

/* (transfer full): "running: step 20 of 400, 5 min left" */
char *   fb_distill_summary   (GVariant *job);

/* (transfer full): what has been measured: "2.1 s per iteration, about 41 min in all; 1.2 GB of memory"; "" before that */
char *   fb_distill_cost      (GVariant *job);
