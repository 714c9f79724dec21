/* core/models/taesd.c: the tiny autoencoder for previews. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/taesd.h"

#include <glib/gi18n-lib.h>
#include <math.h>

#include "core/models/config.h"

#define MAX_BLOCKS 16

typedef struct
{
  FbConv2d conv[3];
} Block;

/* The state dict is one long list, so a stage's layers are named by a running index. */
typedef struct
{
  FbConv2d conv;                /* before the blocks in the encoder, after them in the decoder */
  int      n_blocks;
  Block    blocks[MAX_BLOCKS];
} Stage;

struct FbTaesdEncoder
{
  FbTaesdConfig config;
  FbParams     *params;
  Stage         stages[FB_TAESD_MAX_STAGES];
  FbConv2d      conv_out;
};

struct FbTaesdDecoder
{
  FbTaesdConfig config;
  FbParams     *params;
  FbConv2d      conv_in;
  Stage         stages[FB_TAESD_MAX_STAGES];
};

const FbTaesdConfig fb_taesd_standard =
{
  .channels = 64, .latent_channels = 4, .n_stages = 4, .encoder_blocks = { 1, 3, 3, 3 }, .decoder_blocks = { 3, 3, 3, 1 },
};

static const FbConv2dParams same    = { .stride = 1, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 1 };
static const FbConv2dParams halve   = { .stride = 2, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 1 };
static const FbConv2dParams enlarge = { .stride = 1, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 2 };

gboolean
fb_taesd_config_parse (FbTaesdConfig *config, JsonObject *json, const char *path, GError **error)
{
  FbConfigReader r        = { .json = json, .path = path };
  const int      n        = fb_config_length (&r, "num_decoder_blocks", FB_TAESD_MAX_STAGES);
  const char    *act      = fb_config_string (&r, "act_fn", "relu");
  const char    *upsample = fb_config_string (&r, "upsample_fn", "nearest");
  int            channels[2][FB_TAESD_MAX_STAGES];

  if (n == 0)
    fb_config_fail (&r, _("num_decoder_blocks are missing"));
  if (g_strcmp0 (act, "relu") != 0)
    fb_config_unsupported (&r, "act_fn", act);
  if (g_strcmp0 (upsample, "nearest") != 0)
    fb_config_unsupported (&r, "upsample_fn", upsample);

  *config = (FbTaesdConfig) { .n_stages = n, .latent_channels = fb_config_int (&r, "latent_channels", 1, 1024, 4) };
  fb_config_ints (&r, "num_encoder_blocks", 1, MAX_BLOCKS, 1, config->encoder_blocks, n);
  fb_config_ints (&r, "num_decoder_blocks", 1, MAX_BLOCKS, 1, config->decoder_blocks, n);
  fb_config_ints (&r, "encoder_block_out_channels", 1, 65536, 64, channels[0], n);
  fb_config_ints (&r, "decoder_block_out_channels", 1, 65536, 64, channels[1], n);
  config->channels = channels[0][0];
  for (int i = 0; i < n; i++)
    if (channels[0][i] != config->channels || channels[1][i] != config->channels)
      fb_config_fail (&r, _("its blocks differ in width"));

  return fb_config_finish (&r, error);
}

static void
blocks_init (Stage *stage, FbParams *params, int n_blocks, int channels, int *index)
{
  stage->n_blocks = n_blocks;
  for (int j = 0; j < n_blocks; j++, (*index)++)
    {
      fb_params_enter (params, "%d.", *index);
      for (int k = 0; k < 3; k++)
        {
          static const char * const names[] = { "conv.0", "conv.2", "conv.4" };

          fb_params_conv2d (params, &stage->blocks[j].conv[k], names[k], channels, channels, 3);
        }
      fb_params_leave (params);
    }
}

static void
conv_init (FbConv2d *m, FbParams *params, int in_channels, int out_channels, gboolean bias, const FbConv2dParams *settings, int *index)
{
  g_autofree char *name = g_strdup_printf ("%d", (*index)++);

  fb_params_conv2d_full (params, m, name, in_channels, out_channels, 3, bias, settings);
}

