/* plugins/inpaint/live.c: results while the user paints. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/inpaint/live.h"

#define REST_MS 600                 /* a hand that pauses this long after the draft has come to rest */

typedef enum
{
  WANTS_NOTHING,
  WANTS_DRAFT,
  WANTS_REFINED,
} Wants;

struct InpaintLive
{
  const InpaintLiveHooks *hooks;
  gpointer                user_data;
  FbJob                  *job;             /* the one under way, or being cancelled */
  FbTarget               *target;
  gboolean                is_draft;
  gboolean                is_stale;        /* cancelled: what still comes from it is not shown */
  Wants                   wants;           /* when that has ended */
  guint                   rest;
};

static void
forget_job (InpaintLive *self)
{
  if (self->job != NULL)
    g_signal_handlers_disconnect_by_data (self->job, self);
  g_clear_object (&self->job);
  g_clear_pointer (&self->target, fb_target_free);
}

static void on_progress (FbJob *job, const FbJobProgress *progress, InpaintLive *self);
static void on_finished (FbJob *job, InpaintLive *self);

static void
go_on (InpaintLive *self)
{
  g_autoptr(GError) error = NULL;

  if (self->job != NULL || self->wants == WANTS_NOTHING)
    return;
  self->is_draft = self->wants == WANTS_DRAFT;
  self->is_stale = FALSE;
  self->wants    = WANTS_NOTHING;
  self->job      = self->hooks->job_new (self->is_draft, &self->target, &error, self->user_data);
  if (self->job == NULL)
    {
      g_clear_pointer (&self->target, fb_target_free);
      if (error != NULL)
        self->hooks->failed (error, self->user_data);
      return;
    }
  g_signal_connect (self->job, "progress", G_CALLBACK (on_progress), self);
  g_signal_connect (self->job, "finished", G_CALLBACK (on_finished), self);
  fb_job_start (self->job);
}

static gboolean
on_rest (gpointer data)
{
  InpaintLive *self = data;

  self->rest  = 0;
  self->wants = WANTS_REFINED;
  go_on (self);

  return G_SOURCE_REMOVE;
}

static void
on_progress (FbJob *job, const FbJobProgress *progress, InpaintLive *self)
{
  if (progress->preview != NULL && !self->is_stale)
    self->hooks->show (job, progress->preview, self->target, self->is_draft, FALSE, self->user_data);
}

static void
on_finished (FbJob *job, InpaintLive *self)
{
  g_autoptr(FbJob)    ended  = g_object_ref (job);
  g_autoptr(FbTarget) target = g_steal_pointer (&self->target);
  const GError       *error  = fb_job_get_error (job);

  forget_job (self);
  if (error == NULL && !self->is_stale && fb_job_get_n_pictures (ended) > 0)
    {
      self->hooks->show (ended, fb_job_get_picture (ended, 0), target, self->is_draft, TRUE, self->user_data);
      if (self->is_draft)
        self->rest = g_timeout_add (REST_MS, on_rest, self);
    }
  else if (error != NULL && !self->is_stale && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      self->wants = WANTS_NOTHING;
      self->hooks->failed (error, self->user_data);
    }
  go_on (self);
}

void
inpaint_live_interrupt (InpaintLive *self)
{
  g_clear_handle_id (&self->rest, g_source_remove);
  self->wants    = WANTS_NOTHING;
  self->is_stale = TRUE;
  if (self->job != NULL)
    fb_job_cancel (self->job);
}

void
inpaint_live_begin (InpaintLive *self)
{
  inpaint_live_interrupt (self);
  self->wants = WANTS_DRAFT;
  go_on (self);
}

gboolean
inpaint_live_is_busy (InpaintLive *self)
{
  return self->job != NULL || self->rest != 0;
}

InpaintLive *
inpaint_live_new (const InpaintLiveHooks *hooks, gpointer user_data)
{
  InpaintLive *self = g_new0 (InpaintLive, 1);

  self->hooks     = hooks;
  self->user_data = user_data;

  return self;
}

void
inpaint_live_free (InpaintLive *self)
{
  inpaint_live_interrupt (self);
  forget_job (self);
  g_free (self);
}
