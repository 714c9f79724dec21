/* core/models/unet.c: the denoising UNet of Stable Diffusion, arXiv:2112.10752. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/unet.h"

#include <math.h>

#include "core/models/resnet.h"
#include "core/models/transformer.h"

/* One level of one side: residual blocks, each followed by a transformer where the level has them, then a change of resolution */
typedef struct
{
  int           n_layers;
  gboolean      has_attention, has_resample;
  FbResnet      resnets[FB_UNET_MAX_LAYERS];
  FbTransformer attentions[FB_UNET_MAX_LAYERS];
  FbConv2d      resample;
} Level;

struct FbUnet
{
  FbUnetConfig  config;
  FbParams     *params;
  FbLinear      time1, time2;
  FbLinear      additional1, additional2;     /* SDXL */
  FbTable       classes;                      /* x4 upscaler */
  FbConv2d      conv_in, conv_out;
  Level         down[FB_UNET_MAX_LEVELS];
  FbResnet      mid_resnets[2];
  FbTransformer mid_attention;
  Level         up[FB_UNET_MAX_LEVELS];       /* in the order they run: coarse to fine */
  FbNorm        norm_out;
};

static const FbConv2dParams halve  = { .stride = 2, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 1 };
static const FbConv2dParams enlarge = { .stride = 1, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 2 };

static int
time_width (const FbUnetConfig *c)
{
  return 4 * c->block_channels[0];
}

static void
resnet_init (FbUnet *m, FbResnet *resnet, int index, int in_channels, int out_channels)
{
  const FbUnetConfig *c = &m->config;

  fb_params_enter (m->params, "resnets.%d.", index);
  fb_resnet_init (resnet, m->params, in_channels, out_channels, time_width (c), c->n_groups, c->eps);
  fb_params_leave (m->params);
}

static void
attention_init (FbUnet *m, FbTransformer *attention, int index, int level, gboolean only_cross)
{
  const FbUnetConfig *c = &m->config;

  fb_params_enter (m->params, "attentions.%d.", index);
  fb_transformer_init (attention, m->params, c->block_channels[level], c->context_width, c->transformer_depth[level],
                       c->n_heads[level], only_cross, c->n_groups);
  fb_params_leave (m->params);
}

static void
down_init (FbUnet *m, int i)
{
  const FbUnetConfig *c     = &m->config;
  Level              *level = &m->down[i];
  const int           out   = c->block_channels[i];

  level->n_layers = c->layers_per_block[i];
  level->has_attention = c->down_attention[i];
  level->has_resample = i < c->n_levels - 1;

  fb_params_enter (m->params, "down_blocks.%d.", i);
  for (int j = 0; j < level->n_layers; j++)
    {
      resnet_init (m, &level->resnets[j], j, j > 0 ? out : c->block_channels[MAX (i - 1, 0)], out);
      if (level->has_attention)
        attention_init (m, &level->attentions[j], j, i, c->only_cross_attention[i]);
    }
  if (level->has_resample)
    fb_params_conv2d_full (m->params, &level->resample, "downsamplers.0.conv", out, out, 3, TRUE, &halve);
  fb_params_leave (m->params);
}

static void
mid_init (FbUnet *m)
{
  const int last     = m->config.n_levels - 1;
  const int channels = m->config.block_channels[last];

  fb_params_enter (m->params, "mid_block.");
  resnet_init (m, &m->mid_resnets[0], 0, channels, channels);
  attention_init (m, &m->mid_attention, 0, last, FALSE);
  resnet_init (m, &m->mid_resnets[1], 1, channels, channels);
  fb_params_leave (m->params);
}

/* @i counts as the blocks run: 0 is the coarsest level. Each residual block takes the matching output of the way down as further channels. */
static void
up_init (FbUnet *m, int i)
{
  const FbUnetConfig *c        = &m->config;
  Level              *level    = &m->up[i];
  const int           l        = c->n_levels - 1 - i;
  const int           out      = c->block_channels[l];
  const int           previous = c->block_channels[MIN (l + 1, c->n_levels - 1)];
  const int           finer    = c->block_channels[MAX (l - 1, 0)];

  level->n_layers = c->layers_per_block[l] + 1;
  level->has_attention = c->up_attention[l];
  level->has_resample = l > 0;

  fb_params_enter (m->params, "up_blocks.%d.", i);
  for (int j = 0; j < level->n_layers; j++)
    {
      const int from_below = j > 0 ? out : previous;
      const int from_skip  = j < level->n_layers - 1 ? out : finer;

      resnet_init (m, &level->resnets[j], j, from_below + from_skip, out);
      if (level->has_attention)
        attention_init (m, &level->attentions[j], j, l, c->only_cross_attention[l]);
    }
  if (level->has_resample)
    fb_params_conv2d_full (m->params, &level->resample, "upsamplers.0.conv", out, out, 3, TRUE, &enlarge);
  fb_params_leave (m->params);
}

