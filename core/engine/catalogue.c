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

const char *
fb_catalogue_family_label (const char *family)
{
  const FbFamily *known = fb_family_lookup (family);

  return known != NULL ? known->label : NULL;
}

static void
add_about (GVariantDict *dict, const FbAbout *about)
{
  add_text (dict, "title",        about->title);
  add_text (dict, "family",       about->family);
  add_text (dict, "family-label", fb_catalogue_family_label (about->family));
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

/* what all entries are told with: found out once per list */
typedef struct
{
  FbStore      *store;
  FbResidents  *residents;
  FbHashes     *hashes;
  char        **defaults;           /* paths of the tasks' default models, in the order of fb_store_tasks() */
} List;

static char **
default_paths (FbStore *store)
{
  const char * const *tasks = fb_store_tasks ();
  gsize               n     = g_strv_length ((char **) tasks);
  char              **paths = g_new0 (char *, n + 1);

  for (gsize i = 0; i < n; i++)
    {
      paths[i] = fb_store_resolve_for (store, tasks[i], "", NULL);
      if (paths[i] == NULL)                                /* there is no model at all */
        paths[i] = g_strdup ("");
    }
  return paths;
}

static void
add_tasks (GVariantDict *dict, const List *list, const FbStoreEntry *entry, const FbAbout *about)
{
  const char * const *tasks = fb_store_tasks ();
  GVariantBuilder     suit, taken;

  g_variant_builder_init (&suit, G_VARIANT_TYPE_STRING_ARRAY);
  g_variant_builder_init (&taken, G_VARIANT_TYPE_STRING_ARRAY);
  for (gsize i = 0; tasks[i] != NULL; i++)
    if (fb_store_task_suits (tasks[i], about->family))
      {
        g_variant_builder_add (&suit, "s", tasks[i]);
        if (strcmp (list->defaults[i], entry->path) == 0)
          g_variant_builder_add (&taken, "s", tasks[i]);
      }
  g_variant_dict_insert_value (dict, "tasks", g_variant_builder_end (&suit));
  g_variant_dict_insert_value (dict, "default-for", g_variant_builder_end (&taken));
}

static GVariant *
describe (const List *list, const FbStoreEntry *entry)
{
  const FbAbout   *about = fb_store_about (list->store, entry->kind, entry->path);
  g_autofree char *hash  = fb_hashes_lookup (list->hashes, (const char * const *) about->files);
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
  add_about (&dict, about);
  if (entry->kind == FB_STORE_MODELS)
    {
      g_variant_dict_insert (&dict, "loaded", "b", fb_residents_has (list->residents, entry->path));
      add_tasks (&dict, list, entry, about);
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
  FbDesk               *desk     = fb_desk_get (workshop, error);
  g_autoptr(FbHashes)   hashes   = fb_hashes_load ();
  g_auto(GStrv)         defaults = desk != NULL ? default_paths (desk->store) : NULL;
  GVariantBuilder       builder;

  if (desk == NULL)
    return NULL;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (int kind = 0; kind < FB_STORE_N_KINDS; kind++)
    {
      const List           list    = { desk->store, workshop->residents, hashes, defaults };
      g_autoptr(GPtrArray) entries = fb_store_list (desk->store, kind);

      for (guint i = 0; i < entries->len; i++)
        g_variant_builder_add_value (&builder, describe (&list, entries->pdata[i]));
    }
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
