/* tests/core/test-clip-tokenizer.c: our token ids against transformers'. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * golden/tokenizer/tokens.jsonl was written by make.py beside it.
 */
#include "core/text/clip-tokenizer.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <locale.h>
#include <string.h>

#include "core/formats/model-error.h"
#include "core/text/bpe.h"
#include "core/text/words.h"

static FbClipTokenizer *
standard (void)
{
  g_autoptr(GError) error     = NULL;
  FbClipTokenizer  *tokenizer = fb_clip_tokenizer_new_standard (&error);

  g_assert_no_error (error);
  return tokenizer;
}

static FbClipTokenizer *
small (void)
{
  g_autofree char  *vocab     = g_test_build_filename (G_TEST_DIST, "golden", "tokenizer", "small", "vocab.json", NULL);
  g_autofree char  *merges    = g_test_build_filename (G_TEST_DIST, "golden", "tokenizer", "small", "merges.txt", NULL);
  g_autoptr(GError) error     = NULL;
  FbClipTokenizer  *tokenizer = fb_clip_tokenizer_new_from_files (vocab, merges, &error);

  g_assert_no_error (error);
  return tokenizer;
}

/* A folder of its own in the system's temporary one, with files given as name, content, …, NULL */
static char *
folder_with (const char *name, ...)
{
  char    *folder = g_dir_make_tmp ("fb-tokenizer-XXXXXX", NULL);
  va_list  args;

  va_start (args, name);
  for (; name != NULL; name = va_arg (args, const char *))
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      g_assert_true (g_file_set_contents (path, va_arg (args, const char *), -1, NULL));
    }
  va_end (args);
  return folder;
}

static void
remove_folder (const char *folder)
{
  g_autoptr(GDir) dir = g_dir_open (folder, 0, NULL);
  const char     *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      g_unlink (path);
    }
  g_rmdir (folder);
}

static char *
ids_of (const FbClipTokenizer *tokenizer, const char *text)
{
  g_autoptr(GArray) ids   = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr(GError) error = NULL;
  GString          *list  = g_string_new (NULL);

  fb_clip_tokenizer_encode (tokenizer, text, ids, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < ids->len; i++)
    g_string_append_printf (list, "%s%d", i > 0 ? " " : "", g_array_index (ids, int, i));
  return g_string_free (list, FALSE);
}

static char *
list_of (JsonArray *array)
{
  GString *list = g_string_new (NULL);

  for (guint i = 0; i < json_array_get_length (array); i++)
    g_string_append_printf (list, "%s%d", i > 0 ? " " : "", (int) json_array_get_int_element (array, i));
  return g_string_free (list, FALSE);
}

