/* tests/gimp/test-canvas.c: what a hand does on the canvas, without GIMP. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The events are made here, so that there are a pen and a touch screen too. The picture's pixel (x, y) lies at (x + LEFT, y + TOP).
 */
#include <math.h>

#include "ui/canvas-private.h"

enum { WIDTH = 400, HEIGHT = 300, LEFT = 12, TOP = 12 };      /* the canvas's margin around a picture that just fits */

typedef struct
{
  GtkWidget *window;
  FbCanvas  *canvas;
  int        n_began, n_changed, n_dropped;
} Fixture;

static void
count (int *n)
{
  (*n)++;
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->window = gtk_window_new (GTK_WINDOW_TOPLEVEL);
  f->canvas = FB_CANVAS (fb_canvas_new ());
  gtk_widget_set_size_request (GTK_WIDGET (f->canvas), WIDTH + 2 * LEFT, HEIGHT + 2 * TOP);
  gtk_container_add (GTK_CONTAINER (f->window), GTK_WIDGET (f->canvas));
  gtk_widget_show_all (f->window);
  while (gtk_events_pending ())
    gtk_main_iteration ();

  f->canvas->width  = WIDTH;
  f->canvas->height = HEIGHT;
  fb_canvas_begin_with (f->canvas, fb_mask_new (WIDTH, HEIGHT));
  fb_canvas_zoom_to (f->canvas, 0.0);
  g_assert_cmpfloat (f->canvas->scale, ==, 1.0);
  g_object_set (f->canvas, "size", 20.0, "hardness", 1.0, NULL);
  g_signal_connect_swapped (f->canvas, "stroke-began", G_CALLBACK (count), &f->n_began);
  g_signal_connect_swapped (f->canvas, "changed", G_CALLBACK (count), &f->n_changed);
  g_signal_connect_swapped (f->canvas, "stroke-dropped", G_CALLBACK (count), &f->n_dropped);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gtk_widget_destroy (f->window);
}

/* --- events -------------------------------------------------------------------------------------------------------------- */

static GdkDevice *
pointer (void)
{
  return gdk_seat_get_pointer (gdk_display_get_default_seat (gdk_display_get_default ()));
}

static GdkEvent *
event_new (Fixture *f, GdkEventType type)
{
  GdkEvent *event = gdk_event_new (type);

  event->any.window = g_object_ref (gtk_widget_get_window (GTK_WIDGET (f->canvas)));
  gdk_event_set_device (event, pointer ());

  return event;
}

static void
send (Fixture *f, GdkEvent *event)
{
  gtk_widget_event (GTK_WIDGET (f->canvas), event);
  gdk_event_free (event);
}

/* (transfer full) (nullable): the axes of a device whose first is the pressure */
static double *
axes_for (double pressure)
{
  double *axes = NULL;

  if (pressure > 0.0)
    {
      axes    = g_new0 (double, gdk_device_get_n_axes (pointer ()));
      axes[0] = pressure;
    }

  return axes;
}

static void
button (Fixture *f, GdkEventType type, guint which, double x, double y, GdkModifierType state, double pressure)
{
  GdkEvent *event = event_new (f, type);

  event->button.button = which;
  event->button.x      = x + LEFT;
  event->button.y      = y + TOP;
  event->button.state  = state;
  event->button.axes   = axes_for (pressure);
  send (f, event);
}

static void
motion (Fixture *f, double x, double y, GdkModifierType state, double pressure)
{
  GdkEvent *event = event_new (f, GDK_MOTION_NOTIFY);

  event->motion.x     = x + LEFT;
  event->motion.y     = y + TOP;
  event->motion.state = state;
  event->motion.axes  = axes_for (pressure);
  send (f, event);
}

static void
drag (Fixture *f, guint which, GdkModifierType state, double x0, double y0, double x1, double y1)
{
  button (f, GDK_BUTTON_PRESS, which, x0, y0, state, 0.0);
  motion (f, (x0 + x1) / 2.0, (y0 + y1) / 2.0, state, 0.0);
  motion (f, x1, y1, state, 0.0);
  button (f, GDK_BUTTON_RELEASE, which, x1, y1, state, 0.0);
}

static void
key (Fixture *f, GdkEventType type, guint keyval, GdkModifierType state)
{
  GdkEvent *event = event_new (f, type);

  event->key.keyval = keyval;
  event->key.state  = state;
  send (f, event);
}

