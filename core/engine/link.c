/* core/engine/link.c: finds the user's engine, or starts it. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Blocking, for a thread of its own: a sequence of waits reads better than a chain of callbacks, and each has its limit here.
 */
#define _GNU_SOURCE
#include "config.h"

#include "core/engine/link-private.h"

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <gio/gunixinputstream.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gi18n-lib.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/engine/error.h"
#include "core/engine/place.h"

FbLinkLimits fb_link_limits = { .connect = 5.0, .start = 20.0, .leave = 60.0, .call = 30.0, .pixels = 120.0, .beat = 10.0 };

FbLink *
fb_link_ref (FbLink *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
fb_link_unref (FbLink *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_dbus_connection_close (self->connection, NULL, NULL, NULL);    /* the engine takes it as the cancel of what is left */
  g_object_unref (self->connection);
  g_free (self);
}

static void
replace_message (GError *error, int code, const char *message)
{
  error->domain = FB_ENGINE_ERROR;
  error->code   = code;
  g_free (error->message);
  error->message = g_strdup (message);
}

void
fb_link_explain (GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED) || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE) ||
      g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED))
    replace_message (error, FB_ENGINE_ERROR_DIED,
                     _("The Flashbrush engine ended unexpectedly. Nothing in GIMP was changed; please try again, the engine starts anew."));
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) || g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY))
    replace_message (error, FB_ENGINE_ERROR_TIMED_OUT,
                     _("The Flashbrush engine does not answer. If this goes on, end the process “flashbrush-engine” and try again."));
  else
    g_dbus_error_strip_remote_error (error);
}

/* --- connect and greet ------------------------------------------------------------------------------------------------ */

/* a socket at @path that has authenticated us; limited by the socket's own timeout */
static GDBusConnection *
connect_to (const char *path, GCancellable *cancellable, GError **error)
{
  g_autoptr(GSocketClient)     client  = g_socket_client_new ();
  g_autoptr(GSocketAddress)    address = g_unix_socket_address_new (path);
  g_autoptr(GSocketConnection) stream  = NULL;
  GDBusConnection             *connection;

  g_socket_client_set_enable_proxy (client, FALSE);        /* loads no modules for it */
  g_socket_client_set_timeout (client, (guint) MAX (1.0, fb_link_limits.connect));
  stream = g_socket_client_connect (client, G_SOCKET_CONNECTABLE (address), cancellable, error);
  if (stream == NULL)
    return NULL;
  /* cross-namespace: we don't say who we are, the kernel tells the engine; behind a forwarded socket we may have another number there */
  connection = g_dbus_connection_new_sync (G_IO_STREAM (stream),
                                           NULL, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT | G_DBUS_CONNECTION_FLAGS_CROSS_NAMESPACE,
                                           NULL, cancellable, error);
  if (connection != NULL)
    g_dbus_connection_set_exit_on_close (connection, FALSE);
  g_socket_set_timeout (g_socket_connection_get_socket (stream), 0);      /* from here on, calls have their own limits */
  return connection;
}

