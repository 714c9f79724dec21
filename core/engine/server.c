/* core/engine/server.c: the engine at its socket. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "config.h"

#include "core/engine/server.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/engine/log.h"
#include "core/engine/place.h"
#include "core/engine/server-private.h"

#define STOP_SECONDS  2.0        /* for the running job to end after SIGTERM; a task takes 0.3 s */
#define FLUSH_SECONDS 0.5        /* for the last answers to reach their clients */
#define END_SECONDS   6          /* for everything after the distiller's state is saved; then the process goes whatever holds it */

void
fb_server_touch (FbServer *self)
{
  self->last_used = g_get_monotonic_time ();
}

FbQueue *
fb_server_queue (FbServer *self, const FbJobKind *kind)
{
  return kind->beside ? self->errands : self->queue;
}

int
fb_server_n_queued (FbServer *self)
{
  return fb_queue_n_jobs (self->queue) + fb_queue_n_jobs (self->errands);
}

static int
n_jobs (FbServer *self)
{
  int n = fb_server_n_queued (self);

  for (GList *l = self->peers; l != NULL; l = l->next)
    n += fb_peer_n_jobs (l->data);
  return n;
}

void
fb_server_check_leave (FbServer *self)
{
  if (self->leaving && n_jobs (self) == 0)
    g_main_loop_quit (self->loop);
}

static gboolean
on_check_leave (gpointer user_data)
{
  fb_server_check_leave (user_data);
  return G_SOURCE_CONTINUE;
}

static void
close_socket (FbServer *self)
{
  if (self->socket != NULL)
    {
      g_dbus_server_stop (self->socket);
      g_unlink (self->path);                       /* while the lock is ours, so it can't be another engine's */
    }
  g_clear_object (&self->socket);
}

void
fb_server_leave (FbServer *self)
{
  if (self->leaving)
    return;
  g_message ("asked to leave, with %d jobs", n_jobs (self));
  self->leaving = TRUE;
  close_socket (self);
  g_timeout_add (20, on_check_leave, self);        /* the answer to Leave goes out first; a worker between two jobs has none in its hands */
}

/* the idle time is looked at, not counted: touching is one assignment */
static gboolean
on_idle_check (gpointer user_data)
{
  FbServer *self = user_data;
  double    idle = (g_get_monotonic_time () - self->last_used) / 1e6;

  if (n_jobs (self) > 0 || g_atomic_int_get (&self->workshop.n_background) > 0)
    fb_server_touch (self);
  else if (idle >= self->workshop.settings->idle_seconds)
    {
      g_message ("idle for %.1f s", idle);
      g_main_loop_quit (self->loop);
    }
  return G_SOURCE_CONTINUE;
}

static gboolean
on_signal (gpointer user_data)
{
  FbServer *self = user_data;

  g_message ("asked to end by a signal");
  g_main_loop_quit (self->loop);
  return G_SOURCE_CONTINUE;
}

/* A job ignores its cancellable: its thread can't be ended, so the process is. */
static void
on_hung (FbTask *task, gpointer user_data)
{
  FbServer *self = user_data;

  g_warning ("a cancelled job of kind %s did not end", task->kind->name);
  fb_task_finish (task, NULL, g_error_new (FB_ENGINE_ERROR, FB_ENGINE_ERROR_HUNG,
                                           _("The job did not stop when it was cancelled, so the engine was ended. The next job starts a new one.")));
  if (task->changed != NULL)
    task->changed (task, task->owner);
  self->hung = TRUE;
  g_main_loop_quit (self->loop);
}

/* --- connections ------------------------------------------------------------------------------------------------------ */

static void
on_closed (GDBusConnection *connection, gboolean by_peer, GError *error, gpointer user_data)
{
  FbServer *self = user_data;
  FbPeer   *peer = g_object_get_data (G_OBJECT (connection), "fb-peer");

  if (peer == NULL)
    return;
  self->peers = g_list_remove (self->peers, peer);
  fb_peer_free (peer);
  fb_server_touch (self);
}

