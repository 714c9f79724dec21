/* core/models/autoencoder-kl.c: the latent autoencoder. arXiv:2112.10752, section 3.1. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/autoencoder-kl.h"

#include <glib/gi18n-lib.h>

#include "core/models/config.h"
#include "core/models/resnet.h"

#define EPS 1e-6f

typedef struct
{
  FbNorm   norm;
  FbLinear q, k, v, out;
} MidAttention;

typedef struct
{
  FbResnet     resnets[2];
  gboolean     has_attention;
  MidAttention attention;
} Mid;

typedef struct
{
  int      n_layers;
  gboolean has_resample;
  FbResnet resnets[FB_VAE_MAX_LAYERS];
  FbConv2d resample;
} Level;

struct FbVaeEncoder
{
  FbVaeConfig config;
  FbParams   *params;
  FbConv2d    conv_in, conv_out, quant;
  Level       down[FB_VAE_MAX_LEVELS];
  Mid         mid;
  FbNorm      norm_out;
};

struct FbVaeDecoder
{
  FbVaeConfig config;
  FbParams   *params;
  FbConv2d    conv_in, conv_out, post_quant;
  Mid         mid;
  Level       up[FB_VAE_MAX_LEVELS];          /* in the order they run: coarse to fine */
  FbNorm      norm_out;
};

/* the encoder pads only below and to the right where it halves */
static const FbConv2dParams halve   = { .stride = 2, .pad_bottom = 1, .pad_right = 1, .upsample = 1 };
static const FbConv2dParams enlarge = { .stride = 1, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 2 };

gboolean
fb_vae_config_parse (FbVaeConfig *config, JsonObject *json, const char *path, GError **error)
{
  FbConfigReader r   = { .json = json, .path = path };
  const int      n   = fb_config_length (&r, "block_out_channels", FB_VAE_MAX_LEVELS);
  const char    *act = fb_config_string (&r, "act_fn", "silu");

  if (n == 0)
    fb_config_fail (&r, _("block_out_channels are missing"));
  if (g_strcmp0 (act, "silu") != 0)
    fb_config_unsupported (&r, "act_fn", act);

  *config = (FbVaeConfig) {
    .n_levels         = n,
    .picture_channels = fb_config_int (&r, "in_channels", 3, 3, 3),
    .latent_channels  = fb_config_int (&r, "latent_channels", 1, FB_VAE_MAX_LATENTS, 4),
    .n_layers         = fb_config_int (&r, "layers_per_block", 1, FB_VAE_MAX_LAYERS - 1, 1),
    .n_groups         = fb_config_int (&r, "norm_num_groups", 1, 1024, 32),
    .mid_attention    = fb_config_bool (&r, "mid_block_add_attention", TRUE),
    .quant_conv       = fb_config_bool (&r, "use_quant_conv", TRUE),
    .post_quant_conv  = fb_config_bool (&r, "use_post_quant_conv", TRUE),
    .scaling_factor   = fb_config_double (&r, "scaling_factor", 1e-6, 1e6, 0.18215),
    .shift_factor     = fb_config_double (&r, "shift_factor", -1e6, 1e6, 0.0),
  };
  fb_config_ints (&r, "block_out_channels", 1, 65536, 0, config->block_channels, n);
  fb_config_int (&r, "out_channels", 3, 3, 3);
  for (int i = 0; i < n && r.error == NULL; i++)
    {
      const char *down = fb_config_string_at (&r, "down_block_types", i);
      const char *up   = fb_config_string_at (&r, "up_block_types", i);

      if (g_strcmp0 (down, "DownEncoderBlock2D") != 0)
        fb_config_unsupported (&r, "down_block_types", down);
      if (g_strcmp0 (up, "UpDecoderBlock2D") != 0)
        fb_config_unsupported (&r, "up_block_types", up);
      if (config->block_channels[i] % config->n_groups != 0)
        fb_config_fail (&r, _("block_out_channels are not multiples of norm_num_groups"));
    }

  return fb_config_finish (&r, error);
}

int
fb_vae_config_scale (const FbVaeConfig *config)
{
  return 1 << (config->n_levels - 1);
}

static void
resnet_init (FbResnet *m, FbParams *params, int index, int in_channels, int out_channels, int n_groups)
{
  fb_params_enter (params, "resnets.%d.", index);
  fb_resnet_init (m, params, in_channels, out_channels, 0, n_groups, EPS);
  fb_params_leave (params);
}

