/* core/engine/client.c: the way to the engine, and its plain questions. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/client-private.h"

#include "core/engine/place.h"

struct _FbEngineClient
{
  GObject  parent;
  GMutex   lock;                  /* held while an engine is looked for: whoever else wants one then finds it */
  FbLink  *link;                  /* under the lock; NULL before the first call */
  guint32  last_job;
};

G_DEFINE_FINAL_TYPE (FbEngineClient, fb_engine_client, G_TYPE_OBJECT)

static void
fb_engine_client_finalize (GObject *object)
{
  FbEngineClient *self = FB_ENGINE_CLIENT (object);

  g_clear_pointer (&self->link, fb_link_unref);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (fb_engine_client_parent_class)->finalize (object);
}

static void
fb_engine_client_class_init (FbEngineClientClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = fb_engine_client_finalize;
}

static void
fb_engine_client_init (FbEngineClient *self)
{
  g_mutex_init (&self->lock);
}

FbEngineClient *
fb_engine_client_new (void)
{
  return g_object_new (FB_TYPE_ENGINE_CLIENT, NULL);
}

guint32
fb_engine_client_next_job (FbEngineClient *self)
{
  return ++self->last_job;
}

/* --- the link --------------------------------------------------------------------------------------------------------- */

/* with the lock held */
static FbLink *
open_link_ref (FbEngineClient *self)
{
  if (self->link != NULL && g_dbus_connection_is_closed (self->link->connection))
    g_clear_pointer (&self->link, fb_link_unref);
  return self->link != NULL ? fb_link_ref (self->link) : NULL;
}

static void
get_link_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  FbEngineClient    *self  = source;
  g_autoptr(GError)  error = NULL;
  FbLink            *link;

  g_mutex_lock (&self->lock);
  link = open_link_ref (self);
  if (link == NULL)
    {
      link = fb_link_open (cancellable, &error);
      if (link != NULL)
        self->link = fb_link_ref (link);
    }
  g_mutex_unlock (&self->lock);

  if (link != NULL)
    g_task_return_pointer (task, link, (GDestroyNotify) fb_link_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

void
fb_engine_client_get_link_async (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr(GTask)  task = g_task_new (self, cancellable, callback, user_data);
  FbLink           *link = NULL;

  if (g_mutex_trylock (&self->lock))
    {
      link = open_link_ref (self);
      g_mutex_unlock (&self->lock);
    }
  g_task_set_name (task, "find the engine");
  if (link != NULL)
    {
      g_task_return_pointer (task, link, (GDestroyNotify) fb_link_unref);
      return;
    }
  g_task_set_return_on_cancel (task, TRUE);
  g_task_run_in_thread (task, get_link_thread);
}

FbLink *
fb_engine_client_get_link_finish (FbEngineClient *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

void
fb_engine_client_drop_link (FbEngineClient *self, FbLink *link)
{
  g_mutex_lock (&self->lock);
  if (self->link == link)
    g_clear_pointer (&self->link, fb_link_unref);
  g_mutex_unlock (&self->lock);
}

/* --- questions -------------------------------------------------------------------------------------------------------- */

/* A call without side effects: asked again, once, when the engine left just as it was asked. */
typedef struct
{
  const char *method;
  GVariant   *arguments;          /* NULL for none */
  double      limit;
  gboolean    again;
  FbLink     *link;
} Question;

static void
question_free (Question *question)
{
  g_clear_pointer (&question->arguments, g_variant_unref);
  g_clear_pointer (&question->link, fb_link_unref);
  g_free (question);
}

static void on_link (GObject *source, GAsyncResult *result, gpointer user_data);

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(GTask)    task        = user_data;
  FbEngineClient     *self        = g_task_get_source_object (task);
  Question           *question    = g_task_get_task_data (task);
  GCancellable       *cancellable = g_task_get_cancellable (task);
  g_autoptr(GError)   error       = NULL;
  g_autoptr(GVariant) reply       = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);

  if (reply != NULL)
    {
      g_task_return_pointer (task, g_variant_get_child_value (reply, 0), (GDestroyNotify) g_variant_unref);
      return;
    }
  fb_link_explain (error);
  if (g_error_matches (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_DIED) && !question->again)
    {
      question->again = TRUE;
      fb_engine_client_drop_link (self, question->link);
      g_clear_pointer (&question->link, fb_link_unref);
      fb_engine_client_get_link_async (self, cancellable, on_link, g_steal_pointer (&task));
      return;
    }
  g_task_return_error (task, g_steal_pointer (&error));
}

