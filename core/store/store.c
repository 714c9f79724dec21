/* core/store/store.c: lists and finds models by name. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "config.h"

#include "core/store/store-private.h"

#include <errno.h>
#include <string.h>

#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>

#include "core/store/about.h"
#include "core/store/nearest.h"
#include "core/store/store-scan.h"

#define FOLDERS  "Folders"     /* groups of folders.conf */
#define HIDDEN   "Hidden"
#define DEFAULTS "Defaults"

/* What has been found in a model's files, while their stamp stays the same. */
typedef struct
{
  char    *stamp;
  FbAbout *about;
} Known;

const char * const fb_store_folder_names[FB_STORE_N_KINDS] = { "models", "loras", "vae", "taesd" };

static void
known_free (gpointer data)
{
  Known *known = data;

  g_free (known->stamp);
  fb_about_free (known->about);
  g_free (known);
}

static GStrv
read_list (GKeyFile *keys, const char *group, const char *key)
{
  GStrv list = g_key_file_get_string_list (keys, group, key, NULL, NULL);

  return list != NULL ? list : g_new0 (char *, 1);
}

FbStore *
fb_store_new (void)
{
  FbStore            *self = g_new0 (FbStore, 1);
  g_autoptr(GKeyFile) keys = g_key_file_new ();

  self->conf  = g_build_filename (g_get_user_config_dir (), "flashbrush", "folders.conf", NULL);
  self->known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, known_free);

  self->defaults = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_key_file_load_from_file (keys, self->conf, G_KEY_FILE_KEEP_COMMENTS, NULL);      /* there need not be one */
  for (int kind = 0; kind < FB_STORE_N_KINDS; kind++)
    {
      self->folders[kind] = read_list (keys, FOLDERS, fb_store_folder_names[kind]);
      self->hidden[kind]  = read_list (keys, HIDDEN, fb_store_folder_names[kind]);
    }
  for (const char * const *task = fb_store_tasks (); *task != NULL; task++)
    {
      char *name = g_key_file_get_string (keys, DEFAULTS, *task, NULL);

      if (name != NULL)
        g_hash_table_insert (self->defaults, g_strdup (*task), name);
    }

  return self;
}

void
fb_store_free (FbStore *self)
{
  for (int kind = 0; kind < FB_STORE_N_KINDS; kind++)
    {
      g_strfreev (self->folders[kind]);
      g_strfreev (self->hidden[kind]);
    }
  g_hash_table_unref (self->defaults);
  g_hash_table_unref (self->known);
  g_free (self->conf);
  g_free (self);
}

char *
fb_store_own_folder (FbStoreKind kind)
{
  return g_build_filename (g_get_user_data_dir (), "flashbrush", fb_store_folder_names[kind], NULL);
}

GPtrArray *
fb_store_list (FbStore *self, FbStoreKind kind)
{
  static const char * const none[] = { NULL };
  GPtrArray       *entries   = g_ptr_array_new_with_free_func ((GDestroyNotify) fb_store_entry_free);
  const char      *elsewhere = kind == FB_STORE_MODELS ? g_getenv ("FLASHBRUSH_MODELS_PATH") : NULL;
  g_autofree char *installed = g_build_filename (FB_DATADIR, fb_store_folder_names[kind], NULL);
  g_auto(GStrv)    embedded  = g_strsplit (elsewhere != NULL ? elsewhere : installed, elsewhere != NULL ? ":" : "\n", -1);
  g_autofree char *own       = fb_store_own_folder (kind);

  for (guint i = 0; embedded[i] != NULL; i++)
    if (*embedded[i] != '\0')
      fb_store_scan (entries, kind, embedded[i], FB_STORE_EMBEDDED, none);
  fb_store_scan (entries, kind, own, FB_STORE_OWN, (const char * const *) self->hidden[kind]);
  for (guint i = 0; self->folders[kind][i] != NULL; i++)
    fb_store_scan (entries, kind, self->folders[kind][i], FB_STORE_ADDED, (const char * const *) self->hidden[kind]);

  return entries;
}

static gboolean
is_called (const FbStoreEntry *entry, const char *name)
{
  g_autofree char *with_suffix = g_strconcat (entry->name, ".safetensors", NULL);

  return g_ascii_strcasecmp (entry->name, name) == 0 || g_ascii_strcasecmp (with_suffix, name) == 0;
}

