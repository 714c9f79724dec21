/* core/distill/trainer-private.h: what a trainer is made of; for its neighbours here. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/cache.h"
#include "core/distill/cards.h"
#include "core/distill/dataset.h"
#include "core/distill/networks.h"
#include "core/distill/optimizer.h"
#include "core/distill/perceptual.h"
#include "core/distill/philox.h"
#include "core/distill/trainer.h"
#include "core/models/model.h"
#include "core/samplers/schedule.h"

typedef struct FbReuse FbReuse;

/**
 * FbTrainer:
 * @cards: (nullable): where each process of the team has a card: they sum gradients
 * @lock: −1 in all but the team's first process
 * @memory: bytes the process had before the job
 * @teacher_hash: of the model's UNet, for the LoRA's metadata
 * @text_hash, @vae_hash: for the cache's keys
 * @latent_keys: (element-type utf8): of each example's latents in the cache
 * @no_prompt: [77, context_width]: the negative prompt
 * @perceptual: (nullable): where the job's distance is LPIPS; @perceptual_hash is of its weights and the autoencoder's, @perceptual_seconds what
 *   it has taken so far
 * @judge: (nullable): the discriminator's optimizer; %NULL where no phase has an adversarial loss
 * @reuse: (nullable): the teacher's solutions, where they are learned from more than once
 * @order, @epoch: the order of the examples in that epoch
 * @step: updates made
 * @batch: the batch that the step at work learns from
 */
struct FbTrainer
{
  const FbDistillJob *job;
  const FbTeam      *team;
  FbCards           *cards;
  char              *folder;
  int                lock;
  guint64            memory;
  FbDevice          *dev;
  FbModel           *model;
  const FbModelInfo *info;
  const FbSchedule  *schedule;
  char              *teacher_hash, *text_hash, *vae_hash;
  FbDataset         *data;
  FbCache           *cache;
  GPtrArray         *latent_keys;
  float             *no_prompt;
  FbNetworks        *networks;
  FbPerceptual      *perceptual;
  char              *perceptual_hash;
  double             perceptual_seconds;
  FbOptimizer       *student, *judge;
  FbReuse           *reuse;
  guint             *order;
  int                epoch;
  int                step, batch;
  void            (* between) (gpointer data);
  gpointer           between_data;
};

/* floats of one sample's latents, and of one prompt */
static inline size_t
fb_trainer_latents_size (const FbTrainer *self, const FbExample *e)
{
  return (size_t) (e->width / self->info->scale_factor) * (e->height / self->info->scale_factor) * self->info->latent_channels;
}

static inline size_t
fb_trainer_context_size (const FbTrainer *self)
{
  return (size_t) FB_MODEL_CHUNK * self->info->context_width;
}

/* whether the teacher paints into pictures, by a mask */
static inline gboolean
fb_trainer_inpaints (const FbTrainer *self)
{
  return self->info->unet_channels > self->info->latent_channels;
}

/* floats of what a network for inpainting sees of one sample besides its latents, which are @n; 0 for others */
static inline size_t
fb_trainer_extra_size (const FbTrainer *self, size_t n)
{
  return n / self->info->latent_channels * (self->info->unet_channels - self->info->latent_channels);
}

/* whether this process writes what the job keeps */
static inline gboolean
fb_trainer_is_first (const FbTrainer *self)
{
  return self->team->rank == 0;
}

/* trainer-prepare.c: the cache */

/* Reads what fb_trainer_prepare() has put into the cache. Errors: DATA when it is no longer there. */
gboolean fb_trainer_read_latents (FbTrainer *self, guint example, float *latents, GError **error);
gboolean fb_trainer_read_caption (FbTrainer *self, const char *caption, float *context, GError **error);

gboolean fb_trainer_encode_captions (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error);
gboolean fb_trainer_encode_pictures (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error);
/* needs the networks; all of a team together */
gboolean fb_trainer_make_pictures   (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error);

/* @pixels: (out): [height, width, 3], −1 … 1: the middle of the example's picture. Errors: DATA for one without memory, those of fb_image_load(). */
gboolean fb_trainer_read_pixels (const FbExample *e, int width, int height, float *pixels, GError **error);

/* The teacher's solutions from @start; for the step and for pictures from prompts. @extra as FbNetworkCall's; @start etc. as fb_rollout(). */
gboolean fb_trainer_rollout (FbTrainer *self, int n, int height, int width, const float *contexts, const float *extra, int n_steps,
                             const int *start, const double *guidance_scale, float *latents, GCancellable *cancellable, GError **error);

/* trainer-reuse.c */

#define FB_REUSE_BLOCK 16        /* batches whose solutions are kept */

/* the batch that @step learns from, and the step that meets @batch first; both are the same where solutions are used once */
int       fb_trainer_batch_of  (const FbTrainer *self, int step);
int       fb_trainer_first_use (const FbTrainer *self, int batch);

/**
 * FbReuse: solutions of the last FB_REUSE_BLOCK batches, by batch and number of the sample in it
 * fb_reuse_recall: %FALSE, and nothing happens, unless all of @members are there
 * @members: [n] sample numbers
 * @targets: [n, size]
 */
FbReuse * fb_reuse_new      (int batch_size);
void      fb_reuse_free     (FbReuse *self);
gboolean  fb_reuse_recall   (const FbReuse *self, int batch, const int *members, int n, size_t size, float *targets);
void      fb_reuse_remember (FbReuse *self, int batch, const int *members, int n, size_t size, const float *targets);

/* trainer-mask.c */

/**
 * fb_trainer_mask_picture:
 * @full: share of masks that cover everything
 * @width, @height: pixels that the picture is brought to
 * @extra: (out): [h, w, 1 + latent_channels]: the mask, and the latents of the picture with the hole grey
 *
 * For teachers that inpaint. Mask and the autoencoder's noise are drawn for @draw.
 * Errors: those of fb_trainer_read_pixels() and fb_model_encode_image().
 */
gboolean fb_trainer_mask_picture (FbTrainer *self, const FbExample *e, const FbDraw *draw, double full, int width, int height, float *extra,
                                  GCancellable *cancellable, GError **error);

/* trainer-state.c */

/* Takes the lock file in @folder; −1 with LOCKED. The lock ends with the process, however it ends. */
int      fb_distill_lock (const char *folder, GError **error);
/* What can be known of the checkpoint, where there is one, before hours of preparing: whether it is of this job; all of a team together. Errors: CHECKPOINT, those
 * of safetensors files. */
gboolean fb_trainer_check_checkpoint (FbTrainer *self, GError **error);
/* Goes on from the checkpoint, where there is one; all of a team together. Errors: CHECKPOINT, TEAM, those of safetensors files. */
gboolean fb_trainer_restore (FbTrainer *self, GError **error);