static void
finger (Fixture *f, GdkEventType type, int which, double x, double y)
{
  GdkEvent *event = event_new (f, type);

  event->touch.sequence          = GINT_TO_POINTER (which);
  event->touch.emulating_pointer = which == 1;
  event->touch.x                 = x + LEFT;
  event->touch.y                 = y + TOP;
  send (f, event);
}

static void
touchpad_pinch (Fixture *f, GdkTouchpadGesturePhase phase, double x, double y, double scale)
{
  GdkEvent *event = event_new (f, GDK_TOUCHPAD_PINCH);

  event->touchpad_pinch.phase     = phase;
  event->touchpad_pinch.n_fingers = 2;
  event->touchpad_pinch.x         = x + LEFT;
  event->touchpad_pinch.y         = y + TOP;
  event->touchpad_pinch.scale     = scale;
  send (f, event);
}

/* --- looking ------------------------------------------------------------------------------------------------------------- */

static int
at (Fixture *f, int x, int y)
{
  guint8 value = 0;

  fb_mask_read (fb_canvas_get_mask (f->canvas), &(GdkRectangle) { x, y, 1, 1 }, &value);

  return value;
}

static gboolean
is_empty (Fixture *f)
{
  GdkRectangle bounds;

  return !fb_mask_get_bounds (fb_canvas_get_mask (f->canvas), &bounds);
}

/* the picture's pixel below a place of the widget */
static void
assert_below (Fixture *f, double x, double y, double image_x, double image_y)
{
  double found_x, found_y;

  fb_canvas_to_image (f->canvas, x + LEFT, y + TOP, &found_x, &found_y);
  g_assert_cmpfloat_with_epsilon (found_x, image_x, 1e-6);
  g_assert_cmpfloat_with_epsilon (found_y, image_y, 1e-6);
}

/* --- painting ------------------------------------------------------------------------------------------------------------ */

static void
test_a_stroke_is_told_once (Fixture *f, gconstpointer data)
{
  drag (f, GDK_BUTTON_PRIMARY, 0, 100, 100, 200, 100);
  g_assert_cmpint (f->n_began, ==, 1);
  g_assert_cmpint (f->n_changed, ==, 1);
  g_assert_cmpint (at (f, 150, 108), ==, 255);
  g_assert_cmpint (at (f, 150, 112), ==, 0);
}

static void
test_control_erases (Fixture *f, gconstpointer data)
{
  fb_canvas_fill (f->canvas, 255);
  drag (f, GDK_BUTTON_PRIMARY, GDK_CONTROL_MASK, 100, 100, 200, 100);
  g_assert_cmpint (at (f, 150, 105), ==, 0);
  g_assert_cmpint (at (f, 150, 112), ==, 255);
  g_object_set (f->canvas, "tool", FB_TOOL_ERASER, NULL);
  drag (f, GDK_BUTTON_PRIMARY, 0, 100, 200, 200, 200);
  g_assert_cmpint (at (f, 150, 205), ==, 0);
}

static void
test_a_pens_pressure_is_the_size (Fixture *f, gconstpointer data)
{
  GdkAxisUse use;

  g_assert_cmpint (gdk_device_get_n_axes (pointer ()), >, 0);
  use = gdk_device_get_axis_use (pointer (), 0);
  gdk_device_set_axis_use (pointer (), 0, GDK_AXIS_PRESSURE);
  button (f, GDK_BUTTON_PRESS, GDK_BUTTON_PRIMARY, 100, 100, 0, 0.2);
  motion (f, 200, 100, 0, 1.0);
  button (f, GDK_BUTTON_RELEASE, GDK_BUTTON_PRIMARY, 200, 100, 0, 0.0);
  gdk_device_set_axis_use (pointer (), 0, use);
  g_assert_cmpint (at (f, 100, 101), ==, 255);      /* 2 of 10 pixels, then more and more */
  g_assert_cmpint (at (f, 100, 104), ==, 0);
  g_assert_cmpint (at (f, 150, 104), ==, 255);
  g_assert_cmpint (at (f, 150, 108), ==, 0);
  g_assert_cmpint (at (f, 200, 108), ==, 255);
}

