/* core/formats/json-file.h: JSON that somebody else wrote. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "core/formats/model-error.h"

/* Whether arrays and objects in @json lie in each other more than @max_depth deep. JSON-GLib recurses once per level, so "[[[[…" must
 * not reach it. */
gboolean     fb_json_nests_deeper_than (const char *json, gsize n, int max_depth);

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
