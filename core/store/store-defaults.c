/* core/store/store-defaults.c: the model that is meant when none is named. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/store/store-private.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "core/store/about.h"
#include "core/store/nearest.h"

static const char * const tasks[] = { "generate", "inpaint", "upscale", NULL };

const char * const *
fb_store_tasks (void)
{
  return tasks;
}

const char *
fb_store_default (FbStore *self, const char *task)
{
  return g_hash_table_lookup (self->defaults, task);
}

gboolean
fb_store_task_suits (const char *task, const char *family)
{
  if (family == NULL)
    return TRUE;
  if (g_str_has_suffix (family, "-upscaler"))
    return strcmp (task, "upscale") == 0;
  if (g_str_has_suffix (family, "-inpainting"))
    return strcmp (task, "inpaint") == 0;
  return strcmp (task, "upscale") != 0;
}

static gboolean
check_family (FbStore *self, const char *task, const char *name, const char *path, GError **error)
{
  const FbAbout *about = fb_store_about (self, FB_STORE_MODELS, path);

  if (fb_store_task_suits (task, about->family))
    return TRUE;
  g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED, _("“%s” is a model of the family %s, which the task “%s” cannot use. Choose another."),
               name, about->family, task);
  return FALSE;
}

/* Puts @name in the place of a task's default; NULL for none */
static void
replace (FbStore *self, const char *task, const char *name)
{
  if (name != NULL && *name != '\0')
    g_hash_table_insert (self->defaults, g_strdup (task), g_strdup (name));
  else
    g_hash_table_remove (self->defaults, task);
}

gboolean
fb_store_set_default (FbStore *self, const char *task, const char *name, GError **error)
{
  g_autofree char *before = g_strdup (fb_store_default (self, task));
  g_autofree char *path   = NULL;

  if (!g_strv_contains (tasks, task))
    {
      g_autofree char *nearest = fb_nearest_sentence (task, tasks, G_N_ELEMENTS (tasks) - 1);
      g_autofree char *all     = g_strjoinv (", ", (char **) tasks);

      /* Translators: the second %s are all tasks, the third may be “ Did you mean “a”?” */
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, _("There is no task “%s” to choose a model for; there are %s.%s"), task, all, nearest);
      return FALSE;
    }
  if (*name != '\0' && ((path = fb_store_resolve (self, FB_STORE_MODELS, name, error)) == NULL || !check_family (self, task, name, path, error)))
    return FALSE;

  replace (self, task, name);
  if (fb_store_save (self, error))
    return TRUE;
  replace (self, task, before);
  return FALSE;
}

/* (transfer full) (nullable): the first whose family is known, and is one for @task */
static char *
first_suiting (FbStore *self, const char *task)
{
  g_autoptr(GPtrArray) list = fb_store_list (self, FB_STORE_MODELS);

  for (guint i = 0; i < list->len; i++)
    {
      const FbStoreEntry *entry  = list->pdata[i];
      const char         *family = fb_store_about (self, FB_STORE_MODELS, entry->path)->family;

      if (family != NULL && fb_store_task_suits (task, family))
        return g_strdup (entry->path);
    }

  return NULL;
}

char *
fb_store_resolve_for (FbStore *self, const char *task, const char *name, GError **error)
{
  const char *wanted = *name == '\0' ? fb_store_default (self, task) : NULL;
  char       *path   = wanted != NULL ? fb_store_resolve (self, FB_STORE_MODELS, wanted, NULL) : NULL;

  if (path == NULL && *name == '\0')
    path = first_suiting (self, task);
  if (path != NULL || *name != '\0' || strcmp (task, "upscale") != 0)
    return path != NULL ? path : fb_store_resolve (self, FB_STORE_MODELS, name, error);

  g_set_error_literal (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND,
                       _("There is no model for super-resolution yet. Fetch one like the Stable Diffusion x4 Upscaler, as a diffusers folder, and add it in "
                         "Models and Distillation."));
  return NULL;
}
