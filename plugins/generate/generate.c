/* plugins/generate/generate.c: pictures from a prompt. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Two procedures: plug-in-flashbrush-generate, with a dialog, and plug-in-flashbrush-repeat, which makes a variation of a
 * layer from the parameters kept on it.
 */
#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include <glib/gi18n-lib.h>

#include "ui/args.h"
#include "ui/dialog.h"
#include "ui/job.h"
#include "ui/plug-in.h"
#include "ui/procedure.h"
#include "ui/record.h"
#include "ui/sampling-args.h"
#include "ui/target.h"

#define GENERATE "plug-in-flashbrush-generate"
#define REPEAT   "plug-in-flashbrush-repeat"

static const FbArg generate_args[] =
{
  FB_ARGS_PROMPT,
  FB_ARGS_MODEL,
  FB_ARGS_SAMPLING,
  FB_ARGS_SIZE,
  FB_ARG_DOUBLE ("strength", N_("Change b_y"),
                 N_("How much of the layer's picture is changed: 0 keeps it, 1 ignores it and starts from nothing"),
                 0.0, 1.0, 1.0),
  FB_ARG_BACKGROUND,
  FB_ARGS_RESULT,
  FB_ARG_END
};

static const FbArg repeat_args[] =
{
  FB_ARG_SEED ("seed", N_("See_d"), N_("Number that the noise is drawn from; -1 draws a new one")),
  FB_ARG_END
};

/* what a record says besides the arguments: the layer a picture started from, and what made it if not Generate */
static const FbArg input_args[] =
{
  FB_ARG_INT ("input-tattoo", "", "", 1, G_MAXINT, 1),
  FB_ARG_STRING ("task", "", "", ""),
  FB_ARG_END
};

static const char * const generate_rows[] =
{
  "prompt", "negative-prompt", "model", "loras", "steps|guidance-scale", "width|height", "seed|count", "strength",
  "background", "destination", ">", "sampler", "timestep-spacing", "clip-skip", "vae", "taesd", "preview", "decoder", NULL
};

static const FbDialogLayout layout = { "generate", N_("Generate"), generate_args, generate_rows };

static GimpValueArray *
generate_run (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
              GimpProcedureConfig *config, gpointer run_data)
{
  g_autoptr(FbTarget) target      = fb_target_new (image, drawables);
  g_autoptr(GVariant) request     = NULL;
  g_autofree char    *destination = NULL;
  GError             *error       = NULL;
  FbJob              *job         = NULL;

  if (run_mode == GIMP_RUN_INTERACTIVE)
    return fb_dialog_run (procedure, config, &layout, image);

  request = fb_args_to_variant (generate_args, config, &error);
  if (request == NULL)
    return fb_procedure_return (procedure, NULL, NULL, NULL, error);

  g_object_get (config, "destination", &destination, NULL);
  job = fb_job_prepare_for_gimp ("generate", request, target, fb_destination_from_name (destination), &error);

  return fb_job_run_for_gimp (procedure, job, request, target, NULL, fb_destination_from_name (destination), "",
                              run_mode == GIMP_RUN_WITH_LAST_VALS, error);
}

