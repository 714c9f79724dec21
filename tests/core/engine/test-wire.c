/* tests/core/engine/test-wire.c: what comes through the socket, meant well or not. SPDX-License-Identifier: LGPL-3.0-or-later */
#define _GNU_SOURCE
#include "tests/core/engine/fixture.h"

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/engine/place.h"

/* --- raw calls -------------------------------------------------------------------------------------------------------- */

/* calls @method on @connection with GVariant text for arguments; @fd (or -1) travels along. Returns: the error, or NULL */
static GError *
call (GDBusConnection *connection, const char *method, const char *arguments, int fd)
{
  g_autoptr(GUnixFDList) fds   = fd >= 0 ? g_unix_fd_list_new () : NULL;
  g_autoptr(GVariant)    reply = NULL;
  g_autoptr(GVariant)    value = NULL;
  GError                *error = NULL;

  value = g_variant_parse (NULL, arguments, NULL, NULL, &error);
  g_assert_no_error (error);
  if (fds != NULL)
    g_unix_fd_list_append (fds, fd, NULL);
  reply = g_dbus_connection_call_with_unix_fd_list_sync (connection, NULL, FB_ENGINE_OBJECT_PATH, FB_ENGINE_INTERFACE, method, value, NULL,
                                                         G_DBUS_CALL_FLAGS_NONE, 10000, fds, NULL, NULL, &error);
  return error;
}

static void
assert_refused (FbLink *link, const char *method, const char *arguments, int fd, GQuark domain, int code)
{
  g_autoptr(GError) error = call (link->connection, method, arguments, fd);

  if (error == NULL)
    g_error ("%s %s was accepted", method, arguments);
  g_assert_error (error, domain, code);
  if (fd >= 0)
    close (fd);
}

#define assert_pixels_refused(link, arguments, fd) assert_refused (link, "Put", arguments, fd, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS)

static int
make_memfd (gsize size, int seals)
{
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  g_assert_no_errno (fd);
  g_assert_no_errno (ftruncate (fd, size));
  if (seals != 0)
    g_assert_no_errno (fcntl (fd, F_ADD_SEALS, seals));
  return fd;
}

static void
assert_engine_is_well (Fixture *f, FbLink *link)
{
  g_autoptr(FbJob)  job   = fixture_job (f, "{}");
  g_autoptr(GError) error = NULL;

  g_assert_true (fb_job_run (job, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (process_runs (link->pid));
}

static void
hostile_messages_are_refused_one_by_one (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink) link  = fixture_link (f);
  const int         all   = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  int               pipes[2];

  g_assert_no_errno (pipe2 (pipes, O_CLOEXEC));
  close (pipes[1]);

  /* 4 × 4 × 3 pixels are 192 bytes */
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], [handle 0])", make_memfd (192, 0));
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], [handle 0])",
                         make_memfd (192, F_SEAL_SHRINK | F_SEAL_GROW));
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], [handle 0])", make_memfd (191, all));
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], [handle 0])", make_memfd (0, all));
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], [handle 0])", make_memfd (193, all));
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], [handle 0])", pipes[0]);
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], [handle 0])",
                         open ("/dev/zero", O_RDONLY | O_CLOEXEC));
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], [handle 7])", make_memfd (192, all));
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], [handle -1])", make_memfd (192, all));
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, @ay [], @ah [])", -1);

  /* sizes whose products wrap around, and none */
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4294967295, uint32 4294967295, uint32 4), uint64 0, [byte 1], @ah [])", -1);
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 65536, uint32 65536, uint32 4), uint64 0, [byte 1], @ah [])", -1);
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 0, uint32 4, uint32 3), uint64 0, [byte 1], @ah [])", -1);
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 2), uint64 0, [byte 1], @ah [])", -1);

  /* pieces that don't fit */
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 4, uint32 4, uint32 3), uint64 18446744073709551615, [byte 1], @ah [])", -1);
  assert_pixels_refused (link, "(uint32 1, 'init', (uint32 1, uint32 1, uint32 1), uint64 0, [byte 1, 2, 3, 4, 5], @ah [])", -1);

  /* types and numbers */
  assert_refused (link, "Run", "('a', 'b')", -1, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS);
  assert_refused (link, "Put", "(uint32 1,)", -1, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS);
  assert_refused (link, "Fly", "()", -1, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD);
  assert_refused (link, "Take", "(uint32 77, 0, uint64 0)", -1, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS);
  assert_refused (link, "Take", "(uint32 77, -5, uint64 12345)", -1, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS);
  assert_refused (link, "Estimate", "('no-such-kind', @a{sv} {})", -1, FB_ENGINE_ERROR, FB_ENGINE_ERROR_UNKNOWN_KIND);
  assert_refused (link, "Estimate", "('test-sleep', {'fault': <'yes'>})", -1, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST);
  g_assert_no_error (call (link->connection, "Cancel", "(uint32 4294967295,)", -1));

  assert_engine_is_well (f, link);
}

