/* core/engine/command-upscale.c: flashbrush-engine upscale. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/command.h"

#include <glib/gi18n-lib.h>
#include <stdio.h>

#include "core/engine/command-job.h"
#include "core/image/png.h"

typedef struct
{
  FbJobOptions job;
  char        *faithful;
  double       scale;
  int          width, height, noise_level;
} Options;

static void
options_clear (Options *o)
{
  fb_job_options_clear (&o->job);
  g_free (o->faithful);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
check_size (const Options *o, GError **error)
{
  const gboolean has_width = o->width != FB_NOT_GIVEN, has_height = o->height != FB_NOT_GIVEN;

  if (has_width != has_height)
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("--width and --height go together; give both, or --scale."));
  else if (has_width && o->scale != FB_NOT_GIVEN)
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("--scale and --width with --height say two sizes; leave one out."));
  else
    return fb_command_check_range ("--width", o->width, 1, 65536, error) && fb_command_check_range ("--height", o->height, 1, 65536, error) &&
           (o->scale >= 1.0 || fb_command_check_range ("--scale", o->scale, 1, 4, error));       /* what is too much depends on the model */
  return FALSE;
}

/* @argv afterwards: the file, then what may be the prompt */
static gboolean
parse (Options *o, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] =
  {
    { "scale",       0, 0, G_OPTION_ARG_DOUBLE, &o->scale, N_("Output pixels per input pixel, 1 to 4; the model's own, 4"), N_("X") },
    { "width",       0, 0, G_OPTION_ARG_INT, &o->width, N_("Width in pixels, instead of --scale"), N_("N") },
    { "height",      0, 0, G_OPTION_ARG_INT, &o->height, N_("Height in pixels, instead of --scale"), N_("N") },
    { "noise-level", 0, 0, G_OPTION_ARG_INT, &o->noise_level, N_("0 trusts the picture, 350 repaints it; 20"), N_("N") },
    { "faithful",    0, 0, G_OPTION_ARG_FILENAME, &o->faithful, N_("What of the picture is kept: pixels, tones or none"), N_("NAME") },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr(GOptionContext) context = g_option_context_new (_("IMAGE.png [TEXT]"));

  fb_job_options_add (&o->job, context);
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  g_option_context_set_summary (context, _("Makes a picture larger, with detail that fits, without GIMP. What is not given, the model decides."));
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (*argc < 2)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("A file is needed: the picture to make larger."));
      return FALSE;
    }
  return fb_job_options_finish (&o->job, *argv + 2, error) && check_size (o, error) &&
         fb_command_check_range ("--noise-level", o->noise_level, 0, 350, error);
}

static GVariant *
make_request (const Options *o, GError **error)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (NULL);

  if (!fb_job_options_to_dict (&o->job, &dict, error) || !fb_job_insert_string (&dict, "faithful", o->faithful, error))
    return NULL;
  if (o->scale != FB_NOT_GIVEN)
    g_variant_dict_insert (&dict, "scale", "d", o->scale);
  if (o->width != FB_NOT_GIVEN)
    {
      g_variant_dict_insert (&dict, "target-width", "i", o->width);
      g_variant_dict_insert (&dict, "target-height", "i", o->height);
    }
  if (o->noise_level != FB_NOT_GIVEN)
    g_variant_dict_insert (&dict, "noise-level", "i", o->noise_level);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static int
fail (GError *error, int status)
{
  fprintf (stderr, "flashbrush-engine upscale: %s\n", error->message);
  g_error_free (error);
  return status;
}

int
fb_command_upscale (int argc, char **argv)
{
  g_auto(Options)       options  = { .job = FB_JOB_OPTIONS_INIT, .scale = FB_NOT_GIVEN, .width = FB_NOT_GIVEN, .height = FB_NOT_GIVEN,
                                      .noise_level = FB_NOT_GIVEN };
  g_autoptr(GHashTable) pictures = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) fb_image_unref);
  g_autoptr(GVariant)   request  = NULL;
  FbImage              *image    = NULL;
  GError               *error    = NULL;

  if (!parse (&options, &argc, &argv, &error) || (request = make_request (&options, &error)) == NULL)
    return fail (error, 2);
  image = fb_image_load_png (argv[1], &error);
  if (image == NULL)
    return fail (error, 1);
  g_hash_table_insert (pictures, "image", image);
  return fb_command_job (&options.job, "upscale", request, pictures, NULL, NULL, &error) ? 0 : fail (error, 1);
}
