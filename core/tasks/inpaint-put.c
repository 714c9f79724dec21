/* core/tasks/inpaint-put.c: what the network drew, back into its context. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>

/* Where the pixels of a picture of what is shown lie among the pieces' cells
 * @columns: [width]
 * @rows: [height]: index of the first cell
 */
typedef struct
{
  int *columns, *rows;
} Cells;

static void
cells_init (Cells *cells, const FbPieces *pieces, const FbImage *onto)
{
  const FbRect *s  = &pieces->view.shown;
  const double  fx = (double) onto->width / s->width, fy = (double) onto->height / s->height;

  cells->columns = g_new (int, onto->width);
  cells->rows    = g_new (int, onto->height);
  for (int x = 0; x < onto->width; x++)
    cells->columns[x] = (s->x + (int) (x / fx)) / FB_PIECE_CELL;
  for (int y = 0; y < onto->height; y++)
    cells->rows[y] = (s->y + (int) (y / fy)) / FB_PIECE_CELL * pieces->cells_x;
}

static void
cells_clear (Cells *cells)
{
  g_free (cells->columns);
  g_free (cells->rows);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Cells, cells_clear)

/* whether the piece @index draws the pixel (x, y) of @onto */
static inline gboolean
draws (const FbPieces *pieces, int index, const FbImage *onto, const Cells *cells, int x, int y)
{
  return pieces->draws_all || (onto->pixels[((size_t) y * onto->width + x) * 4 + 3] > 0.0f &&
                               pieces->owners[cells->rows[y] + cells->columns[x]] == index);
}

/* Bounds of what there is to draw of @area of @onto; FALSE for nothing */
static gboolean
drawn_bounds (const FbPieces *pieces, int index, const FbImage *onto, const Cells *cells, FbRect area, FbRect *bounds)
{
  int left = area.x + area.width, right = -1, top = area.y + area.height, bottom = -1;

#pragma omp parallel for schedule(static) reduction(min : left, top) reduction(max : right, bottom)
  for (int y = area.y; y < area.y + area.height; y++)
    {
      int first = area.x, last = area.x + area.width - 1;

      while (first <= last && !draws (pieces, index, onto, cells, first, y))
        first++;
      if (first > last)
        continue;
      while (!draws (pieces, index, onto, cells, last, y))
        last--;
      left   = MIN (left, first);
      right  = MAX (right, last);
      top    = MIN (top, y);
      bottom = MAX (bottom, y);
    }
  *bounds = (FbRect) { left, top, right + 1 - left, bottom + 1 - top };

  return right >= 0;
}

/* where @r lies in a picture of the context's shape, @width wide and @height high */
static FbRect
scaled (FbRect r, double fx, double fy, int width, int height)
{
  int x = (int) rint (r.x * fx), y = (int) rint (r.y * fy);

  return (FbRect) { x, y, MIN ((int) rint ((r.x + r.width) * fx), width) - x, MIN ((int) rint ((r.y + r.height) * fy), height) - y };
}

/* how far a part has taken over @at pixels from its side */
static inline float
take_over (int at, int ramp)
{
  return ramp > 0 ? MIN ((at + 0.5f) / ramp, 1.0f) : 1.0f;
}

gboolean
fb_pieces_put (const FbPieces *pieces, int index, const FbPiece *piece, FbImage *picture, const FbPart *part, FbImage *onto)
{
  const FbView      *view  = &pieces->view;
  double             fx    = (double) onto->width / view->shown.width, fy = (double) onto->height / view->shown.height;
  const int          w     = (int) rint (view->width * fx), h = (int) rint (view->height * fy);     /* of all of the context */
  const FbRect       all   = { (int) rint (view->shown.x * fx), (int) rint (view->shown.y * fy), onto->width, onto->height };
  FbRect             area  = scaled (piece->crop, fx, fy, w, h);
  FbRect             most  = fb_rect_grown (fb_pieces_bounds (pieces, index), (int) ceil (3.0 / MIN (fx, fy)), view->width, view->height);
  g_auto(Cells)      cells = { NULL };
  FbRect             shown = part != NULL ? scaled (part->rect, fx, fy, w, h) : area;
  FbRect             r, wanted;
  g_autoptr(FbImage) given = NULL;

  cells_init (&cells, pieces, onto);
  most = scaled (most, fx, fy, w, h);                           /* scaling a mask widens it by 3 pixels */
  if (pieces->draws_all)
    most = all;
  if (!fb_rect_intersect (shown, most, &most) || !fb_rect_intersect (all, most, &most))
    return TRUE;
  most.x -= all.x;
  most.y -= all.y;
  if (!drawn_bounds (pieces, index, onto, &cells, most, &r))
    return TRUE;
  wanted = (FbRect) { all.x + r.x - area.x, all.y + r.y - area.y, r.width, r.height };
  given  = fb_piece_give (piece, picture, area.width, area.height, wanted);
  if (given == NULL)
    return FALSE;

#pragma omp parallel for schedule(static)
  for (int y = 0; y < r.height; y++)
    for (int x = 0; x < r.width; x++)
      {
        float       *to   = onto->pixels + ((size_t) (r.y + y) * onto->width + r.x + x) * 4;
        const float *from = given->pixels + ((size_t) y * r.width + x) * 3;
        const float  t    = part != NULL ? take_over (all.x + r.x + x - shown.x, part->ramp_left) *
                                            take_over (all.y + r.y + y - shown.y, part->ramp_top) : 1.0f;

        if (draws (pieces, index, onto, &cells, r.x + x, r.y + y))
          for (int c = 0; c < 3; c++)
            {
              const float value = CLAMP (from[c], 0.0f, 1.0f);  /* scaling overshoots at edges */

              to[c] = t < 1.0f ? (1.0f - t) * to[c] + t * value : value;
            }
      }

  return TRUE;
}