/* @recorded with one picture, a new seed, and no previews, which nobody would see */
static GVariant *
variation_of (GVariant *recorded, gint64 seed)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (recorded);

  g_variant_dict_insert (&dict, "seed", "x", seed);
  g_variant_dict_insert (&dict, "count", "i", 1);
  g_variant_dict_insert (&dict, "preview", "s", "none");

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* Finds the layer that the recorded picture started from, if it did. */
static gboolean
find_input (FbTarget *target, GimpImage *image, GimpItem *layer, GVariant *recorded, GError **error)
{
  g_autoptr(GVariant) record   = fb_record_read (layer, input_args, error);
  GimpLayer          *input    = NULL;
  g_autofree char    *name     = gimp_item_get_name (layer);
  const char         *task     = "";
  double              strength = 1.0;
  int                 tattoo   = 0;

  if (record == NULL)
    return FALSE;
  if (g_variant_lookup (record, "task", "&s", &task) && g_str_equal (task, "upscale"))
    {
      g_set_error (error, FB_RECORD_ERROR, FB_RECORD_ERROR_NONE,
                   _("The layer “%s” was made by Super-Resolution; use that again on the layer it was made of."), name);
      return FALSE;
    }
  if (g_str_equal (task, "inpaint"))
    {
      g_set_error (error, FB_RECORD_ERROR, FB_RECORD_ERROR_NONE,
                   _("The layer “%s” was made by Inpaint; choose Continue from This Layer for another one."), name);
      return FALSE;
    }
  g_variant_lookup (recorded, "strength", "d", &strength);
  if (strength >= 1.0)
    return TRUE;

  if (g_variant_lookup (record, "input-tattoo", "i", &tattoo))
    input = gimp_image_get_layer_by_tattoo (image, tattoo);
  if (input == NULL)
    {
      g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT,
                           _("The layer that this one started from is not in the image any more, so it cannot be repeated."));
      return FALSE;
    }
  target->input_id = gimp_item_get_id (GIMP_ITEM (input));

  return TRUE;
}

static GimpValueArray *
repeat_run (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
            GimpProcedureConfig *config, gpointer run_data)
{
  g_autoptr(FbTarget) target   = NULL;
  g_autoptr(GVariant) recorded = NULL;
  g_autoptr(GVariant) request  = NULL;
  g_autofree char    *text     = NULL;
  GimpDrawable       *layer    = drawables != NULL ? drawables[0] : NULL;
  GError             *error    = NULL;
  FbJob              *job      = NULL;
  gint64              seed     = 0;

  if (layer == NULL || drawables[1] != NULL)
    {
      g_set_error_literal (&error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT, _("Choose exactly one layer to repeat."));
      return fb_procedure_return (procedure, NULL, NULL, NULL, error);
    }

  if (run_mode == GIMP_RUN_NONINTERACTIVE)
    g_object_get (config, "seed", &text, NULL);
  target = fb_target_new_over (image, layer);
  if (!fb_args_parse_seed (text, &seed, &error) ||
      (recorded = fb_record_read (GIMP_ITEM (layer), generate_args, &error)) == NULL ||
      !find_input (target, image, GIMP_ITEM (layer), recorded, &error))
    return fb_procedure_return (procedure, NULL, NULL, NULL, error);

  request = variation_of (recorded, seed);
  job     = fb_job_prepare_for_gimp ("generate", request, target, FB_DESTINATION_NEW_LAYER, &error);

  return fb_job_run_for_gimp (procedure, job, request, target, NULL, FB_DESTINATION_NEW_LAYER, "", FALSE, error);
}

/* --- what GIMP asks ----------------------------------------------------------------------------------------------------- */

static GList *
query_procedures (GimpPlugIn *plug_in)
{
  return g_list_append (g_list_append (NULL, g_strdup (GENERATE)), g_strdup (REPEAT));
}

static GimpProcedure *
create_procedure (GimpPlugIn *plug_in, const char *name)
{
  GimpProcedure *procedure = NULL;

  if (g_str_equal (name, GENERATE))
    {
      procedure = fb_procedure_new (plug_in, name, N_("_Generate..."), N_("Make pictures from a description"),
                                    N_("Makes pictures from a prompt with a diffusion model, with or without the layer's "
                                       "picture to start from. Results are new layers in the selection's bounds, or a new "
                                       "image. Works with no image open."),
                                    generate_args, generate_run);
      gimp_procedure_set_sensitivity_mask (procedure, GIMP_PROCEDURE_SENSITIVE_ALWAYS);
    }
  else if (g_str_equal (name, REPEAT))
    {
      procedure = fb_procedure_new (plug_in, name, N_("_Repeat with New Seed"), N_("Make a variation of a generated layer"),
                                    N_("Reads the parameters that Flashbrush keeps on the layers it makes, and makes another "
                                       "layer with a new seed above."),
                                    repeat_args, repeat_run);
      gimp_procedure_set_sensitivity_mask (procedure, GIMP_PROCEDURE_SENSITIVE_DRAWABLE);
    }

  return procedure;
}

FB_PLUG_IN_MAIN (query_procedures, create_procedure)
