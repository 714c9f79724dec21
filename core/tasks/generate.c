/* core/tasks/generate.c: pictures from a prompt, and image-to-image: text → noise → denoising steps → picture.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/generate.h"

#include <glib/gi18n-lib.h>

#include "core/samplers/sampler.h"
#include "core/samplers/torch-random.h"
#include "core/tasks/pace.h"
#include "core/text/prompt.h"

const char *
fb_stage_name (FbStage stage)
{
  static const char * const names[FB_N_STAGES] = { "load", "text", "encode", "step", "decode" };

  return names[stage];
}

/* A running job. Latents are [h, w, C], C = latent_channels. */
typedef struct
{
  const FbGenerate  *request;
  FbModel           *model;
  const FbModelInfo *info;
  FbProgressFunc     progress;
  gpointer           user_data;
  GCancellable      *cancellable;

  int                h, w;              /* in latent pixels */
  size_t             n_latents;         /* h · w · C */
  gboolean           guided;            /* two branches, in one batched call */
  int                n_tokens;
  float             *context;           /* [1 or 2, n_tokens, context_width]: the negative prompt's first */
  float             *init_latents;      /* [h, w, C] or NULL */

  int                picture;
  double             seconds_done;      /* by the plan below, for the progress bar */
  double             fraction;
} Job;

static void
job_clear (Job *job)
{
  g_clear_pointer (&job->context, g_free);
  g_clear_pointer (&job->init_latents, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Job, job_clear)

/* --- the plan: which parts and how long -------------------------------------------------------------------------------- */

static FbModelPart
decoder_part (const FbGenerate *request)
{
  return request->decoder == FB_DECODER_TAESD ? FB_MODEL_TAESD : FB_MODEL_VAE_DECODER;
}

static gboolean
needs_part (const FbGenerate *request, FbModel *model, FbModelPart part)
{
  switch (part)
    {
    case FB_MODEL_TEXT_ENCODER:
    case FB_MODEL_UNET:        return TRUE;
    case FB_MODEL_VAE_ENCODER: return request->init != NULL;
    case FB_MODEL_VAE_DECODER: return request->decoder == FB_DECODER_FULL || request->preview == FB_PREVIEW_LINEAR;
    case FB_MODEL_TAESD:       return fb_model_has_taesd (model) &&
                                      (request->decoder == FB_DECODER_TAESD || request->preview == FB_PREVIEW_TAESD);
    }
  g_return_val_if_reached (FALSE);
}

static double
step_work (const FbGenerate *r, FbModel *model)
{
  return fb_pace_work (model, FB_STAGE_STEP, FB_MODEL_UNET, r->guidance_scale > 1.0 ? 2 : 1, r->height, r->width);
}

static double
decode_work (const FbGenerate *r, FbModel *model)
{
  return fb_pace_work (model, FB_STAGE_DECODE, decoder_part (r), 1, r->height, r->width);
}

static double
seconds_per_picture (const FbGenerate *r, FbModel *model)
{
  return r->n_steps * fb_pace_seconds (FB_STAGE_STEP, step_work (r, model)) +
         fb_pace_seconds (FB_STAGE_DECODE, decode_work (r, model));
}

/* what the whole job takes from now on, loading included */
static double
seconds_from_start (const FbGenerate *r, FbModel *model)
{
  double seconds = r->count * seconds_per_picture (r, model);

  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    if (needs_part (r, model, part))
      seconds += fb_pace_seconds (FB_STAGE_LOAD, fb_pace_work (model, FB_STAGE_LOAD, part, 1, r->height, r->width));

  return seconds;
}

static FbGenerate *
request_resolved (const FbGenerate *request, FbModel *model, GError **error)
{
  g_autoptr(FbGenerate) copy = fb_generate_copy (request);

  return fb_generate_resolve (copy, model, error) ? g_steal_pointer (&copy) : NULL;
}

/* What a job holds besides weights and a call's own tensors: those of earlier calls, which the device keeps for the next ones (measured: up
 * to twice the largest call's), and the picture as the network and as the image have it */
static guint64
spare_bytes (const FbGenerate *r, guint64 activations)
{
  return MIN (2 * activations, FB_DEVICE_MAX_SPARE) + 3 * (guint64) r->width * r->height * 3 * sizeof (float);
}

gboolean
fb_generate_estimate (const FbGenerate *request, FbModel *model, FbEstimate *estimate, GError **error)
{
  g_autoptr(FbGenerate) r           = request_resolved (request, model, error);
  guint64               activations = 0;
  guint64               loaded      = 0;

  if (r == NULL)
    return FALSE;

  estimate->peak_bytes = 0;
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    {
      guint64 bytes = fb_model_weight_bytes (model, part);

      if (needs_part (r, model, part))
        {
          int n = part == FB_MODEL_UNET && r->guidance_scale > 1.0 ? 2 : 1;

          loaded += fb_model_is_loaded (model, part) ? bytes : 0;
          estimate->peak_bytes += bytes;
          activations = MAX (activations, fb_model_activation_bytes (model, part, n, r->height, r->width));
        }
    }
  estimate->peak_bytes     += activations + spare_bytes (r, activations);
  estimate->available_bytes = fb_memory_available () + loaded;
  estimate->seconds         = fb_pace_known () ? seconds_from_start (r, model) : -1.0;

  return TRUE;
}

static gboolean
check_memory (const FbGenerate *request, FbModel *model, GError **error)
{
  FbEstimate       estimate;
  g_autofree char *need = NULL;
  g_autofree char *have = NULL;

  if (!fb_generate_estimate (request, model, &estimate, error))
    return FALSE;
  if (estimate.available_bytes == 0 || estimate.peak_bytes <= estimate.available_bytes)
    return TRUE;

  need = g_format_size (estimate.peak_bytes);
  have = g_format_size (estimate.available_bytes);
  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY,
               _("A picture of %d×%d needs about %s of memory and %s is free; a smaller size or closing other programs would help."),
               request->width, request->height, need, have);
  return FALSE;
}

