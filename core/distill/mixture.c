/* core/distill/mixture.c: which timesteps are trained, and how that shifts. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/mixture.h"

#include <math.h>

void
fb_mixture_pmf (int n_steps, const double modes[FB_N_MODES], double variance, double *pmf)
{
  double sum = 0.0;

  for (int i = 0; i < n_steps; i++)
    {
      pmf[i] = 0.0;
      for (int j = 0; j < FB_N_MODES; j++)
        {
          double distance = i - j * (n_steps / FB_N_MODES);

          pmf[i] += modes[j] * exp (-distance * distance / variance);
        }
      sum += pmf[i];
    }
  for (int i = 0; i < n_steps; i++)
    pmf[i] /= sum;
}

int
fb_mixture_pick (const double *pmf, int n_steps, double uniform)
{
  double sum  = 0.0;
  int    last = 0;

  for (int i = 0; i < n_steps; i++)
    {
      if (pmf[i] > 0.0)
        last = i;
      sum += pmf[i];
      if (uniform < sum)
        return i;
    }
  return last;                              /* the sum may end a rounding short of 1 */
}

void
fb_phases_paper (int total, FbPhase *phases)
{
  static const FbPhase paper[] =
  {
    { 0, { 0.0,  0.0,  0.5,  0.5  }, 1.0, 0.0, 0.0 },
    { 0, { 0.1,  0.3,  0.3,  0.3  }, 1.0, 0.3, 0.1 },
    { 0, { 0.25, 0.25, 0.25, 0.25 }, 1.0, 0.5, 0.2 },
    { 0, { 0.4,  0.2,  0.2,  0.2  }, 1.0, 0.7, 0.3 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (paper); i++)                   /* in equal shares */
    {
      phases[i] = paper[i];
      phases[i].n_steps = (int) ((gint64) total * (i + 1) / 4 - (gint64) total * i / 4);
    }
}

void
fb_phases_short (int total, FbPhase *phase)
{
  *phase = (FbPhase) { total, { 0.4, 0.2, 0.2, 0.2 }, 1.0, 0.0, 0.0 };
}

const FbPhase *
fb_phases_at (const FbPhase *phases, int n_phases, int step)
{
  for (int i = 0; i < n_phases - 1; i++)
    {
      if (step < phases[i].n_steps)
        return &phases[i];
      step -= phases[i].n_steps;
    }
  return &phases[n_phases - 1];
}

double
fb_learning_rate (double rate, int warm_up, int step)
{
  return step < warm_up ? rate * (step + 1) / warm_up : rate;
}
