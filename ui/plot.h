/* ui/plot.h: one curve that grows. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

/* FbPlot: values over steps: every value thin, their running mean thick; the range follows the values. Screen readers are told the newest mean. */
#define FB_TYPE_PLOT (fb_plot_get_type ())
G_DECLARE_FINAL_TYPE (FbPlot, fb_plot, FB, PLOT, GtkDrawingArea)

/* @title: for people, above the curve */
GtkWidget * fb_plot_new       (const char *title);

/* @n_steps: right end of the axis; 0 ends at the last value */
void        fb_plot_set_range (FbPlot *self, int n_steps);

/* Appends a value; @step must be larger than the last one. What is no number is left out. */
void        fb_plot_add       (FbPlot *self, int step, double value);
void        fb_plot_clear     (FbPlot *self);

/* the running mean of @values at index @i: over the last @window of them, fewer at the beginning */
double      fb_plot_mean      (const double *values, int i, int window);
