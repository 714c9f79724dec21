/* core/engine/kind-store.c: the jobs "import", "remove", "set-default" and "verify". SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * All but "remove" are done beside the jobs that compute, so each has a store of its own.
 */
#include <glib/gi18n-lib.h>

#include "core/engine/catalogue.h"
#include "core/engine/error.h"
#include "core/engine/model-use.h"
#include "core/engine/trade.h"
#include "core/store/about.h"
#include "core/store/hash.h"
#include "core/store/store-scan.h"

static void
tell (FbTask *task, double fraction)
{
  const FbJobProgress progress = { .stage = "check", .fraction = fraction, .seconds_left = -1.0 };

  fb_task_progress (task, &progress);
}

/* Sets @text (transfer none) to the string under @key, which must be there. */
static gboolean
need_string (GVariant *request, const char *key, const char **text, GError **error)
{
  *text = "";
  if (!fb_request_string (request, key, text, error))
    return FALSE;
  if (**text != '\0')
    return TRUE;
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, _("The request lacks “%s”."), key);
  return FALSE;
}

/* @kind (out): FB_STORE_N_KINDS when the request leaves it open */
static gboolean
get_kind (GVariant *request, FbStoreKind *kind, GError **error)
{
  const char *name = "";

  return fb_request_string (request, "kind", &name, error) && fb_catalogue_find_kind (name, kind, error);
}

/* (transfer full): the entry called @name, of one kind or of the first that has one */
static FbStoreEntry *
find_entry (FbStore *store, FbStoreKind kind, const char *name, GError **error)
{
  for (int i = 0; kind == FB_STORE_N_KINDS && i < FB_STORE_N_KINDS; i++)
    {
      FbStoreEntry *entry = fb_store_find (store, i, name, NULL);

      if (entry != NULL)
        return entry;
    }
  return fb_store_find (store, kind == FB_STORE_N_KINDS ? FB_STORE_MODELS : kind, name, error);
}

/* --- import ----------------------------------------------------------------------------------------------------------- */

/* Refuses what could not be used afterwards, for the reason that using it would give. */
static gboolean
validate (FbStoreKind kind, const char *path, GError **error)
{
  g_autoptr(FbAbout) about = fb_about_read (kind, path);
  g_autoptr(FbModel) model = NULL;

  if (about->problem != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&about->problem));
      return FALSE;
    }
  if (kind != FB_STORE_MODELS)
    return TRUE;
  model = fb_model_open (path, NULL, NULL, NULL, FB_DTYPE_F32, error);
  return model != NULL;
}

static GVariant *
describe_import (FbStoreKind kind, const char *name, const char *path, int n_found)
{
  g_autoptr(FbAbout) about = n_found == 1 ? fb_about_read (kind, path) : NULL;
  GVariantDict       dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "kind",    "s", fb_catalogue_kind_name (kind));
  g_variant_dict_insert (&dict, "name",    "s", name);
  g_variant_dict_insert (&dict, "path",    "s", path);
  g_variant_dict_insert (&dict, "n-found", "i", n_found);
  if (about != NULL && about->family != NULL)
    g_variant_dict_insert (&dict, "family", "s", about->family);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static GVariant *
import_one (FbTask *task, FbStore *store, FbStoreKind kind, const char *path, gboolean copy, GError **error)
{
  g_autoptr(FbStoreEntry) entry = NULL;

  if (kind == FB_STORE_N_KINDS && !fb_about_find_kind (path, &kind, error))
    return NULL;
  if (copy && kind == FB_STORE_MODELS)
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST,
                   _("“%s” is a whole model, and models are used where they lie. Bring it in without “copy”."), path);
      return NULL;
    }
  if (validate (kind, path, error))
    entry = fb_store_add (store, kind, path, copy, fb_task_cancellable (task), error);
  return entry != NULL ? describe_import (kind, entry->name, entry->path, 1) : NULL;
}

