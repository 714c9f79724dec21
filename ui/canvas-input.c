/* ui/canvas-input.c: what the user does on the canvas. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "ui/canvas-private.h"

#define STEP_KEYS    8.0        /* pixels of the widget that an arrow key moves */
#define PAN_KEYS     40.0
#define ZOOM_STEP    1.25
#define SPLIT_REACH  8.0
#define PRESSURE_MIN 0.05

/* --- the brush ----------------------------------------------------------------------------------------------------------- */

static double
pressure_of (GdkEvent *event)
{
  double pressure = 1.0;

  if (event == NULL || !gdk_event_get_axis (event, GDK_AXIS_PRESSURE, &pressure) || pressure <= 0.0)
    return 1.0;                 /* a mouse */

  return CLAMP (pressure, PRESSURE_MIN, 1.0);
}

static gboolean
is_pens_eraser (GdkEvent *event)
{
  GdkDevice *device = event != NULL ? gdk_event_get_source_device (event) : NULL;

  return device != NULL && gdk_device_get_source (device) == GDK_SOURCE_ERASER;
}

/* paints from where the brush was last to here, in pixels of the image */
static void
paint_to (FbCanvas *self, double x, double y, double radius)
{
  GdkRectangle area = fb_mask_stroke (self->mask, self->last_x, self->last_y, self->last_radius, x, y, radius, self->hardness, self->erases);

  self->last_x      = x;
  self->last_y      = y;
  self->last_radius = radius;
  fb_canvas_damage (self, &area);
}

