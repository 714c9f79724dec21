/* ui/dialog-class.h: the dialog for those that derive from it. SPDX-License-Identifier: LGPL-3.0-or-later */
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
#define FB_DIALOG(object)           (G_TYPE_CHECK_INSTANCE_CAST ((object), FB_TYPE_DIALOG, FbDialog))
#define FB_DIALOG_GET_CLASS(object) (G_TYPE_INSTANCE_GET_CLASS ((object), FB_TYPE_DIALOG, FbDialogClass))
GType fb_dialog_get_type (void);

typedef struct _FbDialog FbDialog;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbDialog, g_object_unref)

/**
 * FbDialogClass: what differs between the plug-ins; each has a default that suits Generate
 * @picture_new: what stands at the top of the right side
 * @show: a preview of the running job, or with @entry (nullable) the chosen result
 * @is_ready: whether there is all that a job needs
 * @can_insert: whether the chosen result is what is shown
 * @measure: (transfer full): the place as things are now
 * @job_new: (transfer full): the job for a request whose settings have been checked
 * @started, @finished: (nullable): before a job is made ready, and after its end, when the buttons are right again
 * @inserted: (nullable): when results have become layers
 */
typedef struct
{
  GimpProcedureDialogClass parent_class;

  GtkWidget * (* picture_new) (FbDialog *self);
  void        (* show)        (FbDialog *self, FbImage *picture, const char *text, const FbHistoryEntry *entry);
  gboolean    (* is_ready)    (FbDialog *self);
  gboolean    (* can_insert)  (FbDialog *self);
  FbTarget *  (* measure)     (FbDialog *self);
  FbJob *     (* job_new)     (FbDialog *self, GVariant *request, FbTarget *target, GError **error);
  void        (* started)     (FbDialog *self);
  void        (* finished)    (FbDialog *self);
  void        (* inserted)    (FbDialog *self);
} FbDialogClass;

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
  FbMask               *job_mask;          /* what was painted for it, or NULL */
  GPtrArray            *job_results;       /* of FbResult, those that have come */
  GPtrArray            *job_layers;        /* those that were inserted before it ended, with their results */

  FbForm               *form;
  FbPreviewArea        *preview;           /* NULL where a class shows something else */
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

/* Starts a job as the Generate button does. */
void fb_dialog_generate     (FbDialog *self);
void fb_dialog_cancel       (FbDialog *self);
void fb_dialog_update       (FbDialog *self);

/* What the dialog works on; %NULL when it was closed. */
GimpImage * fb_dialog_get_image (FbDialog *self);

/* Adds a result that came in another way than by Generate. @target: (transfer full) */
void fb_dialog_add_result   (FbDialog *self, FbResult *result, FbTarget *target, const char *prompt);

/* (transfer full): the request as the form has it */
GVariant * fb_dialog_get_request (FbDialog *self, GError **error);

/* @type: FB_TYPE_DIALOG or one derived from it; fb_dialog_loop() shows it until it is closed and gives the procedure's return values */
FbDialog *       fb_dialog_new  (GType type, GimpProcedure *procedure, GimpProcedureConfig *config, const FbDialogLayout *layout, GimpImage *image);
GimpValueArray * fb_dialog_loop (FbDialog *self, GimpProcedure *procedure);

/* What Generate has at the top of the right side. */
GtkWidget * fb_dialog_preview_new (FbDialog *self);

/* Makes the widgets and puts them into the window; what they do is connected by the caller. */
void fb_dialog_fill_window  (FbDialog *self);
