/* core/models/model.c: opens a checkpoint and describes its networks. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "core/formats/json-file.h"
#include "core/models/config.h"
#include "core/models/model-private.h"
#include "core/text/clip-tokenizer.h"
#include "core/samplers/sampler.h"
#include "kernels/measure.h"

/* the component, in @other instead of the model itself where that is given */
static FbCheckpoint *
open_component (FbModel *model, const char *component, const char *other, GError **error)
{
  return fb_checkpoint_open (other != NULL ? other : model->path, component, error);
}

/* Every tensor a network expects is there: better said now than in the middle of a job */
static gboolean
check_part (FbModel *model, FbModelPart part, GError **error)
{
  const FbLoader loader = fb_model_loader (model, part);

  return fb_loader_check (&loader, error);
}

static gboolean
open_text (FbModel *model, GError **error)
{
  FbClipTextConfig config;

  model->text_file = open_component (model, "text_encoder", NULL, error);
  if (model->text_file == NULL || !fb_family_text_config (model->family, model->text_file, &config, error))
    return FALSE;

  if (config.n_positions != FB_MODEL_CHUNK)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED,
                   _("“%s” has a text encoder for prompts of %d tokens; only %d are supported. Choose another model."),
                   model->path, config.n_positions, FB_MODEL_CHUNK);
      return FALSE;
    }
  model->text = fb_clip_text_new (&config);
  model->info.context_width = config.width;
  model->info.n_text_layers = config.n_layers;
  if (config.width != fb_unet_config (model->unet)->context_width)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_FAMILY,
                   _("“%s” cannot be used: its text encoder gives %d channels, but its UNet takes %d. Fetch the model again."),
                   model->path, config.width, fb_unet_config (model->unet)->context_width);
      return FALSE;
    }

  return check_part (model, FB_MODEL_TEXT_ENCODER, error);
}

static gboolean
open_unet (FbModel *model, GError **error)
{
  FbUnetConfig config;

  model->unet_file = open_component (model, "unet", NULL, error);
  model->family = model->unet_file != NULL ? fb_family_detect (model->unet_file, error) : NULL;
  if (model->family == NULL || !fb_family_unet_config (model->family, model->unet_file, &config, error))
    return FALSE;

  model->unet = fb_unet_new (&config);
  model->info.family = model->family->name;
  model->info.unet_channels = config.in_channels;

  return check_part (model, FB_MODEL_UNET, error);
}

static gboolean
open_vae (FbModel *model, const char *vae_path, GError **error)
{
  const FbVaeConfig *config = &model->vae_config;

  model->vae_file = open_component (model, "vae", vae_path, error);
  if (model->vae_file == NULL || !fb_family_vae_config (model->family, model->vae_file, &model->vae_config, error))
    return FALSE;

  if (config->latent_channels != fb_unet_config (model->unet)->out_channels)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_FAMILY,
                   _("The autoencoder in “%s” has %d latent channels, but the model makes %d. Choose an autoencoder of the same family."),
                   fb_checkpoint_path (model->vae_file), config->latent_channels, fb_unet_config (model->unet)->out_channels);
      return FALSE;
    }
  model->encoder = fb_vae_encoder_new (config);
  model->decoder = fb_vae_decoder_new (config);
  model->info.latent_channels = config->latent_channels;
  model->info.scale_factor = fb_vae_config_scale (config);

  return check_part (model, FB_MODEL_VAE_DECODER, error);
}

static void
drop_taesd (FbModel *model)
{
  g_clear_pointer (&model->taesd, fb_taesd_decoder_free);
  g_clear_pointer (&model->taesd_encoder, fb_taesd_encoder_free);
  g_clear_pointer (&model->taesd_file, fb_checkpoint_unref);
}

gboolean
fb_model_set_taesd (FbModel *model, const char *path, GError **error)
{
  g_autoptr(FbCheckpoint) file = fb_checkpoint_open (path, "taesd", error);
  FbTaesdConfig           config;

  if (file == NULL || !fb_family_taesd_config (file, &config, error))
    return FALSE;

  if (config.latent_channels != model->info.latent_channels || 1 << (config.n_stages - 1) != model->info.scale_factor)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_FAMILY,
                   _("The TAESD in “%s” does not fit “%s”: it is for another family of models."), path, model->path);
      return FALSE;
    }
  drop_taesd (model);
  model->taesd_config = config;
  model->taesd = fb_taesd_decoder_new (&config);
  model->taesd_encoder = fb_taesd_encoder_new (&config);
  model->taesd_file = g_steal_pointer (&file);
  if (!check_part (model, FB_MODEL_TAESD, error))
    {
      drop_taesd (model);
      return FALSE;
    }
  if (!check_part (model, FB_MODEL_TAESD_ENCODER, NULL))   /* many keep the decoder alone */
    g_clear_pointer (&model->taesd_encoder, fb_taesd_encoder_free);

  return TRUE;
}

