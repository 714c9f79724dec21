/* core/tasks/diffusion.c: the stages of a job that draws: text → noise → denoising steps → picture. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/diffusion-private.h"

#include <string.h>

#include "core/models/tiles.h"
#include "core/samplers/sampler.h"
#include "core/tasks/pace.h"
#include "core/text/prompt.h"

const char *
fb_stage_name (FbStage stage)
{
  static const char * const names[FB_N_STAGES] = { "load", "text", "encode", "step", "decode" };

  return names[stage];
}

void
fb_diffusion_clear (FbDiffusion *job)
{
  g_clear_pointer (&job->context, g_free);
  if (job->limited)
    fb_device_set_limit (fb_model_device (job->model), job->old_limit);
  job->limited = FALSE;
}

void
fb_diffusion_set_size (FbDiffusion *job)
{
  job->h         = job->request->height / job->info->scale_factor;
  job->w         = job->request->width / job->info->scale_factor;
  job->n_latents = (size_t) job->h * job->w * job->info->latent_channels;
  job->guided    = job->request->guidance_scale > 1.0;          /* at 1 the second branch would be multiplied by 0 */
}

/* --- progress ------------------------------------------------------------------------------------------------------------ */

/* seconds_left is what the plan says of everything after this moment, so that it falls as the machine's pace becomes known */
static void
report (FbDiffusion *job, FbStage stage, int step, int n_steps, double seconds_left, FbImage *preview)
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
now_seconds (void)
{
  return g_get_monotonic_time () * 1e-6;
}

/* Notes that @work of @stage took the time since @start. */
static void
measured (FbDiffusion *job, FbStage stage, double work, double start)
{
  double seconds = now_seconds () - start;

  fb_pace_measured (stage, work, seconds);
  job->seconds_done += seconds;
}

/* --- loading ------------------------------------------------------------------------------------------------------------- */

typedef struct
{
  FbDiffusion *job;
  double       seconds;       /* this part's share of the plan */
  double       after;         /* and what follows it */
} Loading;

static void
on_load_progress (double fraction, gpointer user_data)
{
  Loading *loading = user_data;

  report (loading->job, FB_STAGE_LOAD, 0, 0, (1.0 - fraction) * loading->seconds + loading->after, NULL);
}

/* Loads @part unless it is there; @after: seconds that follow */
static gboolean
load_part (FbDiffusion *job, FbModelPart part, double after, GError **error)
{
  const double work    = fb_pace_work (job->model, FB_STAGE_LOAD, part, 1, job->request->height, job->request->width);
  const double start   = now_seconds ();
  Loading      loading = { job, fb_pace_seconds (FB_STAGE_LOAD, work), after };

  if (fb_model_is_loaded (job->model, part))
    return TRUE;
  if (!fb_model_load (job->model, part, on_load_progress, &loading, job->cancellable, error))
    return FALSE;
  measured (job, FB_STAGE_LOAD, work, start);

  return TRUE;
}

gboolean
fb_diffusion_load (FbDiffusion *job, gboolean encodes, GError **error)
{
  const FbGenerate *r = job->request;

  for (int part = 0; part < FB_MODEL_N_PARTS && !job->takes_turns; part++)
    if (fb_diffusion_needs (r, job->model, encodes, part))
      {
        const double own   = fb_pace_seconds (FB_STAGE_LOAD, fb_pace_work (job->model, FB_STAGE_LOAD, part, 1, r->height, r->width));
        const double after = job->seconds_after + fb_diffusion_load_seconds (r, job->model, encodes) - own;

        if (!load_part (job, part, after, error))
          return FALSE;
      }

  return TRUE;
}

/* Loads the @part of the stage that is about to begin, where parts take turns */
static gboolean
take_turn (FbDiffusion *job, FbModelPart part, double after, GError **error)
{
  return !job->takes_turns || load_part (job, part, after, error);
}

/* --- text ---------------------------------------------------------------------------------------------------------------- */

/* Encodes @n_chunks chunks of a prompt and applies its weights: out [n_chunks · 77, context_width] */
static gboolean
encode_chunks (FbDiffusion *job, const FbPromptTokens *tokens, float *out, GError **error)
{
  if (!fb_model_encode_text (job->model, tokens->ids, tokens->n_chunks, job->request->clip_skip, out, job->cancellable, error))
    return FALSE;
  fb_prompt_apply_weights (out, tokens, job->info->context_width);

  return TRUE;
}

