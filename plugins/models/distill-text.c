/* plugins/models/distill-text.c: how a distillation job stands, in words. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/distill-text.h"

#include <glib/gi18n-lib.h>

#include "plugins/models/model-text.h"
#include "ui/estimator.h"

#define SHORT 9.95      /* seconds; below it, a time has a place after the point */

gboolean
fb_distill_is_in (GVariant *job, const char *state)
{
  return g_str_equal (fb_model_string (job, "state"), state);
}

gboolean
fb_distill_is_active (GVariant *job)
{
  return fb_distill_is_in (job, "waiting") || fb_distill_is_in (job, "preparing") || fb_distill_is_in (job, "measuring") ||
         fb_distill_is_in (job, "running");
}

static const char *
state_label (GVariant *job)
{
  static const struct { const char *state, *label; } states[] =
  {
    { "waiting",   N_("waiting for another job") },
    { "preparing", N_("preparing pictures") },
    { "measuring", N_("measuring the first iteration") },
    { "running",   N_("running") },
    { "paused",    N_("paused") },
    { "stopped",   N_("stopped") },
    { "done",      N_("done") },
    { "failed",    N_("failed") },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (states); i++)
    if (fb_distill_is_in (job, states[i].state))
      return _(states[i].label);

  return fb_model_string (job, "state");
}

char *
fb_distill_summary (GVariant *job)
{
  int     step = 0, n_steps = 0;
  double  left = -1.0;

  g_variant_lookup (job, "step", "i", &step);
  g_variant_lookup (job, "n-steps", "i", &n_steps);
  g_variant_lookup (job, "seconds-left", "d", &left);
  if (n_steps == 0 || fb_distill_is_in (job, "waiting") || fb_distill_is_in (job, "measuring"))
    return g_strdup (state_label (job));
  if (left >= 0.0 && fb_distill_is_in (job, "running"))
    {
      g_autofree char *time = fb_format_seconds (left);

      /* Translators: a job's state, how far it is, and how long it takes: "running: 20 of 400, 5 min left" */
      return g_strdup_printf (_("%s: %d of %d, %s left"), state_label (job), step, n_steps, time);
    }

  return g_strdup_printf (_("%s: %d of %d"), state_label (job), step, n_steps);
}

char *
fb_distill_cost (GVariant *job)
{
  g_autofree char *each = NULL, *total = NULL, *memory = NULL;
  double           seconds = -1.0;
  guint64          bytes   = 0;
  int              n_steps = 0;

  if (fb_distill_is_in (job, "measuring"))
    return g_strdup (_("Its first iteration tells how long the job takes, and how much memory."));
  g_variant_lookup (job, "seconds-total", "d", &seconds);
  g_variant_lookup (job, "peak-bytes", "t", &bytes);
  g_variant_lookup (job, "n-steps", "i", &n_steps);
  if (seconds < 0.0 || n_steps == 0 || fb_distill_is_in (job, "preparing"))
    return g_strdup ("");

  each   = seconds / n_steps < SHORT ? g_strdup_printf (_("%.1f s"), seconds / n_steps) : fb_format_seconds (seconds / n_steps);
  total  = fb_format_seconds (seconds);
  memory = g_format_size (bytes);
  /* Translators: two times and an amount of memory: "2.1 s per iteration, about 41 min in all; 1.2 GB of memory" */
  return g_strdup_printf (_("%s per iteration, about %s in all; %s of memory"), each, total, memory);
}
