/* tests/kernels/linear.c: cases of kernels/linear.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "tests/kernels/conformance.h"

typedef struct
{
  const char  *name;
  int          n_dims, x[4];
  int          Cout;
  gboolean     bias, residual, residual_is_out;
  FbActivation act;
  gboolean     f32_out;
} Case;

static const Case cases[] =
{
  { "sd15-query",       3, { 1, 256, 320 },  320,  FALSE },
  { "sd15-context",     3, { 2, 77, 768 },   640,  FALSE },
  { "sd15-gate",        3, { 1, 64, 640 },   5120, TRUE },
  { "sd15-down",        3, { 1, 64, 5120 },  1280, TRUE, TRUE, TRUE },          /* two chunks of channels */
  { "sd15-time",        2, { 2, 320 },       1280, TRUE, .act = FB_ACT_SILU },
  { "clip-l",           3, { 1, 77, 768 },   3072, TRUE, .act = FB_ACT_QUICK_GELU },
  { "one-row",          2, { 1, 1280 },      320,  TRUE },
  { "one-dimension",    1, { 33 },           17,   TRUE, TRUE },
  { "odd",              3, { 3, 7, 37 },     41,   TRUE, TRUE, TRUE, FB_ACT_GELU },
  { "odd-even-input",   3, { 3, 43, 38 },    67,   TRUE, TRUE, FALSE, FB_ACT_TANH },
  { "four-dimensions",  4, { 2, 3, 5, 64 },  64,   TRUE },
  { "f32-out",          3, { 1, 130, 96 },   100,  TRUE, TRUE, TRUE, .f32_out = TRUE },
  { "many-rows",        2, { 1000, 24 },     24,   FALSE },
  { "lora-down",        3, { 2, 300, 320 },  64,   FALSE },
  { "lora-up",          3, { 1, 1024, 4 },   640,  FALSE, TRUE },               /* a rank below a vector's width */
  { "one-number",       2, { 1, 1 },         1,    FALSE },
};

static FbTensor *
run (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c         = one;
  FbDtype             out_dtype = c->f32_out ? FB_DTYPE_F32 : dtype;
  int                 Cin       = c->x[c->n_dims - 1];
  int                 shape[4]  = { c->x[0], c->x[1], c->x[2], c->x[3] };

  shape[c->n_dims - 1] = c->Cout;

  g_autoptr(FbWeight) weight   = fb_test_weight (dev, FB_WEIGHT_LINEAR, dtype, (int[]) { c->Cout, Cin }, 1);
  g_autoptr(FbTensor) x        = fb_test_tensor (dev, dtype, c->n_dims, c->x, 2, 0, 1);
  g_autoptr(FbTensor) bias     = c->bias ? fb_test_tensor (dev, FB_DTYPE_F32, 1, &c->Cout, 3, 0, 1) : NULL;
  g_autoptr(FbTensor) residual = c->residual ? fb_test_tensor (dev, out_dtype, c->n_dims, shape, 4, 0, 1) : NULL;
  FbTensor           *out      = c->residual_is_out ? fb_tensor_ref (residual) : fb_tensor_new (dev, out_dtype, c->n_dims, shape);

  fb_op_linear (dev, out, x, weight, bias, residual, c->act);
  return out;
}

const FbOpTests fb_linear_tests = FB_OP_TESTS ("linear", cases, run, 5e-6, 1e-2);

/* What stands for the residual here is the gradient that is added to */
static FbTensor *
run_backward_input (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c        = one;
  int                 Cin      = c->x[c->n_dims - 1];
  int                 shape[4] = { c->x[0], c->x[1], c->x[2], c->x[3] };

  shape[c->n_dims - 1] = c->Cout;

  g_autoptr(FbWeight) weight = fb_test_weight (dev, FB_WEIGHT_LINEAR, dtype, (int[]) { c->Cout, Cin }, 1);
  g_autoptr(FbTensor) dy     = fb_test_tensor (dev, dtype, c->n_dims, shape, 2, 0, 1);
  g_autoptr(FbTensor) sum    = c->residual ? fb_test_tensor (dev, dtype, c->n_dims, c->x, 3, 0, 1) : NULL;
  FbTensor           *dx     = c->residual_is_out ? fb_tensor_ref (sum) : fb_tensor_new (dev, dtype, c->n_dims, c->x);

  fb_op_linear_backward_input (dev, dx, dy, weight, sum);
  return dx;
}

const FbOpTests fb_linear_backward_input_tests = FB_OP_TESTS ("linear-backward-input", cases, run_backward_input, 5e-6, 1e-2);

static FbTensor *
run_backward_weight (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c        = one;
  int                 Cin      = c->x[c->n_dims - 1];
  int                 shape[4] = { c->x[0], c->x[1], c->x[2], c->x[3] };

  shape[c->n_dims - 1] = c->Cout;

  g_autoptr(FbTensor) x  = fb_test_tensor (dev, dtype, c->n_dims, c->x, 1, 0, 1);
  g_autoptr(FbTensor) dy = fb_test_tensor (dev, dtype, c->n_dims, shape, 2, 0, 1);
  FbTensor           *dw = fb_test_tensor (dev, FB_DTYPE_F32, 2, (int[]) { c->Cout, Cin }, 3, 0, 1);

  fb_op_linear_backward_weight (dev, dw, dy, x);
  return dw;
}

const FbOpTests fb_linear_backward_weight_tests = FB_OP_TESTS ("linear-backward-weight", cases, run_backward_weight, 5e-6, 5e-6);

typedef struct
{
  const char *name;
  int         n_dims, dy[4];
  gboolean    per_image;
} BiasCase;

static const BiasCase bias_cases[] =
{
  { "sd15-64",    4, { 2, 64, 64, 320 } },
  { "per-image",  4, { 3, 16, 16, 640 },  TRUE },
  { "tokens",     3, { 2, 77, 768 } },
  { "odd",        4, { 3, 7, 5, 37 },     TRUE },
  { "one-row",    2, { 1, 1280 } },
  { "vector",     1, { 33 } },
};

static FbTensor *
run_bias_backward (FbDevice *dev, FbDtype dtype, const void *one)
{
  const BiasCase     *c  = one;
  int                 C  = c->dy[c->n_dims - 1];
  g_autoptr(FbTensor) dy = fb_test_tensor (dev, dtype, c->n_dims, c->dy, 1, 0, 1);
  FbTensor           *db = c->per_image ? fb_test_tensor (dev, FB_DTYPE_F32, 2, (int[]) { c->dy[0], C }, 2, 0, 1)
                                        : fb_test_tensor (dev, FB_DTYPE_F32, 1, &C, 2, 0, 1);

  fb_op_bias_backward (dev, db, dy);
  return db;
}

const FbOpTests fb_bias_backward_tests = FB_OP_TESTS ("bias-backward", bias_cases, run_bias_backward, 5e-6, 5e-6);
