/* core/distill/dataset.c: what a job learns from. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/dataset.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <string.h>

#include "core/formats/model-error.h"
#include "core/image/load.h"

#define MAX_DEPTH 16        /* of folders in folders: a link to above must not go on for ever */

static void
example_free (gpointer data)
{
  FbExample *e = data;

  g_free (e->path);
  g_strfreev (e->captions);
  g_free (e);
}

static FbDataset *
dataset_new (void)
{
  FbDataset *self = g_new0 (FbDataset, 1);

  self->examples = g_ptr_array_new_with_free_func (example_free);
  return self;
}

static FbExample *
add_example (FbDataset *self, const char *path, char **captions, int number)
{
  FbExample *e = g_new0 (FbExample, 1);

  e->path       = g_strdup (path);
  e->captions   = captions;
  e->n_captions = (int) g_strv_length (captions);
  e->number     = number;
  g_ptr_array_add (self->examples, e);
  return e;
}

/* Names of files need not be UTF-8, as errors must be that cross to GIMP. */
static char *
read_text (const char *path, GError **error)
{
  g_autoptr(GError) bad  = NULL;
  g_autofree char  *text = NULL;
  g_autofree char  *name = g_filename_display_name (path);

  if (!g_file_get_contents (path, &text, NULL, &bad))
    {
      g_set_error (error, FB_MODEL_ERROR, g_error_matches (bad, G_FILE_ERROR, G_FILE_ERROR_NOENT) ? FB_MODEL_ERROR_NOT_FOUND : FB_MODEL_ERROR_IO,
                   _("“%s” could not be read: %s."), name, bad->message);
      return NULL;
    }
  if (!g_utf8_validate (text, -1, NULL))
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA, _("“%s” is not UTF-8 text. Save it as UTF-8."), name);
      return NULL;
    }
  if (g_str_has_prefix (text, "\xef\xbb\xbf"))              /* a byte order mark, as some editors write it */
    memmove (text, text + 3, strlen (text) - 2);
  return g_steal_pointer (&text);
}

/* (transfer full): the lines of @text that are not empty, trimmed */
static char **
lines_of (const char *text)
{
  g_auto(GStrv)  lines = g_strsplit (text, "\n", -1);
  GStrvBuilder  *kept  = g_strv_builder_new ();
  char         **out;

  for (int i = 0; lines[i] != NULL; i++)
    if (*g_strstrip (lines[i]) != '\0')
      g_strv_builder_add (kept, lines[i]);
  out = g_strv_builder_end (kept);
  g_strv_builder_unref (kept);
  return out;
}

/* (transfer full): a list of one */
static char **
single (const char *caption)
{
  char **captions = g_new0 (char *, 2);

  captions[0] = g_strdup (caption);
  return captions;
}

/* @seen: picture -> its example */
static gboolean
add_table (FbDataset *self, const char *path, GHashTable *seen, GError **error)
{
  g_autofree char *text   = read_text (path, error);
  g_autofree char *folder = g_path_get_dirname (path);
  g_auto(GStrv)    lines  = text != NULL ? g_strsplit (text, "\n", -1) : NULL;

  if (text == NULL)
    return FALSE;
  for (int i = 0; lines[i] != NULL; i++)
    {
      char             *tab     = strchr (lines[i], '\t');               /* before anything is trimmed: nothing may follow it */
      g_autofree char  *picture = NULL;
      FbExample        *e;

      if (lines[i][strspn (lines[i], " \t\r")] == '\0')
        continue;
      if (tab == NULL || tab == lines[i])
        {
          g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA,
                       _("“%s”, line %d: must be the name of a picture, a tab and a caption."), path, i + 1);
          return FALSE;
        }
      *tab = '\0';
      picture = g_canonicalize_filename (lines[i], folder);
      e = g_hash_table_lookup (seen, picture);
      if (e == NULL)
        {
          e = add_example (self, picture, single (g_strstrip (tab + 1)), 0);
          g_hash_table_insert (seen, e->path, e);
        }
      else
        {
          e->captions = g_renew (char *, e->captions, e->n_captions + 2);
          e->captions[e->n_captions++] = g_strdup (g_strstrip (tab + 1));
          e->captions[e->n_captions]   = NULL;
        }
    }
  return TRUE;
}

/* the captions in PICTURE.txt, else those in the folder's table; one empty caption where there are none */
static char **
captions_of (const char *picture, GHashTable *table, GError **error)
{
  const char      *dot      = strrchr (picture, '.');
  g_autofree char *path     = g_strdup_printf ("%.*s.txt", (int) (dot - picture), picture);
  g_autofree char *text     = NULL;
  g_auto(GStrv)    captions = NULL;

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    {
      const FbExample *listed = g_hash_table_lookup (table, picture);

      return listed != NULL ? g_strdupv (listed->captions) : single ("");
    }
  text = read_text (path, error);
  if (text == NULL)
    return NULL;
  captions = lines_of (text);
  return captions[0] != NULL ? g_steal_pointer (&captions) : single ("");
}

static void
find_pictures (const char *folder, int depth, GPtrArray *paths)
{
  g_autoptr(GDir) dir = depth < MAX_DEPTH ? g_dir_open (folder, 0, NULL) : NULL;
  const char     *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      if (name[0] == '.')                                  /* hidden: thumbnails, and the "._a.png" that other systems leave beside a.png */
        continue;
      if (g_file_test (path, G_FILE_TEST_IS_DIR))
        find_pictures (path, depth + 1, paths);
      else if (fb_image_is_named_like_one (name))
        g_ptr_array_add (paths, g_steal_pointer (&path));
    }
}

