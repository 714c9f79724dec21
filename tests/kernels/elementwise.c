/* tests/kernels/elementwise.c: cases of kernels/elementwise.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "tests/kernels/conformance.h"

typedef enum { NEW, FIRST, SECOND } Out;     /* a tensor of its own, or one of the summands */

typedef struct
{
  const char *name;
  int         a_dims, a[4];
  int         b_dims, b[4];
  Out         out;
} AddCase;

static const AddCase add_cases[] =
{
  { "same-shape",          4, { 2, 9, 7, 40 },   4, { 2, 9, 7, 40 } },
  { "into-first",          3, { 2, 100, 33 },    3, { 2, 100, 33 },  FIRST },
  { "into-second",         3, { 2, 100, 33 },    3, { 2, 100, 33 },  SECOND },
  { "position-embedding",  3, { 2, 77, 768 },    2, { 77, 768 } },
  { "over-channels",       4, { 2, 5, 3, 17 },   1, { 17 },          FIRST },
  { "large",               4, { 1, 64, 64, 65 }, 4, { 1, 64, 64, 65 } },
  { "one-number",          1, { 1 },             1, { 1 } },
};

static FbTensor *
run_add (FbDevice *dev, FbDtype dtype, const void *one)
{
  const AddCase      *c   = one;
  g_autoptr(FbTensor) a   = fb_test_tensor (dev, dtype, c->a_dims, c->a, 1, 0, 1);
  g_autoptr(FbTensor) b   = fb_test_tensor (dev, dtype, c->b_dims, c->b, 2, 0, 1);
  FbTensor           *out = c->out == NEW ? fb_tensor_new (dev, dtype, c->a_dims, c->a) : fb_tensor_ref (c->out == FIRST ? a : b);

  fb_op_add (dev, out, a, b);
  return out;
}

/* bf16: the reference rounds the f64 sum once, f32 arithmetic twice; half a step apart at most once in a while */
const FbOpTests fb_add_tests = FB_OP_TESTS ("add", add_cases, run_add, 1.2e-7, 4e-3);

typedef struct
{
  const char *name;
  int         n_dims, a[4];
  int         Cb;
} ConcatCase;

static const ConcatCase concat_cases[] =
{
  { "sd15-up",   4, { 2, 8, 8, 1280 }, 640 },
  { "inpaint",   4, { 1, 9, 7, 4 },    5 },
  { "tokens",    3, { 2, 77, 768 },    1280 },
  { "vectors",   2, { 3, 11 },         1 },
};

static FbTensor *
run_concat (FbDevice *dev, FbDtype dtype, const void *one)
{
  const ConcatCase   *c    = one;
  int                 b[4] = { c->a[0], c->a[1], c->a[2], c->a[3] };
  int                 shape[4] = { c->a[0], c->a[1], c->a[2], c->a[3] };
  int                 last = c->n_dims - 1;

  b[last]      = c->Cb;
  shape[last] += c->Cb;

  g_autoptr(FbTensor) A   = fb_test_tensor (dev, dtype, c->n_dims, c->a, 1, 0, 1);
  g_autoptr(FbTensor) B   = fb_test_tensor (dev, dtype, c->n_dims, b, 2, 0, 1);
  FbTensor           *out = fb_tensor_new (dev, dtype, c->n_dims, shape);

  fb_op_concat (dev, out, A, B);
  return out;
}

const FbOpTests fb_concat_tests = FB_OP_TESTS ("concat", concat_cases, run_concat, 0, 0);

typedef struct
{
  const char *name;
  int         shape[4];
  FbDtype     to;
} CastCase;

static const CastCase cast_cases[] =
{
  { "to-f32",   { 2, 9, 7, 40 },    FB_DTYPE_F32 },
  { "to-bf16",  { 1, 64, 64, 33 },  FB_DTYPE_BF16 },
  { "to-f16",   { 1, 5, 7, 11 },    FB_DTYPE_F16 },
  { "to-f64",   { 1, 1, 1, 1 },     FB_DTYPE_F64 },
};

