/* core/engine/peer.c: one client's connection, seen from the engine: its life, and the questions. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The methods of org.flashbrush.Engine1.xml; those about jobs are in peer-put.c and peer-jobs.c.
 */
#include "config.h"

#include "core/engine/peer-private.h"

#include <glib/gi18n-lib.h>
#include <string.h>
#include <unistd.h>

#include "core/engine/place.h"
#include "core/tasks/pace.h"

#define MAX_QUESTIONS 64            /* waiting for the clerk, of all clients */

typedef enum { CAPABILITIES, MODELS, ESTIMATE } Subject;

/* what the clerk is asked */
typedef struct
{
  FbServer              *server;
  GDBusMethodInvocation *call;
  Subject                subject;
  const FbJobKind       *kind;      /* to estimate */
  GVariant              *request;
} Question;

void
fb_peer_refuse (GDBusMethodInvocation *call, FbEngineError code, const char *message)
{
  g_dbus_method_invocation_return_error_literal (call, FB_ENGINE_ERROR, code, message);
}

gboolean
fb_peer_may_call (FbPeer *self, GDBusMethodInvocation *call)
{
  fb_server_touch (self->server);
  if (self->greeted)
    return TRUE;
  fb_peer_refuse (call, FB_ENGINE_ERROR_PROTOCOL, "Hello has to be the first call");
  return FALSE;
}

int
fb_peer_get_fd (GUnixFDList *list, GVariant *handles)
{
  gint32 index = 0;

  if (list == NULL || g_variant_n_children (handles) != 1)
    return -1;
  g_variant_get_child (handles, 0, "h", &index);                          /* the client's word, so: */
  if (index < 0 || index >= g_unix_fd_list_get_length (list))
    return -1;
  return g_unix_fd_list_get (list, index, NULL);
}

const FbJobKind *
fb_peer_find_kind (FbPeer *self, GDBusMethodInvocation *call, const char *name)
{
  for (const FbJobKind *kind = self->server->trade->kinds; kind->name != NULL; kind++)
    if (strcmp (kind->name, name) == 0)
      return kind;
  g_dbus_method_invocation_return_error (call, FB_ENGINE_ERROR, FB_ENGINE_ERROR_UNKNOWN_KIND, _("The engine knows no jobs of the kind “%s”."), name);
  return NULL;
}

/* --- Hello, Leave ----------------------------------------------------------------------------------------------------- */

/* whether file descriptors get through: a forwarded socket loses them */
static gboolean
probe_arrived (GVariantDict *client, int fd)
{
  guint64 nonce = 0, sent = 0;

  return fd >= 0 && g_variant_dict_lookup (client, "nonce", "t", &nonce) && pread (fd, &sent, sizeof sent, 0) == sizeof sent && sent == nonce;
}

static gboolean
on_hello (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, GUnixFDList *fds, GVariant *client, GVariant *probe, FbPeer *self)
{
  g_auto(GVariantDict) theirs   = G_VARIANT_DICT_INIT (client);
  g_auto(GVariantDict) ours     = G_VARIANT_DICT_INIT (NULL);
  guint32              protocol = 0;
  int                  fd       = fb_peer_get_fd (fds, probe);

  self->with_fds = probe_arrived (&theirs, fd);
  if (fd >= 0)
    close (fd);

  if (!g_variant_dict_lookup (&theirs, "protocol", "u", &protocol))
    {
      fb_peer_refuse (call, FB_ENGINE_ERROR_PROTOCOL, "Hello lacks the protocol's number");
      return TRUE;
    }
  self->greeted = TRUE;                       /* whatever the number: so that a client of another version can ask us to leave */
  fb_server_touch (self->server);

  g_variant_dict_insert (&ours, "protocol",  "u", FB_ENGINE_PROTOCOL);
  g_variant_dict_insert (&ours, "version",   "s", FB_VERSION);
  g_variant_dict_insert (&ours, "build",     "s", self->server->build);
  g_variant_dict_insert (&ours, "pid",       "u", (guint32) getpid ());
  g_variant_dict_insert (&ours, "transport", "s", self->with_fds ? "memfd" : "inline");
  fb_dbus_engine1_complete_hello (skeleton, call, NULL, g_variant_dict_end (&ours));
  return TRUE;
}

