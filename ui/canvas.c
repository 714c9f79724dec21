/* ui/canvas.c: a picture to paint a mask on. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/canvas-private.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

#include "ui/target.h"

#define STEPS_MAX 100

enum { PROP_0, PROP_TOOL, PROP_SIZE, PROP_HARDNESS, PROP_COMPARE, N_PROPS };

static GParamSpec *props[N_PROPS];

G_DEFINE_FINAL_TYPE (FbCanvas, fb_canvas, GTK_TYPE_DRAWING_AREA)

/* --- the mask and its steps ---------------------------------------------------------------------------------------------- */

static void
describe (FbCanvas *self)
{
  g_autofree char *text = NULL;
  GdkRectangle     bounds;

  if (self->mask == NULL)
    return;
  if (fb_mask_get_bounds (self->mask, &bounds))
    /* Translators: sizes in pixels and where the mask begins from left and top, for screen readers */
    text = g_strdup_printf (_("Picture of %d × %d; the mask is %d × %d at %d, %d"), self->width, self->height,
                            bounds.width, bounds.height, bounds.x, bounds.y);
  else
    text = g_strdup_printf (_("Picture of %d × %d; nothing is masked"), self->width, self->height);
  atk_object_set_description (gtk_widget_get_accessible (GTK_WIDGET (self)), text);
}

static void
mask_changed (FbCanvas *self)
{
  describe (self);
  g_signal_emit_by_name (self, "changed");
}

/* what was undone is forgotten, and what is there now becomes the newest step */
static void
keep_step (FbCanvas *self)
{
  g_ptr_array_set_size (self->steps, (int) self->step + 1);
  if (self->steps->len == STEPS_MAX)
    g_ptr_array_remove_index (self->steps, 0);
  g_ptr_array_add (self->steps, fb_mask_copy (self->mask));
  self->step = self->steps->len - 1;
}

