/* tests/kernels/max-pool.c: cases of kernels/max-pool.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "tests/kernels/conformance.h"

typedef struct
{
  const char *name;
  int         shape[4];
  gboolean    after_relu;       /* many zeros: equal largest values */
} Case;

static const Case cases[] =
{
  { "vgg-first",  { 1, 32, 32, 64 }, TRUE },
  { "vgg-last",   { 2, 8, 8, 512 },  TRUE },
  { "odd-both",   { 2, 7, 9, 33 } },
  { "odd-height", { 1, 5, 4, 7 },    TRUE },
  { "wide",       { 1, 4, 2, 1030 } },
  { "one-square", { 1, 2, 2, 1 } },
  { "three",      { 1, 3, 3, 3 },    TRUE },
};

static FbTensor *
make_input (FbDevice *dev, FbDtype dtype, const Case *c)
{
  FbTensor *x = fb_test_tensor (dev, dtype, 4, c->shape, 1, 0, 1);

  if (c->after_relu)
    fb_op_activation (dev, x, x, FB_ACT_RELU);
  return x;
}

static FbTensor *
run (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c       = one;
  const int           shape[] = { c->shape[0], c->shape[1] / 2, c->shape[2] / 2, c->shape[3] };
  g_autoptr(FbTensor) x       = make_input (dev, dtype, c);
  FbTensor           *out     = fb_tensor_new (dev, dtype, 4, shape);

  fb_op_max_pool (dev, out, x);
  return out;
}

const FbOpTests fb_max_pool_tests = FB_OP_TESTS ("max-pool", cases, run, 0, 0);

static FbTensor *
run_backward (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c       = one;
  const int           shape[] = { c->shape[0], c->shape[1] / 2, c->shape[2] / 2, c->shape[3] };
  g_autoptr(FbTensor) x       = make_input (dev, dtype, c);
  g_autoptr(FbTensor) dout    = fb_test_tensor (dev, dtype, 4, shape, 2, 0, 1);
  FbTensor           *dx      = fb_test_tensor (dev, dtype, 4, c->shape, 3, 100, 1);       /* to be overwritten whole */

  fb_op_max_pool_backward (dev, dx, dout, x);
  return dx;
}

const FbOpTests fb_max_pool_backward_tests = FB_OP_TESTS ("max-pool-backward", cases, run_backward, 0, 0);
