/* core/models/lpips.c: LPIPS, how different two pictures look. SPDX-License-Identifier: LGPL-3.0-or-later
 * arXiv:1801.03924, version 0.1; the network below is VGG16, arXiv:1409.1556. */
#include "core/models/lpips.h"

#define MOST_CONVS   3
#define MAX_CHANNELS 65536
#define EPS          1e-10f

/* A slice of the network: from one layer of features to the next */
typedef struct
{
  int             n_convs;
  FbConv2d        convs[MOST_CONVS];
  const FbConv2d *before;                 /* NULL: pooling */
} Slice;

struct FbLpips
{
  FbParams *params;
  FbConv2d  standardise;                  /* (x − shift) / scale of each colour, as a 1×1 convolution */
  Slice     slices[FB_LPIPS_N_LAYERS];
  FbTensor *weights[FB_LPIPS_N_LAYERS];
};

/* Each convolution's slice and its number in torchvision's VGG16, which counts activations and poolings too */
static const struct { int slice, index, channels; } convs[FB_LPIPS_N_CONVS] =
{
  { 0, 0,  64 },  { 0, 2,  64 },
  { 1, 5,  128 }, { 1, 7,  128 },
  { 2, 10, 256 }, { 2, 12, 256 }, { 2, 14, 256 },
  { 3, 17, 512 }, { 3, 19, 512 }, { 3, 21, 512 },
  { 4, 24, 512 }, { 4, 26, 512 }, { 4, 28, 512 },
};

static const float shift[3] = { -0.030f, -0.088f, -0.188f };
static const float scale[3] = { 0.458f, 0.448f, 0.450f };

void
fb_lpips_config_read (FbLpipsConfig *config, FbCheckpoint *weights)
{
  for (int i = 0; i < FB_LPIPS_N_CONVS; i++)
    {
      g_autofree char    *name = g_strdup_printf ("net.slice%d.%d.weight", convs[i].slice + 1, convs[i].index);
      const FbTensorInfo *info = fb_checkpoint_lookup (weights, name);
      const gint64        n    = info != NULL && info->n_dims > 0 ? info->shape[0] : 0;

      config->channels[i] = n >= 1 && n <= MAX_CHANNELS ? (int) n : convs[i].channels;
    }
}

static void
standardise_init (FbConv2d *m, FbDevice *dev, FbDtype dtype)
{
  const int shape[]   = { 3, 3, 1, 1 };
  float     kernel[9] = { 0.0f }, bias[3];

  for (int c = 0; c < 3; c++)
    {
      kernel[4 * c] = 1.0f / scale[c];
      bias[c] = -shift[c] / scale[c];
    }
  m->params = (FbConv2dParams) { .stride = 1, .upsample = 1 };
  m->weight = fb_weight_new (dev, FB_WEIGHT_CONV2D, dtype, shape, kernel, FB_DTYPE_F32);
  m->bias = fb_tensor_new_1d (dev, dtype == FB_DTYPE_F64 ? FB_DTYPE_F64 : FB_DTYPE_F32, 3);
  fb_tensor_upload (m->bias, bias, FB_DTYPE_F32);
}

FbLpips *
fb_lpips_new (const FbLpipsConfig *config, FbDevice *dev, FbDtype dtype)
{
  FbLpips *m           = g_new0 (FbLpips, 1);
  int      in_channels = 3;

  m->params = fb_params_new ();
  standardise_init (&m->standardise, dev, dtype);
  m->slices[0].before = &m->standardise;

  for (int i = 0; i < FB_LPIPS_N_CONVS; i++)
    {
      Slice           *slice = &m->slices[convs[i].slice];
      g_autofree char *index = g_strdup_printf ("%d", convs[i].index);

      fb_params_enter (m->params, "net.slice%d.", convs[i].slice + 1);
      fb_params_conv2d (m->params, &slice->convs[slice->n_convs++], index, in_channels, config->channels[i], 3);
      fb_params_leave (m->params);
      in_channels = config->channels[i];
      if (i + 1 == FB_LPIPS_N_CONVS || convs[i + 1].slice != convs[i].slice)
        {
          fb_params_enter (m->params, "lin%d.", convs[i].slice);
          fb_params_weights (m->params, &m->weights[convs[i].slice], "model.1", in_channels);
          fb_params_leave (m->params);
        }
    }

  return m;
}

void
fb_lpips_free (FbLpips *m)
{
  if (m == NULL)
    return;

  fb_params_free (m->params);
  fb_weight_unref (m->standardise.weight);
  fb_tensor_unref (m->standardise.bias);
  g_free (m);
}

FbParams *
fb_lpips_params (FbLpips *m)
{
  return m->params;
}

static FbTensor *
slice_forward (FbContext *ctx, const void *layer, FbTensor **inputs)
{
  const Slice *m = layer;
  FbTensor    *x = inputs[0];

  fb_nn_scope_begin (ctx);

  x = m->before != NULL ? fb_nn_conv2d (ctx, m->before, x) : fb_nn_max_pool (ctx, x);
  for (int j = 0; j < m->n_convs; j++)
    x = fb_nn_then (ctx, x, fb_nn_conv2d_act (ctx, &m->convs[j], x, FB_ACT_RELU));

  return fb_nn_scope_end (ctx, x);
}

void
fb_lpips_features (FbContext *ctx, const FbLpips *m, FbTensor *picture, FbTensor *features[FB_LPIPS_N_LAYERS])
{
  FbTensor *x = picture;

  g_assert (picture->shape[1] >= FB_LPIPS_MIN_SIDE && picture->shape[2] >= FB_LPIPS_MIN_SIDE);

  for (int i = 0; i < FB_LPIPS_N_LAYERS; i++)
    features[i] = x = fb_nn_block (ctx, slice_forward, &m->slices[i], &x, 1);
}

FbTensor *
fb_lpips_distance (FbContext *ctx, const FbLpips *m, FbTensor * const *a, FbTensor * const *b)
{
  FbTensor *sum = NULL;

  for (int i = 0; i < FB_LPIPS_N_LAYERS; i++)
    {
      FbTensor *d = fb_nn_feature_distance (ctx, a[i], b[i], fb_nn_as_vector (ctx, m->weights[i]), EPS);

      sum = sum != NULL ? fb_nn_add (ctx, sum, d) : d;
    }

  return sum;
}
