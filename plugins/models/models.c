/* plugins/models/models.c: the panel for models and distillation, and procedures for both. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <libgimp/gimp.h>

#include <glib/gi18n-lib.h>

#include "plugins/models/panel.h"
#include "plugins/models/procedures.h"
#include "ui/plug-in.h"
#include "ui/procedure.h"

#define PANEL "plug-in-flashbrush-models"

static GimpValueArray *
panel_run (GimpProcedure *procedure, GimpProcedureConfig *config, gpointer run_data)
{
  GimpRunMode  run_mode = GIMP_RUN_NONINTERACTIVE;
  GError      *error    = NULL;

  g_object_get (config, "run-mode", &run_mode, NULL);
  if (run_mode == GIMP_RUN_NONINTERACTIVE)
    return fb_procedure_fail (procedure, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                                                              _("This procedure only opens a window. Scripts use plug-in-flashbrush-models-list and "
                                                                "those beside it.")));
  if (!fb_panel_run (&error))
    return fb_procedure_fail (procedure, error);

  return gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
}

static GimpProcedure *
panel_new (GimpPlugIn *plug_in)
{
  GimpProcedure *procedure = gimp_procedure_new (plug_in, PANEL, GIMP_PDB_PROC_TYPE_PLUGIN, panel_run, NULL, NULL);

  gimp_procedure_set_menu_label (procedure, _("_Models and Distillation..."));
  gimp_procedure_add_menu_path (procedure, "<Image>/Filters/Flashbrush");
  gimp_procedure_set_documentation (procedure, _("See, bring in and remove models and LoRAs"),
                                    _("Opens a window that shows which models, LoRAs, autoencoders and tiny decoders there are, what suits them, and which "
                                      "are in memory; files are brought in by a file chooser or by dropping them there."), NULL);
  gimp_procedure_set_attribution (procedure, "The Flashbrush authors", "The Flashbrush authors", "2025");
  gimp_procedure_set_sensitivity_mask (procedure, GIMP_PROCEDURE_SENSITIVE_ALWAYS);
  gimp_procedure_add_enum_argument (procedure, "run-mode", _("Run mode"), _("The run mode"), GIMP_TYPE_RUN_MODE, GIMP_RUN_INTERACTIVE, G_PARAM_READWRITE);

  return procedure;
}

/* --- what GIMP asks ----------------------------------------------------------------------------------------------------- */

static const FbProcedureRow * const tables[] = { fb_model_procedures, fb_distill_procedures };

static GList *
query_procedures (GimpPlugIn *plug_in)
{
  GList *names = g_list_append (NULL, g_strdup (PANEL));

  for (gsize i = 0; i < G_N_ELEMENTS (tables); i++)
    for (const FbProcedureRow *row = tables[i]; row->name != NULL; row++)
      names = g_list_append (names, g_strdup (row->name));

  return names;
}

static GimpProcedure *
create_procedure (GimpPlugIn *plug_in, const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (tables); i++)
    for (const FbProcedureRow *row = tables[i]; row->name != NULL; row++)
      if (g_str_equal (row->name, name))
        return fb_procedure_row_create (row, plug_in);

  return g_str_equal (name, PANEL) ? panel_new (plug_in) : NULL;
}

FB_PLUG_IN_MAIN (query_procedures, create_procedure)
