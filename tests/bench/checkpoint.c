/* tests/bench/checkpoint.c: a full-size Stable Diffusion 1.5 with random weights. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/bench/checkpoint.h"

#include <glib/gstdio.h>
#include <math.h>

#include "core/formats/safetensors-writer.h"
#include "core/models/autoencoder-kl.h"
#include "core/models/clip-text.h"
#include "core/models/taesd.h"
#include "core/models/unet.h"

/* the public model's configs, as far as they differ from the defaults of their classes; its 1×1 projections are written as the matrices they are */
static const char unet_config[] =
  "{ \"_class_name\": \"UNet2DConditionModel\", \"in_channels\": 4, \"out_channels\": 4, \"sample_size\": 64, \"use_linear_projection\": true,"
  " \"block_out_channels\": [320, 640, 1280, 1280], \"layers_per_block\": 2, \"cross_attention_dim\": 768, \"attention_head_dim\": 8,"
  " \"down_block_types\": [\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"DownBlock2D\"],"
  " \"up_block_types\": [\"UpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\"] }";
static const char vae_config[] =
  "{ \"_class_name\": \"AutoencoderKL\", \"in_channels\": 3, \"out_channels\": 3, \"latent_channels\": 4, \"sample_size\": 512,"
  " \"block_out_channels\": [128, 256, 512, 512], \"layers_per_block\": 2, \"norm_num_groups\": 32, \"scaling_factor\": 0.18215,"
  " \"down_block_types\": [\"DownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\"],"
  " \"up_block_types\": [\"UpDecoderBlock2D\", \"UpDecoderBlock2D\", \"UpDecoderBlock2D\", \"UpDecoderBlock2D\"] }";
static const char text_config[] =
  "{ \"architectures\": [\"CLIPTextModel\"], \"vocab_size\": 49408, \"hidden_size\": 768, \"intermediate_size\": 3072,"
  " \"num_hidden_layers\": 12, \"num_attention_heads\": 12, \"max_position_embeddings\": 77, \"hidden_act\": \"quick_gelu\" }";
static const char scheduler_config[] =
  "{ \"_class_name\": \"DDIMScheduler\", \"beta_start\": 0.00085, \"beta_end\": 0.012, \"beta_schedule\": \"scaled_linear\","
  " \"num_train_timesteps\": 1000, \"prediction_type\": \"epsilon\", \"timestep_spacing\": \"trailing\", \"steps_offset\": 1,"
  " \"set_alpha_to_one\": false, \"clip_sample\": false }";
static const char taesd_config[] =
  "{ \"_class_name\": \"AutoencoderTiny\", \"latent_channels\": 4,"
  " \"num_encoder_blocks\": [1, 3, 3, 3], \"num_decoder_blocks\": [3, 3, 3, 1],"
  " \"encoder_block_out_channels\": [64, 64, 64, 64], \"decoder_block_out_channels\": [64, 64, 64, 64] }";
static const char index_config[] = "{ \"_class_name\": \"StableDiffusionPipeline\" }";

static JsonObject *
parse (const char *text)
{
  g_autoptr(JsonParser) parser = json_parser_new ();
  g_autoptr(JsonNode)   root   = NULL;
  g_autoptr(GError)     error  = NULL;

  json_parser_load_from_data (parser, text, -1, &error);
  g_assert_no_error (error);
  root = json_parser_steal_root (parser);

  return json_node_dup_object (root);
}

/* Weights of standard deviation 1 / √fan-in, norms 1, biases 0. */
static void
random_values (guint16 *out, const FbParam *param, guint64 *state)
{
  g_autofree float *values = g_new (float, param->n_elements);
  size_t            fan_in = param->n_dims > 1 ? param->n_elements / param->shape[0] : 1;
  float             scale  = sqrtf (3.0f / fan_in);
  float             fixed  = g_str_has_suffix (param->name, ".bias") ? 0.0f : 1.0f;

  for (size_t i = 0; i < param->n_elements; i++)
    {
      *state    = *state * 6364136223846793005u + 1442695040888963407u;
      values[i] = param->n_dims > 1 ? scale * ((gint32) (*state >> 32) / 2147483648.0f) : fixed;
    }
  fb_dtype_convert (out, FB_DTYPE_F16, values, FB_DTYPE_F32, param->n_elements);
}

