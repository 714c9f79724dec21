/* core/engine/trade.h: what the real engine does. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/job-kind.h"

/* core/engine/kind-generate.c */
gboolean   fb_kind_generate_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error);
GVariant * fb_kind_generate_run      (FbTask *task, GError **error);

/* core/engine/kind-inpaint.c */
gboolean   fb_kind_inpaint_estimate  (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error);
GVariant * fb_kind_inpaint_run       (FbTask *task, GError **error);

/* core/engine/kind-models.c: bringing models into memory, out of it, and checking their files */
GVariant * fb_kind_load_run          (FbTask *task, GError **error);
GVariant * fb_kind_unload_run        (FbTask *task, GError **error);
GVariant * fb_kind_verify_run        (FbTask *task, GError **error);

/* core/engine/trade.c: the table of the above, and the questions */
extern const FbTrade fb_trade;
