/* core/distill/rollout.h: where the teacher gets to from noisy latents. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "core/samplers/schedule.h"

/**
 * FbTeacherFunc: one call of the teacher with and without the prompt
 * @samples: [m] which samples of the batch @latents are
 * @latents: [m, size]
 * @timestep: of all of them
 * @conditional, @unconditional: (out): [m, size] the network's outputs
 */
typedef gboolean (* FbTeacherFunc) (const int *samples, int m, const float *latents, double timestep,
                                    float *conditional, float *unconditional, gpointer user_data, GError **error);

/**
 * fb_rollout:
 * @n_steps: K, of the whole way from pure noise; trailing timesteps
 * @n: samples in the batch
 * @start: [n] index of the step that each starts at, 0 … K − 1; 0 is pure noise
 * @guidance_scale: [n] ω: output = ω conditional + (1 − ω) unconditional
 * @size: floats per sample
 * @latents: (inout): [n, size] noisy, at the level of step @start; then the teacher's solution
 *
 * DPM-Solver++ of second order (the sampler "dpmpp-2m"), whose first step is of first order wherever it starts. Samples that have started
 * share the calls of the teacher. What a sample becomes does not depend on the others in the batch.
 * Source: Flash Diffusion, arXiv:2406.02347; arXiv:2211.01095, algorithm 2.
 */
gboolean fb_rollout (const FbSchedule *schedule, int n_steps, int n, const int *start, const double *guidance_scale, size_t size,
                     float *latents, FbTeacherFunc teacher, gpointer user_data, GError **error);

/* out [n]: guidance_scale · conditional + (1 − guidance_scale) · unconditional; may be either */
void     fb_guide   (double guidance_scale, const float *conditional, const float *unconditional, float *out, size_t n);
