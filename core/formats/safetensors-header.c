/* core/formats/safetensors-header.c: parses and checks a safetensors header. SPDX-License-Identifier: LGPL-3.0-or-later
 * Format: https://github.com/huggingface/safetensors, README, "Format". No number in the file is trusted. */
#include "core/formats/json-file.h"
#include "core/formats/safetensors-private.h"

#include <inttypes.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#define MAX_NAME  1024   /* bytes; the longest names in use have about 150 */
#define MAX_DEPTH 3      /* header { tensor { shape [ */

static const struct { const char *name; int bits; gboolean readable; FbDtype dtype; } dtypes[] =
{
  { "F32",     32, TRUE,  FB_DTYPE_F32  },
  { "F16",     16, TRUE,  FB_DTYPE_F16  },
  { "BF16",    16, TRUE,  FB_DTYPE_BF16 },
  { "F64",     64, TRUE,  FB_DTYPE_F64  },
  { "I64",     64, TRUE,  FB_DTYPE_I64  },
  { "I32",     32, TRUE,  FB_DTYPE_I32  },
  { "U8",       8, TRUE,  FB_DTYPE_U8   },
  { "BOOL",     8, FALSE }, { "I8",       8, FALSE }, { "I16",     16, FALSE }, { "U16",     16, FALSE }, { "U32",     32, FALSE },
  { "U64",     64, FALSE }, { "C64",     64, FALSE }, { "F8_E4M3",  8, FALSE }, { "F8_E5M2",  8, FALSE }, { "F8_E8M0",  8, FALSE },
  { "F8_E4M3FNUZ", 8, FALSE }, { "F8_E5M2FNUZ", 8, FALSE },
  { "F6_E2M3",  6, FALSE }, { "F6_E3M2",  6, FALSE }, { "F4",       4, FALSE },
};

void
fb_safetensors_fail (GError **error, FbModelError code, const char *path, const char *format, ...)
{
  va_list          args;
  g_autofree char *reason = NULL;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);

  g_set_error (error, FB_MODEL_ERROR, code,
               code == FB_MODEL_ERROR_TRUNCATED  ? _("“%s” is incomplete: %s. Download or copy it again.") :
               code == FB_MODEL_ERROR_BAD_HEADER ? _("“%s” is damaged or no safetensors file: %s. Download or copy it again.")
                                                 : _("“%s” cannot be used: %s."), path, reason);
}

/* What people take for a model file by mistake; asked only when the first eight bytes are no possible length. */
static gboolean
fail_as_other_format (const guint8 *start, gsize n_start, const char *path, GError **error)
{
  if (n_start >= 4 && memcmp (start, "PK\003\004", 4) == 0)
    fb_safetensors_fail (error, FB_MODEL_ERROR_PICKLE, path,
                         _("it is a pickled PyTorch file or a zip archive, and loading a pickle can run any code it contains; "
                           "convert it to safetensors, or download the safetensors version"));
  else if (n_start >= 4 && memcmp (start, "GGUF", 4) == 0)
    fb_safetensors_fail (error, FB_MODEL_ERROR_UNSUPPORTED, path, _("it is a GGUF file; use the safetensors version of the model"));
  else if (n_start >= 8 && memcmp (start, "version ", 8) == 0)
    fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path,
                         _("it is a Git LFS pointer that stands for the real file; “git lfs pull” fetches that"));
  else if (n_start >= 2 && start[0] == '<')
    fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("it is a web page that was saved under the model's name"));
  else
    return FALSE;

  return TRUE;
}

guint64
fb_safetensors_header_length (const guint8 *start, gsize n_start, guint64 file_size, const char *path, GError **error)
{
  guint64 length;

  if (n_start < 8)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_TRUNCATED, path, _("it has %u bytes only"), (guint) n_start);
      return 0;
    }

  memcpy (&length, start, 8);
  length = GUINT64_FROM_LE (length);

  if (length > FB_SAFETENSORS_MAX_HEADER)
    {
      if (!fail_as_other_format (start, n_start, path, error))
        fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("it claims a header of %" PRIu64 " bytes"), length);
      return 0;
    }
  if (length > file_size - 8)              /* not 8 + length > file_size, by habit: such sums can wrap */
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_TRUNCATED, path, _("it ends within its header"));
      return 0;
    }
  if (length < 2)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its header is empty"));
      return 0;
    }

  return length;
}

typedef struct
{
  GHashTable *n_members;     /* JsonObject -> members seen */
  char       *duplicate;
} MemberCount;

/* A JSON object keeps the last of two members of one name; it shows in its size falling behind. */
static void
count_member (JsonParser *parser, JsonObject *object, const char *name, gpointer data)
{
  MemberCount *count = data;
  guint        n     = GPOINTER_TO_UINT (g_hash_table_lookup (count->n_members, object)) + 1;

  g_hash_table_insert (count->n_members, object, GUINT_TO_POINTER (n));
  if (json_object_get_size (object) < n && count->duplicate == NULL)
    count->duplicate = g_strdup (name);
}

