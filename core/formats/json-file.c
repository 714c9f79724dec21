/* core/formats/json-file.c: loads JSON files without trusting them. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/json-file.h"

#include <errno.h>

#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>

#define MAX_SIZE  (64 << 20)   /* bytes; the index of the largest sharded model has 0.2 MB */
#define MAX_DEPTH  32          /* configs have 3 or 4 */
#define MAX_COMMAS 1000000     /* JSON-GLib takes some 100 bytes for a value; the largest models list some 10,000 tensors with 7 commas each */

FbJsonTrouble
fb_json_look_through (const char *json, gsize n, int max_depth)
{
  gboolean in_string = FALSE;
  int      depth     = 0, n_commas = 0;

  for (gsize i = 0; i < n; i++)
    {
      char c = json[i];

      if (in_string && c == '\\')
        i++;
      else if (c == '"')
        in_string = !in_string;
      else if (in_string)
        continue;
      else if (c == '/' || c == '\'')                       /* JSON-GLib takes comments and such strings, behind which all could hide */
        return FB_JSON_NOT_PLAIN;
      else if ((c == '{' || c == '[') && ++depth > max_depth)
        return FB_JSON_TOO_DEEP;
      else if (c == '}' || c == ']')
        depth--;
      else if (c == ',' && ++n_commas > MAX_COMMAS)
        return FB_JSON_TOO_LONG;
    }

  return FB_JSON_FINE;
}

/* what @trouble means for the file at @path */
static void
fail (FbJsonTrouble trouble, const char *path, GError **error)
{
  if (trouble == FB_JSON_TOO_DEEP)
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, _("“%s” is damaged: it is nested too deeply. Download or copy it again."), path);
  else if (trouble == FB_JSON_TOO_LONG)
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG,
                 _("“%s” is damaged: it lists more values than any model needs. Download or copy it again."), path);
  else
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, _("“%s” is damaged: it is not valid JSON (%s). Correct it, or download or copy it again."),
                 path, fb_json_not_plain ());
}

const char *
fb_json_not_plain (void)
{
  return _("comments and single quotes are not part of it");
}

JsonObject *
fb_json_parse_object (const char *json, gsize n, const char *path, GError **error)
{
  g_autoptr(JsonParser) parser  = json_parser_new ();
  g_autoptr(GError)     bad     = NULL;
  const FbJsonTrouble   trouble = fb_json_look_through (json, n, MAX_DEPTH);

  if (!g_utf8_validate_len (json, n, NULL))
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, _("“%s” is damaged: it is not UTF-8 text. Download or copy it again."), path);
  else if (trouble != FB_JSON_FINE)
    fail (trouble, path, error);
  else if (!json_parser_load_from_data (parser, json, n, &bad))
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, _("“%s” is damaged: it is not valid JSON (%s). Correct it, or download or copy it again."),
                 path, bad->message);
  else if (json_parser_get_root (parser) == NULL || !JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, _("“%s” is damaged: it holds no JSON object. Download or copy it again."), path);
  else
    return json_node_dup_object (json_parser_get_root (parser));

  return NULL;
}

JsonObject *
fb_json_load_object (const char *path, GError **error)
{
  g_autoptr(GError) bad  = NULL;
  g_autofree char  *text = NULL;
  gsize             n;
  GStatBuf          st;

  if (g_stat (path, &st) != 0)
    {
      fb_model_error_set_errno (error, errno, path, FALSE);
      return NULL;
    }
  if (!S_ISREG (st.st_mode) || st.st_size > MAX_SIZE)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, _("“%s” is not a JSON file of usual size."), path);
      return NULL;
    }
  if (!g_file_get_contents (path, &text, &n, &bad))
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO, _("“%s” could not be read: %s."), path, bad->message);
      return NULL;
    }

  return fb_json_parse_object (text, n, path, error);
}

static JsonNode *
get_value (JsonObject *object, const char *member)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, member) : NULL;

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) ? node : NULL;
}

const char *
fb_json_get_string (JsonObject *object, const char *member, const char *fallback)
{
  JsonNode *node = get_value (object, member);

  return node != NULL && json_node_get_value_type (node) == G_TYPE_STRING ? json_node_get_string (node) : fallback;
}

JsonObject *
fb_json_get_object (JsonObject *object, const char *member)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, member) : NULL;

  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}
