/* core/store/store.c: lists and finds models by name. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "config.h"

#include "core/store/store.h"

#include <errno.h>
#include <string.h>

#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>

#include "core/models/family.h"
#include "core/store/nearest.h"
#include "core/store/store-scan.h"

#define GROUP "Folders"

/* What has been found in a model's header, while its stamp stays the same. */
typedef struct
{
  char       *stamp;
  const char *family;
  GError     *error;
} Known;

struct FbStore
{
  char       *conf;                         /* path of folders.conf */
  GStrv       folders[FB_STORE_N_KINDS];    /* added by the user */
  GHashTable *known;                        /* path -> Known */
};

/* of the folders, and of the keys in folders.conf */
static const char * const kind_names[FB_STORE_N_KINDS] = { "models", "loras", "vae", "taesd" };

static void
known_free (gpointer data)
{
  Known *known = data;

  g_free (known->stamp);
  g_clear_error (&known->error);
  g_free (known);
}

FbStore *
fb_store_new (void)
{
  FbStore            *self = g_new0 (FbStore, 1);
  g_autoptr(GKeyFile) keys = g_key_file_new ();

  self->conf  = g_build_filename (g_get_user_config_dir (), "flashbrush", "folders.conf", NULL);
  self->known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, known_free);

  g_key_file_load_from_file (keys, self->conf, G_KEY_FILE_KEEP_COMMENTS, NULL);      /* there need not be one */
  for (int kind = 0; kind < FB_STORE_N_KINDS; kind++)
    {
      self->folders[kind] = g_key_file_get_string_list (keys, GROUP, kind_names[kind], NULL, NULL);
      if (self->folders[kind] == NULL)
        self->folders[kind] = g_new0 (char *, 1);
    }

  return self;
}

void
fb_store_free (FbStore *self)
{
  for (int kind = 0; kind < FB_STORE_N_KINDS; kind++)
    g_strfreev (self->folders[kind]);
  g_hash_table_unref (self->known);
  g_free (self->conf);
  g_free (self);
}

/* (transfer full): where the user's own files of @kind belong */
static char *
own_folder (FbStoreKind kind)
{
  return g_build_filename (g_get_user_data_dir (), "flashbrush", kind_names[kind], NULL);
}

