/* plugins/models/procedure-table.c: procedures without a window, as rows of a table. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/procedure-table.h"

#include <glib/gi18n-lib.h>

#include "ui/procedure.h"

/* --- registering ------------------------------------------------------------------------------------------------------------ */

static GimpChoice *
kinds_new (void)
{
  GimpChoice *choice = gimp_choice_new ();

  gimp_choice_add (choice, "any",        0, _("Any"), NULL);
  gimp_choice_add (choice, "checkpoint", 1, _("Model"), NULL);
  gimp_choice_add (choice, "lora",       2, _("LoRA"), NULL);
  gimp_choice_add (choice, "vae",        3, _("Autoencoder"), NULL);
  gimp_choice_add (choice, "taesd",      4, _("Tiny decoder"), NULL);

  return choice;
}

static void
add_argument (GimpProcedure *procedure, const FbValue *arg)
{
  switch (arg->type)
    {
    case 'k':
      gimp_procedure_add_choice_argument (procedure, arg->name, _(arg->label), _(arg->blurb), kinds_new (), arg->text, G_PARAM_READWRITE);
      break;
    case 'i':
      gimp_procedure_add_int_argument (procedure, arg->name, _(arg->label), _(arg->blurb), 0, arg->maximum, 0, G_PARAM_READWRITE);
      break;
    case 'b':
      gimp_procedure_add_boolean_argument (procedure, arg->name, _(arg->label), _(arg->blurb), FALSE, G_PARAM_READWRITE);
      break;
    default:
      gimp_procedure_add_string_argument (procedure, arg->name, _(arg->label), _(arg->blurb), arg->text, G_PARAM_READWRITE);
      break;
    }
}

static void
add_return_value (GimpProcedure *procedure, const FbValue *value)
{
  const char *label = _(value->label), *blurb = _(value->blurb);

  switch (value->type)
    {
    case 's':
      gimp_procedure_add_string_return_value (procedure, value->name, label, blurb, "", G_PARAM_READWRITE);
      break;
    case 'S':
      gimp_procedure_add_string_array_return_value (procedure, value->name, label, blurb, G_PARAM_READWRITE);
      break;
    case 'b':
      gimp_procedure_add_boolean_return_value (procedure, value->name, label, blurb, FALSE, G_PARAM_READWRITE);
      break;
    case 'i':
      gimp_procedure_add_int_return_value (procedure, value->name, label, blurb, 0, G_MAXINT, 0, G_PARAM_READWRITE);
      break;
    case 'd':
      gimp_procedure_add_double_return_value (procedure, value->name, label, blurb, 0.0, G_MAXDOUBLE, 0.0, G_PARAM_READWRITE);
      break;
    case 'D':
      gimp_procedure_add_double_array_return_value (procedure, value->name, label, blurb, G_PARAM_READWRITE);
      break;
    default:
      g_assert_not_reached ();
    }
}

static GimpValueArray *
run (GimpProcedure *procedure, GimpProcedureConfig *config, gpointer run_data)
{
  const FbProcedureRow      *row    = run_data;
  g_autoptr(FbEngineClient)  client = fb_engine_client_new ();
  GimpValueArray            *values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  GError                    *error  = NULL;

  if (row->run (client, config, values, &error))
    return values;
  gimp_value_array_unref (values);
  fb_procedure_blame_caller (error);

  return fb_procedure_fail (procedure, error);
}

GimpProcedure *
fb_procedure_row_create (const FbProcedureRow *row, GimpPlugIn *plug_in)
{
  GimpProcedure *procedure = gimp_procedure_new (plug_in, row->name, GIMP_PDB_PROC_TYPE_PLUGIN, run, (gpointer) row, NULL);

  gimp_procedure_set_documentation (procedure, _(row->blurb), _(row->help), NULL);
  gimp_procedure_set_attribution (procedure, "The Flashbrush authors", "The Flashbrush authors", "2025");
  for (const FbValue *arg = row->args; arg->type != 0; arg++)
    add_argument (procedure, arg);
  for (const FbValue *value = row->returns; value->type != 0; value++)
    add_return_value (procedure, value);

  return procedure;
}

/* --- reading and writing values ------------------------------------------------------------------------------------------------ */

char *
fb_config_text (GimpProcedureConfig *config, const char *name)
{
  char *text = NULL;

  g_object_get (config, name, &text, NULL);
  if (text == NULL || !g_utf8_validate (text, -1, NULL) || g_str_equal (text, "any"))
    {
      g_free (text);
      text = g_strdup ("");
    }

  return text;
}

GVariant *
fb_config_request (GimpProcedureConfig *config, const char *first, ...)
{
  GVariantDict dict;
  va_list      names;

  g_variant_dict_init (&dict, NULL);
  va_start (names, first);
  for (const char *name = first; name != NULL; name = va_arg (names, const char *))
    {
      g_autofree char *text = fb_config_text (config, name);

      if (*text != '\0')
        g_variant_dict_insert (&dict, name, "s", text);
    }
  va_end (names);

  return g_variant_dict_end (&dict);
}

const char *
fb_string_in (GVariant *dict, const char *key)
{
  const char *text = "";

  g_variant_lookup (dict, key, "&s", &text);

  return text;
}

void
fb_values_set_texts (GimpValueArray *values, int index, GPtrArray *rows, const char *key)
{
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new ();
  g_auto(GStrv)           column  = NULL;

  for (guint i = 0; i < rows->len; i++)
    g_strv_builder_add (builder, fb_string_in (rows->pdata[i], key));
  column = g_strv_builder_end (builder);
  GIMP_VALUES_SET_STRV (values, index, column);
}

static double
number_in (GVariant *dict, const char *key)
{
  guint64 large  = 0;
  int     whole  = 0;
  double  number = 0.0;

  if (g_variant_lookup (dict, key, "t", &large))
    return (double) large;
  if (g_variant_lookup (dict, key, "i", &whole))
    return whole;
  g_variant_lookup (dict, key, "d", &number);

  return number;
}

void
fb_values_set_numbers (GimpValueArray *values, int index, GPtrArray *rows, const char *key)
{
  g_autofree double *column = g_new0 (double, rows->len + 1);

  for (guint i = 0; i < rows->len; i++)
    column[i] = number_in (rows->pdata[i], key);
  GIMP_VALUES_SET_DOUBLE_ARRAY (values, index, column, rows->len);
}

GPtrArray *
fb_rows_of (GVariant *list)
{
  GPtrArray *rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);

  for (gsize i = 0; i < g_variant_n_children (list); i++)
    g_ptr_array_add (rows, g_variant_get_child_value (list, i));

  return rows;
}
