/* tests/core/test-store.c: finding models by name and path. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "core/formats/safetensors-writer.h"
#include "core/store/store.h"
#include "tests/core/scratch.h"

/* A folder in the place of the installed models, one in the user's own place; both removed after each test. */
typedef struct
{
  char *embedded;
  char *own;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->embedded = scratch_new ();
  f->own      = g_build_filename (g_get_user_data_dir (), "flashbrush", NULL);
  g_setenv ("FLASHBRUSH_MODELS_PATH", f->embedded, TRUE);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_autofree char *conf = g_build_filename (g_get_user_config_dir (), "flashbrush", "folders.conf", NULL);

  scratch_free (f->embedded);
  if (g_file_test (f->own, G_FILE_TEST_EXISTS))
    scratch_free (g_steal_pointer (&f->own));
  g_free (f->own);
  g_unlink (conf);
}

static void
assert_names (FbStore *store, FbStoreKind kind, const char *expected)
{
  g_autoptr(GPtrArray) entries = fb_store_list (store, kind);
  g_autoptr(GString)   names   = g_string_new (NULL);

  for (guint i = 0; i < entries->len; i++)
    g_string_append_printf (names, "%s%s", i > 0 ? ", " : "", ((FbStoreEntry *) entries->pdata[i])->name);
  g_assert_cmpstr (names->str, ==, expected);
}

static void
assert_resolves (FbStore *store, FbStoreKind kind, const char *name, const char *folder, const char *file)
{
  g_autoptr(GError) error    = NULL;
  g_autofree char  *path     = fb_store_resolve (store, kind, name, &error);
  g_autofree char  *expected = g_build_filename (folder, file, NULL);

  g_assert_no_error (error);
  g_assert_cmpstr (path, ==, expected);
}

static void
test_folders_and_files_are_models (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore)   store   = fb_store_new ();
  g_autoptr(GPtrArray) entries = NULL;
  FbStoreEntry        *first;

  scratch_write (f->embedded, "starter/model_index.json", "{}", 2);
  scratch_write (f->embedded, "starter/unet/diffusion_pytorch_model.safetensors", "12345678", 8);
  scratch_write (f->embedded, "starter/vae/diffusion_pytorch_model.safetensors", "12345678", 8);
  scratch_write (f->embedded, "no-index/unet/diffusion_pytorch_model.safetensors", "", 0);
  scratch_write (f->embedded, "notes.txt", "", 0);
  scratch_write (f->embedded, ".hidden.safetensors", "", 0);
  scratch_write (f->own, "models/mine.safetensors", "123", 3);
  scratch_write (f->own, "models/photo/deep/er/real.v2.safetensors", "", 0);
  scratch_write (f->own, "models/old.ckpt", "", 0);
  assert_names (store, FB_STORE_MODELS, "no-index, starter, mine, real.v2");

  entries = fb_store_list (store, FB_STORE_MODELS);
  first   = entries->pdata[1];
  g_assert_cmpuint (first->n_bytes, ==, 18);
  g_assert_true (first->is_embedded);
  g_assert_false (((FbStoreEntry *) entries->pdata[2])->is_embedded);
}

static void
test_each_kind_has_its_folder (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store = fb_store_new ();

  scratch_write (f->own, "loras/style.safetensors", "", 0);
  scratch_write (f->own, "loras/peft/adapter_model.safetensors", "", 0);
  scratch_write (f->own, "vae/mse.safetensors", "", 0);
  scratch_write (f->own, "taesd/pair/taesd_decoder.safetensors", "", 0);
  scratch_write (f->own, "taesd/pair/taesd_encoder.safetensors", "", 0);
  assert_names (store, FB_STORE_MODELS, "");
  assert_names (store, FB_STORE_LORAS, "peft, style");
  assert_names (store, FB_STORE_VAE, "mse");
  assert_names (store, FB_STORE_TAESD, "pair");
}

