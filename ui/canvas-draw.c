/* ui/canvas-draw.c: what the canvas looks like. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "ui/canvas-private.h"
#include "ui/preview.h"

#define SPLIT_WIDTH 2.0

/* --- the picture --------------------------------------------------------------------------------------------------------- */

static void
rectangle (FbCanvas *self, cairo_t *cr, const GdkRectangle *area)
{
  double x0, y0, x1, y1;

  fb_canvas_to_widget (self, area->x, area->y, &x0, &y0);
  fb_canvas_to_widget (self, area->x + area->width, area->y + area->height, &x1, &y1);
  cairo_rectangle (cr, x0, y0, x1 - x0, y1 - y0);
}

/* @surface where @area of the image is */
static void
draw_surface (FbCanvas *self, cairo_t *cr, cairo_surface_t *surface, const GdkRectangle *area)
{
  double scale_x = area->width * self->scale / cairo_image_surface_get_width (surface);
  double scale_y = area->height * self->scale / cairo_image_surface_get_height (surface);
  double x, y;

  fb_canvas_to_widget (self, area->x, area->y, &x, &y);
  cairo_save (cr);
  rectangle (self, cr, area);
  cairo_clip (cr);
  cairo_translate (cr, x, y);
  cairo_scale (cr, scale_x, scale_y);
  cairo_set_source_surface (cr, surface, 0.0, 0.0);
  cairo_pattern_set_filter (cairo_get_source (cr), self->scale >= 2.0 && scale_x >= 2.0 && surface == self->picture ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
  cairo_pattern_set_extend (cairo_get_source (cr), CAIRO_EXTEND_PAD);
  cairo_paint (cr);
  cairo_restore (cr);
}

static void
draw_picture (FbCanvas *self, cairo_t *cr)
{
  cairo_pattern_t *checks = fb_checks_new ();

  cairo_save (cr);
  rectangle (self, cr, &(GdkRectangle) { 0, 0, self->width, self->height });
  cairo_set_source (cr, checks);
  cairo_fill (cr);
  cairo_restore (cr);
  cairo_pattern_destroy (checks);
  if (self->picture != NULL)
    draw_surface (self, cr, self->picture, &self->picture_area);
}

static void
draw_result (FbCanvas *self, cairo_t *cr, int width, int height)
{
  double x = self->compare == FB_COMPARE_SPLIT ? self->split * width : 0.0;

  if (self->result == NULL || self->compare == FB_COMPARE_ORIGINAL)
    return;
  cairo_save (cr);
  cairo_rectangle (cr, x, 0.0, width - x, height);
  cairo_clip (cr);
  draw_surface (self, cr, self->result_surface, &self->result_area);
  cairo_restore (cr);
}

static void
draw_split (FbCanvas *self, cairo_t *cr, int width, int height)
{
  double x = round (self->split * width);

  if (self->compare != FB_COMPARE_SPLIT)
    return;
  cairo_set_source_rgba (cr, 0.0, 0.0, 0.0, 0.6);
  cairo_rectangle (cr, x - SPLIT_WIDTH, 0.0, 2 * SPLIT_WIDTH, height);
  cairo_fill (cr);
  cairo_set_source_rgb (cr, 1.0, 1.0, 1.0);
  cairo_rectangle (cr, x - SPLIT_WIDTH / 2.0, 0.0, SPLIT_WIDTH, height);
  cairo_fill (cr);
  cairo_arc (cr, x, height / 2.0, 8.0, 0.0, 2.0 * G_PI);
  cairo_fill_preserve (cr);
  cairo_set_source_rgba (cr, 0.0, 0.0, 0.0, 0.6);
  cairo_set_line_width (cr, 1.0);
  cairo_stroke (cr);
}

/* --- the mask ------------------------------------------------------------------------------------------------------------ */

/* (transfer full): where the overlay crosses one half, as a line one pixel wide */
static cairo_surface_t *
border_of (cairo_surface_t *overlay)
{
  int              width  = cairo_image_surface_get_width (overlay);
  int              height = cairo_image_surface_get_height (overlay);
  cairo_surface_t *border = cairo_image_surface_create (CAIRO_FORMAT_A8, width, height);
  int              stride = cairo_image_surface_get_stride (border);
  const guint8    *in     = cairo_image_surface_get_data (overlay);
  guint8          *out    = cairo_image_surface_get_data (border);

  for (int y = 1; y < height - 1; y++)
    for (int x = 1; x < width - 1; x++)
      {
        const guint8 *p = in + (gsize) y * stride + x;

        if (*p >= 128 && (p[-1] < 128 || p[1] < 128 || p[-stride] < 128 || p[stride] < 128))
          out[(gsize) y * stride + x] = 255;
      }
  cairo_surface_mark_dirty (border);

  return border;
}

/* Filled while there is nothing to see below it; a result is shown with the mask's border only. */
static void
draw_mask (FbCanvas *self, cairo_t *cr)
{
  cairo_surface_t *border = NULL;

  if (self->overlay == NULL)
    return;
  if (self->result == NULL || self->grip == FB_GRIP_PAINT)
    {
      gdk_cairo_set_source_rgba (cr, &self->colour);
      cairo_mask_surface (cr, self->overlay, 0.0, 0.0);
      return;
    }
  if (self->compare == FB_COMPARE_RESULT)      /* the seam must be seen without a line along it */
    return;
  border = border_of (self->overlay);
  cairo_set_source_rgba (cr, self->colour.red, self->colour.green, self->colour.blue, 0.8);
  cairo_mask_surface (cr, border, 0.0, 0.0);
  cairo_surface_destroy (border);
}

/* --- lines that are seen on everything ------------------------------------------------------------------------------------ */

static void
stroke_twice (cairo_t *cr, gboolean dashed)
{
  static const double dash[] = { 4.0, 4.0 };

  cairo_set_line_width (cr, 1.0);
  cairo_set_dash (cr, NULL, 0, 0.0);
  cairo_set_source_rgba (cr, 0.0, 0.0, 0.0, 0.8);
  cairo_stroke_preserve (cr);
  if (dashed)
    cairo_set_dash (cr, dash, 2, 0.0);
  else
    cairo_set_line_width (cr, 0.6);
  cairo_set_source_rgb (cr, 1.0, 1.0, 1.0);
  cairo_stroke (cr);
}

static void
draw_outline (FbCanvas *self, cairo_t *cr)
{
  const double *points = (const double *) self->outline->data;
  guint         n      = self->outline->len / 2;

  for (guint i = 0; i < n; i++)
    {
      double x, y;

      fb_canvas_to_widget (self, points[2 * i], points[2 * i + 1], &x, &y);
      cairo_line_to (cr, x, y);
    }
  if (n == 0)
    return;
  if (self->outline_by_keys && self->has_brush)      /* to where the next corner would be */
    {
      double x, y;

      fb_canvas_to_widget (self, self->brush_x, self->brush_y, &x, &y);
      cairo_line_to (cr, x, y);
    }
  cairo_close_path (cr);
  stroke_twice (cr, TRUE);
}

static void
draw_context (FbCanvas *self, cairo_t *cr)
{
  if (self->context.width == 0)
    return;
  rectangle (self, cr, &self->context);
  stroke_twice (cr, TRUE);
}

static void
draw_brush (FbCanvas *self, cairo_t *cr)
{
  double x, y;

  if (!self->has_brush || self->grip == FB_GRIP_PAN)
    return;
  fb_canvas_to_widget (self, self->brush_x, self->brush_y, &x, &y);
  if (self->tool == FB_TOOL_BRUSH || self->tool == FB_TOOL_ERASER)
    {
      cairo_arc (cr, x, y, MAX (1.5, self->size / 2.0 * self->scale), 0.0, 2.0 * G_PI);
      stroke_twice (cr, FALSE);
      if (self->hardness < 1.0 && (self->grip == FB_GRIP_BRUSH || gtk_widget_has_focus (GTK_WIDGET (self))))
        {
          cairo_arc (cr, x, y, MAX (1.0, self->size / 2.0 * self->hardness * self->scale), 0.0, 2.0 * G_PI);
          stroke_twice (cr, TRUE);
        }
    }
  cairo_move_to (cr, x - 4.0, y);
  cairo_line_to (cr, x + 4.0, y);
  cairo_move_to (cr, x, y - 4.0);
  cairo_line_to (cr, x, y + 4.0);
  stroke_twice (cr, FALSE);
}

gboolean
fb_canvas_draw (GtkWidget *widget, cairo_t *cr)
{
  FbCanvas        *self   = FB_CANVAS (widget);
  GtkStyleContext *style  = gtk_widget_get_style_context (widget);
  int              width  = gtk_widget_get_allocated_width (widget);
  int              height = gtk_widget_get_allocated_height (widget);

  cairo_set_source_rgb (cr, 0.28, 0.28, 0.28);      /* the same in every theme, as pictures are judged against it */
  cairo_paint (cr);
  if (self->width > 0)
    {
      draw_picture (self, cr);
      draw_result (self, cr, width, height);
      draw_context (self, cr);
      draw_mask (self, cr);
      draw_split (self, cr, width, height);
      draw_outline (self, cr);
      draw_brush (self, cr);
    }
  if (gtk_widget_has_visible_focus (widget))
    gtk_render_focus (style, cr, 1.0, 1.0, width - 2.0, height - 2.0);

  return TRUE;
}
