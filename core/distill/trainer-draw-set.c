/* core/distill/trainer-draw-set.c: a folder of pictures to be judged. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <errno.h>
#include <glib/gstdio.h>

#include "core/distill/philox.h"
#include "core/distill/trainer-private.h"
#include "core/formats/model-error.h"
#include "core/image/png.h"

/* Draws pictures @first … @first + @n − 1 and writes them; their lines go to @list. */
static gboolean
draw_batch (FbTrainer *self, const FbDrawing *drawing, const char *folder, const guint *order, int first, int n, GString *list,
            GCancellable *cancellable, GError **error)
{
  const guint             n_examples = self->data->examples->len;
  int                     width, height;
  g_autofree const char **captions   = g_new (const char *, n);
  g_autofree float       *pixels     = NULL;

  fb_trainer_drawing_size (self, &width, &height);
  pixels = g_new (float, (size_t) n * height * width * 3);
  for (int i = 0; i < n; i++)
    captions[i] = ((FbExample *) self->data->examples->pdata[order[(first + i) % n_examples]])->captions[0];
  if (!fb_trainer_draw (self, drawing, first, n, captions, pixels, cancellable, error))
    return FALSE;

  for (int i = 0; i < n; i++)
    {
      g_autofree char    *name    = g_strdup_printf ("%05d.png", first + i);
      g_autofree char    *path    = g_build_filename (folder, name, NULL);
      g_autoptr(FbImage)  picture = fb_image_from_network (pixels + (size_t) i * height * width * 3, width, height);

      if (!fb_image_save_png (picture, path, error))
        return FALSE;
      g_string_append_printf (list, "%s\t%s\n", name, captions[i]);
    }
  return TRUE;
}

gboolean
fb_trainer_draw_set (FbTrainer *self, const FbDrawing *drawing, const char *folder, int n, void (* func) (int done, gpointer user_data),
                     gpointer user_data, GCancellable *cancellable, GError **error)
{
  const int          batch     = self->job->samples_per_call;
  const FbDraw       shuffling = { drawing->seed, 0, 0 };
  g_autofree guint  *order     = g_new (guint, self->data->examples->len);
  g_autofree char   *path      = g_build_filename (folder, "captions.tsv", NULL);
  g_autoptr(GString) list      = g_string_new (NULL);
  gboolean           ok        = TRUE;

  if (g_mkdir_with_parents (folder, 0777) != 0)
    {
      fb_model_error_set_errno (error, errno, folder, TRUE);
      return FALSE;
    }
  fb_draw_order (&shuffling, FB_DRAW_ORDER, order, self->data->examples->len);

  fb_trainer_draw_begin (self);
  for (int done = 0; done < n && ok; done += batch)
    {
      ok = draw_batch (self, drawing, folder, order, done, MIN (batch, n - done), list, cancellable, error);
      if (ok && func != NULL)
        func (MIN (done + batch, n), user_data);
    }
  fb_trainer_draw_end (self);
  return ok && g_file_set_contents (path, list->str, (gssize) list->len, error);
}
