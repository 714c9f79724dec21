/* core/text/clip-tokenizer.c: text to the token ids that CLIP was trained on. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/text/clip-tokenizer.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "core/formats/json-file.h"
#include "core/text/bpe.h"
#include "core/text/tokenizer-resource.h"
#include "core/text/words.h"

#define BOS "<|startoftext|>"
#define EOS "<|endoftext|>"

enum
{
  MAX_MERGES_BYTES = 16 << 20,
  MAX_ID           = 10000000,
};

typedef enum { ROLE_BOS, ROLE_EOS, ROLE_UNKNOWN, ROLE_PAD, N_ROLES } Role;

/* by Role: their names in the files */
static const char * const role_keys[N_ROLES] = { "bos_token", "eos_token", "unk_token", "pad_token" };

struct FbClipTokenizer
{
  FbBpe *bpe;
  char  *special[N_ROLES];      /* as written in texts */
  int    special_id[N_ROLES];
  int    n_ids;
};

static const GDBusErrorEntry entries[] =
{
  { FB_TOKENIZER_ERROR_UTF8,     "org.flashbrush.Error.TokenizerUtf8"    },
  { FB_TOKENIZER_ERROR_TOO_LONG, "org.flashbrush.Error.TokenizerTooLong" },
  { FB_TOKENIZER_ERROR_FILE,     "org.flashbrush.Error.TokenizerFile"    },
};
G_STATIC_ASSERT (G_N_ELEMENTS (entries) == FB_TOKENIZER_N_ERRORS);