static void
a_picture_that_never_came_whole_is_not_run (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink) link = fixture_link (f);

  g_assert_no_error (call (link->connection, "Put", "(uint32 900, 'init', (uint32 4, uint32 4, uint32 3), uint64 0, [byte 0, 0, 0, 0], @ah [])", -1));
  assert_refused (link, "Run", "(uint32 900, 'test-sleep', @a{sv} {})", -1, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS);
  assert_refused (link, "Put", "(uint32 900, 'init', (uint32 4, uint32 4, uint32 3), uint64 8, [byte 0], @ah [])", -1, FB_ENGINE_ERROR,
                  FB_ENGINE_ERROR_PIXELS);
}

static void
a_client_cannot_fill_the_queue (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink) link  = fixture_link (f);
  GError           *error = NULL;

  for (int i = 0; i < 64; i++)
    {
      g_autofree char     *text = g_strdup_printf ("(uint32 %d, 'test-sleep', {'seconds': <50.0>})", 1000 + i);
      g_autoptr(GVariant)  run  = g_variant_parse (NULL, text, NULL, NULL, NULL);

      g_dbus_connection_call (link->connection, NULL, FB_ENGINE_OBJECT_PATH, FB_ENGINE_INTERFACE, "Run", run, NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL,
                              NULL, NULL);
    }
  assert_refused (link, "Run", "(uint32 1000, 'test-sleep', @a{sv} {})", -1, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PROTOCOL);
  assert_refused (link, "Run", "(uint32 2000, 'test-sleep', @a{sv} {})", -1, FB_ENGINE_ERROR, FB_ENGINE_ERROR_BUSY);
  for (int i = 0; i < 64 && error == NULL; i++)
    {
      g_autofree char *text = g_strdup_printf ("(uint32 %d,)", 1000 + i);

      error = call (link->connection, "Cancel", text, -1);
    }
  g_assert_no_error (error);
  assert_engine_is_well (f, link);
}

/* --- raw bytes -------------------------------------------------------------------------------------------------------- */

static int
connect_raw (Fixture *f)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int                fd      = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, f->socket, sizeof address.sun_path);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  return fd;
}

static void
nothing_works_before_hello (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink)          link       = fixture_link (f);
  g_autofree char           *address    = g_strdup_printf ("unix:path=%s", f->socket);
  g_autoptr(GError)          error      = NULL;
  g_autoptr(GDBusConnection) connection = g_dbus_connection_new_for_address_sync (address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL,
                                                                                  &error);

  g_assert_no_error (error);
  error = call (connection, "Run", "(uint32 1, 'test-sleep', @a{sv} {})", -1);
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PROTOCOL);
  g_clear_error (&error);
  error = call (connection, "Leave", "()", -1);
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PROTOCOL);
  g_clear_error (&error);
  error = call (connection, "Hello", "(@a{sv} {}, @ah [])", -1);
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PROTOCOL);
}

