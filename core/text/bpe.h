/* core/text/bpe.h: byte pair encoding of single words. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: Sennrich et al., arXiv:1508.07909; on bytes and with "</w>" at a word's end as in OpenAI's CLIP.
 */
#pragma once

#include <glib.h>

/* A vocabulary and its merges. Tokens are texts in an alphabet that writes each byte as one visible character. */
typedef struct FbBpe FbBpe;

FbBpe *  fb_bpe_new           (void);
void     fb_bpe_free          (FbBpe *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbBpe, fb_bpe_free)

/* Gives @token the id @id ≥ 0; the last id given to a token counts. */
void     fb_bpe_add_token     (FbBpe *self, const char *token, int id);
/* Gives ids 0 … 511 to the bytes and to the bytes that end a word, as CLIP orders them. */
void     fb_bpe_add_bytes     (FbBpe *self);

/**
 * fb_bpe_add_merges:
 * @text: UTF-8, a line per pair of tokens after a first line that is not looked at
 * @first_id: id of the first merged token, later ones follow; or −1 to leave ids to fb_bpe_add_token()
 *
 * Lines that are not two words keep their rank to themselves, and only as many lines count as CLIP's own file has: as in transformers.
 *
 * Returns: how many lines were read
 */
int      fb_bpe_add_merges    (FbBpe *self, const char *text, int first_id);

/* the id of @token, or −1 */
int      fb_bpe_find          (const FbBpe *self, const char *token);

/**
 * fb_bpe_encode:
 * @word: not empty, any bytes but 0
 * @unknown_id: for tokens that have no id
 * @ids: array of int, to which the ids are appended
 */
void     fb_bpe_encode        (const FbBpe *self, const char *word, int unknown_id, GArray *ids);
