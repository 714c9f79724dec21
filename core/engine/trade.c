/* core/engine/trade.c: what the real engine does, and what it tells of itself. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/trade.h"

#include "core/engine/bench.h"
#include "core/formats/json-file.h"
#include "core/samplers/sampler.h"
#include "core/tasks/generate.h"

static const FbJobKind kinds[] =
{
  { "generate", fb_kind_generate_estimate, fb_kind_generate_run },
  { "inpaint",  fb_kind_inpaint_estimate,  fb_kind_inpaint_run  },
  { "load",     NULL,                      fb_kind_load_run     },
  { "unload",   NULL,                      fb_kind_unload_run   },
  { "verify",   NULL,                      fb_kind_verify_run   },
  { NULL }
};

static GVariant *
list_samplers (void)
{
  int                  n    = 0;
  const FbSamplerInfo *list = fb_sampler_list (&n);
  GVariantBuilder      builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (int i = 0; i < n; i++)
    g_variant_builder_add_parsed (&builder, "{'name': <%s>, 'label': <%s>, 'steps': <%i>, 'guidance': <%d>, 'few-steps': <%b>}",
                                  list[i].name, list[i].label, list[i].n_steps, list[i].guidance_scale, list[i].few_steps);
  return g_variant_builder_end (&builder);
}

static void
capabilities (FbWorkshop *workshop, GVariantDict *dict)
{
  const char *stages[FB_N_STAGES];
  FbDesk     *desk = fb_desk_get (workshop, NULL);

  for (int stage = 0; stage < FB_N_STAGES; stage++)
    stages[stage] = fb_stage_name (stage);
  g_variant_dict_insert_value (dict, "stages", g_variant_new_strv (stages, FB_N_STAGES));
  g_variant_dict_insert_value (dict, "samplers", list_samplers ());
  if (desk != NULL)
    {
      g_variant_dict_insert (dict, "device",  "s", fb_device_name (desk->dev));
      g_variant_dict_insert (dict, "dtype",   "s", fb_dtype_name (fb_device_best_dtype (desk->dev)));
      g_variant_dict_insert (dict, "threads", "i", fb_device_n_threads (desk->dev));
    }
}

/* (transfer full) (nullable): what a checkpoint's folder calls it, for people */
static char *
read_title (const char *path)
{
  g_autofree char       *file   = g_build_filename (path, "flashbrush.json", NULL);
  g_autoptr(JsonObject)  object = fb_json_load_object (file, NULL);

  return object != NULL ? g_strdup (fb_json_get_string (object, "title", NULL)) : NULL;
}

static void
add_entry (GVariantBuilder *list, FbStore *store, const FbStoreEntry *entry, const char *kind, FbResidents *residents)
{
  g_autoptr(GError)  error  = NULL;
  g_autofree char   *title  = NULL;
  const char        *family = NULL;
  GVariantDict       dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "name",     "s", entry->name);
  g_variant_dict_insert (&dict, "path",     "s", entry->path);
  g_variant_dict_insert (&dict, "kind",     "s", kind);
  g_variant_dict_insert (&dict, "bytes",    "t", entry->n_bytes);
  g_variant_dict_insert (&dict, "embedded", "b", entry->is_embedded);
  if (entry->kind == FB_STORE_MODELS)
    {
      family = fb_store_family (store, entry->path, &error);
      title  = read_title (entry->path);
      g_variant_dict_insert (&dict, "loaded", "b", fb_residents_has (residents, entry->path));
    }
  if (family != NULL)
    g_variant_dict_insert (&dict, "family", "s", family);
  if (error != NULL)
    g_variant_dict_insert (&dict, "problem", "s", error->message);
  if (title != NULL)
    g_variant_dict_insert (&dict, "title", "s", title);
  g_variant_builder_add_value (list, g_variant_dict_end (&dict));
}

static GVariant *
list_models (FbWorkshop *workshop, GCancellable *cancellable, GError **error)
{
  static const char * const names[FB_STORE_N_KINDS] =
  {
    [FB_STORE_MODELS] = "checkpoint", [FB_STORE_LORAS] = "lora", [FB_STORE_VAE] = "vae", [FB_STORE_TAESD] = "taesd",
  };
  FbDesk          *desk = fb_desk_get (workshop, error);
  GVariantBuilder  builder;

  if (desk == NULL)
    return NULL;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (int kind = 0; kind < FB_STORE_N_KINDS; kind++)
    {
      g_autoptr(GPtrArray) entries = fb_store_list (desk->store, kind);

      for (guint i = 0; i < entries->len; i++)
        add_entry (&builder, desk->store, entries->pdata[i], names[kind], workshop->residents);
    }
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

const FbTrade fb_trade = { kinds, capabilities, list_models };
