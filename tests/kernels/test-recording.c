/* tests/kernels/test-recording.c: recordings, and the plan of their memory, on every device of this build.
 * SPDX-License-Identifier: LGPL-3.0-or-later */

#include <string.h>

#include "kernels/device-private.h"
#include "kernels/recording.h"
#include "tests/kernels/per-device.h"

/* --- the plan --------------------------------------------------------------------------------------------------------- */

static void
test_places_are_used_again (void)
{
  g_autoptr(FbPlan) plan = fb_plan_new ();
  size_t            a    = fb_plan_take (plan, 1000), b = fb_plan_take (plan, 1), c = fb_plan_take (plan, 500);

  g_assert_cmpuint (a, ==, 0);
  g_assert_cmpuint (b, ==, 1024);                                /* on the next 256 */
  g_assert_cmpuint (c, ==, 1280);
  g_assert_cmpuint (fb_plan_extent (plan), ==, 1792);
  g_assert_true (fb_plan_give (plan, a));
  g_assert_false (fb_plan_give (plan, a));
  g_assert_cmpuint (fb_plan_take (plan, 1025), ==, 1792);        /* too large for the gap */
  g_assert_cmpuint (fb_plan_take (plan, 512), ==, 0);
  g_assert_cmpuint (fb_plan_take (plan, 512), ==, 512);
  g_assert_false (fb_plan_is_empty (plan));
}

#define N_PLACES 40

/* Takes and gives at random; checks that no two places overlap. @extent (out) */
static void
use_at_random (guint32 seed, size_t *extent)
{
  g_autoptr(FbPlan) plan             = fb_plan_new ();
  g_autoptr(GRand)  random           = g_rand_new_with_seed (seed);
  size_t            start[N_PLACES]  = { 0 }, length[N_PLACES] = { 0 };

  for (int turn = 0; turn < 2000; turn++)
    {
      const int i = g_rand_int_range (random, 0, N_PLACES);

      if (length[i] > 0)
        {
          g_assert_true (fb_plan_give (plan, start[i]));
          length[i] = 0;
          continue;
        }
      length[i] = (size_t) g_rand_int_range (random, 1, 100000);
      start[i]  = fb_plan_take (plan, length[i]);
      g_assert_cmpuint (start[i] % FB_PLAN_ALIGNMENT, ==, 0);
      g_assert_cmpuint (start[i] + length[i], <=, fb_plan_extent (plan));
      for (int k = 0; k < N_PLACES; k++)
        if (k != i && length[k] > 0)
          g_assert_true (start[k] + length[k] <= start[i] || start[i] + length[i] <= start[k]);
    }
  *extent = fb_plan_extent (plan);
}

static void
test_places_never_overlap (void)
{
  for (guint32 seed = 1; seed <= 10; seed++)
    {
      size_t first, second;

      use_at_random (seed, &first);
      use_at_random (seed, &second);
      g_assert_cmpuint (first, ==, second);                      /* what a first run says holds for the next */
      g_assert_cmpuint (first, <, (size_t) N_PLACES * 100000);
    }
}

/* --- recordings ------------------------------------------------------------------------------------------------------- */

#define ROWS  6
#define WIDTH 8

/**
 * Work: out = silu (x · W1) · W2 + x, with temporary tensors between
 * @n_calls: of work ()
 * @flag: (nullable): set in the middle of work ()
 */
typedef struct
{
  FbDevice *dev;
  FbWeight *first, *second;
  FbTensor *x, *out;
  int       n_calls;
  gint     *flag;
} Work;

static void
fill (float *values, size_t n, guint32 state)
{
  for (size_t i = 0; i < n; i++)
    {
      state     = state * 1664525u + 1013904223u;
      values[i] = (gint32) state * 0x1p-31f;
    }
}

static void
work (gpointer data)
{
  Work                *w      = data;
  g_autoptr(FbTensor)  hidden = fb_tensor_new_2d (w->dev, FB_DTYPE_F32, ROWS, WIDTH);
  g_autoptr(FbTensor)  bent   = fb_tensor_new_2d (w->dev, FB_DTYPE_F32, ROWS, WIDTH);
  FbTensor            *sum;

  w->n_calls++;
  fb_op_linear (w->dev, hidden, w->x, w->first, NULL, NULL, FB_ACT_NONE);
  fb_op_activation (w->dev, bent, hidden, FB_ACT_SILU);
  if (w->flag != NULL)
    g_atomic_int_set (w->flag, 1);
  g_clear_pointer (&hidden, fb_tensor_unref);
  sum = fb_tensor_new_2d (w->dev, FB_DTYPE_F32, ROWS, WIDTH);    /* where @hidden was */
  fb_op_linear (w->dev, sum, bent, w->second, NULL, w->x, FB_ACT_NONE);
  fb_op_cast (w->dev, w->out, sum);
  fb_tensor_unref (sum);
}

