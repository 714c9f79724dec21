/* tests/kernels/attention.c: cases of kernels/attention.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <math.h>

#include "tests/kernels/conformance.h"

typedef struct
{
  const char *name;
  int         N, T, S, n_heads, D;
  gboolean    causal;
  float       deviation;      /* of queries and keys: large ones make the softmax pick single keys */
} Case;

static const Case cases[] =
{
  { "sd15-64",          1, 600, 600, 2,  40,  .deviation = 1 },      /* several blocks of keys, the last one short */
  { "sd15-32",          2, 100, 100, 3,  80,  .deviation = 1 },
  { "sd15-16",          1, 64,  64,  8,  160, .deviation = 1 },
  { "sd15-cross",       2, 130, 77,  8,  40,  .deviation = 1 },
  { "sdxl",             1, 256, 256, 2,  64,  .deviation = 1 },
  { "vae",              1, 300, 300, 1,  512, .deviation = 1 },
  { "clip-l",           2, 77,  77,  12, 64,  TRUE, 1 },
  { "causal-long",      1, 700, 700, 1,  16,  TRUE, 1 },
  { "causal-odd",       1, 333, 333, 2,  18,  TRUE, 2 },
  { "card-64",          1, 600, 600, 1,  64,  .deviation = 1 },      /* large enough for a library to be asked, at the widths of the networks */
  { "card-80",          1, 600, 600, 1,  80,  .deviation = 1 },
  { "card-160",         1, 600, 600, 1,  160, .deviation = 1 },
  { "card-512",         1, 600, 600, 1,  512, .deviation = 1 },
  { "card-odd",         1, 577, 523, 1,  40,  .deviation = 1 },
  { "card-sharp",       1, 600, 600, 1,  64,  .deviation = 6 },
  { "causal-40",        1, 150, 150, 2,  40,  TRUE, 1 },             /* and what it has no mask for */
  { "causal-80",        1, 150, 150, 2,  80,  TRUE, 1 },
  { "causal-160",       1, 150, 150, 1,  160, TRUE, 1 },
  { "sharp",            1, 65,  520, 2,  64,  .deviation = 6 },      /* the largest score moves from block to block */
  { "flat",             1, 65,  520, 2,  64,  .deviation = 0.01 },
  { "odd-width",        2, 37,  53,  3,  7,   .deviation = 1 },
  { "one-query",        1, 1,   400, 4,  40,  .deviation = 1 },
  { "one-key",          2, 9,   1,   2,  8,   .deviation = 1 },
  { "one-causal-token", 1, 1,   1,   1,  1,   TRUE, 1 },
};

static FbTensor *
run (FbDevice *dev, FbDtype dtype, const void *one)
{
  const Case         *c      = one;
  int                 q_shape[3] = { c->N, c->T, c->n_heads * c->D };
  int                 k_shape[3] = { c->N, c->S, c->n_heads * c->D };
  g_autoptr(FbTensor) q      = fb_test_tensor (dev, dtype, 3, q_shape, 1, 0, c->deviation);
  g_autoptr(FbTensor) k      = fb_test_tensor (dev, dtype, 3, k_shape, 2, 0, c->deviation);
  g_autoptr(FbTensor) v      = fb_test_tensor (dev, dtype, 3, k_shape, 3, 0, 1);
  FbTensor           *out    = fb_tensor_new (dev, dtype, 3, q_shape);

  fb_op_attention (dev, out, q, k, v, c->n_heads, 1 / sqrtf (c->D), c->causal);
  return out;
}

const FbOpTests fb_attention_tests = FB_OP_TESTS ("attention", cases, run, 1e-5, 1.5e-2);

