/* tests/core/distill/test-team.c: several trainers of one job, as threads of this process. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The teacher is the tiny model of golden/pipeline.
 */
#include <math.h>
#include <string.h>

#include "core/distill/trainer-private.h"
#include "core/formats/safetensors.h"
#include "tests/core/distill/phases.h"
#include "tests/core/distill/pretended-card.h"
#include "tests/core/distill/threads.h"
#include "tests/core/scratch.h"

#define STEPS 4

typedef struct Member Member;
struct Member
{
  Seat                seat;              /* first */
  gboolean            on_card;
  const FbDistillJob *job;
  const char         *teacher;
  GCancellable       *cancellable;
  void             (* spoil) (Member *member);      /* called when @trainer is ready */
  FbTrainer          *trainer;
  int                 n_steps;           /* to take one by one; 0 = the whole run */
  FbDistillLosses     losses[STEPS];
  char               *state;             /* hash of what trains, in the end */
  int                 step;
  GError             *error;
};

static void
together (Member *members, int size, GThreadFunc work)
{
  sit_together (members, sizeof *members, size, work);
}

static void
members_clear (Member *members)
{
  for (int r = 0; r < MOST_MEMBERS; r++)
    {
      g_clear_error (&members[r].error);
      g_clear_pointer (&members[r].state, g_free);
    }
}

/* --- the team by itself --------------------------------------------------------------------------------------------------- */