static gboolean
on_new_connection (GDBusServer *socket, GDBusConnection *connection, gpointer user_data)
{
  FbServer          *self  = user_data;
  g_autoptr(GError)  error = NULL;
  FbPeer            *peer  = fb_peer_new (self, connection, &error);

  if (peer == NULL)
    {
      g_warning ("%s", error->message);
      return FALSE;
    }
  fb_server_touch (self);
  self->peers = g_list_prepend (self->peers, peer);
  g_dbus_connection_set_exit_on_close (connection, FALSE);
  g_signal_connect (connection, "closed", G_CALLBACK (on_closed), self);
  return TRUE;
}

/* only EXTERNAL, which the kernel answers for */
static gboolean
on_allow_mechanism (GDBusAuthObserver *observer, const char *mechanism, gpointer user_data)
{
  return strcmp (mechanism, "EXTERNAL") == 0;
}

/* --- the place -------------------------------------------------------------------------------------------------------- */

static gboolean
set_start_error (GError **error, const char *path)
{
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_SOCKET, _("The engine's socket %s cannot be made: %s."), path, g_strerror (errno));
  return FALSE;
}

/**
 * Who holds the lock beside the socket is the user's engine; the kernel lets go of it however the process ends. So a socket that is found
 * with the lock free is stale. Returns: %FALSE without @error when another engine holds it.
 */
