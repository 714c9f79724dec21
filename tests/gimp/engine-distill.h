/* tests/gimp/engine-distill.h: distillation without models, for what GIMP's side does with it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/job-kind.h"

/* A job takes $FB_TEST_STEP_MS (50) per step and 100 steps, after the time of $FB_TEST_MEASURE (0) steps in which its first is measured; one whose name
 * starts with "fail" fails after the tenth; losses fall, and every 20 steps there is a sample. Jobs run one after another. At 2048 pixels, no memory
 * would do. */
GVariant * fb_test_distill_presets (FbTask *task, GError **error);
GVariant * fb_test_distill_start   (FbTask *task, GError **error);
GVariant * fb_test_distill_list    (FbTask *task, GError **error);
GVariant * fb_test_distill_pause   (FbTask *task, GError **error);
GVariant * fb_test_distill_resume  (FbTask *task, GError **error);
GVariant * fb_test_distill_stop    (FbTask *task, GError **error);
GVariant * fb_test_distill_remove  (FbTask *task, GError **error);
GVariant * fb_test_distill_watch   (FbTask *task, GError **error);
gboolean   fb_test_distill_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error);
