/* ui/record.c: what made a layer, kept on the layer. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/record.h"

#include <string.h>

#include <glib/gi18n-lib.h>
#include <json-glib/json-glib.h>

/* a long prompt and a hundred LoRAs fit many times over */
#define SIZE_MAX_BYTES (1 << 20)

G_DEFINE_QUARK (fb-record-error-quark, fb_record_error)

static void
attach (GimpItem *item, const char *name, gconstpointer data, gsize size)
{
  GimpParasite *parasite = gimp_parasite_new (name, GIMP_PARASITE_PERSISTENT | GIMP_PARASITE_UNDOABLE, (guint32) size, data);

  gimp_item_attach_parasite (item, parasite);
  gimp_parasite_free (parasite);
}

void
fb_record_write (GimpItem *item, GVariant *parameters)
{
  gsize            size = 0;
  g_autofree char *text = json_gvariant_serialize_data (parameters, &size);

  attach (item, FB_RECORD_PARASITE, text, size);
}

void
fb_record_write_mask (GimpItem *item, GBytes *mask)
{
  gsize         size = 0;
  gconstpointer data = g_bytes_get_data (mask, &size);

  attach (item, FB_RECORD_MASK, data, size);
}

/* (transfer full) (nullable) */
static GBytes *
attached (GimpItem *item, const char *name)
{
  GimpParasite  *parasite = gimp_item_get_parasite (item, name);
  guint32        size     = 0;
  gconstpointer  data     = parasite != NULL ? gimp_parasite_get_data (parasite, &size) : NULL;
  GBytes        *bytes    = data != NULL ? g_bytes_new (data, size) : NULL;

  if (parasite != NULL)
    gimp_parasite_free (parasite);

  return bytes;
}

GBytes *
fb_record_read_mask (GimpItem *item)
{
  return attached (item, FB_RECORD_MASK);
}

GBytes *
fb_record_get (GimpItem *item)
{
  return attached (item, FB_RECORD_PARASITE);
}

/* (transfer full) (nullable): @known with those of @parameters that it lacks; %NULL when it lacks none */
static char *
complete (GBytes *known, GVariant *parameters)
{
  gsize                 size   = 0;
  const char           *text   = g_bytes_get_data (known, &size);
  g_autoptr(JsonParser) parser = json_parser_new ();
  g_autoptr(JsonNode)   more   = json_gvariant_serialize (parameters);
  guint                 n      = 0;
  JsonObject           *object;
  JsonObjectIter        iter;
  const char           *key;
  JsonNode             *value;

  if (!json_parser_load_from_data (parser, text, (gssize) size, NULL))
    return NULL;
  object = json_node_get_object (json_parser_get_root (parser));
  json_object_iter_init (&iter, json_node_get_object (more));
  while (json_object_iter_next (&iter, &key, &value))
    if (!json_object_has_member (object, key))
      {
        json_object_set_member (object, key, json_node_copy (value));
        n++;
      }

  return n > 0 ? json_to_string (json_parser_get_root (parser), FALSE) : NULL;
}

void
fb_record_complete (GimpItem *item, GBytes *known, GVariant *parameters)
{
  g_autoptr(GBytes)  present = gimp_item_is_valid (item) ? attached (item, FB_RECORD_PARASITE) : NULL;
  g_autofree char   *text    = present != NULL && g_bytes_equal (present, known) ? complete (known, parameters) : NULL;

  if (text == NULL)
    return;
  gimp_image_undo_freeze (gimp_item_get_image (item));
  attach (item, FB_RECORD_PARASITE, text, strlen (text));
  gimp_image_undo_thaw (gimp_item_get_image (item));
}

/* text of a JSON string; NULL for everything else */
static const char *
string_of (JsonNode *node)
{
  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING ? json_node_get_string (node) : NULL;
}

static gboolean
is_number (JsonNode *node)
{
  return JSON_NODE_HOLDS_VALUE (node) &&
         (json_node_get_value_type (node) == G_TYPE_INT64 || json_node_get_value_type (node) == G_TYPE_DOUBLE);
}

/* [["name", strength], ...]; json-glib writes a tuple as an array */
static GVariant *
loras_of (JsonNode *node)
{
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(sd)"));
  JsonArray              *array   = JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  if (array == NULL)
    return NULL;
  for (guint i = 0; i < json_array_get_length (array); i++)
    {
      JsonNode  *element = json_array_get_element (array, i);
      JsonArray *pair    = JSON_NODE_HOLDS_ARRAY (element) ? json_node_get_array (element) : NULL;

      if (pair == NULL || json_array_get_length (pair) != 2 ||
          string_of (json_array_get_element (pair, 0)) == NULL || !is_number (json_array_get_element (pair, 1)))
        return NULL;
      g_variant_builder_add (&builder, "(sd)", string_of (json_array_get_element (pair, 0)),
                             json_node_get_double (json_array_get_element (pair, 1)));
    }

  return g_variant_builder_end (&builder);
}

