/* plugins/inpaint/inpaint.c: a masked part of a picture, painted anew. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Two procedures: plug-in-flashbrush-inpaint, and plug-in-flashbrush-continue, which takes up again from a layer that the first one made.
 */
#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include <glib/gi18n-lib.h>

#include "plugins/inpaint/args.h"
#include "plugins/inpaint/dialog.h"
#include "plugins/inpaint/request.h"
#include "plugins/inpaint/source.h"
#include "ui/job.h"
#include "ui/mask-source.h"
#include "ui/plug-in.h"
#include "ui/procedure.h"
#include "ui/record.h"
#include "ui/target.h"

#define INPAINT  "plug-in-flashbrush-inpaint"
#define CONTINUE "plug-in-flashbrush-continue"

#define PLACE_MAX GIMP_MAX_IMAGE_SIZE

static const FbArg continue_args[] =
{
  FB_ARG_SEED ("seed", N_("See_d"), N_("Number that the noise is drawn from; -1 draws a new one")),
  FB_ARG_END
};

/* what a record says besides the arguments */
static const FbArg origin_args[] =
{
  FB_ARG_STRING ("task", "", "", ""),
  FB_ARG_INT ("input-tattoo", "", "", 1, G_MAXINT, 1),
  FB_ARG_STRING ("context", "", "", ""),
  FB_ARG_INT ("place-x", "", "", 0, PLACE_MAX, 0),
  FB_ARG_INT ("place-y", "", "", 0, PLACE_MAX, 0),
  FB_ARG_INT ("place-width", "", "", 1, PLACE_MAX, 1),
  FB_ARG_INT ("place-height", "", "", 1, PLACE_MAX, 1),
  FB_ARG_END
};

/* --- without a dialog ---------------------------------------------------------------------------------------------------- */

/* the job for these arguments, checked in every way before anything is computed; @mask (transfer none), @target has its input. @place (nullable): an
 * earlier one, which is taken again where it fits */
static FbJob *
job_for (GVariant *request, const char *context, const GdkRectangle *place, FbTarget *target, const FbMask *mask, FbDestination destination,
         GError **error)
{
  g_autoptr(GVariant)       resolved = NULL;
  g_autoptr(FbEngineClient) client   = NULL;
  const char               *use      = "";
  int                       native   = 0;

  g_variant_lookup (request, "use", "&s", &use);
  if (!inpaint_check_mask (mask, use, error))
    return NULL;
  client = fb_job_check_for_gimp ("inpaint", request, target, destination, &resolved, error);
  if (client == NULL)
    return NULL;
  g_variant_lookup (resolved, "width", "i", &native);
  if (!inpaint_place_target (target, request, resolved, context, mask, native, place, error) || !fb_target_check (target, destination, error))
    return NULL;

  return inpaint_job_new (client, request, target, mask, native, INPAINT_PIXELS_MAX, error);
}

static char *
text_of (GimpProcedureConfig *config, const char *name)
{
  char *text = NULL;

  g_object_get (config, name, &text, NULL);

  return text;
}

/* several pictures in place would hide each other */
static gboolean
check_count (GVariant *request, FbDestination destination, GError **error)
{
  int count = 1;

  g_variant_lookup (request, "count", "i", &count);
  if (destination != FB_DESTINATION_IN_PLACE || count == 1)
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                       _("Only one picture can replace the pixels in place; make one, or take new layers."));

  return FALSE;
}

/* the mask to begin with: the one that the arguments name, if it is there; else an empty one */
static FbMask *
first_mask (GimpImage *image, FbTarget *target, GimpProcedureConfig *config)
{
  g_autofree char *from = text_of (config, "mask-from");
  g_autofree char *name = text_of (config, "mask-name");
  GimpItem        *item = target->drawable_id > 0 ? gimp_item_get_by_id (target->drawable_id) : NULL;
  GimpDrawable    *drawable = fb_mask_find (image, item != NULL && gimp_item_is_layer (item) ? GIMP_LAYER (item) : NULL,
                                            fb_mask_from_name (from), name, NULL);

  return drawable != NULL ? fb_mask_read_drawable (image, drawable)
                          : fb_mask_new (gimp_image_get_width (image), gimp_image_get_height (image));
}

