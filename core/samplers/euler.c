/* core/samplers/euler.c: Euler's method on the probability-flow equation. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: Karras et al., arXiv:2206.00364, algorithm 2 without churn; dx/dσ = (x − x0) / σ with x = x0 + σ ε.
 */
#include "core/samplers/sampler-private.h"

#include <glib/gi18n-lib.h>

static void
plan (FbSampler *self, const FbSchedule *schedule, FbSpacing spacing, double strength)
{
  fb_plan_even (self, schedule, spacing, strength, FALSE);
}

static void
step (FbSampler *self, int i, float *latents, const float *model_output, float *x0, const float *noise, size_t n)
{
  const FbLevel *from = &self->from[i];
  float          kx, ko, ratio = (float) (self->to[i].sigma / from->sigma);

  fb_x0_factors (self, from, &kx, &ko);
  kx = (float) (kx * from->a);                     /* the latents are z / a */
  for (size_t j = 0; j < n; j++)
    {
      float clean = kx * latents[j] + ko * model_output[j];

      if (x0 != NULL)
        x0[j] = clean;
      latents[j] = clean + ratio * (latents[j] - clean);
    }
}

const FbSamplerClass fb_sampler_euler =
{
  .info = { "euler", N_("Euler"), 25, 7.5, FALSE },
  .sigma_space = TRUE,
  .plan = plan,
  .step = step,
};