static void
work_init (Work *w, const char *name)
{
  g_autoptr(GError) error = NULL;
  float             values[WIDTH * WIDTH];

  *w = (Work) { .dev = fb_device_new (name, 2, &error) };
  g_assert_no_error (error);
  fill (values, G_N_ELEMENTS (values), 1);
  w->first  = fb_weight_new (w->dev, FB_WEIGHT_LINEAR, FB_DTYPE_F32, (int[]) { WIDTH, WIDTH }, values, FB_DTYPE_F32);
  fill (values, G_N_ELEMENTS (values), 2);
  w->second = fb_weight_new (w->dev, FB_WEIGHT_LINEAR, FB_DTYPE_F32, (int[]) { WIDTH, WIDTH }, values, FB_DTYPE_F32);
  w->x      = fb_tensor_new_2d (w->dev, FB_DTYPE_F32, ROWS, WIDTH);
  w->out    = fb_tensor_new_2d (w->dev, FB_DTYPE_F32, ROWS, WIDTH);
}

static void
work_clear (Work *w)
{
  fb_weight_unref (w->first);
  fb_weight_unref (w->second);
  fb_tensor_unref (w->x);
  fb_tensor_unref (w->out);
  g_assert_cmpuint (fb_device_bytes_in_use (w->dev), ==, 0);
  fb_device_unref (w->dev);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Work, work_clear)

/* Runs on the input that @seed makes; the values have to be those of the plain ops. */
static void
check_run (Work *w, FbRecording *recording, guint32 seed)
{
  float in[ROWS * WIDTH], plain[ROWS * WIDTH], got[ROWS * WIDTH];
  int   n_calls;

  fill (in, G_N_ELEMENTS (in), seed);
  fb_tensor_upload (w->x, in, FB_DTYPE_F32);
  n_calls = w->n_calls;
  work (w);
  w->n_calls = n_calls;
  fb_tensor_download (w->out, plain, FB_DTYPE_F32);
  memset (got, 0, sizeof got);
  fb_tensor_upload (w->out, got, FB_DTYPE_F32);

  fb_recording_run (recording, work, w);
  fb_tensor_download (w->out, got, FB_DTYPE_F32);
  g_assert_true (fb_device_check (w->dev, NULL));
  g_assert_cmpmem (got, sizeof got, plain, sizeof plain);
}

/* Whether @dev is tests/kernels/fake-cuda/: it fails where it is told to, and how much working memory its libraries take is known */
static gboolean
is_made_up (FbDevice *dev)
{
  return strcmp (fb_device_name (dev), "cuda") == 0 && g_getenv ("FLASHBRUSH_CUDA_DRIVER") != NULL;
}

static gboolean
records (FbDevice *dev)
{
  return dev->ops->record_begin != NULL;
}

static void
test_every_run_gives_the_plain_values (gconstpointer name)
{
  g_auto(Work)            w         = { NULL };
  g_autoptr(FbRecording)  recording = NULL;
  float                   values[WIDTH * WIDTH];
  size_t                  before;

  work_init (&w, name);
  recording = fb_recording_new (w.dev);
  before    = fb_device_bytes_in_use (w.dev);
  for (guint32 seed = 3; seed < 9; seed++)
    check_run (&w, recording, seed);
  g_assert_cmpint (w.n_calls, ==, records (w.dev) ? 2 : 6);      /* a plain one, a recorded one, then none */
  g_assert_cmpint (fb_recording_is_recorded (recording), ==, records (w.dev));
  g_assert_cmpuint (fb_device_bytes_in_use (w.dev), ==, before + fb_recording_bytes (recording));
  g_assert_cmpuint (fb_recording_bytes (recording), ==, records (w.dev) ? 2 * FB_PLAN_ALIGNMENT : 0);

  fill (values, G_N_ELEMENTS (values), 99);                      /* new values of a weight in its place are seen */
  fb_weight_update (w.second, values, FB_DTYPE_F32);
  check_run (&w, recording, 9);
  g_assert_cmpint (w.n_calls, ==, records (w.dev) ? 2 : 7);
}

static void
test_other_work_between_does_no_harm (gconstpointer name)
{
  g_auto(Work)           w         = { NULL };
  g_autoptr(FbRecording) recording = NULL;
  g_autoptr(FbTensor)    a         = NULL;
  g_autoptr(FbTensor)    weight    = NULL;
  g_autoptr(FbTensor)    distance  = NULL;

  work_init (&w, name);
  recording = fb_recording_new (w.dev);
  a         = fb_tensor_new_4d (w.dev, FB_DTYPE_F32, 1, 64, 64, 2);
  weight    = fb_tensor_new_1d (w.dev, FB_DTYPE_F32, 2);
  distance  = fb_tensor_new_1d (w.dev, FB_DTYPE_F32, 1);
  for (guint32 seed = 3; seed < 12; seed++)
    {
      check_run (&w, recording, seed);
      if (seed == 5)                                             /* takes more working memory than anything before, which then lies elsewhere */
        fb_op_feature_distance (w.dev, distance, a, a, weight, 1e-10f);
      if (seed == 9)
        fb_device_trim (w.dev);
    }
  if (is_made_up (w.dev))
    g_assert_cmpint (w.n_calls, ==, 4);                          /* recorded a second time for the first, and not for the other */
}

