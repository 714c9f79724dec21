/* core/samplers/euler-ancestral.c: Euler's method with fresh noise on each step. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Goes further down than the next level and comes back up with noise: σ_to² = σ_down² + σ_up², σ_up the ancestral deviation of
 * DDPM (arXiv:2006.11239, β̃). Source: k-diffusion's sample_euler_ancestral, as in diffusers.
 */
#include "core/samplers/sampler-private.h"

#include <glib/gi18n-lib.h>
#include <math.h>

static void
plan (FbSampler *self, const FbSchedule *schedule, FbSpacing spacing, double strength)
{
  fb_plan_even (self, schedule, spacing, strength, FALSE);
}

static void
step (FbSampler *self, int i, float *latents, const float *model_output, float *x0, const float *noise, size_t n)
{
  const FbLevel *from = &self->from[i];
  double         share = self->to[i].sigma / from->sigma;                    /* σ_to / σ_from */
  float          up    = (float) (self->to[i].sigma * sqrt (1.0 - share * share));
  float          down  = (float) (share * share);                            /* σ_down / σ_from, as σ_down = σ_to² / σ_from */
  float          kx, ko;

  fb_x0_factors (self, from, &kx, &ko);
  kx = (float) (kx * from->a);                     /* the latents are z / a */
  for (size_t j = 0; j < n; j++)
    {
      float clean = kx * latents[j] + ko * model_output[j];

      if (x0 != NULL)
        x0[j] = clean;
      latents[j] = clean + down * (latents[j] - clean);
      if (noise != NULL)
        latents[j] += up * noise[j];
    }
}

const FbSamplerClass fb_sampler_euler_ancestral =
{
  .info = { "euler-ancestral", N_("Euler ancestral"), 25, 7.5, FALSE },
  .sigma_space = TRUE,
  .fresh_noise = TRUE,
  .plan = plan,
  .step = step,
};
