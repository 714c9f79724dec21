/* tests/core/test-prompt.c: prompt syntax, chunks and weights. Expected parses are worked out by hand from the web UI's documented rules.
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/text/prompt.h"

#include <math.h>

/* Prints as "text@weight|…", BREAK as "BREAK". */
static char *
show (GArray *parts)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < parts->len; i++)
    {
      const FbPromptPart *part = &g_array_index (parts, FbPromptPart, i);

      if (part->text == NULL)
        g_string_append (text, "BREAK");
      else
        g_string_append_printf (text, "%s@%.4g", part->text, part->weight);
      if (i + 1 < parts->len)
        g_string_append_c (text, '|');
    }

  return g_string_free (text, FALSE);
}

static void
test_parses (void)
{
  static const struct { const char *prompt, *parts; } cases[] =
  {
    { "",                                  "@1" },
    { "normal text",                       "normal text@1" },
    { "an (important) word",               "an @1|important@1.1| word@1" },
    { "(unbalanced",                       "unbalanced@1.1" },
    { "\\(literal\\]",                     "(literal]@1" },
    { "(unnecessary)(parens)",             "unnecessaryparens@1.1" },
    { "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
      "a @1|house@1.573| @1.1|on@1| a @1.1|hill@0.55|, sun, @1.1|sky@1.464|.@1.1" },
    { "[less]",                            "less@0.9091" },
    { "[[less]]",                          "less@0.8264" },
    { "([both])",                          "both@1" },
    { "(x:1.3)",                           "x@1.3" },
    { "(x: 1.3 )",                         "x@1.3" },
    { "(x:-0.5)",                          "x@-0.5" },
    { "(x:.5)",                            "x@0.5" },
    { "(x:1.2.3)",                         "x:1.2.3@1.1" },
    { "(x:big)",                           "x:big@1.1" },
    { "time 12:30",                        "time 12:30@1" },
    { "a:1.3)",                            "a:1.3)@1" },
    { "closing ) and ]",                   "closing ) and ]@1" },
    { "back\\\\slash",                     "back\\slash@1" },
    { "trailing \\",                       "trailing @1" },
    { "one BREAK two",                     "one@1|BREAK|two@1" },
    { "one, BREAK\n(two)",                 "one,@1|BREAK|two@1.1" },
    { "BREAKFAST UNBREAK",                 "BREAKFAST UNBREAK@1" },
    { "kůň—BREAK—kůň",                     "kůň—@1|BREAK|—kůň@1" },
    { "éBREAK BREAKé",                     "éBREAK BREAKé@1" },
    { "BREAK",                             "BREAK" },
    { "(a BREAK b:1.2)",                   "a@1.2|BREAK|b@1.2" },
    { "žluťoučký (kůň:1.2)",               "žluťoučký @1|kůň@1.2" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GArray) parts = fb_prompt_parse (cases[i].prompt);
      g_autofree char  *shown = show (parts);

      g_assert_cmpstr (shown, ==, cases[i].parts);
    }
}

/* any bytes at all: no crash, finite weights */
static void
test_random_strings (void)
{
  static const char * const pieces[] = { "(", ")", "[", "]", ":", "1.3", "\\", "BREAK", " ", "a", "é", "\xff", "-", ".", "\n", "," };

  for (int i = 0; i < 20000; i++)
    {
      g_autoptr(GString) text  = g_string_new (NULL);
      g_autoptr(GArray)  parts = NULL;

      for (int n = g_test_rand_int_range (0, 40); n > 0; n--)
        g_string_append (text, pieces[g_test_rand_int_range (0, G_N_ELEMENTS (pieces))]);
      parts = fb_prompt_parse (text->str);
      g_assert_cmpuint (parts->len, >=, 1);
      for (guint p = 0; p < parts->len; p++)
        g_assert_true (isfinite (g_array_index (parts, FbPromptPart, p).weight));
    }
}

static void
test_deep_nesting_stays_finite (void)
{
  g_autofree char  *deep  = g_strnfill (16000, '(');
  g_autofree char  *text  = g_strconcat (deep, "x", NULL);
  g_autoptr(GArray) parts = fb_prompt_parse (text);

  g_assert_cmpuint (parts->len, ==, 1);
  g_assert_cmpfloat (g_array_index (parts, FbPromptPart, 0).weight, ==, 100.0f);
}

