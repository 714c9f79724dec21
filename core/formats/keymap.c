/* core/formats/keymap.c: matches names against key maps. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/formats/keymap.h"

#include <string.h>

#include "core/formats/keymap-resource.h"

#define MAX_STARS 4

enum { THEIRS, OURS };

typedef struct
{
  char  *side[2];     /* without the {section} */
  char  *section;     /* (nullable): where the rest of the name is looked up */
  guint  id;
} Line;

struct FbKeymap
{
  GHashTable *sections;   /* name -> GPtrArray of Line */
  guint       n_lines;
  guint      *hits;
};

static void
line_free (gpointer data)
{
  Line *line = data;

  g_free (line->side[THEIRS]);
  g_free (line->side[OURS]);
  g_free (line->section);
  g_free (line);
}

/* Cuts a {section} off the end of @word and returns its name. */
static char *
take_section (char *word)
{
  char *brace = strchr (word, '{');
  char *name  = NULL;

  if (brace != NULL && g_str_has_suffix (word, "}"))
    {
      name   = g_strndup (brace + 1, strlen (brace) - 2);
      *brace = '\0';
    }

  return name;
}

static int
count_stars (const char *word)
{
  int n = 0;

  for (; *word != '\0'; word++)
    n += *word == '*';
  return n;
}

static Line *
parse_line (const char *text)
{
  g_auto(GStrv)    words   = g_regex_split_simple ("[ \t]+", text, G_REGEX_DEFAULT, G_REGEX_MATCH_DEFAULT);
  g_autofree char *theirs  = NULL;
  g_autofree char *ours    = NULL;
  Line            *line;

  if (g_strv_length (words) != 2)
    return NULL;

  theirs = take_section (words[THEIRS]);
  ours   = take_section (words[OURS]);
  if (g_strcmp0 (theirs, ours) != 0 || strpbrk (words[THEIRS], "{}") != NULL || strpbrk (words[OURS], "{}") != NULL ||
      count_stars (words[THEIRS]) != count_stars (words[OURS]) || count_stars (words[OURS]) > MAX_STARS)
    return NULL;

  line               = g_new0 (Line, 1);
  line->side[THEIRS] = g_strdup (words[THEIRS]);
  line->side[OURS]   = g_strdup (words[OURS]);
  line->section      = g_steal_pointer (&ours);

  return line;
}

/* A section may lead only to sections whose heading stands below it, which rules out circles. */
static gboolean
check_sections (const FbKeymap *map, GPtrArray *order)
{
  for (guint i = 0; i < order->len; i++)
    {
      GPtrArray *lines = g_hash_table_lookup (map->sections, order->pdata[i]);

      for (guint l = 0; l < lines->len; l++)
        {
          const Line *line = lines->pdata[l];
          guint       j;

          if (line->section != NULL &&
              (!g_ptr_array_find_with_equal_func (order, line->section, g_str_equal, &j) || j <= i))
            return FALSE;
        }
    }

  return TRUE;
}

FbKeymap *
fb_keymap_parse (const char *text, GError **error)
{
  g_autoptr(FbKeymap)  map   = g_new0 (FbKeymap, 1);
  g_autoptr(GPtrArray) order = g_ptr_array_new ();
  g_auto(GStrv)        rows  = g_strsplit (text, "\n", -1);
  GPtrArray           *lines = g_ptr_array_new_with_free_func (line_free);

  map->sections = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  g_ptr_array_add (order, "");
  g_hash_table_insert (map->sections, g_strdup (""), lines);

  for (guint i = 0; rows[i] != NULL; i++)
    {
      char *comment = strchr (rows[i], '#');
      char *row     = rows[i];
      Line *line    = NULL;

      if (comment != NULL)
        *comment = '\0';
      g_strstrip (row);
      if (*row == '\0')
        continue;

      if (*row == '[' && g_str_has_suffix (row, "]") && strlen (row) > 2)
        {
          row[strlen (row) - 1] = '\0';
          lines = g_ptr_array_new_with_free_func (line_free);
          if (g_hash_table_insert (map->sections, g_strdup (row + 1), lines))
            {
              g_ptr_array_add (order, row + 1);
              continue;
            }
        }
      else if ((line = parse_line (row)) != NULL)
        {
          line->id = map->n_lines++;
          g_ptr_array_add (lines, line);
          continue;
        }

      g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE, "line %u is no pair of names: “%s”", i + 1, row);
      return NULL;
    }

  if (!check_sections (map, order))
    {
      g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE, "a section is used that does not follow below");
      return NULL;
    }

  map->hits = g_new0 (guint, map->n_lines + 1);
  return g_steal_pointer (&map);
}

