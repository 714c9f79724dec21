/* kernels/cuda/attention-backward.c: gradients of attention by cuDNN's graphs, else by our own kernels. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * cuDNN has no engine yet for a single operation, but knows these gradients when it sees them spelt out, and then keeps scores and weights on the
 * chip. Only the gradients of the scores go through memory: they could be added up to those of the queries at once, but in another order each
 * time. The statistics of the softmax come from attending once more. Images go one by one: their scores' gradients take the same memory. */

#include "kernels/cuda/attention-backward.h"

#include <string.h>

#include "kernels/cuda/attention.h"

#define MAX_WORKSPACE ((size_t) 512 << 20)
#define MOST_PARTS    64
#define MOST_STEPS    20

/* the operands' names inside a graph; what stays on the chip has names from ID_INNER */
enum { ID_Q = 1, ID_K, ID_V, ID_OUT, ID_DOUT, ID_STATISTICS, ID_SCALE, ID_ONE, ID_GIVEN, ID_DQ, ID_DK, ID_DV, N_IDS, ID_INNER = 100 };

/**
 * Spelling: a graph that is being written down
 * @parts: tensors and what describes the operations, to be destroyed when the graph stands
 * @declined: something was; what follows does nothing
 */
typedef struct
{
  const FbAttention *of;
  FbDescriptor       parts[MOST_PARTS];
  FbDescriptor       steps[MOST_STEPS];
  int                n_parts, n_steps;
  gint64             next_id;
  gboolean           declined;
} Spelling;

/* (transfer none): a place for the next part */
static FbDescriptor *
next_part (Spelling *s)
{
  g_assert (s->n_parts < MOST_PARTS);
  return &s->parts[s->n_parts++];
}

static FbDescriptor *
next_step (Spelling *s)
{
  g_assert (s->n_steps < MOST_STEPS);
  return &s->steps[s->n_steps++];
}

static FbDescriptor
keep (Spelling *s, FbDescriptor *part, gboolean ok)
{
  s->declined = s->declined || !ok;
  return *part;
}

static FbDescriptor
heads (Spelling *s, gint64 id, int n_tokens, gboolean transposed)
{
  FbDescriptor *d = next_part (s);

  return keep (s, d, fb_attention_heads (d, id, s->of, n_tokens, transposed));
}

static FbDescriptor
rows (Spelling *s, gint64 id)
{
  FbDescriptor *d = next_part (s);

  return keep (s, d, fb_attention_rows (d, id, s->of));
}

static FbDescriptor
number (Spelling *s, gint64 id)
{
  FbDescriptor *d = next_part (s);

  return keep (s, d, fb_dnn_number (d, id));
}

/* What stays on the chip: of each head [n_rows, n_columns], with these strides from one to the next */
static FbDescriptor
inner (Spelling *s, FbDtype dtype, gint64 n_rows, gint64 n_columns, gint64 of_image, gint64 of_head, gint64 of_row, gint64 of_column)
{
  const gint64  sizes[4]   = { s->of->N, s->of->n_heads, n_rows, n_columns };
  const gint64  strides[4] = { of_image, of_head, of_row, of_column };
  FbDescriptor *d          = next_part (s);

  return keep (s, d, fb_dnn_inner (d, s->next_id++, dtype, sizes, strides));
}

/* [T, S] of each head, f32 */
static FbDescriptor
scores (Spelling *s)
{
  const gint64 n = (gint64) s->of->T * s->of->S;

  return inner (s, FB_DTYPE_F32, s->of->T, s->of->S, s->of->n_heads * n, n, s->of->S, 1);
}

/* @y: the numbers of @x, taken for what its sizes and strides say */
static FbDescriptor
reshape (Spelling *s, FbDescriptor x, FbDescriptor y)
{
  FbDescriptor *step = next_step (s);

  keep (s, step, fb_dnn_create (step, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y) &&
                 fb_dnn_finalize (*step));
  return y;
}

/* scores() as [S, T], rounded */
static FbDescriptor
turn (Spelling *s, FbDescriptor x)
{
  const gint64 n = (gint64) s->of->T * s->of->S;

  return reshape (s, x, inner (s, s->of->dtype, s->of->S, s->of->T, s->of->n_heads * n, n, 1, s->of->S));
}

