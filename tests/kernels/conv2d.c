/* tests/kernels/conv2d.c: cases of kernels/conv2d.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "tests/kernels/conformance.h"

typedef enum { NO_BIAS, BIAS, BIAS_PER_IMAGE } Bias;
typedef enum { NO_RESIDUAL, RESIDUAL, RESIDUAL_IS_OUT } Residual;

typedef struct
{
  const char  *name;
  int          x[4];
  int          Cout, kernel[2];
  int          stride, pad[4], upsample;      /* pad: top, left, bottom, right */
  Bias         bias;
  Residual     residual;
  FbActivation act;
  gboolean     f32_out;
  gboolean     folded;                        /* FB_WEIGHT_CONV2D_UPSAMPLE */
} Case;

#define K3    { 3, 3 }
#define K1    { 1, 1 }
#define PAD_1 { 1, 1, 1, 1 }
#define PAD_0 { 0, 0, 0, 0 }

static const Case cases[] =
{
  { "sd15-in",              { 2, 16, 16, 4 },    320,  K3, 1, PAD_1, 1, BIAS },
  { "inpaint-in",           { 1, 8, 12, 9 },     32,   K3, 1, PAD_1, 1, BIAS },                                  /* odd channels */
  { "sd15-64",              { 1, 9, 64, 320 },   320,  K3, 1, PAD_1, 1, BIAS_PER_IMAGE },
  { "sd15-deep",            { 2, 4, 4, 1280 },   1280, K3, 1, PAD_1, 1, BIAS, RESIDUAL },                        /* several chunks of channels */
  { "sd15-joined",          { 1, 4, 4, 1920 },   96,   K3, 1, PAD_1, 1, BIAS },
  { "sd15-down",            { 1, 16, 16, 64 },   64,   K3, 2, PAD_1, 1, BIAS },
  { "sd15-skip",            { 2, 7, 9, 96 },     160,  K1, 1, PAD_0, 1, BIAS },
  { "sd15-out",             { 1, 16, 16, 320 },  4,    K3, 1, PAD_1, 1, BIAS, .f32_out = TRUE },
  { "vae-down",             { 1, 17, 22, 32 },   48,   K3, 2, { 0, 0, 1, 1 }, 1, BIAS },                         /* pads one side only */
  { "vae-wide",             { 1, 3, 300, 16 },   80,   K3, 1, PAD_1, 1, BIAS },                                  /* rows longer than a tile */
  { "vae-out",              { 1, 9, 11, 128 },   3,    K3, 1, PAD_1, 1, BIAS },
  { "bands",                { 2, 70, 512, 64 },  16,   K3, 1, PAD_1, 1, BIAS_PER_IMAGE, RESIDUAL_IS_OUT },       /* more than one band in f32 */
  { "up",                   { 2, 8, 8, 64 },     64,   K3, 1, PAD_1, 2, BIAS },
  { "up-odd",               { 1, 5, 7, 24 },     40,   K3, 1, PAD_1, 2, BIAS, RESIDUAL_IS_OUT, FB_ACT_SILU },
  { "up-folded",            { 2, 8, 8, 64 },     64,   K3, 1, PAD_1, 2, BIAS, .folded = TRUE },
  { "up-folded-odd",        { 1, 5, 7, 23 },     41,   K3, 1, PAD_1, 2, BIAS_PER_IMAGE, RESIDUAL_IS_OUT, FB_ACT_SILU, .folded = TRUE },
  { "up-folded-one-pixel",  { 1, 1, 1, 16 },     16,   K3, 1, PAD_1, 2, NO_BIAS, .folded = TRUE },
  { "up-folded-wide",       { 1, 2, 260, 16 },   80,   K3, 1, PAD_1, 2, BIAS, .folded = TRUE },
  { "one-pixel",            { 1, 1, 1, 32 },     32,   K3, 1, PAD_1, 1, BIAS },
  { "one-by-one",           { 3, 5, 6, 40 },     24,   K1, 1, PAD_0, 1, BIAS_PER_IMAGE, RESIDUAL, FB_ACT_SILU },
  { "one-by-one-strided",   { 2, 9, 7, 32 },     32,   K1, 2, PAD_0, 1, BIAS },
  { "no-padding",           { 2, 9, 7, 32 },     32,   K3, 1, PAD_0, 1, NO_BIAS },
  { "no-padding-strided",   { 2, 9, 8, 32 },     32,   K3, 2, PAD_0, 1, NO_BIAS },
  { "odd-everything",       { 3, 7, 5, 11 },     13,   { 3, 5 }, 1, { 1, 2, 0, 1 }, 1, BIAS, RESIDUAL_IS_OUT, FB_ACT_RELU },
  { "wide-kernel",          { 1, 12, 9, 8 },     20,   { 7, 7 }, 2, { 3, 3, 3, 3 }, 1, BIAS },
  { "one-channel",          { 1, 6, 6, 1 },      1,    K3, 1, PAD_1, 1, NO_BIAS },
  { "down-odd",             { 2, 7, 9, 37 },     70,   K3, 2, PAD_1, 1, BIAS, RESIDUAL },                        /* parities of unequal sizes */
  { "down-one-row",         { 1, 1, 6, 16 },     16,   K3, 2, PAD_1, 1, BIAS, RESIDUAL_IS_OUT },
  { "up-odd-kernel",        { 2, 3, 4, 18 },     33,   { 3, 5 }, 1, { 1, 2, 0, 2 }, 2, BIAS },
  { "tiles",                { 1, 24, 26, 64 },   96,   K3, 1, PAD_1, 1, BIAS },                                  /* pictures large enough for Winograd's way */
  { "tiles-odd",            { 2, 23, 25, 37 },   70,   K3, 1, PAD_1, 1, BIAS_PER_IMAGE, RESIDUAL_IS_OUT, FB_ACT_SILU },
  { "tiles-one-sided",      { 1, 33, 31, 40 },   33,   K3, 1, { 0, 2, 1, 0 }, 1, NO_BIAS, RESIDUAL },
  { "tiles-many-channels",  { 1, 16, 32, 1040 }, 224,  K3, 1, PAD_1, 1, BIAS },                                  /* slices, bands and chunks */
  { "tanh",                 { 1, 6, 6, 16 },     65,   K3, 1, PAD_1, 1, BIAS, NO_RESIDUAL, FB_ACT_TANH },
};

