/* plugins/upscale/request.h: from a layer to an engine's job. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/client.h"
#include "ui/target.h"

/* (transfer full): the place as it is; the results' records will say what made them */
FbTarget * upscale_target_new  (GimpImage *image, GimpDrawable **drawables);

/* Makes the one layer that is chosen, or the selected part of it, the picture to make larger. */
gboolean   upscale_use_input   (FbTarget *target, GError **error);

/* (transfer full): @request with the size of the picture, for an estimate */
GVariant * upscale_with_source (GVariant *request, const FbTarget *target);

/**
 * upscale_job_new:
 * @resolved: what the engine has made of @request: how much larger
 * @target: has its input; its place becomes the result's, around the same center
 *
 * Returns: (transfer full): a job ready to start, or %NULL with @error when the layer cannot be read
 */
FbJob *    upscale_job_new     (FbEngineClient *client, GVariant *request, GVariant *resolved, FbTarget *target, GError **error);