static gboolean
on_leave (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, FbPeer *self)
{
  if (!fb_peer_may_call (self, call))
    return TRUE;
  fb_dbus_engine1_complete_leave (skeleton, call, (guint) fb_server_n_queued (self->server));
  fb_server_leave (self->server);
  return TRUE;
}

/* --- questions -------------------------------------------------------------------------------------------------------- */

static GVariant *
capabilities (FbServer *server)
{
  GVariantDict    dict;
  GVariantBuilder kinds;

  g_variant_builder_init (&kinds, G_VARIANT_TYPE ("as"));
  for (const FbJobKind *kind = server->trade->kinds; kind->name != NULL; kind++)
    g_variant_builder_add (&kinds, "s", kind->name);

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "version",         "s", FB_VERSION);
  g_variant_dict_insert (&dict, "memory-budget",   "t", server->workshop.settings->memory_budget);
  g_variant_dict_insert (&dict, "available-bytes", "t", fb_memory_available ());
  g_variant_dict_insert_value (&dict, "kinds", g_variant_builder_end (&kinds));
  if (server->trade->capabilities != NULL)
    server->trade->capabilities (&server->workshop, &dict);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static GVariant *
list_models (FbServer *server, GError **error)
{
  if (server->trade->list_models != NULL)
    return server->trade->list_models (&server->workshop, NULL, error);
  return g_variant_ref_sink (g_variant_new_array (G_VARIANT_TYPE_VARDICT, NULL, 0));
}

static GVariant *
estimate (FbServer *server, const FbJobKind *kind, GVariant *request, GError **error)
{
  FbJobEstimate estimate = { .seconds = -1.0 };
  GVariantDict  dict;

  if (!kind->estimate (&server->workshop, request, &estimate, NULL, error))
    return NULL;
  if (estimate.available_bytes > 0)
    estimate.available_bytes += fb_residents_bytes (server->workshop.residents);      /* they can go */

  if (estimate.least_bytes > 0 && estimate.available_bytes > 0 && estimate.peak_bytes > estimate.available_bytes)
    estimate.peak_bytes = estimate.least_bytes;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "peak-bytes",      "t", estimate.peak_bytes);
  g_variant_dict_insert (&dict, "seconds",         "d", estimate.seconds);
  g_variant_dict_insert (&dict, "available-bytes", "t", estimate.available_bytes);
  if (estimate.resolved != NULL)
    g_variant_dict_insert_value (&dict, "resolved", estimate.resolved);
  g_clear_pointer (&estimate.resolved, g_variant_unref);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

void
fb_peer_answer (gpointer data, gpointer user_data)
{
  Question          *question = data;
  g_autoptr(GError)  error    = NULL;
  GVariant          *answer   = NULL;

  switch (question->subject)
    {
    case CAPABILITIES: answer = capabilities (question->server); break;
    case MODELS:       answer = list_models (question->server, &error); break;
    case ESTIMATE:     answer = estimate (question->server, question->kind, question->request, &error); break;
    }

  if (answer != NULL)
    {
      g_dbus_method_invocation_return_value (question->call, g_variant_new_tuple (&answer, 1));
      g_variant_unref (answer);
    }
  else
    g_dbus_method_invocation_return_gerror (question->call, error);
  g_clear_pointer (&question->request, g_variant_unref);
  g_free (question);
}

/* the call is answered from the clerk's thread, and the client may be gone by then; GDBus minds neither */
static gboolean
ask_clerk (FbPeer *self, GDBusMethodInvocation *call, Subject subject, const FbJobKind *kind, GVariant *request)
{
  Question *question;

  if (g_thread_pool_unprocessed (self->server->clerk) >= MAX_QUESTIONS)
    {
      fb_peer_refuse (call, FB_ENGINE_ERROR_BUSY, _("The engine is asked too much at once."));
      return TRUE;
    }
  question  = g_new (Question, 1);
  *question = (Question) { self->server, call, subject, kind, request != NULL ? g_variant_ref (request) : NULL };
  g_thread_pool_push (self->server->clerk, question, NULL);
  return TRUE;
}

static gboolean
on_get_capabilities (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, FbPeer *self)
{
  return !fb_peer_may_call (self, call) || ask_clerk (self, call, CAPABILITIES, NULL, NULL);
}

