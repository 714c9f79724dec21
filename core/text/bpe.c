/* core/text/bpe.c: byte pair encoding of single words. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/text/bpe.h"

#include <string.h>

#define MAX_MERGES (49152 - 256 - 2)
#define NO_RANK    G_MAXUINT

/* a pair's rank, the first to be merged has 0, and the symbol it becomes */
typedef struct
{
  guint64 pair;         /* left symbol << 32 | right symbol; the key */
  guint   rank;
  guint   merged;
} Merge;

struct FbBpe
{
  GStringChunk *texts;
  GHashTable   *symbols;        /* text -> symbol + 1; tokens and what is merged on the way to them */
  GArray       *ids;            /* int by symbol; −1 where there is no token */
  GHashTable   *merges;         /* set of Merge */
  guint         byte[256], last_byte[256];      /* their symbols; "</w>" is part of the second */
};

static guint
intern (FbBpe *self, const char *text)
{
  guint symbol = GPOINTER_TO_UINT (g_hash_table_lookup (self->symbols, text));
  int   none   = -1;

  if (symbol == 0)
    {
      g_array_append_val (self->ids, none);
      symbol = self->ids->len;
      g_hash_table_insert (self->symbols, g_string_chunk_insert (self->texts, text), GUINT_TO_POINTER (symbol));
    }
  return symbol - 1;
}

/* visible bytes stand for themselves, the others are written as U+0100 and on, in their order */
static gboolean
is_visible (int byte)
{
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

static void
intern_bytes (FbBpe *self)
{
  gunichar next = 0x100;

  for (int byte = 0; byte < 256; byte++)
    {
      char text[16];
      int  n = g_unichar_to_utf8 (is_visible (byte) ? (gunichar) byte : next++, text);

      text[n] = '\0';
      self->byte[byte] = intern (self, text);
      strcpy (text + n, "</w>");
      self->last_byte[byte] = intern (self, text);
    }
}

FbBpe *
fb_bpe_new (void)
{
  FbBpe *self = g_new0 (FbBpe, 1);

  self->texts   = g_string_chunk_new (1 << 16);
  self->symbols = g_hash_table_new (g_str_hash, g_str_equal);
  self->ids     = g_array_new (FALSE, FALSE, sizeof (int));
  self->merges  = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  intern_bytes (self);
  return self;
}

void
fb_bpe_free (FbBpe *self)
{
  if (self == NULL)
    return;
  g_string_chunk_free (self->texts);
  g_hash_table_unref (self->symbols);
  g_array_unref (self->ids);
  g_hash_table_unref (self->merges);
  g_free (self);
}

void
fb_bpe_add_token (FbBpe *self, const char *token, int id)
{
  guint symbol = intern (self, token);
  g_array_index (self->ids, int, symbol) = id;
}

void
fb_bpe_add_bytes (FbBpe *self)
{
  int id = 0;

  for (int visible = 1; visible >= 0; visible--)            /* those that stand for themselves come first */
    for (int byte = 0; byte < 256; byte++)
      if (is_visible (byte) == visible)
        {
          g_array_index (self->ids, int, self->byte[byte])      = id;
          g_array_index (self->ids, int, self->last_byte[byte]) = 256 + id;
          id++;
        }
}

/* @line: two words with one blank between, else nothing happens */
static void
add_merge (FbBpe *self, char *line, guint rank, int id)
{
  char            *blank = strchr (line, ' ');
  g_autofree char *both  = NULL;
  Merge           *merge;

  if (blank == NULL || blank == line || blank[1] == '\0' || strchr (blank + 1, ' ') != NULL)
    return;

  *blank = '\0';
  both   = g_strconcat (line, blank + 1, NULL);
  merge  = g_new (Merge, 1);
  *merge = (Merge) { (guint64) intern (self, line) << 32 | intern (self, blank + 1), rank, intern (self, both) };
  g_hash_table_replace (self->merges, merge, merge);        /* of a pair's ranks the last counts */
  if (id >= 0)
    g_array_index (self->ids, int, merge->merged) = id;
}

int
fb_bpe_add_merges (FbBpe *self, const char *text, int first_id)
{
  g_autofree char *copy  = g_strstrip (g_strdup (text));
  g_auto(GStrv)    lines = g_strsplit (copy, "\n", -1);
  int              n     = 0;

  for (int i = 1; lines[0] != NULL && lines[i] != NULL && n < MAX_MERGES; i++, n++)
    add_merge (self, g_strstrip (lines[i]), n, first_id < 0 ? -1 : first_id + n);
  return n;
}

int
fb_bpe_find (const FbBpe *self, const char *token)
{
  guint symbol = GPOINTER_TO_UINT (g_hash_table_lookup (self->symbols, token));
  return symbol == 0 ? -1 : g_array_index (self->ids, int, symbol - 1);
}

/* a word on its way from bytes to tokens: a symbol, and how it would merge with the one after it */
typedef struct
{
  guint symbol;
  guint rank;
  guint merged;
} Piece;

static void
look_up (const FbBpe *self, Piece *piece, const Piece *after)
{
  guint64      pair  = (guint64) piece->symbol << 32 | after->symbol;
  const Merge *merge = g_hash_table_lookup (self->merges, &pair);

  piece->rank   = merge != NULL ? merge->rank : NO_RANK;
  piece->merged = merge != NULL ? merge->merged : 0;
}

static guint
best_rank (const Piece *pieces, gsize n)
{
  guint best = NO_RANK;

  for (gsize i = 0; i + 1 < n; i++)
    best = MIN (best, pieces[i].rank);
  return best;
}

/* Merges all pairs of rank @best from left to right; ranks are looked up anew only beside what has changed. Returns what is left of @n. */
static gsize
merge_all (const FbBpe *self, Piece *pieces, gsize n, guint best)
{
  gsize    out       = 0;
  gboolean was_merge = FALSE;

  for (gsize i = 0; i < n; out++)
    {
      gboolean is_merge = i + 1 < n && pieces[i].rank == best;

      pieces[out] = pieces[i];
      if (is_merge)
        pieces[out].symbol = pieces[i].merged;
      if (out > 0 && (is_merge || was_merge))
        look_up (self, &pieces[out - 1], &pieces[out]);
      was_merge = is_merge;
      i += is_merge ? 2 : 1;
    }
  return out;
}

void
fb_bpe_encode (const FbBpe *self, const char *word, int unknown_id, GArray *ids)
{
  gsize             n      = strlen (word);
  g_autofree Piece *pieces = g_new (Piece, n);

  for (gsize i = 0; i < n; i++)
    {
      guchar byte = (guchar) word[i];

      pieces[i].symbol = i + 1 < n ? self->byte[byte] : self->last_byte[byte];
      if (i > 0)
        look_up (self, &pieces[i - 1], &pieces[i]);
    }

  for (guint best = best_rank (pieces, n); best != NO_RANK; best = best_rank (pieces, n))
    n = merge_all (self, pieces, n, best);

  for (gsize i = 0; i < n; i++)
    {
      int id = g_array_index (self->ids, int, pieces[i].symbol);

      if (id < 0)
        id = unknown_id;
      g_array_append_val (ids, id);
    }
}
