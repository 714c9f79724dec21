/* core/engine/command-inpaint.c: flashbrush-engine inpaint. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/command.h"

#include <glib/gi18n-lib.h>
#include <stdio.h>
#include <string.h>

#include "core/engine/command-job.h"
#include "core/image/png.h"
#include "core/tasks/inpaint.h"

typedef struct
{
  FbJobOptions job;
  char        *use, *route, *fill, *passes, *context;
  int          resolution;
  double       strength, feather, grow, blend;
  gboolean     keep_colours, layer;
} Options;

static void
options_clear (Options *o)
{
  fb_job_options_clear (&o->job);
  g_free (o->use);
  g_free (o->route);
  g_free (o->fill);
  g_free (o->passes);
  g_free (o->context);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

/* @argv afterwards: the two files, then what may be the prompt */
static gboolean
parse (Options *o, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] =
  {
    { "use",          0, 0, G_OPTION_ARG_FILENAME, &o->use, N_("fill, remove, background, expand or refine"), N_("NAME") },
    { "strength",     0, 0, G_OPTION_ARG_DOUBLE, &o->strength, N_("0 keeps the picture, 1 ignores what is under the mask"), N_("X") },
    { "fill",         0, 0, G_OPTION_ARG_FILENAME, &o->fill, N_("What to start from: original, neutral, blur, border or noise"), N_("NAME") },
    { "route",        0, 0, G_OPTION_ARG_FILENAME, &o->route, N_("inpaint-model, masked-latents or differential"), N_("NAME") },
    { "passes",       0, 0, G_OPTION_ARG_FILENAME, &o->passes, N_("one, or two where a second one adds detail; auto"), N_("NAME") },
    { "context",      0, 0, G_OPTION_ARG_FILENAME, &o->context, N_("How much around the mask is looked at: auto, mask or all"), N_("NAME") },
    { "resolution",   0, 0, G_OPTION_ARG_INT, &o->resolution, N_("Side of a square of as many pixels as the network draws"), N_("N") },
    { "feather",      0, 0, G_OPTION_ARG_DOUBLE, &o->feather, N_("Softness of edges, as a share of the mask's diagonal; 0.1"), N_("X") },
    { "grow",         0, 0, G_OPTION_ARG_DOUBLE, &o->grow, N_("How far around the mask all is drawn anew, likewise"), N_("X") },
    { "blend",        0, 0, G_OPTION_ARG_DOUBLE, &o->blend, N_("How softly the result passes into the picture, likewise"), N_("X") },
    { "keep-colours", 0, 0, G_OPTION_ARG_NONE, &o->keep_colours, N_("Leave the result's colours as they are"), NULL },
    { "layer",        0, 0, G_OPTION_ARG_NONE, &o->layer, N_("Write the result alone, transparent where nothing changed"), NULL },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr(GOptionContext) context = g_option_context_new (_("IMAGE.png MASK.png [TEXT]"));

  fb_job_options_add (&o->job, context);
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  g_option_context_set_summary (context, _("Draws anew what lies under the white of a mask, without GIMP. What is not given, model and use decide."));
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (*argc < 3)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("Two files are needed: a picture, and a mask of its size."));
      return FALSE;
    }
  return fb_job_options_finish (&o->job, *argv + 3, error) &&
         fb_command_check_choice ("--context", o->context, fb_context_names, error) &&       /* of the place, which the engine does not see */
         fb_command_check_range ("--strength", o->strength, 0.0, 1.0, error) &&
         fb_command_check_range ("--grow", o->grow, 0.0, 0.5, error) &&
         fb_command_check_range ("--blend", o->blend, 0.0, 0.5, error);
}

static GVariant *
make_request (const Options *o, GError **error)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (NULL);

  if (!fb_job_options_to_dict (&o->job, &dict, error) ||
      !fb_job_insert_string (&dict, "use", o->use, error) ||
      !fb_job_insert_string (&dict, "route", o->route, error) ||
      !fb_job_insert_string (&dict, "fill", o->fill, error) ||
      !fb_job_insert_string (&dict, "passes", o->passes, error))
    return NULL;
  if (o->strength != FB_NOT_GIVEN)
    g_variant_dict_insert (&dict, "strength", "d", o->strength);
  g_variant_dict_insert (&dict, "resolution", "i", o->resolution);
  g_variant_dict_insert (&dict, "feather", "d", o->feather);
  if (o->grow != FB_NOT_GIVEN)
    g_variant_dict_insert (&dict, "grow", "d", o->grow);
  if (o->blend != FB_NOT_GIVEN)
    g_variant_dict_insert (&dict, "blend", "d", o->blend);
  g_variant_dict_insert (&dict, "match-colours", "b", !o->keep_colours);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* --- pictures ----------------------------------------------------------------------------------------------------------- */

/* @image, and where in it the job's part lies */
typedef struct
{
  FbImage *image;
  FbRect   context;
  gboolean layer;
} Place;

/* index of @name among @names, 0 if it isn't there: the engine will say so */
static int
choice (const char * const *names, const char *name)
{
  for (int i = 0; name != NULL && names[i] != NULL; i++)
    if (strcmp (names[i], name) == 0)
      return i;
  return 0;
}

