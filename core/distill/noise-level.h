/* core/distill/noise-level.h: noise on a picture and off it again. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/samplers/schedule.h"

/**
 * FbNoiseLevel: what timestep t means
 * @timestep: 0 … n_train − 1
 * @a, @s: z = a x0 + s ε
 * @from_latents, @from_output: x0 = from_latents z + from_output output, for a network that names ε or v
 *
 * Coefficients are double, latents host f32.
 */
typedef struct
{
  int    timestep;
  double a, s;
  double from_latents, from_output;
} FbNoiseLevel;

/* The level of a whole timestep, from the schedule's full table: never from a solver's list, where unknown timesteps would be taken for others */
FbNoiseLevel fb_noise_level    (const FbSchedule *schedule, int timestep);

/* @out: (out): [n] a x0 + s noise; may be @x0 or @noise */
void         fb_noise_add      (const FbNoiseLevel *level, const float *x0, const float *noise, float *out, size_t n);

/* @x0: (out): [n] what the network takes for the picture in @latents, by its @output; may be either */
void         fb_noise_remove   (const FbNoiseLevel *level, const float *latents, const float *output, float *x0, size_t n);

/**
 * fb_student_predict: the student's picture in one step
 * @prediction: (out): [n] c_out x0 + c_skip latents (fb_boundary_scalings()); may be @latents or @output
 *
 * At the timesteps of training the boundary scalings are all but 0 and 1; they are there because the sampler has them.
 * Source: Flash Diffusion, arXiv:2406.02347, with the scalings of Latent Consistency Models, arXiv:2310.04378.
 */
void         fb_student_predict  (const FbNoiseLevel *level, const float *latents, const float *output, float *prediction, size_t n);

/* @doutput: (out): [n] ∂L/∂output from @dprediction = ∂L/∂prediction; may be @dprediction */
void         fb_student_backward (const FbNoiseLevel *level, const float *dprediction, float *doutput, size_t n);
