/* ui/estimator.h: what the settings would cost, asked as they change. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

#include "core/engine/client.h"
#include "ui/args.h"
#include "ui/target.h"

/**
 * FbEstimator: asks the engine a moment after the last change of the config, and again when told to. Where the config
 * leaves the size open, it asks twice: for the model's own size, then with the size that fits the place. Signal "changed"
 * (void) when the answer is there.
 */
#define FB_TYPE_ESTIMATOR (fb_estimator_get_type ())
G_DECLARE_FINAL_TYPE (FbEstimator, fb_estimator, FB, ESTIMATOR, GObject)

/* (transfer full): the place that pictures would be made for now */
typedef FbTarget * (* FbMeasureFunc) (gpointer user_data);

FbEstimator * fb_estimator_new          (FbEngineClient *client, const char *kind, const FbArg *args,
                                         GimpProcedureConfig *config, FbMeasureFunc measure, gpointer user_data);

/* From now on the engine is told the place's size, as that of the picture to come. */
void          fb_estimator_tell_source  (FbEstimator *self);

/* Asks in a moment, so that many changes make one question; or at once. */
void          fb_estimator_ask          (FbEstimator *self);
void          fb_estimator_ask_now      (FbEstimator *self);

/* whether the answer is for the settings as they are now */
gboolean      fb_estimator_is_current   (FbEstimator *self);

/* the model's own size; valid when there is a resolved request */
void          fb_estimator_get_model_size (FbEstimator *self, int *width, int *height);

/* (transfer none) (nullable): a{sv}, the request with the model's own values; %NULL before the first answer and on errors */
GVariant *    fb_estimator_get_resolved (FbEstimator *self);

/* (transfer none) (nullable): why the settings cannot be run */
const GError * fb_estimator_get_error   (FbEstimator *self);

/* (transfer full): a sentence on time and memory, or the error's */
char *        fb_estimator_get_text     (FbEstimator *self);

/* (transfer full): "12 s", "3 min 5 s" */
char *        fb_format_seconds         (double seconds);
