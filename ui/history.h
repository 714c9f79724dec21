/* ui/history.h: the results so far, as a strip of thumbnails. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gtk/gtk.h>

#include "ui/result.h"
#include "ui/target.h"

/**
 * FbHistory: a row of buttons, one of them chosen; arrow keys move along. Signal "chosen" (void) when another one is.
 * Keeps the last 48 results.
 */
#define FB_TYPE_HISTORY (fb_history_get_type ())
G_DECLARE_FINAL_TYPE (FbHistory, fb_history, FB, HISTORY, GtkScrolledWindow)

/**
 * FbHistoryEntry:
 * @target: the place the picture was made for
 * @prompt: what it shows
 */
typedef struct
{
  FbResult *result;
  FbTarget *target;
  char     *prompt;
} FbHistoryEntry;

GtkWidget *            fb_history_new        (void);

/* Adds a result at the end and chooses it. Takes @result and @target. */
void                   fb_history_add        (FbHistory *self, FbResult *result, FbTarget *target, const char *prompt);

/* (transfer none) (nullable): the chosen one */
const FbHistoryEntry * fb_history_get_chosen (FbHistory *self);