#define MAX_LISTED 5

/* (transfer full): what to do about an unknown name, a sentence with a leading blank */
static char *
advice (FbStoreKind kind, const char *name, GPtrArray *entries)
{
  g_autofree const char **names   = g_new0 (const char *, entries->len + 1);
  g_autofree char        *nearest = NULL;
  g_autofree char        *listed  = NULL;
  g_autofree char        *folder  = fb_store_own_folder (kind);

  for (guint i = 0; i < entries->len; i++)
    names[i] = ((FbStoreEntry *) entries->pdata[i])->name;
  nearest = fb_nearest_sentence (name, names, entries->len);
  if (*nearest != '\0')
    return g_steal_pointer (&nearest);
  if (entries->len == 0)
    return g_strdup_printf (_(" There are none in “%s”; put it there, or give the path of the file."), folder);

  if (entries->len > MAX_LISTED)
    names[MAX_LISTED] = NULL;
  /* Translators: between the names of a list whose first opening and last closing quotation mark stand elsewhere */
  listed = g_strjoinv (_("”, “"), (char **) names);
  return g_strdup_printf (entries->len > MAX_LISTED ? _(" Some that are known: “%s”.") : _(" Known are: “%s”."), listed);
}

static void
fail_unknown (FbStoreKind kind, const char *name, GPtrArray *entries, GError **error)
{
  g_autofree char *folder = fb_store_own_folder (kind);
  g_autofree char *hint   = advice (kind, name, entries);
  const char      *format[FB_STORE_N_KINDS] =
  {
    /* Translators: what follows may be “ Did you mean “a”?” */
    [FB_STORE_MODELS] = _("There is no model “%s”.%s"),
    [FB_STORE_LORAS]  = _("There is no LoRA “%s”.%s"),
    [FB_STORE_VAE]    = _("There is no VAE “%s”.%s"),
    [FB_STORE_TAESD]  = _("There is no TAESD “%s”.%s"),
  };

  if (kind == FB_STORE_MODELS && *name == '\0')
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, _("There is no model yet; put one into “%s”, or choose a file."), folder);
  else
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, format[kind], name, hint);
}

/* (transfer none) (nullable): names first, so that a stray folder called like a model changes nothing */
static FbStoreEntry *
find_entry (GPtrArray *entries, const char *name)
{
  g_autofree char *path = strchr (name, G_DIR_SEPARATOR) != NULL ? g_canonicalize_filename (name, NULL) : NULL;

  for (guint i = 0; i < entries->len; i++)
    if (is_called (entries->pdata[i], name))
      return entries->pdata[i];
  for (guint i = 0; path != NULL && i < entries->len; i++)
    {
      FbStoreEntry *entry = entries->pdata[i];

      if (strcmp (entry->path, path) == 0 || g_strcmp0 (entry->target, path) == 0)
        return entry;
    }
  return NULL;
}

char *
fb_store_resolve (FbStore *self, FbStoreKind kind, const char *name, GError **error)
{
  g_autoptr(GPtrArray) entries = fb_store_list (self, kind);
  FbStoreEntry        *entry   = *name != '\0' ? find_entry (entries, name) : NULL;

  for (guint i = 0; kind == FB_STORE_MODELS && *name == '\0' && entry == NULL && i < entries->len; i++)
    if (!((FbStoreEntry *) entries->pdata[i])->is_missing)
      entry = entries->pdata[i];
  if (entry != NULL)
    return g_strdup (entry->path);

  if (*name != '\0' && g_file_test (name, G_FILE_TEST_EXISTS))
    return g_canonicalize_filename (name, NULL);

  if (strchr (name, G_DIR_SEPARATOR) != NULL)
    fb_model_error_set_errno (error, ENOENT, name, FALSE);
  else
    fail_unknown (kind, name, entries, error);
  return NULL;
}

FbStoreEntry *
fb_store_find (FbStore *self, FbStoreKind kind, const char *name, GError **error)
{
  g_autoptr(GPtrArray) entries = fb_store_list (self, kind);
  FbStoreEntry        *entry   = find_entry (entries, name);

  if (entry == NULL)
    fail_unknown (kind, name, entries, error);
  else
    {
      g_ptr_array_set_free_func (entries, NULL);             /* all but the one go */
      for (guint i = 0; i < entries->len; i++)
        if (entries->pdata[i] != entry)
          fb_store_entry_free (entries->pdata[i]);
    }
  return entry;
}

