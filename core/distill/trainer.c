/* core/distill/trainer.c: sets a job up: lock, teacher, data, networks. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/trainer.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "core/distill/job-private.h"
#include "core/distill/memory.h"
#include "core/distill/trainer-private.h"
#include "core/formats/checkpoint.h"
#include "core/models/unet.h"
#include "core/store/hash.h"
#include "core/tasks/pace.h"

const char *
fb_distill_stage_name (FbDistillStage stage)
{
  static const char * const names[] = { "prepare", "measure", "train", "sample", "save", "done" };

  return names[stage];
}

static FbDtype
choose_dtype (const FbDistillJob *job, FbDevice *dev)
{
  const FbDtype best = fb_device_best_dtype (dev);

  if (g_str_equal (job->dtype, "auto"))
    return best != FB_DTYPE_F16 ? best : fb_device_supports (dev, FB_DTYPE_BF16) ? FB_DTYPE_BF16 : FB_DTYPE_F32;      /* gradients leave f16's range */
  return g_str_equal (job->dtype, "bf16") ? FB_DTYPE_BF16 : FB_DTYPE_F32;
}

static char *
hash_component (const char *path, const char *component, GError **error)
{
  g_autoptr(FbCheckpoint) checkpoint = fb_checkpoint_open (path, component, error);

  return checkpoint != NULL ? fb_hash_files (fb_checkpoint_files (checkpoint), NULL, error) : NULL;
}

/* sides of the pictures: multiples of what the UNet halves to */
static int
side_multiple (FbTrainer *self)
{
  return self->info->scale_factor << (fb_unet_config (fb_model_unet (self->model))->n_levels - 1);
}

static gboolean
check_teacher (FbTrainer *self, GError **error)
{
  const FbDistillJob *job      = self->job;
  const int           multiple = self->info->scale_factor;

  if (fb_trainer_inpaints (self) && self->info->unet_channels != 2 * self->info->latent_channels + 1)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_UNSUPPORTED,
                   _("“%s”: “teacher” is a model of the family %s, which cannot be distilled yet. Choose a model that makes pictures from text, "
                     "or one for inpainting."), job->path, self->info->family);
      return FALSE;
    }
  if (fb_trainer_inpaints (self) && (job->prompts != NULL || job->prompt_file != NULL))
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_UNSUPPORTED,
                   _("“%s”: “teacher” is a model for inpainting, which learns from pictures to paint into. Give “pictures” or “captions” instead of prompts."),
                   job->path);
      return FALSE;
    }
  if (job->width % multiple != 0 || job->height % multiple != 0)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD, _("“%s”: “%s” must be a multiple of %d for this teacher."),
                   job->path, job->width % multiple != 0 ? "width" : "height", multiple);
      return FALSE;
    }
  if (job->teacher_steps > self->schedule->config.n_train)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD, _("“%s”: “teacher_steps” must be at most %d for this teacher."),
                   job->path, self->schedule->config.n_train);
      return FALSE;
    }
  return TRUE;
}

static gboolean
has_adversarial (const FbDistillJob *job)
{
  for (int i = 0; i < job->n_phases; i++)
    if (job->phases[i].adversarial > 0.0)
      return TRUE;
  return FALSE;
}

static FbLoraSettings
lora_settings (const FbDistillJob *job)
{
  return (FbLoraSettings) { job->lora_rank, job->lora_alpha, (const char * const *) job->lora_targets, job->seed };
}

static gboolean
check_team (FbTrainer *self, GError **error)
{
  g_autofree char *reason = NULL;

  if (self->job->batch_size % self->team->size == 0)
    return TRUE;
  reason = g_strdup_printf (_("must be a multiple of %d, the number of processes."), self->team->size);
  return fb_distill_refuse (self->job->path, "batch_size", reason, error);
}

/* pixels of the pictures; with buckets, their area is about that */
static int
picture_width (FbTrainer *self)
{
  return self->job->width > 0 ? self->job->width : self->info->width;
}

static int
picture_height (FbTrainer *self)
{
  return self->job->height > 0 ? self->job->height : self->info->height;
}

/* A lower bound: the networks, what trains with its copies, and the larger of one call of each without anything kept */
static guint64
least_memory (FbTrainer *self)
{
  const int             width       = picture_width (self), height = picture_height (self), scale = self->info->scale_factor;
  const FbLoraSettings  lora        = lora_settings (self->job);
  const guint64         n           = fb_lora_n_values (fb_unet_params (fb_model_unet (self->model)), &lora);
  guint64               weights     = fb_model_weight_bytes (self->model, FB_MODEL_UNET) + n * 6 * sizeof (float);
  guint64               activations = fb_model_activation_bytes (self->model, FB_MODEL_UNET, 2 * self->job->samples_per_call, height, width);

  if (fb_trainer_inpaints (self))
    weights += fb_model_weight_bytes (self->model, FB_MODEL_VAE_ENCODER);
  if (self->perceptual != NULL)
    {
      weights    += fb_perceptual_weight_bytes (self->perceptual);
      activations = MAX (activations, fb_perceptual_activation_bytes (self->perceptual, height / scale, width / scale));
    }
  return weights + activations;
}