static gboolean
on_list_models (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, FbPeer *self)
{
  return !fb_peer_may_call (self, call) || ask_clerk (self, call, MODELS, NULL, NULL);
}

static gboolean
on_list_loaded (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, FbPeer *self)
{
  if (fb_peer_may_call (self, call))
    fb_dbus_engine1_complete_list_loaded (skeleton, call, fb_residents_list (self->server->workshop.residents));
  return TRUE;
}

static gboolean
on_estimate (FbDbusEngine1 *skeleton, GDBusMethodInvocation *call, const char *name, GVariant *request, FbPeer *self)
{
  const FbJobKind *kind;

  if (!fb_peer_may_call (self, call) || (kind = fb_peer_find_kind (self, call, name)) == NULL)
    return TRUE;
  if (kind->estimate != NULL)
    ask_clerk (self, call, ESTIMATE, kind, request);
  else
    fb_peer_refuse (call, FB_ENGINE_ERROR_UNKNOWN_KIND, _("Jobs of this kind cannot be estimated."));
  return TRUE;
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

FbPeer *
fb_peer_new (FbServer *server, GDBusConnection *connection, GError **error)
{
  static const struct { const char *signal; GCallback handler; } methods[] =
  {
    { "handle-hello",            G_CALLBACK (on_hello) },
    { "handle-leave",            G_CALLBACK (on_leave) },
    { "handle-get-capabilities", G_CALLBACK (on_get_capabilities) },
    { "handle-list-models",      G_CALLBACK (on_list_models) },
    { "handle-list-loaded",      G_CALLBACK (on_list_loaded) },
    { "handle-estimate",         G_CALLBACK (on_estimate) },
    { "handle-put",              G_CALLBACK (fb_peer_on_put) },
    { "handle-run",              G_CALLBACK (fb_peer_on_run) },
    { "handle-cancel",           G_CALLBACK (fb_peer_on_cancel) },
    { "handle-take",             G_CALLBACK (fb_peer_on_take) },
  };
  FbPeer *self = g_new0 (FbPeer, 1);

  self->server     = server;
  self->connection = g_object_ref (connection);
  self->skeleton   = fb_dbus_engine1_skeleton_new ();
  self->put        = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_hash_table_unref);
  self->jobs       = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) fb_peer_job_free);
  for (gsize i = 0; i < G_N_ELEMENTS (methods); i++)
    g_signal_connect (self->skeleton, methods[i].signal, methods[i].handler, self);
  g_object_set_data (G_OBJECT (connection), "fb-peer", self);

  if (!g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (self->skeleton), connection, FB_ENGINE_OBJECT_PATH, error))
    g_clear_pointer (&self, fb_peer_free);
  return self;
}

void
fb_peer_free (FbPeer *self)
{
  GHashTableIter iter;
  gpointer       job;

  g_object_set_data (G_OBJECT (self->connection), "fb-peer", NULL);
  g_signal_handlers_disconnect_by_data (self->skeleton, self);
  g_dbus_interface_skeleton_unexport (G_DBUS_INTERFACE_SKELETON (self->skeleton));

  g_hash_table_iter_init (&iter, self->jobs);
  while (g_hash_table_iter_next (&iter, NULL, &job))            /* nobody will read what they make */
    {
      FbTask *task = ((FbPeerJob *) job)->task;

      fb_queue_cancel (fb_server_queue (self->server, task->kind), task);
    }

  g_hash_table_unref (self->jobs);
  g_hash_table_unref (self->put);
  g_object_unref (self->skeleton);
  g_object_unref (self->connection);
  g_free (self);
}

int
fb_peer_n_jobs (FbPeer *self)
{
  return (int) g_hash_table_size (self->jobs);
}

void
fb_peer_fail_all (FbPeer *self, const GError *error)
{
  GHashTableIter iter;
  gpointer       value;

  g_hash_table_iter_init (&iter, self->jobs);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      FbPeerJob *job = value;

      if (job->call != NULL)
        g_dbus_method_invocation_return_gerror (g_steal_pointer (&job->call), error);
    }
}

GDBusConnection *
fb_peer_connection (FbPeer *self)
{
  return self->connection;
}
