/* core/samplers/sampler.c: what all samplers share: list, plan, noise levels. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/samplers/sampler-private.h"

#include <gio/gio.h>
#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#include "core/store/nearest.h"

static const FbSamplerClass * const classes[] =
{
  &fb_sampler_flash,
  &fb_sampler_lcm,
  &fb_sampler_dpmpp_2m,
  &fb_sampler_euler,
  &fb_sampler_euler_ancestral,
  &fb_sampler_ddim,
};
#define N_CLASSES G_N_ELEMENTS (classes)

static const GDBusErrorEntry entries[] =
{
  { FB_SAMPLER_ERROR_UNKNOWN,  "org.flashbrush.Error.SamplerUnknown"  },
  { FB_SAMPLER_ERROR_STEPS,    "org.flashbrush.Error.SamplerSteps"    },
  { FB_SAMPLER_ERROR_STRENGTH, "org.flashbrush.Error.SamplerStrength" },
};
G_STATIC_ASSERT (G_N_ELEMENTS (entries) == FB_SAMPLER_N_ERRORS);

GQuark
fb_sampler_error_quark (void)
{
  static gsize quark = 0;
  g_dbus_error_register_error_domain ("fb-sampler-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}

const FbSamplerInfo *
fb_sampler_list (int *n)
{
  static FbSamplerInfo list[N_CLASSES];
  static gsize         done = 0;

  if (g_once_init_enter (&done))
    {
      for (size_t i = 0; i < N_CLASSES; i++)
        list[i] = classes[i]->info;
      g_once_init_leave (&done, 1);
    }
  *n = N_CLASSES;
  return list;
}

static const FbSamplerClass *
find_class (const char *name, GError **error)
{
  const char       *names[N_CLASSES];
  g_autofree char  *hint = NULL;

  for (size_t i = 0; i < N_CLASSES; i++)
    {
      names[i] = classes[i]->info.name;
      if (g_str_equal (name, names[i]))
        return classes[i];
    }
  hint = fb_nearest_sentence (name, names, N_CLASSES);
  if (*hint == '\0')
    {
      g_autofree char *all = NULL;
      GString         *text = g_string_new (NULL);

      for (size_t i = 0; i < N_CLASSES; i++)
        g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", names[i]);
      all  = g_string_free (text, FALSE);
      g_free (hint);
      hint = g_strdup_printf (_(" Known samplers: %s."), all);
    }
  g_set_error (error, FB_SAMPLER_ERROR, FB_SAMPLER_ERROR_UNKNOWN, _("There is no sampler “%s”.%s"), name, hint);
  return NULL;
}

const FbSamplerInfo *
fb_sampler_find (const char *name, GError **error)
{
  const FbSamplerClass *class = find_class (name, error);
  return class == NULL ? NULL : &class->info;
}

FbLevel
fb_level (double sigma)
{
  double a = 1.0 / sqrt (1.0 + sigma * sigma);
  return (FbLevel) { a, sigma * a, sigma };
}

void
fb_x0_factors (const FbSampler *self, const FbLevel *level, float *kx, float *ko)
{
  if (self->prediction == FB_PREDICT_EPSILON)
    {
      *kx = (float) (1.0 / level->a);
      *ko = (float) -level->sigma;
    }
  else
    {
      *kx = (float) level->a;
      *ko = (float) -level->s;
    }
}

void
fb_plan_trailing (FbSampler *self, double start)
{
  for (int i = 0; i < self->n_steps; i++)
    self->timesteps[i] = (start + 1.0) * (self->n_steps - i) / self->n_steps - 1.0;
}

void
fb_plan_even (FbSampler *self, const FbSchedule *schedule, FbSpacing spacing, double strength, gboolean round)
{
  double start   = MAX (strength * schedule->config.n_train, 0.001) - 1.0;       /* σ stays above 0: it divides */
  double end     = spacing == FB_SPACING_LEADING ? schedule->config.steps_offset : 0.0;
  int    strides = self->n_steps - (self->class->end_excluded ? 0 : 1);

  if (strength == 1.0)
    {
      fb_schedule_timesteps (schedule, spacing, self->n_steps, self->timesteps);
      for (int i = 0; i < self->n_steps && round; i++)
        self->timesteps[i] = rint (self->timesteps[i]);
    }
  else if (spacing == FB_SPACING_TRAILING || start <= end || strides == 0)
    fb_plan_trailing (self, start);
  else
    for (int i = 0; i < self->n_steps; i++)
      self->timesteps[i] = start + (end - start) * i / strides;
}

static void
make_levels (FbSampler *self, const FbSchedule *schedule)
{
  for (int i = 0; i < self->n_steps; i++)
    {
      self->from[i] = fb_level (fb_schedule_sigma (schedule, self->timesteps[i]));
      if (i > 0)
        self->to[i - 1] = self->from[i];
    }
  self->to[self->n_steps - 1] = fb_level (0.0);
}