/* SDXL's TAESD has the same shapes and other colours: only its name tells, "taesdxl_decoder.safetensors" */
gboolean
fb_model_offer_taesd (FbModel *model, const char *path)
{
  g_autofree char *base  = g_path_get_basename (path);
  g_autofree char *name  = g_ascii_strdown (base, -1);
  const gboolean   is_xl = strstr (name, "taesdxl") != NULL || strstr (name, "taesd-xl") != NULL;

  return (!is_xl || model->family->additional_embedding) && fb_model_set_taesd (model, path, NULL);
}

/* Files in @folder that may be a TAESD's decoder, sorted: which one is taken must not depend on the file system */
static GPtrArray *
list_taesd_files (const char *folder)
{
  GPtrArray       *paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GDir)  dir   = g_dir_open (folder, 0, NULL);
  const char      *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, "taesd") && g_str_has_suffix (name, ".safetensors") && strstr (name, "encoder") == NULL)
      g_ptr_array_add (paths, g_build_filename (folder, name, NULL));
  g_ptr_array_sort_values (paths, (GCompareFunc) strcmp);

  return paths;
}

/* A TAESD beside the checkpoint is an offer: one that does not fit is passed over. */
gboolean
fb_model_look_for_taesd (FbModel *model)
{
  const gboolean        is_dir = g_file_test (model->path, G_FILE_TEST_IS_DIR);
  g_autofree char      *place  = is_dir ? g_strdup (model->path) : g_path_get_dirname (model->path);
  g_autofree char      *folder = g_build_filename (place, "taesd", NULL);
  g_autoptr(GPtrArray)  files  = list_taesd_files (place);

  if (g_file_test (folder, G_FILE_TEST_IS_DIR) && fb_model_offer_taesd (model, folder))
    return TRUE;

  for (guint i = 0; i < files->len; i++)
    if (fb_model_offer_taesd (model, files->pdata[i]))
      return TRUE;

  return FALSE;
}

static gboolean
open_schedule (FbModel *model, GError **error)
{
  JsonObject      *json   = fb_checkpoint_scheduler_config (model->unet_file);
  FbScheduleConfig config = fb_schedule_config_sd;

  config.prediction = model->family->prediction;
  model->schedule = json != NULL ? fb_schedule_new_from_json (json, error) : fb_schedule_new (&config, error);
  if (model->schedule == NULL)
    g_prefix_error (error, "%s: ", model->path);

  return model->schedule != NULL;
}

/* The most noise that the upscaler's model card allows, and how much is usual */
#define MAX_NOISE_LEVEL 350
#define NOISE_LEVEL      20

/* The noise of the picture that an upscaler is shown besides its latents */
static gboolean
open_low_res (FbModel *model, GError **error)
{
  JsonObject  *json = fb_checkpoint_low_res_config (model->unet_file);
  FbModelInfo *info = &model->info;

  info->noise_level = info->max_noise_level = -1;
  if (!model->family->class_embedding)
    return TRUE;
  if (info->unet_channels != info->latent_channels + 3)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_FAMILY,
                   _("“%s” cannot be used: its UNet takes %d channels, but latents and picture have %d. Fetch the model again."),
                   model->path, info->unet_channels, info->latent_channels + 3);
      return FALSE;
    }

  model->low_res_schedule = json != NULL ? fb_schedule_new_from_json (json, error) : fb_schedule_new (&fb_schedule_config_low_res, error);
  if (model->low_res_schedule == NULL)
    {
      g_prefix_error (error, "%s: low_res_scheduler: ", model->path);
      return FALSE;
    }
  info->max_noise_level = MIN (MAX_NOISE_LEVEL, MIN (fb_unet_config (model->unet)->n_class_labels, model->low_res_schedule->config.n_train) - 1);

  return TRUE;
}

/* The picture's size: sample_size of the UNet's config.json, else the family's */
static int
default_size (FbModel *model)
{
  JsonObject     *json   = fb_checkpoint_config (model->unet_file);
  FbConfigReader  reader = { .json = json, .path = model->path };
  int             size   = json != NULL ? fb_config_int (&reader, "sample_size", 1, 1024, 0) : 0;

  g_clear_error (&reader.error);                     /* two numbers or nonsense: only a recommendation is lost */

  return size > 0 ? size * model->info.scale_factor : model->family->size;
}