/* --- chunks ----------------------------------------------------------------------------------------------------------------- */

static FbClipTokenizer *
open_tokenizer (void)
{
  g_autoptr(GError) error  = NULL;
  g_autofree char  *folder = g_build_filename (g_test_get_dir (G_TEST_DIST), "golden", "pipeline", "model", "tokenizer", NULL);
  g_autofree char  *vocab  = g_build_filename (folder, "vocab.json", NULL);
  g_autofree char  *merges = g_build_filename (folder, "merges.txt", NULL);
  FbClipTokenizer  *self   = fb_clip_tokenizer_new_from_files (vocab, merges, &error);

  g_assert_no_error (error);
  return self;
}

static FbPromptTokens *
tokenize (const FbClipTokenizer *tokenizer, const char *prompt)
{
  g_autoptr(GError) error  = NULL;
  FbPromptTokens   *tokens = fb_prompt_tokenize (tokenizer, prompt, &error);

  g_assert_no_error (error);
  return tokens;
}

/* the text tokens of a chunk: those before its first end token */
static int
chunk_length (const FbClipTokenizer *tokenizer, const FbPromptTokens *tokens, int chunk)
{
  const int *ids = tokens->ids + chunk * FB_PROMPT_CHUNK_TOKENS;
  int        n   = 0;

  g_assert_cmpint (ids[0], ==, fb_clip_tokenizer_bos (tokenizer));
  while (ids[1 + n] != fb_clip_tokenizer_eos (tokenizer))
    n++;

  return n;
}

static char *
repeated (const char *piece, int n)
{
  GString *text = g_string_new (NULL);

  for (int i = 0; i < n; i++)
    g_string_append (text, piece);

  return g_string_free (text, FALSE);
}

static void
test_one_chunk_with_weights (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = open_tokenizer ();
  g_autoptr(FbPromptTokens)  tokens    = tokenize (tokenizer, "a (cat:1.5)");
  const float                expected[] = { 1.0f, 1.0f, 1.5f, 1.0f };

  g_assert_cmpint (tokens->n_chunks, ==, 1);
  g_assert_cmpint (chunk_length (tokenizer, tokens, 0), ==, 2);
  g_assert_cmpmem (tokens->weights, sizeof expected, expected, sizeof expected);
}

static void
test_an_empty_prompt_is_one_chunk (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = open_tokenizer ();
  g_autoptr(FbPromptTokens)  tokens    = tokenize (tokenizer, "");

  g_assert_cmpint (tokens->n_chunks, ==, 1);
  g_assert_cmpint (chunk_length (tokenizer, tokens, 0), ==, 0);
}

static void
test_long_prompts_go_into_chunks (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = open_tokenizer ();
  g_autofree char           *exact     = repeated ("a ", 75);
  g_autofree char           *more      = repeated ("a ", 76);
  g_autoptr(FbPromptTokens)  one       = tokenize (tokenizer, exact);
  g_autoptr(FbPromptTokens)  two       = tokenize (tokenizer, more);

  g_assert_cmpint (one->n_chunks, ==, 1);
  g_assert_cmpint (two->n_chunks, ==, 2);
  g_assert_cmpint (chunk_length (tokenizer, two, 0), ==, 75);
  g_assert_cmpint (chunk_length (tokenizer, two, 1), ==, 1);
}

/* 70 words, a comma, then words: the comma is token 71, within 20 of the end, so the chunk ends behind it */
static void
test_chunks_end_at_a_near_comma (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = open_tokenizer ();
  g_autofree char           *head      = repeated ("a ", 70);
  g_autofree char           *tail      = repeated ("a ", 10);
  g_autofree char           *text      = g_strconcat (head, ", ", tail, NULL);
  g_autoptr(FbPromptTokens)  tokens    = tokenize (tokenizer, text);

  g_assert_cmpint (tokens->n_chunks, ==, 2);
  g_assert_cmpint (chunk_length (tokenizer, tokens, 0), ==, 71);
  g_assert_cmpint (chunk_length (tokenizer, tokens, 1), ==, 10);
}