static gboolean
add_folder (FbDataset *self, const char *folder, GError **error)
{
  g_autoptr(GPtrArray)  paths  = g_ptr_array_new_with_free_func (g_free);
  g_autofree char      *list   = g_build_filename (folder, "captions.tsv", NULL);
  g_autoptr(FbDataset)  listed = dataset_new ();
  g_autoptr(GHashTable) table  = g_hash_table_new (g_str_hash, g_str_equal);

  if (!g_file_test (folder, G_FILE_TEST_IS_DIR))
    {
      g_set_error (error, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FOUND, _("There is no folder “%s”. Check the name of the folder of pictures."), folder);
      return FALSE;
    }
  if (g_file_test (list, G_FILE_TEST_IS_REGULAR) && !add_table (listed, list, table, error))
    return FALSE;
  find_pictures (folder, 0, paths);
  g_ptr_array_sort_values (paths, (GCompareFunc) strcmp);
  for (guint i = 0; i < paths->len; i++)
    {
      char **captions = captions_of (paths->pdata[i], table, error);

      if (captions == NULL)
        return FALSE;
      add_example (self, paths->pdata[i], captions, 0);
    }
  return TRUE;
}

static void
add_prompts (FbDataset *self, const char * const *prompts, int pictures_per_prompt)
{
  for (int i = 0; prompts[i] != NULL; i++)
    for (int k = 0; k < pictures_per_prompt; k++)
      add_example (self, NULL, single (prompts[i]), k);
}

static gboolean
add_source (FbDataset *self, const FbDistillJob *job, GError **error)
{
  g_autoptr(GHashTable) seen  = g_hash_table_new (g_str_hash, g_str_equal);
  g_autofree char      *path  = NULL;
  g_autofree char      *text  = NULL;
  g_auto(GStrv)         lines = NULL;

  if (job->prompts != NULL)
    {
      add_prompts (self, (const char * const *) job->prompts, job->pictures_per_prompt);
      return TRUE;
    }
  path = fb_distill_job_resolve (job, job->pictures != NULL ? job->pictures : job->captions != NULL ? job->captions : job->prompt_file);
  if (job->pictures != NULL)
    return add_folder (self, path, error);
  if (job->captions != NULL)
    return add_table (self, path, seen, error);

  text = read_text (path, error);
  if (text == NULL)
    return FALSE;
  lines = lines_of (text);
  add_prompts (self, (const char * const *) lines, job->pictures_per_prompt);
  return TRUE;
}

void
fb_bucket_size (int width, int height, int area_width, int area_height, int multiple, int *bucket_width, int *bucket_height)
{
  const double area = (double) area_width * area_height;
  const double want = log ((double) width / height);
  double       best = INFINITY;

  *bucket_width  = area_width;
  *bucket_height = area_height;
  for (int w = multiple; w <= sqrt (2.0 * area) + 0.5; w += multiple)
    {
      int    h        = (int) (area / w) / multiple * multiple;
      double distance = h > 0 ? fabs (log ((double) w / h) - want) : INFINITY;

      if (h > 0 && w <= 2 * h && h <= 2 * w && distance < best)
        {
          best = distance;
          *bucket_width  = w;
          *bucket_height = h;
        }
    }
}

FbImage *
fb_crop_to_size (const FbImage *image, int width, int height)
{
  const double       scale  = MAX ((double) width / image->width, (double) height / image->height);
  const int          w      = MAX (width, (int) lrint (image->width * scale));
  const int          h      = MAX (height, (int) lrint (image->height * scale));
  const int          left   = (w - width) / 2, top = (h - height) / 2;
  g_autoptr(FbImage) scaled = fb_image_resize (image, w, h);
  FbImage           *out    = scaled != NULL ? fb_image_new (width, height, image->n_channels) : NULL;

  for (int y = 0; out != NULL && y < height; y++)
    memcpy (out->pixels + (size_t) y * width * out->n_channels,
            scaled->pixels + ((size_t) (y + top) * w + left) * out->n_channels, (size_t) width * out->n_channels * sizeof (float));
  return out;
}

/* Gives each example its size. With buckets this reads each picture once, before anything is computed. */
static void
choose_sizes (FbDataset *self, gboolean buckets, int width, int height, int multiple)
{
  for (guint i = 0; i < self->examples->len; )
    {
      FbExample          *e     = self->examples->pdata[i];
      g_autoptr(GError)   error = NULL;
      g_autoptr(FbImage)  image = NULL;

      e->width  = width;
      e->height = height;
      if (buckets && e->path != NULL)
        {
          image = fb_image_load (e->path, &error);
          if (image == NULL)
            {
              fb_dataset_leave_out (self, i, error);
              continue;
            }
          fb_bucket_size (image->width, image->height, width, height, multiple, &e->width, &e->height);
        }
      i++;
    }
}

FbDataset *
fb_dataset_new (const FbDistillJob *job, int width, int height, int multiple, GError **error)
{
  g_autoptr(FbDataset) self = dataset_new ();

  if (!add_source (self, job, error))
    return NULL;
  choose_sizes (self, job->aspect_buckets, width, height, multiple);
  if (self->examples->len == 0)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_DATA,
                   _("“%s”: there is nothing to learn from: no picture (PNG or JPEG) and no prompt was found."), job->path);
      return NULL;
    }
  return g_steal_pointer (&self);
}

void
fb_dataset_free (FbDataset *self)
{
  if (self != NULL)
    g_ptr_array_unref (self->examples);
  g_free (self);
}

void
fb_dataset_leave_out (FbDataset *self, guint i, const GError *reason)
{
  g_warning (_("%s It is left out."), reason->message);                  /* the reason is a sentence that names the picture */
  g_ptr_array_remove_index (self->examples, i);
}
