/* core/tasks/upscale.c: super-resolution: picture and noise → denoising steps in tiles → picture → what was given.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * As the Stable Diffusion x4 upscaler does it: the network sees the small picture, with a known amount of noise, beside latents of the same size, and
 * an autoencoder of scale 4 makes the large one of them. Source: diffusers 0.42, StableDiffusionUpscalePipeline. */
#include "core/tasks/upscale-private.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#include "core/samplers/schedule.h"
#include "core/tasks/diffusion-private.h"
#include "core/tasks/pace.h"

/**
 * Run: a running job
 * @colours: [h, w] RGB of the picture that was given
 * @shown: [job.h, job.w, 3], −1 … 1: the same as the network takes it, padded, without noise
 */
typedef struct
{
  FbUpscale  *request;
  FbDiffusion job;
  FbImage    *colours;
  float      *shown;
} Run;

static void
run_clear (Run *run)
{
  g_clear_pointer (&run->request, fb_upscale_free);
  g_clear_pointer (&run->colours, fb_image_unref);
  g_clear_pointer (&run->shown, g_free);
  fb_diffusion_clear (&run->job);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Run, run_clear)

static gboolean
no_memory (const FbImage *image, GError **error)
{
  return fb_task_no_memory (image->width, image->height, error);
}

/* --- the plan ------------------------------------------------------------------------------------------------------------- */

/* Pictures beyond those that every job has, which leave as the result comes: the one given, its colours and what they lack, and the result with its
 * alpha. Measured: 1600×1200 made of 400×300, and of the same with alpha, 32 and 38 bytes a pixel of all kinds */
static guint64
picture_bytes (const FbUpscale *r)
{
  int width, height;

  fb_upscale_target (r, &width, &height);

  return ((guint64) width * height * 2 + (guint64) r->source_width * r->source_height * 16) * sizeof (float);
}

static void
estimate_resolved (const FbUpscale *r, FbModel *model, FbEstimate *estimate)
{
  const FbGenerate *g        = r->generate;
  const guint64     pictures = picture_bytes (r);

  fb_diffusion_memory (g, model, FALSE, estimate);
  estimate->peak_bytes  += pictures;
  estimate->least_bytes += pictures;
  estimate->seconds      = fb_pace_known () ? fb_diffusion_load_seconds (g, model, FALSE) + g->count * fb_diffusion_picture_seconds (g, model, 0) +
                                              fb_diffusion_turns_seconds (g, model, FALSE, estimate) : -1.0;
}

gboolean
fb_upscale_estimate (const FbUpscale *request, FbModel *model, FbEstimate *estimate, GError **error)
{
  g_autoptr(FbUpscale) r = fb_upscale_copy (request);

  if (!fb_upscale_resolve (r, model, error))
    return FALSE;
  estimate_resolved (r, model, estimate);

  return TRUE;
}

/* --- what the network is shown -------------------------------------------------------------------------------------------- */

/* @i as an index below @n, going back and forth */
static int
mirrored (int i, int n)
{
  i %= 2 * n;

  return i < n ? i : 2 * n - 1 - i;
}

static void
show_picture (Run *run)
{
  const FbImage *colours = run->colours;
  const int      h = run->job.h, w = run->job.w;

  run->shown = g_new (float, (size_t) h * w * 3);
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++)
      for (int c = 0; c < 3; c++)
        {
          const size_t from = (size_t) mirrored (y, colours->height) * colours->width + mirrored (x, colours->width);

          run->shown[((size_t) y * w + x) * 3 + c] = CLAMP (colours->pixels[3 * from + c], 0.0f, 1.0f) * 2.0f - 1.0f;
        }
}

/* (transfer full): [job.h, job.w, 3]: the same under the noise of the request's level */
static float *
add_noise (const Run *run, FbTorchRandom *random)
{
  const FbSchedule *schedule = fb_model_low_res_schedule (run->job.model);
  const double      kept     = schedule->alphas_cumprod[run->request->noise_level];
  const float       a        = sqrt (kept), s = sqrt (1.0 - kept);
  const size_t      n        = (size_t) run->job.h * run->job.w * 3;
  float            *noisy    = g_new (float, n);

  fb_latents_noise (random, noisy, 3, run->job.h, run->job.w);
  for (size_t i = 0; i < n; i++)
    noisy[i] = a * run->shown[i] + s * noisy[i];

  return noisy;
}

/* --- pictures ------------------------------------------------------------------------------------------------------------- */

/* (transfer full): the part of @picture, at @factor times the size, that is not padding; @picture (transfer full) */
static FbImage *
cut_padding (const Run *run, FbImage *picture, int factor)
{
  g_autoptr(FbImage) whole = picture;

  return fb_image_cut (whole, 0, 0, factor * run->colours->width, factor * run->colours->height);
}

