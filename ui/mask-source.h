/* ui/mask-source.h: masks that are in an image already. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

#include "ui/mask.h"

typedef enum
{
  FB_MASK_FROM_SELECTION,
  FB_MASK_FROM_CHANNEL,
  FB_MASK_FROM_LAYER,           /* its brightness times its alpha */
  FB_MASK_FROM_LAYER_MASK,
} FbMaskFrom;

/* "selection", "channel", "layer" or "layer-mask"; anything else is the first */
FbMaskFrom fb_mask_from_name (const char *name);

/**
 * fb_mask_find:
 * @layer: (nullable): whose mask is meant where no @name is given
 * @name: (nullable): of the channel, the layer, or the layer that has the mask
 *
 * Returns: (transfer none): what to read, or %NULL with %FB_TARGET_ERROR_INPUT; the sentence names the nearest thing
 */
GimpDrawable * fb_mask_find (GimpImage *image, GimpLayer *layer, FbMaskFrom from, const char *name, GError **error);

/**
 * fb_mask_read_drawable:
 * @drawable: the selection, a channel, a layer or a layer mask of @image; only read
 *
 * Returns: (transfer full): it as a mask of the whole canvas, empty where it does not reach
 */
FbMask *       fb_mask_read_drawable (GimpImage *image, GimpDrawable *drawable);

/* (transfer full): 255 where @layer, on the canvas, has nothing to show: what an enlarged canvas leaves open */
FbMask *       fb_mask_of_what_is_open (GimpImage *image, GimpDrawable *layer);