gboolean
fb_diffusion_encode_prompts (FbDiffusion *job, GError **error)
{
  const FbClipTokenizer     *tokenizer = fb_model_tokenizer (job->model, error);
  g_autoptr(FbPromptTokens)  positive  = NULL;
  g_autoptr(FbPromptTokens)  negative  = NULL;
  double                     start;
  size_t                     n_context;

  if (tokenizer == NULL || !take_turn (job, FB_MODEL_TEXT_ENCODER, job->seconds_after, error))
    return FALSE;
  start    = now_seconds ();
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

  report (job, FB_STAGE_TEXT, 0, 0, job->seconds_after, NULL);
  if (job->guided && !encode_chunks (job, negative, job->context, error))
    return FALSE;
  if (!encode_chunks (job, positive, job->context + (job->guided ? n_context : 0), error))
    return FALSE;
  measured (job, FB_STAGE_TEXT, fb_pace_work (job->model, FB_STAGE_TEXT, FB_MODEL_TEXT_ENCODER, positive->n_chunks, 0, 0), start);

  return TRUE;
}

/* --- picture to latents -------------------------------------------------------------------------------------------------- */

gboolean
fb_diffusion_encode (FbDiffusion *job, const float *pixels, FbTorchRandom *random, float *latents, GError **error)
{
  const FbGenerate *r     = job->request;
  const FbModelPart part  = fb_diffusion_encoder (r, job->model);
  g_autofree float *noise = g_new (float, job->n_latents);
  double            left  = fb_diffusion_picture_seconds (r, job->model, 1) + job->seconds_after;
  double            work  = fb_diffusion_encode_work (r, job->model);
  double            start;
  gboolean          ok;

  if (!take_turn (job, part, left, error))
    return FALSE;
  start = now_seconds ();
  fb_latents_noise (random, noise, job->info->latent_channels, job->h, job->w);
  report (job, FB_STAGE_ENCODE, 0, 0, left, NULL);
  if (part == FB_MODEL_TAESD_ENCODER)
    ok = fb_model_encode_taesd (job->model, pixels, r->height, r->width, latents, job->cancellable, error);
  else
    ok = fb_model_encode_image (job->model, pixels, r->height, r->width, noise, latents, job->cancellable, error);
  if (ok)
    measured (job, FB_STAGE_ENCODE, work, start);

  return ok;
}

/* --- steps --------------------------------------------------------------------------------------------------------------- */

/* [n_pixels, C] and [n_pixels, E] -> [n_pixels, C + E] */
static void
join_channels (float *out, const float *latents, int C, const float *extra, int E, size_t n_pixels)
{
  for (size_t i = 0; i < n_pixels; i++)
    {
      memcpy (out + i * (C + E), latents + i * C, C * sizeof (float));
      memcpy (out + i * (C + E) + C, extra + i * E, E * sizeof (float));
    }
}

/* A step in work: one call of the network for each tile
 * @timestep: the network's
 * @step, @n_steps: for the progress: those that are finished, of how many
 * @after: seconds that follow all steps
 * @n_tiles, @n_left: of this step, and how many of them are still to come */
typedef struct
{
  FbDiffusion *job;
  double       timestep;
  int          step, n_steps;
  double       after;
  int          n_tiles, n_left;
} Step;

/* seconds for what is still to come */
static double
seconds_left (const Step *s)
{
  const double seconds = fb_pace_seconds (FB_STAGE_STEP, fb_diffusion_tile_work (s->job->request, s->job->model));

  return s->after + ((s->n_steps - s->step - 1) * s->n_tiles + s->n_left) * seconds;
}