static void
test_a_far_comma_is_not_sought (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = open_tokenizer ();
  g_autofree char           *tail      = repeated ("a ", 80);
  g_autofree char           *text      = g_strconcat ("a , ", tail, NULL);
  g_autoptr(FbPromptTokens)  tokens    = tokenize (tokenizer, text);

  g_assert_cmpint (chunk_length (tokenizer, tokens, 0), ==, 75);
}

static void
test_break_begins_a_chunk (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = open_tokenizer ();
  g_autoptr(FbPromptTokens)  tokens    = tokenize (tokenizer, "a cat BREAK a dog, a cat");

  g_assert_cmpint (tokens->n_chunks, ==, 2);
  g_assert_cmpint (chunk_length (tokenizer, tokens, 0), ==, 2);
}

static void
test_padding_to_the_longer_one (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = open_tokenizer ();
  g_autoptr(FbPromptTokens)  a         = tokenize (tokenizer, "a BREAK a BREAK a");
  g_autoptr(FbPromptTokens)  b         = tokenize (tokenizer, "b");

  fb_prompt_pad_to_same_length (tokenizer, a, b);
  g_assert_cmpint (a->n_chunks, ==, 3);
  g_assert_cmpint (b->n_chunks, ==, 3);
  g_assert_cmpint (chunk_length (tokenizer, b, 2), ==, 0);
}

static void
test_too_long_is_refused (void)
{
  g_autoptr(FbClipTokenizer) tokenizer = open_tokenizer ();
  g_autofree char           *text      = repeated ("a ", FB_PROMPT_MAX_BYTES);
  g_autoptr(GError)          error     = NULL;

  g_assert_null (fb_prompt_tokenize (tokenizer, text, &error));
  g_assert_error (error, FB_PROMPT_ERROR, FB_PROMPT_ERROR_TOO_LONG);
}

/* token 2 doubled; then everything scaled so that the mean is as before */
static void
test_weights_keep_the_mean (void)
{
  enum { WIDTH = 2, N = FB_PROMPT_CHUNK_TOKENS * WIDTH };
  float          embeddings[N], weights[FB_PROMPT_CHUNK_TOKENS];
  FbPromptTokens tokens = { 1, NULL, weights };
  double         mean   = 0.0;

  for (int i = 0; i < N; i++)
    embeddings[i] = 1.0f;
  for (int t = 0; t < FB_PROMPT_CHUNK_TOKENS; t++)
    weights[t] = t == 2 ? 2.0f : 1.0f;

  fb_prompt_apply_weights (embeddings, &tokens, WIDTH);
  for (int i = 0; i < N; i++)
    mean += embeddings[i] / N;
  g_assert_cmpfloat_with_epsilon (mean, 1.0, 1e-6);
  g_assert_cmpfloat_with_epsilon (embeddings[4], 2.0f * 77 / 78, 1e-6);
  g_assert_cmpfloat_with_epsilon (embeddings[0], 77.0f / 78, 1e-6);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/text/prompt/parses", test_parses);
  g_test_add_func ("/core/text/prompt/random-strings", test_random_strings);
  g_test_add_func ("/core/text/prompt/deep-nesting-stays-finite", test_deep_nesting_stays_finite);
  g_test_add_func ("/core/text/prompt/one-chunk-with-weights", test_one_chunk_with_weights);
  g_test_add_func ("/core/text/prompt/an-empty-prompt-is-one-chunk", test_an_empty_prompt_is_one_chunk);
  g_test_add_func ("/core/text/prompt/long-prompts-go-into-chunks", test_long_prompts_go_into_chunks);
  g_test_add_func ("/core/text/prompt/chunks-end-at-a-near-comma", test_chunks_end_at_a_near_comma);
  g_test_add_func ("/core/text/prompt/a-far-comma-is-not-sought", test_a_far_comma_is_not_sought);
  g_test_add_func ("/core/text/prompt/break-begins-a-chunk", test_break_begins_a_chunk);
  g_test_add_func ("/core/text/prompt/padding-to-the-longer-one", test_padding_to_the_longer_one);
  g_test_add_func ("/core/text/prompt/too-long-is-refused", test_too_long_is_refused);
  g_test_add_func ("/core/text/prompt/weights-keep-the-mean", test_weights_keep_the_mean);
  return g_test_run ();
}
