/* tests/core/distill/trainer-fixture.h: a job of a few steps on the tiny model of golden/pipeline. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/trainer.h"
#include "tests/core/scratch.h"

#define PROMPTS "\"prompts\": [ \"a cat\", \"a dog\", \"a tree\" ]"
#define LPIPS   PROMPTS ", \"distance\": \"lpips\", \"lpips_weights\": \"lpips.safetensors\""

typedef struct
{
  char         *folder;
  char         *teacher;
  FbDistillJob *job;
  FbDevice     *dev;
} TrainerFixture;

typedef struct
{
  const char *name;
  const char *fields;                    /* of the job, besides the usual ones */
  void     (* func) (TrainerFixture *f, gconstpointer fields);
} TrainerTest;

/* Adds them as /core/distill/trainer/NAME */
void           trainer_add_tests (const TrainerTest *tests, gsize n);

/* (transfer full) */
char *         trainer_teacher   (void);
/* a job of a few steps on the tiny model, with @fields besides */
void           trainer_write_job (const char *folder, const char *name, const char *fields);
/* (transfer full) */
FbDistillJob * trainer_job       (const char *folder, const char *name);
/* (transfer full): prepared */
FbTrainer *    trainer_of        (TrainerFixture *f, const FbDistillJob *job);
void           trainer_steps     (FbTrainer *trainer, int n);

/* (transfer full): what is in a file */
char *         trainer_file      (const char *folder, const char *name, gsize *n);
/* two files of the job's folder hold the same bytes */
void           trainer_same_file (const char *folder, const char *a, const char *b);
void           trainer_picture   (const char *folder, const char *name, int width, int height);
/* the checkpoint of the job run in one go, as @name in the fixture's folder */
void           trainer_run_straight (TrainerFixture *f, const char *name, int n);
void           trainer_check_lora   (TrainerFixture *f, const char *path, int n_layers);

typedef struct
{
  int           seen[FB_DISTILL_DONE + 1];
  int           cancel_at;             /* step after which to cancel; 0 = never */
  GCancellable *cancellable;
  char         *path;
  double        seconds_left, seconds_total;
  guint64       peak;
} TrainerWatcher;

void           trainer_watch     (const FbDistillProgress *p, gpointer watcher);
