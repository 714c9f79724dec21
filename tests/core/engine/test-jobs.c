/* tests/core/engine/test-jobs.c: jobs from submission to their end, whatever that is. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/engine/fixture.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static gboolean
run_job (FbJob *job, GError **error)
{
  return fb_job_run (job, NULL, NULL, NULL, error);
}

/* --- what a job gives ------------------------------------------------------------------------------------------------- */

typedef struct
{
  int      n_progress, n_previews, n_pictures, n_finished;
  double   fraction;
  gboolean in_order;
} Seen;

static void
on_progress (FbJob *job, const FbJobProgress *progress, Seen *seen)
{
  seen->n_progress++;
  seen->in_order = seen->in_order && progress->fraction >= seen->fraction && seen->n_finished == 0;
  seen->fraction = progress->fraction;
  if (progress->preview != NULL)
    {
      g_assert_cmpint (progress->preview->width, ==, 16);
      seen->n_previews++;
    }
}

static void
on_picture (FbJob *job, int index, Seen *seen)
{
  g_assert_cmpint (index, ==, seen->n_pictures);
  g_assert_cmpint (fb_job_get_n_pictures (job), ==, index + 1);
  g_assert_cmpfloat (fb_job_get_picture (job, index)->pixels[0], ==, index);
  seen->n_pictures++;
}

static void
on_finished (FbJob *job, Seen *seen)
{
  seen->n_finished++;
}

static Seen *
watch (FbJob *job)
{
  Seen *seen = g_new0 (Seen, 1);

  seen->in_order = TRUE;
  g_signal_connect (job, "progress", G_CALLBACK (on_progress), seen);
  g_signal_connect (job, "picture", G_CALLBACK (on_picture), seen);
  g_signal_connect (job, "finished", G_CALLBACK (on_finished), seen);
  return seen;
}

static void
signals_come_in_order (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)    job  = fixture_job (f, "{'count': <3>, 'side': <16>, 'seconds': <0.5>, 'previews': <true>}");
  g_autofree Seen    *seen = watch (job);
  g_autoptr(GVariant) metadata = NULL;

  fb_job_start (job);
  fixture_wait (job, 10.0);
  g_assert_no_error (fb_job_get_error (job));
  g_assert_cmpint (seen->n_pictures, ==, 3);
  g_assert_cmpint (seen->n_finished, ==, 1);
  g_assert_cmpint (seen->n_previews, >=, 6);
  g_assert_true (seen->in_order);
  g_assert_cmpint (fb_job_get_seed (job, 2), ==, 1002);

  metadata = fb_job_get_metadata (job, 2);
  {
    int number = -1, nice = -1;

    g_assert_true (g_variant_lookup (metadata, "picture-number", "i", &number));    /* the picture's own … */
    g_assert_true (g_variant_lookup (metadata, "nice", "i", &nice));                /* … and the job's */
    g_assert_cmpint (number, ==, 2);
    g_assert_cmpint (nice, ==, 10);
  }
}

static void
the_blocking_run_needs_no_main_loop (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)  job   = fixture_job (f, "{'count': <2>, 'seconds': <0.1>}");
  g_autoptr(GError) error = NULL;

  g_assert_true (run_job (job, &error));
  g_assert_no_error (error);
  g_assert_cmpint (fb_job_get_n_pictures (job), ==, 2);
  g_assert_cmpfloat (fb_job_get_picture (job, 1)->pixels[191], ==, 1.0f);
}