static void
mid_init (Mid *m, FbParams *params, const FbVaeConfig *c)
{
  const int channels = c->block_channels[c->n_levels - 1];

  m->has_attention = c->mid_attention;

  fb_params_enter (params, "mid_block.");
  resnet_init (&m->resnets[0], params, 0, channels, channels, c->n_groups);
  if (m->has_attention)
    {
      fb_params_enter (params, "attentions.0.");
      fb_params_group_norm (params, &m->attention.norm, "group_norm", channels, c->n_groups, EPS);
      fb_params_linear (params, &m->attention.q, "to_q", channels, channels, TRUE);
      fb_params_linear (params, &m->attention.k, "to_k", channels, channels, TRUE);
      fb_params_linear (params, &m->attention.v, "to_v", channels, channels, TRUE);
      fb_params_linear (params, &m->attention.out, "to_out.0", channels, channels, TRUE);
      fb_params_leave (params);
    }
  resnet_init (&m->resnets[1], params, 1, channels, channels, c->n_groups);
  fb_params_leave (params);
}

FbVaeEncoder *
fb_vae_encoder_new (const FbVaeConfig *config)
{
  FbVaeEncoder      *m    = g_new0 (FbVaeEncoder, 1);
  FbParams          *params = fb_params_new ();
  const FbVaeConfig *c    = config;
  const int          last = c->block_channels[c->n_levels - 1];

  m->config = *config;
  m->params = params;

  fb_params_enter (params, "encoder.");
  fb_params_conv2d (params, &m->conv_in, "conv_in", c->picture_channels, c->block_channels[0], 3);
  for (int i = 0; i < c->n_levels; i++)
    {
      Level    *level = &m->down[i];
      const int out   = c->block_channels[i];

      level->n_layers = c->n_layers;
      level->has_resample = i < c->n_levels - 1;
      fb_params_enter (params, "down_blocks.%d.", i);
      for (int j = 0; j < level->n_layers; j++)
        resnet_init (&level->resnets[j], params, j, j > 0 ? out : c->block_channels[MAX (i - 1, 0)], out, c->n_groups);
      if (level->has_resample)
        fb_params_conv2d_full (params, &level->resample, "downsamplers.0.conv", out, out, 3, TRUE, &halve);
      fb_params_leave (params);
    }
  mid_init (&m->mid, params, c);
  fb_params_group_norm (params, &m->norm_out, "conv_norm_out", last, c->n_groups, EPS);
  fb_params_conv2d (params, &m->conv_out, "conv_out", last, 2 * c->latent_channels, 3);
  fb_params_leave (params);
  if (c->quant_conv)
    fb_params_conv2d (params, &m->quant, "quant_conv", 2 * c->latent_channels, 2 * c->latent_channels, 1);

  return m;
}

FbVaeDecoder *
fb_vae_decoder_new (const FbVaeConfig *config)
{
  FbVaeDecoder      *m    = g_new0 (FbVaeDecoder, 1);
  FbParams          *params = fb_params_new ();
  const FbVaeConfig *c    = config;

  m->config = *config;
  m->params = params;

  if (c->post_quant_conv)
    fb_params_conv2d (params, &m->post_quant, "post_quant_conv", c->latent_channels, c->latent_channels, 1);
  fb_params_enter (params, "decoder.");
  fb_params_conv2d (params, &m->conv_in, "conv_in", c->latent_channels, c->block_channels[c->n_levels - 1], 3);
  mid_init (&m->mid, params, c);
  for (int i = 0; i < c->n_levels; i++)
    {
      Level    *level = &m->up[i];
      const int l     = c->n_levels - 1 - i;
      const int out   = c->block_channels[l];

      level->n_layers = c->n_layers + 1;
      level->has_resample = l > 0;
      fb_params_enter (params, "up_blocks.%d.", i);
      for (int j = 0; j < level->n_layers; j++)
        resnet_init (&level->resnets[j], params, j, j > 0 ? out : c->block_channels[MIN (l + 1, c->n_levels - 1)], out, c->n_groups);
      if (level->has_resample)
        fb_params_conv2d_full (params, &level->resample, "upsamplers.0.conv", out, out, 3, TRUE, &enlarge);
      fb_params_leave (params);
    }
  fb_params_group_norm (params, &m->norm_out, "conv_norm_out", c->block_channels[0], c->n_groups, EPS);
  fb_params_conv2d (params, &m->conv_out, "conv_out", c->block_channels[0], c->picture_channels, 3);
  fb_params_leave (params);

  return m;
}

