/* core/store/store-scan.c: tells models from other files by their names alone. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/store/store-scan.h"

#include <stdlib.h>
#include <string.h>

#include <glib/gstdio.h>

#define SUFFIX      ".safetensors"
#define MAX_DEPTH   4        /* people sort their files into folders of folders */
#define MAX_ENTRIES 10000    /* somebody has added "/" */

/* A folder with one of these is one entry of the kind. */
static const char * const landmarks[FB_STORE_N_KINDS][4] =
{
  [FB_STORE_MODELS] = { "model_index.json", "unet" },
  [FB_STORE_LORAS]  = { "adapter_model" SUFFIX, "pytorch_lora_weights" SUFFIX },
  [FB_STORE_VAE]    = { "diffusion_pytorch_model" SUFFIX, "diffusion_pytorch_model.fp16" SUFFIX },
  [FB_STORE_TAESD]  = { "diffusion_pytorch_model" SUFFIX, "diffusion_pytorch_model.fp16" SUFFIX, "taesd_decoder" SUFFIX },
};

void
fb_store_entry_free (FbStoreEntry *entry)
{
  g_free (entry->name);
  g_free (entry->path);
  g_free (entry->target);
  g_free (entry);
}

gboolean
fb_store_is_entry_folder (FbStoreKind kind, const char *folder)
{
  for (guint i = 0; i < G_N_ELEMENTS (landmarks[kind]) && landmarks[kind][i] != NULL; i++)
    {
      g_autofree char *path = g_build_filename (folder, landmarks[kind][i], NULL);

      if (g_file_test (path, G_FILE_TEST_EXISTS))
        return TRUE;
    }

  return FALSE;
}

/* Bytes of the regular files in @path, which may be one. */
static guint64
measure (const char *path, int depth)
{
  GStatBuf        st;
  g_autoptr(GDir) dir = NULL;
  const char     *name;
  guint64         n   = 0;

  if (g_stat (path, &st) != 0)
    return 0;
  if (S_ISREG (st.st_mode))
    return st.st_size;

  dir = depth < MAX_DEPTH ? g_dir_open (path, 0, NULL) : NULL;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      n += measure (child, depth + 1);
    }

  return n;
}

static gboolean
is_taken (GPtrArray *entries, const char *name)
{
  for (guint i = 0; i < entries->len; i++)
    if (g_ascii_strcasecmp (((FbStoreEntry *) entries->pdata[i])->name, name) == 0)
      return TRUE;
  return FALSE;
}

/* "name", else "name (folder)", else "name (2)" … */
static char *
free_name (GPtrArray *entries, const char *path)
{
  g_autofree char *file   = g_filename_display_basename (path);
  g_autofree char *parent = g_path_get_dirname (path);
  g_autofree char *folder = g_filename_display_basename (parent);
  g_autofree char *plain  = g_strndup (file, strlen (file) - (g_str_has_suffix (file, SUFFIX) ? strlen (SUFFIX) : 0));
  char            *name   = g_strdup (plain);

  for (int i = 1; is_taken (entries, name); i++)
    {
      g_free (name);
      name = i == 1 ? g_strdup_printf ("%s (%s)", plain, folder) : g_strdup_printf ("%s (%d)", plain, i);
    }

  return name;
}

static gboolean
leads_nowhere (const char *path)
{
  return g_file_test (path, G_FILE_TEST_IS_SYMLINK) && !g_file_test (path, G_FILE_TEST_EXISTS);
}

static void
collect_paths (GPtrArray *paths, FbStoreKind kind, const char *folder, FbStorePlace place, int depth)
{
  g_autoptr(GDir) dir = g_dir_open (folder, 0, NULL);
  const char     *name;

  while (dir != NULL && paths->len < MAX_ENTRIES && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      if (name[0] == '.')
        continue;
      if (g_file_test (path, G_FILE_TEST_IS_DIR))
        {
          if (fb_store_is_entry_folder (kind, path))
            g_ptr_array_add (paths, g_steal_pointer (&path));
          else if (depth < MAX_DEPTH)
            collect_paths (paths, kind, path, place, depth + 1);
        }
      else if ((g_str_has_suffix (name, SUFFIX) && g_file_test (path, G_FILE_TEST_IS_REGULAR)) || (place == FB_STORE_OWN && leads_nowhere (path)))
        g_ptr_array_add (paths, g_steal_pointer (&path));
    }
}

/* Whether @path is really below @root, and not only seen there through a linked folder */
static gboolean
is_inside (const char *path, const char *root)
{
  g_autofree char *folder      = g_path_get_dirname (path);
  g_autofree char *real_folder = realpath (folder, NULL);
  g_autofree char *real_root   = realpath (root, NULL);
  gsize            n           = real_root != NULL ? strlen (real_root) : 0;

  return n > 0 && real_folder != NULL && strncmp (real_folder, real_root, n) == 0 && (real_folder[n] == '\0' || real_folder[n] == G_DIR_SEPARATOR);
}

static FbStoreEntry *
entry_new (GPtrArray *entries, FbStoreKind kind, const char *path, const char *root, FbStorePlace place)
{
  FbStoreEntry *entry = g_new0 (FbStoreEntry, 1);

  entry->name        = free_name (entries, path);
  entry->path        = g_strdup (path);
  entry->kind        = kind;
  entry->n_bytes     = measure (path, 0);
  entry->target      = g_file_read_link (path, NULL);
  entry->is_embedded = place == FB_STORE_EMBEDDED;
  entry->is_own      = place == FB_STORE_OWN && is_inside (path, root);
  entry->is_missing  = leads_nowhere (path);
  return entry;
}

void
fb_store_scan (GPtrArray *entries, FbStoreKind kind, const char *folder, FbStorePlace place, const char * const *hidden)
{
  g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autofree char     *root  = g_canonicalize_filename (folder, NULL);

  if (fb_store_is_entry_folder (kind, root))                   /* a model's own folder, added as such */
    g_ptr_array_add (paths, g_strdup (root));
  else
    collect_paths (paths, kind, root, place, 1);

  g_ptr_array_sort_values (paths, (GCompareFunc) strcmp);
  for (guint i = 0; i < paths->len; i++)
    if (!g_strv_contains (hidden, paths->pdata[i]))
      g_ptr_array_add (entries, entry_new (entries, kind, paths->pdata[i], root, place));
}