static gboolean
check_params (const FbSamplerClass *class, const FbSchedule *schedule, const FbSamplerParams *params, GError **error)
{
  int most = class == &fb_sampler_lcm ? MIN (50, schedule->config.n_train) : schedule->config.n_train;

  if (params->n_steps < 1 || params->n_steps > most)
    {
      g_set_error (error, FB_SAMPLER_ERROR, FB_SAMPLER_ERROR_STEPS,
                   _("The sampler “%s” takes 1 to %d steps, not %d."), class->info.name, most, params->n_steps);
      return FALSE;
    }
  if (!(params->strength > 0.0 && params->strength <= 1.0))         /* NaN too */
    {
      g_set_error (error, FB_SAMPLER_ERROR, FB_SAMPLER_ERROR_STRENGTH,
                   _("The strength must be above 0 and at most 1, not %g."), params->strength);
      return FALSE;
    }
  return TRUE;
}

FbSampler *
fb_sampler_new (const char *name, const FbSchedule *schedule, const FbSamplerParams *params, GError **error)
{
  const FbSamplerClass *class = find_class (name, error);
  FbSpacing             spacing;
  FbSampler            *self;

  if (class == NULL || !check_params (class, schedule, params, error))
    return NULL;

  if (params->spacing != FB_SPACING_DEFAULT)
    spacing = params->spacing;
  else
    spacing = class->info.few_steps ? FB_SPACING_TRAILING : schedule->config.spacing;

  self = g_new0 (FbSampler, 1);
  self->class      = class;
  self->prediction = schedule->config.prediction;
  self->n_steps    = params->n_steps;
  self->timesteps  = g_new (double, self->n_steps);
  self->from       = g_new (FbLevel, self->n_steps);
  self->to         = g_new (FbLevel, self->n_steps);
  self->from_noise = params->strength == 1.0;

  class->plan (self, schedule, spacing, params->strength);
  make_levels (self, schedule);
  if (class->set_levels != NULL)
    class->set_levels (self, schedule, params->strength);

  self->init_sigma = 1.0;
  if (class->sigma_space)                 /* leading starts below pure noise: there diffusers adds the picture's share of the variance */
    self->init_sigma = spacing == FB_SPACING_LEADING ? sqrt (self->from[0].sigma * self->from[0].sigma + 1.0) : self->from[0].sigma;
  return self;
}

void
fb_sampler_free (FbSampler *self)
{
  if (self == NULL)
    return;
  g_free (self->timesteps);
  g_free (self->from);
  g_free (self->to);
  g_free (self->history);
  g_free (self);
}

void
fb_sampler_start_at (FbSampler *self, int first)
{
  g_assert (first >= 0 && first < self->n_steps);
  self->first = first;
}

int
fb_sampler_n_steps (const FbSampler *self)
{
  return self->n_steps;
}

double
fb_sampler_timestep (const FbSampler *self, int i)
{
  g_assert (i >= 0 && i < self->n_steps);
  return self->timesteps[i];
}

void
fb_sampler_init_noise (const FbSampler *self, const float *picture, const float *noise, float *latents, size_t n)
{
  if (!self->from_noise && picture != NULL)
    fb_sampler_add_noise (self, 0, picture, noise, latents, n);
  else
    for (size_t j = 0; j < n; j++)
      latents[j] = (float) self->init_sigma * noise[j];
}

void
fb_sampler_add_noise (const FbSampler *self, int i, const float *picture, const float *noise, float *latents, size_t n)
{
  FbLevel level;
  float   kp, kn;

  g_assert (i >= 0 && i <= self->n_steps);
  level = i < self->n_steps ? self->from[i] : fb_level (0.0);
  kp = self->class->sigma_space ? 1.0f : (float) level.a;
  kn = self->class->sigma_space ? (float) level.sigma : (float) level.s;
  for (size_t j = 0; j < n; j++)
    latents[j] = kp * picture[j] + kn * noise[j];
}

void
fb_sampler_model_input (const FbSampler *self, int i, const float *latents, float *out, size_t n)
{
  g_assert (i >= 0 && i < self->n_steps);
  if (self->class->sigma_space)
    for (size_t j = 0; j < n; j++)
      out[j] = (float) self->from[i].a * latents[j];
  else if (out != latents)
    memcpy (out, latents, n * sizeof *out);
}

gboolean
fb_sampler_needs_noise (const FbSampler *self, int i)
{
  return self->class->fresh_noise && i < self->n_steps - 1;
}

void
fb_sampler_step (FbSampler *self, int i, float *latents, const float *model_output, float *x0, const float *noise, size_t n)
{
  g_assert (i >= 0 && i < self->n_steps);
  g_assert ((noise != NULL) == fb_sampler_needs_noise (self, i));
  self->class->step (self, i, latents, model_output, x0, noise, n);
}