static GimpValueArray *
inpaint_run (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
             GimpProcedureConfig *config, gpointer run_data)
{
  g_autoptr(FbTarget)  target           = fb_target_new (image, drawables);
  g_autofree char     *source           = text_of (config, "source");
  g_autofree char     *context          = text_of (config, "context");
  g_autofree char     *destination_name = text_of (config, "destination");
  FbDestination        destination      = fb_destination_from_name (destination_name);
  g_autoptr(GVariant)  request          = NULL;
  g_autoptr(FbMask)    found            = NULL;
  g_autoptr(FbMask)    mask             = NULL;
  GimpValueArray      *values           = NULL;
  GError              *error            = NULL;
  FbJob               *job              = NULL;

  if (run_mode == GIMP_RUN_INTERACTIVE)
    return inpaint_dialog_run (procedure, procedure, config, inpaint_args, image, 0, NULL, first_mask (image, target, config));

  target->task = "inpaint";
  request      = fb_args_to_variant (inpaint_args, config, &error);
  if (request != NULL && inpaint_use_margins (target, config, &error) && check_count (request, destination, &error) &&
      inpaint_use_source (target, source, NULL, &error) && (found = inpaint_find_mask (target, config, &error)) != NULL)
    {
      mask = inpaint_enlarge_mask (found, target);
      job  = job_for (request, context, NULL, target, mask, destination, &error);
    }

  values = fb_job_run_for_gimp (procedure, job, request, target, mask, destination, _("Inpainted"), FALSE, error);
  inpaint_forget_source (target);

  return values;
}

/* --- from a layer -------------------------------------------------------------------------------------------------------- */

/* What a layer that we made says of itself; NULL with @error for every other one. */
static GVariant *
read_record (GimpItem *layer, GVariant **origin, GError **error)
{
  g_autoptr(GVariant) recorded = fb_record_read (layer, inpaint_args, error);
  const char         *task     = "";
  g_autofree char    *name     = gimp_item_get_name (layer);

  if (recorded == NULL || (*origin = fb_record_read (layer, origin_args, error)) == NULL)
    return NULL;
  g_variant_lookup (*origin, "task", "&s", &task);
  if (!g_str_equal (task, "inpaint"))
    {
      g_set_error (error, FB_RECORD_ERROR, FB_RECORD_ERROR_NONE,
                   _("The layer “%s” was not made by Inpaint, so there is nothing to continue; Repeat with New Seed makes a variation of it."), name);
      return NULL;
    }

  return g_steal_pointer (&recorded);
}

/* the mask that was painted; of a layer that lost it, its layer mask */
static FbMask *
read_mask (GimpImage *image, GimpLayer *layer, GError **error)
{
  g_autoptr(GBytes)  packed = fb_record_read_mask (GIMP_ITEM (layer));
  FbMask            *mask   = NULL;
  GimpDrawable      *drawable;

  if (packed != NULL)
    mask = fb_mask_unpack (packed, gimp_image_get_width (image), gimp_image_get_height (image));
  if (mask != NULL)
    return mask;
  drawable = fb_mask_find (image, layer, FB_MASK_FROM_LAYER_MASK, NULL, error);

  return drawable != NULL ? fb_mask_read_drawable (image, drawable) : NULL;
}

/* the layer that the result was made from, if the image still has it, else what is visible without the result */
static FbTarget *
target_of (GimpImage *image, GimpLayer *layer, GVariant *origin, GError **error)
{
  GimpDrawable *drawables[] = { GIMP_DRAWABLE (layer), NULL };
  FbTarget     *target      = fb_target_new (image, drawables);
  GimpLayer    *input       = NULL;
  int           tattoo      = 0;

  target->task = "inpaint";
  if (g_variant_lookup (origin, "input-tattoo", "i", &tattoo))
    {
      input = gimp_image_get_layer_by_tattoo (image, tattoo);
      if (input == NULL)
        {
          g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT,
                               _("The layer that this one started from is not in the image any more, so it cannot be repeated."));
          fb_target_free (target);
          return NULL;
        }
      target->input_id = gimp_item_get_id (GIMP_ITEM (input));
      return target;
    }
  if (!inpaint_use_source (target, "visible", layer, error))
    g_clear_pointer (&target, fb_target_free);

  return target;
}

/* how much was looked at, by name; @place: what that was, empty where the layer doesn't know */
static const char *
context_of (GVariant *origin, GdkRectangle *place)
{
  const char *context = "auto";

  *place = (GdkRectangle) { 0 };
  g_variant_lookup (origin, "context", "&s", &context);
  g_variant_lookup (origin, "place-x", "i", &place->x);
  g_variant_lookup (origin, "place-y", "i", &place->y);
  g_variant_lookup (origin, "place-width", "i", &place->width);
  g_variant_lookup (origin, "place-height", "i", &place->height);

  return context;
}

