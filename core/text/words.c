/* core/text/words.c: cuts text into the words that CLIP encodes one by one. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/text/words.h"

#include <string.h>

static gboolean
is_chinese (gunichar c)
{
  static const gunichar blocks[][2] =
  {
    { 0x3400, 0x4dbf },   { 0x4e00, 0x9fff },   { 0xf900, 0xfaff },   { 0x20000, 0x2a6df },
    { 0x2a700, 0x2b73f }, { 0x2b740, 0x2b81f }, { 0x2b820, 0x2ceaf }, { 0x2f800, 0x2fa1f },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (blocks); i++)
    if (c >= blocks[i][0] && c <= blocks[i][1])
      return TRUE;
  return FALSE;
}

static gboolean
is_dropped (gunichar c)
{
  switch (g_unichar_type (c))
    {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_PRIVATE_USE:
    case G_UNICODE_SURROGATE:
    case G_UNICODE_UNASSIGNED:
      return TRUE;
    default:
      return c == 0xfffd;
    }
}

/* @text without what is dropped; every kind of space is a blank, and blanks stand around Chinese characters */
static char *
clean (const char *text, gsize n)
{
  GString *out = g_string_sized_new (n + 1);

  for (const char *p = text; p < text + n; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (c == '\t' || c == '\n' || c == '\r' || g_unichar_type (c) == G_UNICODE_SPACE_SEPARATOR)
        g_string_append_c (out, ' ');
      else if (is_chinese (c))
        {
          g_string_append_c (out, ' ');
          g_string_append_unichar (out, c);
          g_string_append_c (out, ' ');
        }
      else if (!is_dropped (c))
        g_string_append_unichar (out, c);
    }
  return g_string_free (out, FALSE);
}

typedef enum
{
  NOTHING,      /* parts words and is no part of any */
  LETTER,
  DIGIT,
  OTHER,
} Kind;

static Kind
kind_of (gunichar c)
{
  switch (g_unichar_type (c))
    {
    case G_UNICODE_LOWERCASE_LETTER:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_OTHER_LETTER:
    case G_UNICODE_TITLECASE_LETTER:
    case G_UNICODE_UPPERCASE_LETTER:
      return LETTER;
    case G_UNICODE_DECIMAL_NUMBER:
    case G_UNICODE_LETTER_NUMBER:
    case G_UNICODE_OTHER_NUMBER:
      return DIGIT;
    default:
      return c == 0x345 ? NOTHING : OTHER;        /* a mark that is a letter's lower case: their pattern ignores case and finds it in no class */
    }
}

/* Bytes of @literal at the start of @text, or 0; their pattern ignores case, so that ſ is an s. */
static gsize
match (const char *text, const char *literal)
{
  const char *p = text;

  for (; *literal != '\0'; literal++)
    {
      gunichar c = g_utf8_get_char (p);

      if (c != (gunichar) *literal && !(c == 0x17f && *literal == 's'))
        return 0;
      p = g_utf8_next_char (p);
    }
  return p - text;
}

/* bytes of the word at the start of @text, which is not empty and in lower case; 0 where there is none */
static gsize
word_length (const char *text)
{
  static const char * const literals[] =
  {
    "<|startoftext|>", "<|endoftext|>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d",
  };
  Kind        kind = kind_of (g_utf8_get_char (text));
  const char *p    = g_utf8_next_char (text);

  for (size_t i = 0; i < G_N_ELEMENTS (literals); i++)
    {
      gsize n = match (text, literals[i]);
      if (n > 0)
        return n;
    }
  if (kind == NOTHING)
    return 0;
  while (kind != DIGIT && *p != '\0' && kind_of (g_utf8_get_char (p)) == kind)
    p = g_utf8_next_char (p);
  return p - text;
}

static void
cut (const char *text, GPtrArray *words)
{
  while (*text != '\0')
    {
      gsize n = word_length (text);

      if (n > 0)
        g_ptr_array_add (words, g_strndup (text, n));
      text = n > 0 ? text + n : g_utf8_next_char (text);
    }
}

/* bytes up to the next blank or line or paragraph separator */
static gsize
stretch (const char *text)
{
  const char *p = text;

  while (*p != '\0' && *p != ' ' && g_utf8_get_char (p) != 0x2028 && g_utf8_get_char (p) != 0x2029)
    p = g_utf8_next_char (p);
  return p - text;
}

void
fb_clip_words (const char *text, gsize n, GPtrArray *words)
{
  g_autofree char *cleaned  = clean (text, n);
  g_autofree char *composed = g_utf8_normalize (cleaned, -1, G_NORMALIZE_NFC);

  for (const char *p = composed; *p != '\0';)
    {
      gsize length = stretch (p);

      if (length > 0)                             /* apart, because a sigma ends a word here */
        {
          g_autofree char *piece = g_strndup (p, length);
          g_autofree char *lower = fb_lower (piece);
          cut (lower, words);
        }
      p = length > 0 ? p + length : g_utf8_next_char (p);
    }
}
