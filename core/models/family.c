/* core/models/family.c: the families of models, and configurations read off tensor shapes. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/family.h"

#include <glib/gi18n-lib.h>

#define STANDARD_GROUPS 32

/* The more particular a row, the earlier it stands: the first that fits is taken. Guidance and steps are those of the models' cards. */
static const FbFamily families[] =
{
  /*  name                label                          in  context  class  add'l  heads  width  text activation     VAE scale  prediction          size  steps cfg  sampler      loads */
  { "sd-x4-upscaler",    "Stable Diffusion x4 Upscaler",   7,      0, TRUE,  FALSE,    8,     0, FB_ACT_GELU,        0.08333f,  FB_PREDICT_V,        512,   20, 9.0, "ddim",      TRUE  },
  { "sdxl-inpainting",   "SDXL Inpainting",                9,      0, FALSE, TRUE,     0,    64, FB_ACT_QUICK_GELU,  0.13025f,  FB_PREDICT_EPSILON, 1024,   25, 7.0, "dpmpp-2m",  FALSE },
  { "sdxl",              "SDXL",                           4,      0, FALSE, TRUE,     0,    64, FB_ACT_QUICK_GELU,  0.13025f,  FB_PREDICT_EPSILON, 1024,   25, 7.0, "dpmpp-2m",  FALSE },
  { "sd-2-inpainting",   "Stable Diffusion 2 Inpainting",  9,   1024, FALSE, FALSE,    0,    64, FB_ACT_GELU,        0.18215f,  FB_PREDICT_EPSILON,  512,   25, 7.5, "dpmpp-2m",  TRUE  },
  { "sd-2",              "Stable Diffusion 2",             4,   1024, FALSE, FALSE,    0,    64, FB_ACT_GELU,        0.18215f,  FB_PREDICT_EPSILON,  512,   25, 7.5, "dpmpp-2m",  TRUE  },
  { "sd-1.5-inpainting", "Stable Diffusion Inpainting",    9,      0, FALSE, FALSE,    8,     0, FB_ACT_QUICK_GELU,  0.18215f,  FB_PREDICT_EPSILON,  512,   25, 7.5, "dpmpp-2m",  TRUE  },
  { "sd-1.5",            "Stable Diffusion 1.x",           4,      0, FALSE, FALSE,    8,     0, FB_ACT_QUICK_GELU,  0.18215f,  FB_PREDICT_EPSILON,  512,   25, 7.5, "dpmpp-2m",  TRUE  },
};

const FbFamily *
fb_family_lookup (const char *name)
{
  for (gsize i = 0; name != NULL && i < G_N_ELEMENTS (families); i++)
    if (g_str_equal (families[i].name, name))
      return &families[i];
  return NULL;
}

/* Size @dim of the tensor whose name is formatted; 0 if there is no such tensor or size. Nothing in the file can make it more than 2²⁰. */
static int G_GNUC_PRINTF (3, 4)
size_of (FbCheckpoint *checkpoint, int dim, const char *format, ...)
{
  g_autofree char    *name = NULL;
  const FbTensorInfo *info;
  va_list             args;

  va_start (args, format);
  name = g_strdup_vprintf (format, args);
  va_end (args);
  info = fb_checkpoint_lookup (checkpoint, name);

  return info != NULL && dim < info->n_dims && info->shape[dim] > 0 && info->shape[dim] <= 1 << 20 ? (int) info->shape[dim] : 0;
}

static gboolean
refuse (FbCheckpoint *checkpoint, GError **error)
{
  g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_FAMILY,
               _("“%s” belongs to no family of models that is known here. Stable Diffusion 1.x models can be used."),
               fb_checkpoint_path (checkpoint));
  return FALSE;
}

/* columns of the first cross-attention found from the finest level down; a small network may have it in its middle alone */
static int
context_width (FbCheckpoint *unet)
{
  int width = 0;

  for (int i = 0; i < FB_UNET_MAX_LEVELS && width == 0; i++)
    width = size_of (unet, 1, "down_blocks.%d.attentions.0.transformer_blocks.0.attn2.to_k.weight", i);

  return width > 0 ? width : size_of (unet, 1, "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight");
}

