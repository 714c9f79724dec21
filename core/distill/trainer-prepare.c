/* core/distill/trainer-prepare.c: what is encoded once, before training. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "core/distill/rollout.h"
#include "core/distill/trainer-private.h"
#include "core/image/load.h"
#include "core/store/hash.h"
#include "core/text/clip-tokenizer.h"

#define VERSION "1"         /* of how things are encoded here: another makes all keys new */

/* also where others may work */
static void
report (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, guint done, guint total)
{
  const FbDistillProgress p = { .stage = FB_DISTILL_PREPARE, .done = (int) done, .total = (int) total,
                                .seconds_per_step = -1.0, .seconds_left = -1.0, .seconds_total = -1.0 };

  if (progress != NULL)
    progress (&p, user_data);
  if (self->between != NULL)
    self->between (self->between_data);
}

/* --- captions ------------------------------------------------------------------------------------------------------------ */

static char *
caption_key (FbTrainer *self, const char *caption)
{
  return fb_cache_key ("caption", VERSION, self->text_hash, fb_dtype_name (fb_model_dtype (self->model)), caption, NULL);
}

/* Captions are plain text: brackets mean nothing, and what does not fit into one chunk is cut off, as in the models' own training. */
static gboolean
tokenize (const FbClipTokenizer *tokenizer, const char *caption, int ids[FB_MODEL_CHUNK], GError **error)
{
  g_autoptr(GArray) tokens = g_array_new (FALSE, FALSE, sizeof (int));
  guint             n;

  if (!fb_clip_tokenizer_encode (tokenizer, caption, tokens, error))
    return FALSE;
  n = MIN (tokens->len, FB_MODEL_CHUNK - 2);
  ids[0] = fb_clip_tokenizer_bos (tokenizer);
  for (guint i = 0; i < n; i++)                            /* an empty array has no data to copy from */
    ids[i + 1] = g_array_index (tokens, int, i);
  ids[n + 1] = fb_clip_tokenizer_eos (tokenizer);
  for (guint i = n + 2; i < FB_MODEL_CHUNK; i++)
    ids[i] = fb_clip_tokenizer_pad (tokenizer);
  return TRUE;
}

static gboolean
encode_caption (FbTrainer *self, const char *caption, GCancellable *cancellable, GError **error)
{
  g_autofree char       *key       = caption_key (self, caption);
  const FbClipTokenizer *tokenizer = fb_model_tokenizer (self->model, error);
  const size_t           n         = fb_trainer_context_size (self);
  g_autofree float      *context   = g_new (float, n);
  int                    ids[FB_MODEL_CHUNK];

  if (tokenizer == NULL)
    return FALSE;
  if (fb_cache_get (self->cache, key, context, n))
    return TRUE;
  return tokenize (tokenizer, caption, ids, error) &&
         fb_model_encode_text (self->model, ids, 1, 0, context, cancellable, error) &&
         fb_cache_put (self->cache, key, context, n, error);
}

gboolean
fb_trainer_encode_captions (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error)
{
  char **samples = self->job->sample_prompts;

  for (guint i = 0; i < self->data->examples->len; i++)
    {
      const FbExample *e = self->data->examples->pdata[i];

      for (int c = 0; c < e->n_captions; c++)
        if (!encode_caption (self, e->captions[c], cancellable, error))
          return FALSE;
      report (self, progress, user_data, i / 2, self->data->examples->len);          /* the first half of a picture's preparation */
    }
  for (int i = 0; samples != NULL && samples[i] != NULL; i++)
    if (!encode_caption (self, samples[i], cancellable, error))
      return FALSE;

  self->no_prompt = g_new (float, fb_trainer_context_size (self));
  return encode_caption (self, self->job->negative_prompt, cancellable, error) &&
         fb_trainer_read_caption (self, self->job->negative_prompt, self->no_prompt, error);
}

gboolean
fb_trainer_read_caption (FbTrainer *self, const char *caption, float *context, GError **error)
{
  g_autofree char *key = caption_key (self, caption);

  if (fb_cache_get (self->cache, key, context, fb_trainer_context_size (self)))
    return TRUE;
  g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA,
               _("“%s”: an encoded caption is no longer in the cache folder. Start the job again."), self->job->path);
  return FALSE;
}

/* --- pictures ------------------------------------------------------------------------------------------------------------ */

