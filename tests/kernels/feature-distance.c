/* tests/kernels/feature-distance.c: cases of kernels/feature-distance.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "tests/kernels/conformance.h"

#define EPS 1e-10f

typedef struct
{
  const char *name;
  int         shape[4];
  float       apart;            /* how far b is from a */
  gboolean    after_relu;       /* with few channels, some pixels have no features at all */
} Case;

static const Case cases[] =
{
  { "vgg-first",    { 1, 32, 32, 64 }, 1,    TRUE },
  { "vgg-last",     { 2, 4, 4, 512 },  1,    TRUE },
  { "near",         { 2, 9, 7, 40 },   0.01 },
  { "odd",          { 3, 5, 3, 33 },   1 },
  { "two-channels", { 1, 9, 11, 2 },   1,    TRUE },
  { "one-pixel",    { 2, 1, 1, 1030 }, 1 },
};

/* a: seed 1; b: a + apart · noise */
static FbTensor *
make_features (FbDevice *dev, FbDtype dtype, const Case *c, gboolean second)
{
  FbTensor *x = fb_test_tensor (dev, dtype, 4, c->shape, 1, 0, 1);

  if (second)
    {
      g_autoptr(FbTensor) noise = fb_test_tensor (dev, dtype, 4, c->shape, 2, 0, c->apart);

      fb_op_add (dev, x, x, noise);
    }
  if (c->after_relu)
    fb_op_activation (dev, x, x, FB_ACT_RELU);
  return x;
}

static FbTensor *
run (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c      = one;
  g_autoptr(FbTensor) a      = make_features (dev, dtype, c, FALSE);
  g_autoptr(FbTensor) b      = make_features (dev, dtype, c, TRUE);
  g_autoptr(FbTensor) weight = fb_test_tensor (dev, FB_DTYPE_F32, 1, &c->shape[3], 3, 1, 0.5f);
  FbTensor           *out    = fb_tensor_new_1d (dev, FB_DTYPE_F32, c->shape[0]);

  fb_op_feature_distance (dev, out, a, b, weight, EPS);
  return out;
}

const FbOpTests fb_feature_distance_tests = FB_OP_TESTS ("feature-distance", cases, run, 4e-6, 4e-6);

static FbTensor *
run_backward (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c      = one;
  g_autoptr(FbTensor) a      = make_features (dev, dtype, c, FALSE);
  g_autoptr(FbTensor) b      = make_features (dev, dtype, c, TRUE);
  g_autoptr(FbTensor) weight = fb_test_tensor (dev, FB_DTYPE_F32, 1, &c->shape[3], 3, 1, 0.5f);
  g_autoptr(FbTensor) dout   = fb_test_tensor (dev, FB_DTYPE_F32, 1, &c->shape[0], 4, 0, 1);
  FbTensor           *da     = fb_tensor_new (dev, dtype, 4, c->shape);

  fb_op_feature_distance_backward (dev, da, dout, a, b, weight, EPS);
  return da;
}

const FbOpTests fb_feature_distance_backward_tests = FB_OP_TESTS ("feature-distance-backward", cases, run_backward, 1e-5, 4e-3);
