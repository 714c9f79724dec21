/* kernels/attention.c: checks for kernels/attention.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

void
fb_op_attention (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                 int n_heads, float scale, gboolean causal)
{
  const FbTensor *tensors[] = { out, q, k, v };

  g_assert (q->n_dims == 3 && k->n_dims == 3);
  g_assert (fb_tensor_same_shape (out, q) && fb_tensor_same_shape (k, v));
  g_assert (out->dtype == q->dtype && k->dtype == q->dtype && v->dtype == q->dtype && fb_device_supports (dev, q->dtype));
  g_assert (k->shape[0] == q->shape[0] && k->shape[2] == q->shape[2]);
  g_assert (n_heads >= 1 && q->shape[2] % n_heads == 0);
  g_assert (scale > 0);
  g_assert (!causal || q->shape[1] == k->shape[1]);

  if (fb_op_ready (dev, dev->ops->attention != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->attention (dev, out, q, k, v, n_heads, scale, causal);
}

void
fb_op_attention_backward (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q, const FbTensor *k,
                          const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal)
{
  const FbTensor *tensors[] = { dq, dk, dv, dout, q, k, v, out };

  g_assert (q->n_dims == 3 && k->n_dims == 3 && (dk == NULL) == (dv == NULL));
  g_assert (fb_tensor_same_shape (dq, q) && fb_tensor_same_shape (dout, q) && fb_tensor_same_shape (out, q) && fb_tensor_same_shape (k, v));
  g_assert (dk == NULL || (fb_tensor_same_shape (dk, k) && fb_tensor_same_shape (dv, k)));
  for (size_t i = 0; i < G_N_ELEMENTS (tensors); i++)
    g_assert (tensors[i] == NULL || tensors[i]->dtype == q->dtype);
  g_assert (fb_device_supports (dev, q->dtype));
  g_assert (k->shape[0] == q->shape[0] && k->shape[2] == q->shape[2]);
  g_assert (n_heads >= 1 && q->shape[2] % n_heads == 0);
  g_assert (scale > 0);
  g_assert (!causal || q->shape[1] == k->shape[1]);

  if (fb_op_ready (dev, dev->ops->attention_backward != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->attention_backward (dev, dq, dk, dv, dout, q, k, v, out, n_heads, scale, causal);
}
