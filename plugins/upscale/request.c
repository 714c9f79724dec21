/* plugins/upscale/request.c: from a layer to an engine's job. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/upscale/request.h"

#include <math.h>
#include <string.h>

#include <glib/gi18n-lib.h>

FbTarget *
upscale_target_new (GimpImage *image, GimpDrawable **drawables)
{
  FbTarget *target = fb_target_new (image, drawables);

  target->task        = "upscale";
  target->is_enlarged = TRUE;

  return target;
}

gboolean
upscale_use_input (FbTarget *target, GError **error)
{
  if (target->drawable_id != 0 && target->n_drawables == 1)
    return fb_target_use_input (target, error);

  g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT,
                       target->image_id == 0 ? _("There is no picture to make larger; open an image first.")
                                             : _("One layer is needed to make larger; select exactly one."));
  return FALSE;
}

GVariant *
upscale_with_source (GVariant *request, const FbTarget *target)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (request);

  g_variant_dict_insert (&dict, "source-width", "i", target->width);
  g_variant_dict_insert (&dict, "source-height", "i", target->height);

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* (transfer full): @picture without its alpha where that is 1 everywhere; @picture (transfer full) */
static FbImage *
without_plain_alpha (FbImage *picture, GError **error)
{
  const gsize         n     = (gsize) picture->width * picture->height;
  g_autoptr(FbImage)  owned = picture;
  FbImage            *out;

  for (gsize i = 0; i < n; i++)
    if (!(picture->pixels[4 * i + 3] >= 1.0f))
      return g_steal_pointer (&owned);

  out = fb_image_new (picture->width, picture->height, 3);
  for (gsize i = 0; out != NULL && i < n; i++)
    memcpy (out->pixels + 3 * i, picture->pixels + 4 * i, 3 * sizeof (float));
  if (out == NULL)
    g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_SIZE,
                 _("There is not enough memory for %d × %d pixels; select a smaller part."), picture->width, picture->height);

  return out;
}

/* Makes the place @scale times as large. */
static void
enlarge (FbTarget *target, double scale)
{
  const int width  = MAX (1, (int) floor (target->width * scale + 0.5));
  const int height = MAX (1, (int) floor (target->height * scale + 0.5));

  target->x      -= (width - target->width) / 2;
  target->y      -= (height - target->height) / 2;
  target->width   = width;
  target->height  = height;
}

FbJob *
upscale_job_new (FbEngineClient *client, GVariant *request, GVariant *resolved, FbTarget *target, GError **error)
{
  g_autoptr(FbImage)  read    = fb_target_read (target, target->width, target->height, error);
  g_autoptr(FbImage)  picture = read != NULL ? without_plain_alpha (g_steal_pointer (&read), error) : NULL;
  double              scale   = 4.0;
  FbJob              *job;

  if (picture == NULL)
    return NULL;

  g_variant_lookup (resolved, "scale", "d", &scale);
  job = fb_job_new (client, "upscale", request);
  fb_job_add_picture (job, "image", picture);
  enlarge (target, scale);

  return job;
}
