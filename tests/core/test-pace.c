/* tests/core/test-pace.c: what is known of a machine's speed. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/pace.h"
#include "tests/core/scratch.h"

static FbDevice *
device (void)
{
  g_autoptr(GError)  error = NULL;
  FbDevice          *dev   = fb_device_new ("cpu", 1, &error);

  g_assert_no_error (error);
  return dev;
}

/* a small network reaches less of what the processor can, and says nothing of a large one's time once that is known */
static void
test_calls_of_other_sizes_have_their_own_rates (void)
{
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
      g_test_trap_assert_passed ();
      return;
    }
  g_assert_false (fb_pace_known ());
  fb_pace_measured (FB_STAGE_STEP, 2e9, 0.1);
  g_assert_true (fb_pace_known ());
  g_assert_cmpfloat_with_epsilon (fb_pace_seconds (FB_STAGE_STEP, 800e9), 40.0, 1e-6);      /* as far as is known */
  fb_pace_measured (FB_STAGE_STEP, 800e9, 6.0);
  g_assert_cmpfloat_with_epsilon (fb_pace_seconds (FB_STAGE_STEP, 800e9), 6.0, 1e-6);
  g_assert_cmpfloat_with_epsilon (fb_pace_seconds (FB_STAGE_STEP, 2e9), 0.1, 1e-6);
  fb_pace_measured (FB_STAGE_STEP, 800e9, 4.0);
  g_assert_cmpfloat_with_epsilon (fb_pace_seconds (FB_STAGE_STEP, 800e9), 5.0, 1e-6);
}

/* The first process measures, the second knows, and what is no rate is passed over. */
static void
test_the_next_process_knows (void)
{
  g_autoptr(FbDevice) dev  = device ();
  g_autofree char    *path = g_build_filename (g_get_user_cache_dir (), "flashbrush", "pace", NULL);
  g_autoptr(GError)   error = NULL;

  if (g_test_subprocess ())
    {
      fb_pace_remember (dev);
      if (!g_file_test (path, G_FILE_TEST_EXISTS))
        {
          g_assert_false (fb_pace_known ());
          fb_pace_measured (FB_STAGE_STEP, 800e9, 6.0);
          fb_pace_keep ();
          return;
        }
      g_assert_true (fb_pace_known ());
      g_assert_cmpfloat_with_epsilon (fb_pace_seconds (FB_STAGE_STEP, 800e9), 6.0, 1e-6);
      return;
    }
  for (int i = 0; i < 2; i++)
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
      g_test_trap_assert_passed ();
    }

  g_assert_true (g_file_set_contents (path, "[no\nrates", -1, &error));
  fb_pace_remember (dev);
  g_assert_false (fb_pace_known ());
}

int
main (int argc, char **argv)
{
  g_autoptr(Scratch) cache = g_getenv ("FB_TEST_CACHE") == NULL ? scratch_new () : NULL;

  if (cache != NULL)
    {
      g_setenv ("FB_TEST_CACHE", cache, TRUE);
      g_setenv ("XDG_CACHE_HOME", cache, TRUE);
    }
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/tasks/pace/calls-of-other-sizes-have-their-own-rates", test_calls_of_other_sizes_have_their_own_rates);
  g_test_add_func ("/core/tasks/pace/the-next-process-knows", test_the_next_process_knows);

  return g_test_run ();
}
