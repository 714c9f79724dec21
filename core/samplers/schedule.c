/* core/samplers/schedule.c: noise schedules and where on them samplers step. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: diffusers 0.42, whose schedulers checkpoints are published with; Lin et al., arXiv:2305.08891, for spacings and zero_snr.
 */
#include "core/samplers/schedule.h"

#include <gio/gio.h>
#include <glib/gi18n-lib.h>
#include <math.h>

const FbScheduleConfig fb_schedule_config_sd =
{
  .n_train = 1000, .beta_start = 0.00085, .beta_end = 0.012, .betas = FB_BETAS_SCALED_LINEAR,
  .prediction = FB_PREDICT_EPSILON, .spacing = FB_SPACING_TRAILING, .steps_offset = 1,
};

const FbScheduleConfig fb_schedule_config_low_res =
{
  .n_train = 1000, .beta_start = 0.0001, .beta_end = 0.02, .betas = FB_BETAS_SCALED_LINEAR,
  .prediction = FB_PREDICT_EPSILON, .spacing = FB_SPACING_LEADING,
};

static const GDBusErrorEntry entries[] =
{
  { FB_SCHEDULE_ERROR_CONFIG,  "org.flashbrush.Error.ScheduleConfig"  },
  { FB_SCHEDULE_ERROR_SPACING, "org.flashbrush.Error.ScheduleSpacing" },
};
G_STATIC_ASSERT (G_N_ELEMENTS (entries) == FB_SCHEDULE_N_ERRORS);

