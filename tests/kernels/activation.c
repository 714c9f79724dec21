/* tests/kernels/activation.c: cases of kernels/activation.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "tests/kernels/conformance.h"

typedef struct
{
  const char  *name;
  int          shape[4];
  FbActivation act;
  float        deviation;
  gboolean     in_place;
} Case;

static const Case activation_cases[] =
{
  { "silu",            { 2, 9, 7, 40 },   FB_ACT_SILU,       2 },
  { "silu-large",      { 1, 4, 5, 64 },   FB_ACT_SILU,       60 },       /* σ saturates, exp over- and underflows */
  { "silu-in-place",   { 1, 33, 31, 8 },  FB_ACT_SILU,       1, TRUE },
  { "gelu",            { 2, 9, 7, 40 },   FB_ACT_GELU,       2 },
  { "gelu-small",      { 1, 4, 5, 64 },   FB_ACT_GELU,       1e-3 },
  { "quick-gelu",      { 1, 1, 77, 768 }, FB_ACT_QUICK_GELU, 2 },
  { "relu",            { 2, 9, 7, 40 },   FB_ACT_RELU,       2 },
  { "tanh",            { 1, 8, 8, 33 },   FB_ACT_TANH,       1 },
  { "tanh-small",      { 1, 8, 8, 33 },   FB_ACT_TANH,       0.01 },
  { "tanh-large",      { 1, 8, 8, 33 },   FB_ACT_TANH,       100 },
  { "clamp",           { 2, 9, 7, 40 },   FB_ACT_CLAMP,      1 },
  { "none",            { 1, 3, 3, 3 },    FB_ACT_NONE,       1 },
  { "one-element",     { 1, 1, 1, 1 },    FB_ACT_SILU,       1 },
};

static FbTensor *
run_activation (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c   = one;
  g_autoptr(FbTensor) x   = fb_test_tensor (dev, dtype, 4, c->shape, 1, 0, c->deviation);
  FbTensor           *out = c->in_place ? fb_tensor_ref (x) : fb_tensor_new (dev, dtype, 4, c->shape);

  fb_op_activation (dev, out, x, c->act);
  return out;
}

const FbOpTests fb_activation_tests = FB_OP_TESTS ("activation", activation_cases, run_activation, 2e-6, 4e-3);

static const Case geglu_cases[] =
{
  { "sd15-64",  { 1, 64, 1280 },  .deviation = 1 },
  { "odd",      { 2, 7, 37 },     .deviation = 3 },
  { "wide",     { 1, 3, 1025 },   .deviation = 1 },
  { "one",      { 1, 1, 1 },      .deviation = 1 },
};

static FbTensor *
run_geglu (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c   = one;
  g_autoptr(FbTensor) x   = fb_test_tensor (dev, dtype, 3, (int[]) { c->shape[0], c->shape[1], 2 * c->shape[2] }, 1, 0, c->deviation);
  FbTensor           *out = fb_tensor_new (dev, dtype, 3, c->shape);

  fb_op_geglu (dev, out, x);
  return out;
}

const FbOpTests fb_geglu_tests = FB_OP_TESTS ("geglu", geglu_cases, run_geglu, 2e-6, 4e-3);

static FbTensor *
run_activation_backward (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c  = one;
  g_autoptr(FbTensor) x  = fb_test_tensor (dev, dtype, 4, c->shape, 1, 0, c->deviation);
  g_autoptr(FbTensor) dy = fb_test_tensor (dev, dtype, 4, c->shape, 2, 0, 1);
  FbTensor           *dx = c->in_place ? fb_tensor_ref (dy) : fb_tensor_new (dev, dtype, 4, c->shape);

  fb_op_activation_backward (dev, dx, dy, x, c->act);
  return dx;
}

const FbOpTests fb_activation_backward_tests = FB_OP_TESTS ("activation-backward", activation_cases, run_activation_backward, 2e-6, 4e-3);

static FbTensor *
run_geglu_backward (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c        = one;
  int                 shape[3] = { c->shape[0], c->shape[1], 2 * c->shape[2] };
  g_autoptr(FbTensor) x        = fb_test_tensor (dev, dtype, 3, shape, 1, 0, c->deviation);
  g_autoptr(FbTensor) dy       = fb_test_tensor (dev, dtype, 3, c->shape, 2, 0, 1);
  FbTensor           *dx       = fb_tensor_new (dev, dtype, 3, shape);

  fb_op_geglu_backward (dev, dx, dy, x);
  return dx;
}

const FbOpTests fb_geglu_backward_tests = FB_OP_TESTS ("geglu-backward", geglu_cases, run_geglu_backward, 2e-6, 4e-3);
