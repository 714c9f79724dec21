/* ui/result.h: a finished picture, its seed and what made it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/client.h"
#include "ui/mask.h"

/**
 * FbResult: reference-counted
 * @parameters: (nullable): a{sv} from the engine: prompt, model and LoRA hashes, sampler, sizes, versions
 * @mask: (nullable): what the user painted
 */
typedef struct
{
  FbImage  *image;
  gint64    seed;
  GVariant *parameters;
  FbMask   *mask;
} FbResult;

/* references @image and @parameters */
FbResult * fb_result_new            (FbImage *image, gint64 seed, GVariant *parameters);
FbResult * fb_result_ref            (FbResult *result);
void       fb_result_unref          (FbResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbResult, fb_result_unref)

/* Hashes of large models are known only when the job has finished. */
void       fb_result_set_parameters (FbResult *result, GVariant *parameters);
void       fb_result_set_mask       (FbResult *result, const FbMask *mask);