/* a process's share of what the machine has and the job may take of it; 0 if neither is known. A card's memory is its own. */
static guint64
memory_limit (FbTrainer *self)
{
  const guint64 n          = (guint64) self->team->n_on_machine;
  const guint64 free_bytes = fb_memory_available () / n;
  const guint64 wanted     = ((guint64) self->job->memory << 20) / n;

  if (fb_device_has_memory (self->dev))
    return fb_device_bytes_free (self->dev);
  return wanted > 0 && (free_bytes == 0 || wanted < free_bytes) ? wanted : free_bytes;
}

static void
set_half (FbTrainer *self, gboolean half)
{
  fb_model_set_half (self->model, half);
  if (self->perceptual != NULL)
    fb_perceptual_set_half (self->perceptual, half);
}

/* Before anything is loaded: what doesn't train is kept in the file's 16 bits where the job could not be done otherwise. */
static gboolean
be_frugal (FbTrainer *self)
{
  const guint64 full = least_memory (self);

  if (fb_model_can_be_half (self->model, self->dev))
    {
      set_half (self, TRUE);
      set_half (self, fb_half_pays (full, full - least_memory (self), memory_limit (self)));
    }
  return TRUE;
}

static gboolean
check_memory (FbTrainer *self, FbDistillNeeds *needs, GError **error)
{
  const guint64     least = least_memory (self);
  const guint64     limit = memory_limit (self);
  g_autofree char  *need  = g_format_size (least);
  g_autofree char  *have  = g_format_size (limit);

  *needs = (FbDistillNeeds) { least, limit, picture_width (self), picture_height (self) };
  if (limit == 0 || least <= limit)
    return TRUE;
  g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_HOPELESS,
               _("“%s” needs at least %s of memory and %s may be used. A smaller “samples_per_call”, size or “lora_rank” would help."),
               self->job->path, need, have);
  return FALSE;
}

static gboolean
take_folder (FbTrainer *self, GError **error)
{
  if (g_mkdir_with_parents (self->folder, 0755) != 0)
    {
      fb_model_error_set_errno (error, errno, self->folder, TRUE);
      return FALSE;
    }
  self->lock = fb_distill_lock (self->folder, error);
  return self->lock >= 0;
}

/* Whether @path is a file of the job itself, which the LoRA must not replace */
static gboolean
is_taken (FbTrainer *self, const char *path)
{
  static const char * const names[] = { "checkpoint.safetensors", "log.tsv", "samples", "lock", "state" };
  gboolean                  taken   = g_str_equal (path, self->job->path);

  for (gsize i = 0; i < G_N_ELEMENTS (names) && !taken; i++)
    {
      g_autofree char *own = g_build_filename (self->folder, names[i], NULL);

      taken = g_str_equal (path, own);
    }
  return taken;
}

/* Better now than after hours of training. */
static gboolean
check_output (FbTrainer *self, GError **error)
{
  g_autofree char *path   = fb_distill_job_output (self->job);
  g_autofree char *folder = g_path_get_dirname (path);

  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    return fb_distill_refuse (self->job->path, "output", _("must be the name of a file."), error);
  if (is_taken (self, path))
    return fb_distill_refuse (self->job->path, "output", _("is the name of another file of the job; choose another one."), error);
  if (g_mkdir_with_parents (folder, 0755) == 0 && g_access (folder, W_OK) == 0)
    return TRUE;
  fb_model_error_set_errno (error, errno, path, TRUE);
  return FALSE;
}

static gboolean
check_dtype (FbTrainer *self, GError **error)
{
  const FbDtype dtype = choose_dtype (self->job, self->dev);

  if (fb_device_supports (self->dev, dtype))
    return TRUE;
  return fb_distill_refuse (self->job->path, "dtype", _("cannot be computed in on this machine; choose f32, or auto for the best there is."), error);
}

static gboolean
open_teacher (FbTrainer *self, const char *path, GError **error)
{
  if (!check_dtype (self, error))
    return FALSE;
  self->model = fb_model_open (path, NULL, NULL, self->dev, choose_dtype (self->job, self->dev), error);
  if (self->model == NULL)
    return FALSE;
  self->info     = fb_model_info (self->model);
  self->schedule = fb_model_schedule (self->model);
  return check_teacher (self, error);
}