/* Errors: DATA where the file cannot be read, %G_IO_ERROR_CANCELLED */
static char *
picture_key (FbTrainer *self, const FbExample *e, GCancellable *cancellable, GError **error)
{
  g_autoptr(GError) bad  = NULL;
  g_autofree char  *hash = fb_hash_small_file (e->path, cancellable, &bad);
  g_autofree char  *size = g_strdup_printf ("%dx%d", e->width, e->height);

  if (g_error_matches (bad, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_propagate_error (error, g_steal_pointer (&bad));
  else if (hash == NULL)
    g_set_error_literal (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA, bad->message);
  if (hash == NULL)
    return NULL;
  return fb_cache_key ("latents", VERSION, self->vae_hash, fb_dtype_name (fb_model_dtype (self->model)), size, hash, NULL);
}

gboolean
fb_trainer_read_pixels (const FbExample *e, int width, int height, float *pixels, GError **error)
{
  g_autoptr(FbImage) image = fb_image_load (e->path, error);
  g_autoptr(FbImage) sized = image != NULL ? fb_crop_to_size (image, width, height) : NULL;

  if (image == NULL)
    return FALSE;
  if (sized == NULL)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA, _("“%s”: there is no memory for the picture."), e->path);
      return FALSE;
    }
  fb_image_to_network (sized, pixels);
  return TRUE;
}

/* The picture's file at its size. Errors: DATA, whatever is wrong with the file: it can be left out. */
static gboolean
read_picture (const FbExample *e, float *pixels, GError **error)
{
  g_autoptr(GError) bad = NULL;

  if (fb_trainer_read_pixels (e, e->width, e->height, pixels, &bad))
    return TRUE;
  g_set_error_literal (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA, bad->message);
  return FALSE;
}

/* A sample of the posterior: its noise is drawn by the key, so that it does not depend on the job. */
static gboolean
encode_picture (FbTrainer *self, const FbExample *e, const char *key, GCancellable *cancellable, GError **error)
{
  const size_t      n       = fb_trainer_latents_size (self, e);
  const FbDraw      draw    = { g_ascii_strtoull (key + 48, NULL, 16), 0, 0 };
  g_autofree float *latents = g_new (float, n);
  g_autofree float *noise   = g_new (float, n);
  g_autofree float *pixels  = g_new (float, (size_t) e->width * e->height * 3);

  if (!read_picture (e, pixels, error))
    return FALSE;
  fb_draw_normal (&draw, FB_DRAW_POSTERIOR, noise, n);
  return fb_model_encode_image (self->model, pixels, e->height, e->width, noise, latents, cancellable, error) &&
         fb_cache_put (self->cache, key, latents, n, error);
}

gboolean
fb_trainer_encode_pictures (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error)
{
  GPtrArray  *examples = self->data->examples;
  const guint total    = examples->len;
  guint       done     = 0;

  for (guint i = 0; i < examples->len; done++)
    {
      const FbExample  *e   = examples->pdata[i];
      const size_t      n   = fb_trainer_latents_size (self, e);
      g_autoptr(GError) bad = NULL;
      g_autofree char  *key = e->path != NULL ? picture_key (self, e, cancellable, &bad) : NULL;

      if (e->path == NULL || (key != NULL && (fb_cache_has (self->cache, key, n) || encode_picture (self, e, key, cancellable, &bad))))
        {
          g_ptr_array_add (self->latent_keys, g_steal_pointer (&key));
          i++;
        }
      else if (!g_error_matches (bad, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA))
        {
          g_propagate_error (error, g_steal_pointer (&bad));
          return FALSE;
        }
      else
        {
          fb_dataset_leave_out (self->data, i, bad);
        }
      report (self, progress, user_data, (total + done) / 2, total);
    }
  if (examples->len > 0)
    return TRUE;
  g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA, _("“%s”: none of the %u pictures could be read."), self->job->path, total);
  return FALSE;
}

gboolean
fb_trainer_read_latents (FbTrainer *self, guint example, float *latents, GError **error)
{
  const FbExample *e = self->data->examples->pdata[example];

  if (fb_cache_get (self->cache, self->latent_keys->pdata[example], latents, fb_trainer_latents_size (self, e)))
    return TRUE;
  g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA,
               _("“%s”: an encoded picture is no longer in the cache folder. Start the job again."), self->job->path);
  return FALSE;
}

/* --- the teacher ---------------------------------------------------------------------------------------------------------- */

typedef struct
{
  FbTrainer    *trainer;
  int           height, width;
  const float  *contexts;
  const float  *extra;
  GCancellable *cancellable;
} Rollout;

