/* core/tasks/pace.h: how fast this machine gets through the stages of a job. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/tasks/generate.h"

/**
 * fb_pace_work:
 * @n: pictures in a call
 * @height, @width: pixels
 *
 * Returns: the work of one call, in multiply-adds × 2 (803 GFLOP for a UNet step of Stable Diffusion 1.5 at 512×512); for FB_STAGE_LOAD, bytes
 */
double fb_pace_work    (FbModel *model, FbStage stage, FbModelPart part, int n, int height, int width);

/**
 * fb_pace_seconds, fb_pace_measured:
 *
 * The time @work of @stage takes, by what has been measured so far, of calls as large as this if there were any, or by a guess. Thread-safe.
 */
double fb_pace_seconds  (FbStage stage, double work);
void   fb_pace_measured (FbStage stage, double work, double seconds);

/* Whether a denoising step has been measured: before that, a time is a guess and not worth showing. */
gboolean fb_pace_known (void);

/**
 * fb_pace_remember, fb_pace_keep:
 *
 * Takes what earlier processes have measured on a device like @dev from a file in the user's cache folder, once; writes what is known now there, for the
 * next process, where it is news. Thread-safe; a file that cannot be read or written costs nothing but a new measurement.
 */
void     fb_pace_remember (const FbDevice *dev);
void     fb_pace_keep     (void);

/* bytes the system can give without swapping; 0 if it does not say */
guint64 fb_memory_available (void);

/* The same of what @dev computes in: its own memory or the system's, within its limit */
guint64 fb_memory_available_on (FbDevice *dev);