static JsonNode *
parse_json (const char *json, gsize n, const char *path, GError **error)
{
  g_autoptr(JsonParser) parser    = json_parser_new ();
  g_autoptr(GHashTable) n_members = g_hash_table_new (NULL, NULL);
  MemberCount           count     = { n_members, NULL };
  g_autofree char      *duplicate = NULL;
  g_autoptr(GError)     bad       = NULL;
  const FbJsonTrouble   trouble   = fb_json_look_through (json, n, MAX_DEPTH);

  if (json[0] != '{')
    fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its header is not a JSON object"));
  else if (!g_utf8_validate_len (json, n, NULL))
    fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its header is not UTF-8"));
  else if (trouble == FB_JSON_TOO_DEEP)
    fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its header is nested too deeply"));
  else if (trouble == FB_JSON_TOO_LONG)
    fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its header lists more values than any model needs"));
  else if (trouble == FB_JSON_NOT_PLAIN)
    fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its header is not valid JSON (%s)"), fb_json_not_plain ());
  else
    {
      gboolean parsed;

      g_signal_connect (parser, "object-member", G_CALLBACK (count_member), &count);
      parsed    = json_parser_load_from_data (parser, json, n, &bad);
      duplicate = count.duplicate;

      if (!parsed)
        fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its header is not valid JSON (%s)"), bad->message);
      else if (duplicate != NULL)
        fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("“%s” occurs twice in its header"), duplicate);
      else if (!JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
        fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its header is not a JSON object"));
      else
        return json_parser_steal_root (parser);
    }

  return NULL;
}

/* A whole number ≥ 0, written as one; JSON-GLib turns what does not fit into 64 bits into something else, which is checked like any. */
static gboolean
get_count (JsonNode *node, gint64 *value)
{
  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_INT64)
    return FALSE;
  *value = json_node_get_int (node);
  return *value >= 0;
}

static JsonArray *
get_array (JsonObject *object, const char *member)
{
  JsonNode *node = json_object_get_member (object, member);

  return node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

static gboolean
parse_dtype_and_shape (FbTensorInfo *info, JsonObject *object, const char *path, GError **error)
{
  JsonArray  *shape = get_array (object, "shape");
  JsonNode   *node  = json_object_get_member (object, "dtype");
  const char *dtype = node != NULL && json_node_get_value_type (node) == G_TYPE_STRING ? json_node_get_string (node) : NULL;
  guint64     n     = 1;
  int         bits  = 0;

  for (guint i = 0; i < G_N_ELEMENTS (dtypes) && dtype != NULL; i++)
    if (strcmp (dtype, dtypes[i].name) == 0)
      {
        info->dtype_name = dtypes[i].name;
        info->readable   = dtypes[i].readable;
        info->dtype      = dtypes[i].dtype;
        bits             = dtypes[i].bits;
      }

  if (bits == 0)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_DTYPE, path, _("the type “%.40s” of tensor “%s” is unknown"),
                           dtype != NULL ? dtype : "", info->name);
      return FALSE;
    }
  if (shape == NULL || json_array_get_length (shape) > FB_SAFETENSORS_MAX_DIMS)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("tensor “%s” has no usable shape"), info->name);
      return FALSE;
    }

  info->n_dims = json_array_get_length (shape);
  for (int d = 0; d < info->n_dims; d++)
    if (!get_count (json_array_get_element (shape, d), &info->shape[d]) || !g_uint64_checked_mul (&n, n, info->shape[d]))
      {
        fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("tensor “%s” has an impossible shape"), info->name);
        return FALSE;
      }

  if (!g_uint64_checked_mul (&n, n, bits) || n % 8 != 0)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("tensor “%s” has an impossible shape"), info->name);
      return FALSE;
    }
  info->n_bytes = n / 8;

  return TRUE;
}

static gboolean
parse_offsets (FbTensorInfo *info, JsonObject *object, guint64 data_start, guint64 file_size, const char *path, GError **error)
{
  JsonArray *offsets = get_array (object, "data_offsets");
  gint64     begin, end;

  if (offsets == NULL || json_array_get_length (offsets) != 2 || !get_count (json_array_get_element (offsets, 0), &begin) ||
      !get_count (json_array_get_element (offsets, 1), &end) || begin > end)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("tensor “%s” has no usable offsets"), info->name);
      return FALSE;
    }
  if ((guint64) (end - begin) != info->n_bytes)
    {
      g_autofree char *shape = fb_tensor_info_shape_string (info);

      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path,
                           _("tensor “%s” has %" PRId64 " bytes where its shape %s and type %s make %" PRIu64),
                           info->name, end - begin, shape, info->dtype_name, info->n_bytes);
      return FALSE;
    }
  if ((guint64) end > file_size - data_start)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_TRUNCATED, path, _("it ends before the data of tensor “%s”"), info->name);
      return FALSE;
    }

  info->offset = data_start + begin;
  return TRUE;
}