/* @in [height, width, unet_channels], @out [height, width, C]: guided: uncond + scale · (cond − uncond) */
static gboolean
predict_tile (const float *in, int height, int width, float *out, gpointer user_data, GError **error)
{
  Step             *s     = user_data;
  FbDiffusion      *job   = s->job;
  const float       scale = job->request->guidance_scale;
  const int         batch = job->guided ? 2 : 1;
  const size_t      n     = (size_t) height * width * job->info->latent_channels;
  const size_t      n_in  = (size_t) height * width * job->info->unet_channels;
  const double      start = now_seconds ();
  g_autofree float *twice = job->guided ? g_new (float, 2 * n_in) : NULL;
  g_autofree float *both  = job->guided ? g_new (float, 2 * n) : NULL;
  FbDenoise         call  = { .latents = job->guided ? twice : in, .n = batch, .height = height, .width = width, .timestep = s->timestep,
                              .context = job->context, .n_tokens = job->n_tokens, .class_label = job->noise_level };

  for (int i = 0; i < batch && job->guided; i++)
    memcpy (twice + i * n_in, in, n_in * sizeof (float));
  if (!fb_model_denoise (job->model, &call, job->guided ? both : out, job->cancellable, error))
    return FALSE;
  for (size_t i = 0; i < n && job->guided; i++)
    out[i] = both[i] + scale * (both[n + i] - both[i]);

  measured (job, FB_STAGE_STEP, fb_diffusion_tile_work (job->request, job->model), start);
  s->n_left--;
  if (s->n_left > 0)
    report (job, FB_STAGE_STEP, s->step, s->n_steps, seconds_left (s), NULL);

  return TRUE;
}

/* latent pixels per side of what the network sees at once, or more */
static int
tile_side (const FbDiffusion *job)
{
  return job->request->tile > 0 ? job->request->tile / job->info->scale_factor : MAX (job->h, job->w);
}

/* out [h, w, C]: the network's prediction for @input and @extra (nullable), in tiles where the request wants them */
static gboolean
predict (Step *s, const float *input, const float *extra, float *out, GError **error)
{
  FbDiffusion      *job    = s->job;
  const int         C      = job->info->latent_channels, E = job->info->unet_channels - C;
  const FbTiles     tiles  = { job->h, job->w, tile_side (job), 1, C + E, 1, C };
  const size_t      n      = (size_t) job->h * job->w;
  g_autofree float *joined = NULL;

  g_assert ((extra != NULL) == (E > 0));

  if (extra != NULL)
    {
      joined = g_new (float, n * (C + E));
      join_channels (joined, input, C, extra, E, n);
    }

  return fb_tiles_run (&tiles, extra != NULL ? joined : input, out, predict_tile, s, error);
}

/* (transfer full): the preview of @x0 [h, w, C], or NULL where there is none or it failed: a preview never fails a job */
static FbImage *
make_preview (FbDiffusion *job, const float *x0)
{
  gboolean          tiny   = job->request->preview == FB_PREVIEW_TAESD && fb_model_has_taesd (job->model);
  int               f      = tiny ? job->info->scale_factor : 1;
  g_autofree float *pixels = NULL;
  FbImage          *image;
  gboolean          ok;

  if (job->request->preview == FB_PREVIEW_NONE || job->progress == NULL)
    return NULL;

  pixels = g_new (float, (size_t) job->h * f * job->w * f * 3);
  fb_model_hold (job->model, FB_MODEL_UNET, TRUE);              /* the next step needs it: rather no preview than loading it again */
  ok     = tiny ? fb_model_decode_taesd (job->model, x0, job->h, job->w, pixels, job->cancellable, NULL)
                : fb_model_preview_linear (job->model, x0, job->h, job->w, pixels, job->cancellable, NULL);
  fb_model_hold (job->model, FB_MODEL_UNET, FALSE);
  image  = ok ? fb_image_from_network (pixels, job->w * f, job->h * f) : NULL;

  return image != NULL && job->dress != NULL ? job->dress (image, job->dress_data) : image;
}

/* How far step @i of @n lets a latent pixel of mask value @m go: with @gradual, for that share of the steps, the last ones. The step between is
 * mixed, so that few steps leave no contour lines in a soft mask. */
static float
freedom (float m, gboolean gradual, int i, int n)
{
  return gradual ? CLAMP (m * n - (n - 1 - i), 0.0f, 1.0f) : m;
}

/* Takes the latents after step @i back to what is known, at that level of noise. */
static void
put_back (FbDiffusion *job, const FbSampler *sampler, const FbKnown *known, int i, const float *noise, float *latents)
{
  const int         C     = job->info->latent_channels;
  const int         n     = fb_sampler_n_steps (sampler);
  g_autofree float *there = g_new (float, job->n_latents);

  fb_sampler_add_noise (sampler, i + 1, known->start, noise, there, job->n_latents);
  for (size_t p = 0; p < job->n_latents / C; p++)
    {
      float free = freedom (known->mask[p], known->gradual, i, n);

      for (int c = 0; c < C; c++)
        latents[p * C + c] = there[p * C + c] + free * (latents[p * C + c] - there[p * C + c]);
    }
}