static gboolean
hash_teacher (FbTrainer *self, const char *path, GError **error)
{
  self->teacher_hash = hash_component (path, "unet", error);
  self->text_hash    = self->teacher_hash != NULL ? hash_component (path, "text_encoder", error) : NULL;
  self->vae_hash     = self->text_hash != NULL ? hash_component (path, "vae", error) : NULL;
  return self->vae_hash != NULL;
}

static gboolean
list_data (FbTrainer *self, GError **error)
{
  self->data = fb_dataset_new (self->job, picture_width (self), picture_height (self), side_multiple (self), error);
  return self->data != NULL;
}

static gboolean
check_sides (FbTrainer *self, GError **error)
{
  for (guint i = 0; self->perceptual != NULL && i < self->data->examples->len; i++)
    {
      const FbExample *e = self->data->examples->pdata[i];

      if (MIN (e->width, e->height) < FB_LPIPS_MIN_SIDE)
        {
          g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD,
                       _("“%s”: “distance” cannot be “lpips” for pictures of %d × %d pixels: it needs %d per side. Choose larger ones, or “l2”."),
                       self->job->path, e->width, e->height, FB_LPIPS_MIN_SIDE);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
open_perceptual (FbTrainer *self, GError **error)
{
  g_autofree char *path = NULL;

  if (!g_str_equal (self->job->distance, "lpips"))
    return TRUE;
  path = fb_distill_job_resolve (self->job, self->job->lpips_weights);
  self->perceptual = fb_perceptual_new (self->model, path, self->dev, error);
  return self->perceptual != NULL;
}

static gboolean
hash_perceptual (FbTrainer *self, GError **error)
{
  g_autofree char *path = self->perceptual != NULL ? fb_distill_job_resolve (self->job, self->job->lpips_weights) : NULL;
  g_autofree char *hash = path != NULL ? fb_hash_file (path, NULL, error) : NULL;

  if (hash != NULL)
    self->perceptual_hash = g_strdup_printf ("%s %s", hash, self->vae_hash);
  return self->perceptual == NULL || hash != NULL;
}

static FbTrainer *
trainer_new (const FbDistillJob *job, FbDevice *dev, const FbTeam *team)
{
  FbTrainer *self = g_new0 (FbTrainer, 1);

  self->job         = job;
  self->team        = team;
  self->folder      = fb_distill_job_folder (job);
  self->dev         = fb_device_ref (dev);
  self->cache       = fb_cache_new (NULL);
  self->latent_keys = g_ptr_array_new_with_free_func (g_free);
  self->lock        = -1;
  self->reuse       = job->teacher_reuse > 1 ? fb_reuse_new (job->batch_size) : NULL;
  return self;
}

gboolean
fb_trainer_foresee (const FbDistillJob *job, const char *teacher_path, FbDevice *dev, FbDistillNeeds *needs, GError **error)
{
  g_autoptr(FbTrainer) self = trainer_new (job, dev, fb_team_alone ());

  return open_teacher (self, teacher_path, error) && open_perceptual (self, error) && be_frugal (self) && check_memory (self, needs, error);
}

FbTrainer *
fb_trainer_new (const FbDistillJob *job, const char *teacher_path, FbDevice *dev, GError **error)
{
  return fb_trainer_new_in_team (job, teacher_path, dev, fb_team_alone (), error);
}

FbTrainer *
fb_trainer_new_in_team (const FbDistillJob *job, const char *teacher_path, FbDevice *dev, const FbTeam *team, GError **error)
{
  g_autoptr(FbTrainer) self = trainer_new (job, dev, team);
  FbDistillNeeds       needs;
  gboolean             ok;

  self->memory = fb_memory_mark ();
  ok = check_team (self, error) &&
       (!fb_trainer_is_first (self) || (take_folder (self, error) && check_output (self, error))) &&
       open_teacher (self, teacher_path, error) &&
       hash_teacher (self, teacher_path, error) &&
       list_data (self, error) &&
       open_perceptual (self, error) &&
       hash_perceptual (self, error) &&
       check_sides (self, error) &&
       be_frugal (self) &&
       check_memory (self, &needs, error);
  if (!fb_team_agree (team, ok, error))
    return NULL;
  self->cards = fb_cards_join (team, dev);
  return g_steal_pointer (&self);
}

void
fb_trainer_free (FbTrainer *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->cards, fb_cards_free);
  g_clear_pointer (&self->student, fb_optimizer_free);
  g_clear_pointer (&self->judge, fb_optimizer_free);
  g_clear_pointer (&self->networks, fb_networks_free);
  g_clear_pointer (&self->perceptual, fb_perceptual_free);
  g_clear_pointer (&self->model, fb_model_free);
  g_clear_pointer (&self->data, fb_dataset_free);
  g_clear_pointer (&self->cache, fb_cache_free);
  g_clear_pointer (&self->latent_keys, g_ptr_array_unref);
  g_free (self->no_prompt);
  fb_reuse_free (self->reuse);
  g_free (self->order);
  g_free (self->teacher_hash);
  g_free (self->text_hash);
  g_free (self->vae_hash);
  g_free (self->perceptual_hash);
  g_free (self->folder);
  fb_device_unref (self->dev);
  if (self->lock >= 0)
    close (self->lock);
  g_free (self);
}

void
fb_trainer_set_between (FbTrainer *self, void (* func) (gpointer data), gpointer data)
{
  self->between      = func;
  self->between_data = data;
  if (self->networks != NULL)
    fb_networks_set_between (self->networks, func, data);
}

static FbOptimizer *
new_optimizer (FbTrainer *self, GPtrArray *trainables, double average)
{
  const FbDistillJob      *job    = self->job;
  const FbOptimizerParams  params = { job->learning_rate, job->beta1, job->beta2, job->epsilon, job->weight_decay, job->clip, average };
  FbOptimizer             *out    = fb_optimizer_new (&params);

  for (guint i = 0; i < trainables->len; i++)
    {
      FbTrainable *t = trainables->pdata[i];

      fb_optimizer_add (out, t->name, t->n, t->values, t->gradient);
    }
  return out;
}

/* the shortest side of the features that the discriminator will see */
static int
discriminator_side (FbTrainer *self)
{
  int side = G_MAXINT;

  for (guint i = 0; i < self->data->examples->len; i++)
    {
      const FbExample *e = self->data->examples->pdata[i];
      int              h, w;

      fb_unet_feature_size (fb_model_unet (self->model), e->height / self->info->scale_factor, e->width / self->info->scale_factor, &h, &w);
      side = MIN (side, MIN (h, w));
    }
  return side;
}

static gboolean
load_networks (FbTrainer *self, GCancellable *cancellable, GError **error)
{
  const FbDistillJob   *job    = self->job;
  const FbLoraSettings  lora   = lora_settings (job);
  const guint64         least  = least_memory (self);
  const guint64         limit  = memory_limit (self);
  const gsize           spare  = limit == 0 ? G_MAXSIZE : (gsize) ((limit - MIN (limit, least)) / 2);   /* half for what is not foreseen */
  const gsize           kept   = self->perceptual != NULL ? spare / 2 : spare;                          /* its tape stands beside the student's */
  g_autoptr(GError)     bad    = NULL;

  self->networks = fb_networks_new (self->model, &lora, has_adversarial (job) ? discriminator_side (self) : 0, kept, job->seed, cancellable, &bad);
  if (self->networks == NULL)
    {
      if (bad->domain == FB_DISTILL_ERROR)
        g_prefix_error (&bad, "“%s”: ", job->path);
      g_propagate_error (error, g_steal_pointer (&bad));
      return FALSE;
    }
  fb_networks_set_between (self->networks, self->between, self->between_data);
  if (self->perceptual != NULL && !fb_perceptual_load (self->perceptual, kept, cancellable, error))
    return FALSE;
  self->student = new_optimizer (self, fb_networks_student_trainables (self->networks), job->average);
  if (fb_networks_discriminator_trainables (self->networks) != NULL)
    self->judge = new_optimizer (self, fb_networks_discriminator_trainables (self->networks), 0.0);
  return TRUE;
}

typedef gboolean (* EncodeFunc) (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error);

/* The first process encodes; then the others find it done where they share the cache's folder, and do it where they don't. */
static gboolean
in_turn (FbTrainer *self, EncodeFunc encode, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error)
{
  const gboolean first = fb_trainer_is_first (self);

  return fb_team_agree (self->team, !first || encode (self, progress, user_data, cancellable, error), error) &&
         fb_team_agree (self->team, first || encode (self, progress, user_data, cancellable, error), error);
}

gboolean
fb_trainer_prepare (FbTrainer *self, FbDistillProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error)
{
  if (!fb_trainer_check_checkpoint (self, error) || !in_turn (self, fb_trainer_encode_captions, progress, user_data, cancellable, error))
    return FALSE;
  fb_model_unload_part (self->model, FB_MODEL_TEXT_ENCODER);
  if (!in_turn (self, fb_trainer_encode_pictures, progress, user_data, cancellable, error))
    return FALSE;
  fb_model_unload_part (self->model, FB_MODEL_VAE_ENCODER);
  fb_device_trim (self->dev);
  return fb_team_agree (self->team, load_networks (self, cancellable, error), error) &&
         fb_trainer_make_pictures (self, progress, user_data, cancellable, error) &&
         fb_trainer_restore (self, error);
}

int
fb_trainer_step_number (const FbTrainer *self)
{
  return self->step;
}
