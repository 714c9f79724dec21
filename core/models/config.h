/* core/models/config.h: reads the JSON configs beside the weights. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

/**
 * FbConfigReader: { .json = …, .path = … } to begin with
 * @path: names the file in errors
 * @error: the first failure; later reads give defaults
 *
 * A field that is absent or null takes its default. One of the wrong type or out of range is an error that names file and field; so a parsed
 * config holds only numbers in range, whatever the file says.
 */
typedef struct
{
  JsonObject *json;
  const char *path;
  GError     *error;
} FbConfigReader;

int          fb_config_int    (FbConfigReader *r, const char *key, int min, int max, int otherwise);
double       fb_config_double (FbConfigReader *r, const char *key, double min, double max, double otherwise);
gboolean     fb_config_bool   (FbConfigReader *r, const char *key, gboolean otherwise);
/* (transfer none) (nullable): lives as long as the JSON */
const char * fb_config_string (FbConfigReader *r, const char *key, const char *otherwise);

/**
 * fb_config_ints, fb_config_bools:
 * @values: room for @n; a single number in the file stands for all of them
 *
 * Fails if the file's list has another length.
 */
void         fb_config_ints   (FbConfigReader *r, const char *key, int min, int max, int otherwise, int *values, int n);
void         fb_config_bools  (FbConfigReader *r, const char *key, gboolean otherwise, gboolean *values, int n);
/* length of a list of at most @max entries; 0 if absent */
int          fb_config_length (FbConfigReader *r, const char *key, int max);
/* (transfer none): entry @i of a list of strings, "" after a failure */
const char * fb_config_string_at (FbConfigReader *r, const char *key, int i);

/* "@path: @key = @value is not supported …" and "@path: @reason" */
void         fb_config_unsupported (FbConfigReader *r, const char *key, const char *value);
void         fb_config_fail        (FbConfigReader *r, const char *reason);

/* Moves the failure, if there is one, to @error. Returns: whether there was none. */
gboolean     fb_config_finish (FbConfigReader *r, GError **error);
