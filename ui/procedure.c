/* ui/procedure.c: what every procedure of the suite has in common. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/procedure.h"

#include <glib/gi18n-lib.h>

#include "core/engine/client.h"
#include "ui/target.h"

GimpProcedure *
fb_procedure_new (GimpPlugIn *plug_in, const char *name, const char *label, const char *blurb, const char *help,
                  const FbArg *args, GimpRunImageFunc run)
{
  GimpProcedure *procedure = gimp_image_procedure_new (plug_in, name, GIMP_PDB_PROC_TYPE_PLUGIN, run, NULL, NULL);

  gimp_procedure_set_image_types (procedure, "*");
  gimp_procedure_set_menu_label (procedure, _(label));
  gimp_procedure_add_menu_path (procedure, "<Image>/Filters/Flashbrush");
  gimp_procedure_set_documentation (procedure, _(blurb), _(help), NULL);
  gimp_procedure_set_attribution (procedure, "The Flashbrush authors", "The Flashbrush authors", "2025");

  fb_args_register (args, procedure);

  gimp_procedure_add_image_return_value (procedure, "image", _("Image"), _("The image that has the results"), TRUE,
                                         G_PARAM_READWRITE);
  gimp_procedure_add_string_array_return_value (procedure, "seeds", _("Seeds"), _("The seed of each layer"),
                                                G_PARAM_READWRITE);
  gimp_procedure_add_core_object_array_return_value (procedure, "layers", _("Layers"), _("The new layers"),
                                                     GIMP_TYPE_LAYER, G_PARAM_READWRITE);

  return procedure;
}

/* whether the caller could have known: scripts tell their own mistakes from failures by the status */
static gboolean
is_callers_mistake (const GError *error)
{
  return g_error_matches (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST) ||
         g_error_matches (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT) ||
         g_error_matches (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT);
}

void
fb_procedure_blame_caller (GError *error)
{
  if (error->domain == FB_ENGINE_ERROR || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  error->domain = G_IO_ERROR;
  error->code   = G_IO_ERROR_INVALID_ARGUMENT;
}

GimpValueArray *
fb_procedure_fail (GimpProcedure *procedure, GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      g_clear_error (&error);
      return gimp_procedure_new_return_values (procedure, GIMP_PDB_CANCEL, NULL);
    }
  return gimp_procedure_new_return_values (procedure, is_callers_mistake (error) ? GIMP_PDB_CALLING_ERROR : GIMP_PDB_EXECUTION_ERROR, error);
}

GimpValueArray *
fb_procedure_return (GimpProcedure *procedure, GimpImage *image, GPtrArray *layers, GStrv seeds, GError *error)
{
  GimpValueArray *values = NULL;

  if (error != NULL)
    values = fb_procedure_fail (procedure, error);
  else
    {
      values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
      GIMP_VALUES_SET_IMAGE (values, 1, image);
      if (layers != NULL)
        {
          g_ptr_array_add (layers, NULL);
          GIMP_VALUES_SET_CORE_OBJECT_ARRAY (values, 3, (GObject **) layers->pdata);
        }
      if (seeds != NULL)
        GIMP_VALUES_SET_STRV (values, 2, seeds);
    }

  g_clear_pointer (&layers, g_ptr_array_unref);
  g_strfreev (seeds);

  return values;
}
