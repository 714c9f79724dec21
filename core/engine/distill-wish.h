/* core/engine/distill-wish.h: from what a person asks for to a distillation job's file. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/job.h"
#include "core/engine/client.h"

/**
 * FbDistillWish: a new job; what is %NULL, "" or 0 is the preset's
 * @preset: (nullable): %NULL for the one that suits the teacher
 * @teacher: (nullable): name or path of a model; %NULL for the default
 * @pictures: (nullable): a folder; or a text file, FILE.tsv as a job's "captions", others as its "prompt_file"
 * @name: (nullable): of the LoRA and the job; no path
 * @size: pixels per side
 */
typedef struct
{
  const char *preset, *teacher, *pictures, *name;
  int         size, steps;
} FbDistillWish;

/* (transfer full): where jobs' files are written */
char *         fb_distill_wish_folder  (void);

/* (transfer full): where the teacher of a job lies: beside its file, or in the store. Errors: those of the store, with file and field before them. */
char *         fb_distill_wish_teacher (const FbDistillJob *job, GError **error);

/**
 * fb_distill_wish_plan:
 * @path: (out) (transfer full): of the teacher
 * @preset: (out) (transfer full): the one chosen
 *
 * Errors: those of the store, fb_model_open() and fb_distill_job_new_preset().
 *
 * Returns: (transfer full): the job without place and data. It names its teacher so that it will mean the same when another becomes the default.
 */
FbDistillJob * fb_distill_wish_plan    (const FbDistillWish *wish, char **path, char **preset, GError **error);

/**
 * fb_distill_wish_foresee:
 *
 * What the job would take, as fb_trainer_foresee() knows it; its time is not known before its first step is done. Pictures and name may still be open.
 * @estimate: (out): its "resolved" has "teacher" s, "preset" s, "size" i, "steps" i, and where pictures are named, "n-pictures" i or
 *   "n-prompts" i, and "n-without-caption" i
 *
 * Errors: those of fb_trainer_foresee(), fb_distill_job_new_preset(), fb_dataset_new() and the store.
 */
gboolean       fb_distill_wish_foresee (const FbDistillWish *wish, FbJobEstimate *estimate, GError **error);

/* Writes the file of @job, which was checked, after a look at its data: what is wrong there is better said now than when its turn comes. Errors: those of
 * fb_dataset_new() and fb_distill_job_save(). */
gboolean       fb_distill_wish_save (FbDistillJob *job, GError **error);

/**
 * fb_distill_wish_write:
 *
 * Checks all that can be known before the job starts, and writes its file.
 * Errors: also %FB_ENGINE_ERROR_REQUEST for a name or folder that will not do, or whose LoRA there is already; those of fb_dataset_new() and fb_distill_job_save().
 *
 * Returns: (transfer full): the job
 */
FbDistillJob * fb_distill_wish_write   (const FbDistillWish *wish, GError **error);