static void
on_link (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(GTask)   task        = user_data;
  Question          *question    = g_task_get_task_data (task);
  GCancellable      *cancellable = g_task_get_cancellable (task);
  g_autoptr(GError)  error       = NULL;

  question->link = fb_engine_client_get_link_finish (FB_ENGINE_CLIENT (source), result, &error);
  if (question->link == NULL)
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  g_dbus_connection_call (question->link->connection, NULL, FB_ENGINE_OBJECT_PATH, FB_ENGINE_INTERFACE, question->method, question->arguments,
                          NULL, G_DBUS_CALL_FLAGS_NONE, fb_link_ms (question->limit), cancellable, on_answer, g_steal_pointer (&task));
}

static void
ask (FbEngineClient *self, const char *method, GVariant *arguments, double limit, GCancellable *cancellable, GAsyncReadyCallback callback,
     gpointer user_data)
{
  GTask    *task     = g_task_new (self, cancellable, callback, user_data);
  Question *question = g_new0 (Question, 1);

  question->method    = method;
  question->arguments = arguments != NULL ? g_variant_ref_sink (arguments) : NULL;
  question->limit     = limit;
  g_task_set_name (task, method);
  g_task_set_task_data (task, question, (GDestroyNotify) question_free);
  fb_engine_client_get_link_async (self, cancellable, on_link, task);
}

/* (transfer full): the one value that was answered, which must be of @type */
static GVariant *
get_answer (GAsyncResult *result, const char *type, GError **error)
{
  GVariant *answer = g_task_propagate_pointer (G_TASK (result), error);

  if (answer != NULL && !g_variant_is_of_type (answer, G_VARIANT_TYPE (type)))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PROTOCOL, "the engine answered with %s instead of %s",
                   g_variant_get_type_string (answer), type);
      g_clear_pointer (&answer, g_variant_unref);
    }
  return answer;
}

static void
on_connected (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(GTask)   task  = user_data;
  GError            *error = NULL;
  g_autoptr(FbLink)  link  = fb_engine_client_get_link_finish (FB_ENGINE_CLIENT (source), result, &error);

  if (link != NULL)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

void
fb_engine_client_connect_async (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  fb_engine_client_get_link_async (self, cancellable, on_connected, g_task_new (self, cancellable, callback, user_data));
}

gboolean
fb_engine_client_connect_finish (FbEngineClient *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

void
fb_engine_client_get_capabilities_async (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  ask (self, "GetCapabilities", NULL, fb_link_limits.call, cancellable, callback, user_data);
}

GVariant *
fb_engine_client_get_capabilities_finish (FbEngineClient *self, GAsyncResult *result, GError **error)
{
  return get_answer (result, "a{sv}", error);
}

void
fb_engine_client_list_models_async (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  ask (self, "ListModels", NULL, 4.0 * fb_link_limits.call, cancellable, callback, user_data);   /* may look through large folders */
}

GVariant *
fb_engine_client_list_models_finish (FbEngineClient *self, GAsyncResult *result, GError **error)
{
  return get_answer (result, "aa{sv}", error);
}

void
fb_engine_client_list_loaded_async (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  ask (self, "ListLoaded", NULL, fb_link_limits.call, cancellable, callback, user_data);
}

GVariant *
fb_engine_client_list_loaded_finish (FbEngineClient *self, GAsyncResult *result, GError **error)
{
  return get_answer (result, "aa{sv}", error);
}

void
fb_engine_client_estimate_async (FbEngineClient *self, const char *kind, GVariant *request, GCancellable *cancellable,
                                 GAsyncReadyCallback callback, gpointer user_data)
{
  ask (self, "Estimate", g_variant_new ("(s@a{sv})", kind, request), fb_link_limits.call, cancellable, callback, user_data);
}

gboolean
fb_engine_client_estimate_finish (FbEngineClient *self, GAsyncResult *result, FbJobEstimate *estimate, GError **error)
{
  g_autoptr(GVariant) answer = get_answer (result, "a{sv}", error);

  if (answer == NULL)
    return FALSE;
  *estimate = (FbJobEstimate) { .seconds = -1.0 };
  g_variant_lookup (answer, "peak-bytes",      "t", &estimate->peak_bytes);
  g_variant_lookup (answer, "seconds",         "d", &estimate->seconds);
  g_variant_lookup (answer, "available-bytes", "t", &estimate->available_bytes);
  g_variant_lookup (answer, "resolved",        "@a{sv}", &estimate->resolved);
  return TRUE;
}
