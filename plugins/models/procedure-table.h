/* plugins/models/procedure-table.h: procedures without a window, as rows of a table. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

#include "core/engine/client.h"

/**
 * FbValue: an argument or a return value
 * @type: s text, S list of texts, k kind of model, b boolean, i whole number, d number, D list of numbers; 0 ends a list
 * @label, @blurb: untranslated
 * @text: default of an argument s or k
 * @maximum: of an argument i, which begins at 0, its default
 */
typedef struct
{
  char        type;
  const char *name;
  const char *label;
  const char *blurb;
  const char *text;
  int         maximum;
} FbValue;

/**
 * FbProcedureRow:
 * @run: fills @values, whose number 0 is the status, and returns %TRUE, or sets @error
 */
typedef struct
{
  const char *name;
  const char *blurb;
  const char *help;
  gboolean   (* run) (FbEngineClient *client, GimpProcedureConfig *config, GimpValueArray *values, GError **error);
  FbValue     args[8];
  FbValue     returns[20];
} FbProcedureRow;

/* (transfer full): the procedure of @row */
GimpProcedure * fb_procedure_row_create (const FbProcedureRow *row, GimpPlugIn *plug_in);

/* (transfer full): an argument's text, never NULL; "any" is "" */
char *          fb_config_text    (GimpProcedureConfig *config, const char *name);

/* (transfer floating): a{sv} of the arguments called so, which are texts; those that are empty are left out; ends with NULL */
GVariant *      fb_config_request (GimpProcedureConfig *config, const char *first, ...) G_GNUC_NULL_TERMINATED;

/* (transfer none): the text under @key, "" where there is none */
const char *    fb_string_in      (GVariant *dict, const char *key);

/* Sets a return value to one key of all @rows (of a{sv}): a list of texts, or of numbers where the rows have "t", "i" or "d" */
void            fb_values_set_texts   (GimpValueArray *values, int index, GPtrArray *rows, const char *key);
void            fb_values_set_numbers (GimpValueArray *values, int index, GPtrArray *rows, const char *key);

/* (transfer full) (element-type GVariant): the children of an aa{sv} */
GPtrArray *     fb_rows_of        (GVariant *list);