GPtrArray *
fb_store_list (FbStore *self, FbStoreKind kind)
{
  GPtrArray       *entries   = g_ptr_array_new_with_free_func (fb_store_entry_free);
  const char      *elsewhere = kind == FB_STORE_MODELS ? g_getenv ("FLASHBRUSH_MODELS_PATH") : NULL;
  g_autofree char *installed = g_build_filename (FB_DATADIR, kind_names[kind], NULL);
  g_auto(GStrv)    embedded  = g_strsplit (elsewhere != NULL ? elsewhere : installed, elsewhere != NULL ? ":" : "\n", -1);
  g_autofree char *own       = own_folder (kind);

  for (guint i = 0; embedded[i] != NULL; i++)
    if (*embedded[i] != '\0')
      fb_store_scan (entries, kind, embedded[i], TRUE);
  fb_store_scan (entries, kind, own, FALSE);
  for (guint i = 0; self->folders[kind][i] != NULL; i++)
    fb_store_scan (entries, kind, self->folders[kind][i], FALSE);

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
  g_autofree char        *folder  = own_folder (kind);

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
  g_autofree char *folder = own_folder (kind);
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

char *
fb_store_resolve (FbStore *self, FbStoreKind kind, const char *name, GError **error)
{
  g_autoptr(GPtrArray) entries = fb_store_list (self, kind);

  if (kind == FB_STORE_MODELS && *name == '\0' && entries->len > 0)
    return g_strdup (((FbStoreEntry *) entries->pdata[0])->path);

  for (guint i = 0; i < entries->len; i++)                   /* names first: a stray folder called like a model changes nothing */
    if (is_called (entries->pdata[i], name))
      return g_strdup (((FbStoreEntry *) entries->pdata[i])->path);

  if (*name != '\0' && g_file_test (name, G_FILE_TEST_EXISTS))
    return g_canonicalize_filename (name, NULL);

  if (strchr (name, G_DIR_SEPARATOR) != NULL)
    fb_model_error_set_errno (error, ENOENT, name, FALSE);
  else
    fail_unknown (kind, name, entries, error);
  return NULL;
}

char *
fb_store_stamp (const char *path)
{
  g_autofree char *unet = g_build_filename (path, "unet", NULL);
  GStatBuf         st   = { 0 }, inner = { 0 };

  g_stat (path, &st);
  g_stat (unet, &inner);
  return g_strdup_printf ("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT ".%ld %" G_GINT64_FORMAT ".%ld", (gint64) st.st_size,
                          (gint64) st.st_mtim.tv_sec, (long) st.st_mtim.tv_nsec, (gint64) inner.st_mtim.tv_sec, (long) inner.st_mtim.tv_nsec);
}

const char *
fb_store_family (FbStore *self, const char *path, GError **error)
{
  g_autofree char *stamp = fb_store_stamp (path);
  Known           *known = g_hash_table_lookup (self->known, path);

  if (known == NULL || strcmp (known->stamp, stamp) != 0)
    {
      GError                 *problem = NULL;
      g_autoptr(FbCheckpoint) unet    = fb_checkpoint_open (path, "unet", &problem);
      const FbFamily         *family  = unet != NULL ? fb_family_detect (unet, &problem) : NULL;

      known         = g_new0 (Known, 1);
      known->stamp  = g_steal_pointer (&stamp);
      known->family = family != NULL ? family->name : NULL;
      known->error  = problem;
      g_hash_table_insert (self->known, g_strdup (path), known);
    }

  if (known->error != NULL)
    g_propagate_error (error, g_error_copy (known->error));
  return known->family;
}

const char * const *
fb_store_folders (FbStore *self, FbStoreKind kind)
{
  return (const char * const *) self->folders[kind];
}

static gboolean
save (FbStore *self, GError **error)
{
  g_autoptr(GKeyFile) keys   = g_key_file_new ();
  g_autofree char    *folder = g_path_get_dirname (self->conf);
  g_autoptr(GError)   bad    = NULL;

  g_key_file_load_from_file (keys, self->conf, G_KEY_FILE_KEEP_COMMENTS, NULL);      /* what others wrote into it stays */
  for (int kind = 0; kind < FB_STORE_N_KINDS; kind++)
    g_key_file_set_string_list (keys, GROUP, kind_names[kind], (const char * const *) self->folders[kind],
                                g_strv_length (self->folders[kind]));

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

/* Puts @folders in the place of a kind's, unless they cannot be saved. Takes @folders. */
static gboolean
replace_folders (FbStore *self, FbStoreKind kind, GStrv folders, GError **error)
{
  GStrv before = self->folders[kind];

  self->folders[kind] = folders;
  if (!save (self, error))
    {
      self->folders[kind] = before;
      g_strfreev (folders);
      return FALSE;
    }

  g_strfreev (before);
  return TRUE;
}

gboolean
fb_store_add_folder (FbStore *self, FbStoreKind kind, const char *path, GError **error)
{
  g_autofree char        *folder  = g_canonicalize_filename (path, NULL);
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new ();

  if (g_strv_contains (fb_store_folders (self, kind), folder))
    return TRUE;
  if (!g_file_test (folder, G_FILE_TEST_IS_DIR))
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, _("“%s” is not a folder. Choose one that exists."), folder);
      return FALSE;
    }

  g_strv_builder_addv (builder, (const char **) self->folders[kind]);
  g_strv_builder_add (builder, folder);
  return replace_folders (self, kind, g_strv_builder_end (builder), error);
}

gboolean
fb_store_remove_folder (FbStore *self, FbStoreKind kind, const char *path, GError **error)
{
  g_autofree char        *folder  = g_canonicalize_filename (path, NULL);
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new ();

  if (!g_strv_contains (fb_store_folders (self, kind), folder))
    return TRUE;

  for (guint i = 0; self->folders[kind][i] != NULL; i++)
    if (strcmp (self->folders[kind][i], folder) != 0)
      g_strv_builder_add (builder, self->folders[kind][i]);
  return replace_folders (self, kind, g_strv_builder_end (builder), error);
}