static void
take_mask (FbCanvas *self, FbMask *mask)
{
  g_clear_pointer (&self->mask, fb_mask_free);
  self->mask = mask;
  fb_canvas_update_overlay (self, NULL);
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

void
fb_canvas_begin_with (FbCanvas *self, FbMask *mask)
{
  take_mask (self, mask);
  g_ptr_array_set_size (self->steps, 0);
  g_ptr_array_add (self->steps, fb_mask_copy (self->mask));
  self->step = 0;
  mask_changed (self);
}

void
fb_canvas_set_mask (FbCanvas *self, FbMask *mask)
{
  take_mask (self, mask);
  keep_step (self);
  mask_changed (self);
}

const FbMask *
fb_canvas_get_mask (FbCanvas *self)
{
  return self->mask;
}

void
fb_canvas_begin_stroke (FbCanvas *self)
{
  g_signal_emit_by_name (self, "stroke-began");
}

void
fb_canvas_end_stroke (FbCanvas *self)
{
  keep_step (self);
  mask_changed (self);
}

void
fb_canvas_drop_stroke (FbCanvas *self)
{
  if (self->grip != FB_GRIP_PAINT)
    return;
  self->grip = FB_GRIP_NONE;
  fb_canvas_drop_outline (self);
  take_mask (self, fb_mask_copy (g_ptr_array_index (self->steps, self->step)));
  g_signal_emit_by_name (self, "stroke-dropped");
}

gboolean
fb_canvas_is_painting (FbCanvas *self)
{
  return self->grip == FB_GRIP_PAINT;
}

void
fb_canvas_fill (FbCanvas *self, guint8 value)
{
  FbMask *mask;

  if (self->mask == NULL)
    return;
  mask = fb_mask_new (self->width, self->height);
  fb_mask_fill (mask, value);
  fb_canvas_set_mask (self, mask);
}

void
fb_canvas_invert (FbCanvas *self)
{
  FbMask *mask;

  if (self->mask == NULL)
    return;
  mask = fb_mask_copy (self->mask);
  fb_mask_invert (mask);
  fb_canvas_set_mask (self, mask);
}

static void
go_to_step (FbCanvas *self, guint step)
{
  self->step = step;
  take_mask (self, fb_mask_copy (g_ptr_array_index (self->steps, step)));
  mask_changed (self);
}

gboolean
fb_canvas_can_undo (FbCanvas *self)
{
  return self->steps->len > 0 && self->step > 0;
}

gboolean
fb_canvas_can_redo (FbCanvas *self)
{
  return self->step + 1 < self->steps->len;
}

void
fb_canvas_undo (FbCanvas *self)
{
  if (fb_canvas_can_undo (self) && self->grip != FB_GRIP_PAINT)
    go_to_step (self, self->step - 1);
}

void
fb_canvas_redo (FbCanvas *self)
{
  if (fb_canvas_can_redo (self) && self->grip != FB_GRIP_PAINT)
    go_to_step (self, self->step + 1);
}

void
fb_canvas_damage (FbCanvas *self, const GdkRectangle *area)
{
  if (area->width > 0)
    fb_canvas_update_overlay (self, area);
}

/* --- what is shown ------------------------------------------------------------------------------------------------------- */

void
fb_canvas_set_source (FbCanvas *self, GimpImage *image, GimpDrawable *drawable)
{
  int      width    = gimp_image_get_width (image);
  int      height   = gimp_image_get_height (image);
  gboolean is_other = width != self->width || height != self->height;

  self->image_id    = gimp_image_get_id (image);
  self->drawable_id = gimp_item_get_id (GIMP_ITEM (drawable));
  self->width       = width;
  self->height      = height;
  if (is_other || self->mask == NULL)
    {
      g_clear_pointer (&self->picture, cairo_surface_destroy);
      fb_canvas_set_result (self, NULL, NULL);
      self->is_fit = TRUE;
      fb_canvas_begin_with (self, fb_mask_new (width, height));
      fb_canvas_fit (self);
    }
  fb_canvas_read_later (self);
}

void
fb_canvas_set_result (FbCanvas *self, FbImage *result, const GdkRectangle *area)
{
  if (result != NULL && result == self->result && gdk_rectangle_equal (area, &self->result_area))
    return;                                        /* making a large one ready takes long */
  g_clear_pointer (&self->result_surface, cairo_surface_destroy);
  g_clear_pointer (&self->result, fb_image_unref);
  if (result != NULL)
    {
      self->result      = fb_image_ref (result);
      self->result_area = *area;
      fb_canvas_update_result (self);
    }
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

void
fb_canvas_set_context (FbCanvas *self, const GdkRectangle *area)
{
  self->context = area != NULL ? *area : (GdkRectangle) { 0 };
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

void
fb_canvas_set_colour (FbCanvas *self, const GdkRGBA *colour)
{
  self->colour = *colour;
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

/* --- properties ---------------------------------------------------------------------------------------------------------- */

void
fb_canvas_set_tool (FbCanvas *self, FbTool tool)
{
  if (tool == self->tool)
    return;
  fb_canvas_drop_outline (self);
  self->tool = tool;
  gtk_widget_queue_draw (GTK_WIDGET (self));
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_TOOL]);
}

void
fb_canvas_set_size (FbCanvas *self, double size)
{
  size = CLAMP (size, FB_BRUSH_MIN, FB_BRUSH_MAX);
  if (size == self->size)
    return;
  self->size = size;
  gtk_widget_queue_draw (GTK_WIDGET (self));
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_SIZE]);
}

void
fb_canvas_set_hardness (FbCanvas *self, double hardness)
{
  hardness = CLAMP (hardness, 0.0, 1.0);
  if (hardness == self->hardness)
    return;
  self->hardness = hardness;
  gtk_widget_queue_draw (GTK_WIDGET (self));
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_HARDNESS]);
}

static void
set_compare (FbCanvas *self, FbCompare compare)
{
  if (compare == self->compare)
    return;
  self->compare = compare;
  gtk_widget_queue_draw (GTK_WIDGET (self));
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_COMPARE]);
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  FbCanvas *self = FB_CANVAS (object);

  switch (id)
    {
    case PROP_TOOL:     g_value_set_int (value, self->tool);        break;
    case PROP_SIZE:     g_value_set_double (value, self->size);     break;
    case PROP_HARDNESS: g_value_set_double (value, self->hardness); break;
    case PROP_COMPARE:  g_value_set_int (value, self->compare);     break;
    }
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  FbCanvas *self = FB_CANVAS (object);

  switch (id)
    {
    case PROP_TOOL:     fb_canvas_set_tool (self, g_value_get_int (value));        break;
    case PROP_SIZE:     fb_canvas_set_size (self, g_value_get_double (value));     break;
    case PROP_HARDNESS: fb_canvas_set_hardness (self, g_value_get_double (value)); break;
    case PROP_COMPARE:  set_compare (self, g_value_get_int (value));               break;
    }
}

