/* kernels/cuda/attention.c: kernels/attention.h by cuDNN's graphs, else by our own kernels. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * cuDNN describes attention without a mask in one operation, whose engines keep scores on the chip: for 16-bit types from compute capability
 * 8.0, and heads of as many channels as the engines of the card take. They are compiled when a plan is made. */

#include "kernels/cuda/attention.h"

#include <string.h>

#define ALIGNMENT    16              /* bytes: eight channels of a head are read at a time */
#define LEAST_SCORES (512 * 512)     /* of one head: compiling takes about a second, which smaller ones would not win back in a job */

enum { ID_Q = 1, ID_K, ID_V, ID_OUT, ID_SCALE, ID_STATISTICS };       /* the operands' names inside a graph */

gboolean
fb_attention_init (FbAttention *a, FbDevice *dev, const FbTensor *q, const FbTensor *k, int n_heads)
{
  memset (a, 0, sizeof *a);
  a->dtype   = q->dtype;
  a->N       = q->shape[0];
  a->T       = q->shape[1];
  a->S       = k->shape[1];
  a->n_heads = n_heads;
  a->D       = q->shape[2] / n_heads;

  return a->dtype != FB_DTYPE_F32 && fb_cuda (dev)->capability >= 80 && a->D % (ALIGNMENT / 2) == 0 && (size_t) a->T * a->S >= LEAST_SCORES;
}

gboolean
fb_attention_is_aligned (const FbTensor *t)
{
  return (size_t) t->data % ALIGNMENT == 0;
}

/* Sizes in cuDNN's order, image, head, token, channel; in memory a token's heads lie together */
gboolean
fb_attention_heads (FbDescriptor *d, gint64 id, const FbAttention *a, int n_tokens, gboolean transposed)
{
  const gint64 C          = (gint64) a->n_heads * a->D;
  const gint64 sizes[4]   = { a->N, a->n_heads, transposed ? a->D : n_tokens, transposed ? n_tokens : a->D };
  const gint64 strides[4] = { n_tokens * C, a->D, transposed ? 1 : C, transposed ? C : 1 };

  return fb_dnn_tensor (d, id, a->dtype, sizes, strides, ALIGNMENT);
}

gboolean
fb_attention_rows (FbDescriptor *d, gint64 id, const FbAttention *a)
{
  const gint64 sizes[4]   = { a->N, a->n_heads, a->T, 1 };
  const gint64 strides[4] = { (gint64) a->n_heads * a->T, a->T, 1, 1 };

  return fb_dnn_tensor (d, id, FB_DTYPE_F32, sizes, strides, ALIGNMENT);
}

/* (nullable): attention as a graph */
static FbDescriptor
describe (cudnnHandle_t handle, const void *key)
{
  const FbAttention *a = key;
  FbDescriptor       q = NULL, k = NULL, v = NULL, out = NULL, scale = NULL, statistics = NULL, operation = NULL, graph = NULL;

  if (fb_attention_heads (&q, ID_Q, a, a->T, FALSE) && fb_attention_heads (&k, ID_K, a, a->S, FALSE) &&
      fb_attention_heads (&v, ID_V, a, a->S, FALSE) && fb_attention_heads (&out, ID_OUT, a, a->T, FALSE) &&
      fb_dnn_number (&scale, ID_SCALE) &&
      fb_dnn_create (&operation, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, q) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, k) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, v) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, out) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, scale) &&
      (!a->with_statistics || (fb_attention_rows (&statistics, ID_STATISTICS, a) &&
                               fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, statistics))) &&
      fb_dnn_finalize (operation))
    graph = fb_dnn_graph (handle, 1, &operation);

  fb_dnn_destroy (&operation);
  fb_dnn_destroy (&statistics);
  fb_dnn_destroy (&scale);
  fb_dnn_destroy (&out);
  fb_dnn_destroy (&v);
  fb_dnn_destroy (&k);
  fb_dnn_destroy (&q);
  return graph;
}

static char *
tell (const void *key)
{
  const FbAttention *a = key;

  return g_strdup_printf ("attention of %d×%d queries to %d keys, %d heads of %d channels, type %d%s", a->N, a->T, a->S, a->n_heads, a->D, a->dtype,
                          a->with_statistics ? ", with statistics" : "");
}

gboolean
fb_attention_run (FbDevice *dev, const FbAttention *a, void *out, void *q, void *k, void *v, float scale, void *statistics)
{
  static const FbDnnOperation operation = { describe, tell };
  static const gint64         ids[]     = { ID_Q, ID_K, ID_V, ID_OUT, ID_SCALE, ID_STATISTICS };

  void     *data[] = { q, k, v, out, &scale, statistics };
  const int n      = a->with_statistics ? G_N_ELEMENTS (ids) : G_N_ELEMENTS (ids) - 1;

  return fb_dnn_run (dev, &operation, a, sizeof *a, FALSE, n, ids, data);
}

void
fb_cuda_attention (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                   int n_heads, float scale, gboolean causal)
{
  FbAttention a;

  if (causal || !fb_attention_init (&a, dev, q, k, n_heads) ||
      !fb_attention_is_aligned (q) || !fb_attention_is_aligned (k) || !fb_attention_is_aligned (v) || !fb_attention_is_aligned (out) ||
      !fb_attention_run (dev, &a, out->data, q->data, k->data, v->data, scale, NULL))
    fb_cuda_attend_plainly (dev, out, q, k, v, n_heads, scale, causal);
}
