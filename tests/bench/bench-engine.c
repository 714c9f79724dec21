/* tests/bench/bench-engine.c: the engine's start, and how long a cancel takes. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * bench-engine [MODEL [CANCELS]]: the model is a name or a path; without one, the first there is. 200 cancels, as the bar asks; 0 leaves them out.
 */
#include "config.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/engine/client-private.h"
#include "tests/bench/figures.h"

#define N_STARTS 10

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

/* ends the client's engine, and waits until its socket is gone */
static void
end_engine (FbEngineClient *client, const char *socket)
{
  g_autoptr(GAsyncResult) answer = NULL;
  g_autoptr(FbLink)       link   = NULL;

  fb_engine_client_get_link_async (client, NULL, on_answer, &answer);
  while (answer == NULL)
    g_main_context_iteration (NULL, TRUE);
  link = fb_engine_client_get_link_finish (client, answer, NULL);
  if (link != NULL)
    kill ((pid_t) link->pid, SIGTERM);
  while (g_file_test (socket, G_FILE_TEST_EXISTS))
    g_usleep (1000);
  g_usleep (50 * 1000);
}

/* milliseconds from nothing to the answer of the first call */
static double
measure_start (const char *socket)
{
  g_autoptr(FbEngineClient) client = fb_engine_client_new ();
  g_autoptr(GAsyncResult)   result = NULL;
  g_autoptr(GVariant)       loaded = NULL;
  GError                   *error  = NULL;
  gint64                    start  = g_get_monotonic_time ();
  double                    ms;

  fb_engine_client_list_loaded_async (client, NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  ms     = (g_get_monotonic_time () - start) / 1e3;
  loaded = fb_engine_client_list_loaded_finish (client, result, &error);
  if (loaded == NULL)
    bench_die_on (error);
  end_engine (client, socket);
  return ms;
}

/* one step, so that the moments meet loading, text and decoding as often as the network */
static FbJob *
new_job (FbEngineClient *client, const char *model)
{
  return fb_job_new (client, "generate", g_variant_new_parsed ("{'model': <%s>, 'prompt': <'a red heart'>, 'n-steps': <1>}", model));
}

static gboolean
on_moment (gpointer moment)
{
  *(gint64 *) moment = g_get_monotonic_time ();
  return G_SOURCE_REMOVE;
}

/* seconds of a whole job, with loading if @cold */
static double
measure_job (FbEngineClient *client, const char *model, gboolean cold)
{
  g_autoptr(FbJob)  unload = fb_job_new (client, "unload", g_variant_new_parsed ("@a{sv} {}"));
  g_autoptr(FbJob)  job    = new_job (client, model);
  GError           *error  = NULL;
  gint64            start;

  if (cold && !fb_job_run (unload, NULL, NULL, NULL, &error))
    bench_die_on (error);
  start = g_get_monotonic_time ();
  if (!fb_job_run (job, NULL, NULL, NULL, &error))
    bench_die_on (error);
  return (g_get_monotonic_time () - start) / 1e6;
}

/* milliseconds from a cancel after @seconds to the end of the job; negative when the job was done before */
static double
measure_cancel (FbEngineClient *client, const char *model, double seconds)
{
  g_autoptr(FbJob) job     = new_job (client, model);
  gint64           moment  = 0;
  guint            timeout = g_timeout_add ((guint) (seconds * 1e3), on_moment, &moment);

  fb_job_start (job);
  while (moment == 0 && !fb_job_is_finished (job))
    g_main_context_iteration (NULL, TRUE);
  if (moment == 0)
    {
      g_source_remove (timeout);
      return -1.0;
    }
  fb_job_cancel (job);
  while (!fb_job_is_finished (job))
    g_main_context_iteration (NULL, TRUE);
  return g_error_matches (fb_job_get_error (job), G_IO_ERROR, G_IO_ERROR_CANCELLED) ? (g_get_monotonic_time () - moment) / 1e3 : -1.0;
}

/* every second job starts cold, so that loading is met as often as computing */
static void
bench_cancel (const char *socket, const char *model, int n)
{
  g_autoptr(FbEngineClient) client = fb_engine_client_new ();
  g_autoptr(GRand)          rand   = g_rand_new_with_seed (1);
  g_autofree double        *ms     = g_new (double, n);
  double                    cold   = measure_job (client, model, TRUE);
  double                    warm   = measure_job (client, model, FALSE);

  for (int i = 0; i < n; )
    {
      g_autoptr(FbJob) unload = fb_job_new (client, "unload", g_variant_new_parsed ("@a{sv} {}"));

      if (i % 2 == 0)
        fb_job_run (unload, NULL, NULL, NULL, NULL);
      ms[i] = measure_cancel (client, model, g_rand_double (rand) * (i % 2 == 0 ? cold : warm));
      if (ms[i] < 0.0)
        continue;
      i++;
      if (i % 10 == 0)                         /* a large model takes an hour, which may be cut short */
        printf ("%d of %d, 95th percentile so far %.1f ms\n", i, n, bench_percentile (ms, i, 0.95));
      fflush (stdout);
    }
  printf ("a job takes %.2f s, %.2f s with loading\n", warm, cold);
  printf ("cancel: median %.1f ms, longest of %d %.1f ms\n", bench_percentile (ms, n, 0.5), n, bench_percentile (ms, n, 1.0));
  printf ("BENCH cancel_ms_p95 %.1f ms\n", bench_percentile (ms, n, 0.95));
  end_engine (client, socket);
}

int
main (int argc, char **argv)
{
  g_autofree char *folder = g_dir_make_tmp ("fb-bench-XXXXXX", NULL);
  g_autofree char *socket = g_build_filename (folder, "s", NULL);
  int              n_cancels = argc > 2 ? atoi (argv[2]) : 200;
  double           ms[N_STARTS];

  g_setenv ("FLASHBRUSH_SOCKET", socket, TRUE);
  for (int i = 0; i < N_STARTS; i++)
    ms[i] = measure_start (socket);
  printf ("start to first reply: %.1f … %.1f ms\n", bench_percentile (ms, N_STARTS, 0.0001), bench_percentile (ms, N_STARTS, 1.0));
  printf ("BENCH engine_start_ms %.1f ms\n", (ms[N_STARTS / 2 - 1] + ms[N_STARTS / 2]) / 2.0);
  fflush (stdout);

  if (n_cancels > 0)
    bench_cancel (socket, argc > 1 ? argv[1] : "", n_cancels);
  g_rmdir (folder);
  return 0;
}
