/* core/tasks/upscale-private.h: the pieces of super-resolution. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/tasks/upscale.h"

/* --- the request: core/tasks/upscale-request.c ------------------------------------------------------------------------ */

/* The size of the result. @request is resolved. */
void      fb_upscale_target   (const FbUpscale *request, int *width, int *height);

/* --- in bands of rows, so that a cancel is met soon: core/tasks/upscale-resize.c --------------------------------------- */

/* (transfer full): fb_image_resize(); %NULL with @error set, for want of memory or after a cancel */
FbImage * fb_upscale_resize   (const FbImage *image, int width, int height, GCancellable *cancellable, GError **error);

/**
 * fb_upscale_keep:
 * @picture: (inout): [factor · h, factor · w] RGB
 * @image: [h, w] RGB, what it was made of
 * @faithful: what is to be kept
 *
 * Adds to @picture what the means of its factor × factor squares lack to @image, enlarged smoothly, some times over; for tones, that of larger areas
 * alone. Where that leaves 0 … 1, or @image's own range if that is wider, it is cut off.
 *
 * All on the stored, encoded values, because the networks are trained on pictures that were made smaller so, because a code value's difference is
 * about as visible in the dark as in the light, and because in linear light what is cut off would be most of the dark colours' correction.
 * Source: Irani and Peleg, Improving Resolution by Image Registration, 1991: back-projection.
 */
gboolean  fb_upscale_keep     (FbImage *picture, const FbImage *image, FbFaithful faithful, GCancellable *cancellable, GError **error);

/* --- transparency: core/tasks/upscale-alpha.c --------------------------------------------------------------------------- */

/* (transfer full): RGB of @image; what is wholly transparent takes the colours around it. %NULL when memory runs out */
FbImage * fb_upscale_colours  (const FbImage *image);

/* (transfer full): RGBA: @colours, of any size, with @image's alpha enlarged, which stays between that of the four pixels around. %NULL with @error set */
FbImage * fb_upscale_add_alpha (const FbImage *colours, const FbImage *image, GCancellable *cancellable, GError **error);
