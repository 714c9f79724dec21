/* ui/mask-image.c: a mask as a picture, for the engine. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/mask.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "ui/target.h"

/* @sums becomes the sums of @n_rows of @area, from @y on. */
static void
add_rows (const FbMask *mask, const GdkRectangle *area, int y, int n_rows, guint8 *row, guint32 *sums)
{
  memset (sums, 0, (gsize) area->width * sizeof *sums);
  for (int k = 0; k < n_rows; k++)
    {
      fb_mask_read (mask, &(GdkRectangle) { area->x, area->y + y + k, area->width, 1 }, row);
#pragma omp simd
      for (int x = 0; x < area->width; x++)
        sums[x] += row[x];
    }
}

/* Means of @sums of @n_rows, @n of them, to @width */
static void
mean_row (const guint32 *sums, int n, int n_rows, int width, float *out)
{
  for (int x = 0, from = 0; x < width; x++)
    {
      const int to  = (int) (((gint64) (x + 1) * n + width - 1) / width);       /* each belongs to exactly one */
      guint32   sum = 0;

      for (int i = from; i < to; i++)
        sum += sums[i];
      out[x] = (float) (sum / (255.0 * (to - from) * n_rows));
      from   = to;
    }
}

FbImage *
fb_mask_to_image (const FbMask *mask, const GdkRectangle *area, int width, int height)
{
  FbImage            *image = fb_image_new (width, height, 1);
  g_autofree guint8  *row   = g_malloc (area->width);
  g_autofree guint32 *sums  = g_new (guint32, area->width);

  g_return_val_if_fail (width <= area->width && height <= area->height, NULL);

  for (int y = 0, from = 0; image != NULL && y < height; y++)
    {
      const int to = (int) (((gint64) (y + 1) * area->height + height - 1) / height);

      add_rows (mask, area, from, to - from, row, sums);
      mean_row (sums, area->width, to - from, width, image->pixels + (gsize) y * width);
      from = to;
    }

  return image;
}

/* --- in a thread --------------------------------------------------------------------------------------------------------- */

typedef struct
{
  FbMask      *mask;
  GdkRectangle area;
  int          width, height;
} Part;

static FbImage *
finish (gpointer data, GError **error)
{
  const Part *part  = data;
  FbImage    *image = fb_mask_to_image (part->mask, &part->area, part->width, part->height);

  if (image == NULL)
    g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_SIZE,
                 _("There is not enough memory for %d × %d pixels; select a smaller part."), part->width, part->height);

  return image;
}

static void
free_it (gpointer data)
{
  Part *part = data;

  fb_mask_free (part->mask);
  g_free (part);
}

void
fb_mask_add_to_job (const FbMask *mask, const GdkRectangle *area, int width, int height, FbJob *job, const char *name)
{
  static const FbJobSource source = { NULL, finish, free_it };

  Part *part = g_new (Part, 1);

  *part = (Part) { fb_mask_copy (mask), *area, width, height };
  fb_job_add_source (job, name, &source, part);
}
