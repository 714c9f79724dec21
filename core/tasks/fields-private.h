/* core/tasks/fields-private.h: a request's fields by name, for both directions of its a{sv} form. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/tasks/task-error.h"

typedef enum
{
  FB_FIELD_STRING,            /* char *, owned */
  FB_FIELD_INT,
  FB_FIELD_INT64,
  FB_FIELD_DOUBLE,
  FB_FIELD_BOOLEAN,           /* gboolean */
  FB_FIELD_CHOICE,            /* an enum; a string outside */
} FbFieldType;

/**
 * FbField:
 * @offset: of the member in the request
 * @choices: FB_FIELD_CHOICE: names of the enum's values in order, %NULL-terminated
 */
typedef struct
{
  const char         *key;
  FbFieldType         type;
  gsize               offset;
  const char * const *choices;
} FbField;

void     fb_fields_to_dict      (const FbField *fields, guint n, const void *request, GVariantDict *dict);

/* Sets members of @request from the keys that @variant has; %FB_TASK_ERROR_FIELD names one of a wrong type or value. */
gboolean fb_fields_from_variant (const FbField *fields, guint n, void *request, GVariant *variant, GError **error);

/* %FALSE with %FB_TASK_ERROR_FIELD for a number outside, NaN among them, and for what is not UTF-8. */
gboolean fb_field_check_range   (const char *key, double value, double low, double high, GError **error);
gboolean fb_field_check_text    (const char *key, const char *text, GError **error);