/* The kind that most of the files are; FB_STORE_N_KINDS when none of them is anything */
static FbStoreKind
most_frequent_kind (FbTask *task, GPtrArray *files)
{
  int         n[FB_STORE_N_KINDS + 1] = { 0 };
  FbStoreKind best                    = FB_STORE_N_KINDS;

  for (guint i = 0; i < files->len && !g_cancellable_is_cancelled (fb_task_cancellable (task)); i++)
    {
      FbStoreKind kind;

      if (fb_about_find_kind (((FbStoreEntry *) files->pdata[i])->path, &kind, NULL))
        n[kind]++;
      tell (task, (i + 1.0) / files->len);
    }
  for (int kind = FB_STORE_N_KINDS - 1; kind >= 0; kind--)
    if (n[kind] > 0 && n[kind] >= n[best])
      best = kind;
  return best;
}

/* a folder with files of models, which is looked through again whenever models are listed */
static GVariant *
import_folder (FbTask *task, FbStore *store, FbStoreKind kind, const char *path, GError **error)
{
  static const char * const none[]   = { NULL };
  g_autoptr(GPtrArray)      files    = g_ptr_array_new_with_free_func ((GDestroyNotify) fb_store_entry_free);
  g_autofree char          *absolute = g_canonicalize_filename (path, NULL);
  g_autofree char          *name     = g_path_get_basename (absolute);

  fb_store_scan (files, kind == FB_STORE_N_KINDS ? FB_STORE_MODELS : kind, path, FB_STORE_ADDED, none);
  if (kind == FB_STORE_N_KINDS)
    kind = most_frequent_kind (task, files);
  if (g_cancellable_set_error_if_cancelled (fb_task_cancellable (task), error))
    return NULL;
  if (kind == FB_STORE_N_KINDS || files->len == 0)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND,
                   _("The folder “%s” holds nothing that can be used: no model as diffusers writes it, and no .safetensors file of one."), path);
      return NULL;
    }
  if (!fb_store_add_folder (store, kind, path, error))
    return NULL;
  return describe_import (kind, name, absolute, (int) files->len);
}

/* whether @path is a folder of several models rather than one model */
static gboolean
is_collection (FbStoreKind kind, const char *path)
{
  if (!g_file_test (path, G_FILE_TEST_IS_DIR))
    return FALSE;
  for (int i = 0; i < FB_STORE_N_KINDS; i++)
    if ((kind == FB_STORE_N_KINDS || kind == (FbStoreKind) i) && fb_store_is_entry_folder (i, path))
      return FALSE;
  return TRUE;
}

GVariant *
fb_kind_import_run (FbTask *task, GError **error)
{
  GVariant           *request = fb_task_request (task);
  g_autoptr(FbStore)  store   = fb_store_new ();
  const char         *path    = "";
  gboolean            copy    = FALSE;
  FbStoreKind         kind;

  if (!need_string (request, "path", &path, error) || !get_kind (request, &kind, error))
    return NULL;
  g_variant_lookup (request, "copy", "b", &copy);
  tell (task, 0.0);
  if (is_collection (kind, path))
    return import_folder (task, store, kind, path, error);
  return import_one (task, store, kind, path, copy, error);
}

/* --- remove ----------------------------------------------------------------------------------------------------------- */

GVariant *
fb_kind_remove_run (FbTask *task, GError **error)
{
  GVariant                *request = fb_task_request (task);
  g_autoptr(FbStore)       store   = fb_store_new ();
  g_autoptr(FbStoreEntry)  entry   = NULL;
  const char              *name    = "";
  FbStoreRemoval           removal = FB_STORE_FORGOTTEN;
  FbStoreKind              kind;

  if (!need_string (request, "model", &name, error) || !get_kind (request, &kind, error) ||
      (entry = find_entry (store, kind, name, error)) == NULL || !fb_store_remove (store, entry, &removal, error))
    return NULL;
  fb_residents_drop (fb_task_workshop (task)->residents, entry->path);
  return g_variant_ref_sink (g_variant_new_parsed ("{'name': <%s>, 'kind': <%s>, 'deleted': <%b>}", entry->name,
                                                   fb_catalogue_kind_name (entry->kind), removal == FB_STORE_DELETED));
}

/* --- set-default -------------------------------------------------------------------------------------------------------- */

GVariant *
fb_kind_set_default_run (FbTask *task, GError **error)
{
  GVariant           *request = fb_task_request (task);
  g_autoptr(FbStore)  store   = fb_store_new ();
  const char         *purpose = "", *name = "";

  if (!need_string (request, "task", &purpose, error) || !fb_request_string (request, "model", &name, error) ||
      !fb_store_set_default (store, purpose, name, error))
    return NULL;
  return g_variant_ref_sink (g_variant_new_parsed ("@a{sv} {}"));
}