static GVariant *
variation_of (GVariant *recorded, gint64 seed)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (recorded);

  g_variant_dict_insert (&dict, "seed", "x", seed);
  g_variant_dict_insert (&dict, "count", "i", 1);
  g_variant_dict_insert (&dict, "preview", "s", "none");

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* the one layer that was chosen, or whose mask was: GIMP chooses the mask of a layer that has just got one */
static GimpLayer *
only_layer (GimpDrawable **drawables)
{
  if (drawables[0] == NULL || drawables[1] != NULL)
    return NULL;
  if (GIMP_IS_LAYER_MASK (drawables[0]))
    return gimp_layer_from_mask (GIMP_LAYER_MASK (drawables[0]));

  return GIMP_IS_LAYER (drawables[0]) ? GIMP_LAYER (drawables[0]) : NULL;
}

/* the dialog, as it was when the layer was made */
static GimpValueArray *
continue_in_dialog (GimpProcedure *procedure, GimpImage *image, GimpLayer *layer, GVariant *recorded, const char *context, FbTarget *target,
                    FbMask *mask)
{
  GimpPlugIn                     *plug_in = gimp_get_plug_in ();
  g_autoptr(GimpProcedure)        inpaint = GIMP_PLUG_IN_GET_CLASS (plug_in)->create_procedure (plug_in, INPAINT);
  g_autoptr(GimpProcedureConfig)  config  = gimp_procedure_create_config (inpaint);

  fb_args_from_variant (inpaint_args, config, recorded);
  g_object_set (config, "source", target->input_is_copy ? "visible" : "layer", "context", context, NULL);

  return inpaint_dialog_run (procedure, inpaint, config, inpaint_args, image, target->input_is_copy ? 0 : target->input_id, layer, mask);
}

static GimpValueArray *
continue_run (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
              GimpProcedureConfig *config, gpointer run_data)
{
  GimpLayer           *layer    = only_layer (drawables);
  g_autofree char     *text     = text_of (config, "seed");
  g_autoptr(GVariant)  recorded = NULL;
  g_autoptr(GVariant)  origin   = NULL;
  g_autoptr(GVariant)  request  = NULL;
  g_autoptr(FbTarget)  target   = NULL;
  g_autoptr(FbMask)    mask     = NULL;
  GimpValueArray      *values   = NULL;
  GError              *error    = NULL;
  FbJob               *job      = NULL;
  const char          *context  = "";
  gint64               seed     = 0;
  GdkRectangle         place;

  if (layer == NULL)
    g_set_error_literal (&error, FB_TARGET_ERROR, FB_TARGET_ERROR_INPUT, _("Choose exactly one layer to continue from."));
  else if (fb_args_parse_seed (text, &seed, &error) && (recorded = read_record (GIMP_ITEM (layer), &origin, &error)) != NULL &&
           (mask = read_mask (image, layer, &error)) != NULL && (target = target_of (image, layer, origin, &error)) != NULL)
    {
      context = context_of (origin, &place);
      if (run_mode == GIMP_RUN_INTERACTIVE)
        {
          values = continue_in_dialog (procedure, image, layer, recorded, context, target, g_steal_pointer (&mask));
          inpaint_forget_source (target);
          return values;
        }
      request = variation_of (recorded, seed);
      job     = job_for (request, context, &place, target, mask, FB_DESTINATION_NEW_LAYER, &error);
    }

  values = fb_job_run_for_gimp (procedure, job, request, target, mask, FB_DESTINATION_NEW_LAYER, _("Inpainted"), FALSE, error);
  if (target != NULL)
    inpaint_forget_source (target);

  return values;
}

/* --- what GIMP asks ------------------------------------------------------------------------------------------------------ */

static GList *
query_procedures (GimpPlugIn *plug_in)
{
  return g_list_append (g_list_append (NULL, g_strdup (INPAINT)), g_strdup (CONTINUE));
}

static GimpProcedure *
create_procedure (GimpPlugIn *plug_in, const char *name)
{
  GimpProcedure *procedure = NULL;

  if (g_str_equal (name, INPAINT))
    procedure = fb_procedure_new (plug_in, name, N_("_Inpaint..."), N_("Paint a part of the picture anew"),
                                  N_("Fills, removes, expands or refines what is masked, in a few steps of a diffusion model. The mask "
                                     "comes from the selection, a channel, a layer or a layer mask. The result is a new layer with a "
                                     "layer mask; all else stays as it is."),
                                  inpaint_args, inpaint_run);
  else if (g_str_equal (name, CONTINUE))
    procedure = fb_procedure_new (plug_in, name, N_("_Continue from This Layer..."), N_("Take up an inpainted layer again"),
                                  N_("Reads the parameters and the mask that Flashbrush keeps on the layers that Inpaint makes, and makes "
                                     "another layer with a new seed above."),
                                  continue_args, continue_run);
  if (procedure != NULL)
    gimp_procedure_set_sensitivity_mask (procedure, GIMP_PROCEDURE_SENSITIVE_DRAWABLE);

  return procedure;
}

FB_PLUG_IN_MAIN (query_procedures, create_procedure)