/* --- progress ------------------------------------------------------------------------------------------------------------ */

/* seconds_left is what the plan says of everything after this moment, so that it falls as the machine's pace becomes known */
static void
report (Job *job, FbStage stage, int step, int n_steps, double seconds_left, FbImage *preview)
{
  double     total    = job->seconds_done + seconds_left;
  FbProgress progress = { .stage = stage, .picture = job->picture, .step = step, .n_steps = n_steps, .preview = preview };

  job->fraction         = CLAMP (total > 0.0 ? job->seconds_done / total : 0.0, job->fraction, 1.0);
  progress.fraction     = job->fraction;
  progress.seconds_left = fb_pace_known () ? seconds_left : -1.0;

  if (job->progress != NULL)
    job->progress (&progress, job->user_data);
}

static double
pictures_left_seconds (const Job *job)
{
  return (job->request->count - 1 - job->picture) * seconds_per_picture (job->request, job->model);
}

static double
now_seconds (void)
{
  return g_get_monotonic_time () * 1e-6;
}

/* Notes that @work of @stage took the time since @start. */
static void
measured (Job *job, FbStage stage, double work, double start)
{
  double seconds = now_seconds () - start;

  fb_pace_measured (stage, work, seconds);
  job->seconds_done += seconds;
}

/* --- stages -------------------------------------------------------------------------------------------------------------- */

typedef struct
{
  Job   *job;
  double seconds;       /* this part's share of the plan */
  double after;         /* and what follows it */
} Loading;

static void
on_load_progress (double fraction, gpointer user_data)
{
  Loading *loading = user_data;

  report (loading->job, FB_STAGE_LOAD, 0, 0, (1.0 - fraction) * loading->seconds + loading->after, NULL);
}

