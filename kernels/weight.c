/* kernels/weight.c: weights packed for a device. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/device-private.h"

static FbWeight *
weight_new (FbDevice *dev, FbWeightKind kind, FbDtype dtype, FbDtype kept, const int *shape, const void *data, FbDtype data_dtype)
{
  FbWeight *w      = g_new0 (FbWeight, 1);
  int       n_dims = kind == FB_WEIGHT_LINEAR ? 2 : 4;

  g_assert (fb_device_supports (dev, dtype));
  g_assert (kind != FB_WEIGHT_CONV2D_UPSAMPLE || (shape[2] == 3 && shape[3] == 3));

  w->dev       = dev;
  w->kind      = kind;
  w->dtype     = dtype;
  w->kept      = kept;
  w->ref_count = 1;
  for (int i = 0; i < 4; i++)
    {
      w->shape[i] = i < n_dims ? shape[i] : 1;
      g_assert (w->shape[i] >= 1);
    }

  if (dev->failure == NULL && !fb_device_cancelled (dev))
    dev->ops->pack (dev, w, data, data_dtype);

  return w;
}

FbWeight *
fb_weight_new (FbDevice *dev, FbWeightKind kind, FbDtype dtype, const int *shape, const void *data, FbDtype data_dtype)
{
  return weight_new (dev, kind, dtype, dtype, shape, data, data_dtype);
}

FbWeight *
fb_weight_new_half (FbDevice *dev, FbWeightKind kind, const int *shape, const void *data, FbDtype data_dtype)
{
  g_assert (fb_weight_can_be_half (dev) && fb_dtype_size (data_dtype) == 2);

  return weight_new (dev, kind, FB_DTYPE_F32, data_dtype, shape, data, data_dtype);
}

gboolean
fb_weight_can_be_half (const FbDevice *dev)
{
  return dev->ops->widens;
}

void
fb_weight_update (FbWeight *w, const void *data, FbDtype data_dtype)
{
  g_assert (w->kept == w->dtype);

  if (w->dev->failure == NULL && !fb_device_cancelled (w->dev) && fb_weight_ready (w))
    w->dev->ops->pack (w->dev, w, data, data_dtype);
}

FbWeight *
fb_weight_ref (FbWeight *w)
{
  w->ref_count++;
  return w;
}

void
fb_weight_unref (FbWeight *w)
{
  if (--w->ref_count > 0)
    return;

  if (w->packed != NULL)
    w->dev->ops->free_packed (w->dev, w);
  g_free (w);
}

FbWeightKind
fb_weight_kind (const FbWeight *w)
{
  return w->kind;
}

const int *
fb_weight_shape (const FbWeight *w)
{
  return w->shape;
}

size_t
fb_weight_n_bytes (const FbWeight *w)
{
  return w->n_bytes;
}

gboolean
fb_weight_ready (const FbWeight *w)
{
  if (w->packed == NULL)
    fb_device_fail_no_memory (w->dev, w->n_bytes);
  return w->packed != NULL;
}