static void
garbage_on_the_socket_harms_nobody (Fixture *f, gconstpointer data)
{
  static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
  g_autoptr(FbLink) link    = fixture_link (f);
  g_autoptr(GRand)  rand    = g_rand_new_with_seed (1);
  int               silent  = connect_raw (f);                    /* never says a word */
  char              noise[4096];

  for (int round = 0; round < 50; round++)
    {
      int fd = connect_raw (f);

      for (gsize i = 0; i < sizeof noise; i++)
        noise[i] = (char) g_rand_int (rand);
      if (round % 2 == 0)                                           /* half of them past the greeting */
        g_assert_cmpint (send (fd, hello, sizeof hello - 1, MSG_NOSIGNAL), >, 0);
      if (send (fd, noise, sizeof noise, MSG_NOSIGNAL) < 0)
        g_assert_true (errno == EPIPE || errno == ECONNRESET);
      close (fd);
    }
  assert_engine_is_well (f, link);
  close (silent);
}

static void
another_user_is_turned_away (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink) link = fixture_link (f);
  int               status;
  pid_t             child;

  if (geteuid () != 0)
    {
      g_test_skip ("only root can try to be another user");
      return;
    }
  g_assert_no_errno (g_chmod (f->folder, 0755));                     /* as if the folder and the socket protected nothing */
  g_assert_no_errno (g_chmod (f->socket, 0666));
  child = fork ();
  if (child == 0)
    {
      static const char  auth[] = "\0AUTH EXTERNAL 3635353334\r\n";
      struct sockaddr_un address = { .sun_family = AF_UNIX };
      char               answer[256] = "";
      int                fd = socket (AF_UNIX, SOCK_STREAM, 0);

      memcpy (address.sun_path, f->socket, strlen (f->socket) + 1);
      if (setgid (65534) < 0 || setuid (65534) < 0 || connect (fd, (struct sockaddr *) &address, sizeof address) < 0)
        _exit (2);
      if (send (fd, auth, sizeof auth - 1, MSG_NOSIGNAL) < 0 || recv (fd, answer, sizeof answer - 1, 0) < 0)
        _exit (3);
      _exit (strncmp (answer, "OK", 2) == 0 ? 1 : 0);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

/* --- slow clients ----------------------------------------------------------------------------------------------------- */

static long
resident_pages (guint32 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/statm", pid);
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return atol (strchr (text, ' '));
}

static void
a_client_that_stops_reading_costs_nothing (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink)       link   = fixture_link (f);
  g_autoptr(GSubprocess)  client = fixture_start_client ("{'n-steps': <4000>, 'seconds': <4.0>, 'previews': <true>, 'side': <128>}", NULL);
  g_autofree char        *pid    = fixture_read_line (client);
  g_autofree char        *begins = fixture_read_line (client);
  g_autofree char        *end    = NULL;
  long                    pages;

  g_subprocess_send_signal (client, SIGSTOP);
  g_usleep (200 * 1000);
  pages = resident_pages (link->pid);
  g_usleep (2000 * 1000);
  g_assert_cmpint (resident_pages (link->pid) - pages, <, 2000);    /* 8 MB; 2,000 previews of 196 kB would be 390 MB */
  g_subprocess_send_signal (client, SIGCONT);
  end = fixture_read_line (client);
  g_assert_cmpstr (end, ==, "done");
}

/* --- inline pixels ---------------------------------------------------------------------------------------------------- */

/* a forwarded socket, as ssh makes it: bytes get through, file descriptors and credentials don't */
typedef struct
{
  char    *near, *far;
  GThread *thread;
  gint     stop;
} Forward;

static gboolean
pump (int from, int to)
{
  char    buffer[65536];
  ssize_t n = recv (from, buffer, sizeof buffer, 0);

  for (ssize_t done = 0; n > 0 && done < n; )
    {
      ssize_t m = send (to, buffer + done, n - done, MSG_NOSIGNAL);

      if (m <= 0)
        return FALSE;
      done += m;
    }
  return n > 0;
}

