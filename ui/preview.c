/* ui/preview.c: a picture as large as there is room. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/preview.h"

#include <math.h>

#include <atk/atk.h>

#define MARGIN         24
#define MIN_WIDTH      240
#define MIN_HEIGHT     160             /* small, so that a laptop's screen has room for messages, too */
#define NATURAL_WIDTH  360
#define NATURAL_HEIGHT 300
#define CHECK          8               /* side of a square of the pattern below transparent pixels */

struct _FbPreviewArea
{
  GtkDrawingArea   parent_instance;
  cairo_surface_t *surface;          /* NULL shows the hint */
  gboolean         has_alpha;
  char            *hint;
};

G_DEFINE_FINAL_TYPE (FbPreviewArea, fb_preview_area, GTK_TYPE_DRAWING_AREA)

static guint32
to_byte (float value)
{
  return value > 0.0f ? (guint32) (MIN (value, 1.0f) * 255.0f + 0.5f) : 0;      /* a NaN is black */
}

cairo_surface_t *
fb_image_to_surface (const FbImage *image)
{
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_ARGB32, image->width, image->height);
  guchar          *data    = cairo_image_surface_get_data (surface);
  int              stride  = cairo_image_surface_get_stride (surface);
  int              n       = image->n_channels;

  if (data == NULL)
    return surface;

  cairo_surface_flush (surface);
  for (int y = 0; y < image->height; y++)
    {
      const float *in  = image->pixels + (size_t) y * image->width * n;
      guint32     *out = (guint32 *) (data + (size_t) y * stride);

      for (int x = 0; x < image->width; x++, in += n)
        {
          float alpha = n == 4 ? CLAMP (in[3], 0.0f, 1.0f) : 1.0f;

          out[x] = to_byte (alpha) << 24 | to_byte (in[0] * alpha) << 16 |
                   to_byte (in[n > 2 ? 1 : 0] * alpha) << 8 | to_byte (in[n > 2 ? 2 : 0] * alpha);
        }
    }
  cairo_surface_mark_dirty (surface);

  return surface;
}

cairo_pattern_t *
fb_checks_new (void)
{
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_RGB24, 2 * CHECK, 2 * CHECK);
  cairo_t         *cr      = cairo_create (surface);
  cairo_pattern_t *pattern;

  cairo_set_source_rgb (cr, 0.4, 0.4, 0.4);
  cairo_paint (cr);
  cairo_set_source_rgb (cr, 0.6, 0.6, 0.6);
  cairo_rectangle (cr, 0, 0, CHECK, CHECK);
  cairo_rectangle (cr, CHECK, CHECK, CHECK, CHECK);
  cairo_fill (cr);
  cairo_destroy (cr);
  pattern = cairo_pattern_create_for_surface (surface);
  cairo_pattern_set_extend (pattern, CAIRO_EXTEND_REPEAT);
  cairo_surface_destroy (surface);

  return pattern;
}

static void
draw_checks (cairo_t *cr, int x, int y, double width, double height)
{
  cairo_pattern_t *checks = fb_checks_new ();

  cairo_save (cr);
  cairo_translate (cr, x, y);
  cairo_set_source (cr, checks);
  cairo_rectangle (cr, 0.0, 0.0, width, height);
  cairo_fill (cr);
  cairo_restore (cr);
  cairo_pattern_destroy (checks);
}

static void
draw_hint (FbPreviewArea *self, cairo_t *cr, int width, int height)
{
  GtkStyleContext        *style  = gtk_widget_get_style_context (GTK_WIDGET (self));
  g_autoptr(PangoLayout)  layout = gtk_widget_create_pango_layout (GTK_WIDGET (self), self->hint);
  int                     text_height;

  pango_layout_set_width (layout, MAX (1, width - 2 * MARGIN) * PANGO_SCALE);
  pango_layout_set_wrap (layout, PANGO_WRAP_WORD_CHAR);
  pango_layout_set_alignment (layout, PANGO_ALIGN_CENTER);
  pango_layout_get_pixel_size (layout, NULL, &text_height);
  gtk_render_layout (style, cr, MARGIN, (height - text_height) / 2, layout);
}