/* a memfd that holds @nonce: if the engine can read it, descriptors get through */
static GUnixFDList *
make_probe (guint64 nonce)
{
  GUnixFDList *list;
  int          fd = -1;

  if (g_strcmp0 (g_getenv ("FLASHBRUSH_INLINE"), "1") != 0)
    fd = memfd_create ("flashbrush-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return NULL;
  if (write (fd, &nonce, sizeof nonce) != sizeof nonce || fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
    {
      close (fd);
      return NULL;
    }
  list = g_unix_fd_list_new_from_array (&fd, 1);
  return list;
}

/* (transfer full): the engine's answer to Hello, a{sv} */
static GVariant *
say_hello (GDBusConnection *connection, GCancellable *cancellable, GError **error)
{
  guint64                nonce = (guint64) g_random_int () << 32 | g_random_int ();
  g_autoptr(GUnixFDList) probe = make_probe (nonce);
  g_autoptr(GVariant)    reply = NULL;
  GVariantDict           hello;

  g_variant_dict_init (&hello, NULL);
  g_variant_dict_insert (&hello, "protocol", "u", FB_ENGINE_PROTOCOL);
  g_variant_dict_insert (&hello, "version",  "s", FB_VERSION);
  g_variant_dict_insert (&hello, "nonce",    "t", nonce);

  reply = g_dbus_connection_call_with_unix_fd_list_sync (connection, NULL, FB_ENGINE_OBJECT_PATH, FB_ENGINE_INTERFACE, "Hello",
                                                         g_variant_new ("(@a{sv}@ah)", g_variant_dict_end (&hello),
                                                                        probe != NULL ? g_variant_new_parsed ("[handle 0]")
                                                                                      : g_variant_new_array (G_VARIANT_TYPE_HANDLE, NULL, 0)),
                                                         G_VARIANT_TYPE ("(a{sv})"), G_DBUS_CALL_FLAGS_NONE, fb_link_ms (fb_link_limits.connect),
                                                         probe, NULL, cancellable, error);
  return reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
}

/* a greeted link to whoever answers at @path; @build (out): of that engine */
static FbLink *
greet (const char *path, char **build, GCancellable *cancellable, GError **error)
{
  g_autoptr(GDBusConnection) connection = connect_to (path, cancellable, error);
  g_autoptr(GVariant)        hello      = connection != NULL ? say_hello (connection, cancellable, error) : NULL;
  const char                *transport  = "";
  guint32                    protocol   = 0;
  FbLink                    *self;

  if (hello == NULL)
    return NULL;
  self = g_new0 (FbLink, 1);
  g_atomic_ref_count_init (&self->ref_count);
  g_variant_lookup (hello, "protocol", "u", &protocol);
  g_variant_lookup (hello, "transport", "&s", &transport);
  g_variant_lookup (hello, "pid", "u", &self->pid);
  if (!g_variant_lookup (hello, "build", "s", build))
    *build = g_strdup ("");
  if (protocol != FB_ENGINE_PROTOCOL)                     /* of another version by any measure, whatever it calls its build */
    {
      g_free (*build);
      *build = g_strdup_printf ("protocol %u", protocol);
    }
  self->with_fds   = strcmp (transport, "memfd") == 0;
  self->connection = g_steal_pointer (&connection);
  return self;
}

/* --- start ------------------------------------------------------------------------------------------------------------ */

static gint64
deadline (double seconds)
{
  return g_get_monotonic_time () + (gint64) (seconds * 1e6);
}

/* Sleeps for a moment. Returns: %FALSE with @error when cancelled */
static gboolean
nap (int milliseconds, GCancellable *cancellable, GError **error)
{
  GPollFD fd;

  if (cancellable != NULL && g_cancellable_make_pollfd (cancellable, &fd))
    {
      g_poll (&fd, 1, milliseconds);
      g_cancellable_release_fd (cancellable);
    }
  else
    g_usleep ((gulong) milliseconds * 1000);
  return !g_cancellable_set_error_if_cancelled (cancellable, error);
}

/* Reads the line in which a new engine tells how its start went: at most until the limit. Returns: %NULL with @error on a cancel or at the limit */
static GString *
read_line (int fd, GCancellable *cancellable, GError **error)
{
  gint64             until = deadline (fb_link_limits.start);
  g_autoptr(GString) line  = g_string_new (NULL);

  while (g_get_monotonic_time () < until)
    {
      GPollFD  fds[2] = { { fd, G_IO_IN, 0 } };
      gboolean watch  = cancellable != NULL && g_cancellable_make_pollfd (cancellable, &fds[1]);
      char     text[512];
      ssize_t  n      = 0;

      g_poll (fds, watch ? 2 : 1, (int) ((until - g_get_monotonic_time ()) / 1000) + 1);
      if (watch)
        g_cancellable_release_fd (cancellable);
      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        return NULL;
      if (fds[0].revents == 0)
        continue;
      n = read (fd, text, sizeof text);
      if (n > 0)
        g_string_append_len (line, text, n);
      if (n <= 0 || strchr (line->str, '\n') != NULL || line->len > 8192)
        {
          line->str[strcspn (line->str, "\n")] = '\0';
          return g_steal_pointer (&line);
        }
    }
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_TIMED_OUT, _("The engine was started, but did not get ready within %.0f seconds."),
               fb_link_limits.start);
  return NULL;
}

/* Starts an engine for the socket @path. @taken (out): another one has the place. Returns: %FALSE with @error when there is neither */
static gboolean
start_engine (const char *path, const char *build, gboolean *taken, GCancellable *cancellable, GError **error)
{
  g_autofree char                *program  = fb_place_engine ();
  g_autoptr(GSubprocessLauncher)  launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
  g_autoptr(GSubprocess)          process  = NULL;
  g_autoptr(GString)              line     = NULL;
  g_autoptr(GError)               local    = NULL;

  g_subprocess_launcher_setenv (launcher, "FLASHBRUSH_SOCKET", path, TRUE);
  process = g_subprocess_launcher_spawn (launcher, &local, program, "--started-by-client", "--build", build, NULL);
  if (process == NULL)
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_ENGINE, _("The engine “%s” could not be started: %s"), program, local->message);
      return FALSE;
    }

  line = read_line (g_unix_input_stream_get_fd (G_UNIX_INPUT_STREAM (g_subprocess_get_stdout_pipe (process))), cancellable, error);
  if (line == NULL)
    return FALSE;
  *taken = strcmp (line->str, "taken") == 0;
  if (*taken || strcmp (line->str, "ready") == 0)
    return TRUE;
  if (*line->str == '\0')
    g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_ENGINE, _("The engine “%s” ended while it started."), program);
  else
    g_set_error_literal (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_ENGINE, line->str);
  return FALSE;
}

