/* ui/job.c: from a procedure's arguments to an engine's job and its results. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/job.h"

#include <glib/gi18n-lib.h>

#include "ui/model-file.h"
#include "ui/procedure.h"

static GVariant *
with_size (GVariant *request, int width, int height)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (request);

  g_variant_dict_insert (&dict, "width", "i", width);
  g_variant_dict_insert (&dict, "height", "i", height);

  return g_variant_dict_end (&dict);
}

FbJob *
fb_job_prepare (FbEngineClient *client, const char *kind, GVariant *request, FbTarget *target,
                int model_width, int model_height, GError **error)
{
  g_autoptr(FbJob)   job      = NULL;
  g_autoptr(FbImage) input    = NULL;
  double             strength = 1.0;
  int                width    = 0;
  int                height   = 0;

  g_variant_lookup (request, "strength", "d", &strength);
  g_variant_lookup (request, "width", "i", &width);
  g_variant_lookup (request, "height", "i", &height);

  if (strength < 1.0 && !fb_target_use_input (target, error))
    return NULL;
  fb_target_choose_size (target, model_width, model_height, &width, &height);
  if (strength < 1.0 && (input = fb_target_read (target, width, height, error)) == NULL)
    return NULL;

  job = fb_job_new (client, kind, with_size (request, width, height));
  if (input != NULL)
    fb_job_add_picture (job, "init", input);

  return g_steal_pointer (&job);
}

GPtrArray *
fb_job_get_results (FbJob *job)
{
  GPtrArray *results = g_ptr_array_new_with_free_func ((GDestroyNotify) fb_result_unref);

  for (int i = 0; i < fb_job_get_n_pictures (job); i++)
    {
      g_autoptr(GVariant) parameters = fb_job_get_metadata (job, i);
      g_ptr_array_add (results, fb_result_new (fb_job_get_picture (job, i), fb_job_get_seed (job, i), parameters));
    }

  return results;
}

char *
fb_job_lora_text (GVariant *parameters, gboolean *all_matched)
{
  g_autoptr(GVariant) reports = g_variant_lookup_value (parameters, "lora-reports", G_VARIANT_TYPE ("a(siias)"));
  g_autoptr(GString)  text    = g_string_new (NULL);
  GVariantIter        iter;
  const char         *path;
  int                 n_matched, n_unmatched;

  *all_matched = TRUE;
  if (reports == NULL || g_variant_n_children (reports) == 0)
    return NULL;

  g_variant_iter_init (&iter, reports);
  while (g_variant_iter_next (&iter, "(&sii@as)", &path, &n_matched, &n_unmatched, NULL))
    {
      g_autofree char *label = fb_model_file_label (path);

      if (text->len > 0)
        g_string_append_c (text, ' ');
      if (n_unmatched > 0)
        *all_matched = FALSE;
      /* Translators: a LoRA file's name, how many of its layers the model has, and how many there are */
      g_string_append_printf (text, _("LoRA “%s”: %d of %d layers fit the model."), label, n_matched, n_matched + n_unmatched);
    }

  return g_string_free (g_steal_pointer (&text), FALSE);
}

GStrv
fb_results_get_seeds (GPtrArray *results)
{
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new ();

  for (guint i = 0; i < results->len; i++)
    {
      FbResult *result = g_ptr_array_index (results, i);
      g_strv_builder_take (builder, g_strdup_printf ("%" G_GINT64_FORMAT, result->seed));
    }

  return g_strv_builder_end (builder);
}

char *
fb_job_progress_text (const FbJobProgress *progress, int n_pictures)
{
  const char      *label = fb_job_stage_label (progress->stage);
  g_autofree char *text  = NULL;

  if (g_str_equal (progress->stage, "step") && progress->n_steps > 0)
    text = g_strdup_printf (_("Step %d of %d"), MIN (progress->step + 1, progress->n_steps), progress->n_steps);
  else
    text = g_strdup (label);

  if (n_pictures > 1)
    /* Translators: picture 2 of 3: Step 1 of 4 */
    return g_strdup_printf (_("Picture %d of %d: %s"), progress->picture + 1, n_pictures, text);

  return g_steal_pointer (&text);
}

/* --- without a dialog --------------------------------------------------------------------------------------------------- */

static void
show_progress (const FbJobProgress *progress, gpointer user_data)
{
  const int       *n_pictures = user_data;
  g_autofree char *text       = fb_job_progress_text (progress, *n_pictures);

  gimp_progress_set_text_printf ("%s", text);
  gimp_progress_update (progress->fraction);
}

static void
keep_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

GVariant *
fb_engine_resolve (FbEngineClient *client, const char *kind, GVariant *request, GError **error)
{
  g_autoptr(GAsyncResult) result   = NULL;
  FbJobEstimate           estimate = { 0 };

  fb_engine_client_estimate_async (client, kind, request, NULL, keep_result, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);

  return fb_engine_client_estimate_finish (client, result, &estimate, error) ? g_steal_pointer (&estimate.resolved) : NULL;
}

FbEngineClient *
fb_job_check_for_gimp (const char *kind, GVariant *request, FbTarget *target, FbDestination destination, GVariant **resolved, GError **error)
{
  g_autoptr(FbEngineClient) client = fb_engine_client_new ();

  if (!fb_target_check (target, destination, error))
    return NULL;
  gimp_progress_init (_("Starting the engine"));
  *resolved = fb_engine_resolve (client, kind, request, error);
  if (*resolved == NULL)
    {
      fb_procedure_blame_caller (*error);
      return NULL;
    }

  return g_steal_pointer (&client);
}

FbJob *
fb_job_prepare_for_gimp (const char *kind, GVariant *request, FbTarget *target, FbDestination destination, GError **error)
{
  g_autoptr(GVariant)       resolved = NULL;
  g_autoptr(FbEngineClient) client   = fb_job_check_for_gimp (kind, request, target, destination, &resolved, error);
  int                       width    = 0;
  int                       height   = 0;

  if (client == NULL)
    return NULL;
  g_variant_lookup (resolved, "width", "i", &width);
  g_variant_lookup (resolved, "height", "i", &height);

  return fb_job_prepare (client, kind, request, target, width, height, error);
}

/* what a person would call the results: the prompt, or without one what was done */
static const char *
name_of (GVariant *request, const char *otherwise)
{
  const char *prompt = "";

  g_variant_lookup (request, "prompt", "&s", &prompt);

  return *prompt != '\0' ? prompt : otherwise;
}

GimpValueArray *
fb_job_run_for_gimp (GimpProcedure *procedure, FbJob *job, GVariant *request, FbTarget *target, const FbMask *mask,
                     FbDestination destination, const char *otherwise, gboolean show, GError *error)
{
  g_autoptr(FbJob)      owned      = job;
  g_autoptr(GPtrArray)  results    = NULL;
  GPtrArray            *layers     = NULL;
  GimpImage            *image      = NULL;
  int                   n_pictures = 1;

  if (job != NULL)
    g_variant_lookup (request, "count", "i", &n_pictures);
  if (job == NULL || !fb_job_run (job, show_progress, &n_pictures, NULL, &error))
    return fb_procedure_return (procedure, NULL, NULL, NULL, error);

  results = fb_job_get_results (job);
  for (guint i = 0; mask != NULL && i < results->len; i++)
    fb_result_set_mask (g_ptr_array_index (results, i), mask);
  image = fb_target_insert (target, destination, results, name_of (request, otherwise), show, &layers, &error);
  gimp_progress_end ();

  return fb_procedure_return (procedure, image, layers, image != NULL ? fb_results_get_seeds (results) : NULL, error);
}