/* (transfer floating): node as a value of arg's type; NULL when it is none */
static GVariant *
value_of (const FbArg *arg, JsonNode *node)
{
  switch (arg->kind)
    {
    case FB_ARG_KIND_STRING:
    case FB_ARG_KIND_TEXT:
    case FB_ARG_KIND_MODEL:
    case FB_ARG_KIND_SAMPLER:
    case FB_ARG_KIND_CHOICE:
      return string_of (node) != NULL ? g_variant_new_string (string_of (node)) : NULL;
    case FB_ARG_KIND_LORAS:
      return loras_of (node);
    case FB_ARG_KIND_SEED:
      return is_number (node) && json_node_get_int (node) >= 0 ? g_variant_new_int64 (json_node_get_int (node)) : NULL;
    case FB_ARG_KIND_INT:
      return is_number (node) && json_node_get_int (node) >= arg->minimum && json_node_get_int (node) <= arg->maximum
             ? g_variant_new_int32 ((gint32) json_node_get_int (node)) : NULL;
    case FB_ARG_KIND_DOUBLE:
      return is_number (node) && json_node_get_double (node) >= arg->minimum && json_node_get_double (node) <= arg->maximum
             ? g_variant_new_double (json_node_get_double (node)) : NULL;
    case FB_ARG_KIND_BOOL:
      return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_BOOLEAN
             ? g_variant_new_boolean (json_node_get_boolean (node)) : NULL;
    }
  g_assert_not_reached ();
}

/* the engine writes a negative number where it was left the choice */
static gboolean
is_left_open (const FbArg *arg, JsonNode *node)
{
  return arg->omits_zero && node != NULL && is_number (node) && json_node_get_double (node) < 0.0;
}

static GVariant *
values_of (JsonObject *object, const FbArg *args, GError **error)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (NULL);

  for (const FbArg *arg = args; arg->name != NULL; arg++)
    {
      JsonNode *node  = json_object_get_member (object, fb_arg_key (arg));
      GVariant *value = node != NULL ? value_of (arg, node) : NULL;

      if (value == NULL && is_left_open (arg, node))
        continue;
      if (node != NULL && value == NULL)
        {
          g_set_error (error, FB_RECORD_ERROR, FB_RECORD_ERROR_DAMAGED, _("“%s” has a value it cannot have."), fb_arg_key (arg));
          return NULL;
        }
      if (value != NULL)
        g_variant_dict_insert_value (&dict, fb_arg_key (arg), value);
    }

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static GVariant *
parse (const char *text, gsize size, const FbArg *args, gboolean needs_prompt, GError **error)
{
  g_autoptr(JsonParser) parser = json_parser_new_immutable ();
  JsonNode             *root   = NULL;

  while (size > 0 && text[size - 1] == '\0')
    size--;
  if (size == 0 || size > SIZE_MAX_BYTES || !g_utf8_validate_len (text, size, NULL) ||
      !json_parser_load_from_data (parser, text, (gssize) size, NULL))
    {
      g_set_error_literal (error, FB_RECORD_ERROR, FB_RECORD_ERROR_DAMAGED, _("They are not readable."));
      return NULL;
    }

  root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root) ||
      (needs_prompt && !json_object_has_member (json_node_get_object (root), "prompt")))
    {
      g_set_error_literal (error, FB_RECORD_ERROR, FB_RECORD_ERROR_DAMAGED, _("They name no prompt."));
      return NULL;
    }

  return values_of (json_node_get_object (root), args, error);
}

GVariant *
fb_record_parse (const char *text, gsize size, const FbArg *args, GError **error)
{
  return parse (text, size, args, TRUE, error);
}

GVariant *
fb_record_parse_some (const char *text, gsize size, const FbArg *args, GError **error)
{
  return parse (text, size, args, FALSE, error);
}

GVariant *
fb_record_read (GimpItem *item, const FbArg *args, GError **error)
{
  GimpParasite     *parasite = gimp_item_get_parasite (item, FB_RECORD_PARASITE);
  g_autofree char  *name     = gimp_item_get_name (item);
  g_autoptr(GError) reason   = NULL;
  gconstpointer     data     = NULL;
  GVariant         *values   = NULL;
  guint32           size     = 0;

  if (parasite == NULL)
    {
      g_set_error (error, FB_RECORD_ERROR, FB_RECORD_ERROR_NONE,
                   _("The layer “%s” was not made by Flashbrush, so there is nothing to repeat; choose a layer that was."), name);
      return NULL;
    }

  data   = gimp_parasite_get_data (parasite, &size);
  values = fb_record_parse (data, size, args, &reason);
  gimp_parasite_free (parasite);

  if (values == NULL)
    g_set_error (error, FB_RECORD_ERROR, FB_RECORD_ERROR_DAMAGED,
                 /* Translators: the second %s is a sentence that gives the reason */
                 _("The parameters on the layer “%s” are damaged and cannot be repeated. %s"), name, reason->message);

  return values;
}
