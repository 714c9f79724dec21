/* core/distill/philox.h: random numbers that are looked up rather than drawn in turn. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/**
 * fb_philox4x32: ten rounds of Philox4x32
 * @counter: which block of random bits
 * @key: of which sequence
 * @out: (out): 128 random bits
 *
 * Source: Salmon et al., “Parallel random numbers: as easy as 1, 2, 3”, SC11; the numbers of Random123's philox4x32 with 10 rounds.
 */
void fb_philox4x32 (const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* What a number is drawn for. The values are part of what a seed means: new ones go to the end. */
typedef enum
{
  FB_DRAW_ORDER,                 /* the order of the pictures in an epoch; step is the epoch */
  FB_DRAW_CAPTION,
  FB_DRAW_START,                 /* index of the timestep where teacher and student start */
  FB_DRAW_GUIDANCE,
  FB_DRAW_NOISE,
  FB_DRAW_MATCHING_TIMESTEP,     /* distribution matching: where it looks */
  FB_DRAW_MATCHING_GUIDANCE,
  FB_DRAW_MATCHING_NOISE,
  FB_DRAW_ADVERSARIAL_TIMESTEP,  /* the discriminator: where it looks */
  FB_DRAW_ADVERSARIAL_NOISE,
  FB_DRAW_POSTERIOR,             /* the autoencoder's, when latents are cached */
  FB_DRAW_TEACHER_PICTURE,       /* noise of the pictures a teacher makes from prompts alone */
  FB_DRAW_LORA,                  /* first weights; sample is the tensor's number */
  FB_DRAW_DISCRIMINATOR,
  FB_DRAW_SAMPLE,                /* noise of the pictures shown while training */
  FB_DRAW_MASK,                  /* what an inpainting model is to paint */
  FB_DRAW_MASKED_POSTERIOR,      /* the autoencoder's, of the picture around it */
  FB_DRAW_REUSE_ORDER,           /* of batches that are met again; step is how often some have been gone through */
} FbDrawPurpose;

/**
 * FbDraw: who draws
 * @seed: of the job
 * @step: of training, from 0
 * @sample: number of the sample in the step's whole batch, over all processes
 *
 * A number depends on these three, its purpose and its index alone. So it is the same however the batch is divided among calls and
 * processes, and nothing has to be saved when a job pauses.
 */
typedef struct
{
  guint64 seed;
  guint32 step, sample;
} FbDraw;

/* in [0, 1), 53 bits */
double fb_draw_uniform (const FbDraw *draw, FbDrawPurpose purpose);

/* @out: (out): [n] of them; the first is what fb_draw_uniform() gives */
void   fb_draw_uniforms (const FbDraw *draw, FbDrawPurpose purpose, double *out, size_t n);

/* 0 … @n − 1 */
guint  fb_draw_index   (const FbDraw *draw, FbDrawPurpose purpose, guint n);

/* @out: (out): [n] normal deviates: pairs of Box and Muller in double, rounded to float */
void   fb_draw_normal  (const FbDraw *draw, FbDrawPurpose purpose, float *out, size_t n);

/* @order: (out): [n]: 0 … n − 1 shuffled; Fisher and Yates from the end */
void   fb_draw_order   (const FbDraw *draw, FbDrawPurpose purpose, guint *order, guint n);
