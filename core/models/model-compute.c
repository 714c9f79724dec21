/* core/models/model-compute.c: one computation, which can be cancelled and is done again where memory ran out. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gi18n-lib.h>
#include <math.h>

#include "core/models/model-private.h"
#include "core/nn/guard.h"

gboolean
fb_model_compute (FbModel *model, FbModelPart part, FbModelWork work, gpointer data, GCancellable *cancellable, GError **error)
{
  GError  *failure = NULL;
  FbGuard  guard;

  do
    {
      if (!fb_model_load (model, part, NULL, NULL, cancellable, error) || !fb_guard_begin (&guard, model->dev, cancellable, error))
        return FALSE;

      work (model, data);
      fb_nn_reset (model->ctx);
      if (fb_guard_end (&guard, &failure))
        return TRUE;
    }
  while (fb_model_make_way (model, part, &failure));

  g_propagate_error (error, failure);

  return FALSE;
}

gboolean
fb_model_check_finite (FbModel *model, const float *values, gsize n, GError **error)
{
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i]))
      {
        if (model->dtype == FB_DTYPE_F32)
          g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE,
                       _("“%s” computed values that are not numbers, even in full precision. Lower the strengths of LoRAs, or try another model."),
                       model->path);
        else
          g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE,
                       _("“%s” computed values that are not numbers (in %s). Try another model, or this one in full precision."),
                       model->path, fb_dtype_name (model->dtype));
        return FALSE;
      }

  return TRUE;
}
