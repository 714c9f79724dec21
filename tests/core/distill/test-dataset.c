/* tests/core/distill/test-dataset.c: what a job learns from, and what is kept of it on disk. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>
#include <sys/stat.h>

#include "core/distill/cache.h"
#include "core/distill/dataset.h"
#include "core/formats/json-file.h"
#include "core/image/png.h"
#include "tests/core/scratch.h"

static FbDistillJob *
job_in (const char *folder, const char *source)
{
  g_autofree char       *text  = g_strdup_printf ("{ \"teacher\": \"t\", %s }", source);
  g_autofree char       *path  = g_build_filename (folder, "job.json", NULL);
  g_autoptr(GError)      error = NULL;
  g_autoptr(JsonObject)  json  = fb_json_parse_object (text, strlen (text), path, &error);
  FbDistillJob          *job   = fb_distill_job_parse (json, path, &error);

  g_assert_no_error (error);
  return job;
}

static void
write_picture (const char *folder, const char *name, int width, int height)
{
  g_autofree char    *path  = g_build_filename (folder, name, NULL);
  g_autofree char    *place = g_path_get_dirname (path);
  g_autoptr(FbImage)  image = fb_image_new (width, height, 3);

  memset (image->pixels, 0, fb_image_n_bytes (image));
  g_assert_cmpint (g_mkdir_with_parents (place, 0700), ==, 0);
  g_assert_true (fb_image_save_png (image, path, NULL));
}

static FbExample *
example (FbDataset *data, guint i)
{
  g_assert_cmpuint (i, <, data->examples->len);
  return data->examples->pdata[i];
}

static void
test_a_folder_is_read_in_the_order_of_names (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(FbDistillJob) job    = job_in (folder, "\"pictures\": \"pics\"");
  g_autoptr(FbDataset)    data   = NULL;
  g_autoptr(GError)       error  = NULL;

  write_picture (folder, "pics/b.png", 4, 4);
  write_picture (folder, "pics/a.png", 4, 4);
  write_picture (folder, "pics/more/c.png", 4, 4);
  scratch_write (folder, "pics/a.txt", "a cat\n\n  a tabby cat  \n", -1);
  scratch_write (folder, "pics/notes.txt", "no picture", -1);
  data = fb_dataset_new (job, 64, 64, 8, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (data->examples->len, ==, 3);
  g_assert_true (g_str_has_suffix (example (data, 0)->path, "pics/a.png"));
  g_assert_cmpint (example (data, 0)->n_captions, ==, 2);
  g_assert_cmpstr (example (data, 0)->captions[1], ==, "a tabby cat");
  g_assert_cmpstr (example (data, 1)->captions[0], ==, "");
  g_assert_true (g_str_has_suffix (example (data, 2)->path, "more/c.png"));
  g_assert_cmpint (example (data, 0)->width, ==, 64);
}

static void
test_a_table_gives_pictures_their_captions (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(FbDistillJob) job    = job_in (folder, "\"captions\": \"captions.tsv\"");
  g_autoptr(FbDataset)    data   = NULL;
  g_autoptr(GError)       error  = NULL;

  scratch_write (folder, "captions.tsv", "pics/b.png\ta dog\n\npics/a.png\ta cat\r\npics/b.png\ta big dog\n \t\npics/c.png\t\npics/d.png\t \r\n", -1);
  data = fb_dataset_new (job, 64, 64, 8, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (data->examples->len, ==, 4);
  g_assert_cmpint (example (data, 0)->n_captions, ==, 2);
  g_assert_cmpstr (example (data, 0)->captions[1], ==, "a big dog");
  g_assert_true (g_str_has_suffix (example (data, 2)->path, "pics/c.png"));
  g_assert_cmpstr (example (data, 2)->captions[0], ==, "");                 /* the tab says so */
  g_assert_cmpstr (example (data, 3)->captions[0], ==, "");
  g_assert_cmpstr (example (data, 1)->captions[0], ==, "a cat");
}