static void
move_brush (FbCanvas *self, double x, double y)
{
  fb_canvas_to_image (self, x, y, &self->brush_x, &self->brush_y);
  self->has_brush = TRUE;
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

/* --- outlines ------------------------------------------------------------------------------------------------------------ */

static void
add_corner (FbCanvas *self, double x, double y)
{
  g_array_append_val (self->outline, x);
  g_array_append_val (self->outline, y);
}

static void
set_opposite_corner (FbCanvas *self, double x, double y)
{
  const double *points = (const double *) self->outline->data;
  double        x0     = points[0];
  double        y0     = points[1];

  g_array_set_size (self->outline, 2);
  add_corner (self, x, y0);
  add_corner (self, x, y);
  add_corner (self, x0, y);
}

void
fb_canvas_drop_outline (FbCanvas *self)
{
  g_array_set_size (self->outline, 0);
  self->outline_by_keys = FALSE;
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

static void
fill_outline (FbCanvas *self)
{
  const double *points = (const double *) self->outline->data;
  GdkRectangle  area   = fb_mask_polygon (self->mask, points, (int) self->outline->len / 2, self->erases);

  fb_canvas_drop_outline (self);
  fb_canvas_damage (self, &area);
}

/* --- the pointer --------------------------------------------------------------------------------------------------------- */

static gboolean
is_brush (FbCanvas *self)
{
  return self->tool == FB_TOOL_BRUSH || self->tool == FB_TOOL_ERASER;
}

static gboolean
is_on_split (FbCanvas *self, double x)
{
  return self->compare == FB_COMPARE_SPLIT && fabs (x - self->split * gtk_widget_get_allocated_width (GTK_WIDGET (self))) <= SPLIT_REACH;
}

static FbGrip
grip_for (FbCanvas *self, const GdkEventButton *event)
{
  if (event->button == GDK_BUTTON_MIDDLE || (event->button == GDK_BUTTON_PRIMARY && self->space))
    return FB_GRIP_PAN;
  if (event->button != GDK_BUTTON_PRIMARY || self->mask == NULL)
    return FB_GRIP_NONE;
  if (is_on_split (self, event->x))
    return FB_GRIP_SPLIT;
  if ((event->state & GDK_SHIFT_MASK) != 0 && is_brush (self))
    return FB_GRIP_BRUSH;

  return FB_GRIP_PAINT;
}

static void
begin_painting (FbCanvas *self, GdkEvent *event)
{
  self->erases = self->tool == FB_TOOL_ERASER || (event->button.state & GDK_CONTROL_MASK) != 0 || is_pens_eraser (event);
  fb_canvas_begin_stroke (self);
  if (is_brush (self))
    {
      self->last_x      = self->brush_x;
      self->last_y      = self->brush_y;
      self->last_radius = self->size / 2.0 * pressure_of (event);
      paint_to (self, self->brush_x, self->brush_y, self->last_radius);
    }
  else
    {
      fb_canvas_drop_outline (self);
      add_corner (self, self->brush_x, self->brush_y);
    }
}

static gboolean
on_button_press (FbCanvas *self, GdkEventButton *event)
{
  gtk_widget_grab_focus (GTK_WIDGET (self));
  if (event->type != GDK_BUTTON_PRESS || self->grip != FB_GRIP_NONE)
    return GDK_EVENT_STOP;
  self->grip   = grip_for (self, event);
  self->grip_x = event->x;
  self->grip_y = event->y;
  move_brush (self, event->x, event->y);
  if (self->grip == FB_GRIP_PAINT)
    begin_painting (self, (GdkEvent *) event);

  return GDK_EVENT_STOP;
}

static void
drag_paint (FbCanvas *self, GdkEvent *event)
{
  if (is_brush (self))
    paint_to (self, self->brush_x, self->brush_y, self->size / 2.0 * pressure_of (event));
  else if (self->tool == FB_TOOL_LASSO)
    add_corner (self, self->brush_x, self->brush_y);
  else
    set_opposite_corner (self, self->brush_x, self->brush_y);
}

/* across for the size, by what the pointer moves in the picture; down for softer */
static void
drag_brush (FbCanvas *self, double dx, double dy)
{
  fb_canvas_set_size (self, self->size + 2.0 * dx / self->scale);
  fb_canvas_set_hardness (self, self->hardness - dy / 200.0);
}

static gboolean
on_motion (FbCanvas *self, GdkEventMotion *event)
{
  double dx = event->x - self->grip_x;
  double dy = event->y - self->grip_y;

  if (self->grip != FB_GRIP_BRUSH)           /* the brush stays where its size is being set */
    move_brush (self, event->x, event->y);
  switch (self->grip)
    {
    case FB_GRIP_NONE:  break;
    case FB_GRIP_PAINT: drag_paint (self, (GdkEvent *) event); break;
    case FB_GRIP_PAN:   fb_canvas_pan (self, dx, dy); break;
    case FB_GRIP_BRUSH: drag_brush (self, dx, dy); break;
    case FB_GRIP_SPLIT:
      self->split = CLAMP (event->x / gtk_widget_get_allocated_width (GTK_WIDGET (self)), 0.0, 1.0);
      break;
    }
  self->grip_x = event->x;
  self->grip_y = event->y;

  return GDK_EVENT_STOP;
}

static gboolean
on_button_release (FbCanvas *self, GdkEventButton *event)
{
  FbGrip grip = self->grip;

  if (event->button != GDK_BUTTON_PRIMARY && event->button != GDK_BUTTON_MIDDLE)
    return GDK_EVENT_STOP;
  self->grip = FB_GRIP_NONE;
  if (grip == FB_GRIP_PAINT)
    {
      if (!is_brush (self))
        fill_outline (self);
      fb_canvas_end_stroke (self);
    }
  gtk_widget_queue_draw (GTK_WIDGET (self));

  return GDK_EVENT_STOP;
}

static gboolean
on_leave (FbCanvas *self, GdkEventCrossing *event)
{
  self->has_brush = self->grip != FB_GRIP_NONE;
  gtk_widget_queue_draw (GTK_WIDGET (self));

  return GDK_EVENT_PROPAGATE;
}

static gboolean
on_scroll (FbCanvas *self, GdkEventScroll *event)
{
  double dx = 0.0, dy = 0.0;

  switch (event->direction)
    {
    case GDK_SCROLL_UP:     dy = -1.0; break;
    case GDK_SCROLL_DOWN:   dy = 1.0;  break;
    case GDK_SCROLL_LEFT:   dx = -1.0; break;
    case GDK_SCROLL_RIGHT:  dx = 1.0;  break;
    case GDK_SCROLL_SMOOTH: gdk_event_get_scroll_deltas ((GdkEvent *) event, &dx, &dy); break;
    }
  if ((event->state & GDK_CONTROL_MASK) != 0)
    fb_canvas_pan (self, -dx * PAN_KEYS, -dy * PAN_KEYS);
  else if ((event->state & GDK_SHIFT_MASK) != 0)
    fb_canvas_pan (self, -(dx + dy) * PAN_KEYS, 0.0);
  else
    {
      fb_canvas_pan (self, -dx * PAN_KEYS, 0.0);
      fb_canvas_zoom_at (self, pow (ZOOM_STEP, -dy), event->x, event->y);
    }

  return GDK_EVENT_STOP;
}

/* --- pinch --------------------------------------------------------------------------------------------------------------- */

/* the first of two fingers has begun to paint: nothing told it from one that is alone */
static void
on_pinch_begin (FbCanvas *self)
{
  fb_canvas_drop_stroke (self);
  self->pinch = self->scale;
  gtk_gesture_get_bounding_box_center (GTK_GESTURE (self->zoom), &self->pinch_x, &self->pinch_y);
}

static void
on_pinch (GtkGestureZoom *gesture, double factor, FbCanvas *self)
{
  double x, y;

  if (!gtk_gesture_get_bounding_box_center (GTK_GESTURE (gesture), &x, &y) || self->width == 0)
    return;
  fb_canvas_zoom_at (self, self->pinch * factor / self->scale, self->pinch_x, self->pinch_y);
  fb_canvas_pan (self, x - self->pinch_x, y - self->pinch_y);
  self->pinch_x = x;
  self->pinch_y = y;
}

/* --- keys ---------------------------------------------------------------------------------------------------------------- */

static gboolean
is_arrow (guint key, double *dx, double *dy)
{
  *dx = key == GDK_KEY_Left || key == GDK_KEY_KP_Left ? -1.0 : key == GDK_KEY_Right || key == GDK_KEY_KP_Right ? 1.0 : 0.0;
  *dy = key == GDK_KEY_Up || key == GDK_KEY_KP_Up ? -1.0 : key == GDK_KEY_Down || key == GDK_KEY_KP_Down ? 1.0 : 0.0;

  return *dx != 0.0 || *dy != 0.0;
}

/* keys that paint need a brush: where it was last, or in the middle of what is visible */
static void
ensure_brush (FbCanvas *self)
{
  GtkWidget *widget = GTK_WIDGET (self);

  if (!self->has_brush)
    move_brush (self, gtk_widget_get_allocated_width (widget) / 2.0, gtk_widget_get_allocated_height (widget) / 2.0);
}

static void
paint_by_keys (FbCanvas *self, double dx, double dy)
{
  double step = STEP_KEYS / self->scale;

  self->erases      = self->tool == FB_TOOL_ERASER;
  self->last_x      = self->brush_x;
  self->last_y      = self->brush_y;
  self->last_radius = self->size / 2.0;
  fb_canvas_begin_stroke (self);
  self->brush_x = CLAMP (self->brush_x + dx * step, 0.0, self->width);
  self->brush_y = CLAMP (self->brush_y + dy * step, 0.0, self->height);
  paint_to (self, self->brush_x, self->brush_y, self->last_radius);
  fb_canvas_end_stroke (self);
}

static void
on_arrow (FbCanvas *self, double dx, double dy, GdkModifierType modifiers)
{
  double step = STEP_KEYS / self->scale;

  if ((modifiers & GDK_CONTROL_MASK) != 0)
    {
      fb_canvas_pan (self, -dx * PAN_KEYS, -dy * PAN_KEYS);
      return;
    }
  ensure_brush (self);
  if ((modifiers & GDK_SHIFT_MASK) != 0 && is_brush (self))
    paint_by_keys (self, dx, dy);
  else
    {
      self->brush_x = CLAMP (self->brush_x + dx * step, 0.0, self->width);
      self->brush_y = CLAMP (self->brush_y + dy * step, 0.0, self->height);
      gtk_widget_queue_draw (GTK_WIDGET (self));
    }
}

/* whether the outline's last corner is where the brush is: the second Enter at one place closes a lasso */
static gboolean
is_at_last_corner (FbCanvas *self)
{
  const double *last = &g_array_index (self->outline, double, self->outline->len - 2);

  return last[0] == self->brush_x && last[1] == self->brush_y;
}

static void
close_by_keys (FbCanvas *self)
{
  self->erases = FALSE;
  fb_canvas_begin_stroke (self);
  fill_outline (self);
  fb_canvas_end_stroke (self);
}

static void
on_enter (FbCanvas *self)
{
  ensure_brush (self);
  if (is_brush (self))
    paint_by_keys (self, 0.0, 0.0);
  else if (self->tool == FB_TOOL_RECTANGLE && self->outline->len > 0)
    {
      set_opposite_corner (self, self->brush_x, self->brush_y);
      close_by_keys (self);
    }
  else if (self->outline->len > 0 && is_at_last_corner (self))
    close_by_keys (self);
  else
    {
      add_corner (self, self->brush_x, self->brush_y);
      self->outline_by_keys = TRUE;
      gtk_widget_queue_draw (GTK_WIDGET (self));
    }
}

static gboolean
on_control_key (FbCanvas *self, guint key, gboolean shift)
{
  switch (gdk_keyval_to_lower (key))
    {
    case GDK_KEY_z:
      if (shift)
        fb_canvas_redo (self);
      else
        fb_canvas_undo (self);
      return GDK_EVENT_STOP;
    case GDK_KEY_y:
      fb_canvas_redo (self);
      return GDK_EVENT_STOP;
    default:
      return GDK_EVENT_PROPAGATE;
    }
}

static gboolean
on_plain_key (FbCanvas *self, guint key)
{
  switch (key)
    {
    case GDK_KEY_bracketleft:  fb_canvas_set_size (self, MIN (self->size - 1.0, self->size / ZOOM_STEP)); break;
    case GDK_KEY_bracketright: fb_canvas_set_size (self, MAX (self->size + 1.0, self->size * ZOOM_STEP)); break;
    case GDK_KEY_braceleft:    fb_canvas_set_hardness (self, self->hardness - 0.1); break;
    case GDK_KEY_braceright:   fb_canvas_set_hardness (self, self->hardness + 0.1); break;
    case GDK_KEY_b: case GDK_KEY_B: fb_canvas_set_tool (self, FB_TOOL_BRUSH);     break;
    case GDK_KEY_e: case GDK_KEY_E: fb_canvas_set_tool (self, FB_TOOL_ERASER);    break;
    case GDK_KEY_l: case GDK_KEY_L: fb_canvas_set_tool (self, FB_TOOL_LASSO);     break;
    case GDK_KEY_r: case GDK_KEY_R: fb_canvas_set_tool (self, FB_TOOL_RECTANGLE); break;
    case GDK_KEY_plus:  case GDK_KEY_KP_Add: case GDK_KEY_equal: fb_canvas_zoom_by (self, ZOOM_STEP);       break;
    case GDK_KEY_minus: case GDK_KEY_KP_Subtract:                fb_canvas_zoom_by (self, 1.0 / ZOOM_STEP); break;
    case GDK_KEY_0:     case GDK_KEY_KP_0:                       fb_canvas_zoom_to (self, 0.0);             break;
    case GDK_KEY_1:     case GDK_KEY_KP_1:                       fb_canvas_zoom_to (self, 1.0);             break;
    case GDK_KEY_m: case GDK_KEY_M: fb_canvas_zoom_to_mask (self); break;
    case GDK_KEY_Return: case GDK_KEY_KP_Enter: on_enter (self);   break;
    case GDK_KEY_space:  self->space = TRUE; break;
    default:
      return GDK_EVENT_PROPAGATE;
    }

  return GDK_EVENT_STOP;
}

static gboolean
on_key_press (FbCanvas *self, GdkEventKey *event)
{
  GdkModifierType modifiers = event->state & gtk_accelerator_get_default_mod_mask ();
  double          dx, dy;

  if (self->mask == NULL)
    return GDK_EVENT_PROPAGATE;
  if (event->keyval == GDK_KEY_Escape && self->outline->len > 0)
    {
      fb_canvas_drop_outline (self);
      return GDK_EVENT_STOP;
    }
  if (is_arrow (event->keyval, &dx, &dy))
    {
      on_arrow (self, dx, dy, modifiers);
      return GDK_EVENT_STOP;
    }
  if ((modifiers & GDK_CONTROL_MASK) != 0)
    return on_control_key (self, event->keyval, (modifiers & GDK_SHIFT_MASK) != 0);
  if ((modifiers & GDK_MOD1_MASK) != 0)
    return GDK_EVENT_PROPAGATE;              /* mnemonics of the dialog */

  return on_plain_key (self, event->keyval);
}

static gboolean
on_key_release (FbCanvas *self, GdkEventKey *event)
{
  if (event->keyval != GDK_KEY_space)
    return GDK_EVENT_PROPAGATE;
  self->space = FALSE;

  return GDK_EVENT_STOP;
}

static gboolean
on_focus (FbCanvas *self)
{
  self->space = FALSE;
  gtk_widget_queue_draw (GTK_WIDGET (self));

  return GDK_EVENT_PROPAGATE;
}

/* a stroke needs every place the pen was at */
static void
on_realize (GtkWidget *widget)
{
  gdk_window_set_event_compression (gtk_widget_get_window (widget), FALSE);
}

void
fb_canvas_init_input (FbCanvas *self)
{
  GtkWidget *widget = GTK_WIDGET (self);

  gtk_widget_add_events (widget, GDK_BUTTON_PRESS_MASK | GDK_BUTTON_RELEASE_MASK | GDK_POINTER_MOTION_MASK | GDK_LEAVE_NOTIFY_MASK |
                         GDK_SCROLL_MASK | GDK_SMOOTH_SCROLL_MASK | GDK_TOUCH_MASK | GDK_TOUCHPAD_GESTURE_MASK |
                         GDK_KEY_PRESS_MASK | GDK_KEY_RELEASE_MASK);
  g_signal_connect (self, "button-press-event", G_CALLBACK (on_button_press), NULL);
  g_signal_connect (self, "button-release-event", G_CALLBACK (on_button_release), NULL);
  g_signal_connect (self, "motion-notify-event", G_CALLBACK (on_motion), NULL);
  g_signal_connect (self, "leave-notify-event", G_CALLBACK (on_leave), NULL);
  g_signal_connect (self, "scroll-event", G_CALLBACK (on_scroll), NULL);
  g_signal_connect (self, "key-press-event", G_CALLBACK (on_key_press), NULL);
  g_signal_connect (self, "key-release-event", G_CALLBACK (on_key_release), NULL);
  g_signal_connect (self, "focus-in-event", G_CALLBACK (on_focus), NULL);
  g_signal_connect (self, "focus-out-event", G_CALLBACK (on_focus), NULL);
  g_signal_connect (self, "realize", G_CALLBACK (on_realize), NULL);

  self->zoom = gtk_gesture_zoom_new (widget);
  gtk_event_controller_set_propagation_phase (GTK_EVENT_CONTROLLER (self->zoom), GTK_PHASE_TARGET);   /* before a finger is taken for the pointer */
  g_signal_connect_swapped (self->zoom, "begin", G_CALLBACK (on_pinch_begin), self);
  g_signal_connect (self->zoom, "scale-changed", G_CALLBACK (on_pinch), self);
}