/* @y: of each element of @x, and where there is a @b of its or the one of its row */
static FbDescriptor
pointwise (Spelling *s, cudnnPointwiseMode_t mode, FbDescriptor x, FbDescriptor b, FbDescriptor y)
{
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  FbDescriptor   *how  = next_part (s);
  FbDescriptor   *step = next_step (s);

  keep (s, step, fb_dnn_create (how, CUDNN_BACKEND_POINTWISE_DESCRIPTOR) &&
                 fb_dnn_set (*how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode) &&
                 fb_dnn_set (*how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type) &&
                 fb_dnn_finalize (*how) &&
                 fb_dnn_create (step, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, *how) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x) &&
                 (b == NULL || fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b)) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y) &&
                 fb_dnn_finalize (*step));
  return y;
}

/* @c = @a · @b of each head */
static FbDescriptor
multiply (Spelling *s, FbDescriptor a, FbDescriptor b, FbDescriptor c)
{
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  FbDescriptor   *how  = next_part (s);
  FbDescriptor   *step = next_step (s);

  keep (s, step, fb_dnn_create (how, CUDNN_BACKEND_MATMUL_DESCRIPTOR) &&
                 fb_dnn_set (*how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type) &&
                 fb_dnn_finalize (*how) &&
                 fb_dnn_create (step, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_MATMUL_DESC, *how) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c) &&
                 fb_dnn_finalize (*step));
  return c;
}

/* @y: the sum of each row of @x */
static FbDescriptor
sum_rows (Spelling *s, FbDescriptor x, FbDescriptor y)
{
  cudnnDataType_t       type = CUDNN_DATA_FLOAT;
  cudnnReduceTensorOp_t add  = CUDNN_REDUCE_TENSOR_ADD;
  FbDescriptor         *how  = next_part (s);
  FbDescriptor         *step = next_step (s);

  keep (s, step, fb_dnn_create (how, CUDNN_BACKEND_REDUCTION_DESCRIPTOR) &&
                 fb_dnn_set (*how, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &add) &&
                 fb_dnn_set (*how, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type) &&
                 fb_dnn_finalize (*how) &&
                 fb_dnn_create (step, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_REDUCTION_DESC, *how) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x) &&
                 fb_dnn_set_part (*step, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y) &&
                 fb_dnn_finalize (*step));
  return y;
}

/* The equations of kernels/attention.h, in the order in which the library's engines know them */
static void
spell (Spelling *s)
{
  const FbAttention *a          = s->of;
  FbDescriptor       q          = heads (s, ID_Q, a->T, FALSE), dq = heads (s, ID_DQ, a->T, FALSE);
  FbDescriptor       k          = heads (s, ID_K, a->S, TRUE), dk = heads (s, ID_DK, a->S, FALSE);
  FbDescriptor       v          = heads (s, ID_V, a->S, TRUE), dv = heads (s, ID_DV, a->S, FALSE);
  FbDescriptor       out        = heads (s, ID_OUT, a->T, FALSE), dout = heads (s, ID_DOUT, a->T, FALSE);
  FbDescriptor       statistics = rows (s, ID_STATISTICS);
  FbDescriptor       scale      = number (s, ID_SCALE), one = number (s, ID_ONE);
  const gint64       C          = (gint64) a->n_heads * a->D;
  FbDescriptor       given, weights, gradients;

  given = pointwise (s, CUDNN_POINTWISE_MUL, dout, out, inner (s, FB_DTYPE_F32, a->T, a->D, a->T * C, (gint64) a->T * a->D, C, 1));
  given = sum_rows (s, given, inner (s, FB_DTYPE_F32, a->T, 1, (gint64) a->n_heads * a->T, a->T, 1, 1));
  given = pointwise (s, CUDNN_POINTWISE_MUL, given, one, rows (s, ID_GIVEN));

  weights = multiply (s, q, k, scores (s));
  weights = pointwise (s, CUDNN_POINTWISE_MUL, weights, scale, scores (s));
  weights = pointwise (s, CUDNN_POINTWISE_SUB, weights, statistics, scores (s));
  weights = pointwise (s, CUDNN_POINTWISE_EXP, weights, NULL, scores (s));
  multiply (s, turn (s, weights), dout, dv);

  gradients = multiply (s, dout, v, scores (s));
  gradients = pointwise (s, CUDNN_POINTWISE_SUB, gradients, given, scores (s));
  gradients = pointwise (s, CUDNN_POINTWISE_MUL, gradients, weights, scores (s));
  gradients = pointwise (s, CUDNN_POINTWISE_MUL, gradients, scale, scores (s));
  multiply (s, turn (s, gradients), q, dk);
  multiply (s, gradients, reshape (s, k, inner (s, a->dtype, a->S, a->D, a->S * C, a->D, C, 1)), dq);
}

