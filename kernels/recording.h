/* kernels/recording.h: work that a device does again at one stroke. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/device.h"

/**
 * FbRecording: a fixed sequence of ops, which a device that can (a card: a CUDA graph) keeps after the first runs and then starts as a whole
 *
 * The first run is plain and tells what memory the temporary tensors take; the second is recorded, with these in a block of their own; later ones
 * replay it. Where a device cannot record, or recording fails, every run is plain. The values are the same in any case.
 */
typedef struct FbRecording FbRecording;

/* Whether @dev can record at all */
gboolean      fb_recording_is_possible (const FbDevice *dev);

FbRecording * fb_recording_new  (FbDevice *dev);
void          fb_recording_free (FbRecording *recording);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbRecording, fb_recording_free)

/**
 * fb_recording_run:
 * @work: gives @dev the ops; called anew in plain runs, and not at all in a replay. In every call it gives the same ops on the same tensors, but
 *   for those that it makes and frees itself: it frees all it makes, moves nothing between host and device, and reads no value.
 *
 * What @work reads and writes (weights included) has to stay where it is as long as the recording is used; their values may change.
 * Errors stay with the device, as those of ops do.
 */
void          fb_recording_run  (FbRecording *recording, void (* work) (gpointer data), gpointer data);

/* Bytes that the temporary tensors' block takes on the device; 0 before there is one */
size_t        fb_recording_bytes (const FbRecording *recording);

/* Whether the next run replays */
gboolean      fb_recording_is_recorded (const FbRecording *recording);
