/* plugins/inpaint/dialog-draft.c: a request for what is shown while the user paints. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/inpaint/dialog-private.h"

#define DRAFT_SIDE         256
#define DRAFT_STEPS        2
#define DRAFT_STEPS_GUIDED 4

/* How many steps a draft of @resolved takes: what goes without guidance is made for few steps, and two of them show what it will be. */
static int
draft_steps (GVariant *resolved)
{
  double guidance = 1.0;
  int    n_steps  = 0;
  int    most;

  g_variant_lookup (resolved, "guidance-scale", "d", &guidance);
  g_variant_lookup (resolved, "n-steps", "i", &n_steps);
  most = guidance > 1.0 ? DRAFT_STEPS_GUIDED : DRAFT_STEPS;

  return n_steps > 0 ? MIN (n_steps, most) : most;
}

void
inpaint_dialog_make_draft (InpaintDialog *self, GVariantDict *request)
{
  FbEstimator *estimator = FB_DIALOG (self)->estimator;
  GVariant    *resolved  = fb_estimator_get_resolved (estimator);
  const char  *taesd     = "";
  int          width     = 0;
  int          height    = 0;

  fb_estimator_get_model_size (estimator, &width, &height);
  g_variant_dict_insert (request, "resolution", "i", width > 0 ? MIN (DRAFT_SIDE, width) : DRAFT_SIDE);
  if (resolved == NULL)
    return;
  g_variant_dict_insert (request, "n-steps", "i", draft_steps (resolved));
  if (g_variant_lookup (resolved, "taesd", "&s", &taesd) && *taesd != '\0')
    g_variant_dict_insert (request, "decoder", "s", "taesd");
}