/* Writes the tensors of both lists to @folder/@file, and @config beside it; @second may be NULL. */
static gboolean
write_component (const char *folder, const char *file, FbParams *first, FbParams *second, const char *config, GError **error)
{
  g_autofree char                *path        = g_build_filename (folder, file, NULL);
  g_autofree char                *config_path = g_build_filename (folder, "config.json", NULL);
  g_autoptr(FbSafetensorsWriter)  writer      = fb_safetensors_writer_new (path);
  guint                           n_first     = fb_params_n (first);
  guint                           n           = n_first + (second != NULL ? fb_params_n (second) : 0);
  guint64                         state       = 1;

  g_mkdir_with_parents (folder, 0755);
  for (guint i = 0; i < n; i++)
    {
      const FbParam *param = i < n_first ? fb_params_get (first, i) : fb_params_get (second, i - n_first);
      gint64         shape[4];

      for (int d = 0; d < param->n_dims; d++)
        shape[d] = param->shape[d];
      fb_safetensors_writer_add (writer, param->name, FB_DTYPE_F16, param->n_dims, shape);
    }
  for (guint i = 0; i < n; i++)
    {
      const FbParam       *param  = i < n_first ? fb_params_get (first, i) : fb_params_get (second, i - n_first);
      g_autofree guint16  *values = g_new (guint16, param->n_elements);

      random_values (values, param, &state);
      if (!fb_safetensors_writer_write (writer, values, param->n_elements * sizeof (guint16), error))
        return FALSE;
    }

  return fb_safetensors_writer_finish (writer, error) && g_file_set_contents (config_path, config, -1, error);
}

static gboolean
write_unet (const char *folder, GError **error)
{
  g_autoptr(JsonObject) json = parse (unet_config);
  g_autoptr(FbUnet)     unet = NULL;
  FbUnetConfig          config;

  g_assert_true (fb_unet_config_parse (&config, json, "unet", NULL));
  unet = fb_unet_new (&config);

  return write_component (folder, "diffusion_pytorch_model.safetensors", fb_unet_params (unet), NULL, unet_config, error);
}

static gboolean
write_text_encoder (const char *folder, GError **error)
{
  g_autoptr(JsonObject) json = parse (text_config);
  g_autoptr(FbClipText) text = NULL;
  FbClipTextConfig      config;

  g_assert_true (fb_clip_text_config_parse (&config, json, "text_encoder", NULL));
  text = fb_clip_text_new (&config);

  return write_component (folder, "model.safetensors", fb_clip_text_params (text), NULL, text_config, error);
}

static gboolean
write_vae (const char *folder, GError **error)
{
  g_autoptr(JsonObject)   json    = parse (vae_config);
  g_autoptr(FbVaeEncoder) encoder = NULL;
  g_autoptr(FbVaeDecoder) decoder = NULL;
  FbVaeConfig             config;

  g_assert_true (fb_vae_config_parse (&config, json, "vae", NULL));
  encoder = fb_vae_encoder_new (&config);
  decoder = fb_vae_decoder_new (&config);

  return write_component (folder, "diffusion_pytorch_model.safetensors",
                          fb_vae_encoder_params (encoder), fb_vae_decoder_params (decoder), vae_config, error);
}

static gboolean
write_taesd (const char *folder, GError **error)
{
  g_autoptr(FbTaesdEncoder) encoder = fb_taesd_encoder_new (&fb_taesd_standard);
  g_autoptr(FbTaesdDecoder) decoder = fb_taesd_decoder_new (&fb_taesd_standard);

  return write_component (folder, "diffusion_pytorch_model.safetensors",
                          fb_taesd_encoder_params (encoder), fb_taesd_decoder_params (decoder), taesd_config, error);
}

char *
bench_checkpoint (GError **error)
{
  typedef gboolean (* Writer) (const char *folder, GError **error);
  static const struct { const char *name; Writer write; } components[] =
  {
    { "unet", write_unet }, { "text_encoder", write_text_encoder }, { "vae", write_vae }, { "taesd", write_taesd },
  };
  g_autofree char *folder    = g_build_filename (g_get_user_cache_dir (), "flashbrush", "bench", "sd15-random-2", NULL);
  g_autofree char *scheduler = g_build_filename (folder, "scheduler", NULL);
  g_autofree char *config    = g_build_filename (scheduler, "scheduler_config.json", NULL);
  g_autofree char *index     = g_build_filename (folder, "model_index.json", NULL);

  if (g_file_test (index, G_FILE_TEST_EXISTS))
    return g_steal_pointer (&folder);

  g_printerr ("making a full-size checkpoint with random weights in %s (2.1 GB, once)\n", folder);
  for (guint i = 0; i < G_N_ELEMENTS (components); i++)
    {
      g_autofree char *path = g_build_filename (folder, components[i].name, NULL);

      if (!components[i].write (path, error))
        return NULL;
    }
  g_mkdir_with_parents (scheduler, 0755);
  if (!g_file_set_contents (config, scheduler_config, -1, error) ||
      !g_file_set_contents (index, index_config, -1, error))              /* last: it says that all is there */
    return NULL;

  return g_steal_pointer (&folder);
}