static void
test_prompts_need_no_pictures (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(FbDistillJob) job    = job_in (folder, "\"prompts\": [ \"a\", \"b\" ], \"pictures_per_prompt\": 3");
  g_autoptr(FbDataset)    data   = fb_dataset_new (job, 64, 64, 8, NULL);

  g_assert_cmpuint (data->examples->len, ==, 6);
  g_assert_null (example (data, 4)->path);
  g_assert_cmpint (example (data, 4)->number, ==, 1);
  g_assert_cmpstr (example (data, 4)->captions[0], ==, "b");
}

static const struct { const char *source, *file, *text, *words; } bad[] =
{
  { "\"pictures\": \"nowhere\"", NULL, NULL, "nowhere" },
  { "\"pictures\": \".\"", NULL, NULL, "nothing to learn" },
  { "\"captions\": \"nowhere.tsv\"", NULL, NULL, "nowhere.tsv" },
  { "\"captions\": \"c.tsv\"", "c.tsv", "a.png\ta\nb.png b\n", "line 2" },
  { "\"captions\": \"c.tsv\"", "c.tsv", "a.png\t\xff\n", "UTF-8" },
  { "\"captions\": \"c.tsv\"", "c.tsv", "\n\n", "nothing to learn" },
  { "\"prompt_file\": \"p.txt\"", "p.txt", " \n", "nothing to learn" },
  { "\"prompt_file\": \"nowhere.txt\"", NULL, NULL, "nowhere.txt" },
};

static void
test_bad_data_is_named (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr(Scratch)      folder = scratch_new ();
      g_autoptr(FbDistillJob) job    = job_in (folder, bad[i].source);
      g_autoptr(GError)       error  = NULL;

      if (bad[i].file != NULL)
        scratch_write (folder, bad[i].file, bad[i].text, -1);
      g_assert_null (fb_dataset_new (job, 64, 64, 8, &error));
      g_test_message ("%s", error->message);
      g_assert_nonnull (strstr (error->message, bad[i].words));
    }
}

static void
test_buckets_keep_aspect_and_area (void)
{
  static const struct { int width, height, bucket_width, bucket_height; } cases[] =
  {
    { 800, 800, 512, 512 }, { 1600, 900, 640, 384 }, { 900, 1600, 384, 640 }, { 4000, 10, 0, 0 }, { 512, 513, 512, 512 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      int w, h;

      fb_bucket_size (cases[i].width, cases[i].height, 512, 512, 64, &w, &h);
      g_assert_cmpint (w % 64, ==, 0);
      g_assert_cmpint (h % 64, ==, 0);
      g_assert_cmpint (w * h, <=, 512 * 512);
      g_assert_cmpint (w * h, >, 512 * 512 * 3 / 4);
      g_assert_true (w <= 2 * h && h <= 2 * w);
      if (cases[i].width < 4000)
        {
          g_assert_cmpint (w, ==, cases[i].bucket_width);
          g_assert_cmpint (h, ==, cases[i].bucket_height);
        }
    }
}

static void
test_an_unreadable_picture_is_named_and_left_out (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(FbDistillJob) job    = job_in (folder, "\"pictures\": \"pics\", \"aspect_buckets\": true");
  g_autoptr(FbDataset)    data   = NULL;

  write_picture (folder, "pics/a.png", 32, 16);
  scratch_write (folder, "pics/broken.png", "\x89PNG\r\n", -1);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING, "*broken.png*");
  data = fb_dataset_new (job, 64, 64, 8, NULL);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (data->examples->len, ==, 1);
  g_assert_cmpint (example (data, 0)->width, ==, 80);
  g_assert_cmpint (example (data, 0)->height, ==, 48);
}

