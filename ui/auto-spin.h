/* ui/auto-spin.h: a number that may be left to the model. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

/* FbAutoSpin: a spin button whose 0 reads "Automatic", with the number that stands for when it is known */
#define FB_TYPE_AUTO_SPIN (fb_auto_spin_get_type ())
G_DECLARE_FINAL_TYPE (FbAutoSpin, fb_auto_spin, FB, AUTO_SPIN, GtkSpinButton)

GtkWidget * fb_auto_spin_new          (double maximum, double step, int digits);

/* @value: what 0 comes to; negative while unknown */
void        fb_auto_spin_set_resolved (FbAutoSpin *self, double value);
