/* ui/canvas.h: a picture to paint a mask on. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

#include "ui/mask.h"

typedef enum
{
  FB_TOOL_BRUSH,
  FB_TOOL_ERASER,
  FB_TOOL_LASSO,
  FB_TOOL_RECTANGLE,
} FbTool;

typedef enum
{
  FB_COMPARE_RESULT,        /* the result lies on the picture */
  FB_COMPARE_SPLIT,         /* the picture left of a line that can be moved, the result right of it */
  FB_COMPARE_ORIGINAL,
} FbCompare;

/**
 * FbCanvas: shows a drawable where it lies in its image, a mask over it, and a result in its place.
 *
 * Properties: "tool" i (FbTool), "size" d (the brush's diameter in the image's pixels), "hardness" d (0 … 1), "compare" i (FbCompare).
 *
 * Signals: "stroke-began" (void) when the user begins to paint; "changed" (void) when the mask has changed: at the end of a stroke, after
 * an undo, a fill, a new mask; "stroke-dropped" (void) when what was begun turned out to be no stroke, and the mask is as it was.
 *
 * Pointer: paint, Ctrl erases, Shift-drag sets size (across) and hardness (down), a pen's pressure the size; wheel and pinch zoom, two fingers, the middle
 * button or space and drag move the picture. Keys: brackets for the size, with Shift for the hardness; B, E, L, R the tools; arrows move the brush, Enter paints there or
 * sets a corner, Shift with arrows paints a line, Ctrl with arrows moves the picture; + − 0 1 zoom; Ctrl+Z, Ctrl+Shift+Z.
 */
#define FB_TYPE_CANVAS (fb_canvas_get_type ())
G_DECLARE_FINAL_TYPE (FbCanvas, fb_canvas, FB, CANVAS, GtkDrawingArea)

GtkWidget *    fb_canvas_new         (void);

/**
 * fb_canvas_set_source:
 * @image: its size is the mask's; a mask of another size is dropped
 * @drawable: what is shown; read as far as it is visible, at the size it is shown
 *
 * Call it again when the pixels may have changed.
 */
void           fb_canvas_set_source  (FbCanvas *self, GimpImage *image, GimpDrawable *drawable);

/* (transfer none): the mask as it is; valid until the next event */
const FbMask * fb_canvas_get_mask    (FbCanvas *self);
/* @mask: (transfer full): of the image's size; a step that can be undone */
void           fb_canvas_set_mask    (FbCanvas *self, FbMask *mask);
/* @mask: (transfer full): the one to begin with; nothing can be undone */
void           fb_canvas_begin_with  (FbCanvas *self, FbMask *mask);
gboolean       fb_canvas_is_painting (FbCanvas *self);

void           fb_canvas_fill        (FbCanvas *self, guint8 value);
void           fb_canvas_invert      (FbCanvas *self);
void           fb_canvas_undo        (FbCanvas *self);
void           fb_canvas_redo        (FbCanvas *self);
gboolean       fb_canvas_can_undo    (FbCanvas *self);
gboolean       fb_canvas_can_redo    (FbCanvas *self);

/**
 * fb_canvas_set_result:
 * @result: (nullable): alpha says where it is seen; %NULL takes it away
 * @area: where it lies in the image
 */
void           fb_canvas_set_result  (FbCanvas *self, FbImage *result, const GdkRectangle *area);

/* what is computed with, shown as a frame; %NULL for none */
void           fb_canvas_set_context (FbCanvas *self, const GdkRectangle *area);

void           fb_canvas_set_colour  (FbCanvas *self, const GdkRGBA *colour);

/* @factor: 0 fits the picture into the widget, 1 is one pixel to one */
void           fb_canvas_zoom_to     (FbCanvas *self, double factor);
void           fb_canvas_zoom_by     (FbCanvas *self, double factor);
/* brings the mask into view */
void           fb_canvas_zoom_to_mask (FbCanvas *self);
