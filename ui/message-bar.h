/* ui/message-bar.h: a sentence across the top of a window, until it is closed. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

#define FB_TYPE_MESSAGE_BAR (fb_message_bar_get_type ())
G_DECLARE_FINAL_TYPE (FbMessageBar, fb_message_bar, FB, MESSAGE_BAR, GtkInfoBar)

GtkWidget * fb_message_bar_new  (void);

/* @type: GTK_MESSAGE_INFO, _WARNING or _ERROR. The text can be selected, to be copied into a report. */
void        fb_message_bar_show (FbMessageBar *self, GtkMessageType type, const char *text);
void        fb_message_bar_hide (FbMessageBar *self);
