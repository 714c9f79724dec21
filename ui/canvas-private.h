/* ui/canvas-private.h: the canvas's parts. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "ui/canvas.h"

#define FB_BRUSH_MIN 1.0
#define FB_BRUSH_MAX 2000.0

typedef enum
{
  FB_GRIP_NONE,
  FB_GRIP_PAINT,            /* a stroke, or a lasso's line */
  FB_GRIP_PAN,
  FB_GRIP_BRUSH,            /* Shift-drag */
  FB_GRIP_SPLIT,
} FbGrip;

struct _FbCanvas
{
  GtkDrawingArea   parent_instance;

  /* what is shown */
  int              image_id, drawable_id;
  int              width, height;          /* of the image; 0 without one */
  cairo_surface_t *picture;                /* what was visible at the last reading; NULL until then */
  GdkRectangle     picture_area;           /* of the image */
  guint            reading;                /* an idle source */
  FbImage         *result;                 /* NULL for none */
  cairo_surface_t *result_surface;         /* it, in so many fewer pixels that the screen is not given more than it can show: drawing the others takes long */
  int              result_factor;
  GdkRectangle     result_area;
  GdkRectangle     context;                /* empty for none */
  FbCompare        compare;
  double           split;                  /* 0 … 1 of the widget's width */

  /* how: a pixel of the image is @scale pixels of the widget, and the image's corner lies at @x, @y of the widget */
  double           scale, x, y;
  gboolean         is_fit;                 /* follows the widget's size */

  /* the mask */
  FbMask          *mask;
  GPtrArray       *steps;                  /* of FbMask: what undo and redo go to; the present one is among them */
  guint            step;                   /* its index */
  cairo_surface_t *overlay;                /* [A8, the widget's size] the mask as it is seen */
  GdkRGBA          colour;

  /* the brush */
  FbTool           tool;
  double           size, hardness;
  double           brush_x, brush_y;       /* of the image */
  gboolean         has_brush;              /* it is over the picture, or moved by keys */

  /* a gesture */
  FbGrip           grip;
  gboolean         erases;
  gboolean         space;                  /* held */
  double           grip_x, grip_y;         /* of the widget, where it was last */
  double           last_x, last_y, last_radius;
  GArray          *outline;                /* of double: a lasso or a rectangle that is being drawn, x and y in turn */
  gboolean         outline_by_keys;
  double           pinch;                  /* the scale it began with */
  double           pinch_x, pinch_y;       /* of the widget, between the fingers */
  GtkGesture      *zoom;
};

/* ui/canvas.c */
void fb_canvas_begin_stroke   (FbCanvas *self);
/* keeps the mask as a step and tells of the change */
void fb_canvas_end_stroke     (FbCanvas *self);
/* takes back what a stroke has painted so far, if there is one */
void fb_canvas_drop_stroke    (FbCanvas *self);
void fb_canvas_damage         (FbCanvas *self, const GdkRectangle *area);
void fb_canvas_set_tool       (FbCanvas *self, FbTool tool);
void fb_canvas_set_size       (FbCanvas *self, double size);
void fb_canvas_set_hardness   (FbCanvas *self, double hardness);

/* ui/canvas-view.c */
void fb_canvas_to_image       (FbCanvas *self, double x, double y, double *image_x, double *image_y);
void fb_canvas_to_widget      (FbCanvas *self, double x, double y, double *widget_x, double *widget_y);
/* @x, @y: of the widget, the point that stays where it is */
void fb_canvas_zoom_at        (FbCanvas *self, double factor, double x, double y);
void fb_canvas_pan            (FbCanvas *self, double dx, double dy);
/* after the widget or the image has another size */
void fb_canvas_fit            (FbCanvas *self);
/* makes the result's surface, unless there is one for this scale */
void fb_canvas_update_result  (FbCanvas *self);
/* the mask on the screen, where @area of the image changed; %NULL for all of it */
void fb_canvas_update_overlay (FbCanvas *self, const GdkRectangle *area);
/* reads the visible part of the picture when there is time */
void fb_canvas_read_later     (FbCanvas *self);

/* ui/canvas-draw.c */
gboolean fb_canvas_draw       (GtkWidget *widget, cairo_t *cr);

/* ui/canvas-input.c: connects what the user does */
void fb_canvas_init_input     (FbCanvas *self);
void fb_canvas_drop_outline   (FbCanvas *self);