static void
test_names_and_paths_are_resolved (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store    = fb_store_new ();
  g_autoptr(Scratch) other    = scratch_new ();
  g_autofree char   *elsewhere = g_build_filename (other, "x.safetensors", NULL);

  scratch_write (f->embedded, "starter/model_index.json", "{}", 2);
  scratch_write (f->own, "models/Mine.safetensors", "", 0);
  scratch_write (other, "x.safetensors", "", 0);
  assert_resolves (store, FB_STORE_MODELS, "starter", f->embedded, "starter");
  assert_resolves (store, FB_STORE_MODELS, "", f->embedded, "starter");
  assert_resolves (store, FB_STORE_MODELS, "mine", f->own, "models/Mine.safetensors");
  assert_resolves (store, FB_STORE_MODELS, "Mine.safetensors", f->own, "models/Mine.safetensors");
  assert_resolves (store, FB_STORE_MODELS, elsewhere, other, "x.safetensors");
}

static void
test_unknown_names_bring_the_nearest (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store = fb_store_new ();
  g_autoptr(GError)  near  = NULL, far = NULL, path = NULL, none = NULL, nonsense = NULL;

  scratch_write (f->own, "models/realistic-v5.safetensors", "", 0);
  scratch_write (f->own, "models/anything.safetensors", "", 0);

  g_assert_null (fb_store_resolve (store, FB_STORE_MODELS, "realistc-v5", &near));
  g_assert_error (near, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (near->message, "“realistc-v5”"));
  g_assert_nonnull (strstr (near->message, "“realistic-v5”"));
  g_assert_null (strstr (near->message, "anything"));

  g_assert_null (fb_store_resolve (store, FB_STORE_MODELS, "qqqq", &nonsense));        /* near to none: all are told */
  g_assert_error (nonsense, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (nonsense->message, "“anything”, “realistic-v5”"));

  g_assert_null (fb_store_resolve (store, FB_STORE_LORAS, "realistic-v5", &far));
  g_assert_error (far, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (far->message, "/loras”"));                                  /* where one would go */
  g_assert_null (fb_store_resolve (store, FB_STORE_MODELS, "/no/such/file.safetensors", &path));
  g_assert_error (path, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (path->message, "/no/such/file.safetensors"));
  g_assert_null (fb_store_resolve (store, FB_STORE_VAE, "", &none));
  g_assert_error (none, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
}

static void
test_without_any_model_it_says_where_one_goes (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store  = fb_store_new ();
  g_autoptr(GError)  error  = NULL;
  g_autofree char   *folder = g_build_filename (f->own, "models", NULL);

  g_assert_null (fb_store_resolve (store, FB_STORE_MODELS, "", &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "no model yet"));
  g_assert_nonnull (strstr (error->message, folder));
}

static void
test_equal_names_are_told_apart (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store = fb_store_new ();

  scratch_write (f->own, "models/a/same.safetensors", "", 0);
  scratch_write (f->own, "models/b/same.safetensors", "", 0);
  scratch_write (f->own, "models/c/b/same.safetensors", "", 0);
  assert_names (store, FB_STORE_MODELS, "same, same (b), same (2)");
  assert_resolves (store, FB_STORE_MODELS, "same (b)", f->own, "models/b/same.safetensors");
}

static void
test_added_folders_are_remembered (Fixture *f, gconstpointer data)
{
  g_autoptr(Scratch) other = scratch_new ();
  g_autofree char   *gone  = g_build_filename (other, "gone", NULL);
  g_autoptr(GError)  error = NULL;

  scratch_write (other, "a;b/loose.safetensors", "", 0);
  {
    g_autoptr(FbStore) store = fb_store_new ();
    g_autofree char   *odd   = g_build_filename (other, "a;b", NULL);

    g_assert_true (fb_store_add_folder (store, FB_STORE_LORAS, odd, &error));
    g_assert_true (fb_store_add_folder (store, FB_STORE_LORAS, odd, &error));
    g_assert_cmpuint (g_strv_length ((char **) fb_store_folders (store, FB_STORE_LORAS)), ==, 1);
    assert_names (store, FB_STORE_LORAS, "loose");
    assert_names (store, FB_STORE_MODELS, "");
    g_assert_false (fb_store_add_folder (store, FB_STORE_LORAS, gone, &error));
    g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
    g_clear_error (&error);
  }
  {
    g_autoptr(FbStore) store = fb_store_new ();

    assert_names (store, FB_STORE_LORAS, "loose");
    g_assert_true (fb_store_remove_folder (store, FB_STORE_LORAS, fb_store_folders (store, FB_STORE_LORAS)[0], &error));
    g_assert_true (fb_store_remove_folder (store, FB_STORE_LORAS, gone, &error));
  }
  {
    g_autoptr(FbStore) store = fb_store_new ();

    assert_names (store, FB_STORE_LORAS, "");
  }
}

static void
test_a_list_that_cannot_be_saved_stays (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store = fb_store_new ();
  g_autoptr(GError)  error = NULL;
  g_autofree char   *conf  = g_build_filename (g_get_user_config_dir (), "flashbrush", "folders.conf", NULL);

  g_assert_cmpint (g_mkdir_with_parents (conf, 0700), ==, 0);        /* a folder where the file should go */
  g_assert_false (fb_store_add_folder (store, FB_STORE_MODELS, f->embedded, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO);
  g_assert_nonnull (strstr (error->message, conf));
  g_assert_cmpuint (g_strv_length ((char **) fb_store_folders (store, FB_STORE_MODELS)), ==, 0);
  g_assert_cmpint (g_rmdir (conf), ==, 0);
}

/* what is written over in place leaves the folder's time as it was */
static void
test_a_stamp_is_of_all_files (Fixture *f, gconstpointer data)
{
  static const char * const files[] = { "unet/a.safetensors", "vae/a.safetensors", "text_encoder/a.safetensors", "scheduler/config.json", "flashbrush.json" };
  g_autofree char          *model   = g_build_filename (f->embedded, "starter", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    scratch_write (model, files[i], "123", 3);
  scratch_write (model, "samples/cat.png", "123", 3);

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autofree char *before = fb_store_stamp (model);
      g_autofree char *again  = fb_store_stamp (model);
      g_autofree char *path   = g_build_filename (model, files[i], NULL);
      g_autofree char *after  = NULL;
      g_autoptr(GFile) file   = g_file_new_for_path (path);
      g_autoptr(GFileOutputStream) stream = g_file_append_to (file, G_FILE_CREATE_NONE, NULL, NULL);

      g_assert_cmpstr (before, ==, again);
      g_assert_true (g_output_stream_write_all (G_OUTPUT_STREAM (stream), "4", 1, NULL, NULL, NULL));
      g_assert_true (g_output_stream_close (G_OUTPUT_STREAM (stream), NULL, NULL));
      after = fb_store_stamp (model);
      g_assert_cmpstr (before, !=, after);
    }
  {
    g_autofree char *before = fb_store_stamp (model);
    g_autofree char *after  = NULL;

    scratch_write (model, "samples/dog.png", "123", 3);
    after = fb_store_stamp (model);
    g_assert_cmpstr (before, ==, after);                   /* a picture is no part of the model */
  }
}

/* --- bringing in, and taking away --------------------------------------------------------------------------------------- */

/* (transfer full): @folder/name */
static char *
in (const char *folder, const char *name)
{
  return g_build_filename (folder, name, NULL);
}

static FbStoreEntry *
add (FbStore *store, FbStoreKind kind, const char *path, gboolean copy)
{
  g_autoptr(GError)  error = NULL;
  FbStoreEntry      *entry = fb_store_add (store, kind, path, copy, NULL, &error);

  g_assert_no_error (error);
  return entry;
}

static FbStoreRemoval
take_away (FbStore *store, FbStoreKind kind, const char *name)
{
  g_autoptr(GError)        error   = NULL;
  g_autoptr(FbStoreEntry)  entry   = fb_store_find (store, kind, name, &error);
  FbStoreRemoval           removal = FB_STORE_DELETED;

  g_assert_no_error (error);
  fb_store_remove (store, entry, &removal, &error);
  g_assert_no_error (error);
  return removal;
}

static gboolean
exists (const char *folder, const char *name)
{
  g_autofree char *path = in (folder, name);
  GStatBuf         st;

  return g_lstat (path, &st) == 0;
}

static void
test_files_are_used_where_they_lie (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore)      store = fb_store_new ();
  g_autoptr(Scratch)      other = scratch_new ();
  g_autofree char        *file  = in (other, "big.safetensors");
  g_autofree char        *model = in (other, "folder");
  g_autoptr(FbStoreEntry) a = NULL, b = NULL, again = NULL, through = NULL;

  scratch_write (other, "big.safetensors", "123", 3);
  scratch_write (other, "folder/model_index.json", "{}", 2);
  a = add (store, FB_STORE_MODELS, file, FALSE);
  b = add (store, FB_STORE_MODELS, model, FALSE);
  g_assert_cmpstr (a->name, ==, "big");
  g_assert_cmpstr (a->target, ==, file);
  g_assert_true (a->is_own);
  g_assert_cmpuint (a->n_bytes, ==, 3);
  g_assert_true (g_file_test (a->path, G_FILE_TEST_IS_SYMLINK));
  g_assert_cmpstr (b->name, ==, "folder");
  again   = add (store, FB_STORE_MODELS, file, FALSE);
  through = add (store, FB_STORE_MODELS, a->path, FALSE);
  assert_names (store, FB_STORE_MODELS, "big, folder");

  g_assert_cmpint (take_away (store, FB_STORE_MODELS, "big"), ==, FB_STORE_FORGOTTEN);
  g_assert_cmpint (take_away (store, FB_STORE_MODELS, model), ==, FB_STORE_FORGOTTEN);
  assert_names (store, FB_STORE_MODELS, "");
  g_assert_true (exists (other, "big.safetensors"));
  g_assert_true (exists (other, "folder/model_index.json"));
}

static void
test_copies_are_the_stores_own (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore)      store = fb_store_new ();
  g_autoptr(Scratch)      other = scratch_new ();
  g_autofree char        *file  = in (other, "ink.safetensors");
  g_autofree char        *loras = in (f->own, "loras");
  g_autoptr(FbStoreEntry) entry = NULL;
  g_autoptr(GError)       error = NULL;

  scratch_write (other, "ink.safetensors", "123", 3);
  entry = add (store, FB_STORE_LORAS, file, TRUE);
  g_assert_null (entry->target);
  g_assert_false (g_file_test (entry->path, G_FILE_TEST_IS_SYMLINK));
  g_assert_cmpint (scratch_count (loras), ==, 1);
  g_assert_null (fb_store_add (store, FB_STORE_LORAS, other, TRUE, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED);
  g_assert_cmpint (scratch_count (loras), ==, 1);

  g_assert_cmpint (take_away (store, FB_STORE_LORAS, "ink"), ==, FB_STORE_DELETED);
  g_assert_cmpint (scratch_count (loras), ==, 0);
  g_assert_true (exists (other, "ink.safetensors"));
}

static void
test_a_cancelled_copy_leaves_nothing (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore)      store       = fb_store_new ();
  g_autoptr(Scratch)      other       = scratch_new ();
  g_autofree char        *file        = in (other, "ink.safetensors");
  g_autofree char        *loras       = in (f->own, "loras");
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError)       error       = NULL;

  scratch_write (other, "ink.safetensors", "123", 3);
  g_cancellable_cancel (cancellable);
  g_assert_null (fb_store_add (store, FB_STORE_LORAS, file, TRUE, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (scratch_count (loras), ==, 0);
}

static void
test_a_taken_name_gets_a_number (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore)      store = fb_store_new ();
  g_autoptr(Scratch)      other = scratch_new ();
  g_autofree char        *first = in (other, "a/same.safetensors"), *second = in (other, "b/same.safetensors");
  g_autoptr(FbStoreEntry) a = NULL, b = NULL;

  scratch_write (other, "a/same.safetensors", "1", 1);
  scratch_write (other, "b/same.safetensors", "2", 1);
  a = add (store, FB_STORE_LORAS, first, FALSE);
  b = add (store, FB_STORE_LORAS, second, TRUE);
  g_assert_cmpstr (a->name, ==, "same");
  g_assert_cmpstr (b->name, ==, "same (2)");
}

