/* tests/core/test-nearest.c: suggestions for mistyped names. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/store/nearest.h"

static const char * const names[] = { "flash", "lcm", "ddim", "euler", "euler-ancestral", "dpmpp-2m" };

static void
check (const char *wanted, const char *expected)
{
  g_auto(GStrv)    near   = fb_nearest (wanted, names, G_N_ELEMENTS (names), 3);
  g_autofree char *joined = g_strjoinv (" ", near);

  g_assert_cmpstr (joined, ==, expected);
}

static void
test_typing_errors_are_forgiven (void)
{
  check ("flahs", "flash");
  check ("FLASH", "flash");
  check ("dim", "ddim");
  check ("dpm++2m", "dpmpp-2m");
  check ("eulr", "euler");
}

static void
test_a_part_of_a_name_is_near (void)
{
  check ("ancestral", "euler-ancestral");
  check ("eul", "euler euler-ancestral");
}

static void
test_nothing_is_near_to_nonsense (void)
{
  check ("", "");
  check ("unrelated-word", "");
}

static void
test_long_names_are_bounded (void)
{
  g_autofree char *huge = g_strnfill (1 << 20, 'x');
  const char      *one[] = { huge };
  g_auto(GStrv)    near = fb_nearest (huge, one, 1, 3);

  g_assert_cmpint (g_strv_length (near), ==, 1);
}

static void
test_the_sentence_lists_up_to_three (void)
{
  static const char * const alike[] = { "a1", "a2", "a3", "a4" };
  g_autofree char *none  = fb_nearest_sentence ("zzzz", alike, 4);
  g_autofree char *one   = fb_nearest_sentence ("a0", alike, 1);
  g_autofree char *three = fb_nearest_sentence ("a0", alike, 4);

  g_assert_cmpstr (none, ==, "");
  g_assert_cmpstr (one, ==, " Did you mean “a1”?");
  g_assert_cmpstr (three, ==, " Did you mean “a1”, “a2” or “a3”?");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/store/nearest/typing-errors-are-forgiven", test_typing_errors_are_forgiven);
  g_test_add_func ("/core/store/nearest/a-part-of-a-name-is-near", test_a_part_of_a_name_is_near);
  g_test_add_func ("/core/store/nearest/nothing-is-near-to-nonsense", test_nothing_is_near_to_nonsense);
  g_test_add_func ("/core/store/nearest/long-names-are-bounded", test_long_names_are_bounded);
  g_test_add_func ("/core/store/nearest/the-sentence-lists-up-to-three", test_the_sentence_lists_up_to_three);
  return g_test_run ();
}
