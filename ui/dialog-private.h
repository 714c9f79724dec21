/* ui/dialog-private.h: the dialog's parts. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimpui.h>

#include "core/engine/client.h"
#include "ui/dialog.h"
#include "ui/estimator.h"
#include "ui/form.h"
#include "ui/history.h"
#include "ui/preview.h"
#include "ui/target.h"

enum
{
  FB_RESPONSE_GENERATE = 100,
  FB_RESPONSE_ANOTHER,
  FB_RESPONSE_ANYWAY,       /* of the message bar: insert although something changed */
  FB_RESPONSE_NEW_IMAGE,    /* of the message bar: insert as a new image */
};

#define FB_TYPE_DIALOG (fb_dialog_get_type ())
G_DECLARE_FINAL_TYPE (FbDialog, fb_dialog, FB, DIALOG, GimpProcedureDialog)

struct _FbDialog
{
  GimpProcedureDialog   parent_instance;
  GimpProcedureConfig  *config;
  const FbDialogLayout *layout;
  int                   image_id;          /* 0 without one */
  int                   display_id;

  FbEngineClient       *client;
  FbEstimator          *estimator;
  gboolean              is_waiting;        /* a job is to start as soon as the settings are checked */
  gboolean              lacks_models;      /* the engine knows none; a message says so until a file is chosen */
  gboolean              wants_another;     /* it, with a new seed whatever the form says */

  FbJob                *job;               /* NULL while idle */
  FbTarget             *job_target;
  char                 *job_prompt;
  int                   job_count;
  GPtrArray            *job_results;       /* of FbResult, those that have come */

  FbForm               *form;
  FbPreviewArea        *preview;
  GtkLabel             *caption;
  GtkLabel             *estimate;
  GtkProgressBar       *progress;
  GtkWidget            *cancel;
  GtkWidget            *take_seed;
  FbHistory            *history;
  GtkImage             *warning;           /* beside the estimate, when it is a refusal */
  GtkInfoBar           *bar;
  GtkImage             *bar_icon;
  GtkWidget            *anyway;            /* its buttons */
  GtkWidget            *new_image;
  GtkLabel             *message;

  GPtrArray            *layers;            /* inserted so far, with their seeds */
  GStrvBuilder         *seeds;
  GimpImage            *last_image;
  gboolean              has_generated;
};

/* The progress bar's words; a screen reader knows the bar by its name only. */
void fb_dialog_set_status   (FbDialog *self, const char *text);

/* @anyway, @new_image: whether these buttons are offered */
void fb_dialog_show_message (FbDialog *self, GtkMessageType type, const char *text, gboolean anyway, gboolean new_image);
void fb_dialog_hide_message (FbDialog *self);

/* Makes the widgets and puts them into the window; what they do is connected by the caller. */
void fb_dialog_fill_window  (FbDialog *self);
