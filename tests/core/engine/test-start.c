/* tests/core/engine/test-start.c: how clients and engines find, replace and leave each other. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/engine/fixture.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static FbLinkLimits usual_limits;

/* runs an empty job; (transfer full): its error, or NULL */
static GError *
try_job (Fixture *f, const char *request)
{
  g_autoptr(FbJob)  job   = fixture_job (f, request);
  GError           *error = NULL;

  fb_job_run (job, NULL, NULL, NULL, &error);
  return error;
}

static void
assert_works (Fixture *f)
{
  g_autoptr(GError) error = try_job (f, "{}");

  g_assert_no_error (error);
}

static char *
write_script (Fixture *f, const char *text)
{
  char *path = g_build_filename (f->folder, "script", NULL);

  g_assert_true (g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
  g_setenv ("FLASHBRUSH_ENGINE", path, TRUE);
  return path;
}

/* --- one engine ------------------------------------------------------------------------------------------------------- */

static void
eight_clients_at_once_start_one_engine (Fixture *f, gconstpointer data)
{
  GSubprocess *clients[8];
  char        *pids[8];

  for (int i = 0; i < 8; i++)
    clients[i] = fixture_start_client ("{}", NULL);
  for (int i = 0; i < 8; i++)
    {
      g_autofree char *begins = NULL;
      g_autofree char *end    = NULL;

      pids[i] = fixture_read_line (clients[i]);
      g_assert_cmpint (atoi (pids[i]), >, 1);
      g_assert_cmpstr (pids[i], ==, pids[0]);
      begins = fixture_read_line (clients[i]);
      end    = fixture_read_line (clients[i]);
      g_assert_cmpstr (begins, ==, "begins");
      g_assert_cmpstr (end, ==, "done");
    }
  for (int i = 0; i < 8; i++)
    {
      g_object_unref (clients[i]);
      g_free (pids[i]);
    }
}

static void
a_stale_socket_is_replaced (Fixture *f, gconstpointer data)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int                fd      = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, f->socket, sizeof address.sun_path);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  close (fd);                                             /* nobody listens; the file stays */
  assert_works (f);
}

static void
socket_and_folder_are_the_users_alone (Fixture *f, gconstpointer data)
{
  g_autofree char        *cache         = g_build_filename (f->folder, "cache", NULL);
  g_autofree char        *folder        = g_build_filename (cache, "flashbrush", "run", NULL);
  g_autofree char        *socket        = g_build_filename (folder, "engine.socket", NULL);
  const char             *environment[] = { "FLASHBRUSH_SOCKET", "", "XDG_RUNTIME_DIR", "", "XDG_CACHE_HOME", cache, NULL };
  g_autoptr(GSubprocess)  client        = fixture_start_client ("{'seconds': <0.5>}", environment);
  g_autofree char        *pid           = fixture_read_line (client);
  struct stat             st;

  g_assert_cmpint (atoi (pid), >, 1);                     /* without XDG_RUNTIME_DIR it works, too */
  g_assert_no_errno (g_stat (socket, &st));
  g_assert_cmphex (st.st_mode & 0777, ==, 0600);
  g_assert_no_errno (g_stat (folder, &st));
  g_assert_cmphex (st.st_mode & 0777, ==, 0700);
  g_assert_true (g_subprocess_wait (client, NULL, NULL));  /* else it might start another engine */
  kill (atoi (pid), SIGTERM);
  process_wait_end (atoi (pid), 5.0);
  g_assert_false (g_file_test (socket, G_FILE_TEST_EXISTS));
}

static void
a_runtime_folder_is_preferred (Fixture *f, gconstpointer data)
{
  g_autofree char        *socket        = g_build_filename (f->folder, "flashbrush", "engine.socket", NULL);
  const char             *environment[] = { "FLASHBRUSH_SOCKET", "", "XDG_RUNTIME_DIR", f->folder, NULL };
  g_autoptr(GSubprocess)  client        = fixture_start_client ("{}", environment);
  g_autofree char        *pid           = fixture_read_line (client);

  g_assert_cmpint (atoi (pid), >, 1);
  g_assert_true (g_file_test (socket, G_FILE_TEST_EXISTS));
  kill (atoi (pid), SIGTERM);
  process_wait_end (atoi (pid), 5.0);
}

static void
no_folder_for_the_socket_is_one_clear_error (Fixture *f, gconstpointer data)
{
  g_autofree char        *file          = g_build_filename (f->folder, "file", NULL);
  const char             *environment[] = { "FLASHBRUSH_SOCKET", "", "XDG_RUNTIME_DIR", file, "XDG_CACHE_HOME", file, NULL };
  g_autoptr(GSubprocess)  client        = NULL;
  g_autofree char        *line          = NULL;

  g_assert_true (g_file_set_contents (file, "", 0, NULL));  /* a file where a folder should be stops root, too; a read-only folder doesn't */
  client = fixture_start_client ("{}", environment);
  line   = fixture_read_line (client);
  g_assert_nonnull (strstr (line, "There is no folder for the engine's socket"));
  g_assert_nonnull (strstr (line, file));
}

