/* ui/result.c: a finished picture, its seed and what made it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/result.h"

FbResult *
fb_result_new (FbImage *image, gint64 seed, GVariant *parameters)
{
  FbResult *self = g_new0 (FbResult, 1);

  self->image      = fb_image_ref (image);
  self->seed       = seed;
  self->parameters = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;

  return self;
}

void
fb_result_free (FbResult *result)
{
  fb_image_unref (result->image);
  g_clear_pointer (&result->parameters, g_variant_unref);
  g_free (result);
}