static void
an_input_picture_arrives_bit_for_bit (Fixture *f, gconstpointer data)
{
  g_autoptr(FbImage) image = fb_image_new (613, 257, 4);
  g_autoptr(FbJob)   job   = fixture_job (f, "{}");
  g_autoptr(GError)  error = NULL;

  for (int i = 0; i < 613 * 257 * 4; i++)
    image->pixels[i] = (float) i * 1e-6f;
  fb_job_add_picture (job, "init", image);
  g_assert_true (run_job (job, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (fb_job_get_picture (job, 0)->pixels, fb_image_n_bytes (image), image->pixels, fb_image_n_bytes (image));
}

/* --- a picture that is made on the way -------------------------------------------------------------------------------- */

typedef struct
{
  FbJob   *job;
  GThread *owner;
  int      n_steps, n_left, n_finished, n_freed;
  int      fails_at, cancels_at;       /* a step; 0 for none */
  gboolean in_thread;
} Maker;

static gboolean
maker_step (gpointer data, GError **error)
{
  Maker *maker = data;

  g_assert_true (g_thread_self () == maker->owner);
  maker->n_steps++;
  if (maker->n_steps == maker->cancels_at)
    fb_job_cancel (maker->job);
  if (maker->n_steps == maker->fails_at)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "out of paint");

  return maker->n_steps != maker->fails_at && --maker->n_left > 0;
}

static FbImage *
maker_finish (gpointer data, GError **error)
{
  Maker   *maker = data;
  FbImage *image = fb_image_new (7, 5, 3);

  maker->n_finished++;
  maker->in_thread = g_thread_self () != maker->owner;
  for (int i = 0; i < 7 * 5 * 3; i++)
    image->pixels[i] = (float) maker->n_steps;

  return image;
}

static void
maker_free (gpointer data)
{
  ((Maker *) data)->n_freed++;
}

static const FbJobSource maker_source = { maker_step, maker_finish, maker_free };

static void
a_picture_is_made_in_steps_and_finished_in_a_thread (Fixture *f, gconstpointer data)
{
  g_autoptr(FbImage) whole = fb_image_new (3, 3, 1);
  g_autoptr(FbJob)   job   = fixture_job (f, "{}");
  g_autoptr(GError)  error = NULL;
  Maker              maker = { job, g_thread_self (), .n_left = 4 };

  memset (whole->pixels, 0, fb_image_n_bytes (whole));
  fb_job_add_source (job, "init", &maker_source, &maker);
  fb_job_add_picture (job, "mask", whole);
  g_assert_cmpint (maker.n_steps, ==, 0);
  g_assert_true (run_job (job, &error));
  g_assert_no_error (error);
  g_assert_cmpint (maker.n_steps, ==, 4);
  g_assert_cmpint (maker.n_finished, ==, 1);
  g_assert_true (maker.in_thread);
  g_assert_cmpint (fb_job_get_picture (job, 0)->width, ==, 7);
  g_assert_cmpfloat (fb_job_get_picture (job, 0)->pixels[104], ==, 4.0f);
  g_clear_object (&job);
  g_assert_cmpint (maker.n_freed, ==, 1);
}

static gboolean
count_up (gpointer n)
{
  (*(int *) n)++;

  return G_SOURCE_CONTINUE;
}

/* a window's events come before the next step */
static void
the_main_loop_lives_on_between_the_steps (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob) job    = fixture_job (f, "{}");
  Maker            maker  = { job, g_thread_self (), .n_left = 50 };
  int              n_seen = 0;
  guint            others = g_idle_add_full (G_PRIORITY_DEFAULT_IDLE, count_up, &n_seen, NULL);

  fb_job_add_source (job, "init", &maker_source, &maker);
  fb_job_start (job);
  while (maker.n_steps == 0)
    g_main_context_iteration (NULL, TRUE);
  n_seen = 0;
  fixture_wait (job, 10.0);
  g_source_remove (others);
  g_assert_no_error (fb_job_get_error (job));
  g_assert_cmpint (n_seen, >=, 49);
}

static void
a_picture_that_cannot_be_made_ends_its_job (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)  job   = fixture_job (f, "{}");
  g_autoptr(GError) error = NULL;
  Maker             maker = { job, g_thread_self (), .n_left = 9, .fails_at = 3 };

  fb_job_add_source (job, "init", &maker_source, &maker);
  g_assert_false (run_job (job, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_assert_cmpint (maker.n_steps, ==, 3);
  g_assert_cmpint (maker.n_finished, ==, 0);
  g_clear_object (&job);
  g_assert_cmpint (maker.n_freed, ==, 1);
}

static void
a_cancel_ends_the_making (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)  job   = fixture_job (f, "{}");
  g_autoptr(GError) error = NULL;
  Maker             maker = { job, g_thread_self (), .n_left = 1000, .cancels_at = 2 };

  fb_job_add_source (job, "init", &maker_source, &maker);
  g_assert_false (run_job (job, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (maker.n_steps, ==, 2);
  g_assert_cmpint (maker.n_finished, ==, 0);
}

/* --- failures --------------------------------------------------------------------------------------------------------- */

static void
an_error_keeps_its_code_and_the_pictures (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)  job   = fixture_job (f, "{'count': <2>, 'fail': <true>}");
  g_autoptr(GError) error = NULL;

  g_assert_false (run_job (job, &error));
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST);
  g_assert_cmpstr (error->message, ==, "asked to fail");
  g_assert_cmpint (fb_job_get_n_pictures (job), ==, 2);
}