static FbDescriptor
describe (cudnnHandle_t handle, const void *key)
{
  Spelling     s     = { .of = key, .next_id = ID_INNER };
  FbDescriptor graph = NULL;

  spell (&s);
  if (!s.declined)
    graph = fb_dnn_graph (handle, s.n_steps, s.steps);
  for (int i = 0; i < s.n_steps; i++)
    fb_dnn_destroy (&s.steps[i]);
  for (int i = 0; i < s.n_parts; i++)
    fb_dnn_destroy (&s.parts[i]);
  return graph;
}

static char *
tell (const void *key)
{
  const FbAttention *a = key;

  return g_strdup_printf ("gradients of attention of %d queries to %d keys, %d heads of %d channels, type %d", a->T, a->S, a->n_heads, a->D, a->dtype);
}

/* The @n th image's part of @t */
static void *
image (const FbTensor *t, int n)
{
  return (char *) t->data + t->n_bytes / t->shape[0] * n;
}

/* FALSE where cuDNN has no way */
static gboolean
attend_backward (FbDevice *dev, FbAttention *a, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q, const FbTensor *k,
                 const FbTensor *v, const FbTensor *out, float scale)
{
  static const FbDnnOperation operation = { describe, tell, MAX_WORKSPACE };
  static const gint64         ids[]     = { ID_Q, ID_K, ID_V, ID_OUT, ID_DOUT, ID_STATISTICS, ID_SCALE, ID_ONE, ID_GIVEN, ID_DQ, ID_DK, ID_DV };

  const int N          = a->N;
  FbTensor *again      = fb_tensor_new_2d (dev, a->dtype, a->T, a->n_heads * a->D);
  FbTensor *statistics = fb_tensor_new_2d (dev, FB_DTYPE_F32, a->n_heads, a->T);
  FbTensor *given      = fb_tensor_new_2d (dev, FB_DTYPE_F32, a->n_heads, a->T);
  float     one        = 1.0f;
  gboolean  done       = TRUE;

  G_STATIC_ASSERT (G_N_ELEMENTS (ids) == N_IDS - 1);
  a->N = 1;
  for (int n = 0; n < N && done && dev->failure == NULL; n++)
    {
      void *data[] = { image (q, n), image (k, n), image (v, n), image (out, n), image (dout, n), statistics->data, &scale, &one, given->data,
                       image (dq, n), image (dk, n), image (dv, n) };

      a->with_statistics = TRUE;
      done = fb_attention_run (dev, a, again->data, image (q, n), image (k, n), image (v, n), scale, statistics->data);
      a->with_statistics = FALSE;
      done = done && fb_dnn_run (dev, &operation, a, sizeof *a, FALSE, G_N_ELEMENTS (ids), ids, data);
    }

  fb_tensor_unref (given);
  fb_tensor_unref (statistics);
  fb_tensor_unref (again);
  return done;
}

void
fb_cuda_attention_backward (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q, const FbTensor *k,
                            const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal)
{
  const FbTensor *tensors[] = { dq, dk, dv, dout, q, k, v, out };
  FbAttention     a;
  gboolean        possible  = !causal && dk != NULL && fb_attention_init (&a, dev, q, k, n_heads) &&
                              fb_cuda (dev)->capability < 100;     /* of later engines it is not known that they keep the order of sums */

  for (size_t i = 0; i < G_N_ELEMENTS (tensors) && possible; i++)
    possible = fb_attention_is_aligned (tensors[i]);
  if (!possible || !attend_backward (dev, &a, dq, dk, dv, dout, q, k, v, out, scale))
    fb_cuda_attend_backward_plainly (dev, dq, dk, dv, dout, q, k, v, out, n_heads, scale, causal);
}
