/* core/store/store-stamp.c: tells whether a model's files have changed. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/store/store.h"

#include <string.h>

#include <glib/gstdio.h>

#define MAX_FILES 1000       /* a model's folder has some twenty */

/* a file written over in place leaves its folder's time as it was */
static void
add (GString *stamp, const char *name, const GStatBuf *st)
{
  g_string_append_printf (stamp, "%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT ".%09ld\n", name, (gint64) st->st_size, (gint64) st->st_mtim.tv_sec,
                          (long) st->st_mtim.tv_nsec);
}

/* weights, configurations, vocabularies and the card: not a picture that somebody keeps beside them */
static gboolean
is_of_a_model (const char *name)
{
  static const char * const suffixes[] = { ".safetensors", ".json", ".txt", ".md" };

  for (gsize i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (g_str_has_suffix (name, suffixes[i]))
      return TRUE;
  return FALSE;
}

/* (transfer full): sorted: the file system's order says nothing */
static GPtrArray *
list (const char *folder)
{
  GPtrArray       *names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GDir)  dir   = g_dir_open (folder, 0, NULL);
  const char      *name;

  while (dir != NULL && names->len < MAX_FILES && (name = g_dir_read_name (dir)) != NULL)
    if (name[0] != '.')
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort_values (names, (GCompareFunc) strcmp);
  return names;
}

/* the files in @folder and, where @goes_deeper, in the folders in it */
static void
add_files (GString *stamp, const char *folder, gboolean goes_deeper)
{
  g_autoptr(GPtrArray) names = list (folder);

  for (guint i = 0; i < names->len; i++)
    {
      g_autofree char *path = g_build_filename (folder, names->pdata[i], NULL);
      GStatBuf         st;

      if (g_stat (path, &st) != 0)
        continue;
      if (S_ISREG (st.st_mode) && is_of_a_model (names->pdata[i]))
        add (stamp, names->pdata[i], &st);
      else if (S_ISDIR (st.st_mode) && goes_deeper)
        {
          g_string_append_printf (stamp, "%s/\n", (char *) names->pdata[i]);
          add_files (stamp, path, FALSE);
        }
    }
}

char *
fb_store_stamp (const char *path)
{
  g_autoptr(GString) stamp = g_string_new (NULL);
  GStatBuf           st    = { 0 };

  g_stat (path, &st);
  if (S_ISDIR (st.st_mode))
    add_files (stamp, path, TRUE);
  else
    add (stamp, "", &st);
  return g_string_free (g_steal_pointer (&stamp), FALSE);
}
