/* core/engine/model-use.c: which model a request means. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/model-use.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#include "core/engine/error.h"
#include "core/samplers/sampler.h"
#include "core/store/about.h"

#define MAX_LORAS 64

static gboolean
refuse_type (GError **error, const char *key, GVariant *value, const char *wanted)
{
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("“%s” has the type “%s” where “%s” is expected."), key,
               g_variant_get_type_string (value), wanted);
  return FALSE;
}

gboolean
fb_request_string (GVariant *request, const char *key, const char **text, GError **error)
{
  g_autoptr(GVariant) value = NULL;

  g_variant_get_data (request);                            /* one block from here on: what came as a tree is freed when it is made one later */
  value = g_variant_lookup_value (request, key, NULL);
  if (value == NULL)
    return TRUE;
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return refuse_type (error, key, value, "s");
  *text = g_variant_get_string (value, NULL);              /* lives in @request */
  return TRUE;
}

/* Sets @path to what the name under @key stands for; absent or "" is none. */
static gboolean
find (GVariant *request, const char *key, FbStore *store, FbStoreKind kind, char **path, GError **error)
{
  const char *name = "";

  if (!fb_request_string (request, key, &name, error))
    return FALSE;
  if (*name == '\0')
    return TRUE;
  *path = fb_store_resolve (store, kind, name, error);
  return *path != NULL;
}

static gboolean
find_model (const char *task, GVariant *request, FbStore *store, char **path, GError **error)
{
  const char *name = "";

  if (!fb_request_string (request, "model", &name, error))
    return FALSE;
  *path = fb_store_resolve_for (store, task, name, error);
  return *path != NULL;
}

static gboolean
find_loras (FbModelUse *self, GVariant *request, FbStore *store, GError **error)
{
  g_autoptr(GVariant) list = g_variant_lookup_value (request, "loras", NULL);
  gsize               n;

  if (list == NULL)
    return TRUE;
  if (!g_variant_is_of_type (list, G_VARIANT_TYPE ("a(sd)")))
    return refuse_type (error, "loras", list, "a(sd)");
  n = g_variant_n_children (list);
  if (n > MAX_LORAS)
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("“loras” lists more than %d LoRAs."), MAX_LORAS);
      return FALSE;
    }

  self->loras = g_new0 (FbLoraUse, n + 1);
  for (gsize i = 0; i < n; i++)
    {
      const char *name;
      double      strength;

      g_variant_get_child (list, i, "(&sd)", &name, &strength);
      if (!isfinite (strength))
        {
          g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("The strength of LoRA “%s” is not a number."), name);
          return FALSE;
        }
      self->loras[i].path = fb_store_resolve (store, FB_STORE_LORAS, name, error);
      if (self->loras[i].path == NULL)
        return FALSE;
      self->loras[i].strength = strength;
      self->n_loras           = (int) i + 1;
    }
  self->n_asked = self->n_loras;
  return TRUE;
}

/* only remembered: the task checks them */
static gboolean
note_choices (FbModelUse *self, GVariant *request, GError **error)
{
  const char *name = "", *decoder = "", *preview = "";

  if (!fb_request_string (request, "sampler", &name, error) || !fb_request_string (request, "decoder", &decoder, error) ||
      !fb_request_string (request, "preview", &preview, error))
    return FALSE;
  self->sampler     = g_strdup (name);
  self->wants_taesd = strcmp (decoder, "taesd") == 0 || strcmp (preview, "taesd") == 0;
  return TRUE;
}

static gboolean
choose_dtype (FbModelUse *self, GVariant *request, FbDevice *dev, const FbSettings *settings, GError **error)
{
  const char *name = "auto";

  if (!fb_request_string (request, "dtype", &name, error))
    return FALSE;
  self->any_dtype = strcmp (name, "auto") == 0 || *name == '\0';
  if (self->any_dtype)
    name = settings->dtype;

  if (strcmp (name, "auto") == 0)
    self->dtype = fb_device_best_dtype (dev);
  else if (strcmp (name, "f32") == 0)
    self->dtype = FB_DTYPE_F32;
  else if (strcmp (name, "bf16") == 0)
    self->dtype = FB_DTYPE_BF16;
  else if (strcmp (name, "f16") == 0)
    self->dtype = FB_DTYPE_F16;
  else
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("“%s” is not a value of “dtype”; it takes: %s."), name, "auto, f32, bf16, f16");
      return FALSE;
    }
  if (!fb_device_supports (dev, self->dtype))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("The compute device “%s” does not compute in %s; use “auto” or “f32”."), fb_device_name (dev), name);
      return FALSE;
    }
  return TRUE;
}

FbModelUse *
fb_model_use_new (const char *task, GVariant *request, FbStore *store, FbDevice *dev, const FbSettings *settings, GError **error)
{
  g_autoptr(FbModelUse) self = g_new0 (FbModelUse, 1);

  if (find_model (task, request, store, &self->path, error) &&
      find (request, "vae", store, FB_STORE_VAE, &self->vae, error) &&
      find (request, "taesd", store, FB_STORE_TAESD, &self->taesd, error) &&
      find_loras (self, request, store, error) &&
      note_choices (self, request, error) &&
      choose_dtype (self, request, dev, settings, error))
    return g_steal_pointer (&self);
  return NULL;
}

void
fb_model_use_free (FbModelUse *self)
{
  for (int i = 0; self->loras != NULL && self->loras[i].path != NULL; i++)
    g_free (self->loras[i].path);
  g_free (self->loras);
  g_free (self->sampler);
  g_free (self->path);
  g_free (self->vae);
  g_free (self->taesd);
  g_free (self);
}

static gboolean
is_for_few_steps (const char *lora)
{
  g_autoptr(FbAbout) about = fb_about_read (FB_STORE_LORAS, lora);

  return about->few_steps;
}

/* Two LoRAs for few steps would do twice what is to be done once: that of the request goes before the model's own. */
void
fb_model_use_add_own_lora (FbModelUse *self, FbModel *model)
{
  const FbModelInfo   *info = fb_model_info (model);
  const FbSamplerInfo *sampler;

  if (info->few_step_lora == NULL)
    return;
  sampler = fb_sampler_find (*self->sampler != '\0' ? self->sampler : info->sampler, NULL);
  if (sampler == NULL || !sampler->few_steps)
    return;
  for (int i = 0; i < self->n_loras; i++)
    if (g_str_equal (self->loras[i].path, info->few_step_lora) || is_for_few_steps (self->loras[i].path))
      return;

  self->loras = g_renew (FbLoraUse, self->loras, self->n_loras + 2);
  self->loras[self->n_loras] = (FbLoraUse) { g_strdup (info->few_step_lora), 1.0 };
  self->n_loras++;
  self->loras[self->n_loras] = (FbLoraUse) { NULL, 0.0 };
}

void
fb_model_use_find_taesd (const FbModelUse *self, FbStore *store, FbModel *model)
{
  g_autoptr(GPtrArray) list = NULL;

  if (fb_model_has_taesd (model) || fb_model_look_for_taesd (model))
    return;
  list = fb_store_list (store, FB_STORE_TAESD);
  for (guint i = 0; i < list->len; i++)
    if (fb_model_offer_taesd (model, ((FbStoreEntry *) list->pdata[i])->path))
      return;
}
