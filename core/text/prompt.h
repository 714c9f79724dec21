/* core/text/prompt.h: prompts as people of the common web UIs write them. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * (x) is x at 1.1, [x] at 1 / 1.1, (x:1.3) at 1.3; brackets nest and multiply; \( \) \[ \] \\ are plain characters; a bracket without
 * its partner counts to the end (opening) or is text (closing). BREAK, in capitals and as a word, begins a new chunk. Longer prompts go into
 * several chunks of 75 tokens; a chunk that would end within 20 tokens after a comma ends at the comma.
 * Source: the documented syntax of AUTOMATIC1111's web UI. */
#pragma once

#include <gio/gio.h>

#include "core/text/clip-tokenizer.h"

#define FB_PROMPT_CHUNK_TOKENS 77          /* start + 75 + end */
#define FB_PROMPT_MAX_BYTES    (16 * 1024)

typedef enum
{
  FB_PROMPT_ERROR_TOO_LONG,     /* more than FB_PROMPT_MAX_BYTES */
} FbPromptError;
#define FB_PROMPT_N_ERRORS (FB_PROMPT_ERROR_TOO_LONG + 1)

#define FB_PROMPT_ERROR (fb_prompt_error_quark ())
GQuark fb_prompt_error_quark (void);

/**
 * FbPromptPart: a run of text with one weight
 * @text: brackets and escapes resolved; %NULL for a BREAK
 */
typedef struct
{
  char *text;
  float weight;     /* −100 … 100 */
} FbPromptPart;

/* (transfer full): array of FbPromptPart, at least one; neighbours differ in weight */
GArray * fb_prompt_parse (const char *prompt);

/**
 * FbPromptTokens:
 * @ids: [n_chunks, 77], with start and end tokens and padding
 * @weights: [n_chunks, 77]; 1 for start, end and padding
 */
typedef struct
{
  int    n_chunks;
  int   *ids;
  float *weights;
} FbPromptTokens;

/* (transfer full): at least one chunk, also for an empty prompt. Errors: TOO_LONG, and the tokenizer's */
FbPromptTokens * fb_prompt_tokenize    (const FbClipTokenizer *tokenizer, const char *prompt, GError **error);
void             fb_prompt_tokens_free (FbPromptTokens *tokens);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbPromptTokens, fb_prompt_tokens_free)

/* Appends empty chunks to the shorter one, so that both fit into one batch. */
void fb_prompt_pad_to_same_length (const FbClipTokenizer *tokenizer, FbPromptTokens *a, FbPromptTokens *b);

/**
 * fb_prompt_apply_weights:
 * @embeddings: (inout): [n_chunks, 77, @width], the text encoder's output
 *
 * Multiplies each token by its weight, then scales each chunk back to the mean it had. A chunk whose weights are all 1 stays as it is.
 */
void fb_prompt_apply_weights (float *embeddings, const FbPromptTokens *tokens, int width);
