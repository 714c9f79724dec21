/* core/models/model-loras.c: merges LoRAs into a model's weights. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include <glib/gi18n-lib.h>
#include <math.h>
#include <sys/stat.h>

#include "core/formats/lora.h"
#include "core/models/model-private.h"

/**
 * FbModelLoras: a set in force
 * @signature: paths, strengths and the files' sizes and times: asking for the same set again costs nothing
 */
struct FbModelLoras
{
  int           n;
  FbLora      **loras;
  float        *strengths;
  FbLoraReport *reports;
  char         *signature;
};

static const struct { FbModelPart part; const char *component; } targets[] =
{
  { FB_MODEL_TEXT_ENCODER, "text_encoder" },
  { FB_MODEL_UNET,         "unet" },
};

void
fb_model_loras_free (FbModelLoras *set)
{
  if (set == NULL)
    return;

  for (int i = 0; i < set->n; i++)
    {
      g_clear_pointer (&set->loras[i], fb_lora_unref);
      g_free (set->reports[i].path);
      g_strfreev (set->reports[i].unmatched);
    }
  g_free (set->loras);
  g_free (set->strengths);
  g_free (set->reports);
  g_free (set->signature);
  g_free (set);
}

/* "conv_in.weight" -> "conv_in"; NULL for what no LoRA changes */
static char *
module_of (const char *name)
{
  return g_str_has_suffix (name, ".weight") ? g_strndup (name, strlen (name) - strlen (".weight")) : NULL;
}

static gboolean
match (FbModel *model, FbLora *lora, GError **error)
{
  for (gsize t = 0; t < G_N_ELEMENTS (targets); t++)
    {
      const FbLoader       loader  = fb_model_loader (model, targets[t].part);
      g_autoptr(GPtrArray) paths   = g_ptr_array_new_with_free_func (g_free);
      g_autoptr(GArray)    modules = g_array_new (FALSE, TRUE, sizeof (FbLoraModule));

      for (guint i = 0; i < fb_params_n (loader.params); i++)
        {
          const FbParam *param  = fb_params_get (loader.params, i);
          FbLoraModule   module = { .n_dims = param->n_dims };

          if (param->kind == FB_PARAM_VECTOR || param->kind == FB_PARAM_TABLE)
            continue;
          module.path = module_of (param->name);
          memcpy (module.shape, param->shape, sizeof module.shape);
          g_ptr_array_add (paths, (char *) module.path);
          g_array_append_val (modules, module);
        }
      if (!fb_lora_match (lora, targets[t].component, (const FbLoraModule *) (gpointer) modules->data, modules->len, error))
        return FALSE;
    }

  return fb_lora_check (lora, error);
}

static void
sign (GString *signature, FbLora *lora, double strength)
{
  const char * const *files = fb_lora_files (lora);

  g_string_append_printf (signature, "%s|%.9g", fb_lora_path (lora), strength);
  for (int i = 0; files[i] != NULL; i++)
    {
      struct stat st = { 0 };

      stat (files[i], &st);                            /* a file that has gone keeps zeros, and differs */
      g_string_append_printf (signature, "|%" G_GINT64_FORMAT ".%09ld|%" G_GINT64_FORMAT,
                              (gint64) st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (gint64) st.st_size);
    }
  g_string_append_c (signature, '\n');
}

/* (transfer full): opened and matched; no weight is touched yet */
static FbModelLoras *
open_set (FbModel *model, const FbLoraUse *uses, int n, GError **error)
{
  FbModelLoras       *set       = g_new0 (FbModelLoras, 1);
  g_autoptr(GString)  signature = g_string_new (NULL);

  set->n = n;
  set->loras = g_new0 (FbLora *, n);
  set->strengths = g_new0 (float, n);
  set->reports = g_new0 (FbLoraReport, n);
  for (int i = 0; i < n; i++)
    {
      if (!isfinite (uses[i].strength))
        g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED, _("The strength of the LoRA “%s” is not a number."), uses[i].path);
      else
        set->loras[i] = fb_lora_open (uses[i].path, error);
      if (set->loras[i] == NULL || !match (model, set->loras[i], error))
        {
          fb_model_loras_free (set);
          return NULL;
        }
      set->strengths[i] = uses[i].strength;
      set->reports[i].path = g_strdup (uses[i].path);
      set->reports[i].n_matched = fb_lora_n_matched (set->loras[i]);
      set->reports[i].unmatched = fb_lora_unmatched (set->loras[i]);
      sign (signature, set->loras[i], uses[i].strength);
    }
  set->signature = g_strdup (signature->str);

  return set;
}

