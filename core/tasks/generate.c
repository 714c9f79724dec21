/* core/tasks/generate.c: pictures from a prompt, and image-to-image. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/generate.h"


#include "core/image/cut-out.h"
#include "core/tasks/diffusion-private.h"
#include "core/tasks/pace.h"

static FbGenerate *
request_resolved (const FbGenerate *request, FbModel *model, GError **error)
{
  g_autoptr(FbGenerate) copy = fb_generate_copy (request);

  return fb_generate_resolve (copy, model, error) ? g_steal_pointer (&copy) : NULL;
}

static double
picture_seconds (const FbGenerate *r, FbModel *model)
{
  return fb_diffusion_picture_seconds (r, model, r->init != NULL ? 1 : 0);
}

static void
estimate_resolved (const FbGenerate *r, FbModel *model, FbEstimate *estimate)
{
  gboolean encodes = r->init != NULL;

  fb_diffusion_memory (r, model, encodes, estimate);
  estimate->seconds = fb_pace_known () ? fb_diffusion_load_seconds (r, model, encodes) + r->count * picture_seconds (r, model) +
                                         fb_diffusion_turns_seconds (r, model, encodes, estimate) : -1.0;
}

gboolean
fb_generate_estimate (const FbGenerate *request, FbModel *model, FbEstimate *estimate, GError **error)
{
  g_autoptr(FbGenerate) r = request_resolved (request, model, error);

  if (r != NULL)
    estimate_resolved (r, model, estimate);
  return r != NULL;
}

/* (transfer full): the picture to start from, at the job's size */
static FbImage *
scaled_init (const FbGenerate *r, GError **error)
{
  FbImage *scaled = fb_image_resize (r->init, r->width, r->height);

  if (scaled == NULL)
    fb_task_no_memory (r->width, r->height, error);

  return scaled;
}

/* (transfer full): the picture to start from as latents */
static float *
encode_init (FbDiffusion *job, FbTorchRandom *random, GError **error)
{
  const FbGenerate  *r       = job->request;
  g_autoptr(FbImage) scaled  = scaled_init (r, error);
  g_autofree float  *pixels  = g_new (float, (size_t) r->width * r->height * 3);
  g_autofree float  *latents = g_new (float, job->n_latents);

  if (scaled == NULL)
    return NULL;
  fb_image_to_network (scaled, pixels);

  return fb_diffusion_encode (job, pixels, random, latents, error) ? g_steal_pointer (&latents) : NULL;
}

static FbImage *
make_picture (FbDiffusion *job, gint64 seed, GError **error)
{
  const FbGenerate *r       = job->request;
  g_autofree float *latents = g_new (float, job->n_latents);
  g_autofree float *noise   = g_new (float, job->n_latents);
  g_autofree float *init    = NULL;
  FbKnown           known   = { NULL };
  FbTorchRandom     random;

  if (r->init != NULL && r->strength == 0.0)
    return scaled_init (r, error);                              /* keeps the picture: nothing to denoise */

  fb_torch_random_init (&random, seed);
  if (r->init != NULL && (init = encode_init (job, &random, error)) == NULL)
    return NULL;
  known.start    = init;
  known.strength = r->strength;
  fb_latents_noise (&random, noise, job->info->latent_channels, job->h, job->w);
  if (!fb_diffusion_denoise (job, &known, noise, &random, latents, error))
    return NULL;

  return fb_diffusion_decode (job, latents, error);
}

/* (transfer full): the finished picture, as it is where it has no plain background; @picture (transfer full) (nullable) */
static FbImage *
finish_picture (const FbGenerate *r, FbImage *picture)
{
  FbImage *cut = picture != NULL && r->background == FB_BACKGROUND_TRANSPARENT && picture->n_channels == 3 ? fb_image_cut_out (picture) : NULL;

  if (cut == NULL)
    return picture;
  fb_image_unref (picture);
  return cut;
}

gboolean
fb_generate_run (const FbGenerate *request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
                 GCancellable *cancellable, GError **error)
{
  g_autoptr(FbGenerate) r   = request_resolved (request, model, error);
  g_auto(FbDiffusion)   job = { .request = r, .model = model, .info = fb_model_info (model), .progress = progress, .user_data = user_data,
                                .cancellable = cancellable };
  FbEstimate            estimate;

  if (r == NULL)
    return FALSE;
  estimate_resolved (r, model, &estimate);
  if (!fb_diffusion_check_memory (&job, &estimate, r->init != NULL, error))
    return FALSE;

  fb_diffusion_set_size (&job);
  job.seconds_after = r->count * picture_seconds (r, model);
  if (!fb_diffusion_load (&job, r->init != NULL, error) || !fb_diffusion_encode_prompts (&job, error))
    return FALSE;

  for (job.picture = 0; job.picture < r->count; job.picture++)
    {
      gint64             seed   = (gint64) ((guint64) r->seed + job.picture);   /* wraps, where a signed sum may not */
      g_autoptr(FbImage) result = NULL;

      job.seconds_after = (r->count - 1 - job.picture) * picture_seconds (r, model);
      result = finish_picture (r, make_picture (&job, seed, error));
      if (result == NULL || g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;
      picture (result, seed, user_data);
    }

  return TRUE;
}