static void
an_unknown_kind_is_refused (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)  job   = fb_job_new (f->client, "paint", g_variant_new_parsed ("@a{sv} {}"));
  g_autoptr(GError) error = NULL;

  g_assert_false (run_job (job, &error));
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_UNKNOWN_KIND);
  g_assert_nonnull (strstr (error->message, "paint"));
}

static void
count_steps (FbJob *job, const FbJobProgress *progress, int *n)
{
  *n += g_str_equal (progress->stage, "step");
}

static void
a_job_too_large_is_refused_before_it_computes (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)  job     = fixture_job (f, "{'peak': <1e15>, 'seconds': <0.2>}");
  g_autoptr(GError) error   = NULL;
  int               n_steps = 0;

  g_signal_connect (job, "progress", G_CALLBACK (count_steps), &n_steps);
  fb_job_start (job);
  fixture_wait (job, 10.0);
  g_propagate_error (&error, g_error_copy (fb_job_get_error (job)));
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_MEMORY);
  g_assert_nonnull (strstr (error->message, "1.0\302\240PB"));
  g_assert_cmpint (n_steps, ==, 0);
}

static void
nan_pixels_are_refused (Fixture *f, gconstpointer data)
{
  g_autoptr(FbImage) image = fb_image_new (4, 4, 3);
  g_autoptr(FbJob)   job   = fixture_job (f, "{}");
  g_autoptr(GError)  error = NULL;

  memset (image->pixels, 0xff, fb_image_n_bytes (image));
  fb_job_add_picture (job, "init", image);
  g_assert_false (run_job (job, &error));
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_PIXELS);
}

/* for a thread: the moment a process has ended, whenever it started; so a machine's load counts only after that */
static gpointer
note_the_end_of (gpointer pid)
{
  gint64 now;

  process_wait_end (GPOINTER_TO_UINT (pid), 30.0);
  now = g_get_monotonic_time ();
  return g_memdup2 (&now, sizeof now);
}

static void
a_crash_is_noticed_within_a_second (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink)  link  = fixture_link (f);
  GThread           *guard = g_thread_new ("watch", note_the_end_of, GUINT_TO_POINTER (link->pid));
  g_autoptr(FbJob)   job   = fixture_job (f, "{'count': <2>, 'seconds': <0.8>, 'crash-at': <2>, 'crash-picture': <1>}");
  g_autoptr(FbJob)   next  = fixture_job (f, "{}");
  g_autoptr(GError)  error = NULL;
  g_autofree gint64 *end   = NULL;
  gint64             noticed;

  g_assert_false (run_job (job, &error));
  noticed = g_get_monotonic_time ();
  end     = g_thread_join (guard);
  g_assert_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_DIED);
  g_assert_cmpint (noticed - *end, <, G_USEC_PER_SEC);
  g_assert_cmpint (fb_job_get_n_pictures (job), ==, 1);             /* the first picture had arrived */
  g_clear_error (&error);

  g_assert_true (run_job (next, &error));                           /* a new engine */
  g_assert_no_error (error);
}

static gboolean
kill_engine (gpointer pid)
{
  kill (GPOINTER_TO_INT (pid), SIGKILL);
  return G_SOURCE_REMOVE;
}

static void
a_killed_engine_is_noticed_within_a_second (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink)  link  = fixture_link (f);
  g_autoptr(FbJob)   job   = fixture_job (f, "{'seconds': <30.0>}");
  GThread           *guard = g_thread_new ("watch", note_the_end_of, GUINT_TO_POINTER (link->pid));
  g_autofree gint64 *end   = NULL;
  g_autofree char   *lock  = g_strconcat (f->socket, ".lock", NULL);
  gint64             noticed;

  fb_job_start (job);
  g_timeout_add (300, kill_engine, GINT_TO_POINTER (link->pid));
  fixture_wait (job, 5.0);
  noticed = g_get_monotonic_time ();
  end     = g_thread_join (guard);
  g_assert_error (fb_job_get_error (job), FB_ENGINE_ERROR, FB_ENGINE_ERROR_DIED);
  g_assert_cmpint (noticed - *end, <, G_USEC_PER_SEC);
  g_assert_true (g_file_test (lock, G_FILE_TEST_EXISTS));           /* nobody could remove it: the tear-down starts over it */
}

/* --- cancel ----------------------------------------------------------------------------------------------------------- */

static gint64 cancelled_at;

