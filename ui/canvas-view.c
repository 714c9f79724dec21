/* ui/canvas-view.c: which part of the picture the canvas shows, and how large. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "ui/canvas-private.h"
#include "ui/drawable-surface.h"
#include "ui/preview.h"
#include "ui/shrink.h"

#define SCALE_MAX 32.0
#define MARGIN    12

static int
widget_width (FbCanvas *self)
{
  return MAX (1, gtk_widget_get_allocated_width (GTK_WIDGET (self)));
}

static int
widget_height (FbCanvas *self)
{
  return MAX (1, gtk_widget_get_allocated_height (GTK_WIDGET (self)));
}

void
fb_canvas_to_image (FbCanvas *self, double x, double y, double *image_x, double *image_y)
{
  *image_x = (x - self->x) / self->scale;
  *image_y = (y - self->y) / self->scale;
}

void
fb_canvas_to_widget (FbCanvas *self, double x, double y, double *widget_x, double *widget_y)
{
  *widget_x = x * self->scale + self->x;
  *widget_y = y * self->scale + self->y;
}

/* --- moving -------------------------------------------------------------------------------------------------------------- */

static double
fitting_scale (FbCanvas *self, double width, double height)
{
  return MIN (MAX (1, widget_width (self) - 2 * MARGIN) / width, MAX (1, widget_height (self) - 2 * MARGIN) / height);
}

/* along one axis: the picture is in the middle while it is smaller than the widget, and covers it otherwise */
static double
clamp_offset (double offset, double picture, double widget)
{
  return picture <= widget ? floor ((widget - picture) / 2.0) : CLAMP (offset, widget - picture - MARGIN, MARGIN);
}

