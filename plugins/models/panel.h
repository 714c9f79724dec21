/* plugins/models/panel.h: the window: pages, one message, one job at a time, memory. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

#include "core/engine/client.h"

/* FbPanel: signal listed (GVariant *models, GVariant *loaded, GVariant *capabilities): the engine has told anew what is there, what is in memory,
 * and what it can do */
#define FB_TYPE_PANEL (fb_panel_get_type ())
G_DECLARE_FINAL_TYPE (FbPanel, fb_panel, FB, PANEL, GtkWindow)

/* (blocking): opens the window, and returns when it is closed; or brings the one that is open to the front. Errors: those of fb_one_window_claim(). */
gboolean         fb_panel_run          (GError **error);

/* (transfer none) */
FbEngineClient * fb_panel_get_client   (FbPanel *self);

/* Asks the engine what is there; "listed" follows. */
void             fb_panel_refresh      (FbPanel *self);

/* @result: (nullable): what the job gives; %NULL when it failed, which the panel has said, or was cancelled */
typedef void (* FbPanelDone) (GVariant *result, gpointer user_data);

/**
 * fb_panel_do:
 * @request: a{sv}; a floating reference is taken
 * @what: said beside the progress: "Loading “dreams”"
 * @done: (nullable): called in any case, unless the window has been closed
 *
 * Runs a job of the engine that makes no pictures, while the window shows its progress; asks anew what is there when it is done.
 * Jobs wait for each other. @user_data must live as long as the window.
 */
void             fb_panel_do           (FbPanel *self, const char *kind, GVariant *request, const char *what, FbPanelDone done, gpointer user_data);

/**
 * fb_panel_confirm:
 * @question, @consequence: said in a dialog, whose buttons are “Keep”, the default, and @accept
 * @kind, @request, @what: as fb_panel_do(), which is called when the answer is @accept
 */
void             fb_panel_confirm      (FbPanel *self, const char *question, const char *consequence, const char *accept,
                                        const char *kind, GVariant *request, const char *what);

void             fb_panel_say          (FbPanel *self, GtkMessageType type, const char *text);

/* The line beside the progress */
void             fb_panel_set_status   (FbPanel *self, const char *text);

/* the dialog that the model of this name or path is for: "inpaint" where it can do nothing else, else "generate" */
const char *     fb_panel_task_of      (FbPanel *self, const char *model);

/**
 * fb_panel_use:
 * @task: "generate" or "inpaint"
 * @settings: a{sv} for its dialog; a floating reference is taken
 *
 * Hides the window, opens the dialog with these settings, and comes back when that is closed. A dialog that paints into pictures is opened by the
 * person, from a picture, and has them then.
 */
void             fb_panel_use          (FbPanel *self, const char *task, GVariant *settings);
