/* core/tasks/inpaint-second.c: the second pass: what was drawn small is drawn over, tile by tile. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-run-private.h"

#include <string.h>

/* RGB of @width × @height pixels of @from, RGB or RGBA, from (@x, @y) on, to @to's from (@to_x, @to_y) on */
static void
copy_colours (const FbImage *from, int x, int y, int width, int height, FbImage *to, int to_x, int to_y)
{
  for (int row = 0; row < height; row++)
    for (int i = 0; i < width; i++)
      memcpy (to->pixels + ((size_t) (to_y + row) * to->width + to_x + i) * 3,
              from->pixels + ((size_t) (y + row) * from->width + x + i) * from->n_channels, 3 * sizeof (float));
}

/* (transfer full): the network's picture of @tile of what has been drawn so far */
static FbImage *
take_drawn (const FbInpaintRun *run, const FbPiece *tile)
{
  const FbView       *view  = &run->pieces->view;
  const FbRect       *c     = &tile->crop, *s = &view->shown;
  FbPiece             whole = *tile;
  g_autoptr(FbImage)  own   = fb_inpaint_own_colours (run->request->image, view->width, view->height, *c);
  g_autoptr(FbImage)  part  = fb_image_new (c->width, c->height, 3);
  FbRect              r;

  if (own == NULL || part == NULL)
    return NULL;
  copy_colours (own, 0, 0, c->width, c->height, part, 0, 0);
  if (fb_rect_intersect (*c, *s, &r))
    copy_colours (run->result, r.x - s->x, r.y - s->y, r.width, r.height, part, r.x - c->x, r.y - c->y);
  whole.crop.x = whole.crop.y = 0;

  return fb_piece_take (&whole, part);
}

static float *
ones (size_t n)
{
  float *values = g_new (float, n);

  for (size_t i = 0; i < n; i++)
    values[i] = 1.0f;
  return values;
}

/* Draws over @tile what the first pass has left there: its colours stay those of the first pass, and the edge is the mask's. */
static gboolean
draw_tile (FbInpaintRun *run, const FbInpaint *second, const FbPiece *tile, FbImage *given, const FbPart *part, FbTorchRandom *random, GError **error)
{
  const size_t       n     = (size_t) tile->width * tile->height;
  g_autoptr(FbImage) mask  = fb_inpaint_take_mask (run, tile);
  g_autofree float  *all   = ones (n);
  g_autofree float  *known = ones (n);
  g_autoptr(FbImage) drawn = NULL;

  if (given == NULL || mask == NULL)
    return fb_inpaint_no_memory (error, run->request->image);
  drawn = fb_inpaint_draw (&run->job, second, given, given, mask->pixels, random, error);
  if (drawn == NULL)
    return FALSE;
  if (second->match_colours)
    {
      fb_inpaint_weigh (tile, NULL, all);
      fb_inpaint_weigh (tile, mask, known);
      fb_match_colours (drawn, given, all, NULL);
      fb_match_seam (drawn, given, known, NULL, FALSE);
    }
  if (run->preview != NULL)
    fb_pieces_put (run->pieces, run->piece, tile, drawn, NULL, run->preview);

  return fb_pieces_put (run->pieces, run->piece, tile, drawn, part, run->result) || fb_inpaint_no_memory (error, run->request->image);
}

gboolean
fb_inpaint_draw_tiles (FbInpaintRun *run, FbTiles *tiles, FbTorchRandom *random, double after, GError **error)
{
  const FbGenerate *first = run->job.request;
  const int         n     = tiles->n_x * tiles->n_y;
  FbImage          *given[FB_MAX_TILES];
  gboolean          done  = TRUE;

  for (int i = 0; i < n; i++)                                   /* of the first pass, all of them: a tile's sides are not to be seen by the next */
    given[i] = take_drawn (run, &tiles->pieces[i]);
  for (int i = 0; i < n && done; i++)
    {
      FbGenerate generate;
      FbInpaint  second;

      run->tile        = &tiles->pieces[i];
      second           = fb_inpaint_second_request (run->request, run->tile, &generate);
      run->job.request = &generate;
      fb_diffusion_set_size (&run->job);
      run->job.seconds_after = after + fb_inpaint_tiles_seconds (run->request, run->job.model, tiles, i + 1);
      done = draw_tile (run, &second, run->tile, given[i], &tiles->parts[i], random, error);
    }
  for (int i = 0; i < n; i++)
    g_clear_pointer (&given[i], fb_image_unref);
  run->tile        = NULL;
  run->job.request = first;

  return done;
}
