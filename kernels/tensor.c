/* kernels/tensor.c: tensors in a device's memory. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <string.h>

#include "kernels/device-private.h"

static FbTensor *
tensor_new (FbDevice *dev, FbDtype dtype, int n_dims, const int *shape)
{
  FbTensor *t = g_new0 (FbTensor, 1);

  g_assert (n_dims >= 1 && n_dims <= FB_MAX_DIMS);

  t->dev       = dev;
  t->dtype     = dtype;
  t->n_dims    = n_dims;
  t->n_bytes   = fb_dtype_size (dtype);
  t->ref_count = 1;
  for (int i = 0; i < FB_MAX_DIMS; i++)
    {
      t->shape[i] = i < n_dims ? shape[i] : 1;
      g_assert (t->shape[i] >= 1);
      if (!g_size_checked_mul (&t->n_bytes, t->n_bytes, t->shape[i]))
        t->n_bytes = G_MAXSIZE;                                  /* no device has that much: the allocation reports it */
    }

  return t;
}

FbTensor *
fb_tensor_new (FbDevice *dev, FbDtype dtype, int n_dims, const int *shape)
{
  FbTensor *t = tensor_new (dev, dtype, n_dims, shape);

  t->id   = ++dev->n_tensors;
  t->data = fb_device_alloc (dev, t->n_bytes);
  return t;
}

FbTensor *
fb_tensor_new_1d (FbDevice *dev, FbDtype dtype, int a)
{
  return fb_tensor_new (dev, dtype, 1, (int[]) { a });
}

FbTensor *
fb_tensor_new_2d (FbDevice *dev, FbDtype dtype, int a, int b)
{
  return fb_tensor_new (dev, dtype, 2, (int[]) { a, b });
}

FbTensor *
fb_tensor_new_3d (FbDevice *dev, FbDtype dtype, int a, int b, int c)
{
  return fb_tensor_new (dev, dtype, 3, (int[]) { a, b, c });
}

FbTensor *
fb_tensor_new_4d (FbDevice *dev, FbDtype dtype, int a, int b, int c, int d)
{
  return fb_tensor_new (dev, dtype, 4, (int[]) { a, b, c, d });
}

FbTensor *
fb_tensor_view (FbTensor *t, int n_dims, const int *shape, size_t first_element)
{
  FbTensor *view = tensor_new (t->dev, t->dtype, n_dims, shape);
  size_t    skip = first_element * fb_dtype_size (t->dtype);

  g_assert (first_element <= fb_tensor_n_elements (t) && view->n_bytes <= t->n_bytes - skip);

  view->data = t->data != NULL ? (char *) t->data + skip : NULL;
  view->base = fb_tensor_ref (t->base != NULL ? t->base : t);
  view->id   = view->n_bytes == t->n_bytes ? t->id : ++t->dev->n_tensors;
  return view;
}

FbTensor *
fb_tensor_ref (FbTensor *t)
{
  t->ref_count++;
  return t;
}

void
fb_tensor_unref (FbTensor *t)
{
  if (--t->ref_count > 0)
    return;

  if (t->base != NULL)
    fb_tensor_unref (t->base);
  else
    fb_device_free (t->dev, t->data, t->n_bytes);
  g_free (t);
}

size_t
fb_tensor_n_elements (const FbTensor *t)
{
  return t->n_bytes / fb_dtype_size (t->dtype);
}

gboolean
fb_tensor_same_shape (const FbTensor *a, const FbTensor *b)
{
  return a->n_dims == b->n_dims && memcmp (a->shape, b->shape, sizeof a->shape) == 0;
}

void
fb_tensor_upload (FbTensor *t, const void *data, FbDtype dtype)
{
  const FbTensor *tensors[] = { t };

  if (fb_op_ready (t->dev, TRUE, tensors, G_N_ELEMENTS (tensors)))
    t->dev->ops->upload (t->dev, t->data, t->dtype, data, dtype, fb_tensor_n_elements (t));
}

void
fb_tensor_download (const FbTensor *t, void *data, FbDtype dtype)
{
  const FbTensor *tensors[] = { t };

  if (fb_op_ready (t->dev, TRUE, tensors, G_N_ELEMENTS (tensors)))
    t->dev->ops->download (t->dev, data, dtype, t->data, t->dtype, fb_tensor_n_elements (t));
  else
    memset (data, 0, fb_tensor_n_elements (t) * fb_dtype_size (dtype));   /* undefined by contract, but never somebody's old memory */
}
