/* core/distill/trainer-mask.c: what a teacher for inpainting sees besides the noise. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The mask, nearest at the latents' size, and the latents of the picture with the hole grey: as in diffusers' StableDiffusionInpaintPipeline.
 */
#include <string.h>

#include "core/distill/random-mask.h"
#include "core/distill/trainer-private.h"

/* The hole becomes 0, the middle of −1 … 1. */
static void
empty_hole (float *pixels, const float *mask, size_t n_pixels)
{
  for (size_t i = 0; i < n_pixels; i++)
    for (int c = 0; c < 3; c++)
      pixels[3 * i + c] *= mask[i] < 0.5f ? 1.0f : 0.0f;
}

gboolean
fb_trainer_mask_picture (FbTrainer *self, const FbExample *e, const FbDraw *draw, double full, int width, int height, float *extra,
                         GCancellable *cancellable, GError **error)
{
  const int         scale    = self->info->scale_factor, C = self->info->latent_channels;
  const int         w        = width / scale, h = height / scale;
  const size_t      n_pixels = (size_t) width * height, n_latents = (size_t) w * h * C;
  g_autofree float *mask     = g_new (float, n_pixels);
  g_autofree float *pixels   = g_new (float, 3 * n_pixels);
  g_autofree float *noise    = g_new (float, n_latents);
  g_autofree float *latents  = g_new (float, n_latents);

  if (!fb_trainer_read_pixels (e, width, height, pixels, error))
    return FALSE;
  fb_random_mask (draw, full, height, width, mask);
  empty_hole (pixels, mask, n_pixels);
  fb_draw_normal (draw, FB_DRAW_MASKED_POSTERIOR, noise, n_latents);
  if (!fb_model_encode_image (self->model, pixels, height, width, noise, latents, cancellable, error))
    return FALSE;

  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++)
      {
        const size_t i = (size_t) y * w + x;

        extra[i * (1 + C)] = mask[(size_t) y * scale * width + x * scale];
        memcpy (extra + i * (1 + C) + 1, latents + i * C, C * sizeof *extra);
      }
  return TRUE;
}
