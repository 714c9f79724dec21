/* core/text/words.h: cuts text into the words that CLIP encodes one by one. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/**
 * fb_clip_words:
 * @text: valid UTF-8, @n bytes
 * @words: array of char *, to which the words are appended (transfer full)
 *
 * Drops control and format characters, sets Chinese characters apart, composes (NFC), lowers case, and cuts: contractions ('s …),
 * runs of letters, single digits, runs of anything else.
 * Source: transformers' BasicTokenizer and CLIPTokenizer.
 */
void   fb_clip_words (const char *text, gsize n, GPtrArray *words);

/**
 * fb_lower:
 * @text: valid UTF-8
 *
 * Python's str.lower(), whatever the locale: full mappings (İ), and a sigma that ends a word becomes ς.
 * Source: Unicode 16, sections 3.13 and 5.18; SpecialCasing.txt.
 *
 * Returns: (transfer full)
 */
char * fb_lower      (const char *text);