/* Asks an engine of another build to go, and waits until it has. */
static gboolean
send_away (FbLink *link, GCancellable *cancellable, GError **error)
{
  gint64              until  = deadline (fb_link_limits.leave);
  guint32             n_jobs = 0;
  g_autoptr(GVariant) reply  = g_dbus_connection_call_sync (link->connection, NULL, FB_ENGINE_OBJECT_PATH, FB_ENGINE_INTERFACE, "Leave", NULL,
                                                            G_VARIANT_TYPE ("(u)"), G_DBUS_CALL_FLAGS_NONE,
                                                            fb_link_ms (fb_link_limits.connect), cancellable, NULL);

  if (reply != NULL)
    g_variant_get (reply, "(u)", &n_jobs);
  while (!g_dbus_connection_is_closed (link->connection))
    {
      if (g_get_monotonic_time () >= until)
        {
          g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_BUSY,
                       g_dngettext (GETTEXT_PACKAGE,
                                    "An engine of another Flashbrush version (process %u) still works on %u job of another program. "
                                    "Wait until it is done, or end that process.",
                                    "An engine of another Flashbrush version (process %u) still works on %u jobs of other programs. "
                                    "Wait until they are done, or end that process.", n_jobs),
                       link->pid, n_jobs);
          return FALSE;
        }
      if (!nap (10, cancellable, error))
        return FALSE;
    }
  return TRUE;
}

/* --- open ------------------------------------------------------------------------------------------------------------- */

static FbLink *
open_remote (const char *path, GCancellable *cancellable, GError **error)
{
  g_autofree char   *build = NULL;
  g_autoptr(GError)  local = NULL;
  g_autoptr(FbLink)  link  = greet (path, &build, cancellable, &local);

  if (link != NULL && !g_str_has_prefix (build, "protocol "))
    return g_steal_pointer (&link);

  if (local != NULL && g_error_matches (local, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_propagate_error (error, g_steal_pointer (&local));
  else if (local != NULL)
    g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_ENGINE, _("No engine answers at the forwarded socket %s: %s"), path, local->message);
  else
    g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PROTOCOL, _("The engine at the forwarded socket %s is of another version of Flashbrush."),
                 path);
  return NULL;
}

/* whether nobody sits at the socket, or whoever did has just left */
static gboolean
is_absence (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED) ||
         g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED) || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE) ||
         g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK) || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_FAILED);
}

FbLink *
fb_link_open (GCancellable *cancellable, GError **error)
{
  const char      *remote  = g_getenv ("FLASHBRUSH_REMOTE");
  g_autofree char *path    = NULL;
  g_autofree char *program = fb_place_engine ();
  g_autofree char *wanted  = fb_place_build (program);
  gint64           until   = deadline (fb_link_limits.start + fb_link_limits.leave);
  int              pause   = 1;

  (void) FB_ENGINE_ERROR;                                  /* registers the names of the codes before the first one arrives */
  if (remote != NULL && *remote != '\0')
    return open_remote (remote, cancellable, error);

  path = fb_place_socket (error);
  if (path == NULL)
    return NULL;

  while (g_get_monotonic_time () < until)
    {
      g_autofree char   *build = NULL;
      g_autoptr(GError)  local = NULL;
      g_autoptr(FbLink)  link  = greet (path, &build, cancellable, &local);
      gboolean           taken = FALSE;

      if (link != NULL && (strcmp (build, wanted) == 0 || (!link->with_fds && !g_str_has_prefix (build, "protocol "))))
        return g_steal_pointer (&link);                    /* inline: perhaps another machine's engine, whose build is its own business */

      if (link != NULL ? !send_away (link, cancellable, error) : !is_absence (local))
        {
          if (local != NULL)
            {
              fb_link_explain (local);
              g_propagate_error (error, g_steal_pointer (&local));
            }
          return NULL;
        }
      if (!start_engine (path, wanted, &taken, cancellable, error))
        return NULL;
      if (taken)                                           /* who has the lock is about to make its socket, or to go: ask at growing intervals */
        {
          pause = MIN (2 * pause, 500);
          if (!nap (pause, cancellable, error))
            return NULL;
        }
    }
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_BUSY,
               _("Another engine holds %s, but does not answer there. Wait until it has left, or end the process “flashbrush-engine”."), path);
  return NULL;
}
