/* ui/target-private.h: what a target's ids name. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "ui/target.h"

/* (transfer none) (nullable): the image, unless it has gone */
GimpImage *    fb_target_image     (const FbTarget *target);

/* (transfer none) (nullable): a drawable of this id, unless it has gone */
GimpDrawable * fb_drawable_by_id   (int id);

/* (transfer none) (nullable): the target's own layer, or the one whose mask it is */
GimpLayer *    fb_target_layer     (const FbTarget *target);

/* ui/target-pixels.c: */

/* Writes @image, 1, 3 or 4 channels, over all of @buffer, scaled; of 4 channels only the colours. %FALSE when memory runs out. */
gboolean       fb_target_write     (GeglBuffer *buffer, FbImage *image, int width, int height, gboolean stretch);

/* Gives @layer, which is in the image, a mask of @image's alpha. */
void           fb_target_mask      (GimpLayer *layer, FbImage *image);

/* Mixes @image into @layer where its alpha is above 0; every other pixel keeps its bytes. */
gboolean       fb_target_blend     (const FbTarget *target, GimpLayer *layer, FbImage *image, GError **error);
