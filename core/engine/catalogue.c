/* core/engine/catalogue.c: what is installed, in the protocol's words. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/catalogue.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "core/engine/bench.h"
#include "core/models/family.h"
#include "core/store/about.h"
#include "core/store/hash.h"

static const char * const kind_names[FB_STORE_N_KINDS] =
{
  [FB_STORE_MODELS] = "checkpoint", [FB_STORE_LORAS] = "lora", [FB_STORE_VAE] = "vae", [FB_STORE_TAESD] = "taesd",
};

const char *
fb_catalogue_kind_name (FbStoreKind kind)
{
  return kind_names[kind];
}

gboolean
fb_catalogue_find_kind (const char *name, FbStoreKind *kind, GError **error)
{
  *kind = FB_STORE_N_KINDS;
  for (int i = 0; i < FB_STORE_N_KINDS; i++)
    if (strcmp (name, kind_names[i]) == 0)
      *kind = i;
  if (*kind != FB_STORE_N_KINDS || *name == '\0')
    return TRUE;
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("“%s” is not a value of “kind”; it takes: %s."), name,
               "checkpoint, lora, vae, taesd");
  return FALSE;
}

static void
add_text (GVariantDict *dict, const char *key, const char *text)
{
  if (text != NULL)
    g_variant_dict_insert (dict, key, "s", text);
}

/* (transfer none) (nullable) */
static const char *
label_of (const char *family)
{
  int             n    = 0;
  const FbFamily *list = fb_family_list (&n);

  for (int i = 0; family != NULL && i < n; i++)
    if (strcmp (list[i].name, family) == 0)
      return list[i].label;
  return NULL;
}

static void
add_about (GVariantDict *dict, const FbAbout *about)
{
  add_text (dict, "title",        about->title);
  add_text (dict, "family",       about->family);
  add_text (dict, "family-label", label_of (about->family));
  add_text (dict, "base",         about->base);
  add_text (dict, "precision",    about->precision);
  add_text (dict, "licence",      about->licence);
  add_text (dict, "trigger",      about->trigger);
  if (about->problem != NULL)
    add_text (dict, "problem", about->problem->message);
  if (about->sampler != NULL)
    {
      g_variant_dict_insert (dict, "sampler",        "s", about->sampler);
      g_variant_dict_insert (dict, "n-steps",        "i", about->n_steps);
      g_variant_dict_insert (dict, "guidance-scale", "d", about->guidance_scale);
      g_variant_dict_insert (dict, "few-steps",      "b", about->few_steps);
    }
}

/* the tasks that take @entry when no model is named */
static GVariant *
tasks_of (FbStore *store, const FbStoreEntry *entry)
{
  GVariantBuilder tasks;

  g_variant_builder_init (&tasks, G_VARIANT_TYPE_STRING_ARRAY);
  for (const char * const *task = fb_store_tasks (); *task != NULL; task++)
    {
      g_autofree char *path = fb_store_resolve_for (store, *task, "", NULL);

      if (g_strcmp0 (path, entry->path) == 0)
        g_variant_builder_add (&tasks, "s", *task);
    }
  return g_variant_builder_end (&tasks);
}

static GVariant *
describe (FbStore *store, const FbStoreEntry *entry, FbHashes *hashes, FbResidents *residents)
{
  g_auto(GStrv)    files = fb_about_files (entry->kind, entry->path);
  g_autofree char *hash  = fb_hashes_lookup (hashes, (const char * const *) files);
  GVariantDict     dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "name",     "s", entry->name);
  g_variant_dict_insert (&dict, "path",     "s", entry->path);
  g_variant_dict_insert (&dict, "kind",     "s", fb_catalogue_kind_name (entry->kind));
  g_variant_dict_insert (&dict, "bytes",    "t", entry->n_bytes);
  g_variant_dict_insert (&dict, "embedded", "b", entry->is_embedded);
  g_variant_dict_insert (&dict, "own",      "b", entry->is_own && entry->target == NULL);
  add_text (&dict, "target", entry->target);
  add_text (&dict, "hash", hash);
  add_about (&dict, fb_store_about (store, entry->kind, entry->path));
  if (entry->kind == FB_STORE_MODELS)
    {
      g_variant_dict_insert (&dict, "loaded", "b", fb_residents_has (residents, entry->path));
      g_variant_dict_insert_value (&dict, "default-for", tasks_of (store, entry));
    }
  if (entry->is_missing)
    {
      g_autofree char *problem = g_strdup_printf (_("“%s” has been moved or deleted. Bring it in again from its new place, or remove it here."),
                                                  entry->target);
      g_variant_dict_insert (&dict, "problem", "s", problem);
    }
  return g_variant_dict_end (&dict);
}

GVariant *
fb_catalogue_list (FbWorkshop *workshop, GCancellable *cancellable, GError **error)
{
  FbDesk               *desk   = fb_desk_get (workshop, error);
  g_autoptr(FbHashes)   hashes = fb_hashes_load ();
  GVariantBuilder       builder;

  if (desk == NULL)
    return NULL;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (int kind = 0; kind < FB_STORE_N_KINDS; kind++)
    {
      g_autoptr(GPtrArray) entries = fb_store_list (desk->store, kind);

      for (guint i = 0; i < entries->len; i++)
        g_variant_builder_add_value (&builder, describe (desk->store, entries->pdata[i], hashes, workshop->residents));
    }
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
