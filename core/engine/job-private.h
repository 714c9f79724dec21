/* core/engine/job-private.h: a job, as its own files see it. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/client-private.h"
#include "core/engine/engine-dbus.h"

typedef struct
{
  FbImage  *image;                /* NULL until it has been fetched */
  gint64    seed;
  GVariant *metadata;
} FbJobPicture;

/* a picture to send */
typedef struct
{
  char              *name;
  FbImage           *image;       /* NULL until @source has made it */
  const FbJobSource *source;      /* or NULL */
  gpointer           data;
} FbJobParcel;

struct _FbJob
{
  GObject         parent;
  FbEngineClient *client;
  char           *kind;
  GVariant       *request;
  GPtrArray      *to_put;         /* of FbJobParcel; kept, in case another engine has to do the job */
  guint           n_put;
  GPtrArray      *pictures;       /* of FbJobPicture, in the engine's order */
  guint           n_fetched;

  GMainContext   *context;        /* where signals come */
  FbLink         *link;
  FbDbusEngine1  *proxy;
  guint32         number;
  GCancellable   *calls;          /* ends our waits, not the job */
  int             n_calls;        /* that have not come back */
  GSource        *beat;           /* asks for signs of life */

  FbJobProgress   progress;
  gboolean        has_preview;    /* one can be taken */
  gboolean        taking;         /* a Take is out */
  FbImage        *incoming;       /* being fetched in chunks */
  gsize           n_filled;

  gboolean        started;
  gboolean        running;        /* Run is out */
  gboolean        accepted;       /* the engine has said something about it */
  gboolean        again;          /* has been sent a second time */
  gboolean        cancelled;
  gboolean        answered;       /* Run has come back, or will never be sent */
  gboolean        finished;
  GVariant       *result;
  GError         *error;
};

/* core/engine/job-run.c: begins the job's way; ends it, with @error (transfer full) wherever it is, or because the engine is lost and nothing more comes */
void fb_job_find_engine (FbJob *self);
void fb_job_finish      (FbJob *self);
void fb_job_end_early   (FbJob *self, GError *error);
void fb_job_lose        (FbJob *self, GError *error);

/* core/engine/job-fetch.c: fetches what is waiting, finished pictures first; ends the job when that was the last */
void fb_job_take_next   (FbJob *self);

/* core/engine/job-supply.c: has @parcel ready to be sent, with @fd where the link passes descriptors and else −1, and then goes on with fb_job_put(). */
void fb_job_supply      (FbJob *self, FbJobParcel *parcel);
/* core/engine/job-run.c: (transfer full) @fd */
void fb_job_put         (FbJob *self, FbJobParcel *parcel, int fd);

/* core/engine/job.c: the signals */
void fb_job_emit_progress (FbJob *self, FbImage *preview);
void fb_job_emit_picture  (FbJob *self, int index);
void fb_job_emit_finished (FbJob *self);
