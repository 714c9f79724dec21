/* tests/core/inpaint-request.h: an inpainting request that is soon done. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/tasks/inpaint.h"

/* (transfer full): takes @image and @mask (transfer full) */
static inline FbInpaint *
request_for (FbImage *image, FbImage *mask)
{
  FbInpaint *request = fb_inpaint_new ();

  request->image                    = image;
  request->mask                     = mask;
  request->generate->n_steps        = 2;
  request->generate->guidance_scale = 1.0;
  request->generate->seed           = 3;
  g_free (request->generate->sampler);
  request->generate->sampler = g_strdup ("lcm");
  return request;
}