/* (transfer full): what lies in @r of @image, the first @n channels of it */
static FbImage *
cut (const FbImage *image, FbRect r, int n)
{
  FbImage *out = fb_image_new (r.width, r.height, n);

  for (int y = 0; out != NULL && y < r.height; y++)
    for (int x = 0; x < r.width; x++)
      memcpy (out->pixels + ((size_t) y * r.width + x) * n,
              image->pixels + ((size_t) (r.y + y) * image->width + r.x + x) * image->n_channels, n * sizeof (float));
  return out;
}

/* bounds of what is not black */
static FbRect
mask_bounds (const FbImage *mask)
{
  int left = mask->width, right = 0, top = mask->height, bottom = 0;

  for (int y = 0; y < mask->height; y++)
    for (int x = 0; x < mask->width; x++)
      if (mask->pixels[((size_t) y * mask->width + x) * mask->n_channels] > 0.0f)
        {
          left   = MIN (left, x);
          right  = MAX (right, x + 1);
          top    = MIN (top, y);
          bottom = MAX (bottom, y + 1);
        }
  return right > 0 ? (FbRect) { left, top, right - left, bottom - top } : (FbRect) { 0 };
}

/* (transfer full): the result in its picture, or alone */
static FbImage *
finish (FbImage *picture, gpointer user_data, GError **error)
{
  const Place        *place = user_data;
  const FbRect       *r     = &place->context;
  const int           C     = place->image->n_channels;
  g_autoptr(FbImage)  part  = cut (place->image, *r, C);
  g_autoptr(FbImage)  mixed = part != NULL ? fb_inpaint_blend (part, picture) : NULL;
  FbImage            *out   = fb_image_new (place->image->width, place->image->height, place->layer ? 4 : C);

  if (mixed == NULL || out == NULL)
    {
      g_clear_pointer (&out, fb_image_unref);
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, _("No memory for a picture of %d×%d."), place->image->width, place->image->height);
      return NULL;
    }
  if (place->layer)
    memset (out->pixels, 0, fb_image_n_bytes (out));
  else
    memcpy (out->pixels, place->image->pixels, fb_image_n_bytes (out));
  for (int y = 0; y < r->height; y++)
    memcpy (out->pixels + ((size_t) (r->y + y) * out->width + r->x) * out->n_channels,
            (place->layer ? picture : mixed)->pixels + (size_t) y * r->width * out->n_channels,
            (size_t) r->width * out->n_channels * sizeof (float));
  return out;
}

/* Loads both files, finds the part that the job needs, and gives that to it. */
static gboolean
load_pictures (const Options *o, char **paths, int native, Place *place, GHashTable *pictures, GError **error)
{
  g_autoptr(FbImage) mask = NULL;
  FbInpaintPlace     where;

  place->image = fb_image_load_png (paths[0], error);
  if (place->image == NULL || (mask = fb_image_load_png (paths[1], error)) == NULL)
    return FALSE;
  if (mask->width != place->image->width || mask->height != place->image->height)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, _("“%s” has %d×%d pixels and “%s” %d×%d; the mask must be as large as the picture."),
                   paths[0], place->image->width, place->image->height, paths[1], mask->width, mask->height);
      return FALSE;
    }

  where = (FbInpaintPlace) { .canvas_width = mask->width, .canvas_height = mask->height, .mask = mask_bounds (mask),
                             .use = choice (fb_inpaint_use_names, o->use), .context = choice (fb_context_names, o->context),
                             .strength = o->strength != FB_NOT_GIVEN ? o->strength : -1.0, .feather = o->feather, .native = native };
  if (where.use == FB_INPAINT_EXPAND || !fb_inpaint_context (&where, &place->context))
    place->context = (FbRect) { 0, 0, mask->width, mask->height };      /* what is transparent is not in the mask; an empty mask, the engine refuses */
  g_hash_table_insert (pictures, "image", cut (place->image, place->context, place->image->n_channels));
  g_hash_table_insert (pictures, "mask", cut (mask, place->context, 1));
  return TRUE;
}

static int
fail (GError *error, int status)
{
  fprintf (stderr, "flashbrush-engine inpaint: %s\n", error->message);
  g_error_free (error);
  return status;
}

int
fb_command_inpaint (int argc, char **argv)
{
  g_auto(Options)       options  = { .job = FB_JOB_OPTIONS_INIT, .strength = FB_NOT_GIVEN, .feather = 0.1, .grow = FB_NOT_GIVEN,
                                      .blend = FB_NOT_GIVEN };
  g_autoptr(GHashTable) pictures = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) fb_image_unref);
  g_autoptr(GVariant)   request  = NULL;
  GError               *error    = NULL;
  Place                 place    = { .layer = FALSE };
  int                   width = 0, height = 0;
  gboolean              done;

  if (!parse (&options, &argc, &argv, &error) || (request = make_request (&options, &error)) == NULL)
    return fail (error, 2);
  place.layer = options.layer;
  done = fb_command_model_size (&options.job, "inpaint", request, &width, &height, &error) &&
         load_pictures (&options, argv + 1, (width + height) / 2, &place, pictures, &error) &&
         fb_command_job (&options.job, "inpaint", request, pictures, finish, &place, &error);
  g_clear_pointer (&place.image, fb_image_unref);
  return done ? 0 : fail (error, 1);
}
