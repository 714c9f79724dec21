/* core/tasks/diffusion-private.h: what the tasks that draw with a diffusion model share. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Prompt to context, picture to latents, denoising steps, latents to picture, and what is told of it all meanwhile.
 */
#pragma once

#include "core/samplers/torch-random.h"
#include "core/tasks/generate.h"

/**
 * FbDiffusion: a running job
 * @request: resolved; its width and height are those of the picture in work and may change between two of them
 * @dress: (nullable): (transfer full): makes of a step's preview (transfer full) the one to show
 * @h, @w, @n_latents: latents are [h, w, C], C = latent_channels; set by fb_diffusion_set_size()
 * @guided: two branches, in one batched call
 * @noise_level: of what an upscaler is shown besides the latents; other models do not look at it
 * @context: [1 or 2, n_tokens, context_width]: the negative prompt's first
 * @takes_turns: the model's parts do, for want of memory; a stage then loads its own
 * @limited, @old_limit: whether the device has a limit for this job, and what it had before
 * @picture: which one is in work, for the progress
 * @seconds_after: by the plan, of all that follows the picture in work
 * @seconds_done, @fraction: for the progress bar
 */
typedef struct
{
  const FbGenerate  *request;
  FbModel           *model;
  const FbModelInfo *info;
  FbProgressFunc     progress;
  FbImage *       (* dress) (FbImage *preview, gpointer dress_data);
  gpointer           user_data, dress_data;
  GCancellable      *cancellable;

  int                h, w;
  size_t             n_latents;
  gboolean           guided;
  int                noise_level;
  int                n_tokens;
  float             *context;

  gboolean           takes_turns;
  gboolean           limited;
  size_t             old_limit;

  int                picture;
  double             seconds_after;
  double             seconds_done;
  double             fraction;
} FbDiffusion;

void     fb_diffusion_clear    (FbDiffusion *job);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (FbDiffusion, fb_diffusion_clear)

/* Fills the open places but prompt and size, and checks all but those. In core/tasks/generate-request.c */
gboolean fb_diffusion_resolve  (FbGenerate *request, FbModel *model, GError **error);

/* After a change of the request's width or height; pixels, multiples of the scale factor */
void     fb_diffusion_set_size (FbDiffusion *job);

/* --- the plan: core/tasks/diffusion-plan.c ------------------------------------------------------------------------------- */

/* Whether a job of @request needs @part of @model; @encodes: whether it turns pictures into latents */
gboolean fb_diffusion_needs           (const FbGenerate *request, FbModel *model, gboolean encodes, FbModelPart part);

/* The part that turns pictures into latents, and the one that turns latents into pictures */
FbModelPart fb_diffusion_encoder      (const FbGenerate *request, FbModel *model);
FbModelPart fb_diffusion_decoder      (const FbGenerate *request);

/**
 * fb_diffusion_step_work, fb_diffusion_tile_work, fb_diffusion_decode_work: as fb_pace_work(); of all tiles of a step, and of one
 * fb_diffusion_picture_seconds: one picture of the request's size, @n_encodes pictures turned into latents included
 * fb_diffusion_load_seconds: parts that are not loaded yet
 * fb_diffusion_turns_seconds: parts that are loaded again for the second picture and the later ones, where @estimate says that they take turns
 */
double   fb_diffusion_step_work       (const FbGenerate *request, FbModel *model);
double   fb_diffusion_tile_work       (const FbGenerate *request, FbModel *model);
double   fb_diffusion_decode_work     (const FbGenerate *request, FbModel *model);
double   fb_diffusion_encode_work     (const FbGenerate *request, FbModel *model);
double   fb_diffusion_picture_seconds (const FbGenerate *request, FbModel *model, int n_encodes);
double   fb_diffusion_load_seconds    (const FbGenerate *request, FbModel *model, gboolean encodes);
double   fb_diffusion_turns_seconds   (const FbGenerate *request, FbModel *model, gboolean encodes, const FbEstimate *estimate);

/* Memory of a job whose largest picture has the request's size: the estimate's peak_bytes, least_bytes and available_bytes */
void     fb_diffusion_memory          (const FbGenerate *request, FbModel *model, gboolean encodes, FbEstimate *estimate);

/* Whether the parts have to take turns: all at once are more than there is */
gboolean fb_diffusion_takes_turns     (const FbEstimate *estimate);

/* Decides whether @job's parts take turns; %FALSE with %FB_TASK_ERROR_MEMORY where even that needs more than there is */
gboolean fb_diffusion_check_memory    (FbDiffusion *job, const FbEstimate *estimate, gboolean encodes, GError **error);

/* --- stages: core/tasks/diffusion.c -------------------------------------------------------------------------------------- */

/* Loads what is not loaded yet, unless the parts take turns; @seconds_after must hold all pictures. */
gboolean fb_diffusion_load            (FbDiffusion *job, gboolean encodes, GError **error);
gboolean fb_diffusion_encode_prompts  (FbDiffusion *job, GError **error);

/**
 * fb_diffusion_encode:
 * @pixels: [height, width, 3], −1 … 1, of the request's size
 * @random: gives the posterior's sample, one draw, as in diffusers; the tiny encoder has none, but the draw is made all the same
 * @latents: (out): [h, w, C]
 */
gboolean fb_diffusion_encode          (FbDiffusion *job, const float *pixels, FbTorchRandom *random, float *latents, GError **error);

/**
 * FbKnown: what a denoising starts from and keeps to; all pointers may be %NULL
 * @start: [h, w, C] latents that are noised to the strength's level
 * @strength: with @start: as FbSamplerParams has it
 * @mask: [h, w]: 1 is drawn, 0 goes back to @start after each step; in between, a pixel is let go for that share of the steps, the last
 *   ones, if @gradual, else mixed each time
 * @extra: [h, w, E] further input channels
 */
typedef struct
{
  const float *start;
  double       strength;
  const float *mask;
  gboolean     gradual;
  const float *extra;
} FbKnown;

/**
 * fb_diffusion_denoise:
 * @noise: [h, w, C] the start's
 * @random: gives that of the steps
 * @latents: (out): [h, w, C]
 */
gboolean  fb_diffusion_denoise        (FbDiffusion *job, const FbKnown *known, const float *noise, FbTorchRandom *random, float *latents, GError **error);

/* (transfer full): the picture of @latents, of the request's size */
FbImage * fb_diffusion_decode         (FbDiffusion *job, const float *latents, GError **error);
