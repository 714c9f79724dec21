/* core/engine/job.c: one request, as a plug-in sees it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/job-private.h"

#include <glib/gi18n-lib.h>

enum { SIGNAL_PROGRESS, SIGNAL_PICTURE, SIGNAL_FINISHED, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (FbJob, fb_job, G_TYPE_OBJECT)

static void
picture_free (FbJobPicture *picture)
{
  g_clear_pointer (&picture->image, fb_image_unref);
  g_variant_unref (picture->metadata);
  g_free (picture);
}

static void
parcel_free (FbJobParcel *parcel)
{
  g_free (parcel->name);
  g_clear_pointer (&parcel->image, fb_image_unref);
  if (parcel->source != NULL)
    parcel->source->free (parcel->data);
  g_free (parcel);
}

static void
fb_job_finalize (GObject *object)
{
  FbJob *self = FB_JOB (object);

  g_ptr_array_unref (self->to_put);
  g_ptr_array_unref (self->pictures);
  g_clear_pointer (&self->incoming, fb_image_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_object (&self->proxy);
  g_clear_pointer (&self->link, fb_link_unref);
  g_clear_pointer (&self->result, g_variant_unref);
  g_clear_error (&self->error);
  g_object_unref (self->calls);
  g_object_unref (self->client);
  g_variant_unref (self->request);
  g_free (self->kind);
  G_OBJECT_CLASS (fb_job_parent_class)->finalize (object);
}

static void
fb_job_class_init (FbJobClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = fb_job_finalize;
  signals[SIGNAL_PROGRESS] = g_signal_new ("progress", FB_TYPE_JOB, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_POINTER);
  signals[SIGNAL_PICTURE]  = g_signal_new ("picture", FB_TYPE_JOB, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT);
  signals[SIGNAL_FINISHED] = g_signal_new ("finished", FB_TYPE_JOB, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
fb_job_init (FbJob *self)
{
  self->to_put   = g_ptr_array_new_with_free_func ((GDestroyNotify) parcel_free);
  self->pictures = g_ptr_array_new_with_free_func ((GDestroyNotify) picture_free);
  self->calls    = g_cancellable_new ();
}

FbJob *
fb_job_new (FbEngineClient *client, const char *kind, GVariant *request)
{
  FbJob *self = g_object_new (FB_TYPE_JOB, NULL);

  self->client  = g_object_ref (client);
  self->kind    = g_strdup (kind);
  self->request = g_variant_ref_sink (request);
  return self;
}

void
fb_job_add_picture (FbJob *self, const char *name, FbImage *image)
{
  FbJobParcel *parcel = g_new (FbJobParcel, 1);

  g_return_if_fail (!self->started);
  *parcel = (FbJobParcel) { .name = g_strdup (name), .image = fb_image_ref (image) };
  g_ptr_array_add (self->to_put, parcel);
}

void
fb_job_add_source (FbJob *self, const char *name, const FbJobSource *source, gpointer data)
{
  FbJobParcel *parcel = g_new (FbJobParcel, 1);

  g_return_if_fail (!self->started);
  *parcel = (FbJobParcel) { .name = g_strdup (name), .source = source, .data = data };
  g_ptr_array_add (self->to_put, parcel);
}

void
fb_job_emit_progress (FbJob *self, FbImage *preview)
{
  self->progress.preview = preview;
  g_signal_emit (self, signals[SIGNAL_PROGRESS], 0, &self->progress);
  self->progress.preview = NULL;
}

void
fb_job_emit_picture (FbJob *self, int index)
{
  g_signal_emit (self, signals[SIGNAL_PICTURE], 0, index);
}

void
fb_job_emit_finished (FbJob *self)
{
  g_signal_emit (self, signals[SIGNAL_FINISHED], 0);
}

/* --- start and cancel ------------------------------------------------------------------------------------------------- */

void
fb_job_start (FbJob *self)
{
  g_return_if_fail (!self->started);

  self->started               = TRUE;
  self->progress.stage        = "queue";
  self->progress.seconds_left = -1.0;
  self->context               = g_main_context_ref_thread_default ();
  g_object_ref (self);                                     /* given up by finish() */
  fb_job_find_engine (self);
}

static gboolean
on_cancelled_early (gpointer user_data)
{
  FbJob *self = user_data;

  if (!self->finished)
    fb_job_end_early (self, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, _("Cancelled.")));
  return G_SOURCE_REMOVE;
}

