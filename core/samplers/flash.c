/* core/samplers/flash.c: the few-step samplers of Flash Diffusion and LCM. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Every step jumps to a finished picture and, but for the last, puts fresh noise back to the next level. Source: Flash Diffusion,
 * arXiv:2406.02347; Latent Consistency Models, arXiv:2310.04378, with the boundary scalings of diffusers' LCMScheduler.
 */
#include "core/samplers/sampler-private.h"

#include <glib/gi18n-lib.h>
#include <math.h>

enum { LCM_GRID = 50 };           /* steps of the teacher's solver that LCM students are trained on */

/* Whether timesteps[1 …] could be chosen from @trained, falling: each the nearest to its even place that leaves enough for the rest. */
static gboolean
choose_trained (FbSampler *self, double start, const double *trained, int n_trained)
{
  int next = 0, rest = self->n_steps - 1;

  while (next < n_trained && trained[next] >= start)
    next++;
  if (n_trained - next < rest)
    return FALSE;

  fb_plan_trailing (self, start);
  for (int i = 1; i <= rest; i++)
    {
      double even = self->timesteps[i];

      while (n_trained - next > rest - i + 1 && fabs (trained[next + 1] - even) < fabs (trained[next] - even))
        next++;
      self->timesteps[i] = trained[next++];
    }
  return TRUE;
}

static void
plan_from (FbSampler *self, const FbSchedule *schedule, double strength, const double *trained, int n_trained)
{
  double start = MAX (rint (strength * schedule->config.n_train) - 1.0, 0.0);

  if (!choose_trained (self, start, trained, n_trained))
    fb_plan_trailing (self, start);
}

static void
flash_plan (FbSampler *self, const FbSchedule *schedule, FbSpacing spacing, double strength)
{
  double T = schedule->config.n_train;
  double trained[] = { rint (T * 0.75) - 1.0, rint (T * 0.5) - 1.0, rint (T * 0.25) - 1.0 };

  if (strength == 1.0)
    fb_plan_even (self, schedule, spacing, strength, TRUE);
  else
    plan_from (self, schedule, strength, trained, G_N_ELEMENTS (trained));
}

static void
lcm_plan (FbSampler *self, const FbSchedule *schedule, FbSpacing spacing, double strength)
{
  double grid[LCM_GRID];
  int    n      = MIN (LCM_GRID, schedule->config.n_train);
  int    stride = schedule->config.n_train / n;

  for (int k = 0; k < n; k++)
    grid[k] = (n - k) * stride - 1;

  if (strength == 1.0)
    for (int i = 0; i < self->n_steps; i++)
      self->timesteps[i] = grid[(int) (i * ((double) n / self->n_steps))];
  else
    plan_from (self, schedule, strength, grid, n);
}

void
fb_boundary_scalings (double timestep, double *c_skip, double *c_out)
{
  double scaled = 10.0 * MAX (timestep, 0.0);
  double square = scaled * scaled + 0.25;

  *c_skip = 0.25 / square;
  *c_out  = scaled / sqrt (square);
}

static void
step (FbSampler *self, int i, float *latents, const float *model_output, float *x0, const float *noise, size_t n)
{
  const FbLevel *to = &self->to[i];
  float          kx, ko, a = (float) to->a, s = (float) to->s;
  double         c_skip, c_out;

  fb_x0_factors (self, &self->from[i], &kx, &ko);
  fb_boundary_scalings (self->timesteps[i], &c_skip, &c_out);
  for (size_t j = 0; j < n; j++)
    {
      float clean = kx * latents[j] + ko * model_output[j];
      float done  = (float) c_out * clean + (float) c_skip * latents[j];

      if (x0 != NULL)
        x0[j] = done;
      latents[j] = noise != NULL ? a * done + s * noise[j] : done;
    }
}

const FbSamplerClass fb_sampler_flash =
{
  .info = { "flash", N_("Flash"), 4, 1.0, TRUE },
  .fresh_noise = TRUE,
  .plan = flash_plan,
  .step = step,
};

const FbSamplerClass fb_sampler_lcm =
{
  .info = { "lcm", N_("LCM"), 4, 1.0, TRUE },
  .fresh_noise = TRUE,
  .plan = lcm_plan,
  .step = step,
};
