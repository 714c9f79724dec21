/* plugins/inpaint/live.h: results while the user paints. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * After a stroke a draft of few pixels begins at once; the next stroke ends it. When the hand has rested, the draft is followed by a picture at full
 * resolution. There is one job at a time, and what is asked for last wins.
 */
#pragma once

#include "core/engine/client.h"
#include "ui/target.h"

typedef struct InpaintLive InpaintLive;

/**
 * InpaintLiveHooks:
 * @job_new: (transfer full): a job for what is painted now; @target (out) (transfer full): its place. %NULL with or without @error when there is nothing to do
 * @show: (nullable) @picture: a preview or a finished one; @is_refined: the full one, complete, to be kept
 * @failed: once; nothing more is tried until the next stroke
 */
typedef struct
{
  FbJob * (* job_new) (gboolean is_draft, FbTarget **target, GError **error, gpointer user_data);
  void    (* show)    (FbJob *job, FbImage *picture, const FbTarget *target, gboolean is_draft, gboolean is_complete, gpointer user_data);
  void    (* failed)  (const GError *error, gpointer user_data);
} InpaintLiveHooks;

InpaintLive * inpaint_live_new      (const InpaintLiveHooks *hooks, gpointer user_data);
void          inpaint_live_free     (InpaintLive *self);

/* The user begins to paint: what is under way is of no use any more. */
void          inpaint_live_interrupt (InpaintLive *self);
/* The mask or the settings are as they shall be. */
void          inpaint_live_begin    (InpaintLive *self);
gboolean      inpaint_live_is_busy  (InpaintLive *self);