static gboolean
load_parts (Job *job, GError **error)
{
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    if (needs_part (job->request, job->model, part) && !fb_model_is_loaded (job->model, part))
      {
        double  work    = fb_pace_work (job->model, FB_STAGE_LOAD, part, 1, job->h * 8, job->w * 8);
        double  start   = now_seconds ();
        Loading loading = { job, fb_pace_seconds (FB_STAGE_LOAD, work), 0.0 };

        loading.after = seconds_from_start (job->request, job->model) - loading.seconds;
        if (!fb_model_load (job->model, part, on_load_progress, &loading, job->cancellable, error))
          return FALSE;
        measured (job, FB_STAGE_LOAD, work, start);
      }

  return TRUE;
}

/* Encodes @n_chunks chunks of a prompt and applies its weights: out [n_chunks · 77, context_width] */
static gboolean
encode_chunks (Job *job, const FbPromptTokens *tokens, float *out, GError **error)
{
  if (!fb_model_encode_text (job->model, tokens->ids, tokens->n_chunks, job->request->clip_skip, out, job->cancellable, error))
    return FALSE;
  fb_prompt_apply_weights (out, tokens, job->info->context_width);

  return TRUE;
}

static gboolean
encode_prompts (Job *job, GError **error)
{
  const FbClipTokenizer     *tokenizer = fb_model_tokenizer (job->model, error);
  g_autoptr(FbPromptTokens)  positive  = NULL;
  g_autoptr(FbPromptTokens)  negative  = NULL;
  double                     start     = now_seconds ();
  size_t                     n_context;

  if (tokenizer == NULL)
    return FALSE;
  positive = fb_prompt_tokenize (tokenizer, job->request->prompt, error);
  if (positive == NULL)
    return FALSE;
  if (job->guided)
    {
      negative = fb_prompt_tokenize (tokenizer, job->request->negative_prompt, error);
      if (negative == NULL)
        return FALSE;
      fb_prompt_pad_to_same_length (tokenizer, positive, negative);
    }

  job->n_tokens = positive->n_chunks * FB_PROMPT_CHUNK_TOKENS;
  n_context     = (size_t) job->n_tokens * job->info->context_width;
  job->context  = g_new (float, n_context * (job->guided ? 2 : 1));

  report (job, FB_STAGE_TEXT, 0, 0, job->request->count * seconds_per_picture (job->request, job->model), NULL);
  if (job->guided && !encode_chunks (job, negative, job->context, error))
    return FALSE;
  if (!encode_chunks (job, positive, job->context + (job->guided ? n_context : 0), error))
    return FALSE;
  measured (job, FB_STAGE_TEXT, fb_pace_work (job->model, FB_STAGE_TEXT, FB_MODEL_TEXT_ENCODER, positive->n_chunks, 0, 0), start);

  return TRUE;
}

/* (transfer full): the picture to start from, at the job's size */
static FbImage *
scaled_init (const FbGenerate *r, GError **error)
{
  FbImage *scaled = fb_image_resize (r->init, r->width, r->height);

  if (scaled == NULL)
    g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_MEMORY, _("No memory for a picture of %d×%d."), r->width, r->height);

  return scaled;
}

/* The picture to start from as latents. The posterior's sample is the generator's first draw, as in diffusers. */
static gboolean
encode_init (Job *job, FbTorchRandom *random, GError **error)
{
  const FbGenerate  *r       = job->request;
  g_autoptr(FbImage) scaled  = scaled_init (r, error);
  g_autofree float  *pixels  = g_new (float, (size_t) r->width * r->height * 3);
  g_autofree float  *noise   = g_new (float, job->n_latents);
  double             start   = now_seconds ();
  double             work    = fb_pace_work (job->model, FB_STAGE_ENCODE, FB_MODEL_VAE_ENCODER, 1, r->height, r->width);

  if (scaled == NULL)
    return FALSE;

  fb_image_to_network (scaled, pixels);
  fb_latents_noise (random, noise, job->info->latent_channels, job->h, job->w);
  if (job->init_latents == NULL)
    job->init_latents = g_new (float, job->n_latents);

  report (job, FB_STAGE_ENCODE, 0, 0, seconds_per_picture (r, job->model) + pictures_left_seconds (job), NULL);
  if (!fb_model_encode_image (job->model, pixels, r->height, r->width, noise, job->init_latents, job->cancellable, error))
    return FALSE;
  measured (job, FB_STAGE_ENCODE, work, start);

  return TRUE;
}