static FbTensor *
run_cast (FbDevice *dev, FbDtype dtype, const void *one)
{
  const CastCase     *c   = one;
  g_autoptr(FbTensor) x   = fb_test_tensor (dev, dtype, 4, c->shape, 1, 0, 1);
  FbTensor           *out = fb_tensor_new (dev, c->to, 4, c->shape);

  fb_op_cast (dev, out, x);
  return out;
}

const FbOpTests fb_cast_tests = FB_OP_TESTS ("cast", cast_cases, run_cast, 0, 0);

typedef struct
{
  const char *name;
  int         shape[4];
  int         cut_rows, cut_columns;
} UpsampleCase;

static const UpsampleCase upsample_cases[] =
{
  { "even",         { 1, 4, 6, 40 },   0, 0 },
  { "odd-height",   { 2, 5, 4, 33 },   1, 0 },
  { "odd-both",     { 2, 9, 3, 1280 }, 1, 1 },
  { "to-one-pixel", { 1, 1, 1, 8 },    1, 1 },
};

static FbTensor *
run_upsample (FbDevice *dev, FbDtype dtype, const void *one)
{
  const UpsampleCase *c     = one;
  int                 out_shape[] = { c->shape[0], 2 * c->shape[1] - c->cut_rows, 2 * c->shape[2] - c->cut_columns, c->shape[3] };
  g_autoptr(FbTensor) x     = fb_test_tensor (dev, dtype, 4, c->shape, 1, 0, 1);
  FbTensor           *out   = fb_tensor_new (dev, dtype, 4, out_shape);

  fb_op_upsample (dev, out, x);
  return out;
}

const FbOpTests fb_upsample_tests = FB_OP_TESTS ("upsample", upsample_cases, run_upsample, 0, 0);

/* Gradient of the first or the second part, with the other or alone */
static FbTensor *
run_concat_backward (FbDevice *dev, FbDtype dtype, const ConcatCase *c, gboolean second, gboolean alone)
{
  int b[4]     = { c->a[0], c->a[1], c->a[2], c->a[3] };
  int shape[4] = { c->a[0], c->a[1], c->a[2], c->a[3] };
  int last     = c->n_dims - 1;

  b[last]      = c->Cb;
  shape[last] += c->Cb;

  g_autoptr(FbTensor) dout = fb_test_tensor (dev, dtype, c->n_dims, shape, 1, 0, 1);
  g_autoptr(FbTensor) da   = fb_tensor_new (dev, dtype, c->n_dims, c->a);
  g_autoptr(FbTensor) db   = fb_tensor_new (dev, dtype, c->n_dims, b);

  fb_op_concat_backward (dev, alone && second ? NULL : da, alone && !second ? NULL : db, dout);
  return fb_tensor_ref (second ? db : da);
}

static FbTensor *
run_concat_first (FbDevice *dev, FbDtype dtype, const void *one)
{
  return run_concat_backward (dev, dtype, one, FALSE, FALSE);
}

static FbTensor *
run_concat_second_alone (FbDevice *dev, FbDtype dtype, const void *one)
{
  return run_concat_backward (dev, dtype, one, TRUE, TRUE);
}

const FbOpTests fb_concat_backward_first_tests        = FB_OP_TESTS ("concat-backward-first", concat_cases, run_concat_first, 0, 0);
const FbOpTests fb_concat_backward_second_alone_tests = FB_OP_TESTS ("concat-backward-second-alone", concat_cases, run_concat_second_alone, 0, 0);

static FbTensor *
run_upsample_backward (FbDevice *dev, FbDtype dtype, const void *one)
{
  const UpsampleCase *c       = one;
  int                 shape[] = { c->shape[0], 2 * c->shape[1] - c->cut_rows, 2 * c->shape[2] - c->cut_columns, c->shape[3] };
  g_autoptr(FbTensor) dout    = fb_test_tensor (dev, dtype, 4, shape, 1, 0, 1);
  FbTensor           *dx      = fb_tensor_new (dev, dtype, 4, c->shape);

  fb_op_upsample_backward (dev, dx, dout);
  return dx;
}

const FbOpTests fb_upsample_backward_tests = FB_OP_TESTS ("upsample-backward", upsample_cases, run_upsample_backward, 2.4e-7, 4e-3);