GQuark
fb_schedule_error_quark (void)
{
  static gsize quark = 0;
  g_dbus_error_register_error_domain ("fb-schedule-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}

static gboolean
check_config (const FbScheduleConfig *config, GError **error)
{
  if (config->n_train < 2 || config->n_train > 100000)
    g_set_error (error, FB_SCHEDULE_ERROR, FB_SCHEDULE_ERROR_CONFIG,
                 _("num_train_timesteps is %d; it must lie between 2 and 100000."), config->n_train);
  else if (config->trained_betas == NULL
           && !(config->beta_start > 0.0 && config->beta_start < 1.0 && config->beta_end > 0.0 && config->beta_end < 1.0))
    g_set_error (error, FB_SCHEDULE_ERROR, FB_SCHEDULE_ERROR_CONFIG,
                 _("beta_start is %g and beta_end is %g; both must lie between 0 and 1."), config->beta_start, config->beta_end);
  else if (config->steps_offset < 0 || config->steps_offset >= config->n_train)
    g_set_error (error, FB_SCHEDULE_ERROR, FB_SCHEDULE_ERROR_CONFIG,
                 _("steps_offset is %d; it must be 0 or more and less than num_train_timesteps."), config->steps_offset);
  else
    return TRUE;
  return FALSE;
}

/* f32 and from both ends, as torch.linspace: networks are trained and run with those roundings */
static float
linspace (float start, float end, int n, int i)
{
  float stride = (end - start) / (float) (n - 1);
  return i < n / 2 ? fmaf (stride, (float) i, start) : fmaf (-stride, (float) (n - 1 - i), end);
}

static float
beta (const FbScheduleConfig *config, int t)
{
  float root;

  if (config->trained_betas != NULL)
    return (float) config->trained_betas[t];
  if (config->betas == FB_BETAS_LINEAR)
    return linspace ((float) config->beta_start, (float) config->beta_end, config->n_train, t);

  root = linspace ((float) sqrt (config->beta_start), (float) sqrt (config->beta_end), config->n_train, t);
  return root * root;
}

/* shifts and stretches √Ā so that it ends at 0 and starts where it did; algorithm 1 of arXiv:2305.08891 */
static void
rescale_to_zero_snr (double *alphas_cumprod, int n)
{
  double first = sqrt (alphas_cumprod[0]);
  double last  = sqrt (alphas_cumprod[n - 1]);

  for (int t = 0; t < n; t++)
    {
      double root = (sqrt (alphas_cumprod[t]) - last) * first / (first - last);
      alphas_cumprod[t] = MAX (root * root, 0x1p-24);       /* diffusers' floor: σ stays finite */
    }
}

FbSchedule *
fb_schedule_new (const FbScheduleConfig *config, GError **error)
{
  g_autoptr(FbSchedule) self = g_new0 (FbSchedule, 1);
  double                product = 1.0;

  if (!check_config (config, error))
    return NULL;

  self->config = *config;
  self->config.trained_betas = NULL;
  self->alphas_cumprod = g_new (double, config->n_train);
  for (int t = 0; t < config->n_train; t++)
    {
      product *= 1.0f - beta (config, t);
      self->alphas_cumprod[t] = (float) product;        /* near t = 0 the f32 of Ā moves σ by 4e-5 */
    }
  if (!(product > 0.0 && product < self->alphas_cumprod[0]))
    {
      g_set_error (error, FB_SCHEDULE_ERROR, FB_SCHEDULE_ERROR_CONFIG, _("The betas leave no picture or no noise at the last timestep."));
      return NULL;
    }
  if (config->zero_snr)
    rescale_to_zero_snr (self->alphas_cumprod, config->n_train);
  return g_steal_pointer (&self);
}

void
fb_schedule_free (FbSchedule *self)
{
  if (self != NULL)
    g_free (self->alphas_cumprod);
  g_free (self);
}

static double
sigma_at (const FbSchedule *self, int t)
{
  return t < 0 ? 0.0 : sqrt ((1.0 - self->alphas_cumprod[t]) / self->alphas_cumprod[t]);
}

double
fb_schedule_sigma (const FbSchedule *self, double t)
{
  double below = floor (t);
  double rest  = t - below;

  g_assert (t >= -1.0 && t <= self->config.n_train - 1);
  return rest == 0.0 ? sigma_at (self, (int) t) : (1.0 - rest) * sigma_at (self, (int) below) + rest * sigma_at (self, (int) below + 1);
}

void
fb_schedule_timesteps (const FbSchedule *self, FbSpacing spacing, int n_steps, double *timesteps)
{
  const double T = self->config.n_train;

  g_assert (n_steps >= 1 && n_steps <= self->config.n_train);
  switch (spacing)
    {
    case FB_SPACING_TRAILING:
      {
        double stride = (T + -(T / n_steps)) - T;             /* rounded as numpy.arange does: it decides between x.5's neighbours */

        for (int i = 0; i < n_steps; i++)
          timesteps[i] = rint (T + i * stride) - 1.0;
        break;
      }

    case FB_SPACING_LEADING:
      {
        int stride = self->config.n_train / n_steps;
        int offset = MIN (self->config.steps_offset, self->config.n_train - 1 - (n_steps - 1) * stride);   /* never past T − 1 */

        for (int i = 0; i < n_steps; i++)
          timesteps[i] = (n_steps - 1 - i) * stride + offset;
        break;
      }

    case FB_SPACING_LINSPACE:
      for (int i = 0; i < n_steps; i++)
        timesteps[i] = (n_steps - 1 - i) * ((T - 1.0) / MAX (n_steps - 1, 1));
      timesteps[0] = n_steps > 1 ? T - 1.0 : 0.0;
      break;

    case FB_SPACING_DEFAULT:
    default:
      g_assert_not_reached ();
    }
}

gboolean
fb_spacing_from_name (const char *name, FbSpacing *spacing, GError **error)
{
  static const char * const names[] = { "", "trailing", "leading", "linspace" };   /* in the order of FbSpacing */

  for (size_t i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_equal (name, names[i]))
      {
        *spacing = (FbSpacing) i;
        return TRUE;
      }
  g_set_error (error, FB_SCHEDULE_ERROR, FB_SCHEDULE_ERROR_SPACING,
               _("There is no timestep spacing “%s”; known are trailing, leading and linspace."), name);
  return FALSE;
}