const FbFamily *
fb_family_detect (FbCheckpoint *unet, GError **error)
{
  const int      in         = size_of (unet, 1, "conv_in.weight");
  const int      context    = context_width (unet);
  const gboolean classes    = size_of (unet, 0, "class_embedding.weight") > 0;
  const gboolean additional = size_of (unet, 0, "add_embedding.linear_1.weight") > 0;

  for (gsize i = 0; i < G_N_ELEMENTS (families) && context > 0; i++)
    {
      const FbFamily *f = &families[i];

      if (f->in_channels != in || f->class_embedding != classes || f->additional_embedding != additional ||
          (f->context_width != 0 && f->context_width != context))
        continue;
      if (f->loads)
        return f;

      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED,
                   /* Translators: the second %s is a family of models, "SDXL" for example */
                   _("“%s” is a model of the family %s, which is not supported yet. Choose a Stable Diffusion 1.x model."),
                   fb_checkpoint_path (unet), f->label);
      return NULL;
    }

  refuse (unet, error);
  return NULL;
}

static char *
config_path (FbCheckpoint *checkpoint)
{
  return g_strdup_printf ("%s (%s/config.json)", fb_checkpoint_path (checkpoint), fb_checkpoint_component (checkpoint));
}

/* one level of a UNet whose name begins with @side, "down_blocks" or "up_blocks" */
static int
count_layers (FbCheckpoint *checkpoint, const char *prefix, int level, int max)
{
  int n = 0;

  while (n < max && size_of (checkpoint, 0, "%s.%d.resnets.%d.conv1.weight", prefix, level, n) > 0)
    n++;

  return n;
}

static gboolean
unet_config_from_shapes (const FbFamily *family, FbCheckpoint *unet, FbUnetConfig *c, GError **error)
{
  int n = 0;

  *c = (FbUnetConfig) {
    .in_channels = size_of (unet, 1, "conv_in.weight"), .out_channels = size_of (unet, 0, "conv_out.weight"),
    .context_width = context_width (unet), .n_groups = STANDARD_GROUPS, .eps = 1e-5f, .flip_sin_to_cos = TRUE,
    .n_class_labels = size_of (unet, 0, "class_embedding.weight"),
    .additional_width = size_of (unet, 1, "add_embedding.linear_1.weight"),
    .time_id_width = family->additional_embedding ? 256 : 0,
  };

  while (n < FB_UNET_MAX_LEVELS && size_of (unet, 0, "down_blocks.%d.resnets.0.conv1.weight", n) > 0)
    n++;
  c->n_levels = n;
  for (int i = 0; i < n; i++)
    {
      const int channels = c->block_channels[i] = size_of (unet, 0, "down_blocks.%d.resnets.0.conv1.weight", i);
      const int cross    = size_of (unet, 1, "down_blocks.%d.attentions.0.transformer_blocks.0.attn1.to_k.weight", i);

      c->layers_per_block[i] = count_layers (unet, "down_blocks", i, FB_UNET_MAX_LAYERS - 1);
      c->n_heads[i] = family->n_heads > 0 ? family->n_heads : MAX (channels / family->head_width, 1);
      c->down_attention[i] = cross > 0;
      c->up_attention[i] = size_of (unet, 0, "up_blocks.%d.attentions.0.norm.weight", n - 1 - i) > 0;
      c->only_cross_attention[i] = cross > 0 && cross != channels && cross == c->context_width;
      while (c->transformer_depth[i] < 100 &&
             size_of (unet, 0, "down_blocks.%d.attentions.0.transformer_blocks.%d.norm1.weight", i, c->transformer_depth[i]) > 0)
        c->transformer_depth[i]++;
      if (c->transformer_depth[i] == 0)                  /* a level without attention on the way down; the mid block has at least one */
        c->transformer_depth[i] = 1;
      if (channels % STANDARD_GROUPS != 0 || channels % c->n_heads[i] != 0)
        return refuse (unet, error);
    }

  return n > 0 && c->in_channels > 0 && c->out_channels > 0 && c->context_width > 0 ? TRUE : refuse (unet, error);
}