static FbSampler *
make_sampler (FbDiffusion *job, const FbKnown *known, GError **error)
{
  const FbGenerate *r      = job->request;
  FbSamplerParams   params = { .n_steps = r->n_steps, .strength = known->start != NULL ? known->strength : 1.0 };

  return fb_spacing_from_name (r->timestep_spacing, &params.spacing, error)
         ? fb_sampler_new (r->sampler, fb_model_schedule (job->model), &params, error) : NULL;
}

gboolean
fb_diffusion_denoise (FbDiffusion *job, const FbKnown *known, const float *noise, FbTorchRandom *random, float *latents, GError **error)
{
  const FbGenerate     *r       = job->request;
  g_autoptr(FbSampler)  sampler = make_sampler (job, known, error);
  size_t                n       = job->n_latents;
  g_autofree float     *fresh   = g_new (float, n);
  g_autofree float     *input   = g_new (float, n);
  g_autofree float     *output  = g_new (float, n);
  g_autofree float     *x0      = g_new (float, n);
  Step                  step    = { .job = job };

  if (sampler == NULL)
    return FALSE;
  step.n_steps = fb_sampler_n_steps (sampler);
  step.n_tiles = step.n_left = fb_tiles_count (job->h, job->w, tile_side (job));
  step.after   = fb_pace_seconds (FB_STAGE_DECODE, fb_diffusion_decode_work (r, job->model)) + job->seconds_after;
  if (!take_turn (job, FB_MODEL_UNET, seconds_left (&step), error))
    return FALSE;

  fb_sampler_init_noise (sampler, known->start, noise, latents, n);
  report (job, FB_STAGE_STEP, 0, step.n_steps, seconds_left (&step), NULL);

  for (int i = 0; i < step.n_steps; i++)
    {
      gboolean           draws   = fb_sampler_needs_noise (sampler, i);
      gboolean           renews  = draws && fb_sampler_find (r->sampler, NULL)->few_steps;   /* all new: what is put back shares it, and loses no variance */
      g_autoptr(FbImage) preview = NULL;

      step.step     = i;
      step.n_left   = step.n_tiles;
      step.timestep = fb_sampler_timestep (sampler, i);
      fb_sampler_model_input (sampler, i, latents, input, n);
      if (!predict (&step, input, known->extra, output, error))
        return FALSE;
      if (draws)
        fb_latents_noise (random, fresh, job->info->latent_channels, job->h, job->w);
      fb_sampler_step (sampler, i, latents, output, x0, draws ? fresh : NULL, n);
      if (known->mask != NULL)
        put_back (job, sampler, known, i, renews ? fresh : noise, latents);

      if (i + 1 < step.n_steps)                                 /* the last step's picture follows at once */
        preview = make_preview (job, x0);
      report (job, FB_STAGE_STEP, i + 1, step.n_steps, seconds_left (&step), preview);
      if (g_cancellable_set_error_if_cancelled (job->cancellable, error))
        return FALSE;
    }

  return TRUE;
}

/* --- latents to picture -------------------------------------------------------------------------------------------------- */

FbImage *
fb_diffusion_decode (FbDiffusion *job, const float *latents, GError **error)
{
  const FbGenerate  *r      = job->request;
  const FbModelPart  part   = fb_diffusion_decoder (r);
  g_autofree float  *pixels = g_new (float, (size_t) r->width * r->height * 3);
  double             work   = fb_diffusion_decode_work (r, job->model);
  double             left   = fb_pace_seconds (FB_STAGE_DECODE, work) + job->seconds_after;
  double             start;
  gboolean           ok;

  if (!take_turn (job, part, left, error))
    return NULL;
  start = now_seconds ();
  report (job, FB_STAGE_DECODE, 0, 0, left, NULL);
  if (part == FB_MODEL_TAESD)
    ok = fb_model_decode_taesd (job->model, latents, job->h, job->w, pixels, job->cancellable, error);
  else
    ok = fb_model_decode (job->model, latents, job->h, job->w, 0, pixels, job->cancellable, error);
  if (!ok)
    return NULL;
  measured (job, FB_STAGE_DECODE, work, start);

  return fb_image_from_network (pixels, r->width, r->height);
}