static gboolean
is_printable (const char *name)
{
  for (const char *p = name; *p != '\0'; p = g_utf8_next_char (p))
    if (g_unichar_iscntrl (g_utf8_get_char (p)))
      return FALSE;
  return strlen (name) <= MAX_NAME;
}

static gboolean
parse_tensor (FbSafetensorsHeader *header, const char *name, JsonNode *node, guint64 data_start, guint64 file_size, const char *path,
              GError **error)
{
  FbTensorInfo info = { 0 };

  if (!is_printable (name) || !JSON_NODE_HOLDS_OBJECT (node))
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its header has an entry that is no tensor"));
      return FALSE;
    }

  info.name = g_string_chunk_insert (header->names, name);
  if (!parse_dtype_and_shape (&info, json_node_get_object (node), path, error) ||
      !parse_offsets (&info, json_node_get_object (node), data_start, file_size, path, error))
    return FALSE;

  g_array_append_val (header->tensors, info);
  return TRUE;
}

static gboolean
parse_metadata (FbSafetensorsHeader *header, JsonNode *node, const char *path, GError **error)
{
  JsonObjectIter iter;
  const char    *key;
  JsonNode      *value;

  if (JSON_NODE_HOLDS_NULL (node))
    return TRUE;
  if (!JSON_NODE_HOLDS_OBJECT (node))
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its metadata is not a JSON object"));
      return FALSE;
    }

  json_object_iter_init (&iter, json_node_get_object (node));
  while (json_object_iter_next (&iter, &key, &value))
    {
      if (json_node_get_value_type (value) != G_TYPE_STRING)
        {
          fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("its metadata holds something else than text"));
          return FALSE;
        }
      g_hash_table_insert (header->metadata, g_strdup (key), json_node_dup_string (value));
    }

  return TRUE;
}

static int
compare_offsets (gconstpointer a, gconstpointer b)
{
  const FbTensorInfo *s = a, *t = b;

  if (s->offset != t->offset)
    return s->offset < t->offset ? -1 : 1;
  if (s->n_bytes != t->n_bytes)                   /* an empty tensor first: it shares its offset with the next */
    return s->n_bytes < t->n_bytes ? -1 : 1;
  return strcmp (s->name, t->name);
}

/* Sorted by offset, each tensor begins where the one before ends, and the last ends with the file. */
static gboolean
check_layout (FbSafetensorsHeader *header, guint64 data_start, guint64 file_size, const char *path, GError **error)
{
  guint64 end = data_start;

  g_array_sort (header->tensors, compare_offsets);
  for (guint i = 0; i < header->tensors->len; i++)
    {
      FbTensorInfo *info = &g_array_index (header->tensors, FbTensorInfo, i);

      if (info->offset != end)
        {
          fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path,
                               info->offset < end ? _("the data of tensor “%s” overlaps that of another one")
                                                  : _("there is a hole before the data of tensor “%s”"), info->name);
          return FALSE;
        }
      end += info->n_bytes;
      g_hash_table_insert (header->by_name, (char *) info->name, info);
    }

  if (end != file_size)
    {
      fb_safetensors_fail (error, FB_MODEL_ERROR_BAD_HEADER, path, _("%" PRIu64 " bytes at its end belong to no tensor"),
                           file_size - end);
      return FALSE;
    }

  return TRUE;
}

gboolean
fb_safetensors_header_parse (FbSafetensorsHeader *header, const char *json, gsize n_json, guint64 data_start, guint64 file_size,
                             const char *path, GError **error)
{
  g_autoptr(JsonNode) root = parse_json (json, n_json, path, error);
  gboolean            ok   = root != NULL;
  JsonObjectIter      iter;
  const char         *name;
  JsonNode           *node;

  header->tensors  = g_array_new (FALSE, FALSE, sizeof (FbTensorInfo));
  header->by_name  = g_hash_table_new (g_str_hash, g_str_equal);
  header->names    = g_string_chunk_new (16384);
  header->metadata = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  if (ok)
    json_object_iter_init (&iter, json_node_get_object (root));
  while (ok && json_object_iter_next (&iter, &name, &node))
    ok = strcmp (name, "__metadata__") == 0 ? parse_metadata (header, node, path, error)
                                            : parse_tensor (header, name, node, data_start, file_size, path, error);
  ok = ok && check_layout (header, data_start, file_size, path, error);

  if (!ok)
    fb_safetensors_header_clear (header);
  return ok;
}

void
fb_safetensors_header_clear (FbSafetensorsHeader *header)
{
  g_clear_pointer (&header->tensors, g_array_unref);
  g_clear_pointer (&header->by_name, g_hash_table_unref);
  g_clear_pointer (&header->names, g_string_chunk_free);
  g_clear_pointer (&header->metadata, g_hash_table_unref);
}