/* @column: 1 CLIP's vocabulary, 2 the small one, 3 CLIP's with "!" as padding; says all that differ. Returns how many texts it has seen. */
static int
check_column (const FbClipTokenizer *tokenizer, int column)
{
  g_autofree char  *path  = g_test_build_filename (G_TEST_DIST, "golden", "tokenizer", "tokens.jsonl", NULL);
  g_autofree char  *all   = NULL;
  g_auto(GStrv)     lines = NULL;
  g_autoptr(GError) error = NULL;
  int               n = 0, n_wrong = 0;

  g_file_get_contents (path, &all, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (all, "\n", -1);
  for (char **line = lines; **line != '\0'; line++, n++)
    {
      g_autoptr(JsonNode) node = json_from_string (*line, &error);
      JsonArray          *row  = json_node_get_array (node);
      gboolean            same = json_array_get_null_element (row, column);
      g_autofree char    *expected = list_of (json_array_get_array_element (row, same ? 1 : column));
      g_autofree char    *ours = ids_of (tokenizer, json_array_get_string_element (row, 0));

      if (!g_str_equal (ours, expected))
        {
          g_test_message ("%s\n  ours %s\n  not  %s", *line, ours, expected);
          n_wrong++;
        }
    }
  g_assert_cmpint (n_wrong, ==, 0);
  return n;
}

static void
test_ids_with_clips_vocabulary_are_transformers (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = standard ();

  g_assert_cmpint (check_column (tokenizer, 1), >=, 1500);
  g_assert_cmpint (fb_clip_tokenizer_bos (tokenizer), ==, 49406);
  g_assert_cmpint (fb_clip_tokenizer_eos (tokenizer), ==, 49407);
  g_assert_cmpint (fb_clip_tokenizer_pad (tokenizer), ==, 49407);
  g_assert_cmpint (fb_clip_tokenizer_n_ids (tokenizer), ==, 49408);
}

static void
test_ids_with_a_vocabulary_from_files_are_transformers (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = small ();

  g_assert_cmpint (check_column (tokenizer, 2), >=, 1500);
  g_assert_cmpint (fb_clip_tokenizer_n_ids (tokenizer), ==, 3072);
}

/* @s with quotes and backslashes escaped, for JSON */
static void
append_json (GString *out, const char *s)
{
  for (; *s != '\0'; s++)
    {
      if (*s == '"' || *s == '\\')
        g_string_append_c (out, '\\');
      g_string_append_c (out, *s);
    }
}

/* CLIP's vocabulary as a checkpoint brings it, so that the files' way is tried at full size too */
static char *
standard_folder (const char *special)
{
  g_autoptr(FbBpe)  bpe   = fb_bpe_new ();
  g_autofree char  *path  = g_test_build_filename (G_TEST_DIST, "..", "data", "tokenizer", "clip-merges.txt.gz", NULL);
  g_autoptr(GFile)  file  = g_file_new_for_path (path);
  g_autoptr(GInputStream)  packed = G_INPUT_STREAM (g_file_read (file, NULL, NULL));
  g_autoptr(GConverter)    gunzip = G_CONVERTER (g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP));
  g_autoptr(GInputStream)  plain  = g_converter_input_stream_new (packed, gunzip);
  g_autofree char  *merges = g_malloc0 (1 << 20);
  g_autoptr(GString) vocab = g_string_new ("{");
  g_auto(GStrv)     lines = NULL;
  int               visible = 0;

  g_assert_true (g_input_stream_read_all (plain, merges, (1 << 20) - 1, NULL, NULL, NULL));
  for (int suffix = 0; suffix < 2; suffix++)
    for (int pass = 0; pass < 2; pass++)
      for (int byte = 0, hidden = 0; byte < 256; byte++)
        {
          gboolean is_visible = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
          char     letter[8]  = { 0 };

          g_unichar_to_utf8 (is_visible ? byte : 256 + hidden++, letter);
          if (is_visible == (pass == 0))
            {
              g_string_append_c (vocab, '"');
              append_json (vocab, letter);
              g_string_append_printf (vocab, "%s\": %d, ", suffix ? "</w>" : "", visible++);
            }
        }
  lines = g_strsplit (merges, "\n", -1);
  for (char **line = lines + 1; **line != '\0'; line++)
    {
      g_auto(GStrv) pair = g_strsplit (*line, " ", -1);
      g_string_append_c (vocab, '"');
      append_json (vocab, pair[0]);
      append_json (vocab, pair[1]);
      g_string_append_printf (vocab, "\": %d, ", visible++);
    }
  g_string_append_printf (vocab, "\"<|startoftext|>\": %d, \"<|endoftext|>\": %d}", visible, visible + 1);
  return folder_with ("vocab.json", vocab->str, "merges.txt", merges, "special_tokens_map.json", special, NULL);
}

static void
test_another_padding_is_a_special_token (void)
{
  g_autofree char           *folder = standard_folder ("{\"pad_token\": {\"content\": \"!\"}, \"bos_token\": \"<|startoftext|>\"}");
  g_autoptr(GError)          error  = NULL;
  g_autoptr(FbClipTokenizer) tokenizer = fb_clip_tokenizer_new_from_folder (folder, &error);

  remove_folder (folder);
  g_assert_no_error (error);
  g_assert_cmpint (fb_clip_tokenizer_pad (tokenizer), ==, 0);
  g_assert_cmpint (fb_clip_tokenizer_eos (tokenizer), ==, 49407);
  check_column (tokenizer, 3);
}

static void
check_lower (const char *text, const char *expected)
{
  g_autofree char *lower = fb_lower (text);
  g_assert_cmpstr (lower, ==, expected);
}

/* expected: Python's str.lower() */
static void
test_lower_case_is_pythons (void)
{
  check_lower ("İI", "i̇i");
  check_lower ("ΟΔΟΣ", "οδος");
  check_lower ("ΣΑΣ.Α", "σασ.α");
  check_lower ("ΑΣ.", "ας.");
  check_lower ("Σ", "σ");
  check_lower ("Α'Σ", "α'ς");
  check_lower ("1Σ", "1σ");
  check_lower ("ⅷⅧⒶẞǅ", "ⅷⅷⓐßǆ");
  check_lower ("ⅧΣ", "ⅷς");
  check_lower ("ªΣ", "ªς");
  check_lower ("ʰΣ", "ʰσ");
  check_lower ("AʰΣʰ", "aʰςʰ");
  check_lower ("", "");
}

