/* tests/core/engine/fixture.c: a private engine for each test. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/engine/fixture.h"

#include <gio/gunixinputstream.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/image/png.h"

static char *
in_folder (Fixture *f, const char *variable, const char *name)
{
  char *path = g_build_filename (f->folder, name, NULL);

  g_assert_no_errno (g_mkdir_with_parents (path, 0700));
  g_setenv (variable, path, TRUE);
  return path;
}

/* Where the sanitizers are built in, the engine's findings go to a file, because its standard error leads nowhere; and freed memory
 * isn't kept for long, because some tests measure what is left. */
static void
set_sanitizer_options (Fixture *f)
{
  static char     *given   = NULL;
  g_autofree char *options = NULL;

  if (given == NULL)
    given = g_strdup (g_getenv ("ASAN_OPTIONS") != NULL ? g_getenv ("ASAN_OPTIONS") : "");
  options = g_strdup_printf ("%s:quarantine_size_mb=4:log_path=%s/findings", given, f->folder);
  g_setenv ("ASAN_OPTIONS", options, TRUE);
}

static void
assert_no_findings (Fixture *f)
{
  g_autoptr(GDir)  dir = g_dir_open (f->folder, 0, NULL);
  const char      *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, "findings"))
      {
        g_autofree char *path = g_build_filename (f->folder, name, NULL);
        g_autofree char *text = NULL;

        g_file_get_contents (path, &text, NULL, NULL);
        g_error ("the engine's sanitizer found:\n%s", text);
      }
}

void
fixture_set_up (Fixture *f, gconstpointer settings)
{
  g_autofree char *config = NULL, *state = NULL, *cache = NULL, *data = NULL, *ours = NULL, *file = NULL;

  alarm (60);
  f->folder = g_dir_make_tmp ("fb-XXXXXX", NULL);
  f->socket = g_build_filename (f->folder, "s", NULL);
  f->client = fb_engine_client_new ();
  g_setenv ("FLASHBRUSH_SOCKET", f->socket, TRUE);
  g_unsetenv ("FLASHBRUSH_REMOTE");
  g_unsetenv ("FLASHBRUSH_INLINE");
  set_sanitizer_options (f);

  config = in_folder (f, "XDG_CONFIG_HOME", "config");
  state  = in_folder (f, "XDG_STATE_HOME", "state");
  cache  = in_folder (f, "XDG_CACHE_HOME", "cache");
  data   = in_folder (f, "XDG_DATA_HOME", "data");
  ours   = g_build_filename (config, "flashbrush", NULL);
  file   = g_build_filename (ours, "engine.conf", NULL);
  g_assert_no_errno (g_mkdir (ours, 0700));
  if (settings != NULL)
    g_assert_true (g_file_set_contents (file, settings, -1, NULL));
}

static void
remove_folder (const char *path)
{
  g_autoptr(GDir)  dir = g_dir_open (path, 0, NULL);
  const char      *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (g_file_test (child, G_FILE_TEST_IS_DIR) && !g_file_test (child, G_FILE_TEST_IS_SYMLINK))
        remove_folder (child);
      else
        g_unlink (child);
    }
  g_rmdir (path);
}