static void
test_what_is_missing_can_only_be_removed (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore)      store = fb_store_new ();
  g_autoptr(Scratch)      other = scratch_new ();
  g_autofree char        *file  = in (other, "a.safetensors");
  g_autoptr(FbStoreEntry) entry = NULL, gone = NULL;
  g_autoptr(GError)       error = NULL;

  scratch_write (other, "a.safetensors", "1", 1);
  entry = add (store, FB_STORE_MODELS, file, FALSE);
  g_assert_cmpint (g_unlink (file), ==, 0);
  gone = fb_store_find (store, FB_STORE_MODELS, "a", &error);
  g_assert_no_error (error);
  g_assert_true (gone->is_missing);
  g_assert_null (fb_store_resolve (store, FB_STORE_MODELS, "", &error));
  g_clear_error (&error);
  g_assert_null (fb_store_add (store, FB_STORE_MODELS, file, FALSE, NULL, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_cmpint (take_away (store, FB_STORE_MODELS, "a"), ==, FB_STORE_FORGOTTEN);
  assert_names (store, FB_STORE_MODELS, "");
}

static void
test_what_lies_in_added_folders_is_only_forgotten (Fixture *f, gconstpointer data)
{
  g_autoptr(Scratch) other = scratch_new ();
  g_autofree char   *file  = in (other, "a.safetensors");
  g_autofree char   *model = in (other, "sub/folder");
  g_autoptr(GError)  error = NULL;

  scratch_write (other, "a.safetensors", "1", 1);
  scratch_write (other, "b.safetensors", "1", 1);
  scratch_write (other, "sub/folder/model_index.json", "{}", 2);
  {
    g_autoptr(FbStore) store = fb_store_new ();

    g_assert_true (fb_store_add_folder (store, FB_STORE_MODELS, other, &error));
    g_assert_cmpint (take_away (store, FB_STORE_MODELS, "a"), ==, FB_STORE_FORGOTTEN);
    g_assert_cmpint (take_away (store, FB_STORE_MODELS, "folder"), ==, FB_STORE_FORGOTTEN);
    assert_names (store, FB_STORE_MODELS, "b");
  }
  {
    g_autoptr(FbStore)      store = fb_store_new ();
    g_autoptr(FbStoreEntry) entry = NULL;

    assert_names (store, FB_STORE_MODELS, "b");
    entry = add (store, FB_STORE_MODELS, file, FALSE);
    g_assert_cmpstr (entry->path, ==, file);
    assert_names (store, FB_STORE_MODELS, "a, b");
    g_assert_true (exists (model, "model_index.json"));
  }
}

static void
test_a_folder_of_one_model_goes_as_a_whole (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store = fb_store_new ();
  g_autoptr(Scratch) other = scratch_new ();
  g_autofree char   *model = in (other, "folder");
  g_autoptr(GError)  error = NULL;

  scratch_write (other, "folder/model_index.json", "{}", 2);
  g_assert_true (fb_store_add_folder (store, FB_STORE_MODELS, model, &error));
  take_away (store, FB_STORE_MODELS, "folder");
  g_assert_cmpuint (g_strv_length ((char **) fb_store_folders (store, FB_STORE_MODELS)), ==, 0);
  g_assert_true (exists (model, "model_index.json"));
}

static void
test_deleting_follows_no_links (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store  = fb_store_new ();
  g_autoptr(Scratch) other  = scratch_new ();
  g_autofree char   *inside = in (f->own, "models/mine/unet"), *linked = in (f->own, "models/all"), *kept = in (other, "kept");

  scratch_write (other, "kept/b.safetensors", "1", 1);
  scratch_write (f->own, "models/mine/model_index.json", "{}", 2);
  g_assert_cmpint (symlink (kept, inside), ==, 0);
  g_assert_cmpint (symlink (kept, linked), ==, 0);
  assert_names (store, FB_STORE_MODELS, "b, mine");
  g_assert_cmpint (take_away (store, FB_STORE_MODELS, "mine"), ==, FB_STORE_DELETED);
  g_assert_cmpint (take_away (store, FB_STORE_MODELS, "b"), ==, FB_STORE_FORGOTTEN);      /* seen through a linked folder */
  assert_names (store, FB_STORE_MODELS, "");
  g_assert_true (exists (kept, "b.safetensors"));
}

static void
test_what_came_along_stays (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore)      store   = fb_store_new ();
  g_autoptr(GError)       error   = NULL;
  g_autoptr(FbStoreEntry) entry   = NULL;
  FbStoreRemoval          removal = FB_STORE_DELETED;

  scratch_write (f->embedded, "starter/model_index.json", "{}", 2);
  entry = fb_store_find (store, FB_STORE_MODELS, "starter", &error);
  g_assert_no_error (error);
  g_assert_false (fb_store_remove (store, entry, &removal, &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED);
  assert_names (store, FB_STORE_MODELS, "starter");
}

static void
assert_default (FbStore *store, const char *task, const char *folder, const char *file)
{
  g_autoptr(GError) error    = NULL;
  g_autofree char  *path     = fb_store_resolve_for (store, task, "", &error);
  g_autofree char  *expected = in (folder, file);

  g_assert_no_error (error);
  g_assert_cmpstr (path, ==, expected);
}

static void
test_each_task_has_its_default (Fixture *f, gconstpointer data)
{
  g_autoptr(GError) error = NULL;

  scratch_write (f->embedded, "starter/model_index.json", "{}", 2);
  scratch_write (f->own, "models/paint.safetensors", "1", 1);
  {
    g_autoptr(FbStore) store = fb_store_new ();

    assert_default (store, "inpaint", f->embedded, "starter");
    g_assert_true (fb_store_set_default (store, "inpaint", "paint", &error));
    g_assert_false (fb_store_set_default (store, "inpaint", "pain", &error));
    g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
    g_clear_error (&error);
    g_assert_false (fb_store_set_default (store, "inpiant", "paint", &error));
    g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
    g_assert_nonnull (strstr (error->message, "“inpaint”"));
    g_clear_error (&error);
  }
  {
    g_autoptr(FbStore) store = fb_store_new ();

    assert_default (store, "inpaint", f->own, "models/paint.safetensors");
    assert_default (store, "generate", f->embedded, "starter");
    take_away (store, FB_STORE_MODELS, "paint");
    assert_default (store, "inpaint", f->embedded, "starter");
    g_assert_null (fb_store_default (store, "inpaint"));
  }
}

/* The header of a UNet with these sizes, enough to tell its family; @block: where it attends to the prompt first */
static void
write_unet (const char *path, int in_channels, int context, const char *block, gboolean classes)
{
  g_autoptr(FbSafetensorsWriter) writer = fb_safetensors_writer_new (path);
  g_autoptr(GError)              error  = NULL;
  const gint64                   conv[] = { 1, in_channels, 3, 3 }, to_k[] = { 1, context }, rows[] = { 1, 1 };
  g_autofree char               *name   = g_strconcat (block, ".attentions.0.transformer_blocks.0.attn2.to_k.weight", NULL);
  g_autofree float              *zeros  = g_new0 (float, 2 + in_channels * 9 + context);

  fb_safetensors_writer_add (writer, "time_embedding.linear_1.weight", FB_DTYPE_F32, 0, NULL);
  fb_safetensors_writer_add (writer, "conv_in.weight", FB_DTYPE_F32, 4, conv);
  fb_safetensors_writer_add (writer, name, FB_DTYPE_F32, 2, to_k);
  if (classes)
    fb_safetensors_writer_add (writer, "class_embedding.weight", FB_DTYPE_F32, 2, rows);
  g_assert_true (fb_safetensors_writer_write (writer, zeros, 4 * (1 + classes + in_channels * 9 + context), &error));
  g_assert_true (fb_safetensors_writer_finish (writer, &error));
}

static void
test_a_default_must_suit_its_task (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store = fb_store_new ();
  g_autoptr(GError)  error = NULL;
  g_autofree char   *path  = in (f->embedded, "nine.safetensors");

  write_unet (path, 9, 768, "down_blocks.0", FALSE);
  g_assert_true (fb_store_set_default (store, "inpaint", "nine", &error));
  g_assert_false (fb_store_set_default (store, "generate", "nine", &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED);
  g_assert_null (fb_store_default (store, "generate"));
}

/* A model for another task, be it the first, is no default: neither where one suits, nor where none does. */
static void
test_a_task_takes_the_first_model_that_suits (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store  = fb_store_new ();
  g_autoptr(GError)  error  = NULL;
  g_autofree char   *nine   = in (f->embedded, "a-nine.safetensors");
  g_autofree char   *common = in (f->embedded, "b-common.safetensors");

  write_unet (nine, 9, 768, "down_blocks.0", FALSE);
  write_unet (common, 4, 768, "down_blocks.0", FALSE);
  assert_default (store, "generate", f->embedded, "b-common.safetensors");
  assert_default (store, "inpaint", f->embedded, "a-nine.safetensors");
  g_assert_null (fb_store_resolve_for (store, "upscale", "", &error));
  g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "super-resolution"));
}

