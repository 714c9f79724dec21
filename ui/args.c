/* ui/args.c: one table of arguments per plug-in. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/args.h"

#include <math.h>
#include <string.h>

#include <gio/gio.h>
#include <glib/gi18n-lib.h>


const FbArg *
fb_args_find (const FbArg *args, const char *name)
{
  for (const FbArg *arg = args; arg->name != NULL; arg++)
    if (g_str_equal (arg->name, name))
      return arg;

  return NULL;
}

const char *
fb_arg_key (const FbArg *arg)
{
  return arg->key != NULL ? arg->key : arg->name;
}

static void
register_choice (const FbArg *arg, GimpProcedure *procedure)
{
  GimpChoice *choice = gimp_choice_new ();

  for (int i = 0; arg->choices[i].name != NULL; i++)
    gimp_choice_add (choice, arg->choices[i].name, i, _(arg->choices[i].label), NULL);

  gimp_procedure_add_choice_argument (procedure, arg->name, _(arg->label), _(arg->blurb), choice, arg->text,
                                      G_PARAM_READWRITE);
}

void
fb_args_register (const FbArg *args, GimpProcedure *procedure)
{
  for (const FbArg *arg = args; arg->name != NULL; arg++)
    switch (arg->kind)
      {
      case FB_ARG_KIND_STRING:
      case FB_ARG_KIND_TEXT:
      case FB_ARG_KIND_MODEL:
      case FB_ARG_KIND_SAMPLER:
      case FB_ARG_KIND_SEED:
        gimp_procedure_add_string_argument (procedure, arg->name, _(arg->label), _(arg->blurb), arg->text,
                                            G_PARAM_READWRITE);
        break;
      case FB_ARG_KIND_LORAS:
        gimp_procedure_add_string_array_argument (procedure, arg->name, _(arg->label), _(arg->blurb),
                                                  G_PARAM_READWRITE);
        break;
      case FB_ARG_KIND_INT:
        gimp_procedure_add_int_argument (procedure, arg->name, _(arg->label), _(arg->blurb),
                                         (int) arg->minimum, (int) arg->maximum, (int) arg->value, G_PARAM_READWRITE);
        break;
      case FB_ARG_KIND_DOUBLE:
        gimp_procedure_add_double_argument (procedure, arg->name, _(arg->label), _(arg->blurb),
                                            arg->minimum, arg->maximum, arg->value, G_PARAM_READWRITE);
        break;
      case FB_ARG_KIND_CHOICE:
        register_choice (arg, procedure);
        break;
      case FB_ARG_KIND_BOOL:
        gimp_procedure_add_boolean_argument (procedure, arg->name, _(arg->label), _(arg->blurb), arg->value != 0.0, G_PARAM_READWRITE);
        break;
      }
}

gboolean
fb_args_parse_seed (const char *text, gint64 *seed, GError **error)
{
  g_autofree char *trimmed = g_strstrip (g_strdup (text != NULL ? text : ""));

  if (*trimmed == '\0' || g_str_equal (trimmed, "-1"))
    {
      *seed = g_random_int ();                /* 32 bits as in the web UIs, so that it can be typed there too */
      return TRUE;
    }
  if (g_ascii_string_to_signed (trimmed, 10, 0, G_MAXINT64, seed, NULL))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _("The seed “%s” is not a whole number from 0 up; -1 draws one."), trimmed);
  return FALSE;
}

gboolean
fb_args_parse_lora (const char *text, char **name, double *strength, GError **error)
{
  const char      *equals  = strrchr (text, '=');
  g_autofree char *before  = equals != NULL ? g_strndup (text, equals - text) : g_strdup (text);
  char            *end     = NULL;

  *strength = equals != NULL ? g_ascii_strtod (equals + 1, &end) : 1.0;
  if (*before == '\0' || (equals != NULL && (end == equals + 1 || *end != '\0')) || !isfinite (*strength))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _("The LoRA “%s” is not of the form NAME=STRENGTH, for example “ink=0.8”."), text);
      return FALSE;
    }
  *name = g_steal_pointer (&before);

  return TRUE;
}