/* --- engines that don't start ----------------------------------------------------------------------------------------- */

static void
assert_start_fails (Fixture *f, int code, const char *text)
{
  g_autoptr(GError) error = try_job (f, "{}");

  g_assert_error (error, FB_ENGINE_ERROR, code);
  if (strstr (error->message, text) == NULL)
    g_error ("“%s” is not in “%s”", text, error->message);
}

static void
a_missing_engine_is_named (Fixture *f, gconstpointer data)
{
  g_setenv ("FLASHBRUSH_ENGINE", "/nowhere/engine", TRUE);
  assert_start_fails (f, FB_ENGINE_ERROR_NO_ENGINE, "/nowhere/engine");
}

static void
an_engine_that_ends_at_once_is_an_error (Fixture *f, gconstpointer data)
{
  g_autofree char *script = write_script (f, "#!/bin/sh\nexit 1\n");

  assert_start_fails (f, FB_ENGINE_ERROR_NO_ENGINE, "ended while it started");
}

static void
an_engine_that_never_gets_ready_is_not_waited_for (Fixture *f, gconstpointer data)
{
  g_autofree char *script = write_script (f, "#!/bin/sh\nexec sleep 3\n");

  fb_link_limits.start = 0.5;
  assert_start_fails (f, FB_ENGINE_ERROR_TIMED_OUT, "did not get ready");
}

static void
a_wrong_setting_is_named (Fixture *f, gconstpointer data)
{
  assert_start_fails (f, FB_ENGINE_ERROR_NO_ENGINE, "threads: “many” is not possible");
}

static void
a_start_can_be_cancelled (Fixture *f, gconstpointer data)
{
  g_autofree char  *script = write_script (f, "#!/bin/sh\nexec sleep 3\n");
  g_autoptr(FbJob)  job    = fixture_job (f, "{}");
  gint64            start  = g_get_monotonic_time ();

  fb_job_start (job);
  while (g_get_monotonic_time () < start + 200 * 1000)
    g_main_context_iteration (NULL, FALSE);
  fb_job_cancel (job);
  fixture_wait (job, 1.0);
  g_assert_error (fb_job_get_error (job), G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* --- other builds ----------------------------------------------------------------------------------------------------- */

/* makes the engine that clients start from now on a copy of the test engine: another build, by its inode */
static void
use_copy (Fixture *f, const char *engine, const char *name)
{
  g_autofree char  *path  = g_build_filename (f->folder, name, NULL);
  g_autoptr(GFile)  from  = g_file_new_for_path (engine);
  g_autoptr(GFile)  to    = g_file_new_for_path (path);
  g_autoptr(GError) error = NULL;

  g_file_copy (from, to, G_FILE_COPY_NONE, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  g_setenv ("FLASHBRUSH_ENGINE", path, TRUE);
}

static void
an_idle_engine_of_another_build_is_replaced (Fixture *f, gconstpointer engine)
{
  g_autoptr(FbEngineClient) second = fb_engine_client_new ();
  g_autoptr(FbLink)         old    = fixture_link (f);
  g_autoptr(FbLink)         new    = NULL;
  FbEngineClient           *first  = f->client;

  use_copy (f, g_getenv ("FLASHBRUSH_ENGINE"), "copy");
  f->client = second;
  new       = fixture_link (f);
  f->client = first;
  g_assert_cmpuint (new->pid, !=, old->pid);
  process_wait_end (old->pid, 3.0);
  assert_works (f);                                       /* the first client finds the new one */
}

static void
a_busy_engine_of_another_build_is_waited_for (Fixture *f, gconstpointer engine)
{
  g_autoptr(GSubprocess)  other  = fixture_start_client ("{'seconds': <2.0>}", NULL);
  g_autofree char        *pid    = fixture_read_line (other);
  g_autofree char        *begins = fixture_read_line (other);
  g_autofree char        *end    = NULL;
  g_autoptr(GError)       error  = NULL;

  use_copy (f, g_getenv ("FLASHBRUSH_ENGINE"), "copy");
  fb_link_limits.leave = 0.3;
  error = try_job (f, "{}");
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_BUSY);
  g_assert_nonnull (strstr (error->message, "1 job"));    /* who is in the way, and how much is left */
  g_assert_nonnull (strstr (error->message, pid));
  g_clear_error (&error);

  fb_link_limits.leave = 10.0;
  assert_works (f);                                       /* waits until the other client's job is done */
  end = fixture_read_line (other);
  g_assert_cmpstr (end, ==, "done");                      /* nothing of it was lost */
  process_wait_end (atoi (pid), 3.0);
}

/* --- leaving ---------------------------------------------------------------------------------------------------------- */

static void
an_idle_engine_leaves_and_is_started_again (Fixture *f, gconstpointer settings)
{
  g_autoptr(FbLink) link = fixture_link (f);

  assert_works (f);
  process_wait_end (link->pid, 3.0);
  g_assert_false (g_file_test (f->socket, G_FILE_TEST_EXISTS));
  assert_works (f);
}

static void
an_engine_with_a_job_is_not_idle (Fixture *f, gconstpointer settings)
{
  g_autoptr(GError) error = try_job (f, "{'seconds': <1.5>, 'n-steps': <1>}");

  g_assert_no_error (error);
}

static gboolean
terminate (gpointer pid)
{
  kill (GPOINTER_TO_INT (pid), SIGTERM);
  return G_SOURCE_REMOVE;
}

static void
sigterm_ends_jobs_and_removes_the_socket (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink) link = fixture_link (f);
  g_autoptr(FbJob)  job  = fixture_job (f, "{'seconds': <30.0>}");

  fb_job_start (job);
  g_timeout_add (200, terminate, GINT_TO_POINTER (link->pid));
  fixture_wait (job, 5.0);
  g_assert_nonnull (fb_job_get_error (job));
  process_wait_end (link->pid, 3.0);
  g_assert_false (g_file_test (f->socket, G_FILE_TEST_EXISTS));
}

static void
a_frozen_engine_is_given_up (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink) link = fixture_link (f);
  g_autoptr(FbJob)  job  = fixture_job (f, "{'seconds': <30.0>}");

  fb_link_limits.beat = 0.3;
  fb_job_start (job);
  kill ((pid_t) link->pid, SIGSTOP);
  fixture_wait (job, 5.0);
  g_assert_error (fb_job_get_error (job), FB_ENGINE_ERROR, FB_ENGINE_ERROR_TIMED_OUT);
  kill ((pid_t) link->pid, SIGCONT);
}

