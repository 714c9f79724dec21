/* core/distill/trainable.c: what trains, with its master copy. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/trainable.h"

FbTrainable *
fb_trainable_new (const char *name, int n_dims, const int *shape, FbWeight *weight, FbTensor *vector, FbTensor *slot)
{
  FbTrainable *self = g_new0 (FbTrainable, 1);

  g_assert ((weight != NULL) != (vector != NULL));

  self->name = g_strdup (name);
  self->n_dims = n_dims;
  self->n = 1;
  for (int i = 0; i < n_dims; i++)
    {
      self->shape[i] = shape[i];
      self->n *= shape[i];
    }
  g_assert (fb_tensor_n_elements (slot) == self->n);

  self->values = g_new0 (float, self->n);
  self->gradient = g_new0 (float, self->n);
  self->scale = 1.0f;
  self->weight = weight != NULL ? fb_weight_ref (weight) : NULL;
  self->vector = vector != NULL ? fb_tensor_ref (vector) : NULL;
  self->slot = fb_tensor_ref (slot);

  return self;
}

void
fb_trainable_free (FbTrainable *self)
{
  if (self == NULL)
    return;

  g_clear_pointer (&self->weight, fb_weight_unref);
  g_clear_pointer (&self->vector, fb_tensor_unref);
  fb_tensor_unref (self->slot);
  g_free (self->values);
  g_free (self->gradient);
  g_free (self->name);
  g_free (self);
}

void
fb_trainable_push (FbTrainable *self)
{
  g_autofree float *scaled = g_new (float, self->n);

  for (gsize i = 0; i < self->n; i++)
    scaled[i] = self->scale * self->values[i];

  if (self->weight != NULL)
    fb_weight_update (self->weight, scaled, FB_DTYPE_F32);
  else
    fb_tensor_upload (self->vector, scaled, FB_DTYPE_F32);
}

void
fb_trainable_collect (FbTrainable *self)
{
  g_autofree float *added = g_new (float, self->n);

  fb_tensor_download (self->slot, added, FB_DTYPE_F32);
  for (gsize i = 0; i < self->n; i++)
    {
      self->gradient[i] += self->scale * added[i];
      added[i] = 0.0f;
    }
  fb_tensor_upload (self->slot, added, FB_DTYPE_F32);
}

void
fb_trainables_push (GPtrArray *trainables)
{
  for (guint i = 0; i < trainables->len; i++)
    fb_trainable_push (g_ptr_array_index (trainables, i));
}

void
fb_trainables_collect (GPtrArray *trainables)
{
  for (guint i = 0; i < trainables->len; i++)
    fb_trainable_collect (g_ptr_array_index (trainables, i));
}
