/* core/engine/distiller.h: distillation jobs, one after another, in the background. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/distill-wish.h"
#include "core/engine/job-kind.h"

/**
 * FbDistiller: the jobs that lie in flashbrush/distill in the user's data folder, and those brought in from elsewhere
 *
 * A thread of its own works on the first that waits; between calls of networks it lets the engine's other jobs go first. What is not at work is only
 * files: a job is JOB.json, its folder holds checkpoint, log and samples, and a file "state" for how it ended. Jobs that were at work when an engine
 * ended are paused for the next one. Any thread may call.
 */
typedef struct FbDistiller FbDistiller;

/* The workshop's one, made at the first call. (transfer none) */
FbDistiller * fb_distiller_get (FbWorkshop *workshop);

/**
 * fb_distiller_start: writes the job's file and lets it wait for its turn
 * fb_distiller_resume: the same for a job that is not at work, behind those that wait already; @path may be of a job's file from elsewhere
 * fb_distiller_pause: its state is saved; goes on from there later. Takes back a stop that is not done yet
 * fb_distiller_stop: as pause, and the LoRA is written as it is then; none before the first step is done
 * fb_distiller_remove: takes one that is not at work off the list, and its files away if they lie in our folder; its LoRA stays
 *
 * Returns: (transfer full): a{sv}, as fb_distiller_list() has it; %NULL with the errors of jobs' files and of the store,
 *   %FB_ENGINE_ERROR_REQUEST for a path that is no job's
 */
GVariant * fb_distiller_start  (FbDistiller *self, const FbDistillWish *wish, GError **error);
GVariant * fb_distiller_resume (FbDistiller *self, const char *path, GError **error);
GVariant * fb_distiller_pause  (FbDistiller *self, const char *path, GError **error);
GVariant * fb_distiller_stop   (FbDistiller *self, const char *path, GError **error);
GVariant * fb_distiller_remove (FbDistiller *self, const char *path, GError **error);

/* (transfer full): aa{sv}, as "distill-list" in core/engine/client.h says */
GVariant * fb_distiller_list   (FbDistiller *self);

/* (transfer full): a(idddd), the log's steps after @from, at most some thousand of them, evenly; empty when there is no log */
GVariant * fb_distiller_rows   (FbDistiller *self, const char *path, int from);

/* (transfer full) (nullable): the newest sample, if its step is above @known; @step: (out) */
FbImage *  fb_distiller_sample (FbDistiller *self, const char *path, int known, int *step);