/* an engine that leaves of its own accord gives up its socket first, its lock a moment later */
static void
assert_goes (const char *path)
{
  for (int n_naps = 0; g_file_test (path, G_FILE_TEST_EXISTS) && n_naps < 1000; n_naps++)
    g_usleep (2000);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

void
fixture_tear_down (Fixture *f, gconstpointer settings)
{
  g_autofree char *lock = g_strconcat (f->socket, ".lock", NULL);

  if (g_file_test (f->socket, G_FILE_TEST_EXISTS))
    {
      g_autoptr(FbLink) link = fixture_link (f);

      kill ((pid_t) link->pid, SIGTERM);
      process_wait_end (link->pid, 10.0);
    }
  g_assert_false (g_file_test (f->socket, G_FILE_TEST_EXISTS));
  assert_goes (lock);
  assert_no_findings (f);

  g_clear_object (&f->client);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  remove_folder (f->folder);
  g_free (f->folder);
  g_free (f->socket);
  alarm (0);
}

FbJob *
fixture_job (Fixture *f, const char *request)
{
  g_autoptr(GError) error = NULL;
  GVariant         *dict  = g_variant_parse (G_VARIANT_TYPE_VARDICT, request, NULL, NULL, &error);
  FbJob            *job;

  g_assert_no_error (error);
  job = fb_job_new (f->client, "test-sleep", dict);
  g_variant_unref (dict);
  return job;
}

static gboolean
on_late (gpointer seconds)
{
  g_error ("a job did not finish within %g seconds", *(double *) seconds);
  return G_SOURCE_REMOVE;
}

void
fixture_wait (FbJob *job, double seconds)
{
  guint late = g_timeout_add ((guint) (seconds * 1000.0), on_late, &seconds);

  while (!fb_job_is_finished (job))
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (late);
}

static void
note_step (FbJob *job, const FbJobProgress *progress, gboolean *begun)
{
  *begun = *begun || g_str_equal (progress->stage, "step");
}

void
fixture_begin (FbJob *job)
{
  gboolean begun   = FALSE;
  gulong   handler = g_signal_connect (job, "progress", G_CALLBACK (note_step), &begun);

  fb_job_start (job);
  while (!begun && !fb_job_is_finished (job))
    g_main_context_iteration (NULL, TRUE);
  g_signal_handler_disconnect (job, handler);
  g_assert_true (begun);
}

static void
on_link (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(GError) error = NULL;

  *(FbLink **) user_data = fb_engine_client_get_link_finish (FB_ENGINE_CLIENT (source), result, &error);
  g_assert_no_error (error);
}

FbLink *
fixture_link (Fixture *f)
{
  FbLink *link = NULL;

  fb_engine_client_get_link_async (f->client, NULL, on_link, &link);
  while (link == NULL)
    g_main_context_iteration (NULL, TRUE);
  return link;
}

gboolean
process_runs (guint32 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/stat", pid);
  g_autofree char *text = NULL;
  const char      *state;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  state = strrchr (text, ')');
  return state != NULL && state[2] != 'Z' && state[2] != 'X';
}

/* (transfer full): what each thread of the process is at, a line each: its name, its state, where in the kernel it waits */
static char *
describe_threads (guint32 pid)
{
  g_autofree char *tasks = g_strdup_printf ("/proc/%u/task", pid);
  g_autoptr(GDir)  dir   = g_dir_open (tasks, 0, NULL);
  GString         *text  = g_string_new (NULL);
  const char      *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *stat_path  = g_build_filename (tasks, name, "stat", NULL);
      g_autofree char *wchan_path = g_build_filename (tasks, name, "wchan", NULL);
      g_autofree char *stat       = NULL;
      g_autofree char *wchan      = NULL;

      if (g_file_get_contents (stat_path, &stat, NULL, NULL) && strchr (stat, ')') != NULL)
        g_string_append_printf (text, "\n  %.*s", (int) (strrchr (stat, ')') + 3 - stat), stat);
      if (g_file_get_contents (wchan_path, &wchan, NULL, NULL))
        g_string_append_printf (text, " in %s", wchan);
    }
  return g_string_free (text, FALSE);
}

/* The limit counts our own naps, not the clock: where the whole machine stands still for a while, the process can't have ended, either. */
void
process_wait_end (guint32 pid, double seconds)
{
  const int nap = 2000;                                   /* microseconds */

  for (int n_naps = 0; process_runs (pid); g_usleep (nap))
    if (n_naps++ > seconds * 1e6 / nap)
      {
        g_autofree char *threads = describe_threads (pid);

        g_error ("process %u did not end within %g seconds:%s", pid, seconds, threads);
      }
}

GSubprocess *
fixture_start_client (const char *request, const char * const *environment)
{
  g_autoptr(GSubprocessLauncher)  launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE);
  g_autoptr(GError)               error    = NULL;
  GSubprocess                    *client;

  for (int i = 0; environment != NULL && environment[i] != NULL; i += 2)
    if (*environment[i + 1] != '\0')
      g_subprocess_launcher_setenv (launcher, environment[i], environment[i + 1], TRUE);
    else
      g_subprocess_launcher_unsetenv (launcher, environment[i]);
  client = g_subprocess_launcher_spawn (launcher, &error, g_getenv ("FB_TEST_CLIENT"), request, NULL);
  g_assert_no_error (error);
  return client;
}

char *
fixture_read_line (GSubprocess *client)
{
  int      fd   = g_unix_input_stream_get_fd (G_UNIX_INPUT_STREAM (g_subprocess_get_stdout_pipe (client)));
  GString *line = g_string_new (NULL);
  char     c;

  for (;;)
    {
      struct pollfd waiting = { fd, POLLIN, 0 };

      if (poll (&waiting, 1, 20000) != 1)
        g_error ("a client said nothing for 20 seconds");
      if (read (fd, &c, 1) != 1 || c == '\n')
        return g_string_free (line, FALSE);
      g_string_append_c (line, c);
    }
}

char *
fixture_save_png (Fixture *f, const char *name, FbImage *image)
{
  char              *path  = g_build_filename (f->folder, name, NULL);
  g_autoptr(FbImage) owned = image;
  g_autoptr(GError)  error = NULL;

  g_assert_true (fb_image_save_png (owned, path, &error));
  return path;
}

char *
fixture_command (const char *name, int status, const char * const *arguments)
{
  g_autoptr(GPtrArray)   argv  = g_ptr_array_new ();
  g_autoptr(GSubprocess) child = NULL;
  g_autoptr(GError)      error = NULL;
  char                  *err   = NULL;

  g_ptr_array_add (argv, (gpointer) g_getenv ("FLASHBRUSH_ENGINE"));
  g_ptr_array_add (argv, (gpointer) name);
  for (gsize i = 0; i == 0 || arguments[i - 1] != NULL; i++)
    g_ptr_array_add (argv, (gpointer) arguments[i]);
  child = g_subprocess_newv ((const char * const *) argv->pdata, G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &error);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8 (child, NULL, NULL, NULL, &err, &error);
  g_assert_no_error (error);
  if (g_subprocess_get_exit_status (child) != status)
    g_error ("exit status %d: %s", g_subprocess_get_exit_status (child), err);
  return err;
}