/* what eval writes, given as a folder: the table serves where no .txt does */
/* names as other systems wrote them are no UTF-8; errors, which cross to GIMP, are */
static void
test_errors_are_utf8_whatever_files_are_called (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(FbDistillJob) job    = job_in (folder, "\"pictures\": \"pics\"");
  g_autoptr(GError)       error  = NULL;

  write_picture (folder, "pics/b\xe4r.png", 32, 16);
  scratch_write (folder, "pics/b\xe4r.txt", "ein B\xe4r\n", -1);
  g_assert_null (fb_dataset_new (job, 64, 64, 8, &error));
  g_assert_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

static void
test_a_folders_table_is_read (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(FbDistillJob) job    = job_in (folder, "\"pictures\": \"pics\"");
  g_autoptr(FbDataset)    data   = NULL;
  g_autoptr(GError)       error  = NULL;

  write_picture (folder, "pics/a.png", 32, 16);
  write_picture (folder, "pics/b.png", 32, 16);
  write_picture (folder, "pics/c.png", 32, 16);
  scratch_write (folder, "pics/b.txt", "a dog\n", -1);
  scratch_write (folder, "pics/captions.tsv", "a.png\ta cat\na.png\ta pet\nb.png\tsomething\n", -1);
  data = fb_dataset_new (job, 64, 64, 8, NULL);
  g_assert_cmpuint (data->examples->len, ==, 3);
  g_assert_cmpint (example (data, 0)->n_captions, ==, 2);
  g_assert_cmpstr (example (data, 0)->captions[1], ==, "a pet");
  g_assert_cmpstr (example (data, 1)->captions[0], ==, "a dog");
  g_assert_cmpstr (example (data, 2)->captions[0], ==, "");

  g_clear_pointer (&data, fb_dataset_free);
  scratch_write (folder, "pics/captions.tsv", "a.png\n", -1);
  g_assert_null (fb_dataset_new (job, 64, 64, 8, &error));
  g_assert_nonnull (strstr (error->message, "captions.tsv"));
}

static void
test_hidden_files_are_no_pictures (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(FbDistillJob) job    = job_in (folder, "\"pictures\": \"pics\"");
  g_autoptr(FbDataset)    data   = NULL;

  write_picture (folder, "pics/a.png", 32, 16);
  write_picture (folder, "pics/.thumbnails/a.png", 32, 16);
  scratch_write (folder, "pics/._a.png", "resource fork", -1);
  data = fb_dataset_new (job, 64, 64, 8, NULL);
  g_assert_cmpuint (data->examples->len, ==, 1);
}

/* Windows' Notepad: a byte order mark before, CR LF after each line */
static void
test_texts_of_other_systems_read_the_same (void)
{
  g_autoptr(Scratch)      folder = scratch_new ();
  g_autoptr(FbDistillJob) job    = job_in (folder, "\"captions\": \"c.tsv\"");
  g_autoptr(FbDistillJob) beside = job_in (folder, "\"pictures\": \"pics\"");
  g_autofree char        *path   = g_build_filename (folder, "a.png", NULL);
  g_autoptr(FbDataset)    table  = NULL, pictures = NULL;

  scratch_write (folder, "c.tsv", "\xef\xbb\xbf" "a.png\ta cat\r\n", -1);
  table = fb_dataset_new (job, 64, 64, 8, NULL);
  g_assert_cmpstr (example (table, 0)->path, ==, path);
  g_assert_cmpstr (example (table, 0)->captions[0], ==, "a cat");

  write_picture (folder, "pics/a.png", 32, 16);
  scratch_write (folder, "pics/a.txt", "\xef\xbb\xbf" "a dog\r\n", -1);
  pictures = fb_dataset_new (beside, 64, 64, 8, NULL);
  g_assert_cmpstr (example (pictures, 0)->captions[0], ==, "a dog");
}

static void
test_a_crop_covers_and_keeps_the_middle (void)
{
  g_autoptr(FbImage) image = fb_image_new (40, 10, 3);
  g_autoptr(FbImage) out   = NULL;

  for (int y = 0; y < 10; y++)
    for (int x = 0; x < 40; x++)
      for (int c = 0; c < 3; c++)
        image->pixels[(y * 40 + x) * 3 + c] = x >= 15 && x < 25 ? 1.0f : 0.0f;
  out = fb_crop_to_size (image, 20, 20);
  g_assert_cmpint (out->width, ==, 20);
  g_assert_cmpint (out->height, ==, 20);
  for (int x = 2; x < 18; x++)
    g_assert_cmpfloat (out->pixels[(10 * 20 + x) * 3], >, 0.9f);
}

static void
test_a_cache_keeps_what_it_was_given (void)
{
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autoptr(FbCache)  cache  = fb_cache_new (folder);
  g_autofree char    *key    = fb_cache_key ("file", "model", "64×64", NULL);
  g_autofree char    *other  = fb_cache_key ("filem", "odel", "64×64", NULL);
  const float         values[3] = { 1.5f, -2.0f, 3.25f };
  float               back[3];
  g_autoptr(GError)   error = NULL;

  g_assert_cmpstr (key, !=, other);
  g_assert_false (fb_cache_has (cache, key, 3));
  g_assert_false (fb_cache_get (cache, key, back, 3));
  g_assert_true (fb_cache_put (cache, key, values, 3, &error));
  g_assert_no_error (error);
  g_assert_true (fb_cache_has (cache, key, 3));
  g_assert_true (fb_cache_get (cache, key, back, 3));
  g_assert_cmpmem (back, sizeof back, values, sizeof values);
  g_assert_false (fb_cache_get (cache, key, back, 2));
  g_assert_false (fb_cache_has (cache, other, 3));
}

static void
test_a_damaged_file_counts_as_absent (void)
{
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autoptr(FbCache)  cache  = fb_cache_new (folder);
  g_autofree char    *key    = fb_cache_key ("a", NULL);
  g_autofree char    *name   = g_strdup_printf ("%.2s/%s.safetensors", key, key);
  const float         values[3] = { 1.0f, 2.0f, 3.0f };
  float               back[3];

  g_assert_true (fb_cache_put (cache, key, values, 3, NULL));
  scratch_write (folder, name, "half a file", -1);
  g_assert_false (fb_cache_get (cache, key, back, 3));
  g_assert_false (fb_cache_has (cache, key, 3));
  g_assert_true (fb_cache_put (cache, key, values, 3, NULL));
  g_assert_true (fb_cache_get (cache, key, back, 3));
}

static void
test_a_cache_that_cannot_be_written_says_so (void)
{
  g_autoptr(Scratch)  folder = scratch_new ();
  g_autofree char    *file   = g_build_filename (folder, "file", NULL);
  g_autoptr(FbCache)  cache  = fb_cache_new (file);                 /* a folder below a file: not even root can make it */
  g_autofree char    *key    = fb_cache_key ("a", NULL);
  const float         value  = 1.0f;
  g_autoptr(GError)   error  = NULL;

  scratch_write (folder, "file", "", 0);
  g_assert_false (fb_cache_put (cache, key, &value, 1, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO);
  g_assert_nonnull (strstr (error->message, file));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/distill/dataset/a-folder-is-read-in-the-order-of-names", test_a_folder_is_read_in_the_order_of_names);
  g_test_add_func ("/core/distill/dataset/a-table-gives-pictures-their-captions", test_a_table_gives_pictures_their_captions);
  g_test_add_func ("/core/distill/dataset/prompts-need-no-pictures", test_prompts_need_no_pictures);
  g_test_add_func ("/core/distill/dataset/bad-data-is-named", test_bad_data_is_named);
  g_test_add_func ("/core/distill/dataset/buckets-keep-aspect-and-area", test_buckets_keep_aspect_and_area);
  g_test_add_func ("/core/distill/dataset/an-unreadable-picture-is-named-and-left-out", test_an_unreadable_picture_is_named_and_left_out);
  g_test_add_func ("/core/distill/dataset/errors-are-utf8-whatever-files-are-called", test_errors_are_utf8_whatever_files_are_called);
  g_test_add_func ("/core/distill/dataset/a-folders-table-is-read", test_a_folders_table_is_read);
  g_test_add_func ("/core/distill/dataset/hidden-files-are-no-pictures", test_hidden_files_are_no_pictures);
  g_test_add_func ("/core/distill/dataset/texts-of-other-systems-read-the-same", test_texts_of_other_systems_read_the_same);
  g_test_add_func ("/core/distill/dataset/a-crop-covers-and-keeps-the-middle", test_a_crop_covers_and_keeps_the_middle);
  g_test_add_func ("/core/distill/cache/keeps-what-it-was-given", test_a_cache_keeps_what_it_was_given);
  g_test_add_func ("/core/distill/cache/a-damaged-file-counts-as-absent", test_a_damaged_file_counts_as_absent);
  g_test_add_func ("/core/distill/cache/that-cannot-be-written-says-so", test_a_cache_that_cannot_be_written_says_so);
  return g_test_run ();
}