static void
test_locale_does_not_matter (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = standard ();
  g_autofree char           *before    = ids_of (tokenizer, "INSIDE IT");
  g_autofree char           *after     = NULL;

  g_setenv ("LC_ALL", "tr_TR.UTF-8", TRUE);             /* GLib's string functions look at the names, installed or not */
  g_setenv ("LANG", "tr_TR.UTF-8", TRUE);
  setlocale (LC_ALL, "");
  after = ids_of (tokenizer, "INSIDE IT");
  setlocale (LC_ALL, "C");
  g_assert_cmpstr (before, ==, after);
}

static void
check_refused (const char *text, int code, const char *part)
{
  g_autoptr(FbClipTokenizer) tokenizer = small ();
  g_autoptr(GArray)          ids       = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr(GError)          error     = NULL;

  g_assert_false (fb_clip_tokenizer_encode (tokenizer, text, ids, &error));
  g_assert_error (error, FB_TOKENIZER_ERROR, code);
  g_assert_nonnull (strstr (error->message, part));
  g_assert_cmpuint (ids->len, ==, 0);
}

static void
test_invalid_utf8_is_named_by_position (void)
{
  check_refused ("\xff", FB_TOKENIZER_ERROR_UTF8, "position 0,");
  check_refused ("caf\xe9 noir", FB_TOKENIZER_ERROR_UTF8, "position 3,");
  check_refused ("caf\xc3\xa9 \xe2\x82", FB_TOKENIZER_ERROR_UTF8, "position 6,");
  check_refused ("\xed\xa0\x80", FB_TOKENIZER_ERROR_UTF8, "position 0,");        /* a surrogate */
  check_refused ("a\xc0\x80", FB_TOKENIZER_ERROR_UTF8, "position 1,");           /* a zero in two bytes */
}

static void
test_too_long_texts_are_refused_and_the_longest_is_quick (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = standard ();
  g_autofree char           *longest   = g_malloc (FB_CLIP_TOKENIZER_MAX_BYTES + 2);
  g_autoptr(GArray)          ids       = g_array_new (FALSE, FALSE, sizeof (int));

  for (int i = 0; i < FB_CLIP_TOKENIZER_MAX_BYTES + 1; i++)
    longest[i] = 'a' + g_test_rand_int_range (0, 26);
  longest[FB_CLIP_TOKENIZER_MAX_BYTES + 1] = '\0';
  check_refused (longest, FB_TOKENIZER_ERROR_TOO_LONG, "65537");

  longest[FB_CLIP_TOKENIZER_MAX_BYTES] = '\0';
  g_test_timer_start ();
  g_assert_true (fb_clip_tokenizer_encode (tokenizer, longest, ids, NULL));
  g_test_message ("one word of %d letters: %u tokens in %.2f s", FB_CLIP_TOKENIZER_MAX_BYTES, ids->len, g_test_timer_elapsed ());
  g_assert_cmpuint (ids->len, <, FB_CLIP_TOKENIZER_MAX_BYTES);
}

static void
check_bad_files (const char *vocab, const char *merges, GQuark domain, int code, const char *part)
{
  g_autofree char           *folder    = folder_with ("vocab.json", vocab, "merges.txt", merges, NULL);
  g_autoptr(GError)          error     = NULL;
  g_autoptr(FbClipTokenizer) tokenizer = fb_clip_tokenizer_new_from_folder (folder, &error);

  remove_folder (folder);
  g_assert_null (tokenizer);
  g_assert_error (error, domain, code);
  if (strstr (error->message, part) == NULL)
    g_error ("“%s” lacks “%s”", error->message, part);
}

static void
test_bad_files_are_named (void)
{
  const char *good = "{\"<|startoftext|>\": 0, \"<|endoftext|>\": 1}";

  check_bad_files ("{", "", FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, "vocab.json");
  check_bad_files ("[]", "", FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, "vocab.json");
  check_bad_files ("{}", "", FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE, "<|startoftext|>");
  check_bad_files ("{\"a\": -1}", "", FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE, "“a”");
  check_bad_files ("{\"a\": 1e3}", "", FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE, "“a”");
  check_bad_files ("{\"a\": [1]}", "", FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE, "“a”");
  check_bad_files ("{\"a\": 99999999999}", "", FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE, "“a”");
  check_bad_files (good, "#version\na \xff\n", FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE, "position 11");
}

