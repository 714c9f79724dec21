/* ui/plot.c: one curve that grows. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/plot.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>
#include <math.h>

#define MARGIN 6
#define WINDOW 20        /* values in the running mean: enough to see the trend of losses that jump by half */

typedef struct
{
  int    step;
  double value;
} Point;

struct _FbPlot
{
  GtkDrawingArea  parent_instance;
  char           *title;
  int             n_steps;
  GArray         *points;          /* of Point, by step */
};

G_DEFINE_FINAL_TYPE (FbPlot, fb_plot, GTK_TYPE_DRAWING_AREA)

double
fb_plot_mean (const double *values, int i, int window)
{
  int    first = MAX (0, i - window + 1);
  double sum   = 0.0;

  for (int j = first; j <= i; j++)
    sum += values[j];

  return sum / (i - first + 1);
}

/* (transfer full): the values alone */
static double *
values_of (FbPlot *self)
{
  double *values = g_new (double, self->points->len + 1);

  for (guint i = 0; i < self->points->len; i++)
    values[i] = g_array_index (self->points, Point, i).value;

  return values;
}

/* --- drawing ------------------------------------------------------------------------------------------------------------------ */

typedef struct
{
  double left, top, width, height;      /* of the curve, in pixels */
  double low, high;                     /* values at its bottom and top */
  int    first, last;                   /* steps at its left and right */
} Frame;

static Frame
frame_of (FbPlot *self, const double *values, double text_height)
{
  GtkWidget *widget = GTK_WIDGET (self);
  int        n      = (int) self->points->len;
  Frame      frame  = { MARGIN, MARGIN + text_height + 4.0, gtk_widget_get_allocated_width (widget) - 2.0 * MARGIN, 0.0,
                        values[0], values[0], g_array_index (self->points, Point, 0).step,
                        MAX (self->n_steps, g_array_index (self->points, Point, n - 1).step) };

  frame.height = MAX (1.0, gtk_widget_get_allocated_height (widget) - frame.top - MARGIN);
  for (int i = 0; i < n; i++)
    {
      frame.low  = MIN (frame.low, values[i]);
      frame.high = MAX (frame.high, values[i]);
    }
  if (frame.high - frame.low < 1e-9)
    {
      frame.low  -= 0.5;
      frame.high += 0.5;
    }
  frame.last = MAX (frame.last, frame.first + 1);

  return frame;
}

static void
line_to (cairo_t *cr, const Frame *frame, int step, double value)
{
  cairo_line_to (cr, frame->left + frame->width * (step - frame->first) / (frame->last - frame->first),
                 frame->top + frame->height * (frame->high - value) / (frame->high - frame->low));
}

static void
draw_curves (FbPlot *self, cairo_t *cr, const Frame *frame, const double *values, const GdkRGBA *colour)
{
  int n      = (int) self->points->len;
  int stride = MAX (1, n / MAX (1, (int) (2.0 * frame->width)));        /* more points than pixels show nothing more */

  cairo_new_path (cr);                                     /* a text leaves a point behind */
  cairo_set_line_join (cr, CAIRO_LINE_JOIN_ROUND);
  cairo_set_source_rgba (cr, colour->red, colour->green, colour->blue, 0.35);
  cairo_set_line_width (cr, 1.0);
  for (int i = 0; i < n; i += stride)
    line_to (cr, frame, g_array_index (self->points, Point, i).step, values[i]);
  cairo_stroke (cr);

  gdk_cairo_set_source_rgba (cr, colour);
  cairo_set_line_width (cr, 2.0);
  for (int i = 0; i < n; i += stride)
    line_to (cr, frame, g_array_index (self->points, Point, i).step, fb_plot_mean (values, i, WINDOW));
  cairo_stroke (cr);
}

/* @align: 0 left, 1 right */
static double
draw_text (FbPlot *self, cairo_t *cr, const char *text, double align, double y)
{
  g_autoptr(PangoLayout) layout = gtk_widget_create_pango_layout (GTK_WIDGET (self), text);
  int                    width, height;

  pango_layout_get_pixel_size (layout, &width, &height);
  cairo_move_to (cr, MARGIN + align * (gtk_widget_get_allocated_width (GTK_WIDGET (self)) - 2.0 * MARGIN - width), y);
  pango_cairo_show_layout (cr, layout);

  return height;
}

