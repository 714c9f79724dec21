/* core/engine/trade.h: what the real engine does. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/job-kind.h"

/* core/engine/kind-generate.c */
gboolean   fb_kind_generate_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error);
GVariant * fb_kind_generate_run      (FbTask *task, GError **error);

/* core/engine/kind-inpaint.c */
gboolean   fb_kind_inpaint_estimate  (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error);
GVariant * fb_kind_inpaint_run       (FbTask *task, GError **error);

/* core/engine/kind-upscale.c */
gboolean   fb_kind_upscale_estimate  (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error);
GVariant * fb_kind_upscale_run       (FbTask *task, GError **error);

/* core/engine/kind-models.c: bringing models into memory, and out of it */
GVariant * fb_kind_load_run          (FbTask *task, GError **error);
GVariant * fb_kind_unload_run        (FbTask *task, GError **error);

/* core/engine/kind-store.c: what is installed, and what it is for */
GVariant * fb_kind_import_run        (FbTask *task, GError **error);
GVariant * fb_kind_remove_run        (FbTask *task, GError **error);
GVariant * fb_kind_set_default_run   (FbTask *task, GError **error);
GVariant * fb_kind_verify_run        (FbTask *task, GError **error);

/* core/engine/kind-distill.c: distillation jobs, which are done in the background */
gboolean   fb_kind_distill_start_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error);
GVariant * fb_kind_distill_presets_run (FbTask *task, GError **error);
GVariant * fb_kind_distill_start_run   (FbTask *task, GError **error);
GVariant * fb_kind_distill_list_run    (FbTask *task, GError **error);
GVariant * fb_kind_distill_pause_run   (FbTask *task, GError **error);
GVariant * fb_kind_distill_resume_run  (FbTask *task, GError **error);
GVariant * fb_kind_distill_stop_run    (FbTask *task, GError **error);
GVariant * fb_kind_distill_remove_run  (FbTask *task, GError **error);
GVariant * fb_kind_distill_watch_run   (FbTask *task, GError **error);

/* core/engine/trade.c: the table of the above, and the questions */
extern const FbTrade fb_trade;
