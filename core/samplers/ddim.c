/* core/samplers/ddim.c: denoising diffusion implicit models, without added noise. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: arXiv:2010.02502, equation 12 with η = 0.
 */
#include "core/samplers/sampler-private.h"

#include <glib/gi18n-lib.h>

static void
plan (FbSampler *self, const FbSchedule *schedule, FbSpacing spacing, double strength)
{
  fb_plan_even (self, schedule, spacing, strength, TRUE);
}

/* In diffusers a step ends ⌊T / N⌋ below its timestep, wherever the next one starts; only so do plain lists give the same picture. */
static void
set_levels (FbSampler *self, const FbSchedule *schedule, double strength)
{
  int    last   = self->n_steps - 1;
  double stride = schedule->config.n_train / self->n_steps;
  double end    = schedule->config.set_alpha_to_one ? -1.0 : 0.0;

  if (strength == 1.0)
    for (int i = 0; i <= last; i++)
      {
        double t = self->timesteps[i] - stride;
        self->to[i] = fb_level (fb_schedule_sigma (schedule, t >= 0.0 ? t : end));
      }
  else
    self->to[last] = fb_level (fb_schedule_sigma (schedule, MIN (end, self->timesteps[last])));
}

static void
step (FbSampler *self, int i, float *latents, const float *model_output, float *x0, const float *noise, size_t n)
{
  const FbLevel *from = &self->from[i], *to = &self->to[i];
  gboolean       is_epsilon = self->prediction == FB_PREDICT_EPSILON;
  float          kx, ko, a = (float) to->a, s = (float) to->s;
  float          ex = is_epsilon ? 0.0f : (float) from->s;         /* ε = ex z + eo output */
  float          eo = is_epsilon ? 1.0f : (float) from->a;

  fb_x0_factors (self, from, &kx, &ko);
  for (size_t j = 0; j < n; j++)
    {
      float clean   = kx * latents[j] + ko * model_output[j];
      float epsilon = ex * latents[j] + eo * model_output[j];

      if (x0 != NULL)
        x0[j] = clean;
      latents[j] = a * clean + s * epsilon;
    }
}

const FbSamplerClass fb_sampler_ddim =
{
  .info = { "ddim", N_("DDIM"), 25, 7.5, FALSE },
  .plan = plan,
  .set_levels = set_levels,
  .step = step,
};