/* (transfer full) (nullable): "few_step_lora", which names a file beside flashbrush.json */
static char *
find_few_step_lora (FbModel *model, FbConfigReader *r)
{
  const char      *name = fb_config_string (r, "few_step_lora", "");
  g_autofree char *path = NULL;

  if (*name == '\0')
    return NULL;
  path = g_build_filename (model->path, name, NULL);
  if (strchr (name, '/') == NULL && g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return g_steal_pointer (&path);
  fb_config_fail (r, _("few_step_lora is not the name of a file in the same folder"));
  return NULL;
}

/* What the checkpoint recommends: flashbrush.json in its folder, over the family's row */
static gboolean
open_recommendations (FbModel *model, GError **error)
{
  FbModelInfo            *info = &model->info;
  const int               size = default_size (model);
  g_autofree char        *path = g_build_filename (model->path, "flashbrush.json", NULL);
  g_autoptr(JsonObject)   json = NULL;
  FbConfigReader          r    = { .path = path };

  if (g_file_test (path, G_FILE_TEST_EXISTS))
    {
      json = fb_json_load_object (path, error);
      if (json == NULL)
        return FALSE;
    }
  else
    json = json_object_new ();

  r.json = json;
  info->n_steps = fb_config_int (&r, "steps", 1, 1000, model->family->n_steps);
  info->guidance_scale = fb_config_double (&r, "guidance_scale", 1.0, 100.0, model->family->guidance_scale);
  info->width = fb_config_int (&r, "width", info->scale_factor, 8192, size);
  info->height = fb_config_int (&r, "height", info->scale_factor, 8192, size);
  info->sampler = model->sampler = g_strdup (fb_config_string (&r, "sampler", model->family->sampler));
  info->timestep_spacing = model->timestep_spacing = g_strdup (fb_config_string (&r, "timestep_spacing", ""));
  info->few_step_lora = model->few_step_lora = find_few_step_lora (model, &r);
  if (info->max_noise_level >= 0)
    info->noise_level = fb_config_int (&r, "noise_level", 0, info->max_noise_level, MIN (NOISE_LEVEL, info->max_noise_level));
  if (info->width % info->scale_factor != 0 || info->height % info->scale_factor != 0)
    fb_config_fail (&r, _("width and height are no multiples of 8"));
  if (!fb_config_finish (&r, error))
    return FALSE;

  if (fb_sampler_find (info->sampler, error) != NULL)
    return TRUE;

  g_prefix_error (error, "%s: ", path);
  return FALSE;
}

FbModel *
fb_model_open (const char *path, const char *vae_path, const char *taesd_path, FbDevice *dev, FbDtype dtype, GError **error)
{
  g_autoptr(FbModel) model = g_new0 (FbModel, 1);

  model->path = g_strdup (path);
  model->dev = dev != NULL ? fb_device_ref (dev) : fb_device_new_measure ();
  model->dtype = dtype;
  model->ctx = fb_nn_context_new (model->dev, dtype);

  if (!open_unet (model, error) || !open_text (model, error) || !open_vae (model, vae_path, error) ||
      !open_schedule (model, error) || !open_low_res (model, error) || !open_recommendations (model, error))
    return NULL;

  if (taesd_path == NULL)
    fb_model_look_for_taesd (model);
  else if (!fb_model_set_taesd (model, taesd_path, error))
    return NULL;

  return g_steal_pointer (&model);
}

void
fb_model_free (FbModel *model)
{
  if (model == NULL)
    return;

  fb_model_forget_context (model);
  g_clear_pointer (&model->loras, fb_model_loras_free);
  g_clear_pointer (&model->text, fb_clip_text_free);
  g_clear_pointer (&model->unet, fb_unet_free);
  g_clear_pointer (&model->encoder, fb_vae_encoder_free);
  g_clear_pointer (&model->decoder, fb_vae_decoder_free);
  drop_taesd (model);
  g_clear_pointer (&model->text_file, fb_checkpoint_unref);
  g_clear_pointer (&model->unet_file, fb_checkpoint_unref);
  g_clear_pointer (&model->vae_file, fb_checkpoint_unref);
  g_clear_pointer (&model->schedule, fb_schedule_free);
  g_clear_pointer (&model->low_res_schedule, fb_schedule_free);
  g_clear_pointer (&model->ctx, fb_nn_context_free);
  g_clear_pointer (&model->tokenizer, fb_clip_tokenizer_free);
  g_free (model->sampler);
  g_free (model->timestep_spacing);
  g_free (model->few_step_lora);
  fb_device_unref (model->dev);
  g_free (model->path);
  g_free (model);
}

const char *
fb_model_path (FbModel *model)
{
  return model->path;
}

const char *
fb_model_family (FbModel *model)
{
  return model->family->name;
}

const FbModelInfo *
fb_model_info (FbModel *model)
{
  return &model->info;
}

FbDevice *
fb_model_device (FbModel *model)
{
  return model->dev;
}

void
fb_model_share_threads (FbModel *model)
{
  fb_device_share_threads (model->dev);
}

FbDtype
fb_model_dtype (FbModel *model)
{
  return model->dtype;
}

const FbSchedule *
fb_model_schedule (FbModel *model)
{
  return model->schedule;
}

const FbSchedule *
fb_model_low_res_schedule (FbModel *model)
{
  return model->low_res_schedule;
}

gboolean
fb_model_has_taesd (FbModel *model)
{
  return model->taesd != NULL;
}

gboolean
fb_model_has_taesd_encoder (FbModel *model)
{
  return model->taesd_encoder != NULL;
}
