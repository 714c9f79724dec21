/* kernels/recording.c: work that a device does again at one stroke. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/recording.h"

#include "kernels/device-private.h"

typedef enum
{
  FRESH,             /* nothing is known */
  MEASURED,          /* what the block has to hold is known */
  RECORDED,
  PLAIN,             /* it cannot be recorded */
} State;

struct FbRecording
{
  FbDevice *dev;
  State     state;
  size_t    n_bytes;             /* of @block, once measured */
  void     *block;
  void     *recorded;            /* the device's own */
};

gboolean
fb_recording_is_possible (const FbDevice *dev)
{
  return dev->ops->record_begin != NULL;
}

FbRecording *
fb_recording_new (FbDevice *dev)
{
  FbRecording *self = g_new0 (FbRecording, 1);

  self->dev = fb_device_ref (dev);
  self->state = fb_recording_is_possible (dev) ? FRESH : PLAIN;
  return self;
}

static void
forget (FbRecording *self)
{
  if (self->recorded != NULL)
    self->dev->ops->free_recorded (self->dev, g_steal_pointer (&self->recorded));
  fb_device_free (self->dev, g_steal_pointer (&self->block), self->n_bytes);
}

void
fb_recording_free (FbRecording *self)
{
  if (self == NULL)
    return;

  forget (self);
  fb_device_unref (self->dev);
  g_free (self);
}

/* A plain run, with every allocation planned beside it */
static void
measure (FbRecording *self, void (* work) (gpointer data), gpointer data)
{
  FbDevice    *dev   = self->dev;
  FbTemporary  notes = { .plan = fb_plan_new (), .places = g_hash_table_new (NULL, NULL) };

  dev->temporary = &notes;
  work (data);
  dev->temporary = NULL;

  if (dev->failure == NULL)
    {
      g_assert (fb_plan_is_empty (notes.plan));
      self->n_bytes = fb_plan_extent (notes.plan);
      self->state = MEASURED;
    }
  fb_plan_free (notes.plan);
  g_hash_table_unref (notes.places);
}

/* Gives @work to the device for keeping; nothing is computed yet */
static void
record (FbRecording *self, void (* work) (gpointer data), gpointer data)
{
  FbDevice    *dev   = self->dev;
  FbTemporary  notes = { .plan = fb_plan_new (), .n_bytes = self->n_bytes };

  self->state = PLAIN;
  self->block = notes.block = self->n_bytes > 0 && self->n_bytes <= fb_device_bytes_free (dev) ? fb_device_alloc (dev, self->n_bytes) : NULL;
  if (self->block != NULL && dev->ops->record_begin (dev))
    {
      dev->temporary = &notes;
      work (data);
      dev->temporary = NULL;
      self->recorded = dev->ops->record_end (dev);
      if (self->recorded != NULL)
        {
          g_assert (fb_plan_is_empty (notes.plan));
          self->state = RECORDED;
        }
    }
  if (self->state == PLAIN)
    {
      /* whatever was in the way of recording need not be in the way of a plain run, and a cancel not in that of the next recording */
      if (g_error_matches (dev->failure, FB_DEVICE_ERROR, FB_DEVICE_ERROR_CANCELLED))
        self->state = MEASURED;
      else
        g_clear_error (&dev->failure);
      forget (self);
    }
  fb_plan_free (notes.plan);
}

void
fb_recording_run (FbRecording *self, void (* work) (gpointer data), gpointer data)
{
  FbDevice *dev = self->dev;

  if (dev->failure != NULL || fb_device_cancelled (dev))
    return;

  if (self->state == MEASURED)
    record (self, work, data);
  if (self->state == RECORDED)
    {
      if (dev->ops->replay (dev, self->recorded))
        return;
      forget (self);                                   /* the device's own memory has moved since */
      self->state = FRESH;
    }
  if (self->state == FRESH)
    measure (self, work, data);
  else
    work (data);
}

size_t
fb_recording_bytes (const FbRecording *self)
{
  return self->block != NULL ? self->n_bytes : 0;
}

gboolean
fb_recording_is_recorded (const FbRecording *self)
{
  return self->state == RECORDED;
}