static void
test_outlines_are_drawn (Fixture *f, gconstpointer data)
{
  g_object_set (f->canvas, "tool", FB_TOOL_RECTANGLE, NULL);
  drag (f, GDK_BUTTON_PRIMARY, 0, 100, 100, 150, 140);
  g_assert_cmpint (at (f, 100, 100), ==, 255);
  g_assert_cmpint (at (f, 149, 139), ==, 255);
  g_assert_cmpint (at (f, 150, 120), ==, 0);
  g_object_set (f->canvas, "tool", FB_TOOL_LASSO, NULL);
  button (f, GDK_BUTTON_PRESS, GDK_BUTTON_PRIMARY, 200, 100, GDK_CONTROL_MASK, 0.0);
  motion (f, 50, 100, GDK_CONTROL_MASK, 0.0);
  motion (f, 50, 250, GDK_CONTROL_MASK, 0.0);
  button (f, GDK_BUTTON_RELEASE, GDK_BUTTON_PRIMARY, 50, 250, GDK_CONTROL_MASK, 0.0);
  g_assert_cmpint (at (f, 110, 110), ==, 0);        /* within the triangle */
  g_assert_cmpint (at (f, 148, 138), ==, 0);
  g_assert_cmpint (f->n_changed, ==, 2);
}

static void
test_each_change_is_a_step (Fixture *f, gconstpointer data)
{
  drag (f, GDK_BUTTON_PRIMARY, 0, 100, 100, 200, 100);
  fb_canvas_invert (f->canvas);
  fb_canvas_fill (f->canvas, 0);
  key (f, GDK_KEY_PRESS, GDK_KEY_z, GDK_CONTROL_MASK);
  g_assert_cmpint (at (f, 150, 100), ==, 0);
  g_assert_cmpint (at (f, 10, 10), ==, 255);
  key (f, GDK_KEY_PRESS, GDK_KEY_z, GDK_CONTROL_MASK);
  g_assert_cmpint (at (f, 150, 100), ==, 255);
  key (f, GDK_KEY_PRESS, GDK_KEY_z, GDK_CONTROL_MASK);
  g_assert_true (is_empty (f));
  g_assert_false (fb_canvas_can_undo (f->canvas));
  key (f, GDK_KEY_PRESS, GDK_KEY_Z, GDK_CONTROL_MASK | GDK_SHIFT_MASK);
  g_assert_cmpint (at (f, 150, 100), ==, 255);
  drag (f, GDK_BUTTON_PRIMARY, 0, 300, 200, 310, 200);
  g_assert_false (fb_canvas_can_redo (f->canvas));
}

/* --- the brush ----------------------------------------------------------------------------------------------------------- */

static void
test_the_brush_is_set (Fixture *f, gconstpointer data)
{
  double size, hardness;

  key (f, GDK_KEY_PRESS, GDK_KEY_bracketright, 0);
  g_object_get (f->canvas, "size", &size, NULL);
  g_assert_cmpfloat (size, ==, 25.0);
  key (f, GDK_KEY_PRESS, GDK_KEY_bracketleft, 0);
  key (f, GDK_KEY_PRESS, GDK_KEY_braceleft, GDK_SHIFT_MASK);
  g_object_get (f->canvas, "size", &size, "hardness", &hardness, NULL);
  g_assert_cmpfloat (size, ==, 20.0);
  g_assert_cmpfloat_with_epsilon (hardness, 0.9, 1e-9);
  drag (f, GDK_BUTTON_PRIMARY, GDK_SHIFT_MASK, 100, 100, 115, 180);
  g_object_get (f->canvas, "size", &size, "hardness", &hardness, NULL);
  g_assert_cmpfloat_with_epsilon (size, 50.0, 1e-9);
  g_assert_cmpfloat_with_epsilon (hardness, 0.5, 1e-9);
  g_assert_true (is_empty (f));
}

/* --- looking closer ------------------------------------------------------------------------------------------------------ */

static void
test_the_wheel_zooms_about_the_pointer (Fixture *f, gconstpointer data)
{
  for (int i = 0; i < 6; i++)
    {
      GdkEvent *event = event_new (f, GDK_SCROLL);

      event->scroll.direction = GDK_SCROLL_UP;
      event->scroll.x         = 150 + LEFT;
      event->scroll.y         = 120 + TOP;
      send (f, event);
    }
  g_assert_cmpfloat_with_epsilon (f->canvas->scale, pow (1.25, 6.0), 1e-9);
  assert_below (f, 150, 120, 150, 120);
}

