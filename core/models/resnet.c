/* core/models/resnet.c: the residual block of the UNet and of the autoencoder. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/resnet.h"

void
fb_resnet_init (FbResnet *m, FbParams *params, int in_channels, int out_channels, int time_channels, int n_groups, float eps)
{
  m->has_skip = in_channels != out_channels;
  m->has_time = time_channels > 0;

  fb_params_group_norm (params, &m->norm1, "norm1", in_channels, n_groups, eps);
  fb_params_conv2d (params, &m->conv1, "conv1", in_channels, out_channels, 3);
  if (m->has_time)
    fb_params_linear (params, &m->time, "time_emb_proj", time_channels, out_channels, TRUE);
  fb_params_group_norm (params, &m->norm2, "norm2", out_channels, n_groups, eps);
  fb_params_conv2d (params, &m->conv2, "conv2", out_channels, out_channels, 3);
  if (m->has_skip)
    fb_params_conv2d (params, &m->skip, "conv_shortcut", in_channels, out_channels, 1);
}

static FbTensor *
forward (FbContext *ctx, const void *layer, FbTensor **inputs)
{
  const FbResnet *m = layer;
  FbTensor       *x = inputs[0], *temb = inputs[1];
  FbTensor       *h;

  fb_nn_scope_begin (ctx);

  h = fb_nn_group_norm (ctx, &m->norm1, x, FB_ACT_SILU);
  if (m->has_time)
    h = fb_nn_then (ctx, h, fb_nn_conv2d_shift (ctx, &m->conv1, h, fb_nn_linear_f32 (ctx, &m->time, temb)));
  else
    h = fb_nn_then (ctx, h, fb_nn_conv2d (ctx, &m->conv1, h));
  h = fb_nn_then (ctx, h, fb_nn_group_norm (ctx, &m->norm2, h, FB_ACT_SILU));
  h = fb_nn_conv2d_add (ctx, &m->conv2, h, m->has_skip ? fb_nn_conv2d (ctx, &m->skip, x) : x, FB_ACT_NONE);

  return fb_nn_scope_end (ctx, h);
}

FbTensor *
fb_resnet_forward (FbContext *ctx, const FbResnet *m, FbTensor *x, FbTensor *temb)
{
  FbTensor *inputs[] = { x, temb };

  return fb_nn_block (ctx, forward, m, inputs, G_N_ELEMENTS (inputs));
}