/* also one so small that only its middle sees the prompt */
static void
test_an_upscaler_is_known_by_its_channels (Fixture *f, gconstpointer data)
{
  static const char * const blocks[] = { "down_blocks.1", "mid_block" };

  for (gsize i = 0; i < G_N_ELEMENTS (blocks); i++)
    {
      g_autoptr(FbStore) store = fb_store_new ();
      g_autoptr(GError)  error = NULL;
      g_autofree char   *name  = g_strdup_printf ("large-%" G_GSIZE_FORMAT ".safetensors", i);
      g_autofree char   *path  = in (f->embedded, name);

      write_unet (path, 7, 32, blocks[i], TRUE);
      g_assert_cmpstr (fb_store_family (store, path, &error), ==, "sd-x4-upscaler");
      g_assert_no_error (error);
      g_assert_false (fb_store_set_default (store, "generate", name, &error));
      g_clear_error (&error);
      g_assert_true (fb_store_set_default (store, "upscale", name, &error));
      g_assert_no_error (error);
    }
}

static void
test_several_embedded_folders (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store = fb_store_new ();
  g_autoptr(Scratch) other = scratch_new ();
  g_autofree char   *both  = g_strdup_printf ("%s::/no/such/folder:%s", other, f->embedded);

  scratch_write (f->embedded, "a.safetensors", "", 0);
  scratch_write (other, "b.safetensors", "", 0);
  g_setenv ("FLASHBRUSH_MODELS_PATH", both, TRUE);
  assert_names (store, FB_STORE_MODELS, "b, a");
}