static gpointer
forward_thread (gpointer user_data)
{
  Forward            *self    = user_data;
  struct sockaddr_un  address = { .sun_family = AF_UNIX };
  int                 server  = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct pollfd       fds[2];

  g_strlcpy (address.sun_path, self->near, sizeof address.sun_path);
  g_assert_no_errno (bind (server, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (server, 4));
  fds[0].fd = accept (server, NULL, NULL);
  fds[1].fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_strlcpy (address.sun_path, self->far, sizeof address.sun_path);
  g_assert_no_errno (connect (fds[1].fd, (struct sockaddr *) &address, sizeof address));
  fds[0].events = fds[1].events = POLLIN;
  while (!g_atomic_int_get (&self->stop))
    {
      if (poll (fds, 2, 50) <= 0)
        continue;
      if ((fds[0].revents != 0 && !pump (fds[0].fd, fds[1].fd)) || (fds[1].revents != 0 && !pump (fds[1].fd, fds[0].fd)))
        break;
    }
  close (fds[0].fd);
  close (fds[1].fd);
  close (server);
  return NULL;
}

/* a picture of 15 MB, in four pieces, there and back */
static void
assert_roundtrip (FbEngineClient *client)
{
  g_autoptr(FbImage) image = fb_image_new (1280, 1024, 3);
  g_autoptr(FbJob)   job   = fb_job_new (client, "test-sleep", g_variant_new_parsed ("{'previews': <true>, 'side': <700>, 'seconds': <0.3>}"));
  g_autoptr(GError)  error = NULL;

  for (int i = 0; i < 1280 * 1024 * 3; i++)
    image->pixels[i] = (float) i;
  fb_job_add_picture (job, "init", image);
  g_assert_true (fb_job_run (job, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (fb_job_get_picture (job, 0)->pixels, fb_image_n_bytes (image), image->pixels, fb_image_n_bytes (image));
}

static void
pixels_travel_inline_when_asked (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink) link = NULL;

  g_setenv ("FLASHBRUSH_INLINE", "1", TRUE);
  link = fixture_link (f);
  g_assert_false (link->with_fds);
  assert_roundtrip (f->client);
  g_unsetenv ("FLASHBRUSH_INLINE");
}

static void
a_forwarded_socket_is_recognised (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink)         local   = fixture_link (f);
  g_autoptr(FbEngineClient) client  = fb_engine_client_new ();
  g_autofree char          *near    = g_build_filename (f->folder, "near", NULL);
  Forward                   forward = { near, f->socket };
  FbEngineClient           *first   = f->client;
  FbLink                   *link;

  forward.thread = g_thread_new ("forward", forward_thread, &forward);
  while (!g_file_test (near, G_FILE_TEST_EXISTS))
    g_usleep (1000);
  g_setenv ("FLASHBRUSH_REMOTE", near, TRUE);
  f->client = client;
  link      = fixture_link (f);
  g_assert_true (local->with_fds);
  g_assert_false (link->with_fds);
  g_assert_cmpuint (link->pid, ==, local->pid);
  assert_roundtrip (client);
  f->client = first;
  fb_link_unref (link);
  g_unsetenv ("FLASHBRUSH_REMOTE");
  g_atomic_int_set (&forward.stop, TRUE);
  g_thread_join (forward.thread);
}

static void
a_forward_that_leads_nowhere_starts_nothing (Fixture *f, gconstpointer data)
{
  g_autofree char   *near  = g_build_filename (f->folder, "near", NULL);
  g_autoptr(FbJob)   job   = fixture_job (f, "{}");
  g_autoptr(GError)  error = NULL;

  g_setenv ("FLASHBRUSH_REMOTE", near, TRUE);
  g_assert_false (fb_job_run (job, NULL, NULL, NULL, &error));
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_ENGINE);
  g_assert_nonnull (strstr (error->message, near));
  g_assert_false (g_file_test (near, G_FILE_TEST_EXISTS));
  g_unsetenv ("FLASHBRUSH_REMOTE");
}

