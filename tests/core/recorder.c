/* tests/core/recorder.c: a device made one that records. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/device-private.h"
#include "tests/core/recorder.h"

Recorder recorder;

static gboolean
recorder_begin (FbDevice *dev)
{
  return TRUE;
}

static void *
recorder_end (FbDevice *dev)
{
  recorder.is_new = TRUE;
  recorder.n_recorded++;
  return &recorder;
}

static gboolean
recorder_replay (FbDevice *dev, void *recorded)
{
  const gboolean done = recorder.is_new;

  recorder.is_new = FALSE;
  *(done ? &recorder.n_replayed : &recorder.n_declined) += 1;
  return done;
}

static void
recorder_free (FbDevice *dev, void *recorded)
{
}

gboolean
check_recording (ModelFixture *f, void (* check) (ModelFixture *f))
{
  const FbDeviceOps *ops       = f->dev->ops;
  FbDeviceOps        recording = *ops;

  if (ops->record_begin != NULL)
    {
      g_test_skip ("this device records by itself");
      return FALSE;
    }
  recording.record_begin = recorder_begin;
  recording.record_end = recorder_end;
  recording.replay = recorder_replay;
  recording.free_recorded = recorder_free;
  recorder = (Recorder) { FALSE, 0, 0, 0 };
  f->dev->ops = &recording;
  check (f);
  fb_model_unload (f->model);
  f->dev->ops = ops;
  return TRUE;
}
