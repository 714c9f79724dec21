/* tests/core/engine/test-models.c: what is installed, through the real engine. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/core/engine/fixture.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "core/formats/checkpoint.h"
#include "core/formats/model-error.h"
#include "core/formats/safetensors-writer.h"

/* (transfer full): what a job gives */
static GVariant *
run (Fixture *f, const char *kind, const char *format, ...)
{
  g_autoptr(GError)    error = NULL;
  g_autoptr(GVariant)  dict  = NULL;
  g_autoptr(FbJob)     job   = NULL;
  va_list              args;

  va_start (args, format);
  dict = g_variant_ref_sink (g_variant_new_parsed_va (format, &args));
  va_end (args);
  job = fb_job_new (f->client, kind, dict);
  fb_job_run (job, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  return fb_job_get_result (job);
}

static void
assert_fails (Fixture *f, GQuark domain, int code, const char *word, const char *kind, const char *format, ...)
{
  g_autoptr(GError)    error = NULL;
  g_autoptr(GVariant)  dict  = NULL;
  g_autoptr(FbJob)     job   = NULL;
  va_list              args;

  va_start (args, format);
  dict = g_variant_ref_sink (g_variant_new_parsed_va (format, &args));
  va_end (args);
  job = fb_job_new (f->client, kind, dict);
  g_assert_false (fb_job_run (job, NULL, NULL, NULL, &error));
  g_assert_error (error, domain, code);
  if (strstr (error->message, word) == NULL)
    g_error ("“%s” is not in “%s”", word, error->message);
}

static void
assert_says (GVariant *dict, const char *key, const char *expected)
{
  const char *text = NULL;

  g_variant_lookup (dict, key, "&s", &text);
  g_assert_cmpstr (text, ==, expected);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

/* (transfer full) (nullable): what is listed under @name */
static GVariant *
listed (Fixture *f, const char *name)
{
  g_autoptr(GAsyncResult) result = NULL;
  g_autoptr(GError)       error  = NULL;
  g_autoptr(GVariant)     models = NULL;

  fb_engine_client_list_models_async (f->client, NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  models = fb_engine_client_list_models_finish (f->client, result, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < g_variant_n_children (models); i++)
    {
      GVariant   *model  = g_variant_get_child_value (models, i);
      const char *called = "";

      g_variant_lookup (model, "name", "&s", &called);
      if (g_str_equal (called, name))
        return model;
      g_variant_unref (model);
    }
  return NULL;
}

static gboolean
is_listed (Fixture *f, const char *name)
{
  g_autoptr(GVariant) model = listed (f, name);

  return model != NULL;
}

static char *
starter (void)
{
  return g_build_filename (g_getenv ("FLASHBRUSH_MODELS_PATH"), "starter", NULL);
}

/* (transfer full): a LoRA of rank 1, zeros, that fits the model that comes along when @width is 192 */
static char *
write_lora (Fixture *f, const char *folder, const char *name, int width)
{
  static const char              key[] = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k";
  char                          *path   = g_build_filename (f->folder, folder, name, NULL);
  g_autofree char               *parent = g_path_get_dirname (path);
  g_autofree char               *a      = g_strconcat (key, ".lora_A.weight", NULL), *b = g_strconcat (key, ".lora_B.weight", NULL);
  const gint64                   down[] = { 1, width }, up[] = { 256, 1 };
  g_autofree float              *zeros  = g_new0 (float, width + 256);
  g_autoptr(FbSafetensorsWriter) writer = NULL;
  g_autoptr(GError)              error  = NULL;

  g_assert_no_errno (g_mkdir_with_parents (parent, 0700));
  writer = fb_safetensors_writer_new (path);
  fb_safetensors_writer_add (writer, a, FB_DTYPE_F32, 2, down);
  fb_safetensors_writer_add (writer, b, FB_DTYPE_F32, 2, up);
  g_assert_true (fb_safetensors_writer_write (writer, zeros, sizeof (float) * (width + 256), &error));
  g_assert_true (fb_safetensors_writer_finish (writer, &error));
  return path;
}

/* --- the list --------------------------------------------------------------------------------------------------------- */

static void
the_list_tells_what_suits_a_model (Fixture *f, gconstpointer data)
{
  g_autoptr(GVariant) model = listed (f, "starter");
  g_autoptr(GVariant) tasks = g_variant_lookup_value (model, "default-for", G_VARIANT_TYPE_STRING_ARRAY);
  gboolean            embedded = FALSE, few_steps = TRUE;
  int                 n_steps = 0;

  assert_says (model, "precision", "F16");
  assert_says (model, "licence", "MIT and Apache-2.0");
  assert_says (model, "sampler", "dpmpp-2m");
  assert_says (model, "hash", NULL);
  g_assert_true (g_variant_lookup (model, "n-steps", "i", &n_steps));
  g_assert_cmpint (n_steps, ==, 6);
  g_assert_true (g_variant_lookup (model, "embedded", "b", &embedded) && embedded);
  g_assert_true (g_variant_lookup (model, "few-steps", "b", &few_steps) && !few_steps);
  g_assert_cmpuint (g_variant_n_children (tasks), >=, 1);
}

static void
a_verified_hash_is_listed (Fixture *f, gconstpointer data)
{
  g_autoptr(GVariant) result = run (f, "verify", "{'model': <'starter'>}");
  g_autoptr(GVariant) model  = listed (f, "starter");
  const char         *hash   = NULL;

  g_assert_true (g_variant_lookup (result, "hash", "&s", &hash));
  assert_says (model, "hash", hash);
}

/* --- import ----------------------------------------------------------------------------------------------------------- */

static void
a_model_is_linked_and_can_be_loaded (Fixture *f, gconstpointer data)
{
  g_autofree char     *original = starter ();
  g_autofree char     *linked   = g_build_filename (f->folder, "mine", NULL);
  g_autoptr(GVariant)  imported = NULL, model = NULL, loaded = NULL, removed = NULL, gone = NULL;
  gboolean             is       = FALSE, own = TRUE;

  g_assert_no_errno (symlink (original, linked));          /* another path of the same files */
  imported = run (f, "import", "{'path': <%s>}", linked);
  assert_says (imported, "name", "mine");
  assert_says (imported, "kind", "checkpoint");
  assert_says (imported, "family", "sd-1.5");
  model = listed (f, "mine");
  assert_says (model, "target", linked);
  g_assert_true (g_variant_lookup (model, "own", "b", &own) && !own);

  g_variant_unref (run (f, "load", "{'model': <'mine'>}"));
  loaded = listed (f, "mine");
  g_assert_true (g_variant_lookup (loaded, "loaded", "b", &is) && is);
  removed = run (f, "remove", "{'model': <'mine'>, 'kind': <'checkpoint'>}");
  g_assert_true (g_variant_lookup (removed, "deleted", "b", &is) && !is);
  g_assert_false (is_listed (f, "mine"));
  gone = run (f, "unload", "@a{sv} {}");
  {
    int n_unloaded = -1;

    g_variant_lookup (gone, "n-unloaded", "i", &n_unloaded);
    g_assert_cmpint (n_unloaded, ==, 0);                   /* what is removed leaves memory, too */
  }
  g_assert_true (g_file_test (original, G_FILE_TEST_IS_DIR));
}

static void
a_lora_is_copied_when_asked (Fixture *f, gconstpointer data)
{
  g_autofree char     *path     = write_lora (f, "downloads", "ink.safetensors", 192);
  g_autoptr(GVariant)  imported = run (f, "import", "{'path': <%s>, 'copy': <true>}", path);
  g_autoptr(GVariant)  model    = NULL, removed = NULL;
  const char          *place    = "";
  gboolean             deleted  = FALSE;

  assert_says (imported, "kind", "lora");
  g_assert_true (g_variant_lookup (imported, "path", "&s", &place));
  g_assert_no_errno (g_unlink (path));
  g_assert_true (g_file_test (place, G_FILE_TEST_IS_REGULAR));
  model = listed (f, "ink");
  assert_says (model, "family", "sd-1.5");
  assert_says (model, "problem", NULL);
  removed = run (f, "remove", "{'model': <'ink'>}");
  g_assert_true (g_variant_lookup (removed, "deleted", "b", &deleted) && deleted);
  g_assert_false (g_file_test (place, G_FILE_TEST_EXISTS));
}

static void
a_folder_of_loras_is_looked_through (Fixture *f, gconstpointer data)
{
  g_autofree char     *a        = write_lora (f, "loras", "a.safetensors", 768);
  g_autofree char     *b        = write_lora (f, "loras", "deep/b.safetensors", 768);
  g_autofree char     *folder   = g_path_get_dirname (a);
  g_autoptr(GVariant)  imported = NULL;
  int                  n        = 0;

  imported = run (f, "import", "{'path': <%s>}", folder);
  assert_says (imported, "kind", "lora");
  g_assert_true (g_variant_lookup (imported, "n-found", "i", &n));
  g_assert_cmpint (n, ==, 2);
  g_assert_true (is_listed (f, "a") && is_listed (f, "b"));
  g_variant_unref (run (f, "remove", "{'model': <'a'>, 'kind': <'lora'>}"));
  g_assert_false (is_listed (f, "a"));
  g_assert_true (g_file_test (a, G_FILE_TEST_EXISTS));
}

static void
what_cannot_be_used_is_refused (Fixture *f, gconstpointer data)
{
  g_autofree char *text   = g_build_filename (f->folder, "notes.safetensors", NULL);
  g_autofree char *pickle = g_build_filename (f->folder, "old.ckpt", NULL);
  g_autofree char *empty  = g_build_filename (f->folder, "empty", NULL);
  g_autofree char *lora   = write_lora (f, "downloads", "ink.safetensors", 192);
  g_autofree char *model  = starter ();
  g_autofree char *unet   = g_build_filename (model, "unet", NULL);

  g_assert_true (g_file_set_contents (text, "just words", -1, NULL));
  g_assert_true (g_file_set_contents (pickle, "\x80\x02}q\x00.", 6, NULL));
  g_assert_no_errno (g_mkdir (empty, 0700));
  assert_fails (f, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_HEADER, "notes.safetensors", "import", "{'path': <%s>}", text);
  assert_fails (f, FB_MODEL_ERROR, FB_MODEL_ERROR_PICKLE, "old.ckpt", "import", "{'path': <%s>}", pickle);
  assert_fails (f, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, "empty", "import", "{'path': <%s>}", empty);
  assert_fails (f, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, "no-such", "import", "{'path': <'/no-such.safetensors'>}");
  assert_fails (f, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, "text_encoder", "import", "{'path': <%s>}", unet);   /* it says what is missing */
  assert_fails (f, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "copy", "import", "{'path': <%s>, 'copy': <true>}", model);
  assert_fails (f, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "kind", "import", "{'path': <%s>, 'kind': <'picture'>}", lora);
  assert_fails (f, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "path", "import", "@a{sv} {}");
  assert_fails (f, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, "ink", "import", "{'path': <%s>, 'kind': <'checkpoint'>}", lora);
  g_assert_false (is_listed (f, "notes") || is_listed (f, "ink") || is_listed (f, "unet"));
}

static void
what_came_along_is_not_removed (Fixture *f, gconstpointer data)
{
  assert_fails (f, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED, "starter", "remove", "{'model': <'starter'>}");
  assert_fails (f, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, "“starter”?", "remove", "{'model': <'startr'>}");
  g_assert_true (is_listed (f, "starter"));
}

/* --- defaults, checks --------------------------------------------------------------------------------------------------- */

static void
the_default_is_what_generate_takes (Fixture *f, gconstpointer data)
{
  g_autofree char         *original = starter ();
  g_autofree char         *linked   = g_build_filename (f->folder, "mine", NULL);
  g_autoptr(GAsyncResult)  result   = NULL;
  g_autoptr(GError)        error    = NULL;
  g_autoptr(GVariant)      model    = NULL;
  FbJobEstimate            estimate = { 0 };
  const char              *path     = "";

  g_assert_no_errno (symlink (original, linked));
  g_variant_unref (run (f, "import", "{'path': <%s>}", linked));
  g_variant_unref (run (f, "set-default", "{'task': <'generate'>, 'model': <'mine'>}"));
  model = listed (f, "mine");
  {
    g_autoptr(GVariant) tasks = g_variant_lookup_value (model, "default-for", G_VARIANT_TYPE_STRING_ARRAY);

    g_assert_cmpuint (g_variant_n_children (tasks), ==, 1);
  }
  fb_engine_client_estimate_async (f->client, "generate", g_variant_new_parsed ("{'prompt': <'a'>}"), NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (fb_engine_client_estimate_finish (f->client, result, &estimate, &error));
  g_assert_true (g_variant_lookup (estimate.resolved, "model-path", "&s", &path));
  g_assert_true (g_str_has_suffix (path, "/mine"));
  g_variant_unref (estimate.resolved);
  assert_fails (f, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, "“generate”", "set-default", "{'task': <'genrate'>, 'model': <'mine'>}");
}

static void
assert_fits (GVariant *result, const char *expected)
{
  g_autoptr(GVariant)  fits = g_variant_lookup_value (result, "fits", G_VARIANT_TYPE_STRING_ARRAY);
  g_autofree char     *text = g_variant_print (fits, TRUE);

  g_assert_cmpstr (text, ==, expected);
}

static void
a_loras_check_names_the_models_it_fits (Fixture *f, gconstpointer data)
{
  g_autofree char     *good = write_lora (f, "downloads", "good.safetensors", 192);
  g_autofree char     *bad  = write_lora (f, "downloads", "bad.safetensors", 768);
  g_autoptr(GVariant)  fits = NULL, misses = NULL;

  fits   = run (f, "verify", "{'model': <%s>}", good);
  misses = run (f, "verify", "{'model': <%s>, 'kind': <'lora'>}", bad);
  assert_says (fits, "kind", "lora");
  assert_fits (fits, "['starter']");
  assert_fits (misses, "@as []");
}

/* cancels as soon as something has been done */
typedef struct
{
  GCancellable *cancellable;
  double        fraction;
} Halt;

static void
halt (const FbJobProgress *progress, gpointer user_data)
{
  Halt *h = user_data;

  h->fraction = progress->fraction;
  if (progress->fraction > 0.0)
    g_cancellable_cancel (h->cancellable);
}

/* A file of two gigabytes, nearly all of them holes: its hash takes seconds. */
static void
a_check_tells_how_far_it_is_and_can_be_cancelled (Fixture *f, gconstpointer data)
{
  const gint64                   rank   = 1 << 20, down[] = { rank, 256 }, up[] = { 256, rank };
  g_autofree char               *path   = g_build_filename (f->folder, "large.safetensors", NULL);
  g_autofree char               *text   = NULL;
  g_autoptr(GCancellable)        cancel = g_cancellable_new ();
  g_autoptr(GError)              error  = NULL;
  g_autoptr(FbJob)               job    = NULL;
  Halt                           h      = { cancel, 0.0 };
  guint64                        length;
  FILE                          *file   = g_fopen (path, "wb");

  text = g_strdup_printf ("{\"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[%d,%d],"
                          "\"data_offsets\":[0,%" G_GINT64_FORMAT "]},"
                          "\"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[%d,%d],"
                          "\"data_offsets\":[%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT "]}}",
                          (int) down[0], (int) down[1], 4 * rank * 256, (int) up[0], (int) up[1], 4 * rank * 256, 8 * rank * 256);
  length = GUINT64_TO_LE (strlen (text));
  g_assert_cmpuint (fwrite (&length, sizeof length, 1, file), ==, 1);
  g_assert_cmpuint (fwrite (text, strlen (text), 1, file), ==, 1);
  g_assert_no_errno (fclose (file));
  g_assert_no_errno (truncate (path, (off_t) (8 + strlen (text)) + 8 * rank * 256));

  job = fb_job_new (f->client, "verify", g_variant_new_parsed ("{'model': <%s>, 'kind': <'lora'>}", path));
  g_assert_false (fb_job_run (job, halt, &h, cancel, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpfloat (h.fraction, >, 0.0);
  g_assert_cmpfloat (h.fraction, <, 0.5);
}

static void
errands_do_not_wait_for_pictures (Fixture *f, gconstpointer data)
{
  g_autofree char   *path  = write_lora (f, "downloads", "ink.safetensors", 192);
  g_autoptr(FbJob)   slow  = fb_job_new (f->client, "generate", g_variant_new_parsed ("{'prompt': <'a'>, 'n-steps': <900>}"));
  g_autoptr(FbJob)   quick = fb_job_new (f->client, "import", g_variant_new_parsed ("{'path': <%s>}", path));

  fixture_begin (slow);
  fb_job_start (quick);
  fixture_wait (quick, 20.0);
  g_assert_no_error (fb_job_get_error (quick));
  g_assert_false (fb_job_is_finished (slow));
  fb_job_cancel (slow);
  fixture_wait (slow, 20.0);
  g_assert_true (g_error_matches (fb_job_get_error (slow), G_IO_ERROR, G_IO_ERROR_CANCELLED));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) fixture_test ("/engine/models/" name, NULL, function)
  ADD ("the-list-tells-what-suits-a-model", the_list_tells_what_suits_a_model);
  ADD ("a-verified-hash-is-listed", a_verified_hash_is_listed);
  ADD ("a-model-is-linked-and-can-be-loaded", a_model_is_linked_and_can_be_loaded);
  ADD ("a-lora-is-copied-when-asked", a_lora_is_copied_when_asked);
  ADD ("a-folder-of-loras-is-looked-through", a_folder_of_loras_is_looked_through);
  ADD ("what-cannot-be-used-is-refused", what_cannot_be_used_is_refused);
  ADD ("what-came-along-is-not-removed", what_came_along_is_not_removed);
  ADD ("the-default-is-what-generate-takes", the_default_is_what_generate_takes);
  ADD ("a-loras-check-names-the-models-it-fits", a_loras_check_names_the_models_it_fits);
  ADD ("a-check-tells-how-far-it-is-and-can-be-cancelled", a_check_tells_how_far_it_is_and_can_be_cancelled);
  ADD ("errands-do-not-wait-for-pictures", errands_do_not_wait_for_pictures);
  return g_test_run ();
}