FbTaesdEncoder *
fb_taesd_encoder_new (const FbTaesdConfig *config)
{
  FbTaesdEncoder *m     = g_new0 (FbTaesdEncoder, 1);
  int             index = 0;

  m->config = *config;
  m->params = fb_params_new ();

  fb_params_enter (m->params, "encoder.layers.");
  for (int i = 0; i < config->n_stages; i++)
    {
      if (i == 0)
        conv_init (&m->stages[i].conv, m->params, 3, config->channels, TRUE, &same, &index);
      else
        conv_init (&m->stages[i].conv, m->params, config->channels, config->channels, FALSE, &halve, &index);
      blocks_init (&m->stages[i], m->params, config->encoder_blocks[i], config->channels, &index);
    }
  conv_init (&m->conv_out, m->params, config->channels, config->latent_channels, TRUE, &same, &index);
  fb_params_leave (m->params);

  return m;
}

FbTaesdDecoder *
fb_taesd_decoder_new (const FbTaesdConfig *config)
{
  FbTaesdDecoder *m     = g_new0 (FbTaesdDecoder, 1);
  int             index = 0;

  m->config = *config;
  m->params = fb_params_new ();

  fb_params_enter (m->params, "decoder.layers.");
  conv_init (&m->conv_in, m->params, config->latent_channels, config->channels, TRUE, &same, &index);
  index++;                                                 /* the activation has an index too */
  for (int i = 0; i < config->n_stages; i++)
    {
      const gboolean last = i == config->n_stages - 1;

      blocks_init (&m->stages[i], m->params, config->decoder_blocks[i], config->channels, &index);
      if (!last)
        index++;                                           /* and the enlargement */
      conv_init (&m->stages[i].conv, m->params, config->channels, last ? 3 : config->channels, last, last ? &same : &enlarge, &index);
    }
  fb_params_leave (m->params);

  return m;
}

void
fb_taesd_encoder_free (FbTaesdEncoder *m)
{
  if (m != NULL)
    fb_params_free (m->params);
  g_free (m);
}

void
fb_taesd_decoder_free (FbTaesdDecoder *m)
{
  if (m != NULL)
    fb_params_free (m->params);
  g_free (m);
}

FbParams *
fb_taesd_encoder_params (FbTaesdEncoder *m)
{
  return m->params;
}

FbParams *
fb_taesd_decoder_params (FbTaesdDecoder *m)
{
  return m->params;
}

static FbTensor *
blocks_forward (FbContext *ctx, const Stage *m, FbTensor *x)
{
  for (int j = 0; j < m->n_blocks; j++)
    {
      FbTensor *h;

      fb_nn_scope_begin (ctx);
      h = fb_nn_conv2d_act (ctx, &m->blocks[j].conv[0], x, FB_ACT_RELU);
      h = fb_nn_conv2d_act (ctx, &m->blocks[j].conv[1], h, FB_ACT_RELU);
      h = fb_nn_scope_end (ctx, fb_nn_conv2d_add (ctx, &m->blocks[j].conv[2], h, x, FB_ACT_RELU));
      x = fb_nn_then (ctx, x, h);
    }

  return x;
}

FbTensor *
fb_taesd_encoder_forward (FbContext *ctx, const FbTaesdEncoder *m, FbTensor *picture)
{
  FbTensor *x = picture;

  fb_nn_scope_begin (ctx);
  for (int i = 0; i < m->config.n_stages; i++)
    {
      x = fb_nn_then (ctx, x, fb_nn_conv2d (ctx, &m->stages[i].conv, x));
      x = blocks_forward (ctx, &m->stages[i], x);
    }

  return fb_nn_scope_end (ctx, fb_nn_conv2d_f32 (ctx, &m->conv_out, x));
}

void
fb_taesd_clamp (float *latents, gsize n)
{
  for (gsize i = 0; i < n; i++)
    latents[i] = 3.0f * tanhf (latents[i] / 3.0f);
}

FbTensor *
fb_taesd_decoder_forward (FbContext *ctx, const FbTaesdDecoder *m, FbTensor *latents)
{
  const int last = m->config.n_stages - 1;
  FbTensor *x;

  fb_nn_scope_begin (ctx);
  x = fb_nn_conv2d_act (ctx, &m->conv_in, latents, FB_ACT_RELU);
  for (int i = 0; i < last; i++)
    {
      x = blocks_forward (ctx, &m->stages[i], x);
      x = fb_nn_then (ctx, x, fb_nn_conv2d (ctx, &m->stages[i].conv, x));
    }
  x = blocks_forward (ctx, &m->stages[last], x);

  return fb_nn_scope_end (ctx, fb_nn_conv2d_f32 (ctx, &m->stages[last].conv, x));
}
