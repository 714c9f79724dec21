/* core/samplers/dpmpp-2m.c: DPM-Solver++, second order, multistep, midpoint. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: arXiv:2211.01095, algorithm 2. λ = −ln σ, h = λ_to − λ_from; the first step and the last (to σ = 0, λ = ∞) are of first
 * order, for which there is no second x0 to use.
 */
#include "core/samplers/sampler-private.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

/* diffusers lays out one step more than asked for and leaves the last out */
static void
plan (FbSampler *self, const FbSchedule *schedule, FbSpacing spacing, double strength)
{
  int    N = self->n_steps, T = schedule->config.n_train;
  int    stride = T / (N + 1);
  int    offset = MIN (schedule->config.steps_offset, T - 1 - N * stride);

  if (strength == 1.0 && spacing == FB_SPACING_LINSPACE)
    for (int i = 0; i < N; i++)
      self->timesteps[i] = rint ((N - i) * ((T - 1.0) / N));
  else if (strength == 1.0 && spacing == FB_SPACING_LEADING && N < T)
    for (int i = 0; i < N; i++)
      self->timesteps[i] = (N - i) * stride + offset;
  else
    fb_plan_even (self, schedule, spacing, strength, TRUE);
}

static void
remember (FbSampler *self, size_t n)
{
  if (self->history_size != n)
    {
      g_free (self->history);
      self->history      = g_new0 (float, n);
      self->history_size = n;
    }
}

static void
step (FbSampler *self, int i, float *latents, const float *model_output, float *x0, const float *noise, size_t n)
{
  const FbLevel *from  = &self->from[i], *to = &self->to[i];
  double         share = to->sigma / from->sigma;                          /* e^−h */
  float          kx, ko, keep = (float) (to->s / from->s), take = (float) (to->a * (1.0 - share)), slope = 0.0f;

  if (i == self->first)
    remember (self, n);
  g_assert (n == self->history_size);
  if (i > self->first && to->sigma > 0.0 && self->from[i - 1].sigma > from->sigma)   /* h / (2 h_previous); rounded lists may repeat a timestep */
    slope = (float) (0.5 * log (share) / log (from->sigma / self->from[i - 1].sigma));

  fb_x0_factors (self, from, &kx, &ko);
  for (size_t j = 0; j < n; j++)
    {
      float clean = kx * latents[j] + ko * model_output[j];

      latents[j] = keep * latents[j] + take * (clean + slope * (clean - self->history[j]));
      self->history[j] = clean;
      if (x0 != NULL)
        x0[j] = clean;
    }
}

const FbSamplerClass fb_sampler_dpmpp_2m =
{
  .info = { "dpmpp-2m", N_("DPM++ 2M"), 20, 7.5, FALSE },
  .end_excluded = TRUE,
  .plan = plan,
  .step = step,
};
