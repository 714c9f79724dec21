/* ui/estimator.c: what the settings would cost, asked as they change. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/estimator.h"

#include <glib/gi18n-lib.h>

#define PAUSE_MS 250                  /* while someone types or drags */

struct _FbEstimator
{
  GObject              parent_instance;
  FbEngineClient      *client;
  const char          *kind;
  const FbArg         *args;
  GimpProcedureConfig *config;
  gulong               handler;
  guint                timeout;
  GCancellable        *cancellable;   /* of the question under way */
  FbMeasureFunc        measure;
  gboolean             tells_source;
  gpointer             user_data;
  GVariant            *request;       /* of the question under way */
  gboolean             is_open;       /* the question under way leaves the size to the model */
  gboolean             is_current;
  int                  model_width, model_height;
  FbJobEstimate        estimate;
  GError              *error;
};

G_DEFINE_FINAL_TYPE (FbEstimator, fb_estimator, G_TYPE_OBJECT)

static void
forget_answer (FbEstimator *self)
{
  g_clear_pointer (&self->estimate.resolved, g_variant_unref);
  g_clear_error (&self->error);
}

static void put_question (FbEstimator *self, int width, int height);

/* whether the pictures' size is the user's or the place's to choose */
static gboolean
has_size (FbEstimator *self)
{
  return fb_args_find (self->args, "width") != NULL;
}

static void
take_answer (FbEstimator *self, const FbJobEstimate *estimate, GError *error)
{
  forget_answer (self);
  if (error == NULL)
    self->estimate = *estimate;
  self->error      = error;
  self->is_current = TRUE;
  g_signal_emit_by_name (self, "changed");
}

/* Whether the place asks for another size than the model's own, and a second question was put. */
static gboolean
ask_with_size (FbEstimator *self, GVariant *resolved)
{
  g_autoptr(FbTarget) target = NULL;
  int                 width  = 0, height = 0;

  if (!self->is_open)
    return FALSE;

  g_variant_lookup (resolved, "width", "i", &self->model_width);
  g_variant_lookup (resolved, "height", "i", &self->model_height);
  if (!has_size (self))
    return FALSE;
  g_variant_lookup (self->request, "width", "i", &width);
  g_variant_lookup (self->request, "height", "i", &height);
  target = self->measure (self->user_data);
  fb_target_choose_size (target, self->model_width, self->model_height, &width, &height);
  if (width == self->model_width && height == self->model_height)
    return FALSE;

  self->is_open = FALSE;
  put_question (self, width, height);

  return TRUE;
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(FbEstimator) self     = data;
  FbJobEstimate          estimate = { .seconds = -1.0 };
  GError                *error    = NULL;
  gboolean               worked   = fb_engine_client_estimate_finish (FB_ENGINE_CLIENT (source), result, &estimate, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_error_free (error);             /* a newer question is under way */
  else if (worked && ask_with_size (self, estimate.resolved))
    g_variant_unref (estimate.resolved);
  else
    take_answer (self, &estimate, error);
}

static void
insert_source (FbEstimator *self, GVariantDict *dict)
{
  g_autoptr(FbTarget) target = self->measure (self->user_data);

  if (target->width <= 0)
    return;
  g_variant_dict_insert (dict, "source-width", "i", target->width);
  g_variant_dict_insert (dict, "source-height", "i", target->height);
}

/* Asks for the request under way at this size; zeros for the model's own. */
static void
put_question (FbEstimator *self, int width, int height)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (self->request);

  if (!g_variant_dict_contains (&dict, "prompt"))
    g_variant_dict_insert (&dict, "prompt", "s", "?");         /* the cost does not wait for the words */
  if (has_size (self))
    {
      g_variant_dict_insert (&dict, "width", "i", width);
      g_variant_dict_insert (&dict, "height", "i", height);
    }

  if (self->tells_source)
    insert_source (self, &dict);

  g_clear_object (&self->cancellable);
  self->cancellable = g_cancellable_new ();
  fb_engine_client_estimate_async (self->client, self->kind, g_variant_dict_end (&dict), self->cancellable,
                                   on_answer, g_object_ref (self));
}

void
fb_estimator_ask_now (FbEstimator *self)
{
  GError *error = NULL;
  int     width = 0, height = 0;

  g_clear_handle_id (&self->timeout, g_source_remove);
  g_cancellable_cancel (self->cancellable);
  g_clear_pointer (&self->request, g_variant_unref);
  self->is_current = FALSE;
  self->request    = fb_args_to_variant (self->args, self->config, &error);
  if (self->request == NULL)
    {
      take_answer (self, NULL, error);
      return;
    }

  g_variant_lookup (self->request, "width", "i", &width);
  g_variant_lookup (self->request, "height", "i", &height);
  self->is_open = width == 0 || height == 0;
  put_question (self, width, height);
}

