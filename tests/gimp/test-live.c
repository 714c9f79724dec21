/* tests/gimp/test-live.c: which jobs run while the user paints, with jobs that end when the test says. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * FbJob is the test's own here: plugins/inpaint/live.c needs no more of it than this.
 */
#include "plugins/inpaint/live.h"

struct _FbJob
{
  GObject  parent_instance;
  gboolean is_draft, is_started, is_cancelled;
  GError  *error;
  FbImage *picture;           /* of the test; NULL until the job has succeeded */
};

G_DEFINE_FINAL_TYPE (FbJob, fb_job, G_TYPE_OBJECT)

static void
finalize (GObject *object)
{
  g_clear_error (&FB_JOB (object)->error);
  G_OBJECT_CLASS (fb_job_parent_class)->finalize (object);
}

static void
fb_job_class_init (FbJobClass *class)
{
  G_OBJECT_CLASS (class)->finalize = finalize;
  g_signal_new ("progress", fb_job_get_type (), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_POINTER);
  g_signal_new ("finished", fb_job_get_type (), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
fb_job_init (FbJob *self)
{
}

void           fb_job_start          (FbJob *self)            { self->is_started = TRUE; }
void           fb_job_cancel         (FbJob *self)            { self->is_cancelled = TRUE; }
const GError * fb_job_get_error      (FbJob *self)            { return self->error; }
int            fb_job_get_n_pictures (FbJob *self)            { return self->picture != NULL; }
FbImage *      fb_job_get_picture    (FbJob *self, int index) { return self->picture; }
void           fb_target_free        (FbTarget *target)       { g_free (target); }

#define WELL (-1)

/* --- the dialog's part --------------------------------------------------------------------------------------------------- */

typedef struct
{
  InpaintLive *live;
  GPtrArray   *jobs;          /* of FbJob, in the order in which they were asked for */
  int          n_shown, n_complete, n_refined, n_failed;
  gboolean     refuses;
} Fixture;

static FbImage some_image;

static FbJob *
job_new (gboolean is_draft, FbTarget **target, GError **error, gpointer data)
{
  Fixture *f = data;
  FbJob   *job;

  if (f->refuses)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Nothing to work on.");
      return NULL;
    }
  job           = g_object_new (fb_job_get_type (), NULL);
  job->is_draft = is_draft;
  *target       = g_new0 (FbTarget, 1);
  g_ptr_array_add (f->jobs, g_object_ref (job));

  return job;
}

static void
show (FbJob *job, FbImage *picture, const FbTarget *target, gboolean is_draft, gboolean is_complete, gpointer data)
{
  Fixture *f = data;

  g_assert_nonnull (target);
  g_assert_cmpint (is_draft, ==, job->is_draft);
  f->n_shown++;
  f->n_complete += is_complete;
  f->n_refined  += is_complete && !is_draft;
}

static void
failed (const GError *error, gpointer data)
{
  ((Fixture *) data)->n_failed++;
}

static const InpaintLiveHooks hooks = { job_new, show, failed };

static void
set_up (Fixture *f, gconstpointer data)
{
  f->jobs = g_ptr_array_new_with_free_func (g_object_unref);
  f->live = inpaint_live_new (&hooks, f);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_clear_pointer (&f->live, inpaint_live_free);
  g_ptr_array_unref (f->jobs);
}

static FbJob *
job (Fixture *f, int index)
{
  g_assert_cmpuint (f->jobs->len, >, (guint) index);

  return g_ptr_array_index (f->jobs, index);
}

static void
preview (Fixture *f, int index)
{
  FbJobProgress progress = { .preview = &some_image };

  g_signal_emit_by_name (job (f, index), "progress", &progress);
}

/* @code: of G_IO_ERROR, or WELL */
static void
end (Fixture *f, int index, int code)
{
  FbJob *ended = job (f, index);

  if (code != WELL)
    ended->error = g_error_new_literal (G_IO_ERROR, code, "ended");
  else
    ended->picture = &some_image;
  g_signal_emit_by_name (ended, "finished");
}

/* --- what is promised ---------------------------------------------------------------------------------------------------- */

static void
test_a_draft_begins_at_once_and_is_shown_as_it_comes (Fixture *f, gconstpointer data)
{
  inpaint_live_begin (f->live);
  g_assert_cmpuint (f->jobs->len, ==, 1);
  g_assert_true (job (f, 0)->is_draft);
  g_assert_true (job (f, 0)->is_started);
  preview (f, 0);
  g_assert_cmpint (f->n_shown, ==, 1);
  end (f, 0, WELL);
  g_assert_cmpint (f->n_complete, ==, 1);
}

static void
test_one_is_in_flight_and_the_newest_wins (Fixture *f, gconstpointer data)
{
  for (int i = 0; i < 5; i++)
    inpaint_live_begin (f->live);
  g_assert_cmpuint (f->jobs->len, ==, 1);
  g_assert_true (job (f, 0)->is_cancelled);
  preview (f, 0);
  g_assert_cmpint (f->n_shown, ==, 0);
  end (f, 0, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (f->jobs->len, ==, 2);
  g_assert_false (job (f, 1)->is_cancelled);
  preview (f, 1);
  g_assert_cmpint (f->n_shown, ==, 1);
}

/* also where the job was done before it heard of that */
static void
test_the_next_stroke_ends_it (Fixture *f, gconstpointer data)
{
  inpaint_live_begin (f->live);
  inpaint_live_interrupt (f->live);
  g_assert_true (job (f, 0)->is_cancelled);
  preview (f, 0);
  end (f, 0, WELL);
  g_assert_cmpint (f->n_shown, ==, 0);
  g_assert_cmpuint (f->jobs->len, ==, 1);
  g_assert_false (inpaint_live_is_busy (f->live));
}

static void
test_a_hand_that_rests_gets_the_full_picture (Fixture *f, gconstpointer data)
{
  inpaint_live_begin (f->live);
  end (f, 0, WELL);
  g_assert_cmpuint (f->jobs->len, ==, 1);
  g_assert_true (inpaint_live_is_busy (f->live));
  while (f->jobs->len < 2)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (job (f, 1)->is_draft);
  end (f, 1, WELL);
  g_assert_cmpint (f->n_refined, ==, 1);
  g_assert_false (inpaint_live_is_busy (f->live));
}

static void
test_a_hand_that_goes_on_gets_none (Fixture *f, gconstpointer data)
{
  inpaint_live_begin (f->live);
  end (f, 0, WELL);
  inpaint_live_interrupt (f->live);
  g_assert_false (inpaint_live_is_busy (f->live));
  inpaint_live_begin (f->live);
  g_assert_cmpuint (f->jobs->len, ==, 2);
  g_assert_true (job (f, 1)->is_draft);
}

static void
test_the_full_picture_gives_way_too (Fixture *f, gconstpointer data)
{
  inpaint_live_begin (f->live);
  end (f, 0, WELL);
  while (f->jobs->len < 2)
    g_main_context_iteration (NULL, TRUE);
  inpaint_live_begin (f->live);
  g_assert_true (job (f, 1)->is_cancelled);
  end (f, 1, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (f->jobs->len, ==, 3);
  g_assert_true (job (f, 2)->is_draft);
  g_assert_cmpint (f->n_refined, ==, 0);
}

static void
test_a_failure_is_told_once (Fixture *f, gconstpointer data)
{
  inpaint_live_begin (f->live);
  end (f, 0, G_IO_ERROR_FAILED);
  g_assert_cmpint (f->n_failed, ==, 1);
  g_assert_false (inpaint_live_is_busy (f->live));
  f->refuses = TRUE;
  inpaint_live_begin (f->live);
  g_assert_cmpint (f->n_failed, ==, 2);
  g_assert_cmpuint (f->jobs->len, ==, 1);
  f->refuses = FALSE;
  inpaint_live_begin (f->live);
  g_assert_cmpuint (f->jobs->len, ==, 2);
}

static void
test_closing_the_window_ends_it (Fixture *f, gconstpointer data)
{
  inpaint_live_begin (f->live);
  g_clear_pointer (&f->live, inpaint_live_free);
  g_assert_true (job (f, 0)->is_cancelled);
  preview (f, 0);
  end (f, 0, WELL);
  g_assert_cmpint (f->n_shown, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add ("/plugins/inpaint/live/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("a-draft-begins-at-once-and-is-shown-as-it-comes", test_a_draft_begins_at_once_and_is_shown_as_it_comes);
  ADD ("one-is-in-flight-and-the-newest-wins", test_one_is_in_flight_and_the_newest_wins);
  ADD ("the-next-stroke-ends-it", test_the_next_stroke_ends_it);
  ADD ("a-hand-that-rests-gets-the-full-picture", test_a_hand_that_rests_gets_the_full_picture);
  ADD ("a-hand-that-goes-on-gets-none", test_a_hand_that_goes_on_gets_none);
  ADD ("the-full-picture-gives-way-too", test_the_full_picture_gives_way_too);
  ADD ("a-failure-is-told-once", test_a_failure_is_told_once);
  ADD ("closing-the-window-ends-it", test_closing_the_window_ends_it);

  return g_test_run ();
}
