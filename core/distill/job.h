/* core/distill/job.h: a training job as a file. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "core/distill/distill-error.h"
#include "core/distill/mixture.h"

/**
 * FbDistillJob: JOB.json, one flat object; flashbrush-engine(1) lists the fields for people
 *
 * Fields have the names of the members below, with "_" between words. All but @teacher and one source of data may be absent; unknown ones are
 * refused. Paths may be relative to the job's folder. What a job makes lies in a folder beside it, JOB/ for JOB.json (fb_distill_job_folder()).
 *
 * @path: absolute, of the file
 * @teacher: name or path of the model to distil; one for inpainting learns from pictures, with a mask drawn for each sample
 *
 * Data; one of the four:
 * @pictures: a folder of PNG and JPEG files, searched with its sub-folders; PICTURE.txt holds the captions of PICTURE.png, one a line, or else
 *   captions.tsv in the folder, as @captions
 * @captions: a text file with lines "picture TAB caption"; a picture may have several lines, and a caption may be empty
 * @prompts: prompts alone: the teacher makes the pictures
 * @prompt_file: the same, a text file with a prompt a line
 * @pictures_per_prompt: pictures the teacher makes per prompt; 1 … 1000
 * @negative_prompt: what the teacher is guided away from
 *
 * @width, @height: pixels; 0 for the model's own. With @aspect_buckets, pictures keep their aspect (1 : 2 … 2 : 1) at about this area.
 *
 * The method:
 * @steps: updates of the student; 1 … 10,000,000
 * @batch_size: samples per update, over all processes; 1 … 4096
 * @samples_per_call: samples that go through the networks together; more is faster and takes more memory
 * @seed: of everything that is drawn
 * @teacher_steps: K, 1 … 1000
 * @teacher_reuse: how often each of the teacher's solutions is learned from; 1 (as in the paper) … 1000
 * @guidance_min, @guidance_max: range of the teacher's guidance scale; 1 … 100
 * @mode_variance: width of the mixture of timesteps, in squares of teacher steps
 * @distance: "l2", between latents, or "lpips", between the pictures that the teacher's autoencoder makes of them
 * @lpips_weights: (nullable): for "lpips", which is not computed without: a safetensors file as core/models/lpips.h describes
 * @phases: (array length=n_phases): how timesteps and losses shift; absent = the paper's four, each a quarter of @steps
 *
 * The optimizers:
 * @learning_rate, @discriminator_learning_rate, @beta1, @beta2, @epsilon, @weight_decay
 * @warm_up: first steps in which the learning rates rise
 * @clip: largest norm of all gradients of one optimizer; 0 = any
 * @average: share of the old kept by the running average of the student's weights, which is then what comes out; 0 = none
 *
 * The student:
 * @lora_rank: 1 … 1024
 * @lora_alpha: ΔW = alpha / rank · up · down
 * @lora_targets: ends of the names of the layers that get one, %NULL-terminated
 *
 * The run:
 * @dtype: "auto", "f32" or "bf16": what the networks compute in; what trains is kept in f32
 * @threads: of each process; 0 = one per core
 * @memory: MB the job may take on a machine; above it, activations are computed again rather than kept. 0 = what is free
 * @checkpoint_every, @sample_every: steps; the latter 0 = never
 * @sample_prompts: what the sample pictures show; empty = the first captions
 * @output: file name of the LoRA, in the job's folder unless it has a path
 * @naming: "peft" or "kohya"
 */
typedef struct
{
  char    *path;
  char    *teacher;
  char    *pictures, *captions, *prompt_file;
  char   **prompts;
  int      pictures_per_prompt;
  char    *negative_prompt;
  int      width, height;
  gboolean aspect_buckets;
  int      steps, batch_size, samples_per_call;
  gint64   seed;
  int      teacher_steps, teacher_reuse;
  double   guidance_min, guidance_max;
  double   mode_variance;
  char    *distance, *lpips_weights;
  FbPhase  phases[FB_MAX_PHASES];
  int      n_phases;
  double   learning_rate, discriminator_learning_rate;
  double   beta1, beta2, epsilon, weight_decay;
  int      warm_up;
  double   clip, average;
  int      lora_rank;
  double   lora_alpha;
  char   **lora_targets;
  char    *dtype;
  int      threads;
  int      memory;
  int      checkpoint_every, sample_every;
  char   **sample_prompts;
  char    *output;
  char    *naming;
} FbDistillJob;

/**
 * fb_distill_job_load, fb_distill_job_parse:
 * @path: of the file; parse only names it
 *
 * Errors: FIELD, with file, field, reason and what would do; those of fb_json_load_object().
 */
FbDistillJob * fb_distill_job_load  (const char *path, GError **error);
FbDistillJob * fb_distill_job_parse (JsonObject *json, const char *path, GError **error);
void           fb_distill_job_free  (FbDistillJob *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbDistillJob, fb_distill_job_free)

/**
 * fb_distill_presets:
 *
 * Returns: (transfer none): %NULL-terminated: "small" for models like the one that comes along, and with the paper's settings a preset per
 *   family that can be trained
 */
const char * const * fb_distill_presets (void);

/* (transfer full): a job with a preset's settings, without teacher and data; %NULL with FIELD and the nearest names, UNSUPPORTED for a family that cannot be
 * trained yet */
FbDistillJob * fb_distill_job_new_preset (const char *preset, GError **error);

/* Changes the number of steps; the phases keep their shares. */
void           fb_distill_job_set_steps (FbDistillJob *job, int steps);

/* (transfer none): the preset that suits a family of models and its size in pixels */
const char *   fb_distill_preset_for (const char *family, int size);

/* Checks what depends on several fields. Errors: FIELD. */
gboolean       fb_distill_job_check (const FbDistillJob *job, GError **error);

/* (transfer full): the whole job, every field said */
char *         fb_distill_job_to_json (const FbDistillJob *job);

/* Writes the job to @job->path, which must not exist. */
gboolean       fb_distill_job_save  (const FbDistillJob *job, GError **error);

/* (transfer full): where the job keeps its checkpoint, log and samples */
char *         fb_distill_job_folder (const FbDistillJob *job);
/* (transfer full): a path the job names, made absolute */
char *         fb_distill_job_resolve (const FbDistillJob *job, const char *path);
/* (transfer full): where the LoRA goes */
char *         fb_distill_job_output (const FbDistillJob *job);

/* (transfer full): hash of everything that decides what is computed; run settings such as checkpoint_every do not count */
char *         fb_distill_job_digest (const FbDistillJob *job);

/* (transfer full): the fields that a checkpoint must be compared by, as JSON; data and teacher are not among them */
char *         fb_distill_job_settings (const FbDistillJob *job);

/**
 * fb_distill_job_compare:
 * @settings: fb_distill_job_settings() at another time
 * @tuned: (out) (transfer full) (nullable): names of the fields with other values now with which the job can go on: learning rates, for example
 * @other: (out) (transfer full) (nullable): names of those that make it another job
 *
 * Returns: %FALSE, and nothing else, where @settings cannot be read
 */
gboolean       fb_distill_job_compare (const FbDistillJob *job, const char *settings, char **tuned, char **other);