/* Takes a step's preview. @user_data: the run */
static FbImage *
dress (FbImage *preview, gpointer user_data)
{
  const Run          *run   = user_data;
  const FbImage      *image = run->request->image;
  g_autoptr(FbImage)  part  = cut_padding (run, preview, 1);

  if (part == NULL || image->n_channels == 3)
    return g_steal_pointer (&part);

  return fb_upscale_add_alpha (part, image, run->job.cancellable, NULL);
}

/* (transfer full): @drawn as the one who asked wants it */
static FbImage *
finish (const Run *run, FbImage *drawn, GError **error)
{
  const FbUpscale    *r        = run->request;
  GCancellable       *cancel   = run->job.cancellable;
  g_autoptr(FbImage)  scaled   = NULL;
  int                 width, height;

  if (!fb_upscale_keep (drawn, run->colours, r->faithful, cancel, error))
    return NULL;
  fb_upscale_target (r, &width, &height);
  scaled = width == drawn->width && height == drawn->height ? fb_image_ref (drawn) : fb_upscale_resize (drawn, width, height, cancel, error);
  if (scaled == NULL || r->image->n_channels == 3)
    return g_steal_pointer (&scaled);

  return fb_upscale_add_alpha (scaled, r->image, cancel, error);
}

static FbImage *
make_picture (Run *run, gint64 seed, GError **error)
{
  FbDiffusion        *job     = &run->job;
  g_autofree float   *noisy   = NULL;
  g_autofree float   *noise   = g_new (float, job->n_latents);
  g_autofree float   *latents = g_new (float, job->n_latents);
  g_autoptr(FbImage)  drawn   = NULL;
  FbKnown             known   = { NULL };
  FbTorchRandom       random;

  fb_torch_random_init (&random, seed);
  known.extra = noisy = add_noise (run, &random);
  fb_latents_noise (&random, noise, job->info->latent_channels, job->h, job->w);
  if (!fb_diffusion_denoise (job, &known, noise, &random, latents, error))
    return NULL;
  drawn = fb_diffusion_decode (job, latents, error);
  if (drawn == NULL)
    return NULL;
  drawn = cut_padding (run, g_steal_pointer (&drawn), job->info->scale_factor);
  if (drawn == NULL)
    {
      no_memory (run->request->image, error);
      return NULL;
    }

  return finish (run, drawn, error);
}

/* --- the job -------------------------------------------------------------------------------------------------------------- */

static gboolean
run_start (Run *run, GError **error)
{
  const FbUpscale  *r = run->request;
  const FbGenerate *g = r->generate;
  FbEstimate        estimate;

  estimate_resolved (r, run->job.model, &estimate);
  if (!fb_diffusion_check_memory (&run->job, &estimate, FALSE, error))
    return FALSE;

  run->job.noise_level = r->noise_level;
  fb_diffusion_set_size (&run->job);
  run->colours = fb_upscale_colours (r->image);
  if (run->colours == NULL)
    return no_memory (r->image, error);
  show_picture (run);
  run->job.seconds_after = g->count * fb_diffusion_picture_seconds (g, run->job.model, 0);

  return fb_diffusion_load (&run->job, FALSE, error) && fb_diffusion_encode_prompts (&run->job, error);
}

gboolean
fb_upscale_run (const FbUpscale *request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
                GCancellable *cancellable, GError **error)
{
  g_auto(Run)  run = { .request = fb_upscale_copy (request) };
  FbDiffusion *job = &run.job;
  FbGenerate  *g   = run.request->generate;

  *job = (FbDiffusion) { .request = g, .model = model, .info = fb_model_info (model), .progress = progress, .user_data = user_data,
                         .dress = dress, .dress_data = &run, .cancellable = cancellable };
  fb_model_share_threads (model);
  if (!fb_upscale_resolve (run.request, model, error))
    return FALSE;
  if (run.request->image == NULL)
    {
      g_set_error_literal (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("The job has no picture “image” to make larger."));
      return FALSE;
    }
  if (!run_start (&run, error))
    return FALSE;

  for (job->picture = 0; job->picture < g->count; job->picture++)
    {
      gint64             seed   = (gint64) ((guint64) g->seed + job->picture);
      g_autoptr(FbImage) result = NULL;

      job->seconds_after = (g->count - 1 - job->picture) * fb_diffusion_picture_seconds (g, model, 0);
      result = make_picture (&run, seed, error);
      if (result == NULL || g_cancellable_set_error_if_cancelled (job->cancellable, error))
        return FALSE;
      picture (result, seed, user_data);
    }

  return TRUE;
}
