/* core/engine/command-job.h: a job that makes pictures, on the command line. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/command-line.h"
#include "core/image/image.h"

/* What all such commands take; FB_JOB_OPTIONS_INIT to begin with */
typedef struct
{
  char    *model, *vae, *taesd, *prompt, *negative, *sampler, *spacing, *dtype, *decoder, *output;
  char   **loras;
  int      steps, count, clip_skip, threads;
  gint64   seed;
  double   guidance;
  gboolean quiet;
} FbJobOptions;

#define FB_JOB_OPTIONS_INIT { .count = 1, .steps = FB_NOT_GIVEN, .guidance = FB_NOT_GIVEN }

void     fb_job_options_clear   (FbJobOptions *options);
void     fb_job_options_add     (FbJobOptions *options, GOptionContext *context);

/* After parsing: @argv, %NULL-terminated, may hold the prompt and no more; checks that the output can be written before minutes of computing. */
gboolean fb_job_options_finish  (FbJobOptions *options, char **argv, GError **error);

/* The request's keys, only for what was given */
gboolean fb_job_options_to_dict (const FbJobOptions *options, GVariantDict *dict, GError **error);
/* nothing for %NULL; fails where @value is not UTF-8 */
gboolean fb_job_insert_string   (GVariantDict *dict, const char *key, const char *value, GError **error);

/* Checks @request, and tells the size of the model that it means. */
gboolean fb_command_model_size (const FbJobOptions *options, const char *kind, GVariant *request, int *width, int *height, GError **error);

/* (transfer full): what to save for a finished @picture */
typedef FbImage * (* FbJobFinishFunc) (FbImage *picture, gpointer user_data, GError **error);

/**
 * fb_command_job:
 * @pictures: name → FbImage, what comes with the job
 * @finish: (nullable):
 *
 * Runs the job, shows its progress on a terminal, and saves its pictures as they come; an interrupt cancels it.
 */
gboolean fb_command_job (const FbJobOptions *options, const char *kind, GVariant *request, GHashTable *pictures,
                         FbJobFinishFunc finish, gpointer user_data, GError **error);
