/* tests/core/upscale-request.h: a tiny model for super-resolution, and a request that is soon done. SPDX-License-Identifier: LGPL-3.0-or-later
 * tests/golden/upscale/make.py made the model. */
#pragma once

#include "core/tasks/upscale.h"

/* (transfer full) */
static inline char *
golden_path (const char *name)
{
  return g_build_filename (g_test_get_dir (G_TEST_DIST), "golden", "upscale", name, NULL);
}

static inline FbModel *
open_model (int n_threads)
{
  g_autoptr(GError)   error = NULL;
  g_autofree char    *path  = golden_path ("model");
  g_autoptr(FbDevice) dev   = fb_device_new_chosen (n_threads, &error);
  FbModel            *model = fb_model_open (path, NULL, NULL, dev, FB_DTYPE_F32, &error);

  g_assert_no_error (error);
  return model;
}

/* the picture of make.py, at any size, with alpha that falls off from left to right if it has 4 channels */
static inline FbImage *
some_picture (int width, int height, int n_channels)
{
  FbImage *image = fb_image_new (width, height, n_channels);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < n_channels; c++)
        image->pixels[((size_t) y * width + x) * n_channels + c] =
          c == 3 ? 1.0f - (float) x / width : (7 * x + 13 * y + 50 * c + 5 * ((x * y) % 17)) % 256 / 255.0f;
  return image;
}

/* (transfer full): takes @image (transfer full) */
static inline FbUpscale *
request_for (FbImage *image)
{
  FbUpscale *request = fb_upscale_new ();

  request->image                    = image;
  request->generate->n_steps        = 1;
  request->generate->guidance_scale = 1.0;
  request->generate->seed           = 3;
  return request;
}
