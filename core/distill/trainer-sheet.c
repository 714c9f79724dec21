/* core/distill/trainer-sheet.c: pictures of the student beside the teacher's. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "core/distill/trainer-private.h"

/* the prompts of the rows; (transfer container) */
static GPtrArray *
choose_prompts (FbTrainer *self, int n)
{
  GPtrArray *prompts = g_ptr_array_new ();
  char     **chosen  = self->job->sample_prompts;

  for (int i = 0; chosen != NULL && chosen[i] != NULL && (int) prompts->len < n; i++)
    g_ptr_array_add (prompts, chosen[i]);
  for (guint i = 0; (chosen == NULL || chosen[0] == NULL) && i < self->data->examples->len && (int) prompts->len < n; i++)
    {
      const FbExample *e = self->data->examples->pdata[i];

      if (!g_ptr_array_find_with_equal_func (prompts, e->captions[0], g_str_equal, NULL))
        g_ptr_array_add (prompts, e->captions[0]);
    }
  return prompts;
}

static void
paste (FbImage *sheet, const float *pixels, int left, int top, int width, int height)
{
  g_autoptr(FbImage) picture = fb_image_from_network (pixels, width, height);

  for (int y = 0; y < height; y++)
    memcpy (sheet->pixels + ((size_t) (top + y) * sheet->width + left) * 3, picture->pixels + (size_t) y * width * 3, (size_t) width * 3 * sizeof (float));
}

static gboolean
fill_sheet (FbTrainer *self, FbImage *sheet, GPtrArray *prompts, const int *steps, int n_steps, int width, int height,
            GCancellable *cancellable, GError **error)
{
  g_autofree float *pixels = g_new (float, (size_t) height * width * 3);

  for (guint row = 0; row < prompts->len; row++)
    for (int column = 0; column <= n_steps; column++)
      {
        const gboolean  student = column > 0;
        const FbDrawing drawing = { student, student ? "flash" : "dpmpp-2m", student ? steps[column - 1] : self->info->n_steps,
                                    0.0, self->job->seed };
        const char     *caption = prompts->pdata[row];

        if (!fb_trainer_draw (self, &drawing, row, 1, &caption, pixels, cancellable, error))
          return FALSE;
        paste (sheet, pixels, column * width, (int) row * height, width, height);
      }
  return TRUE;
}

FbImage *
fb_trainer_sheet (FbTrainer *self, int n_prompts, const int *steps, int n_steps, GCancellable *cancellable, GError **error)
{
  g_autoptr(GPtrArray)  prompts = choose_prompts (self, n_prompts);
  g_autoptr(FbImage)    sheet   = NULL;
  int                   width, height;
  gboolean              ok;

  fb_trainer_drawing_size (self, &width, &height);
  sheet = fb_image_new ((n_steps + 1) * width, (int) prompts->len * height, 3);
  if (sheet == NULL)
    {
      g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_HOPELESS, "%s: no memory for the sample pictures", self->job->path);
      return NULL;
    }
  fb_trainer_draw_begin (self);
  ok = fill_sheet (self, sheet, prompts, steps, n_steps, width, height, cancellable, error);
  fb_trainer_draw_end (self);
  return ok ? g_steal_pointer (&sheet) : NULL;
}
