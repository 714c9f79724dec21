/* ui/drawable-surface.h: a part of a drawable for the screen. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>
#include <libgimp/gimp.h>

/**
 * fb_drawable_to_surface:
 * @area: of the image
 * @scale: pixels of the screen for one of the image; below 1 GIMP itself scales, so that a huge layer does not travel
 * @covered: (out): the part of @area that the surface shows
 *
 * Returns: (transfer full) (nullable): 8-bit sRGB with alpha, at most 1024 pixels a side when scaled down; %NULL when the drawable does not
 * reach into @area
 */
cairo_surface_t * fb_drawable_to_surface (GimpDrawable *drawable, const GdkRectangle *area, double scale, GdkRectangle *covered);

#define FB_THUMBNAIL_MAX 1024        /* GIMP makes none larger */

/**
 * fb_drawable_thumbnail:
 * @part: of the drawable
 * @width, @height: (inout): wanted, of @part's shape; what it has become
 *
 * Returns: (transfer full) (nullable): [height, width] R'G'B'A u8, scaled by GIMP itself; %NULL when it can't
 */
guint8 * fb_drawable_thumbnail (GimpDrawable *drawable, const GdkRectangle *part, int *width, int *height);
