/* core/store/store-change.c: brings models in, and takes them away. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * What people have is used where it lies: a link in the store's folder stands for it. Nothing outside that folder is ever deleted.
 */
#include "core/store/store-private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>

#include "core/store/delete.h"
#include "core/store/store-scan.h"

#define SUFFIX    ".safetensors"
#define MAX_TRIES 1000

/* (transfer full): @folder/name.safetensors, or name (2).safetensors … where that is taken */
static char *
free_path (const char *folder, const char *path)
{
  g_autofree char *base     = g_path_get_basename (path);
  gboolean         has_type = g_str_has_suffix (base, SUFFIX);
  g_autofree char *stem     = g_strndup (base, strlen (base) - (has_type ? strlen (SUFFIX) : 0));

  for (int i = 1; i < MAX_TRIES; i++)
    {
      g_autofree char *name  = i == 1 ? g_strdup (base) : g_strdup_printf ("%s (%d)%s", stem, i, has_type ? SUFFIX : "");
      g_autofree char *taken = g_build_filename (folder, name, NULL);
      GStatBuf         st;

      if (g_lstat (taken, &st) != 0)                       /* a link that leads nowhere is in the way, too */
        return g_steal_pointer (&taken);
    }
  return g_build_filename (folder, base, NULL);            /* making it will say that it exists */
}

static gboolean
make_link (const char *target, const char *path, GError **error)
{
  if (symlink (target, path) == 0)
    return TRUE;
  fb_model_error_set_errno (error, errno, path, TRUE);
  return FALSE;
}

static gboolean
copy_file (const char *source, const char *path, GCancellable *cancellable, GError **error)
{
  g_autofree char  *part  = g_strconcat (path, ".part", NULL);         /* no suffix of ours, so never listed */
  g_autoptr(GFile)  from  = g_file_new_for_path (source);
  g_autoptr(GFile)  to    = g_file_new_for_path (part);
  g_autoptr(GError) local = NULL;

  if (!g_file_test (source, G_FILE_TEST_IS_REGULAR))
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED,
                   _("“%s” is not a single file, so it is not copied. Bring it in without the copy; it is then used where it lies."), source);
      return FALSE;
    }
  if (g_file_copy (from, to, G_FILE_COPY_OVERWRITE | G_FILE_COPY_TARGET_DEFAULT_PERMS, cancellable, NULL, NULL, &local))
    {
      if (g_rename (part, path) == 0)
        return TRUE;
      fb_model_error_set_errno (error, errno, path, TRUE);
    }
  else if (g_error_matches (local, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_propagate_error (error, g_steal_pointer (&local));
  else
    g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_IO, _("“%s” could not be copied to “%s”: %s."), source, path, local->message);
  g_unlink (part);
  return FALSE;
}

/* Brings back what had been noted as unwanted. */
static gboolean
show_again (FbStore *self, FbStoreKind kind, const char *path, GError **error)
{
  return !g_strv_contains ((const char * const *) self->hidden[kind], path) ||
         fb_store_change_list (self, &self->hidden[kind], path, NULL, error);
}

FbStoreEntry *
fb_store_add (FbStore *self, FbStoreKind kind, const char *path, gboolean copy, GCancellable *cancellable, GError **error)
{
  g_autofree char *source = g_canonicalize_filename (path, NULL);
  g_autofree char *folder = fb_store_own_folder (kind);
  g_autofree char *place  = NULL;
  FbStoreEntry    *listed;

  if (!g_file_test (source, G_FILE_TEST_EXISTS))
    {
      fb_model_error_set_errno (error, ENOENT, source, FALSE);
      return NULL;
    }
  if (!show_again (self, kind, source, error))
    return NULL;
  listed = fb_store_find (self, kind, source, NULL);     /* through a link or not */
  if (listed != NULL)
    return listed;

  if (g_mkdir_with_parents (folder, 0700) != 0)
    {
      fb_model_error_set_errno (error, errno, folder, TRUE);
      return NULL;
    }
  place = free_path (folder, source);
  if (!(copy ? copy_file (source, place, cancellable, error) : make_link (source, place, error)))
    return NULL;
  return fb_store_find (self, kind, place, error);
}

/* --- taking away -------------------------------------------------------------------------------------------------------- */

/* A folder that was added for this one entry goes from the list; in a larger one, only the entry is not shown any more. */
static gboolean
forget (FbStore *self, const FbStoreEntry *entry, GError **error)
{
  if (g_strv_contains ((const char * const *) self->folders[entry->kind], entry->path))
    return fb_store_remove_folder (self, entry->kind, entry->path, error);
  return fb_store_change_list (self, &self->hidden[entry->kind], entry->path, entry->path, error);
}

/* No task keeps a model as its default that has been removed. */
static void
drop_defaults (FbStore *self, const FbStoreEntry *entry)
{
  for (const char * const *task = fb_store_tasks (); entry->kind == FB_STORE_MODELS && *task != NULL; task++)
    {
      const char *name = fb_store_default (self, *task);

      if (name != NULL && (g_ascii_strcasecmp (name, entry->name) == 0 || strcmp (name, entry->path) == 0))
        fb_store_set_default (self, *task, "", NULL);
    }
}

gboolean
fb_store_remove (FbStore *self, const FbStoreEntry *entry, FbStoreRemoval *removal, GError **error)
{
  if (entry->is_embedded)
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_UNSUPPORTED,
                   _("“%s” came with Flashbrush and goes only when Flashbrush is uninstalled."), entry->name);
      return FALSE;
    }
  if (!(entry->is_own ? fb_delete (entry->path, error) : forget (self, entry, error)))
    return FALSE;

  *removal = entry->is_own && entry->target == NULL ? FB_STORE_DELETED : FB_STORE_FORGOTTEN;
  drop_defaults (self, entry);
  return TRUE;
}
