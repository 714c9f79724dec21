/* core/tasks/inpaint-draw.c: one picture of the network's size, drawn under a mask. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * An inpainting model gets five channels more: the mask, and the latents of the picture with a hole in it. With an ordinary model what is
 * known goes back after each step, at that step's noise. Sources: Rombach et al., arXiv:2112.10752; Lugmayr et al., arXiv:2201.09865; Levin and
 * Fried, Differential Diffusion, arXiv:2306.00950.
 */
#include "core/tasks/inpaint-private.h"

/**
 * start_strength:
 *
 * With few steps, a network that begins at pure noise has settled what it draws before it has seen what lies around: it sees that through the
 * noise only. So the filled picture stays a part of the start, the more, the fewer steps there are. Measured with the starter and LCM steps: from
 * pure noise, 1 step gave blotches and 2 steps a cut along the mask; from levels 0.5 and 0.75, both passed for more of the same, and at 4 and 8 steps
 * nothing was lost.
 */
static double
start_strength (const FbInpaint *r)
{
  return r->fill == FB_FILL_NOISE ? r->generate->strength : MIN (r->generate->strength, 1.0 - 0.5 / r->generate->n_steps);
}

static gboolean
needs_start (const FbInpaint *r)
{
  return r->route != FB_ROUTE_INPAINT_MODEL || r->fill != FB_FILL_NOISE || r->generate->strength < 1.0;
}

int
fb_inpaint_n_encodes (const FbInpaint *r, const FbModelInfo *info)
{
  return (needs_start (r) ? 1 : 0) + (info->unet_channels > info->latent_channels ? 1 : 0);
}

/* [h, w] -> [h / f, w / f], means; with @hard 0 or 1, whichever is nearer */
static float *
shrink_mask (const float *mask, int width, int height, int f, gboolean hard)
{
  int    w   = width / f, h = height / f;
  float *out = g_new (float, (size_t) w * h);

  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++)
      {
        double sum = 0.0;

        for (int j = 0; j < f; j++)
          for (int i = 0; i < f; i++)
            sum += mask[((size_t) y * f + j) * width + x * f + i];
        sum /= f * f;
        out[(size_t) y * w + x] = hard ? (sum >= 0.5 ? 1.0f : 0.0f) : sum;
      }

  return out;
}

/* (transfer full): [h, w, 1 + C]: the mask and the latents of @image with a hole of mid grey where @mask is a half or more */
static float *
make_extra (FbDiffusion *job, const FbImage *image, const float *mask, FbTorchRandom *random, GError **error)
{
  const int         C       = job->info->latent_channels;
  const size_t      n       = (size_t) image->width * image->height;
  g_autofree float *pixels  = g_new (float, n * 3);
  g_autofree float *latents = g_new (float, job->n_latents);
  g_autofree float *small   = shrink_mask (mask, image->width, image->height, job->info->scale_factor, TRUE);
  float            *extra;

  fb_image_to_network (image, pixels);
  for (size_t i = 0; i < n; i++)
    for (int c = 0; c < 3 && mask[i] >= 0.5f; c++)
      pixels[3 * i + c] = 0.0f;
  if (!fb_diffusion_encode (job, pixels, random, latents, error))
    return NULL;

  extra = g_new (float, job->n_latents / C * (1 + C));
  for (size_t i = 0; i < job->n_latents / C; i++)
    {
      extra[i * (1 + C)] = small[i];
      for (int c = 0; c < C; c++)
        extra[i * (1 + C) + 1 + c] = latents[i * C + c];
    }

  return extra;
}

FbImage *
fb_inpaint_draw (FbDiffusion *job, const FbInpaint *r, const FbImage *image, const FbImage *filled, const float *mask,
                 FbTorchRandom *random, GError **error)
{
  g_autofree float *noise   = g_new (float, job->n_latents);
  g_autofree float *latents = g_new (float, job->n_latents);
  g_autofree float *start   = NULL;
  g_autofree float *extra   = NULL;
  g_autofree float *free    = NULL;
  FbKnown           known   = { .strength = start_strength (r), .gradual = r->route == FB_ROUTE_DIFFERENTIAL };

  if (needs_start (r))
    {
      g_autofree float *pixels = g_new (float, (size_t) image->width * image->height * 3);

      start = g_new (float, job->n_latents);
      fb_image_to_network (filled, pixels);
      if (!fb_diffusion_encode (job, pixels, random, start, error))
        return NULL;
    }
  fb_latents_noise (random, noise, job->info->latent_channels, job->h, job->w);
  if (job->info->unet_channels > job->info->latent_channels &&
      (extra = make_extra (job, image, mask, random, error)) == NULL)
    return NULL;
  if (r->route != FB_ROUTE_INPAINT_MODEL)
    free = shrink_mask (mask, image->width, image->height, job->info->scale_factor, !known.gradual);

  known.start = start;
  known.extra = extra;
  known.mask  = free;
  if (!fb_diffusion_denoise (job, &known, noise, random, latents, error))
    return NULL;

  return fb_diffusion_decode (job, latents, error);
}
