/* core/engine/place.c: where engine and clients meet. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "config.h"

#include "core/engine/place.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/engine/error.h"

#define SOCKET_NAME "engine.socket"

/* makes @folder ours alone; what is there already must be ours, and a folder */
static gboolean
prepare_folder (const char *folder)
{
  struct stat st;

  if (g_mkdir_with_parents (folder, 0700) < 0 || g_lstat (folder, &st) < 0)
    return FALSE;
  if (!S_ISDIR (st.st_mode) || st.st_uid != geteuid ())
    {
      errno = S_ISDIR (st.st_mode) ? EACCES : ENOTDIR;
      return FALSE;
    }
  if ((st.st_mode & 077) != 0 && g_chmod (folder, 0700) < 0)
    return FALSE;
  return g_access (folder, W_OK | X_OK) == 0;
}

/* @folder/engine.socket if a socket can be there; else %NULL, with the reason added to @reasons */
static char *
try_folder (const char *folder, GString *reasons)
{
  g_autofree char *path = g_build_filename (folder, SOCKET_NAME, NULL);

  errno = 0;
  if (sizeof (((struct sockaddr_un *) NULL)->sun_path) <= strlen (path))
    errno = ENAMETOOLONG;
  else if (prepare_folder (folder))
    return g_steal_pointer (&path);

  g_string_append_printf (reasons, "%s%s: %s", reasons->len > 0 ? "; " : "", folder, g_strerror (errno));
  return NULL;
}

char *
fb_place_socket (GError **error)
{
  const char         *given   = g_getenv ("FLASHBRUSH_SOCKET");
  const char         *runtime = g_getenv ("XDG_RUNTIME_DIR");
  g_autoptr(GString)  reasons = g_string_new (NULL);
  char               *path    = NULL;

  if (given != NULL && *given != '\0')
    return g_canonicalize_filename (given, NULL);   /* the engine works in another folder */

  if (runtime != NULL && g_path_is_absolute (runtime) && g_file_test (runtime, G_FILE_TEST_IS_DIR))   /* never made by us: it is the system's */
    {
      g_autofree char *folder = g_build_filename (runtime, "flashbrush", NULL);
      path = try_folder (folder, reasons);
    }
  if (path == NULL)
    {
      g_autofree char *folder = g_build_filename (g_get_user_cache_dir (), "flashbrush", "run", NULL);
      path = try_folder (folder, reasons);
    }
  if (path == NULL)
    g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_SOCKET,
                 _("There is no folder for the engine's socket (%s). Make one of them writable, or set XDG_RUNTIME_DIR."), reasons->str);
  return path;
}

char *
fb_place_engine (void)
{
  const char *given = g_getenv ("FLASHBRUSH_ENGINE");

  return g_canonicalize_filename (given != NULL && *given != '\0' ? given : FB_BINDIR "/flashbrush-engine", NULL);
}

char *
fb_place_build (const char *engine)
{
  struct stat st;

  if (g_stat (engine, &st) < 0)
    return g_strdup (FB_VERSION);
  return g_strdup_printf ("%s-%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "-%" G_GINT64_FORMAT ".%09ld", FB_VERSION, (guint64) st.st_size,
                          (guint64) st.st_ino, (gint64) st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}
