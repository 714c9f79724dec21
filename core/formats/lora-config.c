/* core/formats/lora-config.c: what a PEFT configuration says about scale. SPDX-License-Identifier: LGPL-3.0-or-later
 * Source: PEFT's LoraConfig. diffusers keeps the same in the file's header, each name with the component before it. */
#include "core/formats/lora-private.h"

#include <math.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#include "core/formats/json-file.h"
#include "core/formats/safetensors-private.h"

/* The member for @component ("unet.lora_alpha"), else the one for all ("lora_alpha"). */
static JsonNode *
get_member (JsonObject *config, const char *component, const char *name)
{
  g_autofree char *own = g_strdup_printf ("%s.%s", component, name);

  return json_object_has_member (config, own) ? json_object_get_member (config, own) : json_object_get_member (config, name);
}

static gboolean
get_number (JsonNode *node, double *value)
{
  GType type = node != NULL && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_NONE;

  if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
    return FALSE;
  *value = json_node_get_double (node);
  return TRUE;
}

/* A pattern stands for the modules whose path is it, or ends in a dot and it. fb_lora_config_check() has seen that it is plain. */
static gboolean
pattern_matches (const char *pattern, const char *module)
{
  gboolean           anchored = *pattern == '^';
  g_autoptr(GString) plain    = g_string_new (pattern + anchored);
  gsize              n        = strlen (module);

  g_string_replace (plain, "\\.", ".", 0);
  if (plain->len > 0 && plain->str[plain->len - 1] == '$')
    g_string_truncate (plain, plain->len - 1);
  if (plain->len == n)
    return strcmp (plain->str, module) == 0;

  return !anchored && plain->len < n && strcmp (plain->str, module + n - plain->len) == 0 && module[n - plain->len - 1] == '.';
}

static gboolean
is_plain (const char *pattern)
{
  for (const char *p = pattern; *p != '\0'; p++)
    if (!(g_ascii_isalnum (*p) || *p == '_' || *p == '.' || (*p == '\\' && p[1] == '.') || (*p == '^' && p == pattern) ||
          (*p == '$' && p[1] == '\0')))
      return FALSE;
  return *pattern != '\0';
}

double
fb_lora_config_scale (JsonObject *config, const char *component, const char *module, int rank)
{
  double         alpha    = rank;
  JsonNode      *patterns = config != NULL ? get_member (config, component, "alpha_pattern") : NULL;
  JsonNode      *rslora   = config != NULL ? get_member (config, component, "use_rslora") : NULL;
  JsonObjectIter iter;
  const char    *pattern;
  JsonNode      *value;

  if (config == NULL)
    return 1.0;

  get_number (get_member (config, component, "lora_alpha"), &alpha);
  if (patterns != NULL && JSON_NODE_HOLDS_OBJECT (patterns))
    {
      json_object_iter_init_ordered (&iter, json_node_get_object (patterns));
      while (json_object_iter_next_ordered (&iter, &pattern, &value))
        if (pattern_matches (pattern, module))
          {
            get_number (value, &alpha);
            break;
          }
    }

  return rslora != NULL && json_node_get_value_type (rslora) == G_TYPE_BOOLEAN && json_node_get_boolean (rslora) ? alpha / sqrt (rank)
                                                                                                                  : alpha / rank;
}

static gboolean
check_member (const char *name, JsonNode *node, const char *path, GError **error)
{
  const char *text = json_node_get_value_type (node) == G_TYPE_STRING ? json_node_get_string (node) : NULL;
  const char *dot  = strrchr (name, '.');

  name = dot != NULL ? dot + 1 : name;                       /* "unet.use_dora" */

  if (strcmp (name, "peft_type") == 0 && text != NULL && g_ascii_strcasecmp (text, "LORA") != 0)
    fb_safetensors_fail (error, FB_MODEL_ERROR_UNSUPPORTED, path, _("it is of the kind “%s”; only plain LoRA is supported"), text);
  else if (strcmp (name, "use_dora") == 0 && json_node_get_value_type (node) == G_TYPE_BOOLEAN && json_node_get_boolean (node))
    fb_safetensors_fail (error, FB_MODEL_ERROR_UNSUPPORTED, path, _("it is of the kind “%s”; only plain LoRA is supported"), "DoRA");
  else if (strcmp (name, "init_lora_weights") == 0 && text != NULL &&
           (g_str_has_prefix (text, "pissa") || strcmp (text, "olora") == 0 || strcmp (text, "corda") == 0))
    fb_safetensors_fail (error, FB_MODEL_ERROR_UNSUPPORTED, path,
                         _("it was trained on changed base weights (“%s”); convert it to plain LoRA with PEFT"), text);
  else if (strcmp (name, "alpha_pattern") == 0 && JSON_NODE_HOLDS_OBJECT (node))
    {
      g_autoptr(GList) patterns = json_object_get_members (json_node_get_object (node));

      for (GList *l = patterns; l != NULL; l = l->next)
        if (!is_plain (l->data))
          {
            fb_safetensors_fail (error, FB_MODEL_ERROR_UNSUPPORTED, path, _("its alpha_pattern “%s” is more than a module's name"),
                                 (char *) l->data);
            return FALSE;
          }
      return TRUE;
    }
  else
    return TRUE;

  return FALSE;
}

gboolean
fb_lora_config_check (JsonObject *config, const char *path, GError **error)
{
  JsonObjectIter iter;
  const char    *name;
  JsonNode      *node;

  json_object_iter_init (&iter, config);
  while (json_object_iter_next (&iter, &name, &node))
    if (!check_member (name, node, path, error))
      return FALSE;

  return TRUE;
}
