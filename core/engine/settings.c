/* core/engine/settings.c: engine.conf. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/settings.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#include "core/engine/error.h"
#include "core/tasks/pace.h"

#define GROUP "engine"

static gboolean
refuse (GError **error, const char *key, const char *value, const char *wanted)
{
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_SETTINGS, _("%s: “%s” is not possible; use %s."), key, value, wanted);
  return FALSE;
}

static gboolean
parse_number (const char *key, const char *text, double min, double max, gboolean whole, double *value, GError **error)
{
  char  *end    = NULL;
  double number = g_ascii_strtod (text, &end);

  if (end == text || *end != '\0' || !(number >= min && number <= max) || (whole && number != floor (number)))   /* a NaN fails too */
    {
      /* Translators: two bounds of a number in a settings file */
      g_autofree char *wanted = g_strdup_printf (whole ? _("a whole number from %g to %g") : _("a number from %g to %g"), min, max);
      return refuse (error, key, text, wanted);
    }
  *value = number;
  return TRUE;
}

static gboolean
parse_int (const char *key, const char *text, int min, int max, int *value, GError **error)
{
  double number = 0.0;

  if (!parse_number (key, text, min, max, TRUE, &number, error))
    return FALSE;
  *value = (int) number;
  return TRUE;
}

/* "6GB", "800 MB", "123456" or "50%" */
static gboolean
parse_memory (const char *key, const char *text, guint64 *bytes, GError **error)
{
  static const struct { const char *suffix; double factor; } units[] =
  {
    { "", 1.0 }, { "B", 1.0 }, { "kB", 1e3 }, { "MB", 1e6 }, { "GB", 1e9 }, { "TB", 1e12 }, { "MiB", 0x1p20 }, { "GiB", 0x1p30 },
  };
  char  *end    = NULL;
  double number = g_ascii_strtod (text, &end);

  if (end != text && number >= 0.0 && number <= 1e15)
    {
      while (*end == ' ')
        end++;
      if (strcmp (end, "%") == 0 && number <= 100.0)
        {
          *bytes = (guint64) (number / 100.0 * (double) fb_memory_available ());
          return TRUE;
        }
      for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
        if (g_ascii_strcasecmp (end, units[i].suffix) == 0 && number * units[i].factor <= 1e15)
          {
            *bytes = (guint64) (number * units[i].factor);
            return TRUE;
          }
    }
  return refuse (error, key, text, /* xgettext:no-c-format */ _("a size such as 6GB, or a share such as 50% of the available memory"));
}

static gboolean
parse_key (FbSettings *self, const char *key, const char *text, GError **error)
{
  if (strcmp (key, "threads") == 0)
    return parse_int (key, text, 0, FB_SETTINGS_MAX_THREADS, &self->threads, error);
  if (strcmp (key, "nice") == 0)
    return parse_int (key, text, 0, 19, &self->nice, error);
  if (strcmp (key, "memory-budget") == 0)
    return parse_memory (key, text, &self->memory_budget, error);
  if (strcmp (key, "idle-seconds") == 0)
    return parse_number (key, text, 0.1, 1e6, FALSE, &self->idle_seconds, error);
  if (strcmp (key, "hang-seconds") == 0)
    return parse_number (key, text, 0.1, 1e6, FALSE, &self->hang_seconds, error);
  if (strcmp (key, "dtype") == 0)
    {
      if (strcmp (text, "auto") != 0 && strcmp (text, "f32") != 0 && strcmp (text, "bf16") != 0 && strcmp (text, "f16") != 0)
        return refuse (error, key, text, _("auto, f32, bf16 or f16"));
      g_free (self->dtype);
      self->dtype = g_strdup (text);
      return TRUE;
    }
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_SETTINGS,
               _("%s: there is no such setting; there are threads, nice, memory-budget, idle-seconds, hang-seconds and dtype."), key);
  return FALSE;
}

static FbSettings *
settings_new (void)
{
  FbSettings *self = g_new0 (FbSettings, 1);

  self->nice          = 10;
  self->memory_budget = fb_memory_available () / 2;
  self->idle_seconds  = 300.0;
  self->hang_seconds  = 30.0;
  self->dtype         = g_strdup ("auto");
  return self;
}

FbSettings *
fb_settings_load (const char *path, GError **error)
{
  g_autoptr(FbSettings) self  = settings_new ();
  g_autoptr(GKeyFile)   file  = g_key_file_new ();
  g_autoptr(GError)     local = NULL;
  g_auto(GStrv)         keys  = NULL;

  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, &local))
    {
      if (g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT) || g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOTDIR))
        return g_steal_pointer (&self);
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_SETTINGS, _("%s could not be read: %s"), path, local->message);
      return NULL;
    }

  keys = g_key_file_get_keys (file, GROUP, NULL, NULL);
  for (gsize i = 0; keys != NULL && keys[i] != NULL; i++)
    {
      g_autofree char *text = g_key_file_get_string (file, GROUP, keys[i], NULL);

      if (!parse_key (self, keys[i], text != NULL ? g_strstrip (text) : "", error))
        {
          g_prefix_error (error, "%s: ", path);
          return NULL;
        }
    }
  return g_steal_pointer (&self);
}

void
fb_settings_free (FbSettings *self)
{
  g_free (self->dtype);
  g_free (self);
}

char *
fb_settings_path (void)
{
  return g_build_filename (g_get_user_config_dir (), "flashbrush", "engine.conf", NULL);
}
