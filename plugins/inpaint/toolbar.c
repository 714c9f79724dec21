/* plugins/inpaint/toolbar.c: the buttons above the canvas. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/inpaint/toolbar.h"

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

typedef struct
{
  int         value;
  const char *icon;
  const char *name;             /* untranslated */
  const char *tooltip;
} Choice;

static const Choice tools[] =
{
  { FB_TOOL_BRUSH,     "gimp-tool-paintbrush",  N_("Brush"),     N_("Paint over what is to be changed (B); Ctrl erases, Shift-drag sets size and hardness") },
  { FB_TOOL_ERASER,    "gimp-tool-eraser",      N_("Eraser"),    N_("Take away from the mask (E)") },
  { FB_TOOL_LASSO,     "gimp-tool-free-select", N_("Lasso"),     N_("Draw around what is to be changed (L)") },
  { FB_TOOL_RECTANGLE, "gimp-tool-rect-select", N_("Rectangle"), N_("Mask a rectangle (R)") },
};

static const Choice views[] =
{
  { FB_COMPARE_RESULT,   NULL, N_("Result"),   N_("Show the result in its place") },
  { FB_COMPARE_SPLIT,    NULL, N_("Split"),    N_("Show the picture left of a line and the result right of it; drag the line") },
  { FB_COMPARE_ORIGINAL, NULL, N_("Original"), N_("Show the picture as it is") },
};

static void
name_it (GtkWidget *widget, const char *name, const char *tooltip)
{
  atk_object_set_name (gtk_widget_get_accessible (widget), name);
  gtk_widget_set_tooltip_text (widget, tooltip);
}

/* --- one of several ------------------------------------------------------------------------------------------------------ */

static gboolean
to_active (GBinding *binding, const GValue *from, GValue *to, gpointer value)
{
  g_value_set_boolean (to, g_value_get_int (from) == GPOINTER_TO_INT (value));

  return TRUE;
}

/* only the button that becomes active has a say */
static gboolean
from_active (GBinding *binding, const GValue *from, GValue *to, gpointer value)
{
  if (!g_value_get_boolean (from))
    return FALSE;
  g_value_set_int (to, GPOINTER_TO_INT (value));

  return TRUE;
}

static GtkWidget *
choices_new (FbCanvas *canvas, const char *property, const Choice *choices, int n)
{
  GtkWidget *box   = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 0);
  GtkWidget *first = NULL;

  gtk_style_context_add_class (gtk_widget_get_style_context (box), GTK_STYLE_CLASS_LINKED);
  for (int i = 0; i < n; i++)
    {
      GtkWidget *button = gtk_radio_button_new_from_widget (GTK_RADIO_BUTTON (first));

      gtk_toggle_button_set_mode (GTK_TOGGLE_BUTTON (button), FALSE);
      gtk_container_add (GTK_CONTAINER (button), choices[i].icon != NULL ? gtk_image_new_from_icon_name (choices[i].icon, GTK_ICON_SIZE_BUTTON)
                                                                         : gtk_label_new (_(choices[i].name)));
      name_it (button, _(choices[i].name), _(choices[i].tooltip));
      g_object_bind_property_full (canvas, property, button, "active", G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE,
                                   to_active, from_active, GINT_TO_POINTER (choices[i].value), NULL);
      gtk_box_pack_start (GTK_BOX (box), button, FALSE, FALSE, 0);
      first = first != NULL ? first : button;
    }

  return box;
}

/* --- buttons ------------------------------------------------------------------------------------------------------------- */

static GtkWidget *
button_new (const char *icon, const char *name, const char *tooltip, GCallback clicked, FbCanvas *canvas)
{
  GtkWidget *button = gtk_button_new_from_icon_name (icon, GTK_ICON_SIZE_BUTTON);

  name_it (button, name, tooltip);
  if (clicked != NULL)
    g_signal_connect_object (button, "clicked", clicked, canvas, G_CONNECT_SWAPPED);

  return button;
}

static void
mask_all (FbCanvas *canvas)
{
  fb_canvas_fill (canvas, 255);
}

static void
mask_nothing (FbCanvas *canvas)
{
  fb_canvas_fill (canvas, 0);
}

static void
zoom_in (FbCanvas *canvas)
{
  fb_canvas_zoom_by (canvas, 1.5);
}

static void
zoom_out (FbCanvas *canvas)
{
  fb_canvas_zoom_by (canvas, 1.0 / 1.5);
}

static void
zoom_fit (FbCanvas *canvas)
{
  fb_canvas_zoom_to (canvas, 0.0);
}

static void
update_undo (FbCanvas *canvas, GtkWidget *undo)
{
  gtk_widget_set_sensitive (undo, fb_canvas_can_undo (canvas));
}

static void
update_redo (FbCanvas *canvas, GtkWidget *redo)
{
  gtk_widget_set_sensitive (redo, fb_canvas_can_redo (canvas));
}

static void
set_colour (GtkColorButton *button, FbCanvas *canvas)
{
  GdkRGBA colour;

  gtk_color_chooser_get_rgba (GTK_COLOR_CHOOSER (button), &colour);
  fb_canvas_set_colour (canvas, &colour);
}

static GtkWidget *
colour_new (FbCanvas *canvas)
{
  GdkRGBA    colour = { 1.0, 0.15, 0.25, 0.5 };
  GtkWidget *button = gtk_color_button_new_with_rgba (&colour);

  gtk_color_chooser_set_use_alpha (GTK_COLOR_CHOOSER (button), TRUE);
  gtk_color_button_set_title (GTK_COLOR_BUTTON (button), _("Color of the Mask"));
  name_it (button, _("Color of the mask"), _("Color in which the mask is shown"));
  g_signal_connect_object (button, "color-set", G_CALLBACK (set_colour), canvas, 0);

  return button;
}

