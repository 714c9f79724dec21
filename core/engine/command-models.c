/* core/engine/command-models.c: flashbrush-engine models. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/command.h"

#include <glib/gi18n-lib.h>
#include <stdio.h>

#include "core/engine/trade.h"

static void
print_model (GVariant *model)
{
  const char      *name = "", *path = "", *kind = "", *family = "", *problem = NULL;
  guint64          bytes = 0;
  g_autofree char *size  = NULL;

  g_variant_lookup (model, "name", "&s", &name);
  g_variant_lookup (model, "path", "&s", &path);
  g_variant_lookup (model, "kind", "&s", &kind);
  g_variant_lookup (model, "family", "&s", &family);
  g_variant_lookup (model, "bytes", "t", &bytes);
  size = g_format_size (bytes);
  printf ("%s\t%s\t%s\t%s\t%s\n", name, kind, family, size, path);
  if (g_variant_lookup (model, "problem", "&s", &problem))
    printf ("\t%s\n", problem);
}

int
fb_command_models (int argc, char **argv)
{
  g_autoptr(GOptionContext) context  = g_option_context_new (NULL);
  FbWorkshop                workshop = { 0 };
  g_autoptr(GError)         error    = NULL;
  g_autoptr(GVariant)       models   = NULL;
  g_autofree char          *path     = fb_settings_path ();

  g_option_context_set_summary (context, _("Lists the models that are known: name, kind, family, size and path, separated by tabs."));
  if (g_option_context_parse (context, &argc, &argv, &error) && argc > 1)
    g_set_error (&error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("“%s” is one argument too many."), argv[1]);
  if (error != NULL)
    {
      fprintf (stderr, "flashbrush-engine models: %s\n", error->message);
      return 2;
    }

  workshop.settings = fb_settings_load (path, &error);
  if (workshop.settings != NULL)
    {
      workshop.residents = fb_residents_new (0);
      models             = fb_trade.list_models (&workshop, NULL, &error);
      fb_residents_free (workshop.residents);
      fb_settings_free (workshop.settings);
      if (workshop.desk != NULL)
        workshop.free_desk (workshop.desk);
    }
  if (models == NULL)
    {
      fprintf (stderr, "flashbrush-engine models: %s\n", error->message);
      return 1;
    }
  for (gsize i = 0; i < g_variant_n_children (models); i++)
    {
      g_autoptr(GVariant) model = g_variant_get_child_value (models, i);

      print_model (model);
    }
  return 0;
}
