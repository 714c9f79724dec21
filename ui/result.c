/* ui/result.c: a finished picture, its seed and what made it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/result.h"

FbResult *
fb_result_new (FbImage *image, gint64 seed, GVariant *parameters)
{
  FbResult *self = g_rc_box_new0 (FbResult);

  self->image = fb_image_ref (image);
  self->seed  = seed;
  fb_result_set_parameters (self, parameters);

  return self;
}

FbResult *
fb_result_ref (FbResult *result)
{
  return g_rc_box_acquire (result);
}

static void
clear (gpointer data)
{
  FbResult *self = data;

  fb_image_unref (self->image);
  g_clear_pointer (&self->parameters, g_variant_unref);
  g_clear_pointer (&self->mask, fb_mask_free);
}

void
fb_result_unref (FbResult *result)
{
  g_rc_box_release_full (result, clear);
}

void
fb_result_set_parameters (FbResult *result, GVariant *parameters)
{
  g_clear_pointer (&result->parameters, g_variant_unref);
  result->parameters = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;
}

void
fb_result_set_mask (FbResult *result, const FbMask *mask)
{
  g_clear_pointer (&result->mask, fb_mask_free);
  result->mask = fb_mask_copy (mask);
}
