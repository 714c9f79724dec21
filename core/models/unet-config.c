/* core/models/unet-config.c: reads a UNet2DConditionModel's config.json. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gi18n-lib.h>

#include "core/models/config.h"
#include "core/models/unet.h"

/* fields whose other values would change the network in ways nobody of the supported families does */
static const struct { const char *key, *value; } fixed_strings[] =
{
  { "act_fn",                  "silu" },
  { "mid_block_type",          "UNetMidBlock2DCrossAttn" },
  { "resnet_time_scale_shift", "default" },
  { "time_embedding_type",     "positional" },
  { "attention_type",          "default" },
  { "class_embed_type",        NULL },
  { "encoder_hid_dim_type",    NULL },
  { "time_embedding_act_fn",   NULL },
  { "timestep_post_act",       NULL },
  { "cross_attention_norm",    NULL },
};
static const struct { const char *key; int value; } fixed_numbers[] =
{
  { "conv_in_kernel",           3 },
  { "conv_out_kernel",          3 },
  { "downsample_padding",       1 },
  { "mid_block_scale_factor",   1 },
  { "resnet_out_scale_factor",  1 },
  { "time_cond_proj_dim",       0 },    /* guidance as an input: LCM's full checkpoints */
  { "time_embedding_dim",       0 },
};
static const char * const fixed_false[] =
{
  "center_input_sample", "dual_cross_attention", "resnet_skip_time_act", "class_embeddings_concat", "mid_block_only_cross_attention",
};

static void
check_fixed (FbConfigReader *r)
{
  for (gsize i = 0; i < G_N_ELEMENTS (fixed_strings); i++)
    {
      const char *value = fb_config_string (r, fixed_strings[i].key, fixed_strings[i].value);

      if (g_strcmp0 (value, fixed_strings[i].value) != 0)
        fb_config_unsupported (r, fixed_strings[i].key, value);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (fixed_numbers); i++)
    {
      const double value = fb_config_double (r, fixed_numbers[i].key, -1e9, 1e9, fixed_numbers[i].value);
      char         text[G_ASCII_DTOSTR_BUF_SIZE];

      if (value != fixed_numbers[i].value)
        fb_config_unsupported (r, fixed_numbers[i].key, g_ascii_dtostr (text, sizeof text, value));
    }
  for (gsize i = 0; i < G_N_ELEMENTS (fixed_false); i++)
    if (fb_config_bool (r, fixed_false[i], FALSE))
      fb_config_unsupported (r, fixed_false[i], "true");
}

/* One list of block types; levels[i] is the level of its entry i */
static void
parse_block_types (FbConfigReader *r, const char *key, const char *plain, const char *cross, int n, gboolean upwards, gboolean *attention)
{
  if (fb_config_length (r, key, FB_UNET_MAX_LEVELS) != n)
    fb_config_fail (r, _("its lists of blocks and of block channels differ in length"));

  for (int i = 0; i < n; i++)
    {
      const char *type = fb_config_string_at (r, key, i);

      attention[upwards ? n - 1 - i : i] = g_strcmp0 (type, cross) == 0;
      if (g_strcmp0 (type, cross) != 0 && g_strcmp0 (type, plain) != 0)
        fb_config_unsupported (r, key, type);
    }
}

static void
check_divisions (FbConfigReader *r, const FbUnetConfig *c)
{
  for (int i = 0; i < c->n_levels; i++)
    if (c->block_channels[i] % c->n_groups != 0 || c->block_channels[i] % c->n_heads[i] != 0)
      fb_config_fail (r, _("block_out_channels are not multiples of norm_num_groups and attention_head_dim"));
}

gboolean
fb_unet_config_parse (FbUnetConfig *config, JsonObject *json, const char *path, GError **error)
{
  FbConfigReader r = { .json = json, .path = path };
  const int      n = fb_config_length (&r, "block_out_channels", FB_UNET_MAX_LEVELS);
  const char    *addition;

  if (n == 0)
    fb_config_fail (&r, _("block_out_channels are missing"));

  *config = (FbUnetConfig) {
    .n_levels        = n,
    .in_channels     = fb_config_int (&r, "in_channels", 1, 1024, 4),
    .out_channels    = fb_config_int (&r, "out_channels", 1, 1024, 4),
    .context_width   = fb_config_int (&r, "cross_attention_dim", 1, 65536, 1280),
    .n_groups        = fb_config_int (&r, "norm_num_groups", 1, 1024, 32),
    .eps             = fb_config_double (&r, "norm_eps", 1e-12, 1.0, 1e-5),
    .flip_sin_to_cos = fb_config_bool (&r, "flip_sin_to_cos", TRUE),
    .frequency_shift = fb_config_double (&r, "freq_shift", 0.0, 1.0, 0.0),
    .n_class_labels  = fb_config_int (&r, "num_class_embeds", 0, 1000000, 0),
  };
  fb_config_ints (&r, "block_out_channels", 1, 65536, 0, config->block_channels, n);
  fb_config_ints (&r, "layers_per_block", 1, FB_UNET_MAX_LAYERS - 1, 2, config->layers_per_block, n);
  fb_config_ints (&r, "transformer_layers_per_block", 1, 100, 1, config->transformer_depth, n);
  fb_config_ints (&r, "attention_head_dim", 1, 1024, 8, config->n_heads, n);       /* the number of heads, whatever its name says */
  fb_config_bools (&r, "only_cross_attention", FALSE, config->only_cross_attention, n);
  parse_block_types (&r, "down_block_types", "DownBlock2D", "CrossAttnDownBlock2D", n, FALSE, config->down_attention);
  parse_block_types (&r, "up_block_types", "UpBlock2D", "CrossAttnUpBlock2D", n, TRUE, config->up_attention);

  addition = fb_config_string (&r, "addition_embed_type", NULL);
  if (g_strcmp0 (addition, "text_time") == 0)
    {
      config->time_id_width = fb_config_int (&r, "addition_time_embed_dim", 2, 65536, 256);
      config->additional_width = fb_config_int (&r, "projection_class_embeddings_input_dim", 1, 65536, 2816);
      if (config->additional_width <= 6 * config->time_id_width)
        fb_config_fail (&r, _("projection_class_embeddings_input_dim leaves no room for the pooled text"));
    }
  else if (addition != NULL)
    fb_config_unsupported (&r, "addition_embed_type", addition);

  check_fixed (&r);
  if (r.error == NULL)
    check_divisions (&r, config);

  return fb_config_finish (&r, error);
}
