/* ui/list.h: a list of things with two lines each. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

/* A list box of which one row is chosen. @label: its label, which gets the list as its mnemonic's widget; @name: for screen readers */
GtkWidget * fb_list_new     (GtkLabel *label, const char *name);

GtkWidget * fb_list_row_new (void);

/* @below: (nullable): the second line. @data: (nullable): kept with the row */
void        fb_list_row_set (GtkWidget *row, const char *title, const char *below, GVariant *data);

/* (transfer none) (nullable) */
GVariant *  fb_list_row_get (GtkListBoxRow *row);
