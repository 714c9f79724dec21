/* ui/dialog-private.h: what the dialog's own files share. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "ui/dialog-class.h"

/* (transfer full): what the form has at @name; "" where there is no such argument */
char * fb_dialog_get_text     (FbDialog *self, const char *name);

void   fb_dialog_show_error   (FbDialog *self, const GError *error);

/* Shows the result that is chosen in the history, instead of a preview. */
void   fb_dialog_show_chosen  (FbDialog *self);

/* As a button does; it waits until the settings are checked. @wants_another: with a new seed, whatever the form says */
void   fb_dialog_generate_job (FbDialog *self, gboolean wants_another);

/* Starts what fb_dialog_generate_job() asked for; the settings have been checked. */
void   fb_dialog_start_job    (FbDialog *self);
void   fb_dialog_forget_job   (FbDialog *self);

/* @layers were made of @result: where its job still runs, their records are completed at the job's end. */
void   fb_dialog_note_layers  (FbDialog *self, FbResult *result, GPtrArray *layers);
GPtrArray * fb_dialog_job_layers_new (void);