static gboolean
take_place (FbServer *self, GError **error)
{
  g_autofree char *lock = g_strconcat (self->path, ".lock", NULL);
  struct stat      by_fd, by_name;

  for (;;)
    {
      self->lock_fd = g_open (lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
      if (self->lock_fd < 0)
        return set_start_error (error, self->path);
      if (flock (self->lock_fd, LOCK_EX | LOCK_NB) < 0)
        {
          int saved = errno;

          g_clear_fd (&self->lock_fd, NULL);
          errno = saved;
          return errno == EWOULDBLOCK ? FALSE : set_start_error (error, self->path);
        }
      /* an engine that left may have removed the file between our open and our lock: then we hold what nobody else will find */
      if (fstat (self->lock_fd, &by_fd) == 0 && g_stat (lock, &by_name) == 0 && by_fd.st_ino == by_name.st_ino)
        break;
      g_clear_fd (&self->lock_fd, NULL);
    }

  if (g_unlink (self->path) < 0 && errno != ENOENT)
    return set_start_error (error, self->path);
  return TRUE;
}

static void
leave_place (FbServer *self)
{
  g_autofree char *lock = g_strconcat (self->path, ".lock", NULL);

  close_socket (self);
  g_unlink (lock);
  g_clear_fd (&self->lock_fd, NULL);
}

static gboolean
open_socket (FbServer *self, GError **error)
{
  g_autoptr(GDBusAuthObserver) observer = g_dbus_auth_observer_new ();
  g_autofree char             *escaped  = g_dbus_address_escape_value (self->path);
  g_autofree char             *address  = g_strconcat ("unix:path=", escaped, NULL);
  g_autofree char             *guid     = g_dbus_generate_guid ();
  mode_t                       mask     = umask (0177);

  g_signal_connect (observer, "allow-mechanism", G_CALLBACK (on_allow_mechanism), NULL);
  self->socket = g_dbus_server_new_sync (address, G_DBUS_SERVER_FLAGS_AUTHENTICATION_REQUIRE_SAME_USER, guid, observer, NULL, error);
  umask (mask);
  if (self->socket == NULL)
    return FALSE;
  g_signal_connect (self->socket, "new-connection", G_CALLBACK (on_new_connection), self);
  g_dbus_server_start (self->socket);
  return TRUE;
}

/* --- the process ------------------------------------------------------------------------------------------------------ */

static void
on_flush_done (GObject *connection, GAsyncResult *result, gpointer n_open)
{
  g_dbus_connection_flush_finish (G_DBUS_CONNECTION (connection), result, NULL);
  (*(int *) n_open)--;
}

static gboolean
on_flush_late (gpointer late)
{
  *(gboolean *) late = TRUE;
  return G_SOURCE_REMOVE;
}

/* gives the last answers a moment to go out; a client that doesn't read can't hold the process */
static void
flush_peers (FbServer *self)
{
  static int      n_open = 0;                      /* static: a flush may end after this function, when the process is about to */
  static gboolean late   = FALSE;

  for (GList *l = self->peers; l != NULL; l = l->next, n_open++)
    g_dbus_connection_flush (fb_peer_connection (l->data), NULL, on_flush_done, &n_open);
  g_timeout_add ((guint) (FLUSH_SECONDS * 1000.0), on_flush_late, &late);
  while (n_open > 0 && !late)
    g_main_context_iteration (NULL, TRUE);
}

static void
fail_peers (FbServer *self)
{
  g_autoptr(GError) error = g_error_new_literal (FB_ENGINE_ERROR, FB_ENGINE_ERROR_DIED,
                                                 self->hung ? _("The engine was ended because another job did not stop; please try again.")
                                                            : _("The engine was asked to end while the job was running."));

  for (GList *l = self->peers; l != NULL; l = l->next)
    fb_peer_fail_all (l->data, error);
}

/* Ends the process: with threads that still work, if need be. */
static void
end (FbServer *self)
{
  gboolean idle;

  close_socket (self);
  idle = fb_queue_stop (self->errands, self->hung ? 0.0 : STOP_SECONDS);
  if (idle && self->workshop.distiller != NULL)    /* saves its state; no errand can ask for it any more */
    g_clear_pointer (&self->workshop.distiller, self->workshop.free_distiller);
  alarm (END_SECONDS);
  idle = fb_queue_stop (self->queue, self->hung ? 0.0 : STOP_SECONDS) && idle;
  while (g_main_context_iteration (NULL, FALSE))   /* the cancelled job's own answer */
    ;
  fail_peers (self);
  flush_peers (self);
  leave_place (self);
  g_message ("the engine ends");
  if (!idle)
    _exit (self->hung ? 3 : 0);

  while (self->peers != NULL)
    {
      FbPeer          *peer       = self->peers->data;
      GDBusConnection *connection = g_object_ref (fb_peer_connection (peer));

      self->peers = g_list_delete_link (self->peers, self->peers);
      fb_peer_free (peer);
      g_signal_handlers_disconnect_by_data (connection, self);
      g_object_unref (connection);
    }
  fb_queue_free (self->queue);
  fb_queue_free (self->errands);
  g_thread_pool_free (self->clerk, TRUE, TRUE);
  if (self->workshop.desk != NULL)
    self->workshop.free_desk (self->workshop.desk);
  while (g_main_context_iteration (NULL, FALSE))   /* notifications that nobody reads any more */
    ;
}

/* the client waits for this line; afterwards nothing of the terminal or of the client's pipes is held */
static void
tell_client (const char *line)
{
  int null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  printf ("%s\n", line);
  fflush (stdout);
  for (int fd = 0; fd <= 2 && null_fd >= 0; fd++)
    dup2 (fd == STDERR_FILENO && fb_log_fd () >= 0 ? fb_log_fd () : null_fd, fd);
  if (null_fd > 2)
    close (null_fd);
}

static gboolean
start (FbServer *self, GError **error)
{
  g_autofree char *settings_path = fb_settings_path ();

  self->path = fb_place_socket (error);
  if (self->path == NULL || !take_place (self, error))
    return FALSE;

  self->workshop.settings = fb_settings_load (settings_path, error);
  if (self->workshop.settings == NULL || !open_socket (self, error))
    {
      leave_place (self);
      return FALSE;
    }
  self->workshop.residents = fb_residents_new (self->workshop.settings->memory_budget);
  self->queue              = fb_queue_new (&self->workshop, FALSE, on_hung, self);
  self->errands            = fb_queue_new (&self->workshop, TRUE, on_hung, self);
  self->clerk              = g_thread_pool_new (fb_peer_answer, self, 1, FALSE, NULL);
  self->loop               = g_main_loop_new (NULL, FALSE);
  fb_server_touch (self);
  return TRUE;
}

static void
serve (FbServer *self)
{
  static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
  double           idle      = self->workshop.settings->idle_seconds;

  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    g_unix_signal_add (signals[i], on_signal, self);
  g_timeout_add ((guint) (CLAMP (idle / 10.0, 0.02, 5.0) * 1000.0), on_idle_check, self);
  g_message ("engine %s serves %s", FB_VERSION, self->path);
  g_main_loop_run (self->loop);
  end (self);
}

static gboolean
parse_options (int *argc, char ***argv, gboolean *by_client, char **build, GError **error)
{
  gboolean           version   = FALSE;
  const GOptionEntry entries[] =
  {
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, N_("Show the version"), NULL },
    { "started-by-client", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, by_client, NULL, NULL },
    { "build", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, build, NULL, NULL },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr(GOptionContext) context = g_option_context_new (_("[COMMAND]"));

  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  g_option_context_set_summary (context, _("Keeps Flashbrush's models in memory and works for GIMP's plug-ins. They start it themselves;\n"
                                           "it leaves when it has had nothing to do for a while.\n\n"
                                           "Commands, each with its own --help:\n"
                                           "  generate    make pictures from a prompt, without GIMP\n"
                                           "  inpaint     replace a part of a picture, without GIMP\n"
                                           "  upscale     make a picture larger, with detail that fits, without GIMP\n"
                                           "  distill     teach a LoRA to draw in a few steps what a model draws in many\n"
                                           "  eval        show a trained LoRA's pictures beside its teacher's\n"
                                           "  models      list the models that are known"));
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (*argc > 1)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, _("There is no command “%s”; --help lists them."), (*argv)[1]);
      return FALSE;
    }
  if (version)
    {
      printf ("flashbrush-engine %s\n", FB_VERSION);
      exit (EXIT_SUCCESS);
    }
  return TRUE;
}

