/* core/engine/distill-wish.c: from what a person asks for to a distillation job's file. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/distill-wish.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "core/distill/dataset.h"
#include "core/distill/trainer.h"
#include "core/formats/model-error.h"
#include "core/models/model.h"
#include "core/store/store.h"

char *
fb_distill_wish_folder (void)
{
  return g_build_filename (g_get_user_data_dir (), "flashbrush", "distill", NULL);
}

char *
fb_distill_wish_teacher (const FbDistillJob *job, GError **error)
{
  g_autoptr(FbStore)  store  = fb_store_new ();
  g_autofree char    *beside = fb_distill_job_resolve (job, job->teacher);
  char               *path   = g_file_test (beside, G_FILE_TEST_EXISTS) ? g_steal_pointer (&beside)
                                                                        : fb_store_resolve (store, FB_STORE_MODELS, job->teacher, error);

  if (path == NULL)
    g_prefix_error (error, "“%s”: “teacher”: ", job->path);
  return path;
}

/* whether a file can be called so: no path, nothing hidden */
static gboolean
check_name (const char *name, GError **error)
{
  if (name != NULL && *name != '\0' && *name != '.' && strchr (name, G_DIR_SEPARATOR) == NULL && strlen (name) <= 100)
    return TRUE;
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST,
               _("“%s” cannot be a job's name: it becomes a file's, without “/”, not beginning with “.”, and of at most 100 letters."), name != NULL ? name : "");
  return FALSE;
}

FbDistillJob *
fb_distill_wish_plan (const FbDistillWish *wish, char **path, char **preset, GError **error)
{
  g_autoptr(FbStore)       store = fb_store_new ();
  const char              *named = wish->teacher != NULL ? wish->teacher : "";
  g_autofree char         *found = fb_store_resolve_for (store, "generate", named, error);
  g_autoptr(FbModel)       model = found != NULL ? fb_model_open (found, NULL, NULL, NULL, FB_DTYPE_F32, error) : NULL;
  g_autoptr(FbDistillJob)  job   = NULL;

  if (model == NULL)
    return NULL;
  *preset = g_strdup (wish->preset != NULL && *wish->preset != '\0' ? wish->preset
                                                                    : fb_distill_preset_for (fb_model_family (model), fb_model_info (model)->width));
  job = fb_distill_job_new_preset (*preset, error);
  if (job == NULL)
    return NULL;
  if (*named != '\0' && !g_file_test (named, G_FILE_TEST_EXISTS))
    job->teacher = g_strdup (named);
  else
    job->teacher = g_strdup (found);                         /* a path as it stands in a job's file is read from there */
  if (wish->steps > 0)
    fb_distill_job_set_steps (job, wish->steps);
  if (wish->size > 0)
    job->width = job->height = wish->size;
  *path = g_steal_pointer (&found);
  return g_steal_pointer (&job);
}

static gboolean
foresee (const FbDistillJob *job, const char *teacher, FbDistillNeeds *needs, GError **error)
{
  g_autoptr(FbDevice) dev = fb_device_new_chosen (1, error);          /* only asked what it computes in, and a card for its memory */

  return dev != NULL && fb_trainer_foresee (job, teacher, dev, needs, error);
}

/* @path: a folder of pictures, a table of them, or a text of prompts alone */
static void
set_source (FbDistillJob *job, const char *path)
{
  char **field = g_file_test (path, G_FILE_TEST_IS_DIR) || !g_file_test (path, G_FILE_TEST_EXISTS) ? &job->pictures
                 : g_str_has_suffix (path, ".tsv") ? &job->captions : &job->prompt_file;

  *field = g_canonicalize_filename (path, NULL);
}

