/* kernels/elementwise.c: checks for kernels/elementwise.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

/* Whether @b's dimensions are the last ones of @a */
static gboolean
repeats_over (const FbTensor *a, const FbTensor *b)
{
  int skip = a->n_dims - b->n_dims;

  if (skip < 0)
    return FALSE;
  for (int i = 0; i < b->n_dims; i++)
    if (b->shape[i] != a->shape[skip + i])
      return FALSE;
  return TRUE;
}

void
fb_op_add (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b)
{
  const FbTensor *tensors[] = { out, a, b };

  g_assert (fb_tensor_same_shape (out, a) && repeats_over (a, b));
  g_assert (out->dtype == a->dtype && b->dtype == a->dtype && fb_device_supports (dev, a->dtype));

  if (fb_op_ready (dev, dev->ops->add != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->add (dev, out, a, b);
}

void
fb_op_concat (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b)
{
  const FbTensor *tensors[] = { out, a, b };
  int             last      = a->n_dims - 1;

  g_assert (out->dtype == a->dtype && b->dtype == a->dtype && fb_device_supports (dev, a->dtype));
  g_assert (out->n_dims == a->n_dims && b->n_dims == a->n_dims);
  for (int i = 0; i < last; i++)
    g_assert (out->shape[i] == a->shape[i] && b->shape[i] == a->shape[i]);
  g_assert (out->shape[last] == a->shape[last] + b->shape[last]);

  if (fb_op_ready (dev, dev->ops->concat != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->concat (dev, out, a, b);
}

void
fb_op_upsample (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  const FbTensor *tensors[] = { out, x };

  g_assert (out->dtype == x->dtype && fb_device_supports (dev, x->dtype));
  g_assert (x->n_dims == 4 && out->n_dims == 4 && out->shape[0] == x->shape[0] && out->shape[3] == x->shape[3]);
  for (int i = 1; i <= 2; i++)
    g_assert (out->shape[i] == 2 * x->shape[i] || out->shape[i] == 2 * x->shape[i] - 1);

  if (fb_op_ready (dev, dev->ops->upsample != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->upsample (dev, out, x);
}

void
fb_op_cast (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  const FbTensor *tensors[] = { out, x };

  g_assert (fb_tensor_same_shape (out, x) && out->dtype <= FB_DTYPE_F64 && x->dtype <= FB_DTYPE_F64);

  if (fb_op_ready (dev, dev->ops->cast != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->cast (dev, out, x);
}