static gboolean
cancel_job (gpointer job)
{
  cancelled_at = g_get_monotonic_time ();
  fb_job_cancel (job);
  return G_SOURCE_REMOVE;
}

/* within the next picture, which takes a second */
static void
cancel_soon (FbJob *job, int index, gpointer unused)
{
  if (index == 0)
    g_timeout_add (300, cancel_job, job);
}

static void
a_running_job_is_cancelled_at_once (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob) job = fixture_job (f, "{'count': <10>, 'seconds': <10.0>}");

  g_signal_connect (job, "picture", G_CALLBACK (cancel_soon), NULL);
  fb_job_start (job);
  fixture_wait (job, 5.0);
  g_assert_error (fb_job_get_error (job), G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (g_get_monotonic_time () - cancelled_at, <, 500 * 1000);
  g_assert_cmpint (fb_job_get_n_pictures (job), >=, 1);             /* finished pictures of the batch survive */
}

static void
a_cancel_before_the_engine_is_found_works (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob) job = fixture_job (f, "{'seconds': <30.0>}");

  fb_job_start (job);
  fb_job_cancel (job);
  g_assert_false (fb_job_is_finished (job));                        /* signals never come from inside the call */
  fixture_wait (job, 2.0);
  g_assert_error (fb_job_get_error (job), G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static gpointer
cancel_later (gpointer cancellable)
{
  g_usleep (300 * 1000);
  cancelled_at = g_get_monotonic_time ();
  g_cancellable_cancel (cancellable);
  return NULL;
}

static void
the_blocking_run_can_be_cancelled (Fixture *f, gconstpointer data)
{
  g_autoptr(FbJob)        job         = fixture_job (f, "{'seconds': <30.0>}");
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError)       error       = NULL;
  GThread                *thread      = g_thread_new ("cancel", cancel_later, cancellable);
  gint64                  ended;

  g_assert_false (fb_job_run (job, NULL, NULL, cancellable, &error));
  ended = g_get_monotonic_time ();
  g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (ended - cancelled_at, <, 500 * 1000);
}

static void
a_hung_job_ends_with_the_engine (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink)         link   = fixture_link (f);
  g_autoptr(FbEngineClient) second = fb_engine_client_new ();
  g_autoptr(FbJob)          job    = fixture_job (f, "{'seconds': <50.0>, 'hang': <true>}");
  g_autoptr(FbJob)          other  = fb_job_new (second, "test-sleep", g_variant_new_parsed ("@a{sv} {}"));
  g_autoptr(FbJob)          next   = fixture_job (f, "{}");

  fb_job_start (job);
  fb_job_start (other);
  g_timeout_add (300, cancel_job, job);
  fixture_wait (job, 5.0);
  fixture_wait (other, 5.0);
  g_assert_error (fb_job_get_error (job), FB_ENGINE_ERROR, FB_ENGINE_ERROR_HUNG);
  g_assert_error (fb_job_get_error (other), FB_ENGINE_ERROR, FB_ENGINE_ERROR_DIED);
  process_wait_end (link->pid, 3.0);

  fb_job_start (next);
  fixture_wait (next, 10.0);
  g_assert_no_error (fb_job_get_error (next));
}

/* --- several at once -------------------------------------------------------------------------------------------------- */

static void
note_end (FbJob *job, GString *order)
{
  g_string_append_c (order, *(const char *) g_object_get_data (G_OBJECT (job), "name"));
}

static FbJob *
start_named (FbEngineClient *client, const char *name, double seconds, GString *order)
{
  FbJob *job = fb_job_new (client, "test-sleep", g_variant_new_parsed ("{'seconds': <%d>}", seconds));

  g_object_set_data (G_OBJECT (job), "name", (gpointer) name);
  g_signal_connect (job, "finished", G_CALLBACK (note_end), order);
  fb_job_start (job);
  return job;
}

static void
note_queue (FbJob *job, const FbJobProgress *progress, int *n_ahead)
{
  if (strcmp (progress->stage, "queue") == 0)
    *n_ahead = MAX (*n_ahead, progress->step);
}