void
fb_vae_encoder_free (FbVaeEncoder *m)
{
  if (m != NULL)
    fb_params_free (m->params);
  g_free (m);
}

void
fb_vae_decoder_free (FbVaeDecoder *m)
{
  if (m != NULL)
    fb_params_free (m->params);
  g_free (m);
}

FbParams *
fb_vae_encoder_params (FbVaeEncoder *m)
{
  return m->params;
}

FbParams *
fb_vae_decoder_params (FbVaeDecoder *m)
{
  return m->params;
}

/* x [N, H, W, C] -> [N, H, W, C]: one head as wide as the picture has channels */
static FbTensor *
attention_forward (FbContext *ctx, const MidAttention *m, FbTensor *x)
{
  FbTensor *h, *q, *k, *v;

  fb_nn_scope_begin (ctx);

  h = fb_nn_as_tokens (ctx, fb_nn_group_norm (ctx, &m->norm, x, FB_ACT_NONE));
  q = fb_nn_linear (ctx, &m->q, h);
  k = fb_nn_linear (ctx, &m->k, h);
  v = fb_nn_linear (ctx, &m->v, h);
  h = fb_nn_attention (ctx, q, k, v, 1, FALSE);
  h = fb_nn_linear_add (ctx, &m->out, h, fb_nn_as_tokens (ctx, x));

  return fb_nn_scope_end (ctx, fb_nn_as_picture (ctx, h, x->shape[1], x->shape[2]));
}

static FbTensor *
mid_forward (FbContext *ctx, const Mid *m, FbTensor *x)
{
  x = fb_resnet_forward (ctx, &m->resnets[0], x, NULL);
  if (m->has_attention)
    x = fb_nn_then (ctx, x, attention_forward (ctx, &m->attention, x));

  return fb_nn_then (ctx, x, fb_resnet_forward (ctx, &m->resnets[1], x, NULL));
}

static FbTensor *
level_forward (FbContext *ctx, const Level *m, FbTensor *x)
{
  for (int j = 0; j < m->n_layers; j++)
    x = fb_nn_then (ctx, x, fb_resnet_forward (ctx, &m->resnets[j], x, NULL));
  if (m->has_resample)
    x = fb_nn_then (ctx, x, fb_nn_conv2d (ctx, &m->resample, x));

  return x;
}

FbTensor *
fb_vae_encoder_forward (FbContext *ctx, const FbVaeEncoder *m, FbTensor *picture)
{
  FbTensor *x;

  fb_nn_scope_begin (ctx);

  x = fb_nn_conv2d (ctx, &m->conv_in, picture);
  for (int i = 0; i < m->config.n_levels; i++)
    x = level_forward (ctx, &m->down[i], x);
  x = fb_nn_then (ctx, x, mid_forward (ctx, &m->mid, x));
  x = fb_nn_then (ctx, x, fb_nn_group_norm (ctx, &m->norm_out, x, FB_ACT_SILU));
  if (m->config.quant_conv)
    x = fb_nn_conv2d_f32 (ctx, &m->quant, fb_nn_conv2d (ctx, &m->conv_out, x));
  else
    x = fb_nn_conv2d_f32 (ctx, &m->conv_out, x);

  return fb_nn_scope_end (ctx, x);
}

FbTensor *
fb_vae_decoder_forward (FbContext *ctx, const FbVaeDecoder *m, FbTensor *latents)
{
  FbTensor *x = latents;

  fb_nn_scope_begin (ctx);

  if (m->config.post_quant_conv)
    x = fb_nn_conv2d (ctx, &m->post_quant, x);
  x = fb_nn_then (ctx, x, fb_nn_conv2d (ctx, &m->conv_in, x));
  x = fb_nn_then (ctx, x, mid_forward (ctx, &m->mid, x));
  for (int i = 0; i < m->config.n_levels; i++)
    x = level_forward (ctx, &m->up[i], x);
  x = fb_nn_then (ctx, x, fb_nn_group_norm (ctx, &m->norm_out, x, FB_ACT_SILU));

  return fb_nn_scope_end (ctx, fb_nn_conv2d_f32 (ctx, &m->conv_out, x));
}
