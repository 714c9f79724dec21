/* core/engine/distill-record.c: what a distillation job leaves in its folder as it goes. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/distill-record.h"

#include "core/image/png.h"

#define MAX_ROWS 2000          /* of one answer: more than a screen has pixels */

/* adds a line of the log: step, seconds, then the four losses */
static void
add_row (GVariantBuilder *rows, const char *line)
{
  g_auto(GStrv) words = g_strsplit (line, "\t", -1);
  double        losses[4];

  if (g_strv_length (words) < 6)
    return;
  for (int i = 0; i < 4; i++)
    losses[i] = g_ascii_strtod (words[2 + i], NULL);
  g_variant_builder_add (rows, "(idddd)", (int) g_ascii_strtoll (words[0], NULL, 10), losses[0], losses[1], losses[2], losses[3]);
}

GVariant *
fb_distill_record_rows (const char *folder, int from)
{
  g_autofree char *log   = folder != NULL ? g_build_filename (folder, "log.tsv", NULL) : NULL;
  g_autofree char *text  = NULL;
  g_auto(GStrv)    lines = NULL;
  GVariantBuilder  rows;
  guint            first = 1, n;

  g_variant_builder_init (&rows, G_VARIANT_TYPE ("a(idddd)"));
  if (log != NULL && g_file_get_contents (log, &text, NULL, NULL))
    {
      lines = g_strsplit (text, "\n", -1);                 /* the first names the columns; the last is empty, or not whole yet */
      n     = g_strv_length (lines);
      while (first + 1 < n && g_ascii_strtoll (lines[first], NULL, 10) <= from)
        first++;
      for (guint i = first; i + 1 < n; i += 1 + (n - first) / MAX_ROWS)
        add_row (&rows, lines[i]);
    }
  return g_variant_ref_sink (g_variant_builder_end (&rows));
}

FbImage *
fb_distill_record_sample (const char *folder, int known, int *step)
{
  g_autofree char *samples = folder != NULL ? g_build_filename (folder, "samples", NULL) : NULL;
  g_autoptr(GDir)  dir     = samples != NULL ? g_dir_open (samples, 0, NULL) : NULL;
  g_autofree char *newest  = NULL;
  const char      *name;

  *step = known;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".png") && g_ascii_strtoll (name, NULL, 10) > *step)
      {
        *step = (int) g_ascii_strtoll (name, NULL, 10);
        g_free (newest);
        newest = g_build_filename (samples, name, NULL);
      }
  return newest != NULL ? fb_image_load_png (newest, NULL) : NULL;
}