int
fb_server_main (int argc, char **argv, const FbTrade *trade)
{
  FbServer           *self;
  gboolean            by_client = FALSE;
  g_autofree char    *build     = NULL;
  g_autoptr(GError)   error     = NULL;
  int                 status    = EXIT_SUCCESS;

  if (!parse_options (&argc, &argv, &by_client, &build, &error))
    {
      fprintf (stderr, "flashbrush-engine: %s\n", error->message);
      return 2;
    }

  self          = g_new0 (FbServer, 1);
  self->trade   = trade;
  self->lock_fd = -1;
  self->build   = build != NULL ? g_steal_pointer (&build) : fb_place_build ("/proc/self/exe");
  if (by_client)
    {
      setsid ();                                   /* a Ctrl+C at GIMP's terminal is not meant for us */
      if (chdir ("/") < 0)                         /* and no folder is kept from being unmounted */
        g_debug ("%s", g_strerror (errno));
    }
  fb_log_open (!by_client);

  if (start (self, &error))
    {
      if (by_client)
        tell_client ("ready");
      serve (self);
    }
  else
    {
      const char *line = error != NULL ? error->message : by_client ? "taken" : _("An engine is running already.");

      if (error != NULL)
        g_warning ("%s", error->message);
      if (by_client)
        tell_client (line);
      else if (error == NULL)
        fprintf (stderr, "flashbrush-engine: %s\n", line);
      status = EXIT_FAILURE;
    }

  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_clear_pointer (&self->workshop.residents, fb_residents_free);
  g_clear_pointer (&self->workshop.settings, fb_settings_free);
  g_free (self->path);
  g_free (self->build);
  g_free (self);
  return status;
}
