/* ui/mask.h: what is to be repainted, on a canvas of any size. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * 8 bit a pixel, 255 repaints. Kept as tiles that copies share until one of them is written to, so that a mask over a huge
 * canvas costs what is painted on it, and every step of an undo history costs what the step changed. A copy may be read and
 * freed in another thread.
 */
#pragma once

#include <gtk/gtk.h>

#include "core/engine/client.h"

typedef struct FbMask FbMask;

/* (transfer full): an empty mask of a canvas of @width × @height pixels */
FbMask * fb_mask_new    (int width, int height);
FbMask * fb_mask_copy   (const FbMask *mask);
void     fb_mask_free   (FbMask *mask);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbMask, fb_mask_free)

/* (transfer full): @mask on a canvas that has so many pixels more on each side, all of them 255 */
FbMask * fb_mask_enlarged (const FbMask *mask, int left, int top, int right, int bottom);

int      fb_mask_width  (const FbMask *mask);
int      fb_mask_height (const FbMask *mask);

/* @pixels: [area height, area width]; what lies off the canvas reads as 0 and is not written */
void     fb_mask_read   (const FbMask *mask, const GdkRectangle *area, guint8 *pixels);
void     fb_mask_write  (FbMask *mask, const GdkRectangle *area, const guint8 *pixels);

void     fb_mask_fill   (FbMask *mask, guint8 value);
void     fb_mask_invert (FbMask *mask);

/* The smallest rectangle around all that is not 0; %FALSE when there is nothing. */
gboolean fb_mask_get_bounds (const FbMask *mask, GdkRectangle *bounds);

/* whether every pixel of the canvas is 255 */
gboolean fb_mask_is_full    (const FbMask *mask);

/**
 * fb_mask_to_image: ui/mask-image.c
 * @area: of the canvas or beyond
 * @width, @height: of the picture; at most @area's, each pixel is the mean of those it covers
 *
 * Returns: (transfer full): one channel, 0 … 1, or %NULL when memory runs out
 */
FbImage * fb_mask_to_image (const FbMask *mask, const GdkRectangle *area, int width, int height);

/* The same as @job's picture @name, made in a thread from @mask as it is now. */
void      fb_mask_add_to_job (const FbMask *mask, const GdkRectangle *area, int width, int height, FbJob *job, const char *name);

/* --- painting; each returns what may have changed, for the screen --------------------------------------------------------- */

/**
 * fb_mask_stroke:
 * @x0, @y0, @x1, @y1: where the brush came from and went to, in pixels
 * @radius0, @radius1: there
 * @hardness: 0 … 1: how much of the radius is painted fully; the rest fades
 * @erase: takes away instead
 *
 * A piece of a stroke. Pieces that overlap give the stronger of both, so that a stroke has no knots.
 */
GdkRectangle fb_mask_stroke  (FbMask *mask, double x0, double y0, double radius0, double x1, double y1, double radius1,
                              double hardness, gboolean erase);

/* The inside of a closed line of @n points, x and y in turn, with smooth edges. */
GdkRectangle fb_mask_polygon (FbMask *mask, const double *points, int n, gboolean erase);

/* --- in a record ----------------------------------------------------------------------------------------------------------- */

/* (transfer full): the mask in few bytes, and back; %NULL for what is not one, or is not of @width × @height */
GBytes * fb_mask_pack   (const FbMask *mask);
FbMask * fb_mask_unpack (GBytes *bytes, int width, int height);