static void
test_space_or_the_middle_button_move_the_picture (Fixture *f, gconstpointer data)
{
  fb_canvas_zoom_at (f->canvas, 4.0, 200 + LEFT, 150 + TOP);
  key (f, GDK_KEY_PRESS, GDK_KEY_space, 0);
  drag (f, GDK_BUTTON_PRIMARY, 0, 200, 150, 240, 110);
  key (f, GDK_KEY_RELEASE, GDK_KEY_space, 0);
  assert_below (f, 240, 110, 200, 150);
  drag (f, GDK_BUTTON_MIDDLE, 0, 240, 110, 200, 150);
  assert_below (f, 200, 150, 200, 150);
  g_assert_true (is_empty (f));
  g_assert_cmpint (f->n_began, ==, 0);
}

static void
test_a_touchpads_pinch_zooms (Fixture *f, gconstpointer data)
{
  touchpad_pinch (f, GDK_TOUCHPAD_GESTURE_PHASE_BEGIN, 150, 120, 1.0);
  touchpad_pinch (f, GDK_TOUCHPAD_GESTURE_PHASE_UPDATE, 150, 120, 2.0);
  touchpad_pinch (f, GDK_TOUCHPAD_GESTURE_PHASE_UPDATE, 150, 120, 3.0);
  touchpad_pinch (f, GDK_TOUCHPAD_GESTURE_PHASE_END, 150, 120, 3.0);
  g_assert_cmpfloat_with_epsilon (f->canvas->scale, 3.0, 1e-9);
  assert_below (f, 150, 120, 150, 120);
}

static void
test_one_finger_paints (Fixture *f, gconstpointer data)
{
  finger (f, GDK_TOUCH_BEGIN, 1, 100, 100);
  finger (f, GDK_TOUCH_UPDATE, 1, 200, 100);
  finger (f, GDK_TOUCH_END, 1, 200, 100);
  g_assert_cmpint (at (f, 150, 105), ==, 255);
  g_assert_cmpint (f->n_changed, ==, 1);
}

/* the first finger has painted before the second came */
static void
test_two_fingers_zoom_and_leave_no_mark (Fixture *f, gconstpointer data)
{
  finger (f, GDK_TOUCH_BEGIN, 1, 180, 150);
  finger (f, GDK_TOUCH_UPDATE, 1, 175, 150);
  finger (f, GDK_TOUCH_BEGIN, 2, 225, 150);
  finger (f, GDK_TOUCH_UPDATE, 1, 150, 150);
  finger (f, GDK_TOUCH_UPDATE, 2, 250, 150);
  g_assert_cmpfloat_with_epsilon (f->canvas->scale, 2.0, 1e-6);
  finger (f, GDK_TOUCH_UPDATE, 1, 180, 180);        /* both move the same way */
  finger (f, GDK_TOUCH_UPDATE, 2, 280, 180);
  g_assert_cmpfloat_with_epsilon (f->canvas->scale, 2.0, 1e-6);
  assert_below (f, 230, 180, 200, 150);
  finger (f, GDK_TOUCH_END, 1, 180, 180);
  finger (f, GDK_TOUCH_END, 2, 280, 180);
  g_assert_true (is_empty (f));
  g_assert_false (fb_canvas_can_undo (f->canvas));
  g_assert_cmpint (f->n_began, ==, 1);
  g_assert_cmpint (f->n_dropped, ==, 1);
  g_assert_cmpint (f->n_changed, ==, 0);
}

/* --- what is seen -------------------------------------------------------------------------------------------------------- */

static guint32
pixel (Fixture *f, int x, int y)
{
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_RGB24, WIDTH + 2 * LEFT, HEIGHT + 2 * TOP);
  cairo_t         *cr      = cairo_create (surface);
  guint32          value;

  gtk_widget_draw (GTK_WIDGET (f->canvas), cr);
  cairo_surface_flush (surface);
  value = *(guint32 *) (cairo_image_surface_get_data (surface) + (y + TOP) * cairo_image_surface_get_stride (surface) + 4 * (x + LEFT));
  cairo_destroy (cr);
  cairo_surface_destroy (surface);

  return value & 0xffffff;
}

static void
test_the_mask_has_the_colour_that_was_chosen (Fixture *f, gconstpointer data)
{
  drag (f, GDK_BUTTON_PRIMARY, 0, 100, 100, 200, 100);
  fb_canvas_set_colour (f->canvas, &(GdkRGBA) { 0.0, 1.0, 0.0, 1.0 });
  g_assert_cmphex (pixel (f, 150, 105), ==, 0x00ff00);
  g_assert_cmphex (pixel (f, 150, 130), !=, 0x00ff00);
  fb_canvas_set_colour (f->canvas, &(GdkRGBA) { 0.0, 0.0, 1.0, 1.0 });
  g_assert_cmphex (pixel (f, 150, 105), ==, 0x0000ff);
}

