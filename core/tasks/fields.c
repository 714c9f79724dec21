/* core/tasks/fields.c: a request's fields by name. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/fields-private.h"

#include <glib/gi18n-lib.h>

void
fb_fields_to_dict (const FbField *fields, guint n, const void *request, GVariantDict *dict)
{
  for (guint i = 0; i < n; i++)
    {
      const FbField *f     = &fields[i];
      const void    *place = (const char *) request + f->offset;

      switch (f->type)
        {
        case FB_FIELD_STRING:  g_variant_dict_insert (dict, f->key, "s", *(char * const *) place); break;
        case FB_FIELD_INT:     g_variant_dict_insert (dict, f->key, "i", *(const int *) place); break;
        case FB_FIELD_INT64:   g_variant_dict_insert (dict, f->key, "x", *(const gint64 *) place); break;
        case FB_FIELD_DOUBLE:  g_variant_dict_insert (dict, f->key, "d", *(const double *) place); break;
        case FB_FIELD_BOOLEAN: g_variant_dict_insert (dict, f->key, "b", *(const gboolean *) place); break;
        case FB_FIELD_CHOICE:  g_variant_dict_insert (dict, f->key, "s", f->choices[*(const int *) place]); break;
        }
    }
}

static const GVariantType *
variant_type (FbFieldType type)
{
  switch (type)
    {
    case FB_FIELD_INT:     return G_VARIANT_TYPE_INT32;
    case FB_FIELD_INT64:   return G_VARIANT_TYPE_INT64;
    case FB_FIELD_DOUBLE:  return G_VARIANT_TYPE_DOUBLE;
    case FB_FIELD_BOOLEAN: return G_VARIANT_TYPE_BOOLEAN;
    default:               return G_VARIANT_TYPE_STRING;
    }
}

/* Sets @f of @request from @value, whose type has been checked. */
static gboolean
set (const FbField *f, void *request, GVariant *value, GError **error)
{
  void *place = (char *) request + f->offset;

  switch (f->type)
    {
    case FB_FIELD_STRING:
      g_free (*(char **) place);
      *(char **) place = g_variant_dup_string (value, NULL);
      break;
    case FB_FIELD_INT:     *(int *) place      = g_variant_get_int32 (value); break;
    case FB_FIELD_INT64:   *(gint64 *) place   = g_variant_get_int64 (value); break;
    case FB_FIELD_DOUBLE:  *(double *) place   = g_variant_get_double (value); break;
    case FB_FIELD_BOOLEAN: *(gboolean *) place = g_variant_get_boolean (value); break;
    case FB_FIELD_CHOICE:
      for (int i = 0; f->choices[i] != NULL; i++)
        if (g_str_equal (f->choices[i], g_variant_get_string (value, NULL)))
          {
            *(int *) place = i;
            return TRUE;
          }
      {
        g_autofree char *known = g_strjoinv (", ", (char **) f->choices);
        g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("“%s” is not a value of “%s”; it takes: %s."),
                     g_variant_get_string (value, NULL), f->key, known);
        return FALSE;
      }
    }

  return TRUE;
}

gboolean
fb_fields_from_variant (const FbField *fields, guint n, void *request, GVariant *variant, GError **error)
{
  if (!g_variant_is_of_type (variant, G_VARIANT_TYPE_VARDICT))
    {
      g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("The request is no table of named values."));
      return FALSE;
    }

  for (guint i = 0; i < n; i++)
    {
      g_autoptr(GVariant) value = g_variant_lookup_value (variant, fields[i].key, NULL);
      const GVariantType *type  = variant_type (fields[i].type);

      if (value == NULL)
        continue;
      if (!g_variant_is_of_type (value, type))
        {
          g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("“%s” has the type “%s” where “%.*s” is expected."),
                       fields[i].key, g_variant_get_type_string (value),
                       (int) g_variant_type_get_string_length (type), g_variant_type_peek_string (type));
          return FALSE;
        }
      if (!set (&fields[i], request, value, error))
        return FALSE;
    }

  return TRUE;
}

gboolean
fb_field_check_range (const char *key, double value, double low, double high, GError **error)
{
  if (value >= low && value <= high)                            /* false for NaN */
    return TRUE;

  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("“%s” is %g; it must lie between %g and %g."), key, value, low, high);
  return FALSE;
}

gboolean
fb_field_check_text (const char *key, const char *text, GError **error)
{
  const char *bad;

  if (g_utf8_validate (text, -1, &bad))
    return TRUE;

  g_set_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD, _("“%s” is not valid UTF-8 text at byte %d."), key, (int) (bad - text));
  return FALSE;
}