void
fb_job_cancel (FbJob *self)
{
  if (!self->started || self->finished || self->cancelled)
    return;
  self->cancelled = TRUE;
  if (self->proxy != NULL)
    fb_dbus_engine1_call_cancel (self->proxy, self->number, NULL, NULL, NULL);
  if (!self->running)                                      /* nothing to wait for; signals never come from inside this call, though */
    {
      g_autoptr(GSource) source = g_idle_source_new ();

      g_source_set_priority (source, G_PRIORITY_DEFAULT);
      g_source_set_callback (source, on_cancelled_early, g_object_ref (self), g_object_unref);
      g_source_attach (source, self->context);
    }
}

/* --- blocking --------------------------------------------------------------------------------------------------------- */

typedef struct
{
  FbJobProgressFunc func;
  gpointer          user_data;
} Listener;

static void
tell_listener (FbJob *self, const FbJobProgress *progress, Listener *listener)
{
  listener->func (progress, listener->user_data);
}

static gboolean
on_caller_cancelled (GCancellable *cancellable, gpointer user_data)
{
  fb_job_cancel (user_data);
  return G_SOURCE_REMOVE;
}

gboolean
fb_job_run (FbJob *self, FbJobProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error)
{
  g_autoptr(GMainContext) context  = g_main_context_new ();
  g_autoptr(GSource)      source   = NULL;
  Listener                listener = { progress, user_data };
  gulong                  handler  = 0;

  g_main_context_push_thread_default (context);
  if (progress != NULL)
    handler = g_signal_connect (self, "progress", G_CALLBACK (tell_listener), &listener);
  fb_job_start (self);
  if (cancellable != NULL)
    {
      source = g_cancellable_source_new (cancellable);
      g_source_set_callback (source, G_SOURCE_FUNC (on_caller_cancelled), self, NULL);
      g_source_attach (source, context);
    }

  while (!self->finished || self->n_calls > 0)             /* calls that come back after the end are cancelled, so they come at once */
    g_main_context_iteration (context, TRUE);
  while (g_main_context_iteration (context, FALSE))        /* GDBus frees what it kept for the signals in here */
    ;

  if (source != NULL)
    g_source_destroy (source);
  if (handler != 0)
    g_signal_handler_disconnect (self, handler);
  g_main_context_pop_thread_default (context);

  if (self->error != NULL)
    g_propagate_error (error, g_error_copy (self->error));
  return self->error == NULL;
}

/* --- what came of it -------------------------------------------------------------------------------------------------- */

gboolean
fb_job_is_finished (FbJob *self)
{
  return self->finished;
}

const GError *
fb_job_get_error (FbJob *self)
{
  return self->error;
}

int
fb_job_get_n_pictures (FbJob *self)
{
  return (int) self->n_fetched;
}

FbImage *
fb_job_get_picture (FbJob *self, int index)
{
  g_return_val_if_fail (index >= 0 && index < (int) self->n_fetched, NULL);
  return ((FbJobPicture *) self->pictures->pdata[index])->image;
}

gint64
fb_job_get_seed (FbJob *self, int index)
{
  g_return_val_if_fail (index >= 0 && index < (int) self->n_fetched, 0);
  return ((FbJobPicture *) self->pictures->pdata[index])->seed;
}

/* @dict gets all keys of @more */
static void
merge (GVariantDict *dict, GVariant *more)
{
  GVariantIter iter;
  const char  *key;
  GVariant    *value;

  g_variant_iter_init (&iter, more);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    g_variant_dict_insert_value (dict, key, value);
}

GVariant *
fb_job_get_metadata (FbJob *self, int index)
{
  GVariantDict dict;

  g_return_val_if_fail (index >= 0 && index < (int) self->n_fetched, NULL);
  g_variant_dict_init (&dict, self->result);
  merge (&dict, ((FbJobPicture *) self->pictures->pdata[index])->metadata);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

GVariant *
fb_job_get_result (FbJob *self)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, self->result);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

const char *
fb_job_stage_label (const char *stage)
{
  static const struct { const char *stage, *label; } labels[] =
  {
    { "queue",  N_("Waiting for another job") },
    { "load",   N_("Loading the model") },
    { "text",   N_("Reading the prompt") },
    { "encode", N_("Reading the picture") },
    { "step",   N_("Denoising") },
    { "decode", N_("Finishing the picture") },
    { "check",  N_("Checking the files") },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (labels); i++)
    if (g_strcmp0 (labels[i].stage, stage) == 0)
      return _(labels[i].label);
  return stage;
}