static void
the_log_says_when_jobs_start_and_end (Fixture *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (f->folder, "state", "flashbrush", "engine.log", NULL);
  g_autofree char *text = NULL;

  assert_works (f);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_nonnull (strstr (text, "job of kind test-sleep starts"));
  g_assert_nonnull (strstr (text, "job of kind test-sleep ends"));
}

static void
a_log_that_cannot_be_written_is_no_error (Fixture *f, gconstpointer data)
{
  g_autofree char *file = g_build_filename (f->folder, "file", NULL);

  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  g_setenv ("XDG_STATE_HOME", file, TRUE);
  assert_works (f);
}

static void
set_up (Fixture *f, gconstpointer settings)
{
  fixture_set_up (f, settings);
  g_object_set_data_full (G_OBJECT (f->client), "engine", g_strdup (g_getenv ("FLASHBRUSH_ENGINE")), g_free);
}

static void
tear_down (Fixture *f, gconstpointer settings)
{
  g_autofree char *engine = g_strdup (g_object_get_data (G_OBJECT (f->client), "engine"));

  fb_link_limits = usual_limits;
  fixture_tear_down (f, settings);
  g_setenv ("FLASHBRUSH_ENGINE", engine, TRUE);
}

#define test(name, settings, func) g_test_add ("/core/engine/start/" name, Fixture, settings, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  usual_limits = fb_link_limits;
  test ("eight-clients-at-once-start-one-engine", NULL, eight_clients_at_once_start_one_engine);
  test ("a-stale-socket-is-replaced", NULL, a_stale_socket_is_replaced);
  test ("socket-and-folder-are-the-users-alone", NULL, socket_and_folder_are_the_users_alone);
  test ("a-runtime-folder-is-preferred", NULL, a_runtime_folder_is_preferred);
  test ("no-folder-for-the-socket-is-one-clear-error", NULL, no_folder_for_the_socket_is_one_clear_error);
  test ("a-missing-engine-is-named", NULL, a_missing_engine_is_named);
  test ("an-engine-that-ends-at-once-is-an-error", NULL, an_engine_that_ends_at_once_is_an_error);
  test ("an-engine-that-never-gets-ready-is-not-waited-for", NULL, an_engine_that_never_gets_ready_is_not_waited_for);
  test ("a-wrong-setting-is-named", "[engine]\nthreads=many\n", a_wrong_setting_is_named);
  test ("a-start-can-be-cancelled", NULL, a_start_can_be_cancelled);
  test ("an-idle-engine-of-another-build-is-replaced", NULL, an_idle_engine_of_another_build_is_replaced);
  test ("a-busy-engine-of-another-build-is-waited-for", NULL, a_busy_engine_of_another_build_is_waited_for);
  test ("an-idle-engine-leaves-and-is-started-again", "[engine]\nidle-seconds=0.4\n", an_idle_engine_leaves_and_is_started_again);
  test ("an-engine-with-a-job-is-not-idle", "[engine]\nidle-seconds=0.3\n", an_engine_with_a_job_is_not_idle);
  test ("sigterm-ends-jobs-and-removes-the-socket", NULL, sigterm_ends_jobs_and_removes_the_socket);
  test ("a-frozen-engine-is-given-up", NULL, a_frozen_engine_is_given_up);
  test ("the-log-says-when-jobs-start-and-end", NULL, the_log_says_when_jobs_start_and_end);
  test ("a-log-that-cannot-be-written-is-no-error", NULL, a_log_that_cannot_be_written_is_no_error);
  return g_test_run ();
}
