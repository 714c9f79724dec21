/* core/distill/discriminator.c: tells a teacher's features of real pictures from those of the student's. SPDX-License-Identifier: LGPL-3.0-or-later
 * The heads of Flash Diffusion, arXiv:2406.02347, and what lies between their sizes. */
#include "core/distill/discriminator.h"

#include <math.h>
#include <string.h>

#include "core/distill/philox.h"

#define MAX_STAGES   16
#define N_GROUPS     4
#define EPS          1e-5f
#define LARGE        16        /* shortest side from which the first convolution halves too */
#define MAX_CHANNELS 1024

typedef struct
{
  FbConv2d conv;
  FbNorm   norm;               /* none in the first */
} Stage;

struct FbDiscriminator
{
  FbDevice  *dev;
  FbParams  *params;
  GPtrArray *trainables;
  gboolean   large;
  int        n_stages;
  Stage      stages[MAX_STAGES];
  FbConv2d   head;
};

static const FbConv2dParams keeping = { .stride = 1, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 1 };
static const FbConv2dParams halving = { .stride = 2, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .upsample = 1 };
static const FbConv2dParams bare    = { .stride = 1, .upsample = 1 };

static void
describe (FbDiscriminator *self, int channels, int side)
{
  int width = self->large ? 256 : 64;

  for (int i = 0; i == 0 || side >= 8; i++)
    {
      Stage         *stage   = &self->stages[self->n_stages++];
      const gboolean keeps   = i == 0 && !self->large;

      g_assert (self->n_stages <= MAX_STAGES);

      fb_params_enter (self->params, "stages.%d.", i);
      fb_params_conv2d_full (self->params, &stage->conv, "conv", channels, width, keeps ? 3 : 4, keeps, keeps ? &keeping : &halving);
      if (i > 0)
        fb_params_group_norm (self->params, &stage->norm, "norm", width, N_GROUPS, EPS);
      fb_params_leave (self->params);

      if (!keeps)
        side /= 2;
      channels = width;
      width = MIN (2 * width, MAX_CHANNELS);
    }
  fb_params_conv2d_full (self->params, &self->head, "head", channels, 1, MIN (side, 4), FALSE, &bare);
}

/* (transfer full): a parameter in the network, all zeros */
static FbTrainable *
make_trainable (FbDiscriminator *self, const FbParam *param)
{
  g_autofree float *zeros = g_new0 (float, param->n_elements);

  fb_param_fill (param, self->dev, FB_DTYPE_F32, zeros, FB_DTYPE_F32);
  fb_param_set_trains (param, self->dev, TRUE);

  return fb_trainable_new (param->name, param->n_dims, param->shape,
                           param->kind == FB_PARAM_CONV2D ? *param->slot.weight : NULL,
                           param->kind == FB_PARAM_VECTOR ? *param->slot.tensor : NULL, *param->gradient);
}

/* As torch.nn.Conv2d: variance 1 / (3 · fan in) for kernel and bias; norms begin as the identity */
static void
fill (FbDiscriminator *self, guint64 seed)
{
  gsize fan_in = 1;

  for (guint i = 0; i < fb_params_n (self->params); i++)
    {
      const FbParam *param     = fb_params_get (self->params, i);
      const FbDraw   draw      = { .seed = seed, .sample = i };
      FbTrainable   *trainable = make_trainable (self, param);

      if (param->kind == FB_PARAM_CONV2D)
        fan_in = param->n_elements / param->shape[0];
      if (strstr (param->name, ".norm.") == NULL)
        {
          fb_draw_normal (&draw, FB_DRAW_DISCRIMINATOR, trainable->values, trainable->n);
          for (gsize k = 0; k < trainable->n; k++)
            trainable->values[k] /= sqrtf (3.0f * (float) fan_in);
        }
      else if (g_str_has_suffix (param->name, ".weight"))
        for (gsize k = 0; k < trainable->n; k++)
          trainable->values[k] = 1.0f;
      fb_trainable_push (trainable);
      g_ptr_array_add (self->trainables, trainable);
    }
}

FbDiscriminator *
fb_discriminator_new (FbDevice *dev, int channels, int side, guint64 seed)
{
  FbDiscriminator *self = g_new0 (FbDiscriminator, 1);

  g_assert (channels >= 1 && side >= 1);

  self->dev = fb_device_ref (dev);
  self->params = fb_params_new ();
  self->trainables = g_ptr_array_new_with_free_func ((GDestroyNotify) fb_trainable_free);
  self->large = side >= LARGE;
  describe (self, channels, side);
  fill (self, seed);

  return self;
}

void
fb_discriminator_free (FbDiscriminator *self)
{
  if (self == NULL)
    return;

  g_ptr_array_unref (self->trainables);
  fb_params_free (self->params);
  fb_device_unref (self->dev);
  g_free (self);
}

GPtrArray *
fb_discriminator_trainables (FbDiscriminator *self)
{
  return self->trainables;
}

FbTensor *
fb_discriminator_forward (FbContext *ctx, const FbDiscriminator *self, FbTensor *features)
{
  FbTensor *x = features;

  fb_nn_scope_begin (ctx);

  if (x->dtype != fb_nn_dtype (ctx))
    x = fb_nn_cast (ctx, x);
  for (int i = 0; i < self->n_stages; i++)
    {
      const Stage *stage = &self->stages[i];

      x = fb_nn_conv2d (ctx, &stage->conv, x);
      if (i > 0 && self->large)
        x = fb_nn_group_norm (ctx, &stage->norm, x, FB_ACT_SILU);
      else
        x = fb_nn_activation (ctx, x, FB_ACT_SILU);
      if (i > 0 && !self->large)                              /* after the activation there, as published */
        x = fb_nn_group_norm (ctx, &stage->norm, x, FB_ACT_NONE);
    }

  return fb_nn_scope_end (ctx, fb_nn_conv2d (ctx, &self->head, x));
}

void
fb_discriminator_logits (const FbTensor *patches, float *logits)
{
  const int         n      = patches->shape[1] * patches->shape[2];
  g_autofree float *values = g_new (float, fb_tensor_n_elements (patches));

  fb_tensor_download (patches, values, FB_DTYPE_F32);
  for (int i = 0; i < patches->shape[0]; i++)
    {
      double sum = 0.0;

      for (int k = 0; k < n; k++)
        sum += values[(gsize) i * n + k];
      logits[i] = (float) (sum / n);
    }
}

FbTensor *
fb_discriminator_dlogits (FbContext *ctx, const FbTensor *patches, const float *dlogits)
{
  const int         n      = patches->shape[1] * patches->shape[2];
  g_autofree float *values = g_new (float, fb_tensor_n_elements (patches));

  for (int i = 0; i < patches->shape[0]; i++)
    for (int k = 0; k < n; k++)
      values[(gsize) i * n + k] = dlogits[i] / (float) n;

  return fb_nn_upload (ctx, patches->dtype, values, patches->n_dims, patches->shape);
}