/* --- the brush ----------------------------------------------------------------------------------------------------------- */

static GtkWidget *
size_new (FbCanvas *canvas)
{
  GtkWidget *spin = gtk_spin_button_new_with_range (1.0, 2000.0, 1.0);

  gtk_entry_set_width_chars (GTK_ENTRY (spin), 4);
  name_it (spin, _("Brush size"), _("Diameter in the image's pixels (brackets)"));
  g_object_bind_property (canvas, "size", gtk_spin_button_get_adjustment (GTK_SPIN_BUTTON (spin)), "value",
                          G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE);

  return spin;
}

static GtkWidget *
hardness_new (FbCanvas *canvas)
{
  GtkWidget *scale = gtk_scale_new_with_range (GTK_ORIENTATION_HORIZONTAL, 0.0, 1.0, 0.05);

  gtk_scale_set_draw_value (GTK_SCALE (scale), FALSE);
  gtk_widget_set_size_request (scale, 80, -1);
  name_it (scale, _("Brush hardness"), _("How much of the brush paints fully; the rest fades (Shift and brackets)"));
  g_object_bind_property (canvas, "hardness", gtk_range_get_adjustment (GTK_RANGE (scale)), "value",
                          G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE);

  return scale;
}

/* --- both rows ----------------------------------------------------------------------------------------------------------- */

static void
pack (GtkWidget *row, GtkWidget *widget)
{
  gtk_box_pack_start (GTK_BOX (row), widget, FALSE, FALSE, 0);
}

static GtkWidget *
painting_row (FbCanvas *canvas, GtkWidget **from_selection)
{
  GtkWidget *row  = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  GtkWidget *mask = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 0);

  *from_selection = button_new ("gimp-selection", _("Mask from selection"), _("Take the selection as the mask"), NULL, canvas);
  gtk_style_context_add_class (gtk_widget_get_style_context (mask), GTK_STYLE_CLASS_LINKED);
  pack (mask, *from_selection);
  pack (mask, button_new ("gimp-selection-all", _("Mask all"), _("Mask the whole picture"), G_CALLBACK (mask_all), canvas));
  pack (mask, button_new ("gimp-invert", _("Invert mask"), _("Mask what is not masked"), G_CALLBACK (fb_canvas_invert), canvas));
  pack (mask, button_new ("gimp-selection-none", _("Clear mask"), _("Mask nothing"), G_CALLBACK (mask_nothing), canvas));
  pack (row, choices_new (canvas, "tool", tools, G_N_ELEMENTS (tools)));
  pack (row, size_new (canvas));
  pack (row, hardness_new (canvas));
  pack (row, mask);
  pack (row, colour_new (canvas));

  return row;
}

static GtkWidget *
viewing_row (FbCanvas *canvas, GtkWidget **live)
{
  GtkWidget *row   = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  GtkWidget *steps = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 0);
  GtkWidget *zoom  = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 0);
  GtkWidget *undo  = button_new ("edit-undo", _("Undo stroke"), _("Take back the last change of the mask (Ctrl+Z)"), G_CALLBACK (fb_canvas_undo), canvas);
  GtkWidget *redo  = button_new ("edit-redo", _("Redo stroke"), _("Make it again (Ctrl+Shift+Z)"), G_CALLBACK (fb_canvas_redo), canvas);

  gtk_style_context_add_class (gtk_widget_get_style_context (steps), GTK_STYLE_CLASS_LINKED);
  gtk_style_context_add_class (gtk_widget_get_style_context (zoom), GTK_STYLE_CLASS_LINKED);
  pack (steps, undo);
  pack (steps, redo);
  pack (zoom, button_new ("zoom-out", _("Zoom out"), _("Zoom out (−, or the wheel)"), G_CALLBACK (zoom_out), canvas));
  pack (zoom, button_new ("zoom-fit-best", _("Fit"), _("Show the whole picture (0)"), G_CALLBACK (zoom_fit), canvas));
  pack (zoom, button_new ("zoom-in", _("Zoom in"), _("Zoom in (+, or the wheel); space and drag moves the picture"), G_CALLBACK (zoom_in), canvas));
  pack (zoom, button_new ("zoom-original", _("Zoom to mask"), _("Show the mask as large as it fits (M)"), G_CALLBACK (fb_canvas_zoom_to_mask), canvas));
  g_signal_connect_object (canvas, "changed", G_CALLBACK (update_undo), undo, 0);
  g_signal_connect_object (canvas, "changed", G_CALLBACK (update_redo), redo, 0);
  gtk_widget_set_sensitive (undo, FALSE);
  gtk_widget_set_sensitive (redo, FALSE);

  *live = gtk_check_button_new_with_mnemonic (_("_Live"));
  gtk_widget_set_tooltip_text (*live, _("Show a draft after each stroke, and the full picture when you pause"));
  pack (row, steps);
  pack (row, zoom);
  pack (row, choices_new (canvas, "compare", views, G_N_ELEMENTS (views)));
  pack (row, *live);

  return row;
}

GtkWidget *
inpaint_toolbar_new (FbCanvas *canvas, GtkWidget **live, GtkWidget **from_selection)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 4);

  pack (box, painting_row (canvas, from_selection));
  pack (box, viewing_row (canvas, live));

  return box;
}
