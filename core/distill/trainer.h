/* core/distill/trainer.h: trains a few-step student of a model. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/job.h"
#include "core/distill/team.h"
#include "core/image/image.h"
#include "kernels/device.h"

/**
 * FbTrainer: a job at work
 *
 * Source: Flash Diffusion, arXiv:2406.02347. What differs from the published code: one forward pass serves student and discriminator; noise for
 * the matching and adversarial losses comes from the whole table of timesteps; start index and guidance scale are drawn per sample.
 *
 * The job's folder holds
 * - checkpoint.safetensors: what trains, the optimizers, the step. It is replaced as a whole.
 * - log.tsv: a line per step
 * - samples/STEP.png: pictures along the way
 * - lock: held while a process runs the job
 *
 * Several processes may train one job, as a team: each takes its share of the batch, gradients and losses are summed, and each has the same
 * student. Where each computes on a card, gradients are summed from card to card (fb_cards_join()). Draws belong to the samples, so that a team
 * gives what one process gives, to the rounding of sums. The first process alone writes into the folder and holds the lock; what it reads there,
 * it shares. All of a team call fb_trainer_prepare(), fb_trainer_step() and fb_trainer_run() together, and these end in all processes when one is
 * cancelled or fails (fb_team_agree()).
 */
typedef struct FbTrainer FbTrainer;

typedef enum
{
  FB_DISTILL_PREPARE,      /* encoding pictures and captions, making the teacher's pictures */
  FB_DISTILL_MEASURE,      /* the first step of this run is done: its time and memory are known */
  FB_DISTILL_TRAIN,        /* a step is done */
  FB_DISTILL_SAMPLE,       /* a sample picture lies in the folder */
  FB_DISTILL_SAVE,         /* a checkpoint lies in the folder */
  FB_DISTILL_DONE,         /* the LoRA lies at the job's output */
} FbDistillStage;

/* untranslated lower-case name, "train" for example */
const char * fb_distill_stage_name (FbDistillStage stage);

/**
 * FbDistillLosses: of one step, means over its batch; not weighted
 * @distillation, @matching, @adversarial, @discriminator: 0 while not computed
 * @real, @fake: what the discriminator thinks of the data and of the student, 0 … 1
 * @gradient: norm of the student's gradient, before it is clipped
 */
typedef struct
{
  double distillation, matching, adversarial, discriminator;
  double real, fake;
  double gradient;
} FbDistillLosses;

/**
 * FbDistillProgress:
 * @done, @total: pictures and captions while preparing; else steps
 * @phase: 0 …
 * @seconds_per_step, @seconds_left: by what has been measured in this run, negative before
 * @seconds_total: the same, for all steps of the job
 * @peak_bytes: the most memory the job has taken, without what the process had before it; 0 before the first step
 * @sample: (nullable): path of the sample picture, or of the LoRA when done
 */
typedef struct
{
  FbDistillStage  stage;
  int             done, total;
  int             phase;
  FbDistillLosses losses;
  double          learning_rate;
  double          seconds_per_step, seconds_left, seconds_total;
  guint64         peak_bytes;
  const char     *path;
} FbDistillProgress;

typedef void (* FbDistillProgressFunc) (const FbDistillProgress *progress, gpointer user_data);

/**
 * FbDistillNeeds:
 * @least_bytes: memory that a job cannot do without: weights, what trains, one call of the network. How much it takes is measured in its first step.
 * @limit_bytes: memory that it may take, here and now; 0 where the system does not say
 * @width, @height: pixels of the pictures
 */
typedef struct
{
  guint64 least_bytes, limit_bytes;
  int     width, height;
} FbDistillNeeds;

/**
 * fb_trainer_foresee:
 *
 * What is known of a job before it starts, from its settings and the teacher's headers alone. @job needs neither data nor a folder.
 * Errors: as fb_trainer_new(), but for LOCKED and DATA.
 */
gboolean    fb_trainer_foresee (const FbDistillJob *job, const char *teacher_path, FbDevice *dev, FbDistillNeeds *needs, GError **error);

/**
 * fb_trainer_new:
 * @job: copied by loading it again is not needed: stays with the caller and outlives the trainer
 * @teacher_path: where @job's teacher lies
 * @dev: stays free for others between calls of networks
 *
 * Takes the job's lock, opens the teacher, lists the data.
 * Errors: LOCKED, FIELD, DATA, UNSUPPORTED, HOPELESS (memory, by estimate), those of fb_model_open().
 */
FbTrainer * fb_trainer_new  (const FbDistillJob *job, const char *teacher_path, FbDevice *dev, GError **error);
/* @team: outlives the trainer; all its processes do this together. Errors: also FIELD where the batch cannot be shared out. */
FbTrainer * fb_trainer_new_in_team (const FbDistillJob *job, const char *teacher_path, FbDevice *dev, const FbTeam *team, GError **error);
/* Saves nothing. */
void        fb_trainer_free (FbTrainer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbTrainer, fb_trainer_free)