GQuark
fb_tokenizer_error_quark (void)
{
  static gsize quark = 0;
  g_dbus_error_register_error_domain ("fb-tokenizer-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}

static FbClipTokenizer *
tokenizer_new (void)
{
  static const char * const usual[N_ROLES] = { BOS, EOS, EOS, EOS };
  FbClipTokenizer *self = g_new0 (FbClipTokenizer, 1);

  self->bpe = fb_bpe_new ();
  for (int role = 0; role < N_ROLES; role++)
    self->special[role] = g_strdup (usual[role]);
  return self;
}

void
fb_clip_tokenizer_free (FbClipTokenizer *self)
{
  if (self == NULL)
    return;
  fb_bpe_free (self->bpe);
  for (int role = 0; role < N_ROLES; role++)
    g_free (self->special[role]);
  g_free (self);
}

static gboolean
find_special (FbClipTokenizer *self, const char *vocab_path, GError **error)
{
  for (int role = 0; role < N_ROLES; role++)
    {
      self->special_id[role] = fb_bpe_find (self->bpe, self->special[role]);
      if (self->special_id[role] < 0)
        {
          g_set_error (error, FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE,
                       _("“%s” lacks the token “%s”, which the tokenizer needs; the checkpoint may be incomplete."),
                       vocab_path, self->special[role]);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
read_vocab (FbClipTokenizer *self, const char *path, GError **error)
{
  g_autoptr(JsonObject) vocab = fb_json_load_object (path, error);
  JsonObjectIter        iter;
  const char           *token;
  JsonNode             *node;

  if (vocab == NULL)
    return FALSE;
  json_object_iter_init (&iter, vocab);
  while (json_object_iter_next (&iter, &token, &node))
    {
      gint64 id = JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64 ? json_node_get_int (node) : -1;

      if (id < 0 || id > MAX_ID)
        {
          g_set_error (error, FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE,
                       _("“%s” gives the token “%s” no usable id; a whole number from 0 to %d is needed."), path, token, MAX_ID);
          return FALSE;
        }
      fb_bpe_add_token (self->bpe, token, (int) id);
      self->n_ids = MAX (self->n_ids, (int) id + 1);
    }
  return TRUE;
}

static gboolean
read_merges (FbClipTokenizer *self, const char *path, GError **error)
{
  g_autoptr(GFile)     file = g_file_new_for_path (path);
  g_autoptr(GFileInfo) info = g_file_query_info (file, G_FILE_ATTRIBUTE_STANDARD_SIZE "," G_FILE_ATTRIBUTE_STANDARD_TYPE, 0, NULL, NULL);
  g_autoptr(GError)    bad  = NULL;
  g_autofree char     *text = NULL;
  gsize                n;
  const char          *end;

  if (info != NULL && (g_file_info_get_file_type (info) != G_FILE_TYPE_REGULAR || g_file_info_get_size (info) > MAX_MERGES_BYTES))
    g_set_error (error, FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE, _("“%s” is not a list of merges of usual size."), path);
  else if (!g_file_get_contents (path, &text, &n, &bad))
    g_set_error (error, FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE, _("“%s” could not be read: %s."), path, bad->message);
  else if (!g_utf8_validate (text, n, &end))
    g_set_error (error, FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_FILE,
                 _("“%s” is not UTF-8 text: the byte at position %zu fits nothing."), path, (size_t) (end - text));
  else
    {
      fb_bpe_add_merges (self->bpe, text, -1);
      return TRUE;
    }
  return FALSE;
}

FbClipTokenizer *
fb_clip_tokenizer_new_from_files (const char *vocab_path, const char *merges_path, GError **error)
{
  g_autoptr(FbClipTokenizer) self = tokenizer_new ();

  if (!read_vocab (self, vocab_path, error)
      || !read_merges (self, merges_path, error)
      || !find_special (self, vocab_path, error))
    return NULL;
  return g_steal_pointer (&self);
}

/* The special tokens that a file names, as texts or as objects with their content. A file that is not there names none. */
static gboolean
read_special (FbClipTokenizer *self, const char *folder, const char *name, GError **error)
{
  g_autofree char      *path = g_build_filename (folder, name, NULL);
  g_autoptr(JsonObject) map  = NULL;

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return TRUE;
  map = fb_json_load_object (path, error);
  if (map == NULL)
    return FALSE;

  for (int role = 0; role < N_ROLES; role++)
    {
      const char *token = fb_json_get_string (map, role_keys[role], NULL);

      if (token == NULL)
        token = fb_json_get_string (fb_json_get_object (map, role_keys[role]), "content", NULL);
      if (token != NULL && *token != '\0')
        {
          g_free (self->special[role]);
          self->special[role] = g_strdup (token);
        }
    }
  return TRUE;
}

FbClipTokenizer *
fb_clip_tokenizer_new_from_folder (const char *path, GError **error)
{
  g_autoptr(FbClipTokenizer) self   = tokenizer_new ();
  g_autofree char           *vocab  = g_build_filename (path, "vocab.json", NULL);
  g_autofree char           *merges = g_build_filename (path, "merges.txt", NULL);

  if (!read_special (self, path, "tokenizer_config.json", error)
      || !read_special (self, path, "special_tokens_map.json", error)
      || !read_vocab (self, vocab, error)
      || !read_merges (self, merges, error)
      || !find_special (self, vocab, error))
    return NULL;
  return g_steal_pointer (&self);
}

static char *
embedded_merges (GError **error)
{
  g_autoptr(GInputStream)  packed = g_resource_open_stream (fb_tokenizer_get_resource (), "/org/flashbrush/tokenizer/clip-merges.txt.gz", 0, error);
  g_autoptr(GConverter)    gunzip = G_CONVERTER (g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP));
  g_autoptr(GInputStream)  plain  = packed != NULL ? g_converter_input_stream_new (packed, gunzip) : NULL;
  g_autoptr(GOutputStream) text   = g_memory_output_stream_new_resizable ();

  if (plain == NULL
      || g_output_stream_splice (text, plain, G_OUTPUT_STREAM_SPLICE_NONE, NULL, error) < 0
      || !g_output_stream_write_all (text, "", 1, NULL, NULL, error)
      || !g_output_stream_close (text, NULL, error))
    return NULL;
  return g_memory_output_stream_steal_data (G_MEMORY_OUTPUT_STREAM (text));
}

FbClipTokenizer *
fb_clip_tokenizer_new_standard (GError **error)
{
  g_autoptr(FbClipTokenizer) self = tokenizer_new ();
  g_autofree char           *text = embedded_merges (error);

  if (text == NULL)
    return NULL;
  fb_bpe_add_bytes (self->bpe);
  self->n_ids = 512 + fb_bpe_add_merges (self->bpe, text, 512);
  fb_bpe_add_token (self->bpe, BOS, self->n_ids++);
  fb_bpe_add_token (self->bpe, EOS, self->n_ids++);
  if (!find_special (self, "clip-merges.txt.gz", error))
    return NULL;
  return g_steal_pointer (&self);
}

static void
encode_plain (const FbClipTokenizer *self, const char *text, gsize n, GArray *ids)
{
  g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  fb_clip_words (text, n, words);
  for (guint i = 0; i < words->len; i++)
    {
      const char *word = g_ptr_array_index (words, i);
      int         whole = g_str_equal (word, BOS) || g_str_equal (word, EOS) ? fb_bpe_find (self->bpe, word) : -1;

      if (whole >= 0)                                       /* written in capitals: no special token, but never cut */
        g_array_append_val (ids, whole);
      else
        fb_bpe_encode (self->bpe, word, self->special_id[ROLE_UNKNOWN], ids);
    }
}

/* The longest special token that @text starts with; its length is 0 where there is none. */
static gsize
special_at (const FbClipTokenizer *self, const char *text, int *id)
{
  gsize longest = 0;

  for (int role = 0; role < N_ROLES; role++)
    {
      gsize n = strlen (self->special[role]);

      if (n > longest && strncmp (text, self->special[role], n) == 0)
        {
          longest = n;
          *id     = self->special_id[role];
        }
    }
  return longest;
}

static gboolean
check_text (const char *text, gsize n, GError **error)
{
  const char *end;

  if (n > FB_CLIP_TOKENIZER_MAX_BYTES)
    g_set_error (error, FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_TOO_LONG,
                 _("The text has %zu bytes; at most %d can be read. Please shorten it."), (size_t) n, FB_CLIP_TOKENIZER_MAX_BYTES);
  else if (!g_utf8_validate (text, n, &end))
    g_set_error (error, FB_TOKENIZER_ERROR, FB_TOKENIZER_ERROR_UTF8,
                 _("The text is not valid UTF-8: the byte at position %zu, counted from 0, fits nothing."), (size_t) (end - text));
  else
    return TRUE;
  return FALSE;
}

gboolean
fb_clip_tokenizer_encode (const FbClipTokenizer *self, const char *text, GArray *ids, GError **error)
{
  const char *plain = text;

  if (!check_text (text, strlen (text), error))
    return FALSE;

  for (const char *p = text; *p != '\0';)
    {
      int   id = -1;
      gsize n  = special_at (self, p, &id);

      if (n > 0)
        {
          encode_plain (self, plain, p - plain, ids);
          g_array_append_val (ids, id);
          plain = p + n;
        }
      p += MAX (n, 1);
    }
  encode_plain (self, plain, strlen (plain), ids);
  return TRUE;
}

int
fb_clip_tokenizer_bos (const FbClipTokenizer *self)
{
  return self->special_id[ROLE_BOS];
}

int
fb_clip_tokenizer_eos (const FbClipTokenizer *self)
{
  return self->special_id[ROLE_EOS];
}

int
fb_clip_tokenizer_pad (const FbClipTokenizer *self)
{
  return self->special_id[ROLE_PAD];
}

int
fb_clip_tokenizer_n_ids (const FbClipTokenizer *self)
{
  return self->n_ids;
}
