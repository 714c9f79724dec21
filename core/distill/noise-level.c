/* core/distill/noise-level.c: noise on a picture and off it again. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/noise-level.h"

#include <math.h>

#include "core/samplers/sampler.h"

FbNoiseLevel
fb_noise_level (const FbSchedule *schedule, int timestep)
{
  FbNoiseLevel level = { .timestep = timestep };

  g_assert (timestep >= 0 && timestep < schedule->config.n_train);
  level.a = sqrt (schedule->alphas_cumprod[timestep]);
  level.s = sqrt (1.0 - schedule->alphas_cumprod[timestep]);
  if (schedule->config.prediction == FB_PREDICT_EPSILON)
    {
      level.from_latents = 1.0 / level.a;
      level.from_output  = -level.s / level.a;
    }
  else
    {
      level.from_latents = level.a;
      level.from_output  = -level.s;
    }
  return level;
}

void
fb_noise_add (const FbNoiseLevel *level, const float *x0, const float *noise, float *out, size_t n)
{
  const float a = (float) level->a, s = (float) level->s;

  for (size_t i = 0; i < n; i++)
    out[i] = a * x0[i] + s * noise[i];
}

void
fb_noise_remove (const FbNoiseLevel *level, const float *latents, const float *output, float *x0, size_t n)
{
  const float kz = (float) level->from_latents, ko = (float) level->from_output;

  for (size_t i = 0; i < n; i++)
    x0[i] = kz * latents[i] + ko * output[i];
}

void
fb_student_predict (const FbNoiseLevel *level, const float *latents, const float *output, float *prediction, size_t n)
{
  double c_skip, c_out;
  float  kz, ko;

  fb_boundary_scalings (level->timestep, &c_skip, &c_out);
  kz = (float) (c_out * level->from_latents + c_skip);
  ko = (float) (c_out * level->from_output);
  for (size_t i = 0; i < n; i++)
    prediction[i] = kz * latents[i] + ko * output[i];
}

void
fb_student_backward (const FbNoiseLevel *level, const float *dprediction, float *doutput, size_t n)
{
  double c_skip, c_out;
  float  ko;

  fb_boundary_scalings (level->timestep, &c_skip, &c_out);
  ko = (float) (c_out * level->from_output);
  for (size_t i = 0; i < n; i++)
    doutput[i] = ko * dprediction[i];
}