static void
jobs_of_two_clients_run_in_the_order_they_came (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink)         link   = fixture_link (f);
  g_autoptr(FbEngineClient) second = fb_engine_client_new ();
  g_autoptr(GString)        order  = g_string_new (NULL);
  int                       ahead  = 0;
  FbJob                    *jobs[5];

  jobs[0] = start_named (f->client, "a", 0.3, order);
  jobs[1] = start_named (f->client, "b", 0.1, order);
  jobs[2] = start_named (f->client, "c", 60.0, order);
  g_signal_connect (jobs[2], "progress", G_CALLBACK (note_queue), &ahead);
  while (ahead < 2)                                                 /* so that the other client comes later for certain */
    g_main_context_iteration (NULL, TRUE);
  jobs[3] = start_named (second, "d", 0.1, order);
  jobs[4] = start_named (f->client, "e", 0.0, order);
  g_timeout_add (100, cancel_job, jobs[2]);                         /* while it waits: its end comes at once, the others' order stays */
  for (int i = 0; i < 5; i++)
    {
      fixture_wait (jobs[i], 10.0);
      if (i == 2)
        g_assert_error (fb_job_get_error (jobs[i]), G_IO_ERROR, G_IO_ERROR_CANCELLED);
      else
        g_assert_no_error (fb_job_get_error (jobs[i]));
      g_object_unref (jobs[i]);
    }
  g_assert_true (g_str_equal (order->str, "cabde") || g_str_equal (order->str, "cabed"));
}

static void
a_client_that_dies_frees_the_engine (Fixture *f, gconstpointer data)
{
  g_autoptr(GSubprocess)  client = fixture_start_client ("{'seconds': <50.0>}", NULL);
  g_autofree char        *pid    = fixture_read_line (client);
  g_autofree char        *begins = fixture_read_line (client);
  g_autoptr(FbJob)        job    = fixture_job (f, "{}");
  g_autoptr(FbLink)       link   = fixture_link (f);
  gint64                  start  = g_get_monotonic_time ();

  g_assert_cmpstr (begins, ==, "begins");
  g_assert_cmpint (atoi (pid), ==, (int) link->pid);
  g_subprocess_force_exit (client);
  fb_job_start (job);
  fixture_wait (job, 5.0);
  g_assert_no_error (fb_job_get_error (job));
  g_assert_cmpint (g_get_monotonic_time () - start, <, 1000 * 1000);
}

/* --- memory ----------------------------------------------------------------------------------------------------------- */

