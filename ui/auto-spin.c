/* ui/auto-spin.c: a number that may be left to the model. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/auto-spin.h"

#include <glib/gi18n-lib.h>

struct _FbAutoSpin
{
  GtkSpinButton parent_instance;
  double        resolved;
};

G_DEFINE_FINAL_TYPE (FbAutoSpin, fb_auto_spin, GTK_TYPE_SPIN_BUTTON)

static int
output (GtkSpinButton *spin)
{
  FbAutoSpin      *self   = FB_AUTO_SPIN (spin);
  int              digits = (int) gtk_spin_button_get_digits (spin);
  g_autofree char *text   = NULL;

  if (gtk_spin_button_get_value (spin) != 0.0)
    return FALSE;

  if (self->resolved >= 0.0)
    /* Translators: the model's own value, which is %.*f; keep it short */
    text = g_strdup_printf (_("Auto (%.*f)"), digits, self->resolved);
  else
    text = g_strdup (_("Auto"));
  if (g_strcmp0 (text, gtk_entry_get_text (GTK_ENTRY (spin))) != 0)
    gtk_entry_set_text (GTK_ENTRY (spin), text);

  return TRUE;
}

/* a number as usual; the word, or nothing at all, is 0 */
static int
input (GtkSpinButton *spin, double *value)
{
  const char *text = gtk_entry_get_text (GTK_ENTRY (spin));

  while (g_ascii_isspace (*text))
    text++;
  if (g_ascii_isdigit (*text) || *text == '.' || *text == ',')
    return FALSE;
  *value = 0.0;

  return TRUE;
}

/* the whole word is replaced by what is typed */
static gboolean
focus_in (GtkWidget *widget, GdkEventFocus *event)
{
  gboolean handled = GTK_WIDGET_CLASS (fb_auto_spin_parent_class)->focus_in_event (widget, event);

  gtk_editable_select_region (GTK_EDITABLE (widget), 0, -1);

  return handled;
}

void
fb_auto_spin_set_resolved (FbAutoSpin *self, double value)
{
  if (value == self->resolved)
    return;
  self->resolved = value;
  if (!gtk_widget_has_focus (GTK_WIDGET (self)))     /* not under the user's typing */
    output (GTK_SPIN_BUTTON (self));
}

static void
fb_auto_spin_class_init (FbAutoSpinClass *class)
{
  GTK_WIDGET_CLASS (class)->focus_in_event = focus_in;
  GTK_SPIN_BUTTON_CLASS (class)->output    = output;
  GTK_SPIN_BUTTON_CLASS (class)->input     = input;
}

static void
fb_auto_spin_init (FbAutoSpin *self)
{
  self->resolved = -1.0;
}

GtkWidget *
fb_auto_spin_new (double maximum, double step, int digits)
{
  GtkWidget *self = g_object_new (FB_TYPE_AUTO_SPIN, "width-chars", 9, NULL);

  gtk_spin_button_configure (GTK_SPIN_BUTTON (self), gtk_adjustment_new (0.0, 0.0, maximum, step, 10.0 * step, 0.0),
                             step, (guint) digits);

  return self;
}