static void
test_missing_files_are_named (void)
{
  g_autofree char  *folder = folder_with ("vocab.json", "{\"<|startoftext|>\": 0, \"<|endoftext|>\": 1}", NULL);
  g_autofree char  *empty  = folder_with (NULL, NULL);
  g_autoptr(GError) error = NULL, other = NULL;

  g_assert_null (fb_clip_tokenizer_new_from_folder (folder, &error));
  g_assert_error (error, FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE);
  g_assert_nonnull (strstr (error->message, "merges.txt"));
  g_assert_null (fb_clip_tokenizer_new_from_folder (empty, &other));
  g_assert_error (other, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND);
  remove_folder (folder);
  remove_folder (empty);
}

/* a vocabulary without letters and merges that lead nowhere: everything is unknown, nothing breaks */
static void
test_odd_vocabularies_do_no_harm (void)
{
  static const char * const merges[] = { "", "#", "#\n\n\n", "#\na\nb c d\n \n", "#\na b\nab c</w>\na b\nb a\nab ab\n", "#\r\na b\r\n" };

  for (size_t i = 0; i < G_N_ELEMENTS (merges); i++)
    {
      g_autofree char           *folder    = folder_with ("vocab.json", "{\"<|startoftext|>\": 5, \"<|endoftext|>\": 9}",
                                                          "merges.txt", merges[i], NULL);
      g_autoptr(FbClipTokenizer) tokenizer = fb_clip_tokenizer_new_from_folder (folder, NULL);
      g_autofree char           *ids       = NULL;

      remove_folder (folder);
      g_assert_nonnull (tokenizer);
      ids = ids_of (tokenizer, "x <|startoftext|>y");
      g_assert_cmpstr (ids, ==, "9 5 9");
      g_free (ids);
      ids = ids_of (tokenizer, "abababc");
      g_assert_true (g_str_has_prefix (ids, "9 9"));
    }
}

static void
test_random_bytes_are_survived (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = standard ();
  g_autoptr(GArray)          ids       = g_array_new (FALSE, FALSE, sizeof (int));
  int                        n_valid   = 0;

  for (int round = 0; round < 20000; round++)
    {
      char  text[24] = { 0 };
      int   n = g_test_rand_int_range (0, sizeof text - 4);
      char *p = text;

      while (p < text + n)
        if (round % 2 == 0)
          p += g_unichar_to_utf8 (g_test_rand_int_range (1, 0xd800), p);
        else
          *p++ = g_test_rand_int_range (1, 256);
      g_array_set_size (ids, 0);
      n_valid += fb_clip_tokenizer_encode (tokenizer, text, ids, NULL);
      for (guint i = 0; i < ids->len; i++)
        g_assert_true (g_array_index (ids, int, i) >= 0 && g_array_index (ids, int, i) < 49408);
      g_assert_cmpuint (ids->len, <=, 4 * sizeof text);
    }
  g_assert_cmpint (n_valid, >=, 10000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/text/clip-tokenizer/ids-with-clips-vocabulary-are-transformers", test_ids_with_clips_vocabulary_are_transformers);
  g_test_add_func ("/core/text/clip-tokenizer/ids-with-a-vocabulary-from-files-are-transformers", test_ids_with_a_vocabulary_from_files_are_transformers);
  g_test_add_func ("/core/text/clip-tokenizer/another-padding-is-a-special-token", test_another_padding_is_a_special_token);
  g_test_add_func ("/core/text/clip-tokenizer/lower-case-is-pythons", test_lower_case_is_pythons);
  g_test_add_func ("/core/text/clip-tokenizer/locale-does-not-matter", test_locale_does_not_matter);
  g_test_add_func ("/core/text/clip-tokenizer/invalid-utf8-is-named-by-position", test_invalid_utf8_is_named_by_position);
  g_test_add_func ("/core/text/clip-tokenizer/too-long-texts-are-refused-and-the-longest-is-quick", test_too_long_texts_are_refused_and_the_longest_is_quick);
  g_test_add_func ("/core/text/clip-tokenizer/bad-files-are-named", test_bad_files_are_named);
  g_test_add_func ("/core/text/clip-tokenizer/missing-files-are-named", test_missing_files_are_named);
  g_test_add_func ("/core/text/clip-tokenizer/odd-vocabularies-do-no-harm", test_odd_vocabularies_do_no_harm);
  g_test_add_func ("/core/text/clip-tokenizer/random-bytes-are-survived", test_random_bytes_are_survived);
  return g_test_run ();
}
