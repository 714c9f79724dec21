/* core/text/lower.c: lower case as Python's str.lower(). SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * GLib's g_utf8_strdown() depends on the locale (a Turkish I), takes no account of what stands before a final sigma, and leaves
 * Roman numerals and circled letters, which are not letters, as they are.
 */
#include "core/text/words.h"

#include <string.h>

static gboolean
within (gunichar c, gunichar first, gunichar last)
{
  return c >= first && c <= last;
}

/* Unicode's Cased, without what is case-ignorable besides */
static gboolean
is_cased (gunichar c)
{
  switch (g_unichar_type (c))
    {
    case G_UNICODE_LOWERCASE_LETTER:
    case G_UNICODE_UPPERCASE_LETTER:
    case G_UNICODE_TITLECASE_LETTER:
      return TRUE;
    default:
      return c == 0xaa || c == 0xba || within (c, 0x2160, 0x217f) || within (c, 0x24b6, 0x24e9)
             || within (c, 0x1f130, 0x1f149) || within (c, 0x1f150, 0x1f169) || within (c, 0x1f170, 0x1f189);
    }
}

/* Unicode's Case_Ignorable */
static gboolean
is_case_ignorable (gunichar c)
{
  static const gunichar punctuation[] =
  {
    '\'', '.', ':', 0xb7, 0x387, 0x55f, 0x5f4, 0x2018, 0x2019, 0x2024, 0x2027,
    0xfe13, 0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a,
  };

  switch (g_unichar_type (c))
    {
    case G_UNICODE_NON_SPACING_MARK:
    case G_UNICODE_ENCLOSING_MARK:
    case G_UNICODE_FORMAT:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_MODIFIER_SYMBOL:
      return TRUE;
    default:
      for (size_t i = 0; i < G_N_ELEMENTS (punctuation); i++)
        if (c == punctuation[i])
          return TRUE;
      return FALSE;
    }
}

/* @after: what follows a sigma that has a cased letter before it */
static gboolean
ends_word (const char *after)
{
  while (*after != '\0' && is_case_ignorable (g_utf8_get_char (after)))
    after = g_utf8_next_char (after);
  return *after == '\0' || !is_cased (g_utf8_get_char (after));
}

char *
fb_lower (const char *text)
{
  GString  *out = g_string_sized_new (strlen (text));
  gboolean  after_cased = FALSE;                  /* past what is case-ignorable */

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (c == 0x130)                             /* İ */
        g_string_append (out, "i\314\207");
      else if (c == 0x3a3)                        /* Σ */
        g_string_append_unichar (out, after_cased && ends_word (g_utf8_next_char (p)) ? 0x3c2 : 0x3c3);
      else if (within (c, 0x2160, 0x216f))        /* Roman numerals */
        g_string_append_unichar (out, c + 0x10);
      else if (within (c, 0x24b6, 0x24cf))        /* circled letters */
        g_string_append_unichar (out, c + 0x1a);
      else
        g_string_append_unichar (out, g_unichar_tolower (c));

      if (!is_case_ignorable (c))
        after_cased = is_cased (c);
    }
  return g_string_free (out, FALSE);
}