const FbAbout *
fb_store_about (FbStore *self, FbStoreKind kind, const char *path)
{
  g_autofree char *stamp = fb_store_stamp (path);
  Known           *known = g_hash_table_lookup (self->known, path);

  if (known == NULL || strcmp (known->stamp, stamp) != 0)
    {
      known        = g_new0 (Known, 1);
      known->stamp = g_steal_pointer (&stamp);
      known->about = fb_about_read (kind, path);
      g_hash_table_insert (self->known, g_strdup (path), known);
    }
  return known->about;
}

const char *
fb_store_family (FbStore *self, const char *path, GError **error)
{
  const FbAbout *about = fb_store_about (self, FB_STORE_MODELS, path);

  if (about->problem != NULL)
    g_propagate_error (error, g_error_copy (about->problem));
  return about->problem == NULL ? about->family : NULL;
}

const char * const *
fb_store_folders (FbStore *self, FbStoreKind kind)
{
  return (const char * const *) self->folders[kind];
}

static void
set_list (GKeyFile *keys, const char *group, const char *key, GStrv list)
{
  g_key_file_set_string_list (keys, group, key, (const char * const *) list, g_strv_length (list));
}

gboolean
fb_store_save (FbStore *self, GError **error)
{
  g_autoptr(GKeyFile) keys   = g_key_file_new ();
  g_autofree char    *folder = g_path_get_dirname (self->conf);
  g_autoptr(GError)   bad    = NULL;

  g_key_file_load_from_file (keys, self->conf, G_KEY_FILE_KEEP_COMMENTS, NULL);      /* what others wrote into it stays */
  for (int kind = 0; kind < FB_STORE_N_KINDS; kind++)
    {
      set_list (keys, FOLDERS, fb_store_folder_names[kind], self->folders[kind]);
      if (*self->hidden[kind] != NULL || g_key_file_has_key (keys, HIDDEN, fb_store_folder_names[kind], NULL))
        set_list (keys, HIDDEN, fb_store_folder_names[kind], self->hidden[kind]);
    }
  for (const char * const *task = fb_store_tasks (); *task != NULL; task++)
    if (g_hash_table_contains (self->defaults, *task))
      g_key_file_set_string (keys, DEFAULTS, *task, g_hash_table_lookup (self->defaults, *task));
    else
      g_key_file_remove_key (keys, DEFAULTS, *task, NULL);

  if (g_mkdir_with_parents (folder, 0700) != 0)
    {
      fb_model_error_set_errno (error, errno, self->conf, TRUE);
      return FALSE;
    }
  if (!g_key_file_save_to_file (keys, self->conf, &bad))
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO, _("“%s” could not be written: %s."), self->conf, bad->message);
      return FALSE;
    }

  return TRUE;
}

gboolean
fb_store_change_list (FbStore *self, GStrv *list, const char *without, const char *with, GError **error)
{
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new ();
  GStrv                   before  = *list;

  for (guint i = 0; before[i] != NULL; i++)
    if (g_strcmp0 (before[i], without) != 0)
      g_strv_builder_add (builder, before[i]);
  if (with != NULL)
    g_strv_builder_add (builder, with);

  *list = g_strv_builder_end (builder);
  if (!fb_store_save (self, error))
    {
      g_strfreev (*list);
      *list = before;
      return FALSE;
    }

  g_strfreev (before);
  return TRUE;
}

gboolean
fb_store_add_folder (FbStore *self, FbStoreKind kind, const char *path, GError **error)
{
  g_autofree char *folder = g_canonicalize_filename (path, NULL);

  if (g_strv_contains (fb_store_folders (self, kind), folder))
    return TRUE;
  if (!g_file_test (folder, G_FILE_TEST_IS_DIR))
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, _("“%s” is not a folder. Choose one that exists."), folder);
      return FALSE;
    }

  return fb_store_change_list (self, &self->folders[kind], NULL, folder, error);
}

gboolean
fb_store_remove_folder (FbStore *self, FbStoreKind kind, const char *path, GError **error)
{
  g_autofree char *folder = g_canonicalize_filename (path, NULL);

  return !g_strv_contains (fb_store_folders (self, kind), folder) ||
         fb_store_change_list (self, &self->folders[kind], folder, NULL, error);
}