FbUnet *
fb_unet_new (const FbUnetConfig *config)
{
  FbUnet             *m = g_new0 (FbUnet, 1);
  const FbUnetConfig *c = &m->config;

  m->config = *config;
  m->params = fb_params_new ();

  fb_params_linear (m->params, &m->time1, "time_embedding.linear_1", c->block_channels[0], time_width (c), TRUE);
  fb_params_linear (m->params, &m->time2, "time_embedding.linear_2", time_width (c), time_width (c), TRUE);
  if (c->n_class_labels > 0)
    fb_params_table (m->params, &m->classes, "class_embedding", c->n_class_labels, time_width (c));
  if (c->time_id_width > 0)
    {
      fb_params_linear (m->params, &m->additional1, "add_embedding.linear_1", c->additional_width, time_width (c), TRUE);
      fb_params_linear (m->params, &m->additional2, "add_embedding.linear_2", time_width (c), time_width (c), TRUE);
    }

  fb_params_conv2d (m->params, &m->conv_in, "conv_in", c->in_channels, c->block_channels[0], 3);
  for (int i = 0; i < c->n_levels; i++)
    down_init (m, i);
  mid_init (m);
  for (int i = 0; i < c->n_levels; i++)
    up_init (m, i);
  fb_params_group_norm (m->params, &m->norm_out, "conv_norm_out", c->block_channels[0], c->n_groups, c->eps);
  fb_params_conv2d (m->params, &m->conv_out, "conv_out", c->block_channels[0], c->out_channels, 3);

  return m;
}

void
fb_unet_free (FbUnet *m)
{
  if (m == NULL)
    return;

  fb_params_free (m->params);
  for (int i = 0; i < FB_UNET_MAX_LEVELS; i++)
    for (int j = 0; j < FB_UNET_MAX_LAYERS; j++)
      {
        fb_transformer_clear (&m->down[i].attentions[j]);
        fb_transformer_clear (&m->up[i].attentions[j]);
      }
  fb_transformer_clear (&m->mid_attention);
  g_free (m);
}

FbParams *
fb_unet_params (FbUnet *m)
{
  return m->params;
}

const FbUnetConfig *
fb_unet_config (const FbUnet *m)
{
  return &m->config;
}

gboolean
fb_unet_halves_oddly (const FbUnet *m, int height, int width)
{
  const int n = 1 << (m->config.n_levels - 1);

  return height % n != 0 || width % n != 0;
}

int
fb_unet_feature_channels (const FbUnet *m)
{
  return m->config.block_channels[m->config.n_levels - 1];
}

void
fb_unet_feature_size (const FbUnet *m, int height, int width, int *feature_height, int *feature_width)
{
  const int n = 1 << (m->config.n_levels - 1);

  *feature_height = (height + n - 1) / n;
  *feature_width = (width + n - 1) / n;
}

void
fb_unet_sinusoid (float value, int width, gboolean flip_sin_to_cos, float frequency_shift, float *out)
{
  const int half = width / 2;
  float    *sines   = flip_sin_to_cos ? out + half : out;
  float    *cosines = flip_sin_to_cos ? out : out + half;

  for (int i = 0; i < half; i++)
    {
      const float frequency = expf (-logf (10000.0f) * (float) i / ((float) half - frequency_shift));

      sines[i] = sinf (value * frequency);
      cosines[i] = cosf (value * frequency);
    }
  if (width % 2 == 1)
    out[width - 1] = 0.0f;
}

/* SDXL: pooled text and the sinusoids of six sizes per picture, [N, T] */
static FbTensor *
additional_embedding (FbContext *ctx, const FbUnet *m, const FbUnetConditions *conditions, int n)
{
  const FbUnetConfig *c       = &m->config;
  const int           shape[] = { n, c->additional_width };
  const int           n_pooled = c->additional_width - 6 * c->time_id_width;
  g_autofree float   *rows    = g_new (float, (size_t) n * c->additional_width);

  for (int i = 0; i < n; i++)
    {
      float *row = rows + (size_t) i * c->additional_width;

      memcpy (row, conditions->pooled + (size_t) i * n_pooled, n_pooled * sizeof (float));
      for (int j = 0; j < 6; j++)
        fb_unet_sinusoid (conditions->time_ids[i * 6 + j], c->time_id_width, c->flip_sin_to_cos, c->frequency_shift,
                          row + n_pooled + j * c->time_id_width);
    }

  return fb_nn_linear (ctx, &m->additional2,
                       fb_nn_linear_act (ctx, &m->additional1, fb_nn_upload (ctx, fb_nn_dtype (ctx), rows, 2, shape), FB_ACT_SILU));
}

