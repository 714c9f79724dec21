/* plugins/inpaint/request.h: from a mask and arguments to the engine's job. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/client.h"
#include "ui/args.h"
#include "ui/mask.h"
#include "ui/target.h"

#define INPAINT_PIXELS_MAX (16 * 1024 * 1024)      /* sent at most; a larger context travels smaller */
#define INPAINT_DRAFT_MAX  (512 * 512)
#define INPAINT_TWO_PASSES 256                     /* the smallest model of which the engine, by itself, makes a second pass */

/**
 * inpaint_use_margins:
 *
 * For "expand", gives @target the margins that the arguments name; no other use has any. %FALSE where the image would become larger than one can be.
 */
gboolean   inpaint_use_margins (FbTarget *target, GimpProcedureConfig *config, GError **error);

/* (transfer full): @mask (transfer none) on the canvas with @target's margins, which are masked */
FbMask *   inpaint_enlarge_mask (const FbMask *mask, const FbTarget *target);

/* (transfer full): the mask that the arguments name; for "expand" without one, what is transparent */
FbMask *   inpaint_find_mask (FbTarget *target, GimpProcedureConfig *config, GError **error);

/* Whether @mask leaves something to do and something to keep, as the use needs it; the sentence says what to do. */
gboolean   inpaint_check_mask (const FbMask *mask, const char *use, GError **error);

/**
 * inpaint_place_target:
 * @resolved: (nullable): what the engine made of @request: its strength where that one leaves it open, as how soft the edges are follows it
 * @native: the model's own size, or 0
 * @earlier: (nullable): what the model has been shown before, which it is to see again where that is on @mask's canvas and holds all that is marked
 *
 * Makes what may change around @mask the place of @target, and what the model has to see what is read.
 */
gboolean   inpaint_place_target (FbTarget *target, GVariant *request, GVariant *resolved, const char *context, const FbMask *mask, int native,
                                 const GdkRectangle *earlier, GError **error);

/**
 * inpaint_job_new:
 * @target: with its input and its place, which becomes all that is seen where the pictures have to be scaled down
 * @mask: of the canvas with @target's margins
 * @native: the model's own size, or 0
 * @pixels_max: of the pictures sent; more are scaled down; up to INPAINT_DRAFT_MAX they are read at a glance
 *
 * Reads what is seen and no more, and in no more detail than the model can use; what is no draft in steps, once the job has been started. Returns:
 * (transfer full): a job ready to start, or %NULL with @error
 */
FbJob *    inpaint_job_new (FbEngineClient *client, GVariant *request, FbTarget *target, const FbMask *mask, int native, int pixels_max, GError **error);
