/* ui/preview.h: a picture as large as there is room. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

#include "core/engine/client.h"

/* FbPreviewArea: shows one picture, scaled to fit; a hint in words while there is none. */
#define FB_TYPE_PREVIEW_AREA (fb_preview_area_get_type ())
G_DECLARE_FINAL_TYPE (FbPreviewArea, fb_preview_area, FB, PREVIEW_AREA, GtkDrawingArea)

GtkWidget *       fb_preview_area_new       (const char *hint);

/**
 * fb_preview_area_set_image:
 * @image: (nullable): %NULL shows the hint
 * @description: for those who hear it, "Preview after step 2 of 4"
 */
void              fb_preview_area_set_image (FbPreviewArea *self, FbImage *image, const char *description);

/* (transfer full): what lies below transparent pixels */
cairo_pattern_t * fb_checks_new             (void);

/* (transfer full): @image for the screen, opaque or with alpha, 8 bit */
cairo_surface_t * fb_image_to_surface       (const FbImage *image);