char *
fb_args_format_lora (const char *name, double strength)
{
  static const char * const formats[] = { "%.4g", "%.15g" };
  char number[G_ASCII_DTOSTR_BUF_SIZE];

  for (gsize i = 0; i < G_N_ELEMENTS (formats); i++)      /* as short as it comes back the same */
    if (g_ascii_strtod (g_ascii_formatd (number, sizeof number, formats[i], strength), NULL) == strength)
      return g_strdup_printf ("%s=%s", name, number);

  return g_strdup_printf ("%s=%s", name, g_ascii_dtostr (number, sizeof number, strength));
}

/* A file's name may be in any letters; D-Bus and the record know UTF-8 only. @field names the argument. */
static gboolean
check_text (const char *field, const char *text, GError **error)
{
  const char *bad = NULL;

  if (g_utf8_validate (text, -1, &bad))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, _("“%s” is not valid UTF-8 text at byte %d."), field, (int) (bad - text));
  return FALSE;
}

/* (transfer full): The engine does not know the folder that a script's path starts from. What looks like a path and is one becomes absolute here; all else is
 * a name in the store, or wrong as it stands. */
static char *
absolute (const char *name)
{
  const gboolean is_path = strchr (name, G_DIR_SEPARATOR) != NULL || g_str_has_suffix (name, ".safetensors");

  return is_path && g_file_test (name, G_FILE_TEST_EXISTS) ? g_canonicalize_filename (name, NULL) : g_strdup (name);
}

/* (transfer floating): %NULL with @error */
static GVariant *
text_of (const FbArg *arg, const char *text, GError **error)
{
  g_autofree char *given = arg->kind == FB_ARG_KIND_MODEL && text != NULL ? absolute (text) : g_strdup (text != NULL ? text : "");

  return check_text (arg->name, given, error) ? g_variant_new_string (given) : NULL;
}

static GVariant *
loras_of (const FbArg *arg, GStrv strings, GError **error)
{
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(sd)"));

  for (int i = 0; strings != NULL && strings[i] != NULL; i++)
    {
      g_autofree char *name     = NULL;
      g_autofree char *path     = NULL;
      double           strength = 0.0;

      if (!check_text (arg->name, strings[i], error) || !fb_args_parse_lora (strings[i], &name, &strength, error))
        return NULL;
      path = absolute (name);
      if (!check_text (arg->name, path, error))
        return NULL;
      g_variant_builder_add (&builder, "(sd)", path, strength);
    }

  return g_variant_builder_end (&builder);
}

static GVariant *
value_of (const FbArg *arg, GimpProcedureConfig *config, GError **error)
{
  g_autofree char *text    = NULL;
  g_auto(GStrv)    strings = NULL;
  gint64           seed    = 0;
  double           number  = 0.0;
  int              integer = 0;
  gboolean         is_true = FALSE;

  switch (arg->kind)
    {
    case FB_ARG_KIND_STRING:
    case FB_ARG_KIND_TEXT:
    case FB_ARG_KIND_MODEL:
    case FB_ARG_KIND_SAMPLER:
    case FB_ARG_KIND_CHOICE:
      g_object_get (config, arg->name, &text, NULL);
      return text_of (arg, text, error);
    case FB_ARG_KIND_LORAS:
      g_object_get (config, arg->name, &strings, NULL);
      return loras_of (arg, strings, error);
    case FB_ARG_KIND_SEED:
      g_object_get (config, arg->name, &text, NULL);
      return fb_args_parse_seed (text, &seed, error) ? g_variant_new_int64 (seed) : NULL;
    case FB_ARG_KIND_INT:
      g_object_get (config, arg->name, &integer, NULL);
      return g_variant_new_int32 (integer);
    case FB_ARG_KIND_DOUBLE:
      g_object_get (config, arg->name, &number, NULL);
      return g_variant_new_double (number);
    case FB_ARG_KIND_BOOL:
      g_object_get (config, arg->name, &is_true, NULL);
      return g_variant_new_boolean (is_true);
    }
  g_assert_not_reached ();
}