/* out [h, w, C]: the network's prediction for @input, guided: uncond + scale · (cond − uncond) */
static gboolean
predict (Job *job, const float *input, double timestep, float *out, GError **error)
{
  size_t           n       = job->n_latents;
  int              batch   = job->guided ? 2 : 1;
  g_autofree float *latents = g_new (float, n * batch);
  g_autofree float *both    = job->guided ? g_new (float, n * 2) : NULL;
  float             scale   = job->request->guidance_scale;
  FbDenoise         call    = { .latents = latents, .n = batch, .height = job->h, .width = job->w, .timestep = timestep,
                                .context = job->context, .n_tokens = job->n_tokens };

  for (int i = 0; i < batch; i++)
    memcpy (latents + i * n, input, n * sizeof (float));
  if (!fb_model_denoise (job->model, &call, job->guided ? both : out, job->cancellable, error))
    return FALSE;
  if (job->guided)
    for (size_t i = 0; i < n; i++)
      out[i] = both[i] + scale * (both[n + i] - both[i]);

  return TRUE;
}

/* (transfer full): the preview of @x0 [h, w, C], or NULL where there is none or it failed: a preview never fails a job */
static FbImage *
make_preview (Job *job, const float *x0)
{
  gboolean          tiny   = job->request->preview == FB_PREVIEW_TAESD && fb_model_has_taesd (job->model);
  int               f      = tiny ? job->info->scale_factor : 1;
  g_autofree float *pixels = NULL;
  gboolean          ok;

  if (job->request->preview == FB_PREVIEW_NONE || job->progress == NULL)
    return NULL;

  pixels = g_new (float, (size_t) job->h * f * job->w * f * 3);
  ok     = tiny ? fb_model_decode_taesd (job->model, x0, job->h, job->w, pixels, job->cancellable, NULL)
                : fb_model_preview_linear (job->model, x0, job->h, job->w, pixels, job->cancellable, NULL);

  return ok ? fb_image_from_network (pixels, job->w * f, job->h * f) : NULL;
}

static gboolean
denoise (Job *job, FbTorchRandom *random, float *latents, GError **error)
{
  const FbGenerate     *r      = job->request;
  FbSamplerParams       params = { .n_steps = r->n_steps, .strength = r->init != NULL ? r->strength : 1.0 };
  g_autoptr(FbSampler)  sampler = NULL;
  size_t                n      = job->n_latents;
  g_autofree float     *noise  = g_new (float, n);
  g_autofree float     *input  = g_new (float, n);
  g_autofree float     *output = g_new (float, n);
  g_autofree float     *x0     = g_new (float, n);
  double                work   = step_work (r, job->model);
  int                   n_steps;

  if (!fb_spacing_from_name (r->timestep_spacing, &params.spacing, error))
    return FALSE;
  sampler = fb_sampler_new (r->sampler, fb_model_schedule (job->model), &params, error);
  if (sampler == NULL)
    return FALSE;
  n_steps = fb_sampler_n_steps (sampler);

  fb_latents_noise (random, noise, job->info->latent_channels, job->h, job->w);
  fb_sampler_init_noise (sampler, job->init_latents, noise, latents, n);

  for (int i = 0; i < n_steps; i++)
    {
      double start = now_seconds ();
      double left  = fb_pace_seconds (FB_STAGE_DECODE, decode_work (r, job->model)) + pictures_left_seconds (job);
      g_autoptr(FbImage) preview = NULL;
      gboolean           fresh;

      if (i == 0)
        report (job, FB_STAGE_STEP, 0, n_steps, left + n_steps * fb_pace_seconds (FB_STAGE_STEP, work), NULL);

      fb_sampler_model_input (sampler, i, latents, input, n);
      if (!predict (job, input, fb_sampler_timestep (sampler, i), output, error))
        return FALSE;
      fresh = fb_sampler_needs_noise (sampler, i);
      if (fresh)
        fb_latents_noise (random, noise, job->info->latent_channels, job->h, job->w);
      fb_sampler_step (sampler, i, latents, output, x0, fresh ? noise : NULL, n);
      measured (job, FB_STAGE_STEP, work, start);

      if (i + 1 < n_steps)                                      /* the last step's picture follows at once */
        preview = make_preview (job, x0);
      report (job, FB_STAGE_STEP, i + 1, n_steps, left + (n_steps - i - 1) * fb_pace_seconds (FB_STAGE_STEP, work), preview);
      if (g_cancellable_set_error_if_cancelled (job->cancellable, error))
        return FALSE;
    }

  return TRUE;
}

