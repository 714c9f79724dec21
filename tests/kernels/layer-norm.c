/* tests/kernels/layer-norm.c: cases of kernels/layer-norm.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "tests/kernels/conformance.h"

typedef struct
{
  const char *name;
  int         n_dims, shape[4];
  gboolean    plain;
  float       mean;
  gboolean    in_place;
} Case;

static const Case cases[] =
{
  { "sd15-64",      3, { 1, 300, 320 } },
  { "clip-l",       3, { 2, 77, 768 },  .in_place = TRUE },
  { "wide",         3, { 1, 5, 5120 } },
  { "odd",          3, { 3, 7, 37 } },
  { "plain",        2, { 9, 64 },       TRUE },
  { "one-row",      1, { 1280 } },
  { "one-channel",  2, { 5, 1 } },                         /* variance 0 */
  { "far-mean",     3, { 1, 50, 640 },  .mean = 1000 },
  { "farther-mean", 3, { 1, 50, 33 },   TRUE, -3000 },
};

static FbTensor *
run (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c      = one;
  int                 C      = c->shape[c->n_dims - 1];
  float               spread = c->mean != 0 && dtype != FB_DTYPE_F32 ? 50 : 1;
  g_autoptr(FbTensor) x      = fb_test_tensor (dev, dtype, c->n_dims, c->shape, 1, c->mean, spread);
  g_autoptr(FbTensor) weight = c->plain ? NULL : fb_test_tensor (dev, FB_DTYPE_F32, 1, &C, 2, 1, 0.3f);
  g_autoptr(FbTensor) bias   = c->plain ? NULL : fb_test_tensor (dev, FB_DTYPE_F32, 1, &C, 3, 0, 1);
  FbTensor           *out    = c->in_place ? fb_tensor_ref (x) : fb_tensor_new (dev, dtype, c->n_dims, c->shape);

  fb_op_layer_norm (dev, out, x, weight, bias, 1e-5f);
  return out;
}

const FbOpTests fb_layer_norm_tests = FB_OP_TESTS ("layer-norm", cases, run, 5e-6, 8e-3);