static gboolean
is_empty_text (GVariant *value)
{
  return g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) && *g_variant_get_string (value, NULL) == '\0';
}

static gboolean
is_zero (GVariant *number)
{
  return g_variant_is_of_type (number, G_VARIANT_TYPE_INT32) ? g_variant_get_int32 (number) == 0 : g_variant_get_double (number) == 0.0;
}

GVariant *
fb_args_to_variant (const FbArg *args, GimpProcedureConfig *config, GError **error)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (NULL);

  for (const FbArg *arg = args; arg->name != NULL; arg++)
    {
      g_autoptr(GVariant) value = NULL;

      if (arg->is_local)
        continue;
      value = value_of (arg, config, error);
      if (value == NULL)
        return NULL;
      g_variant_ref_sink (value);
      if (!is_empty_text (value) && !(arg->omits_zero && is_zero (value)))
        g_variant_dict_insert_value (&dict, fb_arg_key (arg), value);
    }

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static gboolean
is_choice (const FbArg *arg, const char *name)
{
  for (int i = 0; arg->choices[i].name != NULL; i++)
    if (g_str_equal (arg->choices[i].name, name))
      return TRUE;

  return FALSE;
}

static void
set_loras (const FbArg *arg, GimpProcedureConfig *config, GVariant *value)
{
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new ();
  g_auto(GStrv)           strings = NULL;
  GVariantIter            iter;
  const char             *name     = NULL;
  double                  strength = 0.0;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("a(sd)")))
    return;
  g_variant_iter_init (&iter, value);
  while (g_variant_iter_next (&iter, "(&sd)", &name, &strength))
    g_strv_builder_take (builder, fb_args_format_lora (name, strength));
  strings = g_strv_builder_end (builder);
  g_object_set (config, arg->name, strings, NULL);
}

static void
set_value (const FbArg *arg, GimpProcedureConfig *config, GVariant *value)
{
  switch (arg->kind)
    {
    case FB_ARG_KIND_CHOICE:
      if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) || !is_choice (arg, g_variant_get_string (value, NULL)))
        return;
      G_GNUC_FALLTHROUGH;
    case FB_ARG_KIND_STRING:
    case FB_ARG_KIND_TEXT:
    case FB_ARG_KIND_MODEL:
    case FB_ARG_KIND_SAMPLER:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
        g_object_set (config, arg->name, g_variant_get_string (value, NULL), NULL);
      return;
    case FB_ARG_KIND_LORAS:
      set_loras (arg, config, value);
      return;
    case FB_ARG_KIND_SEED:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_INT64))
        {
          g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, g_variant_get_int64 (value));
          g_object_set (config, arg->name, text, NULL);
        }
      return;
    case FB_ARG_KIND_INT:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_INT32) &&
          g_variant_get_int32 (value) >= arg->minimum && g_variant_get_int32 (value) <= arg->maximum)
        g_object_set (config, arg->name, g_variant_get_int32 (value), NULL);
      return;
    case FB_ARG_KIND_DOUBLE:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE) &&
          g_variant_get_double (value) >= arg->minimum && g_variant_get_double (value) <= arg->maximum)
        g_object_set (config, arg->name, g_variant_get_double (value), NULL);
      return;
    case FB_ARG_KIND_BOOL:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
        g_object_set (config, arg->name, g_variant_get_boolean (value), NULL);
      return;
    }
}

void
fb_args_from_variant (const FbArg *args, GimpProcedureConfig *config, GVariant *values)
{
  for (const FbArg *arg = args; arg->name != NULL; arg++)
    {
      g_autoptr(GVariant) value = g_variant_lookup_value (values, fb_arg_key (arg), NULL);

      if (value != NULL)
        set_value (arg, config, value);
    }
}
