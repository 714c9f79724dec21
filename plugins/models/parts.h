/* plugins/models/parts.h: widgets that a model's and a job's side have in common. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

/* Makes @label the name of what is shown. */
void        fb_parts_make_heading (GtkLabel *label);

/* A button at the end of @box; it calls @callback with @receiver. */
GtkWidget * fb_parts_add_button   (GtkWidget *box, const char *label, const char *tooltip, GCallback callback, gpointer receiver);