static void
test_families_are_read_off_the_header (Fixture *f, gconstpointer data)
{
  g_autoptr(FbStore) store = fb_store_new ();
  g_autoptr(GError)  error = NULL;
  g_autofree char   *path  = g_build_filename (f->embedded, "a.safetensors", NULL);

  write_unet (path, 4, 768, "down_blocks.0", FALSE);
  g_assert_cmpstr (fb_store_family (store, path, &error), ==, "sd-1.5");
  g_assert_no_error (error);

  g_usleep (20000);
  write_unet (path, 9, 768, "down_blocks.0", FALSE);                                    /* another model under the same name */
  g_assert_cmpstr (fb_store_family (store, path, &error), ==, "sd-1.5-inpainting");

  scratch_write (f->embedded, "a.safetensors", "broken", 6);
  for (int again = 0; again < 2; again++)
    {
      g_assert_null (fb_store_family (store, path, &error));
      g_assert_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_TRUNCATED);
      g_clear_error (&error);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
#define ADD(name, function) g_test_add ("/core/store/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("folders-and-files-are-models", test_folders_and_files_are_models);
  ADD ("each-kind-has-its-folder", test_each_kind_has_its_folder);
  ADD ("names-and-paths-are-resolved", test_names_and_paths_are_resolved);
  ADD ("unknown-names-bring-the-nearest", test_unknown_names_bring_the_nearest);
  ADD ("without-any-model-it-says-where-one-goes", test_without_any_model_it_says_where_one_goes);
  ADD ("equal-names-are-told-apart", test_equal_names_are_told_apart);
  ADD ("added-folders-are-remembered", test_added_folders_are_remembered);
  ADD ("a-list-that-cannot-be-saved-stays", test_a_list_that_cannot_be_saved_stays);
  ADD ("a-stamp-is-of-all-files", test_a_stamp_is_of_all_files);
  ADD ("files-are-used-where-they-lie", test_files_are_used_where_they_lie);
  ADD ("copies-are-the-stores-own", test_copies_are_the_stores_own);
  ADD ("a-cancelled-copy-leaves-nothing", test_a_cancelled_copy_leaves_nothing);
  ADD ("a-taken-name-gets-a-number", test_a_taken_name_gets_a_number);
  ADD ("what-is-missing-can-only-be-removed", test_what_is_missing_can_only_be_removed);
  ADD ("what-lies-in-added-folders-is-only-forgotten", test_what_lies_in_added_folders_is_only_forgotten);
  ADD ("a-folder-of-one-model-goes-as-a-whole", test_a_folder_of_one_model_goes_as_a_whole);
  ADD ("deleting-follows-no-links", test_deleting_follows_no_links);
  ADD ("what-came-along-stays", test_what_came_along_stays);
  ADD ("each-task-has-its-default", test_each_task_has_its_default);
  ADD ("a-default-must-suit-its-task", test_a_default_must_suit_its_task);
  ADD ("an-upscaler-is-known-by-its-channels", test_an_upscaler_is_known_by_its_channels);
  ADD ("a-task-takes-the-first-model-that-suits", test_a_task_takes_the_first_model_that_suits);
  ADD ("several-embedded-folders", test_several_embedded_folders);
  ADD ("families-are-read-off-the-header", test_families_are_read_off_the_header);
  return g_test_run ();
}