gboolean
fb_family_unet_config (const FbFamily *family, FbCheckpoint *unet, FbUnetConfig *config, GError **error)
{
  g_autofree char *path = config_path (unet);
  JsonObject      *json = fb_checkpoint_config (unet);

  return json != NULL ? fb_unet_config_parse (config, json, path, error) : unet_config_from_shapes (family, unet, config, error);
}

gboolean
fb_family_text_config (const FbFamily *family, FbCheckpoint *text, FbClipTextConfig *config, GError **error)
{
  g_autofree char *path = config_path (text);
  JsonObject      *json = fb_checkpoint_config (text);

  if (json != NULL)
    return fb_clip_text_config_parse (config, json, path, error);

  *config = (FbClipTextConfig) {
    .vocabulary  = size_of (text, 0, "text_model.embeddings.token_embedding.weight"),
    .width       = size_of (text, 1, "text_model.embeddings.token_embedding.weight"),
    .n_positions = size_of (text, 0, "text_model.embeddings.position_embedding.weight"),
    .mlp_width   = size_of (text, 0, "text_model.encoder.layers.0.mlp.fc1.weight"),
    .eps         = 1e-5f,
    .activation  = family->text_activation,
  };
  config->n_heads = MAX (config->width / 64, 1);
  while (config->n_layers < 1000 && size_of (text, 0, "text_model.encoder.layers.%d.mlp.fc1.weight", config->n_layers) > 0)
    config->n_layers++;

  if (config->vocabulary == 0 || config->n_positions == 0 || config->n_layers == 0 || config->width % config->n_heads != 0)
    return refuse (text, error);

  return TRUE;
}

gboolean
fb_family_vae_config (const FbFamily *family, FbCheckpoint *vae, FbVaeConfig *config, GError **error)
{
  g_autofree char *path = config_path (vae);
  JsonObject      *json = fb_checkpoint_config (vae);
  int              n    = 0;

  if (json != NULL)
    return fb_vae_config_parse (config, json, path, error);

  while (n < FB_VAE_MAX_LEVELS && size_of (vae, 0, "decoder.up_blocks.%d.resnets.0.conv1.weight", n) > 0)
    n++;
  *config = (FbVaeConfig) {
    .picture_channels = 3,
    .latent_channels  = size_of (vae, 1, "decoder.conv_in.weight"),
    .n_levels         = n,
    .n_layers         = count_layers (vae, "decoder.up_blocks", 0, FB_VAE_MAX_LAYERS) - 1,
    .n_groups         = STANDARD_GROUPS,
    .mid_attention    = size_of (vae, 0, "decoder.mid_block.attentions.0.to_q.weight") > 0,
    .quant_conv       = size_of (vae, 0, "quant_conv.weight") > 0,
    .post_quant_conv  = size_of (vae, 0, "post_quant_conv.weight") > 0,
    .scaling_factor   = family->scaling_factor,
  };
  for (int i = 0; i < n; i++)
    {
      config->block_channels[i] = size_of (vae, 0, "decoder.up_blocks.%d.resnets.0.conv1.weight", n - 1 - i);
      if (config->block_channels[i] % STANDARD_GROUPS != 0)
        return refuse (vae, error);
    }

  return n > 0 && config->latent_channels > 0 && config->latent_channels <= FB_VAE_MAX_LATENTS && config->n_layers > 0 ? TRUE : refuse (vae, error);
}

gboolean
fb_family_taesd_config (FbCheckpoint *taesd, FbTaesdConfig *config, GError **error)
{
  g_autofree char *path = config_path (taesd);
  JsonObject      *json = fb_checkpoint_config (taesd);

  if (json != NULL)
    return fb_taesd_config_parse (config, json, path, error);

  *config = fb_taesd_standard;
  config->channels = size_of (taesd, 0, "decoder.layers.0.weight");
  config->latent_channels = size_of (taesd, 1, "decoder.layers.0.weight");

  return config->channels > 0 && config->latent_channels > 0 ? TRUE : refuse (taesd, error);
}