static FbImage *
decode (Job *job, const float *latents, GError **error)
{
  const FbGenerate  *r      = job->request;
  g_autofree float  *pixels = g_new (float, (size_t) r->width * r->height * 3);
  double             start  = now_seconds ();
  double             work   = decode_work (r, job->model);
  gboolean           ok;

  report (job, FB_STAGE_DECODE, 0, 0, fb_pace_seconds (FB_STAGE_DECODE, work) + pictures_left_seconds (job), NULL);
  if (r->decoder == FB_DECODER_TAESD)
    ok = fb_model_decode_taesd (job->model, latents, job->h, job->w, pixels, job->cancellable, error);
  else
    ok = fb_model_decode (job->model, latents, job->h, job->w, 0, pixels, job->cancellable, error);
  if (!ok)
    return NULL;
  measured (job, FB_STAGE_DECODE, work, start);

  return fb_image_from_network (pixels, r->width, r->height);
}

static FbImage *
make_picture (Job *job, gint64 seed, GError **error)
{
  const FbGenerate *r       = job->request;
  g_autofree float *latents = g_new (float, job->n_latents);
  FbTorchRandom     random;

  if (r->init != NULL && r->strength == 0.0)
    return scaled_init (r, error);                              /* keeps the picture: nothing to denoise */

  fb_torch_random_init (&random, seed);
  if (r->init != NULL && !encode_init (job, &random, error))
    return NULL;
  if (!denoise (job, &random, latents, error))
    return NULL;

  return decode (job, latents, error);
}

gboolean
fb_generate_run (const FbGenerate *request, FbModel *model, FbProgressFunc progress, FbPictureFunc picture, gpointer user_data,
                 GCancellable *cancellable, GError **error)
{
  g_autoptr(FbGenerate) r   = request_resolved (request, model, error);
  g_auto(Job)           job = { .model = model, .info = fb_model_info (model), .progress = progress, .user_data = user_data,
                                .cancellable = cancellable };

  if (r == NULL || !check_memory (r, model, error))
    return FALSE;

  job.request   = r;
  job.h         = r->height / job.info->scale_factor;
  job.w         = r->width / job.info->scale_factor;
  job.n_latents = (size_t) job.h * job.w * job.info->latent_channels;
  job.guided    = r->guidance_scale > 1.0;                      /* at 1 the second branch would be multiplied by 0 */

  if (!load_parts (&job, error) || !encode_prompts (&job, error))
    return FALSE;

  for (job.picture = 0; job.picture < r->count; job.picture++)
    {
      gint64             seed   = (gint64) ((guint64) r->seed + job.picture);   /* wraps, where a signed sum may not */
      g_autoptr(FbImage) result = make_picture (&job, seed, error);

      if (result == NULL)
        return FALSE;
      picture (result, seed, user_data);
    }

  return TRUE;
}