static void
test_no_room_means_plain_runs (gconstpointer name)
{
  g_auto(Work)           w         = { NULL };
  g_autoptr(FbRecording) recording = NULL;

  work_init (&w, name);
  if (records (w.dev) && !is_made_up (w.dev))
    {
      g_test_skip ("how much working memory a card's libraries take is not known");
      return;
    }
  recording = fb_recording_new (w.dev);
  check_run (&w, recording, 3);
  fb_device_set_limit (w.dev, fb_device_bytes_in_use (w.dev) + 2 * FB_PLAN_ALIGNMENT + 1024);      /* the working memory counts too */
  check_run (&w, recording, 4);
  g_assert_cmpint (fb_recording_is_recorded (recording), ==, records (w.dev));
  g_clear_pointer (&recording, fb_recording_free);

  recording = fb_recording_new (w.dev);                          /* there is what a plain run needs, and no block */
  fb_device_set_limit (w.dev, fb_device_bytes_in_use (w.dev) + 1024 + ROWS * WIDTH * 8);
  for (guint32 seed = 6; seed < 9; seed++)
    check_run (&w, recording, seed);
  g_assert_false (fb_recording_is_recorded (recording));
  g_assert_cmpuint (fb_recording_bytes (recording), ==, 0);
}

static void
test_cancel_and_failure_are_survived (gconstpointer name)
{
  g_auto(Work)           w         = { NULL };
  g_autoptr(FbRecording) recording = NULL;
  gint                   flag      = 1;

  work_init (&w, name);
  recording = fb_recording_new (w.dev);
  for (guint32 seed = 3; seed < 7; seed++)                       /* before each of the states */
    {
      g_autoptr(GError) error = NULL;

      fb_device_set_cancel_flag (w.dev, &flag);
      fb_recording_run (recording, work, &w);
      g_assert_false (fb_device_check (w.dev, &error));
      g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_CANCELLED);
      fb_device_set_cancel_flag (w.dev, NULL);
      check_run (&w, recording, seed);
    }
  g_assert_cmpint (w.n_calls, ==, records (w.dev) ? 2 : 4);

  fb_device_fail (w.dev, FB_DEVICE_ERROR_FAILED, "as if an op before had failed");
  fb_recording_run (recording, work, &w);
  g_assert_false (fb_device_check (w.dev, NULL));
  check_run (&w, recording, 7);
}

/* In each of the states; a replay calls nothing that could */
static void
test_a_cancel_in_the_middle_is_survived (gconstpointer name)
{
  g_auto(Work)           w         = { NULL };
  g_autoptr(FbRecording) recording = NULL;
  gint                   flag      = 0;

  work_init (&w, name);
  recording = fb_recording_new (w.dev);
  for (guint32 seed = 3; seed < 5; seed++)
    {
      g_autoptr(GError) error = NULL;

      w.flag = &flag;
      fb_device_set_cancel_flag (w.dev, &flag);
      fb_recording_run (recording, work, &w);
      g_assert_false (fb_device_check (w.dev, &error));
      g_assert_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_CANCELLED);
      fb_device_set_cancel_flag (w.dev, NULL);
      w.flag = NULL;
      flag   = 0;
      check_run (&w, recording, seed);
    }
  g_assert_cmpint (fb_recording_is_recorded (recording), ==, records (w.dev));
  check_run (&w, recording, 5);
}

static void
test_what_cannot_be_recorded_runs_plainly (gconstpointer name)
{
  static const char * const places[] = { "begin", "end", "instantiate" };

  for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
    {
      g_auto(Work)           w         = { NULL };
      g_autoptr(FbRecording) recording = NULL;

      work_init (&w, name);
      if (!is_made_up (w.dev))
        {
          g_test_skip ("only the made-up card fails where it is told to");
          return;
        }
      recording = fb_recording_new (w.dev);
      g_setenv ("FB_FAKE_CAPTURE_FAILS", places[i], TRUE);
      for (guint32 seed = 3; seed < 7; seed++)
        check_run (&w, recording, seed);
      g_unsetenv ("FB_FAKE_CAPTURE_FAILS");
      g_assert_false (fb_recording_is_recorded (recording));
      g_assert_cmpuint (fb_recording_bytes (recording), ==, 0);
    }
}

int
main (int argc, char **argv)
{
  static const FbDeviceTest tests[] =
  {
    { "every-run-gives-the-plain-values",     test_every_run_gives_the_plain_values },
    { "other-work-between-does-no-harm",      test_other_work_between_does_no_harm },
    { "no-room-means-plain-runs",             test_no_room_means_plain_runs },
    { "cancel-and-failure-are-survived",      test_cancel_and_failure_are_survived },
    { "a-cancel-in-the-middle-is-survived",   test_a_cancel_in_the_middle_is_survived },
    { "what-cannot-be-recorded-runs-plainly", test_what_cannot_be_recorded_runs_plainly },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/plan/places-are-used-again", test_places_are_used_again);
  g_test_add_func ("/kernels/plan/places-never-overlap", test_places_never_overlap);
  add_device_tests ("recording", tests, G_N_ELEMENTS (tests));
  return g_test_run ();
}
