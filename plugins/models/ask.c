/* plugins/models/ask.c: questions and jobs for the engine that are waited for. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugins/models/ask.h"

#include <glib/gi18n-lib.h>

static void
keep_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static void
wait_for (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
}

GVariant *
fb_ask_models (FbEngineClient *client, GError **error)
{
  g_autoptr(GAsyncResult) result = NULL;

  fb_engine_client_list_models_async (client, NULL, keep_result, &result);
  wait_for (&result);

  return fb_engine_client_list_models_finish (client, result, error);
}

GVariant *
fb_ask_loaded (FbEngineClient *client, GError **error)
{
  g_autoptr(GAsyncResult) result = NULL;

  fb_engine_client_list_loaded_async (client, NULL, keep_result, &result);
  wait_for (&result);

  return fb_engine_client_list_loaded_finish (client, result, error);
}

GVariant *
fb_ask_capabilities (FbEngineClient *client, GError **error)
{
  g_autoptr(GAsyncResult) result = NULL;

  fb_engine_client_get_capabilities_async (client, NULL, keep_result, &result);
  wait_for (&result);

  return fb_engine_client_get_capabilities_finish (client, result, error);
}

static void
show_progress (const FbJobProgress *progress, gpointer user_data)
{
  gimp_progress_set_text_printf ("%s", fb_job_stage_label (progress->stage));
  gimp_progress_update (progress->fraction);
}

GVariant *
fb_ask_job (FbEngineClient *client, const char *kind, GVariant *request, GError **error)
{
  g_autoptr(FbJob) job = fb_job_new (client, kind, request);

  gimp_progress_init (_("Starting the engine"));
  if (!fb_job_run (job, show_progress, NULL, NULL, error))
    return NULL;
  gimp_progress_end ();

  return fb_job_get_result (job);
}

static gboolean
is_called (GVariant *model, const char *kind, const char *name)
{
  const char *its_kind = "", *its_name = "", *path = "", *target = "";

  g_variant_lookup (model, "kind", "&s", &its_kind);
  g_variant_lookup (model, "name", "&s", &its_name);
  g_variant_lookup (model, "path", "&s", &path);
  g_variant_lookup (model, "target", "&s", &target);

  return (*kind == '\0' || g_str_equal (kind, its_kind)) &&
         (g_ascii_strcasecmp (name, its_name) == 0 || g_str_equal (name, path) || g_str_equal (name, target));
}

GVariant *
fb_ask_find (GVariant *models, const char *kind, const char *name, GError **error)
{
  for (gsize i = 0; i < g_variant_n_children (models); i++)
    {
      GVariant *model = g_variant_get_child_value (models, i);

      if (is_called (model, kind, name))
        return model;
      g_variant_unref (model);
    }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _("There is no model, LoRA, VAE or TAESD “%s”. plug-in-flashbrush-models-list tells the names."), name);

  return NULL;
}