/* --- the object ---------------------------------------------------------------------------------------------------------- */

static void
size_allocate (GtkWidget *widget, GtkAllocation *allocation)
{
  GTK_WIDGET_CLASS (fb_canvas_parent_class)->size_allocate (widget, allocation);
  fb_canvas_fit (FB_CANVAS (widget));
}

static void
dispose (GObject *object)
{
  FbCanvas *self = FB_CANVAS (object);

  g_clear_handle_id (&self->reading, g_source_remove);
  g_clear_object (&self->zoom);

  G_OBJECT_CLASS (fb_canvas_parent_class)->dispose (object);
}

static void
finalize (GObject *object)
{
  FbCanvas *self = FB_CANVAS (object);

  g_clear_pointer (&self->picture, cairo_surface_destroy);
  g_clear_pointer (&self->result_surface, cairo_surface_destroy);
  g_clear_pointer (&self->result, fb_image_unref);
  g_clear_pointer (&self->overlay, cairo_surface_destroy);
  g_clear_pointer (&self->mask, fb_mask_free);
  g_ptr_array_unref (self->steps);
  g_array_unref (self->outline);

  G_OBJECT_CLASS (fb_canvas_parent_class)->finalize (object);
}

static void
fb_canvas_class_init (FbCanvasClass *class)
{
  GObjectClass    *object_class = G_OBJECT_CLASS (class);
  GtkWidgetClass  *widget_class = GTK_WIDGET_CLASS (class);
  GParamFlags      flags        = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->get_property  = get_property;
  object_class->set_property  = set_property;
  object_class->dispose       = dispose;
  object_class->finalize      = finalize;
  widget_class->draw          = fb_canvas_draw;
  widget_class->size_allocate = size_allocate;

  props[PROP_TOOL]     = g_param_spec_int ("tool", NULL, NULL, FB_TOOL_BRUSH, FB_TOOL_RECTANGLE, FB_TOOL_BRUSH, flags);
  props[PROP_SIZE]     = g_param_spec_double ("size", NULL, NULL, FB_BRUSH_MIN, FB_BRUSH_MAX, 60.0, flags);
  props[PROP_HARDNESS] = g_param_spec_double ("hardness", NULL, NULL, 0.0, 1.0, 0.8, flags);
  props[PROP_COMPARE]  = g_param_spec_int ("compare", NULL, NULL, FB_COMPARE_RESULT, FB_COMPARE_ORIGINAL, FB_COMPARE_RESULT, flags);
  g_object_class_install_properties (object_class, N_PROPS, props);

  g_signal_new ("stroke-began", FB_TYPE_CANVAS, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  g_signal_new ("stroke-dropped", FB_TYPE_CANVAS, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  g_signal_new ("changed", FB_TYPE_CANVAS, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
fb_canvas_init (FbCanvas *self)
{
  AtkObject *accessible = gtk_widget_get_accessible (GTK_WIDGET (self));

  self->steps    = g_ptr_array_new_with_free_func ((GDestroyNotify) fb_mask_free);
  self->outline  = g_array_new (FALSE, FALSE, sizeof (double));
  self->colour   = (GdkRGBA) { 1.0, 0.15, 0.25, 0.5 };
  self->scale    = 1.0;
  self->is_fit   = TRUE;
  self->split    = 0.5;
  self->size     = 60.0;
  self->hardness = 0.8;
  gtk_widget_set_can_focus (GTK_WIDGET (self), TRUE);
  gtk_style_context_add_class (gtk_widget_get_style_context (GTK_WIDGET (self)), GTK_STYLE_CLASS_VIEW);
  atk_object_set_role (accessible, ATK_ROLE_CANVAS);
  atk_object_set_name (accessible, _("Canvas"));
  fb_canvas_init_input (self);
}

GtkWidget *
fb_canvas_new (void)
{
  return g_object_new (FB_TYPE_CANVAS, NULL);
}