/* --- questions -------------------------------------------------------------------------------------------------------- */

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static GAsyncResult *
wait_answer (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return *result;
}

static void
questions_are_answered_while_a_job_runs (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)        job      = fixture_job (f, "{'seconds': <30.0>, 'n-steps': <100>, 'model': <'a'>, 'bytes': <5e6>}");
  g_autoptr(GAsyncResult) first    = NULL;
  g_autoptr(GAsyncResult) second   = NULL;
  g_autoptr(GAsyncResult) third    = NULL;
  g_autoptr(GError)       error    = NULL;
  g_autoptr(GVariant)     answer   = NULL;
  g_autoptr(GVariant)     loaded   = NULL;
  g_autofree char        *text     = NULL;
  g_autofree const char **kinds    = NULL;
  FbJobEstimate           estimate = { 0 };
  gint64                  start;

  fixture_begin (job);
  start = g_get_monotonic_time ();
  fb_engine_client_estimate_async (f->client, "test-sleep", g_variant_new_parsed ("{'peak': <7e6>, 'seconds': <3.0>}"), NULL, on_answer, &first);
  g_assert_true (fb_engine_client_estimate_finish (f->client, wait_answer (&first), &estimate, &error));
  g_assert_cmpuint (estimate.peak_bytes, ==, 7000000);
  g_assert_cmpfloat (estimate.seconds, ==, 3.0);
  g_assert_cmpuint (estimate.available_bytes, >, 0);

  fb_engine_client_get_capabilities_async (f->client, NULL, on_answer, &second);
  answer = fb_engine_client_get_capabilities_finish (f->client, wait_answer (&second), &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_lookup (answer, "kinds", "^a&s", &kinds));
  g_assert_cmpstr (kinds[0], ==, "test-sleep");

  fb_engine_client_list_loaded_async (f->client, NULL, on_answer, &third);
  loaded = fb_engine_client_list_loaded_finish (f->client, wait_answer (&third), &error);
  g_assert_no_error (error);
  text = g_variant_print (loaded, FALSE);
  g_assert_nonnull (strstr (text, "'path': <'a'>"));
  g_assert_nonnull (strstr (text, "'bytes': <uint64 5000000>"));
  g_assert_cmpint (g_get_monotonic_time () - start, <, 2 * G_USEC_PER_SEC);
  fb_job_cancel (job);
  fixture_wait (job, 5.0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  fixture_test ("/core/engine/wire/hostile-messages-are-refused-one-by-one", NULL, hostile_messages_are_refused_one_by_one);
  fixture_test ("/core/engine/wire/a-picture-that-never-came-whole-is-not-run", NULL, a_picture_that_never_came_whole_is_not_run);
  fixture_test ("/core/engine/wire/a-client-cannot-fill-the-queue", NULL, a_client_cannot_fill_the_queue);
  fixture_test ("/core/engine/wire/nothing-works-before-hello", NULL, nothing_works_before_hello);
  fixture_test ("/core/engine/wire/garbage-on-the-socket-harms-nobody", NULL, garbage_on_the_socket_harms_nobody);
  fixture_test ("/core/engine/wire/another-user-is-turned-away", NULL, another_user_is_turned_away);
  fixture_test ("/core/engine/wire/a-client-that-stops-reading-costs-nothing", NULL, a_client_that_stops_reading_costs_nothing);
  fixture_test ("/core/engine/wire/pixels-travel-inline-when-asked", NULL, pixels_travel_inline_when_asked);
  fixture_test ("/core/engine/wire/a-forwarded-socket-is-recognised", NULL, a_forwarded_socket_is_recognised);
  fixture_test ("/core/engine/wire/a-forward-that-leads-nowhere-starts-nothing", NULL, a_forward_that_leads_nowhere_starts_nothing);
  fixture_test ("/core/engine/wire/questions-are-answered-while-a-job-runs", NULL, questions_are_answered_while_a_job_runs);
  return g_test_run ();
}