void
fb_keymap_free (FbKeymap *map)
{
  g_clear_pointer (&map->sections, g_hash_table_unref);
  g_free (map->hits);
  g_free (map);
}

/* Matches the beginning of @name against @pattern; returns what follows, and where the indices lie. */
static const char *
match (const char *pattern, const char *name, const char **stars, int *n_digits)
{
  int n = 0;

  for (; *pattern != '\0'; pattern++)
    if (*pattern == '*')
      {
        stars[n]    = name;
        n_digits[n] = strspn (name, "0123456789");
        if (n_digits[n] == 0)
          return NULL;
        name += n_digits[n++];
      }
    else if (*pattern != *name++)
      return NULL;

  return name;
}

static void
append_with_stars (GString *out, const char *pattern, const char **stars, const int *n_digits)
{
  int n = 0;

  for (; *pattern != '\0'; pattern++)
    if (*pattern == '*')
      {
        g_string_append_len (out, stars[n], n_digits[n]);
        n++;
      }
    else
      g_string_append_c (out, *pattern);
}

/* Adds to @results what @name, on side @from, is called on the other side; @prefix is what has been translated of it already. */
static gboolean
collect (const FbKeymap *map, const char *section, int from, const char *name, const char *prefix, GPtrArray *results)
{
  GPtrArray *lines = g_hash_table_lookup (map->sections, section);
  gboolean   found = FALSE;

  g_assert (lines != NULL);
  for (guint i = 0; i < lines->len; i++)
    {
      const Line        *line = lines->pdata[i];
      const char        *stars[MAX_STARS];
      int                n_digits[MAX_STARS];
      const char        *rest = match (line->side[from], name, stars, n_digits);
      g_autoptr(GString) out  = NULL;
      gboolean           hit;

      if (rest == NULL || (line->section == NULL && *rest != '\0'))
        continue;

      out = g_string_new (prefix);
      append_with_stars (out, line->side[!from], stars, n_digits);
      if (line->section != NULL)
        hit = collect (map, line->section, from, rest, out->str, results);
      else
        {
          g_ptr_array_add (results, g_strdup (out->str));
          hit = TRUE;
        }

      if (hit && from == THEIRS)
        g_atomic_int_inc (&map->hits[line->id]);
      found = found || hit;
    }

  return found;
}

char *
fb_keymap_to_ours (const FbKeymap *map, const char *section, const char *name)
{
  g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func (g_free);

  collect (map, section, THEIRS, name, "", results);
  return results->len > 0 ? g_strdup (results->pdata[0]) : NULL;
}

char **
fb_keymap_to_theirs (const FbKeymap *map, const char *section, const char *name)
{
  GPtrArray *results = g_ptr_array_new ();

  collect (map, section, OURS, name, "", results);
  g_ptr_array_add (results, NULL);
  return (char **) g_ptr_array_free (results, FALSE);
}

guint
fb_keymap_n_lines (const FbKeymap *map)
{
  return map->n_lines;
}

const guint *
fb_keymap_hits (const FbKeymap *map)
{
  return map->hits;
}

const FbKeymap *
fb_keymap_get (const char *name)
{
  static GMutex      mutex;
  static GHashTable *maps = NULL;
  FbKeymap          *map;

  g_mutex_lock (&mutex);
  if (maps == NULL)
    maps = g_hash_table_new (g_str_hash, g_str_equal);
  map = g_hash_table_lookup (maps, name);
  if (map == NULL)
    {
      g_autofree char   *path  = g_strdup_printf ("/org/flashbrush/keymaps/%s.keymap", name);
      g_autoptr(GError)  error = NULL;
      g_autoptr(GBytes)  bytes = g_resource_lookup_data (fb_keymap_get_resource (), path, 0, &error);
      g_autofree char   *text  = bytes != NULL ? g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes)) : NULL;

      g_assert_no_error (error);
      map = fb_keymap_parse (text, &error);
      g_assert_no_error (error);
      g_hash_table_insert (maps, g_strdup (name), map);
    }
  g_mutex_unlock (&mutex);

  return map;
}
