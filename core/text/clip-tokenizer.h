/* core/text/clip-tokenizer.h: text to the token ids that CLIP was trained on. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

typedef enum
{
  FB_TOKENIZER_ERROR_UTF8,      /* the text is not UTF-8; the message says at which byte */
  FB_TOKENIZER_ERROR_TOO_LONG,  /* the text has more than FB_CLIP_TOKENIZER_MAX_BYTES */
  FB_TOKENIZER_ERROR_FILE,      /* vocab.json or merges.txt cannot be used */
} FbTokenizerError;
#define FB_TOKENIZER_N_ERRORS (FB_TOKENIZER_ERROR_FILE + 1)

#define FB_TOKENIZER_ERROR (fb_tokenizer_error_quark ())
GQuark fb_tokenizer_error_quark (void);

#define FB_CLIP_TOKENIZER_MAX_BYTES (64 * 1024)

/**
 * FbClipTokenizer: byte-level byte pair encoding with CLIP's rules for words
 *
 * Gives the ids of transformers' CLIPTokenizer (the slow one, without ftfy). Immutable, may be used from several threads.
 * Letters, digits and cases are those of GLib's Unicode version.
 */
typedef struct FbClipTokenizer FbClipTokenizer;

/**
 * fb_clip_tokenizer_new_from_files:
 * @vocab_path: vocab.json: token to id
 * @merges_path: merges.txt: a version line, then pairs of tokens in the order in which they are merged
 *
 * Pads with the end token. Errors: %FB_TOKENIZER_ERROR_FILE, and %FB_MODEL_ERROR for what is not JSON at all.
 */
FbClipTokenizer * fb_clip_tokenizer_new_from_files  (const char *vocab_path, const char *merges_path, GError **error);

/**
 * fb_clip_tokenizer_new_from_folder:
 * @path: a checkpoint's tokenizer/ folder
 *
 * As fb_clip_tokenizer_new_from_files(), with the special tokens that special_tokens_map.json names, if it is there.
 */
FbClipTokenizer * fb_clip_tokenizer_new_from_folder (const char *path, GError **error);

/* The vocabulary of OpenAI's CLIP, which is embedded: for single-file checkpoints. Fails only if the program was built wrongly. */
FbClipTokenizer * fb_clip_tokenizer_new_standard    (GError **error);

void              fb_clip_tokenizer_free            (FbClipTokenizer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbClipTokenizer, fb_clip_tokenizer_free)

/**
 * fb_clip_tokenizer_encode:
 * @text: anything; invalid UTF-8 and too long texts are errors
 * @ids: array of int, to which the ids are appended, without start and end tokens; left as it was on error
 *
 * A special token written out in @text ("<|endoftext|>") becomes its id, as in transformers.
 */
gboolean fb_clip_tokenizer_encode (const FbClipTokenizer *self, const char *text, GArray *ids, GError **error);

/* ids of the tokens that start, end and fill a sequence */
int      fb_clip_tokenizer_bos    (const FbClipTokenizer *self);
int      fb_clip_tokenizer_eos    (const FbClipTokenizer *self);
int      fb_clip_tokenizer_pad    (const FbClipTokenizer *self);
/* ids are 0 … n − 1; the text encoder's table must have as many rows */
int      fb_clip_tokenizer_n_ids  (const FbClipTokenizer *self);
