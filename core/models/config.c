/* core/models/config.c: reads the JSON configs beside the weights. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/config.h"

#include <glib/gi18n-lib.h>

#include "core/formats/model-error.h"

static void
fail_field (FbConfigReader *r, const char *key)
{
  if (r->error == NULL)
    g_set_error (&r->error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG,
                 _("“%s” cannot be used: its field “%s” has a value that makes no sense there. Fetch the model again."), r->path, key);
}

void
fb_config_fail (FbConfigReader *r, const char *reason)
{
  if (r->error == NULL)
    g_set_error (&r->error, FB_MODEL_ERROR, FB_MODEL_ERROR_BAD_CONFIG, _("“%s” cannot be used: %s."), r->path, reason);
}

void
fb_config_unsupported (FbConfigReader *r, const char *key, const char *value)
{
  if (r->error == NULL)
    g_set_error (&r->error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED,
                 _("“%s” describes a network that is not supported yet: %s is “%s”. Choose another model."), r->path, key, value);
}

gboolean
fb_config_finish (FbConfigReader *r, GError **error)
{
  if (r->error == NULL)
    return TRUE;

  g_propagate_error (error, g_steal_pointer (&r->error));
  return FALSE;
}

/* the member @key, or NULL where the default stands */
static JsonNode *
member (FbConfigReader *r, const char *key)
{
  JsonNode *node = r->error == NULL ? json_object_get_member (r->json, key) : NULL;

  return node != NULL && JSON_NODE_HOLDS_NULL (node) ? NULL : node;
}

static double
number (FbConfigReader *r, const char *key, JsonNode *node, double min, double max, double otherwise)
{
  GType  type = JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_INVALID;
  double value;

  if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
    {
      fail_field (r, key);
      return otherwise;
    }

  value = json_node_get_double (node);
  if (!(value >= min && value <= max))                   /* not value < min || value > max: NaN passes that */
    {
      fail_field (r, key);
      return otherwise;
    }

  return value;
}

static int
integer (FbConfigReader *r, const char *key, JsonNode *node, int min, int max, int otherwise)
{
  const double value = number (r, key, node, min, max, otherwise);

  if (value != (int) value)
    fail_field (r, key);

  return (int) value;
}

static gboolean
boolean (FbConfigReader *r, const char *key, JsonNode *node, gboolean otherwise)
{
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_BOOLEAN)
    {
      fail_field (r, key);
      return otherwise;
    }

  return json_node_get_boolean (node);
}

int
fb_config_int (FbConfigReader *r, const char *key, int min, int max, int otherwise)
{
  JsonNode *node = member (r, key);

  return node != NULL ? integer (r, key, node, min, max, otherwise) : otherwise;
}

double
fb_config_double (FbConfigReader *r, const char *key, double min, double max, double otherwise)
{
  JsonNode *node = member (r, key);

  return node != NULL ? number (r, key, node, min, max, otherwise) : otherwise;
}

gboolean
fb_config_bool (FbConfigReader *r, const char *key, gboolean otherwise)
{
  JsonNode *node = member (r, key);

  return node != NULL ? boolean (r, key, node, otherwise) : otherwise;
}

const char *
fb_config_string (FbConfigReader *r, const char *key, const char *otherwise)
{
  JsonNode *node = member (r, key);

  if (node == NULL)
    return otherwise;

  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    {
      fail_field (r, key);
      return otherwise;
    }

  return json_node_get_string (node);
}

/* the list @key if it has @n entries; NULL where there is none, or after a failure */
static JsonArray *
list (FbConfigReader *r, const char *key, JsonNode *node, int n)
{
  JsonArray *array = JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  if (array != NULL && json_array_get_length (array) == (guint) n)
    return array;

  fail_field (r, key);
  return NULL;
}

void
fb_config_ints (FbConfigReader *r, const char *key, int min, int max, int otherwise, int *values, int n)
{
  JsonNode  *node  = member (r, key);
  JsonArray *array = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? list (r, key, node, n) : NULL;

  for (int i = 0; i < n; i++)
    if (array != NULL)
      values[i] = integer (r, key, json_array_get_element (array, i), min, max, otherwise);
    else
      values[i] = node != NULL && r->error == NULL ? integer (r, key, node, min, max, otherwise) : otherwise;
}

void
fb_config_bools (FbConfigReader *r, const char *key, gboolean otherwise, gboolean *values, int n)
{
  JsonNode  *node  = member (r, key);
  JsonArray *array = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? list (r, key, node, n) : NULL;

  for (int i = 0; i < n; i++)
    if (array != NULL)
      values[i] = boolean (r, key, json_array_get_element (array, i), otherwise);
    else
      values[i] = node != NULL && r->error == NULL ? boolean (r, key, node, otherwise) : otherwise;
}

int
fb_config_length (FbConfigReader *r, const char *key, int max)
{
  JsonNode *node = member (r, key);
  guint     n;

  if (node == NULL)
    return 0;

  n = JSON_NODE_HOLDS_ARRAY (node) ? json_array_get_length (json_node_get_array (node)) : 0;
  if (n == 0 || n > (guint) max)
    {
      fail_field (r, key);
      return 0;
    }

  return (int) n;
}

const char *
fb_config_string_at (FbConfigReader *r, const char *key, int i)
{
  JsonNode  *node  = member (r, key);
  JsonArray *array = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  JsonNode  *entry = array != NULL && (guint) i < json_array_get_length (array) ? json_array_get_element (array, i) : NULL;

  if (entry != NULL && JSON_NODE_HOLDS_VALUE (entry) && json_node_get_value_type (entry) == G_TYPE_STRING)
    return json_node_get_string (entry);

  fail_field (r, key);
  return "";
}
