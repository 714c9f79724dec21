/* core/distill/rollout.c: where the teacher gets to from noisy latents. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/rollout.h"

#include <string.h>

#include "core/samplers/sampler.h"

void
fb_guide (double guidance_scale, const float *conditional, const float *unconditional, float *out, size_t n)
{
  const float w = (float) guidance_scale;

  for (size_t i = 0; i < n; i++)
    out[i] = unconditional[i] + w * (conditional[i] - unconditional[i]);
}

/* Step @k of all samples that have started by then */
static gboolean
take_step (int k, FbSampler **samplers, int n, const int *start, const double *guidance_scale, size_t size, float *latents,
           FbTeacherFunc teacher, gpointer user_data, GError **error)
{
  g_autofree int   *active        = g_new (int, n);
  g_autofree float *input         = g_new (float, n * size);
  g_autofree float *conditional   = g_new (float, n * size);
  g_autofree float *unconditional = g_new (float, n * size);
  int               m             = 0;

  for (int i = 0; i < n; i++)
    if (start[i] <= k)
      {
        memcpy (input + m * size, latents + i * size, size * sizeof *input);
        active[m++] = i;
      }
  if (m == 0)
    return TRUE;
  if (!teacher (active, m, input, fb_sampler_timestep (samplers[active[0]], k), conditional, unconditional, user_data, error))
    return FALSE;

  for (int j = 0; j < m; j++)
    {
      float *guided = conditional + j * size;

      fb_guide (guidance_scale[active[j]], guided, unconditional + j * size, guided, size);
      fb_sampler_step (samplers[active[j]], k, latents + active[j] * size, guided, NULL, NULL, size);
    }
  return TRUE;
}

gboolean
fb_rollout (const FbSchedule *schedule, int n_steps, int n, const int *start, const double *guidance_scale, size_t size,
            float *latents, FbTeacherFunc teacher, gpointer user_data, GError **error)
{
  const FbSamplerParams params   = { n_steps, FB_SPACING_TRAILING, 1.0 };
  FbSampler           **samplers = g_new0 (FbSampler *, n);
  gboolean              ok       = TRUE;

  for (int i = 0; i < n && ok; i++)
    {
      samplers[i] = fb_sampler_new ("dpmpp-2m", schedule, &params, error);
      ok = samplers[i] != NULL;
      if (ok)
        fb_sampler_start_at (samplers[i], start[i]);
    }
  for (int k = 0; k < n_steps && ok; k++)
    ok = take_step (k, samplers, n, start, guidance_scale, size, latents, teacher, user_data, error);

  for (int i = 0; i < n; i++)
    fb_sampler_free (samplers[i]);
  g_free (samplers);
  return ok;
}
