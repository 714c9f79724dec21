/* core/distill/trainer-sheet.c: pictures of the student beside the teacher's. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "core/distill/rollout.h"
#include "core/distill/trainer-private.h"
#include "core/samplers/sampler.h"

/* One picture: @latents is noise at first */
static gboolean
draw (FbTrainer *self, gboolean student, const char *sampler_name, int n_steps, const FbNetworkCall *shape, const FbDraw *seed, float *latents,
      GCancellable *cancellable, GError **error)
{
  const size_t          n             = (size_t) shape->height * shape->width * self->info->latent_channels;
  const FbSamplerParams params        = { n_steps, FB_SPACING_TRAILING, 1.0 };
  g_autoptr(FbSampler)  sampler       = fb_sampler_new (sampler_name, self->schedule, &params, error);
  g_autofree float     *input         = g_new (float, n);
  g_autofree float     *output        = g_new (float, n);
  g_autofree float     *unconditional = g_new (float, n);
  g_autofree float     *noise         = g_new (float, n);
  float                 timestep;
  FbNetworkCall         call          = *shape;

  if (sampler == NULL)
    return FALSE;
  call.latents   = input;
  call.timesteps = &timestep;
  fb_sampler_init_noise (sampler, NULL, latents, latents, n);
  for (int i = 0; i < fb_sampler_n_steps (sampler); i++)
    {
      const FbDraw   fresh_draw = { seed->seed, (guint32) i + 1, seed->sample };
      const gboolean fresh      = fb_sampler_needs_noise (sampler, i);

      timestep = (float) fb_sampler_timestep (sampler, i);
      fb_sampler_model_input (sampler, i, latents, input, n);
      if (student)
        {
          if (!fb_networks_student (self->networks, &call, output, cancellable, error))
            return FALSE;
        }
      else
        {
          if (!fb_networks_teacher (self->networks, &call, self->no_prompt, output, unconditional, cancellable, error))
            return FALSE;
          fb_guide (self->info->guidance_scale, output, unconditional, output, n);
        }
      if (fresh)
        fb_draw_normal (&fresh_draw, FB_DRAW_SAMPLE, noise, n);
      fb_sampler_step (sampler, i, latents, output, NULL, fresh ? noise : NULL, n);
    }
  return TRUE;
}

/* the prompts of the rows; (transfer container) */
static GPtrArray *
choose_prompts (FbTrainer *self, int n)
{
  GPtrArray *prompts = g_ptr_array_new ();
  char     **chosen  = self->job->sample_prompts;

  for (int i = 0; chosen != NULL && chosen[i] != NULL && (int) prompts->len < n; i++)
    g_ptr_array_add (prompts, chosen[i]);
  for (guint i = 0; (chosen == NULL || chosen[0] == NULL) && i < self->data->examples->len && (int) prompts->len < n; i++)
    {
      const FbExample *e = self->data->examples->pdata[i];

      if (!g_ptr_array_find_with_equal_func (prompts, e->captions[0], g_str_equal, NULL))
        g_ptr_array_add (prompts, e->captions[0]);
    }
  return prompts;
}

static void
paste (FbImage *sheet, const float *pixels, int left, int top, int width, int height)
{
  g_autoptr(FbImage) picture = fb_image_from_network (pixels, width, height);

  for (int y = 0; y < height; y++)
    memcpy (sheet->pixels + ((size_t) (top + y) * sheet->width + left) * 3, picture->pixels + (size_t) y * width * 3, (size_t) width * 3 * sizeof (float));
}

/* The student shown is the one that comes out: the running average, where there is one. */
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

/* what a teacher that inpaints paints into: the first picture that is called so, for prompts of the job's own any */
static const FbExample *
picture_for (FbTrainer *self, const char *prompt, guint row)
{
  GPtrArray *examples = self->data->examples;

  for (guint i = 0; i < examples->len; i++)
    if (g_str_equal (((FbExample *) examples->pdata[i])->captions[0], prompt))
      return examples->pdata[i];
  return examples->pdata[row % examples->len];
}

static gboolean
fill_sheet (FbTrainer *self, FbImage *sheet, GPtrArray *prompts, const int *steps, int n_steps, int w, int h,
            GCancellable *cancellable, GError **error)
{
  const int         scale   = self->info->scale_factor;
  const size_t      n       = (size_t) h * w * self->info->latent_channels;
  g_autofree float *context = g_new (float, fb_trainer_context_size (self));
  g_autofree float *extra   = fb_trainer_inpaints (self) ? g_new (float, fb_trainer_extra_size (self, n)) : NULL;
  g_autofree float *latents = g_new (float, n);
  g_autofree float *pixels  = g_new (float, (size_t) h * w * scale * scale * 3);

  for (guint row = 0; row < prompts->len; row++)
    {
      const FbNetworkCall shape   = { 1, h, w, NULL, NULL, context, extra };
      const FbDraw        seed    = { self->job->seed, 0, row };
      const FbExample    *picture = picture_for (self, prompts->pdata[row], row);

      if (!fb_trainer_read_caption (self, prompts->pdata[row], context, error) ||
          (extra != NULL && !fb_trainer_mask_picture (self, picture, &seed, 0.0, w * scale, h * scale, extra, cancellable, error)))
        return FALSE;
      for (int column = 0; column <= n_steps; column++)
        {
          const gboolean teacher = column == 0;

          fb_draw_normal (&seed, FB_DRAW_SAMPLE, latents, n);
          if (!draw (self, !teacher, teacher ? "dpmpp-2m" : "flash", teacher ? self->info->n_steps : steps[column - 1], &shape, &seed, latents,
                     cancellable, error) ||
              !fb_model_decode (self->model, latents, h, w, 0, pixels, cancellable, error))
            return FALSE;
          paste (sheet, pixels, column * w * scale, (int) row * h * scale, w * scale, h * scale);
        }
    }
  return TRUE;
}

FbImage *
fb_trainer_sheet (FbTrainer *self, int n_prompts, const int *steps, int n_steps, GCancellable *cancellable, GError **error)
{
  const FbExample      *first   = self->data->examples->pdata[0];
  const int             scale   = self->info->scale_factor;
  const int             width   = self->job->width > 0 ? self->job->width : self->job->aspect_buckets ? self->info->width : first->width;
  const int             height  = self->job->height > 0 ? self->job->height : self->job->aspect_buckets ? self->info->height : first->height;
  g_autoptr(GPtrArray)  prompts = choose_prompts (self, n_prompts);
  g_autoptr(FbImage)    sheet   = fb_image_new ((n_steps + 1) * width, (int) prompts->len * height, 3);
  gboolean              ok;

  if (sheet == NULL)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_HOPELESS, "%s: no memory for the sample pictures", self->job->path);
      return NULL;
    }
  swap_average (self);
  ok = fill_sheet (self, sheet, prompts, steps, n_steps, width / scale, height / scale, cancellable, error);
  swap_average (self);
  fb_model_unload_part (self->model, FB_MODEL_VAE_DECODER);
  return ok ? g_steal_pointer (&sheet) : NULL;
}