/* Gradient @which: of queries, keys or values; with @keys_too false, of queries alone */
static FbTensor *
run_backward (FbDevice *dev, FbDtype dtype, const Case *c, int which, gboolean keys_too)
{
  int                 q_shape[3] = { c->N, c->T, c->n_heads * c->D };
  int                 k_shape[3] = { c->N, c->S, c->n_heads * c->D };
  g_autoptr(FbTensor) q          = fb_test_tensor (dev, dtype, 3, q_shape, 1, 0, c->deviation);
  g_autoptr(FbTensor) k          = fb_test_tensor (dev, dtype, 3, k_shape, 2, 0, c->deviation);
  g_autoptr(FbTensor) v          = fb_test_tensor (dev, dtype, 3, k_shape, 3, 0, 1);
  g_autoptr(FbTensor) dout       = fb_test_tensor (dev, dtype, 3, q_shape, 4, 0, 1);
  g_autoptr(FbTensor) out        = fb_tensor_new (dev, dtype, 3, q_shape);
  g_autoptr(FbTensor) dq         = fb_tensor_new (dev, dtype, 3, q_shape);
  g_autoptr(FbTensor) dk         = fb_tensor_new (dev, dtype, 3, k_shape);
  g_autoptr(FbTensor) dv         = fb_tensor_new (dev, dtype, 3, k_shape);
  float               scale      = 1 / sqrtf (c->D);

  fb_op_attention (dev, out, q, k, v, c->n_heads, scale, c->causal);
  fb_op_attention_backward (dev, dq, keys_too ? dk : NULL, keys_too ? dv : NULL, dout, q, k, v, out, c->n_heads, scale, c->causal);
  return fb_tensor_ref (which == 0 ? dq : which == 1 ? dk : dv);
}

static FbTensor *
run_queries (FbDevice *dev, FbDtype dtype, const void *one)
{
  return run_backward (dev, dtype, one, 0, TRUE);
}

static FbTensor *
run_queries_alone (FbDevice *dev, FbDtype dtype, const void *one)
{
  return run_backward (dev, dtype, one, 0, FALSE);
}

static FbTensor *
run_keys (FbDevice *dev, FbDtype dtype, const void *one)
{
  return run_backward (dev, dtype, one, 1, TRUE);
}

static FbTensor *
run_values (FbDevice *dev, FbDtype dtype, const void *one)
{
  return run_backward (dev, dtype, one, 2, TRUE);
}

/* With one key the gradients of queries and keys are 0: there is nothing to be relative to */
static const Case backward_cases[] =
{
  { "sd15-64",          1, 600, 600, 2,  40,  .deviation = 1 },
  { "sd15-32",          2, 100, 100, 3,  80,  .deviation = 1 },
  { "sd15-16",          1, 64,  64,  8,  160, .deviation = 1 },
  { "sd15-16-batch",    2, 256, 256, 1,  160, .deviation = 1 },      /* groups of keys */
  { "sd15-cross",       2, 130, 77,  8,  40,  .deviation = 1 },
  { "sdxl",             1, 256, 256, 2,  64,  .deviation = 1 },
  { "wide",             1, 130, 150, 1,  512, .deviation = 1 },
  { "card-40",          2, 516, 514, 1,  40,  .deviation = 1 },      /* large enough for a library to be asked */
  { "card-160",         1, 516, 514, 1,  160, .deviation = 1 },
  { "clip-l",           2, 77,  77,  12, 64,  TRUE, 1 },
  { "causal-long",      1, 700, 700, 1,  16,  TRUE, 1 },
  { "causal-odd",       1, 333, 333, 2,  18,  TRUE, 2 },
  { "sharp",            1, 65,  520, 2,  64,  .deviation = 3 },
  { "flat",             1, 65,  520, 2,  64,  .deviation = 0.01 },
  { "odd-width",        2, 37,  53,  3,  7,   .deviation = 1 },
  { "one-query",        1, 1,   400, 4,  40,  .deviation = 1 },
  { "two-keys",         2, 9,   2,   2,  8,   .deviation = 1 },
};

#define BACKWARD_TESTS(op, run) FB_OP_TESTS (op, backward_cases, run, 2e-5, 2e-2)

const FbOpTests fb_attention_backward_queries_tests       = BACKWARD_TESTS ("attention-backward-queries", run_queries);
const FbOpTests fb_attention_backward_queries_alone_tests = BACKWARD_TESTS ("attention-backward-queries-alone", run_queries_alone);
const FbOpTests fb_attention_backward_keys_tests          = BACKWARD_TESTS ("attention-backward-keys", run_keys);
const FbOpTests fb_attention_backward_values_tests        = BACKWARD_TESTS ("attention-backward-values", run_values);
