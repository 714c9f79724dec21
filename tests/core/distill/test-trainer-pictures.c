/* tests/core/distill/test-trainer-pictures.c: the pictures that a job learns from. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/trainer-private.h"
#include "tests/core/distill/trainer-fixture.h"

static void
test_moved_pictures_are_the_same (TrainerFixture *f, gconstpointer fields)
{
  g_autofree char        *from    = g_build_filename (f->folder, "pics", NULL);
  g_autofree char        *to      = g_build_filename (f->folder, "elsewhere", NULL);
  g_autoptr(FbDistillJob) other   = NULL;
  g_autoptr(FbTrainer)    trainer = NULL;

  trainer_picture (f->folder, "pics/a.png", 64, 64);
  trainer_picture (f->folder, "pics/b.png", 70, 64);
  {
    g_autoptr(FbTrainer) first = trainer_of (f, f->job);

    trainer_steps (first, 1);
    g_assert_true (fb_trainer_save (first, NULL));
  }
  g_assert_cmpint (rename (from, to), ==, 0);
  trainer_write_job (f->folder, "job.json", "\"pictures\": \"elsewhere\"");
  other   = trainer_job (f->folder, "job.json");
  trainer = trainer_of (f, other);                            /* without a warning */
  g_assert_cmpint (fb_trainer_step_number (trainer), ==, 1);
}

/* pictures without captions among them */
static void
test_a_drawn_set_can_be_trained_on (TrainerFixture *f, gconstpointer fields)
{
  g_autofree char        *set     = g_build_filename (f->folder, "set", NULL);
  const FbDrawing         drawing = { FALSE, "ddim", 2, 0.0, 1 };
  g_autoptr(FbDistillJob) job     = NULL;
  g_autoptr(FbDataset)    data    = NULL;
  g_autoptr(GError)       error   = NULL;

  trainer_picture (f->folder, "pics/a.png", 64, 64);
  {
    g_autoptr(FbTrainer) trainer = trainer_of (f, f->job);

    g_assert_true (fb_trainer_draw_set (trainer, &drawing, set, 2, NULL, NULL, NULL, &error));
    g_assert_no_error (error);
  }
  trainer_write_job (f->folder, "next.json", "\"captions\": \"set/captions.tsv\"");
  job  = trainer_job (f->folder, "next.json");
  data = fb_dataset_new (job, 64, 64, 8, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (data->examples->len, ==, 2);
}

static void
count (gpointer data)
{
  ++*(int *) data;
}

/* somebody's picture does not wait until a thousand others are encoded */
static void
test_others_may_work_while_it_prepares (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;
  int                  n       = 0;

  trainer_picture (f->folder, "pics/a.png", 64, 64);
  trainer_picture (f->folder, "pics/b.png", 70, 64);
  trainer = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  fb_trainer_set_between (trainer, count, &n);
  g_assert_true (fb_trainer_prepare (trainer, NULL, NULL, NULL, NULL));
  g_assert_cmpint (n, >=, 4);                            /* two captions, two pictures */
}

static void
test_damaged_latents_are_made_anew (TrainerFixture *f, gconstpointer fields)
{
  trainer_picture (f->folder, "pics/a.png", 64, 64);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr(FbTrainer)  trainer = trainer_of (f, f->job);
      g_autofree char      *key     = g_strdup (trainer->latent_keys->pdata[0]);
      g_autofree char      *name    = g_strdup_printf ("%.2s/%s.safetensors", key, key);
      g_autofree char      *cache   = g_build_filename (g_get_user_cache_dir (), "flashbrush", "distill", NULL);

      trainer_steps (trainer, 1);
      scratch_write (cache, name, "half a file", -1);
    }
}

static void
test_pictures_of_many_shapes_train_together (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;

  trainer_picture (f->folder, "pics/a.png", 100, 100);
  trainer_picture (f->folder, "pics/b.png", 120, 70);
  trainer_picture (f->folder, "pics/c.png", 60, 110);
  scratch_write (f->folder, "pics/b.txt", "a cat\na dog\n", -1);
  scratch_write (f->folder, "pics/broken.png", "\x89PNG", -1);
  g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*broken.png*");
  trainer = trainer_of (f, f->job);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (trainer->data->examples->len, ==, 3);
  g_assert_cmpuint (trainer->latent_keys->len, ==, 3);
  trainer_steps (trainer, 3);
}

static void
test_a_broken_picture_is_left_out (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;

  trainer_picture (f->folder, "pics/a.png", 100, 100);
  scratch_write (f->folder, "pics/broken.png", "\x89PNG", -1);
  g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*broken.png*");
  trainer = trainer_of (f, f->job);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (trainer->data->examples->len, ==, 1);
}

static void
test_only_broken_pictures_are_an_error (TrainerFixture *f, gconstpointer fields)
{
  g_autoptr(FbTrainer) trainer = NULL;
  g_autoptr(GError)    error   = NULL;

  scratch_write (f->folder, "pics/broken.png", "\x89PNG", -1);
  g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*broken.png*");
  trainer = fb_trainer_new (f->job, f->teacher, f->dev, NULL);
  g_assert_false (fb_trainer_prepare (trainer, NULL, NULL, NULL, &error));
  g_test_assert_expected_messages ();
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA);
}

int
main (int argc, char **argv)
{
  static const TrainerTest tests[] =
  {
    { "moved-pictures-are-the-same", "\"pictures\": \"pics\"", test_moved_pictures_are_the_same },
    { "others-may-work-while-it-prepares", "\"pictures\": \"pics\"", test_others_may_work_while_it_prepares },
    { "damaged-latents-are-made-anew", "\"pictures\": \"pics\"", test_damaged_latents_are_made_anew },
    { "pictures-of-many-shapes-train-together", "\"pictures\": \"pics\", \"aspect_buckets\": true", test_pictures_of_many_shapes_train_together },
    { "a-broken-picture-is-left-out", "\"pictures\": \"pics\"", test_a_broken_picture_is_left_out },
    { "only-broken-pictures-are-an-error", "\"pictures\": \"pics\"", test_only_broken_pictures_are_an_error },
    { "a-drawn-set-can-be-trained-on", "\"pictures\": \"pics\"", test_a_drawn_set_can_be_trained_on },
  };

  g_test_init (&argc, &argv, NULL);
  trainer_add_tests (tests, G_N_ELEMENTS (tests));
  return scratch_test_run ();
}
