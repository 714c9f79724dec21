/* core/models/model-room.c: which parts stay on a device that has no room for all. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/model-private.h"

void
fb_model_hold (FbModel *model, FbModelPart part, gboolean held)
{
  model->held[part] = held;
}

static gboolean
holds_weights (FbModel *model, FbModelPart part)
{
  const FbLoader loader = fb_model_loader (model, part);

  for (guint i = 0; loader.params != NULL && i < fb_params_n (loader.params); i++)
    if (fb_param_is_filled (fb_params_get (loader.params, i)))
      return TRUE;

  return FALSE;
}

/* The part that was used longest ago; −1: none can go */
static int
find_oldest (FbModel *model, FbModelPart part)
{
  int oldest = -1;

  for (int other = 0; other < FB_MODEL_N_PARTS; other++)
    if (other != (int) part && !model->held[other] && (oldest < 0 || model->last_use[other] < model->last_use[oldest]) &&
        holds_weights (model, other))
      oldest = other;

  return oldest;
}

gboolean
fb_model_make_way (FbModel *model, FbModelPart part, GError **error)
{
  const gboolean has_recording = fb_model_step_bytes (model) > 0;
  const int      oldest        = find_oldest (model, part);

  if (!g_error_matches (*error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_NO_MEMORY) || (!has_recording && oldest < 0))
    return FALSE;

  g_debug ("in %s, %d makes way for part %d", model->path, has_recording ? -1 : oldest, part);
  if (has_recording)
    fb_model_forget_step (model);                      /* saves a little time, no more */
  else
    fb_model_unload_part (model, oldest);
  fb_device_trim (model->dev);                         /* in pieces, what the device has kept might not do */
  g_clear_error (error);

  return TRUE;
}
