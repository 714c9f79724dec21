/* ui/history.c: the results so far, as a strip of thumbnails. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/history.h"

#include <string.h>

#include <atk/atk.h>
#include <glib/gi18n-lib.h>

#include "ui/preview.h"
#include "ui/shrink.h"

#define THUMBNAIL    64
#define ENTRIES_MAX  48

struct _FbHistory
{
  GtkScrolledWindow  parent_instance;
  GtkWidget         *box;
  GQueue             buttons;          /* of GtkRadioButton, oldest first; each has an entry */
  int                n_added;
};

G_DEFINE_FINAL_TYPE (FbHistory, fb_history, GTK_TYPE_SCROLLED_WINDOW)

static void
entry_free (FbHistoryEntry *entry)
{
  fb_result_unref (entry->result);
  fb_target_free (entry->target);
  g_free (entry->prompt);
  g_free (entry);
}

static GtkWidget *
chosen_button (FbHistory *self)
{
  for (GList *l = self->buttons.head; l != NULL; l = l->next)
    if (gtk_toggle_button_get_active (l->data))
      return l->data;

  return NULL;
}

const FbHistoryEntry *
fb_history_get_chosen (FbHistory *self)
{
  GtkWidget *button = chosen_button (self);

  return button != NULL ? g_object_get_data (G_OBJECT (button), "entry") : NULL;
}

static void
on_toggled (GtkToggleButton *button, FbHistory *self)
{
  /* themes hardly tell a pressed button from another */
  gtk_widget_set_opacity (gtk_bin_get_child (GTK_BIN (button)), gtk_toggle_button_get_active (button) ? 1.0 : 0.5);
}

/* also of the one that is chosen already: another picture may be shown meanwhile */
static void
on_clicked (GtkToggleButton *button, FbHistory *self)
{
  if (gtk_toggle_button_get_active (button))
    g_signal_emit_by_name (self, "chosen");
}

/* (transfer full): of a picture with alpha, what is seen of it, and nothing of what would be around */
static FbImage *
visible_part (FbImage *image)
{
  int      x0 = image->width, y0 = image->height, x1 = -1, y1 = -1;
  FbImage *part;

  for (int y = 0; image->n_channels == 4 && y < image->height; y++)
    for (int x = 0; x < image->width; x++)
      if (image->pixels[4 * ((gsize) y * image->width + x) + 3] > 0.0f)
        {
          x0 = MIN (x0, x);
          x1 = MAX (x1, x);
          y0 = MIN (y0, y);
          y1 = y;
        }
  part = x1 >= 0 ? fb_image_new (x1 - x0 + 1, y1 - y0 + 1, 4) : NULL;
  if (part == NULL)
    return fb_image_ref (image);
  for (int y = y0; y <= y1; y++)
    memcpy (part->pixels + 4 * (gsize) (y - y0) * part->width, image->pixels + 4 * ((gsize) y * image->width + x0),
            4 * (gsize) part->width * sizeof (float));

  return part;
}

/* (transfer full): every @step-th pixel to a side; all of a large picture would take too long to look at */
static FbImage *
thinned (FbImage *image, int step)
{
  const int width = (image->width + step - 1) / step, height = (image->height + step - 1) / step, C = image->n_channels;
  FbImage  *out   = step > 1 ? fb_image_new (width, height, C) : NULL;

  if (out == NULL)
    return fb_image_ref (image);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      memcpy (out->pixels + ((gsize) y * width + x) * C, image->pixels + ((gsize) y * image->width + x) * step * C, C * sizeof (float));

  return out;
}

/* (transfer floating): @whole in a square */
static GtkWidget *
thumbnail_new (FbImage *whole)
{
  g_autoptr(FbImage) thin    = thinned (whole, MAX (1, MIN (whole->width, whole->height) / (16 * THUMBNAIL)));
  g_autoptr(FbImage) shrunk  = fb_image_shrunk (thin, MAX (1, MIN (thin->width, thin->height) / (4 * THUMBNAIL)));
  g_autoptr(FbImage) image   = visible_part (shrunk);
  double             scale   = (double) THUMBNAIL / MAX (image->width, image->height);
  g_autoptr(FbImage) small   = fb_image_resize (image, MAX (1, (int) (image->width * scale)), MAX (1, (int) (image->height * scale)));
  cairo_surface_t   *surface = fb_image_to_surface (small != NULL ? small : image);
  GtkWidget         *picture = gtk_image_new_from_surface (surface);

  cairo_surface_destroy (surface);
  gtk_widget_set_size_request (picture, THUMBNAIL, THUMBNAIL);

  return picture;
}