static gboolean
set_touches (const FbModelLoras *set, const char *component, const char *name)
{
  g_autofree char *module = set != NULL ? module_of (name) : NULL;

  for (int i = 0; module != NULL && i < set->n; i++)
    if (set->strengths[i] != 0.0f && fb_lora_changes (set->loras[i], component, module))
      return TRUE;

  return FALSE;
}

static gboolean
touches (const char *name, gpointer data)
{
  const FbLoraTarget *target = data;

  return set_touches (target->model->loras, target->component, name);
}

static gboolean
change (const FbParam *param, float *values, gpointer data, GCancellable *cancellable, GError **error)
{
  const FbLoraTarget *target = data;
  const FbModelLoras *set    = target->model->loras;
  g_autofree char    *module = module_of (param->name);

  for (int i = 0; i < set->n; i++)
    if (set->strengths[i] != 0.0f &&
        !fb_lora_add_delta (set->loras[i], target->component, module, set->strengths[i], values, cancellable, error))
      return FALSE;

  return TRUE;
}

void
fb_model_add_loras_to_loader (FbModel *model, FbModelPart part, FbLoader *loader)
{
  for (gsize t = 0; t < G_N_ELEMENTS (targets); t++)
    if (targets[t].part == part)
      {
        model->lora_targets[t] = (FbLoraTarget) { model, targets[t].component };
        loader->touches = touches;
        loader->change = change;
        loader->change_data = &model->lora_targets[t];
      }
}

/* Empties every weight that one of the two sets changes. */
static void
empty_touched (FbModel *model, const FbModelLoras *a, const FbModelLoras *b)
{
  for (gsize t = 0; t < G_N_ELEMENTS (targets); t++)
    {
      const FbLoader loader = fb_model_loader (model, targets[t].part);

      for (guint i = 0; i < fb_params_n (loader.params); i++)
        {
          const FbParam *param = fb_params_get (loader.params, i);

          if (set_touches (a, targets[t].component, param->name) || set_touches (b, targets[t].component, param->name))
            fb_param_empty (param);
        }
    }
}

gboolean
fb_model_set_loras (FbModel *model, const FbLoraUse *uses, int n_loras, GCancellable *cancellable, GError **error)
{
  FbModelLoras *set = open_set (model, uses, n_loras, error);
  FbModelLoras *old = model->loras;
  gboolean      was_loaded[G_N_ELEMENTS (targets)];

  if (set == NULL)
    return FALSE;
  if (g_strcmp0 (set->signature, old != NULL ? old->signature : "") == 0)
    {
      fb_model_loras_free (set);
      return TRUE;
    }

  for (gsize t = 0; t < G_N_ELEMENTS (targets); t++)
    was_loaded[t] = fb_model_is_loaded (model, targets[t].part);
  empty_touched (model, old, set);
  model->loras = set;

  for (gsize t = 0; t < G_N_ELEMENTS (targets); t++)
    if (was_loaded[t] && !fb_model_load (model, targets[t].part, NULL, NULL, cancellable, error))
      {
        empty_touched (model, old, set);               /* the next use reads them again, with the earlier set */
        model->loras = old;
        fb_model_loras_free (set);
        return FALSE;
      }
  fb_model_loras_free (old);

  return TRUE;
}

const FbLoraReport *
fb_model_lora_reports (FbModel *model, int *n_reports)
{
  *n_reports = model->loras != NULL ? model->loras->n : 0;

  return model->loras != NULL ? model->loras->reports : NULL;
}
