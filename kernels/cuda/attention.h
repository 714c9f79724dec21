/* kernels/cuda/attention.h: attention by cuDNN, as both directions need it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/cuda/dnn.h"

G_BEGIN_DECLS

/**
 * FbAttention: without a mask, in 16 bits
 * @N, @T, @S: images, and of each queries and keys
 * @D: channels of a head
 * @with_statistics: gives what the way back needs of the softmax too
 */
typedef struct
{
  FbDtype  dtype;
  int      N, T, S, n_heads, D;
  gboolean with_statistics;
} FbAttention;

/* (out) @a: FALSE where cuDNN cannot do it, or is not worth being asked */
gboolean fb_attention_init (FbAttention *a, FbDevice *dev, const FbTensor *q, const FbTensor *k, int n_heads);

/* Whether a tensor's heads lie as cuDNN's engines read them */
gboolean fb_attention_is_aligned (const FbTensor *t);

/* The heads of @n_tokens tokens of each image, where they lie; @transposed: as [image, head, channel, token] */
gboolean fb_attention_heads (FbDescriptor *d, gint64 id, const FbAttention *a, int n_tokens, gboolean transposed);

/* One f32 for each query of each head: [image, head, query, 1] */
gboolean fb_attention_rows (FbDescriptor *d, gint64 id, const FbAttention *a);

/**
 * fb_attention_run:
 * @statistics: (nullable): [N, n_heads, T]: logarithms of the sums of exponentials
 *
 * FALSE where cuDNN has no engine; device memory all.
 */
gboolean fb_attention_run (FbDevice *dev, const FbAttention *a, void *out, void *q, void *k, void *v, float scale, void *statistics);

G_END_DECLS
