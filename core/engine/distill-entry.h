/* core/engine/distill-entry.h: a distillation job as the engine lists it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/distill-wish.h"

typedef enum
{
  FB_ENTRY_WAITING,
  FB_ENTRY_PREPARING,
  FB_ENTRY_MEASURING,
  FB_ENTRY_RUNNING,
  FB_ENTRY_PAUSED,
  FB_ENTRY_STOPPED,
  FB_ENTRY_DONE,
  FB_ENTRY_FAILED,
  FB_ENTRY_N_STATES
} FbEntryState;

/**
 * FbDistillEntry:
 * @path: the job's file; never changes
 * @teacher, @output, @folder: from the job's file
 * @created: when the job's file was written, in microseconds: tells a job from another that had its name before
 * @problem: (nullable): of one that failed
 * @n_prepared, @n_to_prepare: pictures and captions, while preparing
 * @seconds_left, @seconds_total: negative before a step has been measured
 * @peak_bytes: 0 before a step has been measured
 * @wants_stop: the LoRA is to be written when it is interrupted
 */
typedef struct
{
  char         *path;
  char         *teacher, *output, *folder;
  gint64        created;
  FbEntryState  state;
  char         *problem;
  int           step, n_steps;
  int           n_prepared, n_to_prepare;
  double        seconds_left, seconds_total;
  guint64       peak_bytes;
  gboolean      wants_stop;
} FbDistillEntry;

/* (transfer full): the job at @path, in the state that it was left in; one that was at work is paused. Errors: those of fb_distill_job_load(). */
FbDistillEntry * fb_distill_entry_new        (const char *path, GError **error);
void             fb_distill_entry_free       (gpointer entry);

/* waiting, or at work */
gboolean         fb_distill_entry_is_active  (const FbDistillEntry *entry);

/* (transfer full): the file's name without its ending */
char *           fb_distill_entry_name       (const FbDistillEntry *entry);

/* (transfer floating): a{sv}, as "distill-list" in core/engine/client.h says */
GVariant *       fb_distill_entry_describe   (const FbDistillEntry *entry);

/* For the next engine. A state that cannot be written costs no more than the job's end not being known to it. */
void             fb_distill_entry_save_state (const FbDistillEntry *entry);

/* Takes away the files of a job that lies in our folder, but not its LoRA; leaves those of others alone. Errors: %FB_ENGINE_ERROR_REQUEST where
 * the LoRA lies among them, those of fb_delete(). */
gboolean         fb_distill_entry_remove     (const FbDistillEntry *entry, GError **error);