/* @func is called whenever the device is free for a while: work of others may be done on it there. */
void        fb_trainer_set_between (FbTrainer *self, void (* func) (gpointer data), gpointer data);

/**
 * fb_trainer_prepare:
 *
 * Fills the cache, loads the networks, and the checkpoint where there is one: training goes on from its step.
 * Pictures that cannot be read are named in a warning and left out.
 * Errors: DATA, CHECKPOINT, %G_IO_ERROR_CANCELLED, those of models and files; TEAM where processes have different jobs, teachers or data.
 */
gboolean    fb_trainer_prepare (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error);

/* steps done */
int         fb_trainer_step_number (const FbTrainer *self);

/**
 * fb_trainer_step: one update of student and discriminator; after a failure all is as before. A device that fails with the update's end fails the next step
 *
 * Errors: NOT_FINITE, %G_IO_ERROR_CANCELLED, the device's.
 */
gboolean    fb_trainer_step    (FbTrainer *self, FbDistillLosses *losses, GCancellable *cancellable, GError **error);

/* steps in the last checkpoint of the job in @folder; −1 where there is none that can be read */
int         fb_distill_checkpoint_step (const char *folder);

/* whether a process has the job in @folder at work */
gboolean    fb_distill_is_running (const char *folder);

/* Writes the checkpoint. Errors: IO; the last one stays. */
gboolean    fb_trainer_save    (FbTrainer *self, GError **error);

/* Writes the LoRA as it is now to the job's output. */
gboolean    fb_trainer_export  (FbTrainer *self, GError **error);

/**
 * fb_trainer_sheet:
 * @n_prompts: rows: the job's sample prompts, else its first captions; fewer where there are fewer
 * @steps: (array length=n_steps): columns: pictures of the student with so many steps each, beside the teacher's
 *
 * Returns: (transfer full): the pictures, the teacher's (its own steps and guidance) first
 */
FbImage *   fb_trainer_sheet   (FbTrainer *self, int n_prompts, const int *steps, int n_steps, GCancellable *cancellable, GError **error);

/**
 * FbDrawing: how pictures are drawn once training is done, or between two steps of it
 * @student: with the LoRA as it comes out; otherwise the teacher draws
 * @sampler, @n_steps: over trailing timesteps
 * @guidance_scale: the teacher's, 0 for the model's own; students are not guided
 * @seed: of the noise; picture i of one seed begins with the same noise whoever draws it
 */
typedef struct
{
  gboolean    student;
  const char *sampler;
  int         n_steps;
  double      guidance_scale;
  guint64     seed;
} FbDrawing;

/**
 * fb_trainer_draw:
 * @first: number of the first picture, for its noise
 * @captions: (array length=n): of the job's data
 * @pixels: (out): [n, height, width, 3] of fb_trainer_drawing_size(), in −1 … 1
 *
 * With a teacher that inpaints, into the pictures of the data that have these captions, each with a mask of its seed and number.
 * @n pictures that go through the networks together; between fb_trainer_draw_begin() and fb_trainer_draw_end(), where nothing trains.
 * Errors: DATA for a caption that is not in the cache, those of samplers and networks.
 */
void        fb_trainer_draw_begin   (FbTrainer *self);
void        fb_trainer_draw_end     (FbTrainer *self);
void        fb_trainer_drawing_size (const FbTrainer *self, int *width, int *height);
gboolean    fb_trainer_draw         (FbTrainer *self, const FbDrawing *drawing, guint first, int n, const char * const *captions,
                                     float *pixels, GCancellable *cancellable, GError **error);

/**
 * fb_trainer_draw_set: pictures for measuring how good a student is
 * @folder: made where there is none; gets 00000.png … and captions.tsv, as a job's captions
 * @n: pictures; captions come from the data in an order that depends on the seed
 * @func: (nullable): called with the number of pictures done
 *
 * Errors: those of fb_trainer_draw() and of writing files.
 */
gboolean    fb_trainer_draw_set     (FbTrainer *self, const FbDrawing *drawing, const char *folder, int n,
                                     void (* func) (int done, gpointer user_data), gpointer user_data, GCancellable *cancellable,
                                     GError **error);

/**
 * fb_trainer_run: all steps from where the job stands, with checkpoints, samples and log; then the LoRA
 *
 * When cancelled or failed, the state after the last whole step is saved first where the disk allows; not when it is refused as hopeless, so
 * that it can be started with other settings.
 * Errors: those of fb_trainer_step(); HOPELESS after the first step, when its memory or time rule the rest out.
 */
gboolean    fb_trainer_run     (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error);
