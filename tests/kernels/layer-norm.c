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

/* Rows of one channel are left out: their gradient is 0 */
static const Case backward_cases[] =
{
  { "sd15-64",      3, { 1, 300, 320 } },
  { "clip-l",       3, { 2, 77, 768 },  .in_place = TRUE },
  { "wide",         3, { 1, 5, 5120 } },
  { "odd",          3, { 3, 7, 37 } },
  { "plain",        2, { 9, 64 },       TRUE },
  { "one-row",      1, { 1280 } },
  { "far-mean",     3, { 1, 50, 640 },  .mean = 1000 },
  { "farther-mean", 3, { 1, 50, 33 },   TRUE, -3000 },
};

/* Gradient @which: of input, weight or bias; the first alone, as frozen layers have it, when the forward case has neither */
static FbTensor *
run_backward (FbDevice *dev, FbDtype dtype, const Case *c, int which)
{
  int                 C       = c->shape[c->n_dims - 1];
  float               spread  = c->mean != 0 && dtype != FB_DTYPE_F32 ? 50 : 1;
  g_autoptr(FbTensor) x       = fb_test_tensor (dev, dtype, c->n_dims, c->shape, 1, c->mean, spread);
  g_autoptr(FbTensor) dy      = fb_test_tensor (dev, dtype, c->n_dims, c->shape, 4, 0, 1);
  g_autoptr(FbTensor) weight  = c->plain ? NULL : fb_test_tensor (dev, FB_DTYPE_F32, 1, &C, 2, 1, 0.3f);
  g_autoptr(FbTensor) bias    = c->plain ? NULL : fb_test_tensor (dev, FB_DTYPE_F32, 1, &C, 3, 0, 1);
  g_autoptr(FbTensor) dweight = fb_test_tensor (dev, FB_DTYPE_F32, 1, &C, 5, 0, 1);
  g_autoptr(FbTensor) dbias   = fb_test_tensor (dev, FB_DTYPE_F32, 1, &C, 6, 0, 1);
  g_autoptr(FbTensor) dx      = c->in_place ? fb_tensor_ref (dy) : fb_tensor_new (dev, dtype, c->n_dims, c->shape);
  gboolean            frozen  = c->plain && which == 0;

  fb_op_layer_norm_backward (dev, dx, frozen ? NULL : dweight, frozen ? NULL : dbias, dy, x, weight, bias, 1e-5f);
  return fb_tensor_ref (which == 0 ? dx : which == 1 ? dweight : dbias);
}

static FbTensor *
run_input (FbDevice *dev, FbDtype dtype, const void *one)
{
  return run_backward (dev, dtype, one, 0);
}

static FbTensor *
run_weight (FbDevice *dev, FbDtype dtype, const void *one)
{
  return run_backward (dev, dtype, one, 1);
}

static FbTensor *
run_bias (FbDevice *dev, FbDtype dtype, const void *one)
{
  return run_backward (dev, dtype, one, 2);
}

const FbOpTests fb_layer_norm_backward_input_tests  = FB_OP_TESTS ("layer-norm-backward-input", backward_cases, run_input, 1e-5, 8e-3);
const FbOpTests fb_layer_norm_backward_weight_tests = FB_OP_TESTS ("layer-norm-backward-weight", backward_cases, run_weight, 1e-5, 1e-4);
const FbOpTests fb_layer_norm_backward_bias_tests   = FB_OP_TESTS ("layer-norm-backward-bias", backward_cases, run_bias, 1e-5, 1e-4);