static gboolean
draw (GtkWidget *widget, cairo_t *cr)
{
  FbPlot            *self    = FB_PLOT (widget);
  GtkStyleContext   *context = gtk_widget_get_style_context (widget);
  g_autofree double *values  = values_of (self);
  int                n       = (int) self->points->len;
  GdkRGBA            colour;
  double             height;

  gtk_render_background (context, cr, 0, 0, gtk_widget_get_allocated_width (widget), gtk_widget_get_allocated_height (widget));
  gtk_render_frame (context, cr, 0, 0, gtk_widget_get_allocated_width (widget), gtk_widget_get_allocated_height (widget));
  gtk_style_context_get_color (context, gtk_style_context_get_state (context), &colour);
  gdk_cairo_set_source_rgba (cr, &colour);
  height = draw_text (self, cr, self->title, 0.0, MARGIN);
  if (n > 0)
    {
      g_autofree char *newest = g_strdup_printf ("%.4g", fb_plot_mean (values, n - 1, WINDOW));
      Frame            frame  = frame_of (self, values, height);

      draw_text (self, cr, newest, 1.0, MARGIN);
      draw_curves (self, cr, &frame, values, &colour);
    }

  return TRUE;
}

/* --- values --------------------------------------------------------------------------------------------------------------------- */

static void
describe (FbPlot *self)
{
  g_autofree double *values = values_of (self);
  int                n      = (int) self->points->len;
  g_autofree char   *text   = NULL;

  if (n > 0)
    /* Translators: the newest value of a curve, and the step it was reached in */
    text = g_strdup_printf (_("%.4g at step %d"), fb_plot_mean (values, n - 1, WINDOW), g_array_index (self->points, Point, n - 1).step);
  atk_object_set_description (gtk_widget_get_accessible (GTK_WIDGET (self)), text != NULL ? text : _("No values yet"));
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

void
fb_plot_set_range (FbPlot *self, int n_steps)
{
  self->n_steps = n_steps;
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

void
fb_plot_add (FbPlot *self, int step, double value)
{
  Point point = { step, value };

  if (!isfinite (value))
    return;
  g_return_if_fail (self->points->len == 0 || step > g_array_index (self->points, Point, self->points->len - 1).step);
  g_array_append_val (self->points, point);
  describe (self);
}

void
fb_plot_clear (FbPlot *self)
{
  g_array_set_size (self->points, 0);
  describe (self);
}

/* --- the object ------------------------------------------------------------------------------------------------------------------ */

static void
finalize (GObject *object)
{
  FbPlot *self = FB_PLOT (object);

  g_array_unref (self->points);
  g_free (self->title);

  G_OBJECT_CLASS (fb_plot_parent_class)->finalize (object);
}

static void
fb_plot_class_init (FbPlotClass *class)
{
  G_OBJECT_CLASS (class)->finalize = finalize;
  GTK_WIDGET_CLASS (class)->draw   = draw;
}

static void
fb_plot_init (FbPlot *self)
{
  self->points = g_array_new (FALSE, FALSE, sizeof (Point));
  gtk_style_context_add_class (gtk_widget_get_style_context (GTK_WIDGET (self)), GTK_STYLE_CLASS_VIEW);
  gtk_style_context_add_class (gtk_widget_get_style_context (GTK_WIDGET (self)), GTK_STYLE_CLASS_FRAME);
}

GtkWidget *
fb_plot_new (const char *title)
{
  FbPlot    *self       = g_object_new (FB_TYPE_PLOT, NULL);
  AtkObject *accessible = gtk_widget_get_accessible (GTK_WIDGET (self));

  self->title = g_strdup (title);
  atk_object_set_role (accessible, ATK_ROLE_IMAGE);
  atk_object_set_name (accessible, title);
  gtk_widget_set_size_request (GTK_WIDGET (self), 150, 90);
  describe (self);

  return GTK_WIDGET (self);
}
