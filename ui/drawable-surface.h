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
