/* core/formats/json-file.h: JSON that somebody else wrote. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "core/formats/model-error.h"

typedef enum
{
  FB_JSON_FINE,
  FB_JSON_TOO_DEEP,       /* arrays and objects lie in each other more than so deep: JSON-GLib recurses once per level */
  FB_JSON_TOO_LONG,       /* it lists so many values that a tree of them would take gigabytes: "[0,0,0,0…" */
  FB_JSON_NOT_PLAIN,      /* it has comments or strings in single quotes */
} FbJsonTrouble;

/* Looks through the letters of @json for what must not reach the parser. */
FbJsonTrouble fb_json_look_through (const char *json, gsize n, int max_depth);

/* why %FB_JSON_NOT_PLAIN is no JSON, for a message */
const char *  fb_json_not_plain    (void);

/**
 * fb_json_parse_object:
 * @path: names the text in errors
 *
 * Returns: (transfer full): the root object, or %NULL with BAD_CONFIG.
 */
JsonObject * fb_json_parse_object (const char *json, gsize n, const char *path, GError **error);

/* The same for a file of at most 64 MB. Errors: NOT_FOUND, IO, BAD_CONFIG. */
JsonObject * fb_json_load_object (const char *path, GError **error);

/* A member that is a string, else @fallback: a config may lack anything. (transfer none) */
const char * fb_json_get_string (JsonObject *object, const char *member, const char *fallback);
/* (nullable) */
JsonObject * fb_json_get_object (JsonObject *object, const char *member);