static void
test_a_line_parts_the_picture_from_the_result (Fixture *f, gconstpointer data)
{
  g_autoptr(FbImage) result = fb_image_new (WIDTH, HEIGHT, 4);

  for (int i = 0; i < WIDTH * HEIGHT * 4; i++)
    result->pixels[i] = i % 4 == 0 || i % 4 == 3 ? 1.0f : 0.0f;
  fb_canvas_set_result (f->canvas, result, &(GdkRectangle) { 0, 0, WIDTH, HEIGHT });
  g_assert_cmphex (pixel (f, 50, 50), ==, 0xff0000);
  g_object_set (f->canvas, "compare", FB_COMPARE_SPLIT, NULL);
  g_assert_cmphex (pixel (f, 50, 50), !=, 0xff0000);
  g_assert_cmphex (pixel (f, 350, 50), ==, 0xff0000);
  drag (f, GDK_BUTTON_PRIMARY, 0, WIDTH / 2, 100, 20, 100);
  g_assert_cmphex (pixel (f, 50, 50), ==, 0xff0000);
  g_assert_true (is_empty (f));
  g_object_set (f->canvas, "compare", FB_COMPARE_ORIGINAL, NULL);
  g_assert_cmphex (pixel (f, 350, 50), !=, 0xff0000);
}

/* columns of one pixel, red and green in turn, in the left half of a result that has eight of them to each pixel of the picture */
static FbImage *
fine_columns (void)
{
  FbImage *result = fb_image_new (8 * WIDTH, 8 * HEIGHT, 4);

  for (int i = 0; i < 8 * WIDTH * 8 * HEIGHT; i++)
    {
      const int x = i % (8 * WIDTH);

      result->pixels[4 * i]     = x % 2 == 0 ? 1.0f : 0.0f;
      result->pixels[4 * i + 1] = 1.0f - result->pixels[4 * i];
      result->pixels[4 * i + 2] = 0.0f;
      result->pixels[4 * i + 3] = x < 4 * WIDTH ? 1.0f : 0.0f;
    }

  return result;
}

static void
test_a_fine_result_is_shown_as_fine_as_the_screen (Fixture *f, gconstpointer data)
{
  g_autoptr(FbImage) result  = fine_columns ();
  int                clear   = pixel (f, 350, 50), seen;

  fb_canvas_set_result (f->canvas, result, &(GdkRectangle) { 0, 0, WIDTH, HEIGHT });
  g_assert_cmphex (pixel (f, 50, 50), ==, 0x808000);
  g_assert_cmphex (pixel (f, 350, 50), ==, clear);
  fb_canvas_zoom_to (f->canvas, 8.0);
  fb_canvas_pan (f->canvas, 8.0 * WIDTH, 0.0);
  seen = pixel (f, 50, 50);
  g_assert_true (seen == 0xff0000 || seen == 0x00ff00);
  fb_canvas_zoom_to (f->canvas, 0.0);
  g_assert_cmphex (pixel (f, 50, 50), ==, 0x808000);
}

int
main (int argc, char **argv)
{
  gtk_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add ("/ui/canvas/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("a-stroke-is-told-once", test_a_stroke_is_told_once);
  ADD ("control-erases", test_control_erases);
  ADD ("a-pens-pressure-is-the-size", test_a_pens_pressure_is_the_size);
  ADD ("outlines-are-drawn", test_outlines_are_drawn);
  ADD ("each-change-is-a-step", test_each_change_is_a_step);
  ADD ("the-brush-is-set", test_the_brush_is_set);
  ADD ("the-wheel-zooms-about-the-pointer", test_the_wheel_zooms_about_the_pointer);
  ADD ("space-or-the-middle-button-move-the-picture", test_space_or_the_middle_button_move_the_picture);
  ADD ("a-touchpads-pinch-zooms", test_a_touchpads_pinch_zooms);
  ADD ("one-finger-paints", test_one_finger_paints);
  ADD ("two-fingers-zoom-and-leave-no-mark", test_two_fingers_zoom_and_leave_no_mark);
  ADD ("the-mask-has-the-colour-that-was-chosen", test_the_mask_has_the_colour_that_was_chosen);
  ADD ("a-line-parts-the-picture-from-the-result", test_a_line_parts_the_picture_from_the_result);
  ADD ("a-fine-result-is-shown-as-fine-as-the-screen", test_a_fine_result_is_shown_as_fine_as_the_screen);

  return g_test_run ();
}
