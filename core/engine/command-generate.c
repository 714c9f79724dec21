/* core/engine/command-generate.c: flashbrush-engine generate. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/command.h"

#include <glib/gi18n-lib.h>
#include <stdio.h>

#include "core/engine/command-job.h"
#include "core/image/png.h"

typedef struct
{
  FbJobOptions job;
  char        *init, *background;
  int          width, height;
  double       strength;
} Options;

static void
options_clear (Options *o)
{
  fb_job_options_clear (&o->job);
  g_free (o->init);
  g_free (o->background);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
check_size_and_start (const Options *o, GError **error)
{
  if (o->width == 0 || o->height == 0)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” is 0; leave it out for the model's own size."),
                 o->width == 0 ? "--width" : "--height");
  else if (o->strength != 1.0 && o->init == NULL)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("--strength needs a picture to start from; add --init FILE."));
  else
    return TRUE;
  return FALSE;
}

static gboolean
parse (Options *o, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] =
  {
    { "width",     0, 0, G_OPTION_ARG_INT, &o->width, N_("Width in pixels, a multiple of 8"), N_("N") },
    { "height",    0, 0, G_OPTION_ARG_INT, &o->height, N_("Height in pixels, a multiple of 8"), N_("N") },
    { "init",      0, 0, G_OPTION_ARG_FILENAME, &o->init, N_("PNG file to start from"), N_("FILE") },
    { "strength",  0, 0, G_OPTION_ARG_DOUBLE, &o->strength, N_("With --init: 0 keeps that picture, 1 ignores it"), N_("X") },
    { "background", 0, 0, G_OPTION_ARG_FILENAME, &o->background, N_("keep, or transparent: cut out where it is plain"), N_("NAME") },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr(GOptionContext) context = g_option_context_new (_("[TEXT]"));

  fb_job_options_add (&o->job, context);
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  g_option_context_set_summary (context, _("Makes pictures from a prompt, without GIMP. What is not given, the model decides."));

  return g_option_context_parse (context, &argc, &argv, error) && fb_job_options_finish (&o->job, argv + 1, error) && check_size_and_start (o, error);
}

static void
insert_size (GVariantDict *dict, const char *key, int value)
{
  if (value != FB_NOT_GIVEN)
    g_variant_dict_insert (dict, key, "i", value);
}

/* the request: only what was given */
static GVariant *
make_request (const Options *o, GError **error)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (NULL);

  if (!fb_job_options_to_dict (&o->job, &dict, error))
    return NULL;
  insert_size (&dict, "width", o->width);
  insert_size (&dict, "height", o->height);
  g_variant_dict_insert (&dict, "strength", "d", o->strength);
  if (!fb_job_insert_string (&dict, "background", o->background, error))
    return NULL;
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* after @error's cause, 2 as for all commands that were called wrongly, 1 for what went wrong later */
static int
fail (GError *error, int status)
{
  fprintf (stderr, "flashbrush-engine generate: %s\n", error->message);
  g_error_free (error);
  return status;
}

int
fb_command_generate (int argc, char **argv)
{
  g_auto(Options)       options  = { .job = FB_JOB_OPTIONS_INIT, .width = FB_NOT_GIVEN, .height = FB_NOT_GIVEN, .strength = 1.0 };
  g_autoptr(GHashTable) pictures = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) fb_image_unref);
  g_autoptr(GVariant)   request  = NULL;
  FbImage              *init     = NULL;
  GError               *error    = NULL;

  if (!parse (&options, argc, argv, &error) || (request = make_request (&options, &error)) == NULL)
    return fail (error, 2);
  if (options.init != NULL)
    {
      init = fb_image_load_png (options.init, &error);
      if (init == NULL)
        return fail (error, 1);
      g_hash_table_insert (pictures, "init", init);
    }
  return fb_command_job (&options.job, "generate", request, pictures, NULL, NULL, &error) ? 0 : fail (error, 1);
}