static void
view_changed (FbCanvas *self)
{
  self->x = clamp_offset (self->x, self->width * self->scale, widget_width (self));
  self->y = clamp_offset (self->y, self->height * self->scale, widget_height (self));
  fb_canvas_update_overlay (self, NULL);
  fb_canvas_update_result (self);
  fb_canvas_read_later (self);
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

void
fb_canvas_fit (FbCanvas *self)
{
  if (self->width == 0)
    return;
  if (self->is_fit)
    self->scale = MIN (fitting_scale (self, self->width, self->height), 8.0);
  view_changed (self);
}

void
fb_canvas_zoom_at (FbCanvas *self, double factor, double x, double y)
{
  double image_x, image_y;
  double smallest = MIN (1.0, fitting_scale (self, MAX (1, self->width), MAX (1, self->height)));

  if (self->width == 0)
    return;
  fb_canvas_to_image (self, x, y, &image_x, &image_y);
  self->is_fit = FALSE;
  self->scale  = CLAMP (self->scale * factor, smallest, SCALE_MAX);
  self->x      = x - image_x * self->scale;
  self->y      = y - image_y * self->scale;
  view_changed (self);
}

void
fb_canvas_zoom_by (FbCanvas *self, double factor)
{
  fb_canvas_zoom_at (self, factor, widget_width (self) / 2.0, widget_height (self) / 2.0);
}

void
fb_canvas_zoom_to (FbCanvas *self, double factor)
{
  if (factor > 0.0)
    fb_canvas_zoom_by (self, factor / self->scale);
  else
    {
      self->is_fit = TRUE;
      fb_canvas_fit (self);
    }
}

void
fb_canvas_zoom_to_mask (FbCanvas *self)
{
  GdkRectangle bounds;
  double       scale;

  if (self->mask == NULL || !fb_mask_get_bounds (self->mask, &bounds))
    return;
  scale        = fitting_scale (self, bounds.width * 2.0, bounds.height * 2.0);
  self->is_fit = FALSE;
  self->scale  = CLAMP (scale, MIN (1.0, fitting_scale (self, self->width, self->height)), 4.0);
  self->x      = widget_width (self) / 2.0 - (bounds.x + bounds.width / 2.0) * self->scale;
  self->y      = widget_height (self) / 2.0 - (bounds.y + bounds.height / 2.0) * self->scale;
  view_changed (self);
}

void
fb_canvas_pan (FbCanvas *self, double dx, double dy)
{
  self->is_fit = FALSE;
  self->x     += dx;
  self->y     += dy;
  view_changed (self);
}

/* --- the mask on the screen ---------------------------------------------------------------------------------------------- */

/* the widget's pixels that @area of the image touches */
static gboolean
area_on_screen (FbCanvas *self, const GdkRectangle *area, GdkRectangle *screen)
{
  double x0, y0, x1, y1;

  *screen = (GdkRectangle) { 0, 0, widget_width (self), widget_height (self) };
  if (area == NULL)
    return TRUE;
  fb_canvas_to_widget (self, area->x, area->y, &x0, &y0);
  fb_canvas_to_widget (self, area->x + area->width, area->y + area->height, &x1, &y1);
  if (x1 < 0 || y1 < 0 || x0 > screen->width || y0 > screen->height)
    return FALSE;
  x0 = MAX (x0, 0.0);
  y0 = MAX (y0, 0.0);
  x1 = MIN (x1, screen->width);
  y1 = MIN (y1, screen->height);

  return gdk_rectangle_intersect (screen, &(GdkRectangle) { (int) floor (x0), (int) floor (y0), (int) (ceil (x1) - floor (x0)) + 1, (int) (ceil (y1) - floor (y0)) + 1 }, screen);
}

/* one row of the screen, each pixel from the mask's pixel below its middle */
static void
sample_row (FbCanvas *self, const GdkRectangle *screen, int y, guint8 *row, guint8 *out)
{
  double       left, top, right, unused;
  GdkRectangle line;

  fb_canvas_to_image (self, screen->x + 0.5, y + 0.5, &left, &top);
  fb_canvas_to_image (self, screen->x + screen->width + 0.5, y + 0.5, &right, &unused);
  line = (GdkRectangle) { (int) floor (left), (int) floor (top), 0, 1 };
  line.width = (int) ceil (right) - line.x + 1;
  fb_mask_read (self->mask, &line, row);
  for (int x = 0; x < screen->width; x++)
    out[x] = row[(int) floor (left + x / self->scale) - line.x];
}

void
fb_canvas_update_overlay (FbCanvas *self, const GdkRectangle *area)
{
  int                 width  = widget_width (self);
  int                 height = widget_height (self);
  g_autofree guint8  *row    = NULL;
  guint8             *pixels;
  int                 stride;
  GdkRectangle        screen;

  if (self->mask == NULL)
    return;
  if (self->overlay == NULL || cairo_image_surface_get_width (self->overlay) != width || cairo_image_surface_get_height (self->overlay) != height)
    {
      g_clear_pointer (&self->overlay, cairo_surface_destroy);
      self->overlay = cairo_image_surface_create (CAIRO_FORMAT_A8, width, height);
      area = NULL;
    }
  if (!area_on_screen (self, area, &screen))
    return;

  row    = g_malloc ((gsize) (screen.width / self->scale) + 4);
  cairo_surface_flush (self->overlay);
  pixels = cairo_image_surface_get_data (self->overlay);
  stride = cairo_image_surface_get_stride (self->overlay);
  for (int y = screen.y; y < screen.y + screen.height; y++)
    sample_row (self, &screen, y, row, pixels + (gsize) y * stride + screen.x);
  cairo_surface_mark_dirty (self->overlay);
  gtk_widget_queue_draw_area (GTK_WIDGET (self), screen.x - 2, screen.y - 2, screen.width + 4, screen.height + 4);
}

/* --- the result on the screen -------------------------------------------------------------------------------------------- */

void
fb_canvas_update_result (FbCanvas *self)
{
  g_autoptr(FbImage) small = NULL;
  double             scale;
  int                factor;

  if (self->result == NULL)
    return;
  scale  = self->scale * self->result_area.width / self->result->width;      /* the widget's pixels to one of its own */
  factor = MAX (1, (int) (1.0 / scale));
  if (self->result_surface != NULL && factor == self->result_factor)
    return;
  small = fb_image_shrunk (self->result, factor);
  g_clear_pointer (&self->result_surface, cairo_surface_destroy);
  self->result_surface = fb_image_to_surface (small);
  self->result_factor  = factor;
}

/* --- the picture on the screen ------------------------------------------------------------------------------------------- */

static gboolean
read_now (gpointer data)
{
  FbCanvas     *self     = data;
  GimpDrawable *drawable = NULL;
  double        x0, y0, x1, y1;
  GdkRectangle  visible;

  self->reading = 0;
  if (self->drawable_id > 0 && gimp_item_id_is_drawable (self->drawable_id))
    drawable = gimp_drawable_get_by_id (self->drawable_id);
  if (drawable == NULL)
    return G_SOURCE_REMOVE;

  fb_canvas_to_image (self, 0, 0, &x0, &y0);
  fb_canvas_to_image (self, widget_width (self), widget_height (self), &x1, &y1);
  visible = (GdkRectangle) { (int) floor (x0), (int) floor (y0), (int) (ceil (x1) - floor (x0)), (int) (ceil (y1) - floor (y0)) };
  if (!gdk_rectangle_intersect (&visible, &(GdkRectangle) { 0, 0, self->width, self->height }, &visible))
    return G_SOURCE_REMOVE;

  g_clear_pointer (&self->picture, cairo_surface_destroy);
  self->picture = fb_drawable_to_surface (drawable, &visible, self->scale, &self->picture_area);
  gtk_widget_queue_draw (GTK_WIDGET (self));

  return G_SOURCE_REMOVE;
}

void
fb_canvas_read_later (FbCanvas *self)
{
  if (self->reading == 0)
    self->reading = g_idle_add_full (GDK_PRIORITY_REDRAW + 20, read_now, self, NULL);      /* what is there is shown first */
}
