/* core/samplers/sampler.h: from noise to latents in N calls of a network. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/samplers/schedule.h"

typedef enum
{
  FB_SAMPLER_ERROR_UNKNOWN,     /* no sampler of that name; the message holds the nearest ones */
  FB_SAMPLER_ERROR_STEPS,       /* number of steps out of range */
  FB_SAMPLER_ERROR_STRENGTH,    /* strength out of range */
} FbSamplerError;
#define FB_SAMPLER_N_ERRORS (FB_SAMPLER_ERROR_STRENGTH + 1)

#define FB_SAMPLER_ERROR (fb_sampler_error_quark ())
GQuark fb_sampler_error_quark (void);

/**
 * FbSamplerInfo: a row of the list of samplers
 * @name: the interface for scripts: "flash", "lcm", "ddim", "euler", "euler-ancestral", "dpmpp-2m"
 * @label: for people, untranslated; show it with _()
 * @n_steps: steps that give a good picture
 * @guidance_scale: for models that bring none; 1 = no guidance
 * @few_steps: whether it needs a model distilled for few steps
 */
typedef struct
{
  const char *name;
  const char *label;
  int         n_steps;
  double      guidance_scale;
  gboolean    few_steps;
} FbSamplerInfo;

/* (transfer none): all samplers, @n of them, in the order to show */
const FbSamplerInfo * fb_sampler_list (int *n);
/* (transfer none): the sampler called @name; %FB_SAMPLER_ERROR_UNKNOWN names the nearest ones */
const FbSamplerInfo * fb_sampler_find (const char *name, GError **error);

/**
 * FbSamplerParams:
 * @n_steps: N, network calls; 1 … n_train (lcm: 1 … 50)
 * @spacing: %FB_SPACING_DEFAULT is trailing for flash and the schedule's for the others; lcm has a list of its own
 * @strength: in (0, 1]; 1 starts from pure noise, less from a picture
 */
typedef struct
{
  int       n_steps;
  FbSpacing spacing;
  double    strength;
} FbSamplerParams;

/**
 * FbSampler: one run's plan: N levels of noise, and how to get from each to the next
 *
 * Works on host f32 latents of any layout; one sampler may serve a whole batch laid out behind one another. Arithmetic is f32 with
 * coefficients computed in double.
 *
 * The run:
 * |[
 *   fb_sampler_init_noise (s, picture or NULL, noise, latents, n);
 *   for (int i = 0; i < fb_sampler_n_steps (s); i++)
 *     {
 *       fb_sampler_model_input (s, i, latents, input, n);
 *       … output = network (input, fb_sampler_timestep (s, i)) …
 *       if (fb_sampler_needs_noise (s, i)) … draw noise …
 *       fb_sampler_step (s, i, latents, output, x0, noise, n);
 *     }
 * ]|
 *
 * Strength picks the level that a picture is noised to, and all N steps run from there; T = n_train, S = strength · T − 1.
 * - At strength 1 the timesteps are the plain list of text to image.
 * - ddim, euler, euler-ancestral, dpmpp-2m below 1: S first, then evenly down in the spacing's measure: trailing to one stride above −1;
 *   linspace to 0, and leading to steps_offset, both included (dpmpp-2m: left out, as its plain lists do). Where S is not above that
 *   end, as trailing. strength · T counts as 0.001 at least.
 * - flash and lcm below 1: S rounded to a whole number ≥ 0 first, then N − 1 of the steps the student was trained on
 *   (flash: T · 3/4 − 1, T · 1/2 − 1, T · 1/4 − 1; lcm: the 50 multiples of T / 50, less 1), if that many lie below: those nearest to even
 *   spacing. Else evenly, as trailing.
 * Below strength 1 timesteps may therefore be fractions; those between 0 and −1 (strength · T < N) go on as schedule.h says.
 */
typedef struct FbSampler FbSampler;

/* (transfer full): copies what it needs of @schedule */
FbSampler * fb_sampler_new         (const char *name, const FbSchedule *schedule, const FbSamplerParams *params, GError **error);
void        fb_sampler_free        (FbSampler *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbSampler, fb_sampler_free)

/**
 * fb_sampler_start_at:
 * @first: 0 … n_steps − 1
 *
 * Makes step @first the one that begins a run, 0 without this call: what a multistep sampler remembers is forgotten there. Latents then start at
 * the level of fb_sampler_add_noise (@first).
 */
void        fb_sampler_start_at    (FbSampler *self, int first);

int         fb_sampler_n_steps     (const FbSampler *self);
/* for the network's time embedding; falls with @i */
double      fb_sampler_timestep    (const FbSampler *self, int i);

/**
 * fb_sampler_init_noise:
 * @picture: (nullable): [n] latents to start from; not looked at when the strength is 1
 * @noise: [n] normal deviates
 * @latents: (out): [n] what step 0 starts from; may be @noise
 */
void        fb_sampler_init_noise  (const FbSampler *self, const float *picture, const float *noise, float *latents, size_t n);

/**
 * fb_sampler_add_noise:
 * @i: 0 … n_steps; n_steps is the end, without noise
 * @latents: (out): [n] @picture at the noise level at which step @i starts; may be @noise, or @picture
 */
void        fb_sampler_add_noise   (const FbSampler *self, int i, const float *picture, const float *noise, float *latents, size_t n);

/* @out: (out): [n] the network's input at step @i: the latents, or for the Euler samplers their variance-preserving scale; may be @latents */
void        fb_sampler_model_input (const FbSampler *self, int i, const float *latents, float *out, size_t n);

/* whether step @i consumes fresh noise: flash and lcm on all steps but the last, euler-ancestral likewise */
gboolean    fb_sampler_needs_noise (const FbSampler *self, int i);

/**
 * fb_sampler_step:
 * @i: 0 … n_steps − 1, in order; 0, or what fb_sampler_start_at() said, begins a new run
 * @latents: (inout): [n]
 * @model_output: [n] the network's ε or v at fb_sampler_timestep(), after guidance
 * @x0: (out) (nullable): [n] the finished latents as far as this step can tell, for previews; not @latents or @model_output
 * @noise: (nullable): [n] normal deviates, exactly when fb_sampler_needs_noise()
 * @n: the same throughout a run
 */
void        fb_sampler_step        (FbSampler *self, int i, float *latents, const float *model_output, float *x0,
                                    const float *noise, size_t n);

/**
 * fb_boundary_scalings:
 * @timestep: ≥ −1
 * @c_skip, @c_out: (out): a consistency model's picture is c_out x0 + c_skip z; at timestep 0 the latents are the picture
 *
 * Source: arXiv:2310.04378, with σ_data = 0.5 and timesteps ten-fold, as in diffusers' LCMScheduler.
 */
void        fb_boundary_scalings   (double timestep, double *c_skip, double *c_out);