static gboolean
on_timeout (gpointer self)
{
  FB_ESTIMATOR (self)->timeout = 0;
  fb_estimator_ask_now (self);

  return G_SOURCE_REMOVE;
}

void
fb_estimator_ask (FbEstimator *self)
{
  g_clear_handle_id (&self->timeout, g_source_remove);
  self->is_current = FALSE;
  self->timeout    = g_timeout_add (PAUSE_MS, on_timeout, self);
}

void
fb_estimator_tell_source (FbEstimator *self)
{
  self->tells_source = TRUE;
  fb_estimator_ask (self);
}

gboolean
fb_estimator_is_current (FbEstimator *self)
{
  return self->is_current;
}

void
fb_estimator_get_model_size (FbEstimator *self, int *width, int *height)
{
  *width  = self->model_width;
  *height = self->model_height;
}

GVariant *
fb_estimator_get_resolved (FbEstimator *self)
{
  return self->estimate.resolved;
}

const GError *
fb_estimator_get_error (FbEstimator *self)
{
  return self->error;
}

char *
fb_format_seconds (double seconds)
{
  int whole = MAX (1, (int) (seconds + 0.5));

  if (whole < 60)
    /* Translators: a time in seconds, short */
    return g_strdup_printf (_("%d s"), whole);
  if (whole < 3600)
    /* Translators: a time in minutes and seconds, short */
    return g_strdup_printf (_("%d min %d s"), whole / 60, whole % 60);

  /* Translators: a time in hours and minutes, short */
  return g_strdup_printf (_("%d h %d min"), whole / 3600, whole / 60 % 60);
}

char *
fb_estimator_get_text (FbEstimator *self)
{
  g_autofree char *peak      = g_format_size (self->estimate.peak_bytes);
  g_autofree char *available = g_format_size (self->estimate.available_bytes);
  g_autofree char *memory    = NULL;
  g_autofree char *time      = NULL;

  if (self->error != NULL)
    return g_strdup (self->error->message);
  if (self->estimate.resolved == NULL)
    return g_strdup (_("Asking the engine…"));
  if (self->estimate.available_bytes > 0 && self->estimate.peak_bytes > self->estimate.available_bytes)
    return g_strdup_printf (_("This needs about %s of memory, but only %s are free; choose a smaller size or model."),
                            peak, available);
  if (self->estimate.available_bytes == 0)       /* the system does not say */
    memory = g_strdup_printf (_("Needs about %s of memory."), peak);
  else
    memory = g_strdup_printf (_("Needs about %s of %s free memory."), peak, available);
  if (self->estimate.seconds < 0.0)
    return g_steal_pointer (&memory);

  time = fb_format_seconds (self->estimate.seconds);
  /* Translators: "Takes about 12 s.", then the sentence on memory */
  return g_strdup_printf (_("Takes about %s. %s"), time, memory);
}

static void
dispose (GObject *object)
{
  FbEstimator *self = FB_ESTIMATOR (object);

  g_clear_handle_id (&self->timeout, g_source_remove);
  g_cancellable_cancel (self->cancellable);
  g_clear_object (&self->cancellable);
  g_clear_signal_handler (&self->handler, self->config);
  g_clear_object (&self->client);
  g_clear_pointer (&self->request, g_variant_unref);
  forget_answer (self);

  G_OBJECT_CLASS (fb_estimator_parent_class)->dispose (object);
}

static void
fb_estimator_class_init (FbEstimatorClass *class)
{
  G_OBJECT_CLASS (class)->dispose = dispose;
  g_signal_new ("changed", FB_TYPE_ESTIMATOR, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
fb_estimator_init (FbEstimator *self)
{
  self->estimate.seconds = -1.0;
}

FbEstimator *
fb_estimator_new (FbEngineClient *client, const char *kind, const FbArg *args, GimpProcedureConfig *config,
                  FbMeasureFunc measure, gpointer user_data)
{
  FbEstimator *self = g_object_new (FB_TYPE_ESTIMATOR, NULL);

  self->client    = g_object_ref (client);
  self->kind      = kind;
  self->args      = args;
  self->measure   = measure;
  self->user_data = user_data;
  self->config    = config;           /* not referenced: libgimp forbids it; the config outlives the dialog */
  self->handler   = g_signal_connect_swapped (config, "notify", G_CALLBACK (fb_estimator_ask), self);

  return self;
}