static void
output_shape (int *shape, const Case *c)
{
  shape[0] = c->x[0];
  shape[1] = (c->x[1] * c->upsample + c->pad[0] + c->pad[2] - c->kernel[0]) / c->stride + 1;
  shape[2] = (c->x[2] * c->upsample + c->pad[1] + c->pad[3] - c->kernel[1]) / c->stride + 1;
  shape[3] = c->Cout;
}

static FbTensor *
run (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c      = one;
  FbConv2dParams      params = { c->stride, c->pad[0], c->pad[1], c->pad[2], c->pad[3], c->upsample };
  FbDtype             out_dtype = c->f32_out ? FB_DTYPE_F32 : dtype;
  g_autoptr(FbWeight) weight = fb_test_weight (dev, c->folded ? FB_WEIGHT_CONV2D_UPSAMPLE : FB_WEIGHT_CONV2D, dtype,
                                               (int[]) { c->Cout, c->x[3], c->kernel[0], c->kernel[1] }, 1);
  int                 shape[4];

  output_shape (shape, c);

  g_autoptr(FbTensor) x        = fb_test_tensor (dev, dtype, 4, c->x, 2, 0, 1);
  g_autoptr(FbTensor) bias     = c->bias == NO_BIAS ? NULL
                                 : c->bias == BIAS  ? fb_test_tensor (dev, FB_DTYPE_F32, 1, &c->Cout, 3, 0, 1)
                                                    : fb_test_tensor (dev, FB_DTYPE_F32, 2, (int[]) { c->x[0], c->Cout }, 3, 0, 1);
  g_autoptr(FbTensor) residual = c->residual == NO_RESIDUAL ? NULL : fb_test_tensor (dev, out_dtype, 4, shape, 4, 0, 1);
  FbTensor           *out      = c->residual == RESIDUAL_IS_OUT ? fb_tensor_ref (residual) : fb_tensor_new (dev, out_dtype, 4, shape);

  fb_op_conv2d (dev, out, x, weight, bias, residual, &params, c->act);
  return out;
}

const FbOpTests fb_conv2d_tests = FB_OP_TESTS ("conv2d", cases, run, 5e-6, 1e-2);

/* What stands for the residual here is the gradient that is added to */
static FbTensor *
run_backward_input (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c      = one;
  FbConv2dParams      params = { c->stride, c->pad[0], c->pad[1], c->pad[2], c->pad[3], c->upsample };
  g_autoptr(FbWeight) weight = fb_test_weight (dev, c->folded ? FB_WEIGHT_CONV2D_UPSAMPLE : FB_WEIGHT_CONV2D, dtype,
                                               (int[]) { c->Cout, c->x[3], c->kernel[0], c->kernel[1] }, 1);
  int                 shape[4];

  output_shape (shape, c);

  g_autoptr(FbTensor) dy  = fb_test_tensor (dev, dtype, 4, shape, 2, 0, 1);
  g_autoptr(FbTensor) sum = c->residual == NO_RESIDUAL ? NULL : fb_test_tensor (dev, dtype, 4, c->x, 3, 0, 1);
  FbTensor           *dx  = c->residual == RESIDUAL_IS_OUT ? fb_tensor_ref (sum) : fb_tensor_new (dev, dtype, 4, c->x);

  fb_op_conv2d_backward_input (dev, dx, dy, weight, &params, sum);
  return dx;
}

const FbOpTests fb_conv2d_backward_input_tests = FB_OP_TESTS ("conv2d-backward-input", cases, run_backward_input, 5e-6, 1e-2);

static FbTensor *
run_backward_weight (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c      = one;
  FbConv2dParams      params = { c->stride, c->pad[0], c->pad[1], c->pad[2], c->pad[3], c->upsample };
  int                 shape[4];

  output_shape (shape, c);

  g_autoptr(FbTensor) x  = fb_test_tensor (dev, dtype, 4, c->x, 1, 0, 1);
  g_autoptr(FbTensor) dy = fb_test_tensor (dev, dtype, 4, shape, 2, 0, 1);
  FbTensor           *dw = fb_test_tensor (dev, FB_DTYPE_F32, 4, (int[]) { c->Cout, c->x[3], c->kernel[0], c->kernel[1] }, 3, 0, 1);

  fb_op_conv2d_backward_weight (dev, dw, dy, x, &params);
  return dw;
}

const FbOpTests fb_conv2d_backward_weight_tests = FB_OP_TESTS ("conv2d-backward-weight", cases, run_backward_weight, 5e-6, 5e-6);
