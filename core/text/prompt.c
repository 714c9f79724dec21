/* core/text/prompt.c: prompts as people of the common web UIs write them. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/text/prompt.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#define ROUND_FACTOR   1.1f
#define SQUARE_FACTOR  (1.0f / 1.1f)
#define MAX_WEIGHT     100.0f      /* deep nesting would overflow to infinity */
#define CHUNK_TEXT     75          /* tokens of a chunk without start and end */
#define COMMA_BACKTRACK 20

static const GDBusErrorEntry entries[] =
{
  { FB_PROMPT_ERROR_TOO_LONG, "org.flashbrush.Error.PromptTooLong" },
};
G_STATIC_ASSERT (G_N_ELEMENTS (entries) == FB_PROMPT_N_ERRORS);

GQuark
fb_prompt_error_quark (void)
{
  static gsize quark = 0;
  g_dbus_error_register_error_domain ("fb-prompt-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}

/* --- brackets --------------------------------------------------------------------------------------------------------------- */

static void
part_clear (gpointer data)
{
  g_free (((FbPromptPart *) data)->text);
}

typedef struct
{
  GArray *parts;      /* FbPromptPart */
  GArray *round;      /* int: the part at which each open bracket stands */
  GArray *square;
} Parser;

static void
add_text (Parser *p, const char *text, gsize n)
{
  FbPromptPart part = { g_strndup (text, n), 1.0f };

  g_array_append_val (p->parts, part);
}

static void
add_break (Parser *p)
{
  FbPromptPart part = { NULL, 1.0f };

  g_array_append_val (p->parts, part);
}

static void
open_bracket (Parser *p, GArray *stack)
{
  int at = p->parts->len;

  g_array_append_val (stack, at);
}

static void
multiply_from (Parser *p, int first, float factor)
{
  for (guint i = first; i < p->parts->len; i++)
    {
      float *weight = &g_array_index (p->parts, FbPromptPart, i).weight;

      *weight = CLAMP (*weight * factor, -MAX_WEIGHT, MAX_WEIGHT);
    }
}

static void
close_bracket (Parser *p, GArray *stack, float factor)
{
  int first = g_array_index (stack, int, stack->len - 1);

  g_array_set_size (stack, stack->len - 1);
  multiply_from (p, first, factor);
}

/* ":1.3)" at @s: its length and the number; 0 if there is none */
static gsize
match_weight (const char *s, float *weight)
{
  const char *p = s + 1;
  char       *end;
  const char *digits;
  double      value;

  while (g_ascii_isspace (*p))
    p++;
  digits = *p == '+' || *p == '-' ? p + 1 : p;
  if (strspn (digits, "0123456789.") == 0)
    return 0;
  value = g_ascii_strtod (p, &end);
  if (end != digits + strspn (digits, "0123456789.") || !isfinite (value))      /* "1.2.3", or only "." */
    return 0;
  while (g_ascii_isspace (*end))
    end++;
  if (*end != ')')
    return 0;

  *weight = value;
  return end + 1 - s;
}

/* whether a letter, digit or underscore begins at @p, with @n bytes left */
static gboolean
is_word_at (const char *p, gsize n)
{
  gunichar c = g_utf8_get_char_validated (p, n);

  return n > 0 && (c == '_' || ((gint32) c >= 0 && g_unichar_isalnum (c)));
}

static gboolean
is_word_before (const char *text, const char *p)
{
  const char *before = g_utf8_find_prev_char (text, p);

  return before != NULL && is_word_at (before, p - before);
}

/* @n bytes of text without brackets, in which BREAK as a word separates; space around it goes */
static void
add_text_with_breaks (Parser *p, const char *text, gsize n)
{
  gsize start = 0;

  for (gsize i = 0; i + 5 <= n; i++)
    if (memcmp (text + i, "BREAK", 5) == 0 && !is_word_before (text, text + i) && !is_word_at (text + i + 5, n - i - 5))
      {
        gsize end = i;

        while (end > start && g_ascii_isspace (text[end - 1]))
          end--;
        add_text (p, text + start, end - start);
        add_break (p);
        i += 5;
        while (i < n && g_ascii_isspace (text[i]))
          i++;
        start = i;
        i--;
      }
  if (start < n || start == 0)
    add_text (p, text + start, n - start);
}

/* Joins neighbours of one weight and drops empty ones. */
static GArray *
merge_parts (GArray *parts)
{
  GArray *merged = g_array_new (FALSE, FALSE, sizeof (FbPromptPart));

  g_array_set_clear_func (merged, part_clear);
  for (guint i = 0; i < parts->len; i++)
    {
      FbPromptPart *part = &g_array_index (parts, FbPromptPart, i);
      FbPromptPart *last = merged->len > 0 ? &g_array_index (merged, FbPromptPart, merged->len - 1) : NULL;

      if (part->text != NULL && *part->text == '\0')
        continue;
      if (last != NULL && last->text != NULL && part->text != NULL && last->weight == part->weight)
        {
          char *joined = g_strconcat (last->text, part->text, NULL);

          g_free (last->text);
          last->text = joined;
        }
      else
        {
          FbPromptPart copy = { g_strdup (part->text), part->weight };

          g_array_append_val (merged, copy);
        }
    }
  if (merged->len == 0)
    {
      FbPromptPart empty = { g_strdup (""), 1.0f };

      g_array_append_val (merged, empty);
    }

  return merged;
}

GArray *
fb_prompt_parse (const char *prompt)
{
  g_autoptr(GArray) parts  = g_array_new (FALSE, FALSE, sizeof (FbPromptPart));
  g_autoptr(GArray) round  = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr(GArray) square = g_array_new (FALSE, FALSE, sizeof (int));
  Parser            p      = { parts, round, square };
  const char       *s      = prompt;

  g_array_set_clear_func (parts, part_clear);
  while (*s != '\0')
    {
      gsize n = strcspn (s, "\\()[]:");
      float weight;

      if (n > 0)
        {
          add_text_with_breaks (&p, s, n);
        }
      else if (*s == '\\')
        {
          n = s[1] != '\0' && strchr ("()[]\\", s[1]) ? 2 : 1;
          add_text (&p, s + 1, n - 1);
        }
      else if (*s == '(' || *s == '[')
        {
          n = 1;
          open_bracket (&p, *s == '(' ? round : square);
        }
      else if (*s == ':' && round->len > 0 && match_weight (s, &weight) > 0)
        {
          n = match_weight (s, &weight);
          close_bracket (&p, round, weight);
        }
      else if (*s == ')' && round->len > 0)
        {
          n = 1;
          close_bracket (&p, round, ROUND_FACTOR);
        }
      else if (*s == ']' && square->len > 0)
        {
          n = 1;
          close_bracket (&p, square, SQUARE_FACTOR);
        }
      else
        {
          n = 1;
          add_text (&p, s, 1);
        }
      s += n;
    }
  while (round->len > 0)
    close_bracket (&p, round, ROUND_FACTOR);
  while (square->len > 0)
    close_bracket (&p, square, SQUARE_FACTOR);

  return merge_parts (parts);
}

/* --- chunks ----------------------------------------------------------------------------------------------------------------- */

typedef struct
{
  const FbClipTokenizer *tokenizer;
  GArray                *ids;          /* int, whole chunks */
  GArray                *weights;      /* float */
  int                    n;            /* tokens of the open chunk */
  int                    open_ids[CHUNK_TEXT];
  float                  open_weights[CHUNK_TEXT];
  int                    last_comma;   /* in the open chunk; −1 if none */
} Chunker;

static void
emit (Chunker *c, int id, float weight)
{
  g_array_append_val (c->ids, id);
  g_array_append_val (c->weights, weight);
}

static void
close_chunk (Chunker *c)
{
  emit (c, fb_clip_tokenizer_bos (c->tokenizer), 1.0f);
  for (int i = 0; i < c->n; i++)
    emit (c, c->open_ids[i], c->open_weights[i]);
  emit (c, fb_clip_tokenizer_eos (c->tokenizer), 1.0f);
  for (int i = c->n; i < CHUNK_TEXT; i++)
    emit (c, fb_clip_tokenizer_pad (c->tokenizer), 1.0f);
  c->n          = 0;
  c->last_comma = -1;
}

/* Closes a full chunk after its last comma and carries the rest over. */
static void
close_chunk_at_comma (Chunker *c)
{
  int first = c->last_comma + 1;
  int rest  = c->n - first;

  c->n = first;
  close_chunk (c);
  memmove (c->open_ids, c->open_ids + first, rest * sizeof (int));
  memmove (c->open_weights, c->open_weights + first, rest * sizeof (float));
  c->n = rest;
}

static void
add_token (Chunker *c, int id, float weight, int comma)
{
  if (id == comma)
    c->last_comma = c->n;
  else if (c->n == CHUNK_TEXT && c->last_comma >= 0 && c->n - c->last_comma <= COMMA_BACKTRACK)
    close_chunk_at_comma (c);
  if (c->n == CHUNK_TEXT)
    close_chunk (c);

  c->open_ids[c->n]     = id;
  c->open_weights[c->n] = weight;
  c->n++;
}

static FbPromptTokens *
tokens_take (GArray *ids, GArray *weights)
{
  FbPromptTokens *tokens = g_new (FbPromptTokens, 1);

  tokens->n_chunks = ids->len / FB_PROMPT_CHUNK_TOKENS;
  tokens->ids      = (int *) g_array_free (ids, FALSE);
  tokens->weights  = (float *) g_array_free (weights, FALSE);

  return tokens;
}

FbPromptTokens *
fb_prompt_tokenize (const FbClipTokenizer *tokenizer, const char *prompt, GError **error)
{
  g_autoptr(GArray) ids     = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr(GArray) weights = g_array_new (FALSE, FALSE, sizeof (float));
  g_autoptr(GArray) comma   = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr(GArray) parts   = NULL;
  Chunker           c       = { .tokenizer = tokenizer, .ids = ids, .weights = weights, .last_comma = -1 };

  if (strlen (prompt) > FB_PROMPT_MAX_BYTES)
    {
      g_set_error (error, FB_PROMPT_ERROR, FB_PROMPT_ERROR_TOO_LONG,
                   _("The prompt has %zu bytes; at most %d are read. Shorten it."), strlen (prompt), FB_PROMPT_MAX_BYTES);
      return NULL;
    }
  if (!fb_clip_tokenizer_encode (tokenizer, ",", comma, error))
    return NULL;

  parts = fb_prompt_parse (prompt);
  for (guint i = 0; i < parts->len; i++)
    {
      const FbPromptPart *part   = &g_array_index (parts, FbPromptPart, i);
      g_autoptr(GArray)   tokens = g_array_new (FALSE, FALSE, sizeof (int));

      if (part->text == NULL)
        {
          close_chunk (&c);
          continue;
        }
      if (!fb_clip_tokenizer_encode (tokenizer, part->text, tokens, error))
        return NULL;
      for (guint t = 0; t < tokens->len; t++)
        add_token (&c, g_array_index (tokens, int, t), part->weight, comma->len == 1 ? g_array_index (comma, int, 0) : -1);
    }
  if (c.n > 0 || ids->len == 0)
    close_chunk (&c);

  return tokens_take (g_steal_pointer (&ids), g_steal_pointer (&weights));
}

void
fb_prompt_tokens_free (FbPromptTokens *tokens)
{
  g_free (tokens->ids);
  g_free (tokens->weights);
  g_free (tokens);
}

static void
append_empty_chunks (const FbClipTokenizer *tokenizer, FbPromptTokens *tokens, int n_chunks)
{
  int before = tokens->n_chunks * FB_PROMPT_CHUNK_TOKENS;
  int after  = n_chunks * FB_PROMPT_CHUNK_TOKENS;

  if (n_chunks <= tokens->n_chunks)
    return;

  tokens->ids     = g_renew (int, tokens->ids, after);
  tokens->weights = g_renew (float, tokens->weights, after);
  for (int i = before; i < after; i++)
    {
      int place = i % FB_PROMPT_CHUNK_TOKENS;

      tokens->ids[i]     = place == 0 ? fb_clip_tokenizer_bos (tokenizer)
                         : place == 1 ? fb_clip_tokenizer_eos (tokenizer) : fb_clip_tokenizer_pad (tokenizer);
      tokens->weights[i] = 1.0f;
    }
  tokens->n_chunks = n_chunks;
}

void
fb_prompt_pad_to_same_length (const FbClipTokenizer *tokenizer, FbPromptTokens *a, FbPromptTokens *b)
{
  append_empty_chunks (tokenizer, a, b->n_chunks);
  append_empty_chunks (tokenizer, b, a->n_chunks);
}

void
fb_prompt_apply_weights (float *embeddings, const FbPromptTokens *tokens, int width)
{
  for (int chunk = 0; chunk < tokens->n_chunks; chunk++)
    {
      const float *weights = tokens->weights + chunk * FB_PROMPT_CHUNK_TOKENS;
      float       *values  = embeddings + (size_t) chunk * FB_PROMPT_CHUNK_TOKENS * width;
      double       before  = 0.0, after = 0.0;
      gboolean     plain   = TRUE;

      for (int t = 0; t < FB_PROMPT_CHUNK_TOKENS; t++)
        plain = plain && weights[t] == 1.0f;
      if (plain)
        continue;

      for (int t = 0; t < FB_PROMPT_CHUNK_TOKENS; t++)
        for (int i = 0; i < width; i++)
          {
            float *value = &values[(size_t) t * width + i];

            before += *value;
            *value *= weights[t];
            after  += *value;
          }
      if (after != 0.0 && isfinite (before / after))
        for (size_t i = 0; i < (size_t) FB_PROMPT_CHUNK_TOKENS * width; i++)
          values[i] *= before / after;
    }
}
