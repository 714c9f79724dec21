/* tests/kernels/group-norm.c: cases of kernels/group-norm.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "tests/kernels/conformance.h"

typedef struct
{
  const char  *name;
  int          n_dims, shape[4];
  int          n_groups;
  float        eps;
  gboolean     plain;                /* no weight, no bias */
  FbActivation act;
  float        mean;
  gboolean     in_place;
} Case;

static const Case cases[] =
{
  { "sd15-64",        4, { 2, 64, 64, 320 },  32, 1e-5, .act = FB_ACT_SILU },
  { "sd15-8",         4, { 2, 8, 8, 1280 },   32, 1e-5, .act = FB_ACT_SILU, .in_place = TRUE },
  { "sd15-joined",    4, { 1, 8, 8, 1920 },   32, 1e-5, .act = FB_ACT_SILU },
  { "tokens",         3, { 2, 100, 640 },     32, 1e-6 },
  { "one-pixel",      4, { 1, 1, 1, 64 },     32, 1e-5 },
  { "all-equal",      4, { 1, 1, 1, 32 },     32, 1e-5 },                       /* variance 0: eps alone decides */
  { "odd",            4, { 3, 7, 5, 96 },     3,  1e-5 },
  { "no-vector",      4, { 1, 9, 7, 21 },     7,  1e-5, .act = FB_ACT_RELU },
  { "one-group",      4, { 2, 6, 5, 70 },     1,  1e-5 },
  { "wide-groups",    4, { 2, 5, 3, 600 },    2,  1e-5, .act = FB_ACT_SILU },   /* more channels than a card's block has threads */
  { "plain",          4, { 1, 16, 16, 64 },   32, 1e-5, TRUE },
  { "far-mean",       4, { 1, 32, 32, 64 },   32, 1e-5, .mean = 1000 },         /* a one-pass variance fails here */
  { "farther-mean",   4, { 1, 40, 300, 32 },  8,  1e-5, TRUE, .mean = -3000 },  /* several chunks */
};

static FbTensor *
run (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c      = one;
  int                 C      = c->shape[c->n_dims - 1];
  /* bf16 has steps of 4 at 1000: a deviation that survives them */
  float               spread = c->mean != 0 && dtype != FB_DTYPE_F32 ? 50 : 1;
  g_autoptr(FbTensor) x      = fb_test_tensor (dev, dtype, c->n_dims, c->shape, 1, c->mean, spread);
  g_autoptr(FbTensor) weight = c->plain ? NULL : fb_test_tensor (dev, FB_DTYPE_F32, 1, &C, 2, 1, 0.3f);
  g_autoptr(FbTensor) bias   = c->plain ? NULL : fb_test_tensor (dev, FB_DTYPE_F32, 1, &C, 3, 0, 1);
  FbTensor           *out    = c->in_place ? fb_tensor_ref (x) : fb_tensor_new (dev, dtype, c->n_dims, c->shape);

  fb_op_group_norm (dev, out, x, weight, bias, c->n_groups, c->eps, c->act);
  return out;
}

const FbOpTests fb_group_norm_tests = FB_OP_TESTS ("group-norm", cases, run, 5e-6, 8e-3);

/* One or two values per group are left out: their gradient is 0 but for eps, so there is nothing to be relative to */
static const Case backward_cases[] =
{
  { "sd15-64",        4, { 2, 64, 64, 320 },  32, 1e-5, .act = FB_ACT_SILU },
  { "sd15-8",         4, { 2, 8, 8, 1280 },   32, 1e-5, .act = FB_ACT_SILU, .in_place = TRUE },
  { "sd15-joined",    4, { 1, 8, 8, 1920 },   32, 1e-5, .act = FB_ACT_SILU },
  { "tokens",         3, { 2, 100, 640 },     32, 1e-6 },
  { "one-pixel",      4, { 1, 1, 1, 256 },    32, 1e-5 },
  { "odd",            4, { 3, 7, 5, 96 },     3,  1e-5, .act = FB_ACT_GELU },
  { "no-vector",      4, { 1, 9, 7, 21 },     7,  1e-5, .act = FB_ACT_TANH },
  { "one-group",      4, { 2, 6, 5, 70 },     1,  1e-5, .act = FB_ACT_QUICK_GELU },
  { "wide-groups",    4, { 2, 5, 3, 600 },    2,  1e-5, .act = FB_ACT_SILU },
  { "plain",          4, { 1, 16, 16, 64 },   32, 1e-5, TRUE },
  { "far-mean",       4, { 1, 32, 32, 64 },   32, 1e-5, .mean = 1000 },
  { "farther-mean",   4, { 1, 40, 300, 32 },  8,  1e-5, TRUE, .mean = -3000 },
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

  fb_op_group_norm_backward (dev, dx, frozen ? NULL : dweight, frozen ? NULL : dbias, dy, x, weight, bias, c->n_groups, c->eps, c->act);
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

const FbOpTests fb_group_norm_backward_input_tests  = FB_OP_TESTS ("group-norm-backward-input", backward_cases, run_input, 1e-5, 8e-3);
const FbOpTests fb_group_norm_backward_weight_tests = FB_OP_TESTS ("group-norm-backward-weight", backward_cases, run_weight, 1e-5, 1e-4);
const FbOpTests fb_group_norm_backward_bias_tests   = FB_OP_TESTS ("group-norm-backward-bias", backward_cases, run_bias, 1e-5, 1e-4);
