/* plugins/upscale/upscale.c: a layer at up to four times its size, with detail that fits. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include <glib/gi18n-lib.h>

#include "plugins/upscale/args.h"
#include "plugins/upscale/dialog.h"
#include "plugins/upscale/request.h"
#include "ui/job.h"
#include "ui/plug-in.h"
#include "ui/procedure.h"

#define UPSCALE "plug-in-flashbrush-upscale"

/* the job for these arguments, checked in every way before anything is computed; @target has its input */
static FbJob *
job_for (GVariant *request, FbTarget *target, FbDestination destination, GError **error)
{
  g_autoptr(GVariant)       measured = upscale_with_source (request, target);
  g_autoptr(GVariant)       resolved = NULL;
  g_autoptr(FbEngineClient) client   = fb_job_check_for_gimp ("upscale", measured, target, destination, &resolved, error);

  return client != NULL ? upscale_job_new (client, request, resolved, target, error) : NULL;
}

static GimpValueArray *
upscale_run (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
             GimpProcedureConfig *config, gpointer run_data)
{
  g_autoptr(FbTarget) target  = upscale_target_new (image, drawables);
  g_autoptr(GVariant) request = NULL;
  g_autofree char    *name    = NULL;
  FbDestination       destination;
  GError             *error   = NULL;
  FbJob              *job     = NULL;

  if (run_mode == GIMP_RUN_INTERACTIVE)
    return upscale_dialog_run (procedure, config, image);

  g_object_get (config, "destination", &name, NULL);
  destination = fb_destination_from_name (name);
  request     = fb_args_to_variant (upscale_args, config, &error);
  if (request != NULL && upscale_use_input (target, &error))
    job = job_for (request, target, destination, &error);

  return fb_job_run_for_gimp (procedure, job, request, target, NULL, destination, _("Enlarged"), run_mode == GIMP_RUN_WITH_LAST_VALS, error);
}

/* --- what GIMP asks ------------------------------------------------------------------------------------------------------ */

static GList *
query_procedures (GimpPlugIn *plug_in)
{
  return g_list_append (NULL, g_strdup (UPSCALE));
}

static GimpProcedure *
create_procedure (GimpPlugIn *plug_in, const char *name)
{
  GimpProcedure *procedure;

  if (!g_str_equal (name, UPSCALE))
    return NULL;

  procedure = fb_procedure_new (plug_in, name, N_("_Super-Resolution..."), N_("Make a picture larger, with detail that fits"),
                                N_("Makes the layer, or the selected part of it, up to four times as large with a diffusion model made for that. "
                                   "What was there stays as it was: made smaller again, the result is the layer. It becomes a new image, or a new "
                                   "layer around the same center."),
                                upscale_args, upscale_run);
  gimp_procedure_set_sensitivity_mask (procedure, GIMP_PROCEDURE_SENSITIVE_DRAWABLE);

  return procedure;
}

FB_PLUG_IN_MAIN (query_procedures, create_procedure)
