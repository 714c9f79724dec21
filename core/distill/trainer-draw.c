/* core/distill/trainer-draw.c: pictures by student and teacher. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/rollout.h"
#include "core/distill/trainer-private.h"
#include "core/samplers/sampler.h"

/* Student and what comes out are the same: the running average, where there is one. */
static void
swap_average (FbTrainer *self)
{
  for (guint i = 0; i < self->student->tensors->len; i++)
    {
      FbTrained *t = self->student->tensors->pdata[i];

      for (size_t k = 0; t->average != NULL && k < t->n; k++)
        {
          float value = t->value[k];

          t->value[k]   = t->average[k];
          t->average[k] = value;
        }
    }
  if (self->student->params.average > 0.0)
    fb_trainables_push (fb_networks_student_trainables (self->networks));
}

void
fb_trainer_draw_begin (FbTrainer *self)
{
  swap_average (self);
}

void
fb_trainer_draw_end (FbTrainer *self)
{
  swap_average (self);
  fb_model_unload_part (self->model, FB_MODEL_VAE_DECODER);
}

void
fb_trainer_drawing_size (const FbTrainer *self, int *width, int *height)
{
  const FbExample *first   = self->data->examples->pdata[0];
  const gboolean   buckets = self->job->aspect_buckets;

  *width  = self->job->width > 0 ? self->job->width : buckets ? self->info->width : first->width;
  *height = self->job->height > 0 ? self->job->height : buckets ? self->info->height : first->height;
}

/* What the network says at the sampler's step, into @output */
static gboolean
predict (FbTrainer *self, const FbDrawing *drawing, const FbNetworkCall *call, float *output, float *unconditional,
         GCancellable *cancellable, GError **error)
{
  const size_t n = (size_t) call->n * call->height * call->width * self->info->latent_channels;

  if (drawing->student)
    return fb_networks_student (self->networks, call, output, cancellable, error);
  if (!fb_networks_teacher (self->networks, call, self->no_prompt, output, unconditional, cancellable, error))
    return FALSE;
  fb_guide (drawing->guidance_scale > 0.0 ? drawing->guidance_scale : self->info->guidance_scale, output, unconditional, output, n);
  return TRUE;
}

/* noise of step @step; 0 is what the pictures begin with */
static void
draw_noise (const FbDrawing *drawing, guint first, guint32 step, int n, size_t size, float *noise)
{
  for (int i = 0; i < n; i++)
    {
      const FbDraw draw = { drawing->seed, step, first + i };

      fb_draw_normal (&draw, FB_DRAW_SAMPLE, noise + i * size, size);
    }
}

/* @latents: (out) */
static gboolean
denoise (FbTrainer *self, const FbDrawing *drawing, guint first, const FbNetworkCall *shape, float *latents, GCancellable *cancellable,
         GError **error)
{
  const size_t          size          = (size_t) shape->height * shape->width * self->info->latent_channels;
  const size_t          n             = shape->n * size;
  const FbSamplerParams params        = { drawing->n_steps, FB_SPACING_TRAILING, 1.0 };
  g_autoptr(FbSampler)  sampler       = fb_sampler_new (drawing->sampler, self->schedule, &params, error);
  g_autofree float     *input         = g_new (float, n);
  g_autofree float     *output        = g_new (float, n);
  g_autofree float     *unconditional = g_new (float, n);
  g_autofree float     *noise         = g_new (float, n);
  g_autofree float     *timesteps     = g_new (float, shape->n);
  FbNetworkCall         call          = *shape;

  if (sampler == NULL)
    return FALSE;
  call.latents   = input;
  call.timesteps = timesteps;
  draw_noise (drawing, first, 0, shape->n, size, latents);
  fb_sampler_init_noise (sampler, NULL, latents, latents, n);
  for (int i = 0; i < fb_sampler_n_steps (sampler); i++)
    {
      const gboolean fresh = fb_sampler_needs_noise (sampler, i);

      for (int k = 0; k < shape->n; k++)
        timesteps[k] = (float) fb_sampler_timestep (sampler, i);
      fb_sampler_model_input (sampler, i, latents, input, n);
      if (!predict (self, drawing, &call, output, unconditional, cancellable, error))
        return FALSE;
      if (fresh)
        draw_noise (drawing, first, (guint32) i + 1, shape->n, size, noise);
      fb_sampler_step (sampler, i, latents, output, NULL, fresh ? noise : NULL, n);
    }
  return TRUE;
}

/* what a teacher that inpaints paints into: the first picture that is called so; for prompts that are the job's own, any */
static const FbExample *
picture_for (FbTrainer *self, const char *caption, guint number)
{
  GPtrArray *examples = self->data->examples;

  for (guint i = 0; i < examples->len; i++)
    if (g_str_equal (((FbExample *) examples->pdata[i])->captions[0], caption))
      return examples->pdata[i];
  return examples->pdata[number % examples->len];
}

gboolean
fb_trainer_draw (FbTrainer *self, const FbDrawing *drawing, guint first, int n, const char * const *captions, float *pixels,
                 GCancellable *cancellable, GError **error)
{
  const size_t      context_size = fb_trainer_context_size (self);
  const int         scale        = self->info->scale_factor;
  int               width, height;
  size_t            size;
  size_t            extra_size;
  g_autofree float *contexts     = g_new (float, n * context_size);
  g_autofree float *latents      = NULL;
  g_autofree float *extra        = NULL;

  fb_trainer_drawing_size (self, &width, &height);
  size       = (size_t) (height / scale) * (width / scale) * self->info->latent_channels;
  extra_size = fb_trainer_extra_size (self, size);
  latents    = g_new (float, n * size);
  extra      = extra_size > 0 ? g_new (float, n * extra_size) : NULL;
  for (int i = 0; i < n; i++)
    {
      const FbDraw draw = { drawing->seed, 0, first + i };

      if (!fb_trainer_read_caption (self, captions[i], contexts + i * context_size, error) ||
          (extra != NULL && !fb_trainer_mask_picture (self, picture_for (self, captions[i], first + i), &draw, 0.0, width, height,
                                                      extra + i * extra_size, cancellable, error)))
        return FALSE;
    }

  if (!denoise (self, drawing, first, &(FbNetworkCall) { n, height / scale, width / scale, NULL, NULL, contexts, extra }, latents, cancellable,
                error))
    return FALSE;
  for (int i = 0; i < n; i++)
    if (!fb_model_decode (self->model, latents + i * size, height / scale, width / scale, 0, pixels + (size_t) i * height * width * 3,
                          cancellable, error))
      return FALSE;
  return TRUE;
}