static int
count_fds (guint32 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/fd", pid);
  g_autoptr(GDir)  dir  = g_dir_open (path, 0, NULL);
  int              n    = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* The engine closes what a job was sent a moment after it has said that the job is over. */
static void
assert_fds (guint32 pid, int most)
{
  for (int i = 0; i < 500 && count_fds (pid) > most; i++)
    g_usleep (10 * 1000);
  g_assert_cmpint (count_fds (pid), <=, most);
}

static long
resident_pages (guint32 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/statm", pid);
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return atol (strchr (text, ' '));
}

static void
run_many (Fixture *f, int n)
{
  for (int i = 0; i < n; i++)
    {
      g_autoptr(FbImage) image = fb_image_new (256, 256, 3);
      g_autoptr(FbJob)   job   = fixture_job (f, i % 4 == 3 ? "{'seconds': <60.0>, 'previews': <true>, 'side': <256>}"
                                                            : "{'count': <2>, 'side': <256>, 'previews': <true>}");
      memset (image->pixels, 0, fb_image_n_bytes (image));
      fb_job_add_picture (job, "init", image);
      fb_job_start (job);
      if (i % 4 == 3)
        g_timeout_add (5, cancel_job, job);
      fixture_wait (job, 5.0);
      if (i % 4 == 3)
        g_assert_error (fb_job_get_error (job), G_IO_ERROR, G_IO_ERROR_CANCELLED);
      else
        g_assert_no_error (fb_job_get_error (job));
    }
}

static void
two_hundred_jobs_leak_neither_memory_nor_descriptors (Fixture *f, gconstpointer data)
{
  g_autoptr(FbLink) link = fixture_link (f);
  int               engine_fds, client_fds;
  long              pages;

  run_many (f, 40);
  engine_fds = count_fds (link->pid);
  client_fds = count_fds ((guint32) getpid ());
  pages      = resident_pages (link->pid);
  run_many (f, 200);
  assert_fds (link->pid, engine_fds);
  assert_fds ((guint32) getpid (), client_fds + 1);
  g_assert_cmpint (resident_pages (link->pid) - pages, <, 4000);     /* 16 MB: 200 leaked pictures would be 150 MB */
}

static int
n_loads (FbJob *job)
{
  g_autoptr(GVariant) result = fb_job_get_result (job);
  int                 n      = -1;

  g_variant_lookup (result, "n-loads", "i", &n);
  return n;
}

static void
models_stay_until_the_budget_is_full (Fixture *f, gconstpointer data)
{
  static const struct { const char *request; int n_loads; } steps[] =
  {
    { "{'model': <'a'>, 'bytes': <40e6>}", 1 },
    { "{'model': <'a'>, 'bytes': <40e6>}", 1 },     /* no reloading */
    { "{'model': <'b'>, 'bytes': <40e6>}", 2 },
    { "{'model': <'a'>, 'bytes': <40e6>}", 2 },
    { "{'model': <'c'>, 'bytes': <40e6>}", 3 },     /* 120 MB of 100: b goes, a was used later */
    { "{'model': <'a'>, 'bytes': <40e6>}", 3 },
    { "{'model': <'b'>, 'bytes': <40e6>}", 4 },
    { "{'model': <'d'>, 'bytes': <200e6>}", 5 },    /* never fits: nothing else can stay, and it goes itself */
    { "{'model': <'d'>, 'bytes': <200e6>}", 6 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      g_autoptr(FbJob) job = fixture_job (f, steps[i].request);

      fb_job_start (job);
      fixture_wait (job, 5.0);
      g_assert_no_error (fb_job_get_error (job));
      g_assert_cmpint (n_loads (job), ==, steps[i].n_loads);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  fixture_test ("/core/engine/jobs/signals-come-in-order", NULL, signals_come_in_order);
  fixture_test ("/core/engine/jobs/the-blocking-run-needs-no-main-loop", NULL, the_blocking_run_needs_no_main_loop);
  fixture_test ("/core/engine/jobs/an-input-picture-arrives-bit-for-bit", NULL, an_input_picture_arrives_bit_for_bit);
  fixture_test ("/core/engine/jobs/a-picture-is-made-in-steps-and-finished-in-a-thread", NULL, a_picture_is_made_in_steps_and_finished_in_a_thread);
  fixture_test ("/core/engine/jobs/the-main-loop-lives-on-between-the-steps", NULL, the_main_loop_lives_on_between_the_steps);
  fixture_test ("/core/engine/jobs/a-picture-that-cannot-be-made-ends-its-job", NULL, a_picture_that_cannot_be_made_ends_its_job);
  fixture_test ("/core/engine/jobs/a-cancel-ends-the-making", NULL, a_cancel_ends_the_making);
  fixture_test ("/core/engine/jobs/an-error-keeps-its-code-and-the-pictures", NULL, an_error_keeps_its_code_and_the_pictures);
  fixture_test ("/core/engine/jobs/an-unknown-kind-is-refused", NULL, an_unknown_kind_is_refused);
  fixture_test ("/core/engine/jobs/a-job-too-large-is-refused-before-it-computes", NULL, a_job_too_large_is_refused_before_it_computes);
  fixture_test ("/core/engine/jobs/nan-pixels-are-refused", NULL, nan_pixels_are_refused);
  fixture_test ("/core/engine/jobs/a-crash-is-noticed-within-a-second", NULL, a_crash_is_noticed_within_a_second);
  fixture_test ("/core/engine/jobs/a-killed-engine-is-noticed-within-a-second", NULL, a_killed_engine_is_noticed_within_a_second);
  fixture_test ("/core/engine/jobs/a-running-job-is-cancelled-at-once", NULL, a_running_job_is_cancelled_at_once);
  fixture_test ("/core/engine/jobs/a-cancel-before-the-engine-is-found-works", NULL, a_cancel_before_the_engine_is_found_works);
  fixture_test ("/core/engine/jobs/the-blocking-run-can-be-cancelled", NULL, the_blocking_run_can_be_cancelled);
  fixture_test ("/core/engine/jobs/a-hung-job-ends-with-the-engine", "[engine]\nhang-seconds=0.5\n", a_hung_job_ends_with_the_engine);
  fixture_test ("/core/engine/jobs/jobs-of-two-clients-run-in-the-order-they-came", NULL, jobs_of_two_clients_run_in_the_order_they_came);
  fixture_test ("/core/engine/jobs/a-client-that-dies-frees-the-engine", NULL, a_client_that_dies_frees_the_engine);
  fixture_test ("/core/engine/jobs/two-hundred-jobs-leak-neither-memory-nor-descriptors", NULL, two_hundred_jobs_leak_neither_memory_nor_descriptors);
  fixture_test ("/core/engine/jobs/models-stay-until-the-budget-is-full", "[engine]\nmemory-budget=100MB\n", models_stay_until_the_budget_is_full);
  return g_test_run ();
}
