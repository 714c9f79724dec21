/* tests/core/distill/test-cards.c: which teams sum from card to card, and what they do where they cannot. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The processor stands for the cards, threads for the processes, and fake-nccl/ for NCCL. With FB_TEST_CARDS, two true cards are connected too. */

#include <dlfcn.h>

#include "core/distill/cards.h"
#include "core/distill/distill-error.h"
#include "tests/core/distill/pretended-card.h"
#include "tests/core/distill/threads.h"

#define N 5

typedef struct
{
  Seat     seat;                 /* first */
  gboolean on_processor, on_true_card;
  gboolean joined;
  float    values[N], single;
  GError  *error;
} Member;

/* Joins, and if that goes sums @values and @single */
static gpointer
join_and_sum (gpointer user_data)
{
  Member               *self    = user_data;
  g_autoptr(FbDevice)   dev     = self->on_processor ? fb_device_new ("cpu", 1, NULL) :
                                  self->on_true_card ? fb_device_new_in_place (self->seat.team.rank, 1, NULL) : pretended_card_new ();
  g_autoptr(FbCards)    cards   = fb_cards_join (&self->seat.team, dev);
  g_autoptr(FbTensor)   many    = fb_tensor_new_1d (dev, FB_DTYPE_F32, N);
  g_autoptr(FbTensor)   one     = fb_tensor_new_1d (dev, FB_DTYPE_F32, 1);
  g_autoptr(GPtrArray)  tensors = g_ptr_array_new ();

  self->joined = cards != NULL;
  if (cards == NULL)
    return NULL;

  fb_tensor_upload (many, self->values, FB_DTYPE_F32);
  fb_tensor_upload (one, &self->single, FB_DTYPE_F32);
  g_ptr_array_add (tensors, many);
  g_ptr_array_add (tensors, one);
  if (fb_cards_sum (cards, tensors, &self->error))
    {
      fb_tensor_download (many, self->values, FB_DTYPE_F32);
      fb_tensor_download (one, &self->single, FB_DTYPE_F32);
    }
  return NULL;
}

static void
check_sums (int size, gboolean on_true_cards)
{
  Member members[MOST_MEMBERS] = { 0 };

  for (int r = 0; r < size; r++)
    {
      members[r].on_true_card = on_true_cards;
      for (int i = 0; i < N; i++)
        members[r].values[i] = 10.0f * r + i;
      members[r].single = r == 1 ? 0.5f : 0.0f;
    }
  sit_together (members, sizeof *members, size, join_and_sum);
  for (int r = 0; r < size; r++)
    {
      g_assert_true (members[r].joined);
      g_assert_no_error (members[r].error);
      for (int i = 0; i < N; i++)
        g_assert_cmpfloat (members[r].values[i], ==, 5.0f * size * (size - 1) + size * i);
      g_assert_cmpfloat (members[r].single, ==, 0.5f);
    }
}

static void
sums_are_those_of_all (void)
{
  if (!pretend_cards ("4", "works"))
    return;
  for (int size = 2; size <= MOST_MEMBERS; size++)
    check_sums (size, FALSE);
}

static void
two_true_cards_sum (void)
{
  if (g_getenv ("FB_TEST_CARDS") == NULL)
    g_test_skip ("it is for a machine with two cards");
  else
    check_sums (2, TRUE);
}

/* What the first process says, or nothing, where none of them may be connected */
static void
assert_not_joined (Member *members, int size, const char *message)
{
  if (message != NULL)
    g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, message);
  sit_together (members, sizeof *members, size, join_and_sum);
  g_test_assert_expected_messages ();
  for (int r = 0; r < size; r++)
    g_assert_false (members[r].joined);
}

static void
two_on_one_card_are_not_connected (void)
{
  Member members[2] = { 0 };

  if (pretend_cards ("1", "works"))
    assert_not_joined (members, 2, "*two processes share a card*");
}

static void
one_on_the_processor_keeps_all_from_it (void)
{
  Member first[3] = { { .on_processor = TRUE } }, last[3] = { [2] = { .on_processor = TRUE } };

  if (!pretend_cards ("4", "works"))
    return;
  assert_not_joined (first, 3, "*computes on the processor*");
  assert_not_joined (last, 3, "*another process has no card*");
}

static void
a_refusal_is_survived (void)
{
  Member members[2] = { 0 };

  if (pretend_cards ("4", "refuses"))
    assert_not_joined (members, 2, "*a made-up refusal*");
}

static void
a_missing_module_is_survived (void)
{
  Member members[2] = { 0 };

  g_setenv ("FLASHBRUSH_MODULES", "/nowhere", TRUE);
  assert_not_joined (members, 2, "*/nowhere/flashbrush-nccl.so*");
}

static void
who_has_no_card_hears_nothing (void)
{
  Member members[2] = { { .on_processor = TRUE }, { .on_processor = TRUE } };
  Member alone[1]   = { 0 };

  g_setenv ("FLASHBRUSH_MODULES", "/nowhere", TRUE);
  assert_not_joined (members, 2, NULL);
  assert_not_joined (alone, 1, NULL);
}

static void
a_break_is_an_error (void)
{
  Member members[2] = { 0 };

  if (!pretend_cards ("4", "breaks"))
    return;
  sit_together (members, sizeof *members, 2, join_and_sum);
  for (int r = 0; r < 2; r++)
    {
      g_assert_true (members[r].joined);
      g_assert_error (members[r].error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_TEAM);
      g_clear_error (&members[r].error);
    }
}

/* With NVIDIA's own libraries: what it says where there is no card */
static void
the_true_module_loads_and_says_why_it_cannot (void)
{
  g_autofree char     *path  = NULL;
  const FbCardsModule *module;
  guint8               name[FB_CARDS_NAME_SIZE];
  void                *library, *driver = dlopen ("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);

  if (g_getenv ("FB_REAL_NCCL_MODULES") == NULL || driver != NULL)
    {
      g_test_skip (driver != NULL ? "this machine has a driver" : "this build has no module for NCCL");
      return;
    }
  path    = g_build_filename (g_getenv ("FB_REAL_NCCL_MODULES"), "flashbrush-nccl.so", NULL);
  library = dlopen (path, RTLD_NOW | RTLD_LOCAL);
  g_assert_nonnull (library);
  module = dlsym (library, "fb_cards_module");
  g_assert_cmpuint (module->size, ==, sizeof *module);
  g_assert_nonnull (module->name_card (name, name));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/distill/cards/two-true-cards-sum", two_true_cards_sum);
  g_test_add_func ("/core/distill/cards/sums-are-those-of-all", sums_are_those_of_all);
  g_test_add_func ("/core/distill/cards/two-on-one-card-are-not-connected", two_on_one_card_are_not_connected);
  g_test_add_func ("/core/distill/cards/one-on-the-processor-keeps-all-from-it", one_on_the_processor_keeps_all_from_it);
  g_test_add_func ("/core/distill/cards/a-refusal-is-survived", a_refusal_is_survived);
  g_test_add_func ("/core/distill/cards/a-missing-module-is-survived", a_missing_module_is_survived);
  g_test_add_func ("/core/distill/cards/who-has-no-card-hears-nothing", who_has_no_card_hears_nothing);
  g_test_add_func ("/core/distill/cards/a-break-is-an-error", a_break_is_an_error);
  g_test_add_func ("/core/distill/cards/the-true-module-loads-and-says-why-it-cannot", the_true_module_loads_and_says_why_it_cannot);
  return g_test_run ();
}
