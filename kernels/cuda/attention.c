/* kernels/cuda/attention.c: kernels/attention.h by cuDNN's graphs, else by our own kernels. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * cuDNN describes attention without a mask in one operation, whose engines keep scores on the chip: for 16-bit types from compute capability
 * 8.0, and heads of as many channels as the engines of the card take. They are compiled when a plan is made. */

#include <string.h>

#include "kernels/cuda/dnn.h"

#define ALIGNMENT    16              /* bytes: eight channels of a head are read at a time */
#define LEAST_SCORES (512 * 512)     /* of one head: compiling takes about a second, which smaller ones would not win back in a job */

enum { ID_Q = 1, ID_K, ID_V, ID_OUT, ID_SCALE };       /* the operands' names inside a graph */

/* T queries, S keys, D channels of a head */
typedef struct
{
  FbDtype dtype;
  int     N, T, S, n_heads, D;
} Key;

/* Sizes in cuDNN's order, image, head, token, channel; in memory a token's heads lie together */
static gboolean
build_heads (FbDescriptor *d, gint64 id, const Key *key, gint64 n_tokens)
{
  const gint64 C          = (gint64) key->n_heads * key->D;
  const gint64 sizes[4]   = { key->N, key->n_heads, n_tokens, key->D };
  const gint64 strides[4] = { n_tokens * C, key->D, C, 1 };

  return fb_dnn_tensor (d, id, key->dtype, sizes, strides, ALIGNMENT);
}

/* (nullable): attention as a graph */
static FbDescriptor
describe (cudnnHandle_t handle, const void *data)
{
  const Key   *key = data;
  FbDescriptor q = NULL, k = NULL, v = NULL, out = NULL, scale = NULL, operation = NULL, graph = NULL;

  if (build_heads (&q, ID_Q, key, key->T) && build_heads (&k, ID_K, key, key->S) && build_heads (&v, ID_V, key, key->S) &&
      build_heads (&out, ID_OUT, key, key->T) && fb_dnn_number (&scale, ID_SCALE) &&
      fb_dnn_create (&operation, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, q) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, k) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, v) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, out) &&
      fb_dnn_set_part (operation, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, scale) &&
      fb_dnn_finalize (operation))
    graph = fb_dnn_graph (handle, operation);

  fb_dnn_destroy (&operation);
  fb_dnn_destroy (&scale);
  fb_dnn_destroy (&out);
  fb_dnn_destroy (&v);
  fb_dnn_destroy (&k);
  fb_dnn_destroy (&q);
  return graph;
}

static char *
tell (const void *data)
{
  const Key *key = data;

  return g_strdup_printf ("attention of %d×%d queries to %d keys, %d heads of %d channels, type %d", key->N, key->T, key->S, key->n_heads, key->D,
                          key->dtype);
}

static gboolean
is_aligned (const FbTensor *t)
{
  return (size_t) t->data % ALIGNMENT == 0;
}

/* FALSE where cuDNN has no way */
static gboolean
attend (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v, int n_heads, float scale)
{
  static const FbDnnOperation operation = { describe, tell };
  static const gint64         ids[]     = { ID_Q, ID_K, ID_V, ID_OUT, ID_SCALE };

  void *data[] = { q->data, k->data, v->data, out->data, &scale };
  Key   key;

  memset (&key, 0, sizeof key);
  key.dtype   = q->dtype;
  key.N       = q->shape[0];
  key.T       = q->shape[1];
  key.S       = k->shape[1];
  key.n_heads = n_heads;
  key.D       = q->shape[2] / n_heads;
  if (key.dtype == FB_DTYPE_F32 || key.D % (ALIGNMENT / 2) != 0 || fb_cuda (dev)->capability < 80 || (size_t) key.T * key.S < LEAST_SCORES ||
      !is_aligned (q) || !is_aligned (k) || !is_aligned (v) || !is_aligned (out))
    return FALSE;
  return fb_dnn_run (dev, &operation, &key, sizeof key, FALSE, G_N_ELEMENTS (ids), ids, data);
}

void
fb_cuda_attention (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                   int n_heads, float scale, gboolean causal)
{
  if (causal || !attend (dev, out, q, k, v, n_heads, scale))
    fb_cuda_attend_plainly (dev, out, q, k, v, n_heads, scale, causal);
}