static void
one_process_has_nobody_to_wait_for (void)
{
  g_autoptr(GError) error   = NULL;
  const FbTeam     *team    = fb_team_open (&error);
  float             floats  = 2.0f;
  double            doubles = 3.0;
  int               bytes   = 4;

  g_assert_no_error (error);
  g_assert_true (team == fb_team_alone ());
  fb_team_sum_floats (team, &floats, 1);
  fb_team_sum_doubles (team, &doubles, 1);
  fb_team_share (team, &bytes, sizeof bytes);
  g_assert_cmpfloat (floats, ==, 2.0f);
  g_assert_cmpfloat (doubles, ==, 3.0);
  g_assert_cmpint (bytes, ==, 4);
  g_assert_true (fb_team_agree (team, TRUE, &error));
  g_set_error_literal (&error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA, "mine");
  g_assert_false (fb_team_agree (team, FALSE, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA);
  fb_team_leave (team);
}

/* with the error it comes with, if any */
static gpointer
agree (gpointer user_data)
{
  Member        *member = user_data;
  const gboolean ok     = member->error == NULL;

  g_assert_true (fb_team_agree (&member->seat.team, ok, &member->error) == (member->error == NULL));
  return NULL;
}

static void
all_go_on_or_none (void)
{
  /* what each comes with and leaves with: nothing, c = cancelled, d = its own failure, e = somebody else's */
  static const struct { const char *before, *after; } cases[] =
  {
    { "...", "..." }, { "d..", "dee" }, { "..d", "eed" }, { ".dd", "ede" }, { "c..", "ccc" }, { "cd.", "ede" }, { "ed.", "ede" }, { "dc.", "dee" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      Member members[MOST_MEMBERS] = { 0 };

      for (int r = 0; r < 3; r++)
        if (cases[i].before[r] == 'c')
          members[r].error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
        else if (cases[i].before[r] != '.')
          members[r].error = g_error_new_literal (FB_DISTILL_ERROR, cases[i].before[r] == 'd' ? FB_DISTILL_ERROR_DATA : FB_DISTILL_ERROR_ELSEWHERE, "x");
      together (members, 3, agree);
      for (int r = 0; r < 3; r++)
        {
          const GError *e    = members[r].error;
          const char    left = e == NULL ? '.' : g_error_matches (e, G_IO_ERROR, G_IO_ERROR_CANCELLED) ? 'c'
                               : g_error_matches (e, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA) ? 'd' : 'e';

          if (left != cases[i].after[r])
            g_error ("%s: process %d leaves with %c, not %c", cases[i].before, r, left, cases[i].after[r]);
        }
      members_clear (members);
    }
}

/* --- trainers ------------------------------------------------------------------------------------------------------------- */

typedef struct
{
  char         *folder, *teacher;
  FbDistillJob *jobs[MOST_MEMBERS];      /* the same job in folders of their own, as on machines that share no disk */
} Fixture;

static FbDistillJob *
new_job (Fixture *f, int number, const char *fields)
{
  g_autofree char  *name  = g_strdup_printf ("%d/job.json", number);
  g_autofree char  *path  = g_build_filename (f->folder, name, NULL);
  g_autofree char  *text  = g_strdup_printf ("{ \"preset\": \"small\", \"teacher\": \"%s\", \"prompts\": [ \"a cat\", \"a dog\", \"a tree\" ], \"width\": 64,"
                                             " \"height\": 64, \"steps\": %d, \"batch_size\": 4, \"samples_per_call\": 2, \"teacher_steps\": 4,"
                                             " \"mode_variance\": 0.01, \"lora_rank\": 4, \"lora_alpha\": 8, \"learning_rate\": 0.0001, \"warm_up\": 0,"
                                             " \"dtype\": \"f32\", \"threads\": 1, \"sample_every\": 0, \"checkpoint_every\": 100, " PHASES (1) " %s }",
                                             f->teacher, STEPS, fields);
  g_autoptr(GError) error = NULL;
  FbDistillJob     *job;

  scratch_write (f->folder, name, text, -1);
  job = fb_distill_job_load (path, &error);
  g_assert_no_error (error);
  return job;
}

static void
set_up (Fixture *f, gconstpointer fields)
{
  f->folder  = scratch_new ();
  f->teacher = g_test_build_filename (G_TEST_DIST, "golden", "pipeline", "model", NULL);
  for (int i = 0; i < MOST_MEMBERS; i++)
    f->jobs[i] = new_job (f, i, fields);
}

static void
tear_down (Fixture *f, gconstpointer fields)
{
  for (int i = 0; i < MOST_MEMBERS; i++)
    fb_distill_job_free (f->jobs[i]);
  g_free (f->teacher);
  scratch_free (f->folder);
}

static char *
state_of (FbTrainer *trainer)
{
  g_autoptr(GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  FbOptimizer         *optimizers[] = { trainer->student, trainer->judge };

  for (gsize o = 0; o < G_N_ELEMENTS (optimizers); o++)
    for (guint i = 0; i < optimizers[o]->tensors->len; i++)
      {
        const FbTrained *t = optimizers[o]->tensors->pdata[i];

        g_checksum_update (sum, (const guchar *) t->value, (gssize) (t->n * sizeof *t->value));
        g_checksum_update (sum, (const guchar *) t->v, (gssize) (t->n * sizeof *t->v));
      }
  return g_strdup (g_checksum_get_string (sum));
}

static gpointer
train (gpointer user_data)
{
  Member              *self    = user_data;
  g_autoptr(FbDevice)  dev     = self->on_card ? pretended_card_new () : fb_device_new ("cpu", 1, NULL);
  g_autoptr(FbTrainer) trainer = fb_trainer_new_in_team (self->job, self->teacher, dev, &self->seat.team, &self->error);
  gboolean             ok      = trainer != NULL && fb_trainer_prepare (trainer, NULL, NULL, NULL, &self->error);

  self->trainer = trainer;
  if (ok && self->spoil != NULL)
    self->spoil (self);
  if (ok && self->n_steps == 0)
    ok = fb_trainer_run (trainer, NULL, NULL, self->cancellable, &self->error);
  for (int i = 0; ok && i < self->n_steps; i++)
    ok = fb_trainer_step (trainer, &self->losses[i], self->cancellable, &self->error);
  g_assert_true (ok == (self->error == NULL));
  if (trainer != NULL && trainer->student != NULL)
    {
      self->state = state_of (trainer);
      self->step  = fb_trainer_step_number (trainer);
    }
  self->trainer = NULL;
  return NULL;
}

static void
train_together (Fixture *f, Member *members, int size, int n_steps)
{
  for (int r = 0; r < size; r++)
    {
      members[r].job     = members[r].job != NULL ? members[r].job : f->jobs[r];
      members[r].teacher = f->teacher;
      members[r].n_steps = n_steps;
    }
  together (members, size, train);
}

static void
same_losses (const FbDistillLosses *a, const FbDistillLosses *b)
{
  const double pairs[][2] =
  {
    { a->distillation, b->distillation }, { a->matching, b->matching }, { a->adversarial, b->adversarial }, { a->discriminator, b->discriminator },
    { a->real, b->real }, { a->fake, b->fake }, { a->gradient, b->gradient },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (pairs); i++)
    if (fabs (pairs[i][0] - pairs[i][1]) > 1e-5 * fabs (pairs[i][0]))
      g_error ("value %zu is %.9g in a team and %.9g in one process", i, pairs[i][0], pairs[i][1]);
}

static void
a_team_learns_what_one_process_learns (Fixture *f, gconstpointer fields)
{
  Member alone[MOST_MEMBERS] = { 0 };

  train_together (f, alone, 1, STEPS);
  g_assert_no_error (alone[0].error);
  g_assert_cmpfloat (alone[0].losses[STEPS - 1].adversarial, >, 0.0);
  for (int size = 2; size <= MOST_MEMBERS; size *= 2)
    {
      Member members[MOST_MEMBERS] = { 0 };

      train_together (f, members, size, STEPS);
      for (int r = 0; r < size; r++)
        {
          g_assert_no_error (members[r].error);
          g_assert_cmpstr (members[r].state, ==, members[0].state);
          for (int i = 0; i < STEPS; i++)
            same_losses (&members[r].losses[i], &alone[0].losses[i]);
        }
      members_clear (members);
    }
  members_clear (alone);
}

/* Gradients go from card to card, and not through the team's own sums. */
static void
cards_learn_what_the_processor_learns (Fixture *f, gconstpointer fields)
{
  Member alone[MOST_MEMBERS]   = { 0 };
  Member members[MOST_MEMBERS] = { { .on_card = TRUE }, { .on_card = TRUE } };

  if (!pretend_cards ("2", "works"))
    return;
  train_together (f, alone, 1, STEPS);
  train_together (f, members, 2, STEPS);
  for (int r = 0; r < 2; r++)
    {
      g_assert_no_error (members[r].error);
      g_assert_cmpstr (members[r].state, ==, members[0].state);
      g_assert_cmpuint (members[r].seat.n_floats, ==, 0);
      for (int i = 0; i < STEPS; i++)
        same_losses (&members[r].losses[i], &alone[0].losses[i]);
    }
  members_clear (members);
  members_clear (alone);
}

static void
cards_that_lose_each_other_stop_all (Fixture *f, gconstpointer fields)
{
  Member members[MOST_MEMBERS] = { { .on_card = TRUE }, { .on_card = TRUE } };

  if (!pretend_cards ("2", "breaks"))
    return;
  train_together (f, members, 2, 0);
  g_assert_error (members[0].error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_TEAM);
  g_assert_error (members[1].error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_ELSEWHERE);
  members_clear (members);
}

static void
only_the_first_process_writes (Fixture *f, gconstpointer fields)
{
  Member           members[MOST_MEMBERS] = { 0 };
  g_autofree char *mine   = fb_distill_job_folder (f->jobs[0]);
  g_autofree char *theirs = fb_distill_job_folder (f->jobs[1]);

  train_together (f, members, 2, 0);
  g_assert_no_error (members[0].error);
  g_assert_no_error (members[1].error);
  g_assert_cmpint (scratch_count (mine), ==, 4);                 /* checkpoint, lock, log, LoRA */
  g_assert_false (g_file_test (theirs, G_FILE_TEST_EXISTS));
  members_clear (members);
}

/* --- ends ----------------------------------------------------------------------------------------------------------------- */

/* between two calls of networks */
static void
cancel_in_the_third_step (gpointer user_data)
{
  Member *self = user_data;

  if (self->trainer->step == 2)
    g_cancellable_cancel (self->cancellable);
}

static void
wait_for_the_third_step (Member *self)
{
  fb_trainer_set_between (self->trainer, cancel_in_the_third_step, self);
}

static void
an_interrupt_of_one_pauses_all_at_the_same_step (Fixture *f, gconstpointer fields)
{
  g_autoptr(GCancellable) cancellable           = g_cancellable_new ();
  Member                  straight[MOST_MEMBERS] = { { .job = f->jobs[2] }, { .job = f->jobs[3] } };
  Member                  members[MOST_MEMBERS]  = { [1] = { .cancellable = cancellable, .spoil = wait_for_the_third_step } };
  Member                  again[MOST_MEMBERS]    = { 0 };

  train_together (f, straight, 2, 0);
  train_together (f, members, 2, 0);
  for (int r = 0; r < 2; r++)
    {
      g_assert_error (members[r].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_cmpint (members[r].step, ==, 2);
    }

  train_together (f, again, 2, 0);                               /* goes on, to the same last bit */
  for (int r = 0; r < 2; r++)
    {
      g_assert_no_error (again[r].error);
      g_assert_cmpint (again[r].step, ==, STEPS);
      g_assert_cmpstr (again[r].state, ==, straight[0].state);
    }
  members_clear (straight);
  members_clear (members);
  members_clear (again);
}

static void
another_number_of_processes_goes_on (Fixture *f, gconstpointer fields)
{
  g_autoptr(GCancellable) cancellable          = g_cancellable_new ();
  Member                  alone[MOST_MEMBERS]   = { { .cancellable = cancellable, .spoil = wait_for_the_third_step } };
  Member                  members[MOST_MEMBERS] = { 0 };

  train_together (f, alone, 1, 0);
  g_assert_error (alone[0].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  train_together (f, members, 4, 0);
  for (int r = 0; r < 4; r++)
    {
      g_assert_no_error (members[r].error);
      g_assert_cmpint (members[r].step, ==, STEPS);
      g_assert_cmpstr (members[r].state, ==, members[0].state);
    }
  members_clear (alone);
  members_clear (members);
}

static void
lose_the_data (Member *self)
{
  for (guint i = 0; i < self->trainer->latent_keys->len; i++)
    memset (self->trainer->latent_keys->pdata[i], '0', 64);
}

static void
a_failure_of_one_stops_all_and_is_told_once (Fixture *f, gconstpointer fields)
{
  Member members[MOST_MEMBERS] = { [1] = { .spoil = lose_the_data } };

  train_together (f, members, 2, 0);
  g_assert_error (members[0].error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_ELSEWHERE);
  g_assert_error (members[1].error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA);
  members_clear (members);
}

static void
a_batch_that_cannot_be_shared_out_is_refused (Fixture *f, gconstpointer fields)
{
  Member members[MOST_MEMBERS] = { 0 };

  train_together (f, members, 3, 0);
  g_assert_error (members[0].error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_FIELD);
  g_assert_nonnull (strstr (members[0].error->message, "“batch_size” must be a multiple of 3"));
  g_assert_error (members[1].error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_ELSEWHERE);
  members_clear (members);
}

static void
processes_with_different_jobs_are_refused (Fixture *f, gconstpointer fields)
{
  g_autoptr(FbDistillJob) other                 = new_job (f, 9, ", \"checkpoint_every\": 1");
  Member                  members[MOST_MEMBERS] = { [1] = { .job = other } };

  train_together (f, members, 2, 0);
  g_assert_error (members[0].error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_ELSEWHERE);
  g_assert_error (members[1].error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_TEAM);
  g_assert_nonnull (strstr (members[1].error->message, "process 2"));
  members_clear (members);
}

int
main (int argc, char **argv)
{
  static const struct { const char *name; void (* func) (Fixture *f, gconstpointer fields); } tests[] =
  {
    { "it-learns-what-one-process-learns", a_team_learns_what_one_process_learns },
    { "cards-learn-what-the-processor-learns", cards_learn_what_the_processor_learns },
    { "cards-that-lose-each-other-stop-all", cards_that_lose_each_other_stop_all },
    { "only-the-first-process-writes", only_the_first_process_writes },
    { "an-interrupt-of-one-pauses-all-at-the-same-step", an_interrupt_of_one_pauses_all_at_the_same_step },
    { "another-number-of-processes-goes-on", another_number_of_processes_goes_on },
    { "a-failure-of-one-stops-all-and-is-told-once", a_failure_of_one_stops_all_and_is_told_once },
    { "a-batch-that-cannot-be-shared-out-is-refused", a_batch_that_cannot_be_shared_out_is_refused },
    { "processes-with-different-jobs-are-refused", processes_with_different_jobs_are_refused },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/distill/team/one-process-has-nobody-to-wait-for", one_process_has_nobody_to_wait_for);
  g_test_add_func ("/core/distill/team/all-go-on-or-none", all_go_on_or_none);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/core/distill/team/", tests[i].name, NULL);

      g_test_add (path, Fixture, "", set_up, tests[i].func, tear_down);
    }
  return scratch_test_run ();
}