static gboolean
draw (GtkWidget *widget, cairo_t *cr)
{
  FbPreviewArea *self   = FB_PREVIEW_AREA (widget);
  int            width  = gtk_widget_get_allocated_width (widget);
  int            height = gtk_widget_get_allocated_height (widget);
  double         w, h, scale;
  int            x, y;

  gtk_render_background (gtk_widget_get_style_context (widget), cr, 0, 0, width, height);
  gtk_render_frame (gtk_widget_get_style_context (widget), cr, 0, 0, width, height);
  if (self->surface == NULL)
    {
      draw_hint (self, cr, width, height);
      return TRUE;
    }

  w     = cairo_image_surface_get_width (self->surface);
  h     = cairo_image_surface_get_height (self->surface);
  scale = MIN (width / w, height / h);
  x     = (int) round ((width - w * scale) / 2.0);
  y     = (int) round ((height - h * scale) / 2.0);
  if (self->has_alpha)
    draw_checks (cr, x, y, w * scale, h * scale);
  cairo_translate (cr, x, y);
  cairo_scale (cr, scale, scale);
  cairo_set_source_surface (cr, self->surface, 0.0, 0.0);
  cairo_pattern_set_filter (cairo_get_source (cr), CAIRO_FILTER_BILINEAR);
  cairo_pattern_set_extend (cairo_get_source (cr), CAIRO_EXTEND_PAD);       /* no dark rim around a small preview */
  cairo_rectangle (cr, 0.0, 0.0, w, h);
  cairo_fill (cr);

  return TRUE;
}

static void
get_preferred_width (GtkWidget *widget, int *minimum, int *natural)
{
  *minimum = MIN_WIDTH;
  *natural = NATURAL_WIDTH;
}

static void
get_preferred_height (GtkWidget *widget, int *minimum, int *natural)
{
  *minimum = MIN_HEIGHT;
  *natural = NATURAL_HEIGHT;
}

void
fb_preview_area_set_image (FbPreviewArea *self, FbImage *image, const char *description)
{
  AtkObject *accessible = gtk_widget_get_accessible (GTK_WIDGET (self));

  g_clear_pointer (&self->surface, cairo_surface_destroy);
  if (image != NULL)
    self->surface = fb_image_to_surface (image);
  self->has_alpha = image != NULL && image->n_channels == 4;
  atk_object_set_description (accessible, description != NULL ? description : self->hint);
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

static void
finalize (GObject *object)
{
  FbPreviewArea *self = FB_PREVIEW_AREA (object);

  g_clear_pointer (&self->surface, cairo_surface_destroy);
  g_free (self->hint);

  G_OBJECT_CLASS (fb_preview_area_parent_class)->finalize (object);
}

static void
fb_preview_area_class_init (FbPreviewAreaClass *class)
{
  G_OBJECT_CLASS (class)->finalize = finalize;
  GTK_WIDGET_CLASS (class)->draw   = draw;
  GTK_WIDGET_CLASS (class)->get_preferred_width  = get_preferred_width;
  GTK_WIDGET_CLASS (class)->get_preferred_height = get_preferred_height;
}

static void
fb_preview_area_init (FbPreviewArea *self)
{
  gtk_style_context_add_class (gtk_widget_get_style_context (GTK_WIDGET (self)), GTK_STYLE_CLASS_VIEW);
  gtk_style_context_add_class (gtk_widget_get_style_context (GTK_WIDGET (self)), GTK_STYLE_CLASS_FRAME);
}

GtkWidget *
fb_preview_area_new (const char *hint)
{
  FbPreviewArea *self       = g_object_new (FB_TYPE_PREVIEW_AREA, NULL);
  AtkObject     *accessible = gtk_widget_get_accessible (GTK_WIDGET (self));

  self->hint = g_strdup (hint);
  atk_object_set_role (accessible, ATK_ROLE_IMAGE);
  atk_object_set_description (accessible, hint);

  return GTK_WIDGET (self);
}