/* SiLU of the time embedding: [1, T] where all pictures share it, else [N, T] */
FbTensor *
fb_unet_embed_time (FbContext *ctx, const FbUnet *m, const FbUnetConditions *conditions, int n)
{
  const FbUnetConfig *c       = &m->config;
  const int           shape[] = { c->time_id_width > 0 || conditions->timesteps != NULL ? n : 1, c->block_channels[0] };
  g_autofree float   *rows    = g_new (float, (size_t) shape[0] * shape[1]);
  FbTensor           *temb;

  fb_nn_scope_begin (ctx);

  for (int i = 0; i < shape[0]; i++)
    fb_unet_sinusoid (conditions->timesteps != NULL ? conditions->timesteps[i] : conditions->timestep, shape[1], c->flip_sin_to_cos,
                      c->frequency_shift, rows + (size_t) i * shape[1]);
  temb = fb_nn_upload (ctx, fb_nn_dtype (ctx), rows, 2, shape);
  temb = fb_nn_linear (ctx, &m->time2, fb_nn_linear_act (ctx, &m->time1, temb, FB_ACT_SILU));

  if (c->n_class_labels > 0)
    {
      const int         class_shape[] = { 1, time_width (c) };
      g_autofree float *row           = g_new0 (float, time_width (c));

      fb_table_add_row (&m->classes, conditions->class_label, row);
      temb = fb_nn_add (ctx, temb, fb_nn_upload (ctx, fb_nn_dtype (ctx), row, shape[0] > 1 ? 1 : 2, class_shape + (shape[0] > 1)));
    }
  if (c->time_id_width > 0)
    temb = fb_nn_add (ctx, temb, additional_embedding (ctx, m, conditions, n));

  return fb_nn_scope_end (ctx, fb_nn_activation (ctx, temb, FB_ACT_SILU));
}

/* The residual block, then the transformer if there is one */
static FbTensor *
layer_forward (FbContext *ctx, const Level *m, int j, FbTensor *x, FbTensor *temb, FbTensor *context)
{
  x = fb_resnet_forward (ctx, &m->resnets[j], x, temb);
  if (m->has_attention)
    x = fb_nn_then (ctx, x, fb_transformer_forward (ctx, &m->attentions[j], x, context));

  return x;
}

static FbTensor *
mid_forward (FbContext *ctx, const FbUnet *m, FbTensor *x, FbTensor *temb, FbTensor *context)
{
  x = fb_resnet_forward (ctx, &m->mid_resnets[0], x, temb);
  x = fb_nn_then (ctx, x, fb_transformer_forward (ctx, &m->mid_attention, x, context));

  return fb_nn_then (ctx, x, fb_resnet_forward (ctx, &m->mid_resnets[1], x, temb));
}

/* What the way down leaves for the way up */
typedef struct
{
  FbTensor *temb;
  FbTensor *tensors[FB_UNET_MAX_LEVELS * FB_UNET_MAX_LAYERS + 1];
  int       n;
} Skips;

/* Down to the mid block and through it: [N, h, w, C] */
static FbTensor *
encode (FbContext *ctx, const FbUnet *m, FbTensor *latents, const FbUnetConditions *conditions, Skips *skips)
{
  FbTensor *temb    = conditions->time != NULL ? conditions->time : fb_unet_embed_time (ctx, m, conditions, latents->shape[0]);
  FbTensor *context = conditions->context;
  FbTensor *x;

  skips->temb = temb;
  x = skips->tensors[skips->n++] = fb_nn_conv2d (ctx, &m->conv_in, latents);

  for (int i = 0; i < m->config.n_levels; i++)
    {
      const Level *level = &m->down[i];

      for (int j = 0; j < level->n_layers; j++)
        x = skips->tensors[skips->n++] = layer_forward (ctx, level, j, x, temb, context);
      if (level->has_resample)
        x = skips->tensors[skips->n++] = fb_nn_conv2d (ctx, &level->resample, x);
    }

  return mid_forward (ctx, m, x, temb, context);
}

FbTensor *
fb_unet_forward_features (FbContext *ctx, const FbUnet *m, FbTensor *latents, const FbUnetConditions *conditions)
{
  Skips skips = { 0 };

  fb_nn_scope_begin (ctx);

  return fb_nn_scope_end (ctx, encode (ctx, m, latents, conditions, &skips));
}

FbTensor *
fb_unet_forward (FbContext *ctx, const FbUnet *m, FbTensor *latents, const FbUnetConditions *conditions)
{
  Skips     skips = { 0 };
  FbTensor *x;

  fb_nn_scope_begin (ctx);

  x = encode (ctx, m, latents, conditions, &skips);

  for (int i = 0; i < m->config.n_levels; i++)
    {
      const Level *level = &m->up[i];

      for (int j = 0; j < level->n_layers; j++)
        {
          FbTensor *skip = skips.tensors[--skips.n];

          x = fb_nn_then (ctx, x, fb_nn_concat (ctx, x, skip));
          fb_nn_drop (ctx, skip);
          x = fb_nn_then (ctx, x, layer_forward (ctx, level, j, x, skips.temb, conditions->context));
        }
      if (level->has_resample)           /* to the skip's size: an odd one was halved upwards */
        {
          const int *size = skips.tensors[skips.n - 1]->shape;

          x = fb_nn_then (ctx, x, fb_nn_conv2d_enlarge (ctx, &level->resample, x, size[1], size[2]));
        }
    }

  x = fb_nn_then (ctx, x, fb_nn_group_norm (ctx, &m->norm_out, x, FB_ACT_SILU));

  return fb_nn_scope_end (ctx, fb_nn_conv2d_f32 (ctx, &m->conv_out, x));
}
