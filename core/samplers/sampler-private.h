/* core/samplers/sampler-private.h: what a sampler is made of. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/samplers/sampler.h"

/* z = a x0 + s ε; sigma = s / a */
typedef struct
{
  double a, s, sigma;
} FbLevel;

typedef struct FbSamplerClass FbSamplerClass;

/**
 * FbSampler:
 * @timesteps: [n_steps]
 * @from, @to: [n_steps] levels at which a step starts and ends; the end of one is the start of the next, but in ddim's plain lists
 * @from_noise: whether the run starts from pure noise
 * @init_sigma: factor of that noise
 * @first: the step that begins a run
 * @history: (nullable): [history_size] a multistep sampler's last x0
 */
struct FbSampler
{
  const FbSamplerClass *class;
  FbPrediction          prediction;
  int                   n_steps, first;
  double               *timesteps;
  FbLevel              *from, *to;
  gboolean              from_noise;
  double                init_sigma;
  float                *history;
  size_t                history_size;
};

/**
 * FbSamplerClass: one sampler, in a file of its own
 * @sigma_space: latents are kept as x0 + σ ε (divided by a), as the Euler samplers are written
 * @fresh_noise: draws noise on every step but the last
 * @end_excluded: below strength 1, linspace and leading steps stop one stride above their end
 * @plan: fills @timesteps with the run's list
 * @set_levels: (nullable): corrects the levels made from @timesteps, whose last end is without noise
 * @step: as fb_sampler_step(), all arguments checked
 */
struct FbSamplerClass
{
  FbSamplerInfo info;
  gboolean      sigma_space;
  gboolean      fresh_noise;
  gboolean      end_excluded;

  void (* plan)       (FbSampler *self, const FbSchedule *schedule, FbSpacing spacing, double strength);
  void (* set_levels) (FbSampler *self, const FbSchedule *schedule, double strength);
  void (* step)       (FbSampler *self, int i, float *latents, const float *model_output, float *x0, const float *noise, size_t n);
};

extern const FbSamplerClass fb_sampler_ddim;
extern const FbSamplerClass fb_sampler_dpmpp_2m;
extern const FbSamplerClass fb_sampler_euler;
extern const FbSamplerClass fb_sampler_euler_ancestral;
extern const FbSamplerClass fb_sampler_flash;
extern const FbSamplerClass fb_sampler_lcm;

/* the noise at σ, in variance-preserving scale */
FbLevel fb_level          (double sigma);

/* The plain list at strength 1, even steps from S below, as sampler.h says; whole numbers at strength 1 when @round. */
void    fb_plan_even      (FbSampler *self, const FbSchedule *schedule, FbSpacing spacing, double strength, gboolean round);

/* steps from @start evenly to one stride above −1 */
void    fb_plan_trailing  (FbSampler *self, double start);

/* x0 = kx z + ko output, for latents in the variance-preserving scale */
void    fb_x0_factors     (const FbSampler *self, const FbLevel *level, float *kx, float *ko);
