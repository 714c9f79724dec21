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
fb_op_concat_backward (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout)
{
  const FbTensor *tensors[] = { dout, da, db };
  int             last      = dout->n_dims - 1;
  int             C         = 0;

  g_assert ((da != NULL || db != NULL) && fb_device_supports (dev, dout->dtype));
  for (size_t t = 1; t < G_N_ELEMENTS (tensors); t++)
    if (tensors[t] != NULL)
      {
        g_assert (tensors[t]->dtype == dout->dtype && tensors[t]->n_dims == dout->n_dims);
        for (int i = 0; i < last; i++)
          g_assert (tensors[t]->shape[i] == dout->shape[i]);
        C += tensors[t]->shape[last];
      }
  g_assert (da != NULL && db != NULL ? C == dout->shape[last] : C < dout->shape[last]);

  if (fb_op_ready (dev, dev->ops->concat_backward != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->concat_backward (dev, da, db, dout);
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
fb_op_upsample_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout)
{
  const FbTensor *tensors[] = { dx, dout };

  g_assert (dx->dtype == dout->dtype && fb_device_supports (dev, dx->dtype));
  g_assert (dx->n_dims == 4 && dout->n_dims == 4 && dout->shape[0] == dx->shape[0] && dout->shape[3] == dx->shape[3]);
  for (int i = 1; i <= 2; i++)
    g_assert (dout->shape[i] == 2 * dx->shape[i] || dout->shape[i] == 2 * dx->shape[i] - 1);

  if (fb_op_ready (dev, dev->ops->upsample_backward != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->upsample_backward (dev, dx, dout);
}

void
fb_op_cast (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  const FbTensor *tensors[] = { out, x };

  g_assert (fb_tensor_same_shape (out, x) && out->dtype <= FB_DTYPE_F64 && x->dtype <= FB_DTYPE_F64);

  if (fb_op_ready (dev, dev->ops->cast != NULL, tensors, G_N_ELEMENTS (tensors)))
    dev->ops->cast (dev, out, x);
}