static void
forget_oldest (FbHistory *self)
{
  gtk_widget_destroy (g_queue_pop_head (&self->buttons));
}

/* the strip's width is known only after the new button has its place */
static gboolean
scroll_to_end (gpointer data)
{
  GtkAdjustment *adjustment = gtk_scrolled_window_get_hadjustment (data);

  gtk_adjustment_set_value (adjustment, gtk_adjustment_get_upper (adjustment));
  g_object_unref (data);

  return G_SOURCE_REMOVE;
}

void
fb_history_add (FbHistory *self, FbResult *result, FbTarget *target, const char *prompt)
{
  FbHistoryEntry  *entry  = g_new0 (FbHistoryEntry, 1);
  GtkWidget       *button = gtk_radio_button_new_from_widget (g_queue_peek_head (&self->buttons));
  g_autofree char *seed   = g_strdup_printf ("%" G_GINT64_FORMAT, result->seed);
  g_autofree char *name   = NULL;

  if (g_queue_get_length (&self->buttons) >= ENTRIES_MAX)
    forget_oldest (self);

  entry->result = result;
  entry->target = target;
  entry->prompt = g_strdup (prompt);
  /* Translators: name of a thumbnail for screen readers, "Result 3, seed 1234: a red apple" */
  name = g_strdup_printf (_("Result %d, seed %s: %s"), ++self->n_added, seed, prompt);

  g_object_set_data_full (G_OBJECT (button), "entry", entry, (GDestroyNotify) entry_free);
  gtk_toggle_button_set_mode (GTK_TOGGLE_BUTTON (button), FALSE);
  gtk_container_add (GTK_CONTAINER (button), thumbnail_new (result->image));
  gtk_widget_set_tooltip_text (button, name);
  atk_object_set_name (gtk_widget_get_accessible (button), name);
  g_signal_connect (button, "toggled", G_CALLBACK (on_toggled), self);
  g_signal_connect (button, "clicked", G_CALLBACK (on_clicked), self);
  gtk_box_pack_start (GTK_BOX (self->box), button, FALSE, FALSE, 0);
  gtk_widget_show_all (button);
  g_queue_push_tail (&self->buttons, button);

  if (gtk_toggle_button_get_active (GTK_TOGGLE_BUTTON (button)))      /* the first of a group is active from the start */
    {
      on_toggled (GTK_TOGGLE_BUTTON (button), self);
      on_clicked (GTK_TOGGLE_BUTTON (button), self);
    }
  else
    gtk_toggle_button_set_active (GTK_TOGGLE_BUTTON (button), TRUE);
  g_idle_add (scroll_to_end, g_object_ref (self));
}

static void
finalize (GObject *object)
{
  g_queue_clear (&FB_HISTORY (object)->buttons);

  G_OBJECT_CLASS (fb_history_parent_class)->finalize (object);
}

static void
fb_history_class_init (FbHistoryClass *class)
{
  G_OBJECT_CLASS (class)->finalize = finalize;
  g_signal_new ("chosen", FB_TYPE_HISTORY, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
fb_history_init (FbHistory *self)
{
  GtkScrolledWindow *window = GTK_SCROLLED_WINDOW (self);

  self->box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 4);
  gtk_scrolled_window_set_policy (window, GTK_POLICY_AUTOMATIC, GTK_POLICY_NEVER);
  gtk_scrolled_window_set_overlay_scrolling (window, FALSE);
  gtk_widget_set_size_request (GTK_WIDGET (self), -1, THUMBNAIL + 32);      /* from the start, so that nothing jumps */
  gtk_container_add (GTK_CONTAINER (self), self->box);
  atk_object_set_name (gtk_widget_get_accessible (self->box), _("Results so far"));
  gtk_widget_show (self->box);
}

GtkWidget *
fb_history_new (void)
{
  return g_object_new (FB_TYPE_HISTORY, NULL);
}