/* --- verify ------------------------------------------------------------------------------------------------------------- */

#define HASH_OF_LORA 0.5         /* of the time: LoRAs are small, and models are many */

typedef struct
{
  FbTask *task;
  double  share;
} Hashing;

static void
on_hashed (double fraction, gpointer user_data)
{
  const Hashing *hashing = user_data;

  tell (hashing->task, hashing->share * fraction);
}

/* whether the model at @path has all the layers that the LoRA changes */
static gboolean
fits (const char *path, char *lora)
{
  const FbLoraUse     use   = { lora, 1.0 };
  g_autoptr(FbModel)  model = fb_model_open (path, NULL, NULL, NULL, FB_DTYPE_F32, NULL);
  int                 n     = 0;

  return model != NULL && fb_model_set_loras (model, &use, 1, NULL, NULL) && *fb_model_lora_reports (model, &n)[0].unmatched == NULL;
}

/* names of the models that a LoRA fits; after the hash, as much of the job */
static GVariant *
models_fitted (FbTask *task, FbStore *store, char *lora)
{
  g_autoptr(GPtrArray) models = fb_store_list (store, FB_STORE_MODELS);
  GVariantBuilder      names;

  g_variant_builder_init (&names, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < models->len && !g_cancellable_is_cancelled (fb_task_cancellable (task)); i++)
    {
      if (fits (((FbStoreEntry *) models->pdata[i])->path, lora))
        g_variant_builder_add (&names, "s", ((FbStoreEntry *) models->pdata[i])->name);
      tell (task, HASH_OF_LORA + (1.0 - HASH_OF_LORA) * (i + 1) / models->len);
    }
  return g_variant_builder_end (&names);
}

/* the path and kind of what is to be checked; it need not be in the store */
static char *
find_path (FbStore *store, const char *name, FbStoreKind *kind, GError **error)
{
  g_autoptr(FbStoreEntry) entry = *name != '\0' ? find_entry (store, *kind, name, NULL) : NULL;
  char                   *path;

  if (entry != NULL)
    {
      *kind = entry->kind;
      return g_steal_pointer (&entry->path);
    }
  if (*kind == FB_STORE_N_KINDS && (!g_file_test (name, G_FILE_TEST_EXISTS) || !fb_about_find_kind (name, kind, NULL)))
    *kind = FB_STORE_MODELS;
  path = *kind == FB_STORE_MODELS ? fb_store_resolve_for (store, "generate", name, error) : fb_store_resolve (store, *kind, name, error);
  return path;
}

/* Everything that opening checks (headers, names, shapes), and the fingerprint */
GVariant *
fb_kind_verify_run (FbTask *task, GError **error)
{
  GVariant           *request = fb_task_request (task);
  g_autoptr(FbStore)  store   = fb_store_new ();
  Hashing             hashing = { .task = task, .share = 1.0 };
  const char         *name    = "";
  g_autofree char    *path    = NULL;
  g_autofree char    *hash    = NULL;
  g_auto(GStrv)       files   = NULL;
  g_autoptr(GVariant) fitted  = NULL;
  FbStoreKind         kind;
  GVariantDict        dict;

  if (!fb_request_string (request, "model", &name, error) || !get_kind (request, &kind, error) ||
      (path = find_path (store, name, &kind, error)) == NULL)
    return NULL;
  tell (task, 0.0);
  if (!validate (kind, path, error))
    return NULL;
  if (kind == FB_STORE_LORAS)
    hashing.share = HASH_OF_LORA;
  files = fb_about_files (kind, path);
  hash  = fb_hash_files_with_progress ((const char * const *) files, on_hashed, &hashing, fb_task_cancellable (task), error);
  if (hash == NULL)
    return NULL;
  if (kind == FB_STORE_LORAS)
    fitted = g_variant_ref_sink (models_fitted (task, store, path));
  if (g_cancellable_set_error_if_cancelled (fb_task_cancellable (task), error))
    return NULL;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "hash", "s", hash);
  g_variant_dict_insert (&dict, "kind", "s", fb_catalogue_kind_name (kind));
  if (fitted != NULL)
    g_variant_dict_insert_value (&dict, "fits", fitted);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}
