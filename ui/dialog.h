/* ui/dialog.h: the window every generating plug-in opens. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Left the settings, right the picture as it forms, the progress and the results so far. Stays open: Generate makes
 * pictures, Insert takes the one shown into GIMP, Cancel ends the job, Close the dialog. Never waits: the engine is
 * started, asked and listened to from the main loop.
 */
#pragma once

#include <libgimp/gimp.h>

#include "ui/args.h"

/**
 * FbDialogLayout:
 * @kind: of the engine's jobs
 * @title: untranslated
 * @unnamed: (nullable): untranslated: what a result without a prompt is called
 * @args, @rows: as for fb_form_new(); "prompt", "negative-prompt", "seed", "strength" and "destination" have a meaning here
 */
typedef struct
{
  const char         *kind;
  const char         *title;
  const FbArg        *args;
  const char * const *rows;
  const char         *unnamed;
} FbDialogLayout;

/**
 * fb_dialog_run: (blocking)
 * @image: (nullable): where results go
 *
 * Opens the dialog and returns when it is closed.
 *
 * Returns: the procedure's return values: the layers inserted and their seeds; a cancel when nothing was generated
 */
GimpValueArray * fb_dialog_run (GimpProcedure *procedure, GimpProcedureConfig *config, const FbDialogLayout *layout,
                                GimpImage *image);