static gboolean
call_teacher (const int *samples, int m, const float *latents, double timestep, float *conditional, float *unconditional,
              gpointer user_data, GError **error)
{
  Rollout            *r         = user_data;
  FbTrainer          *self      = r->trainer;
  const size_t        n_context = fb_trainer_context_size (self);
  const size_t        n_extra   = fb_trainer_extra_size (self, (size_t) r->height * r->width * self->info->latent_channels);
  g_autofree float   *contexts  = g_new (float, m * n_context);
  g_autofree float   *extra     = r->extra != NULL ? g_new (float, m * n_extra) : NULL;
  g_autofree float   *timesteps = g_new (float, m);
  const FbNetworkCall call      = { m, r->height, r->width, latents, timesteps, contexts, extra };

  for (int i = 0; i < m; i++)
    {
      memcpy (contexts + i * n_context, r->contexts + samples[i] * n_context, n_context * sizeof *contexts);
      if (extra != NULL)
        memcpy (extra + i * n_extra, r->extra + samples[i] * n_extra, n_extra * sizeof *extra);
      timesteps[i] = (float) timestep;
    }
  return fb_networks_teacher (self->networks, &call, self->no_prompt, conditional, unconditional, r->cancellable, error);
}

gboolean
fb_trainer_rollout (FbTrainer *self, int n, int height, int width, const float *contexts, const float *extra, int n_steps,
                    const int *start, const double *guidance_scale, float *latents, GCancellable *cancellable, GError **error)
{
  Rollout      rollout = { self, height, width, contexts, extra, cancellable };
  const size_t size    = (size_t) height * width * self->info->latent_channels;

  return fb_rollout (self->schedule, n_steps, n, start, guidance_scale, size, latents, call_teacher, &rollout, error);
}

/* What the teacher makes of a prompt: its key says all that decides it. */
static char *
teacher_key (FbTrainer *self, const FbExample *e)
{
  g_autofree char *how = g_strdup_printf ("%dx%d %d steps, guidance %g, number %d, seed %" G_GINT64_FORMAT, e->width, e->height,
                                          self->job->teacher_steps, self->info->guidance_scale, e->number, self->job->seed);

  return fb_cache_key ("teacher", VERSION, self->teacher_hash, self->text_hash, fb_dtype_name (fb_model_dtype (self->model)), how,
                       self->job->negative_prompt, e->captions[0], NULL);
}

static gboolean
make_picture (FbTrainer *self, const FbExample *e, const char *key, GCancellable *cancellable, GError **error)
{
  const int         scale    = self->info->scale_factor;
  const int         start    = 0;
  const size_t      n        = fb_trainer_latents_size (self, e);
  const FbDraw      draw     = { g_ascii_strtoull (key + 48, NULL, 16), 0, 0 };
  const double      guidance = self->info->guidance_scale;
  g_autofree float *latents  = g_new (float, n);
  g_autofree float *context  = g_new (float, fb_trainer_context_size (self));

  fb_draw_normal (&draw, FB_DRAW_TEACHER_PICTURE, latents, n);
  return fb_trainer_read_caption (self, e->captions[0], context, error) &&
         fb_trainer_rollout (self, 1, e->height / scale, e->width / scale, context, NULL, self->job->teacher_steps, &start, &guidance, latents,
                             cancellable, error) &&
         fb_cache_put (self->cache, key, latents, n, error);
}

/* of every @stride-th example from @from on */
static gboolean
make_some (FbTrainer *self, int from, int stride, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error)
{
  for (guint i = (guint) from; i < self->data->examples->len; i += (guint) stride)
    {
      const FbExample *e = self->data->examples->pdata[i];
      const size_t     n = fb_trainer_latents_size (self, e);

      if (e->path != NULL)
        continue;
      if (self->latent_keys->pdata[i] == NULL)
        self->latent_keys->pdata[i] = teacher_key (self, e);
      if (!fb_cache_has (self->cache, self->latent_keys->pdata[i], n) &&
          !make_picture (self, e, self->latent_keys->pdata[i], cancellable, error))
        return FALSE;
      report (self, progress, user_data, i + 1, self->data->examples->len);
    }
  return TRUE;
}

/* Each process of a team makes its share; in the second round it finds those of the others where they share the cache's folder. */
gboolean
fb_trainer_make_pictures (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error)
{
  const FbTeam *team = self->team;

  return fb_team_agree (team, make_some (self, team->rank, team->size, progress, user_data, cancellable, error), error) &&
         fb_team_agree (team, team->size == 1 || make_some (self, 0, 1, NULL, NULL, cancellable, error), error);
}