/* how many pictures or prompts there are, and of how many pictures nothing says what they show */
static gboolean
count_source (FbDistillJob *job, const char *path, GVariantDict *dict, GError **error)
{
  g_autoptr(FbDataset) data = NULL;
  int                  bare = 0;

  set_source (job, path);
  data = fb_dataset_new (job, 64, 64, 64, error);
  if (data == NULL)
    return FALSE;
  for (guint i = 0; i < data->examples->len; i++)
    bare += *((FbExample *) data->examples->pdata[i])->captions[0] == '\0';
  g_variant_dict_insert (dict, job->prompt_file != NULL ? "n-prompts" : "n-pictures", "i", (int) data->examples->len);
  g_variant_dict_insert (dict, "n-without-caption", "i", bare);
  return TRUE;
}

gboolean
fb_distill_wish_foresee (const FbDistillWish *wish, FbJobEstimate *estimate, GError **error)
{
  g_autofree char         *path  = NULL, *preset = NULL;
  g_autoptr(FbDistillJob)  job   = fb_distill_wish_plan (wish, &path, &preset, error);
  FbDistillNeeds           needs = { 0 };
  g_auto(GVariantDict)     dict  = G_VARIANT_DICT_INIT (NULL);

  if (job == NULL)
    return FALSE;
  job->path = g_strdup (wish->name != NULL && *wish->name != '\0' ? wish->name : _("New job"));       /* for messages; there is no file yet */
  if (!foresee (job, path, &needs, error) ||
      (wish->pictures != NULL && *wish->pictures != '\0' && !count_source (job, wish->pictures, &dict, error)))
    return FALSE;
  g_variant_dict_insert (&dict, "teacher", "s", job->teacher);
  g_variant_dict_insert (&dict, "preset",  "s", preset);
  g_variant_dict_insert (&dict, "size",    "i", needs.width);
  g_variant_dict_insert (&dict, "steps",   "i", job->steps);
  *estimate = (FbJobEstimate) { .peak_bytes = needs.least_bytes, .available_bytes = needs.limit_bytes, .seconds = -1.0,
                                .resolved = g_variant_ref_sink (g_variant_dict_end (&dict)) };
  return TRUE;
}

/* where it will lie, and what it reads and writes */
static gboolean
place (FbDistillJob *job, const FbDistillWish *wish, GError **error)
{
  g_autofree char *folder = fb_distill_wish_folder ();
  g_autofree char *file   = g_strconcat (wish->name, ".json", NULL);

  job->path     = g_build_filename (folder, file, NULL);
  g_free (job->output);
  job->output   = g_strdup_printf ("%s/flashbrush/loras/%s.safetensors", g_get_user_data_dir (), wish->name);
  if (wish->pictures == NULL || *wish->pictures == '\0')
    {
      g_set_error_literal (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("Nothing is said to learn from. Name a folder of pictures, or a text file of prompts."));
      return FALSE;
    }
  if (!g_file_test (wish->pictures, G_FILE_TEST_EXISTS))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("The folder of pictures “%s” does not exist. Choose one that does."),
                   wish->pictures);
      return FALSE;
    }
  if (g_file_test (job->output, G_FILE_TEST_EXISTS))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST,
                   _("There is a LoRA “%s” already, which the job would overwrite. Choose another name, or move the file elsewhere."), job->output);
      return FALSE;
    }
  set_source (job, wish->pictures);
  if (g_mkdir_with_parents (folder, 0755) == 0)
    return TRUE;
  fb_model_error_set_errno (error, errno, folder, TRUE);
  return FALSE;
}

gboolean
fb_distill_wish_save (FbDistillJob *job, GError **error)
{
  g_autoptr(FbDataset) data = fb_dataset_new (job, 64, 64, 64, error);

  return data != NULL && fb_distill_job_save (job, error);
}

FbDistillJob *
fb_distill_wish_write (const FbDistillWish *wish, GError **error)
{
  g_autofree char         *path  = NULL, *preset = NULL;
  g_autoptr(FbDistillJob)  job   = check_name (wish->name, error) ? fb_distill_wish_plan (wish, &path, &preset, error) : NULL;
  FbDistillNeeds           needs;

  if (job == NULL || !place (job, wish, error) || !fb_distill_job_check (job, error) || !foresee (job, path, &needs, error) ||
      !fb_distill_wish_save (job, error))
    return NULL;
  return g_steal_pointer (&job);
}
