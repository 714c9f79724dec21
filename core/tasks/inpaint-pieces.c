/* core/tasks/inpaint-pieces.c: which parts go through the network, and at what size. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>
#include <string.h>

/* --- the network's size -------------------------------------------------------------------------------------------------- */

/* what of a picture margins take, and how a crop is scaled to what is left of it */
typedef struct
{
  int    across, down;
  double scale;
} Fit;

static Fit
fit_into (const FbPiece *piece, int width, int height, int margin)
{
  const int across = margin * (piece->margins.left + piece->margins.right), down = margin * (piece->margins.top + piece->margins.bottom);

  return (Fit) { across, down, MIN ((double) (width - across) / piece->crop.width, (double) (height - down) / piece->crop.height) };
}

/* How badly @width × @height serves @piece's crop: what is mirrored, and how far what is left is from @wanted pixels; logarithms */
static double
misfit (const FbPiece *piece, int width, int height, int margin, double wanted)
{
  const Fit    fit  = fit_into (piece, width, height, margin);
  const double used = fit.scale * piece->crop.width * fit.scale * piece->crop.height;

  return log ((double) width * height / used) + fabs (log (used / wanted));
}

void
fb_piece_fit (FbPiece *piece, int native, int resolution)
{
  const FbRect *c      = &piece->crop;
  int           base   = resolution > 0 ? resolution : native;
  int           margin = base / 8;
  int           step   = MAX (64, base / 8 / 64 * 64);
  double        most   = 1.5 * base * base;
  double        wanted = resolution > 0 ? (double) base * base : CLAMP ((double) c->width * c->height, (double) base * base, most);
  double        best   = INFINITY;
  Fit           fit;

  for (int height = MAX (step, base / 2 / step * step); height <= 2 * base; height += step)
    for (int width = MAX (step, base / 2 / step * step); width <= 2 * base; width += step)
      {
        double bad = misfit (piece, width, height, margin, wanted);

        if ((double) width * height <= MAX (most, (double) step * step) && bad < best)
          {
            best          = bad;
            piece->width  = width;
            piece->height = height;
          }
      }

  fit = fit_into (piece, piece->width, piece->height, margin);
  piece->inner.width  = CLAMP ((int) rint (c->width * fit.scale), 1, piece->width - fit.across);
  piece->inner.height = CLAMP ((int) rint (c->height * fit.scale), 1, piece->height - fit.down);
  piece->inner.x      = (piece->width - fit.across - piece->inner.width) / 2 + (piece->margins.left ? margin : 0);
  piece->inner.y      = (piece->height - fit.down - piece->inner.height) / 2 + (piece->margins.top ? margin : 0);
}

/* --- islands ------------------------------------------------------------------------------------------------------------- */

static gboolean
any_above_0 (const float *values, int n)
{
  for (int i = 0; i < n; i++)
    if (values[i] > 0.0f)
      return TRUE;
  return FALSE;
}

/* Marks of a row of cells, all of which are −1, those with −2 that hold some of the row @y of what is shown. */
static void
mark_row (FbPieces *self, const FbImage *denoise, int y, gint8 *owners)
{
  const FbRect *s   = &self->view.shown;
  const float  *row = denoise->pixels + (size_t) y * denoise->width;

  for (int cx = s->x / FB_PIECE_CELL; cx <= (s->x + s->width - 1) / FB_PIECE_CELL; cx++)
    {
      const int left = MAX (cx * FB_PIECE_CELL - s->x, 0), right = MIN ((cx + 1) * FB_PIECE_CELL - s->x, s->width);

      if (owners[cx] == -1 && any_above_0 (row + left, right - left))
        owners[cx] = -2;
    }
}

/* Marks the cells that hold some of the mask with −2, the others with −1. */
static void
mark_cells (FbPieces *self, const FbImage *denoise)
{
  const FbRect *s = &self->view.shown;

  memset (self->owners, -1, (size_t) self->cells_x * self->cells_y);
#pragma omp parallel for schedule(static)
  for (int cy = s->y / FB_PIECE_CELL; cy <= (s->y + s->height - 1) / FB_PIECE_CELL; cy++)
    for (int y = MAX (cy * FB_PIECE_CELL, s->y); y < MIN ((cy + 1) * FB_PIECE_CELL, s->y + s->height); y++)
      mark_row (self, denoise, y - s->y, self->owners + (size_t) cy * self->cells_x);
}

/* Gives the island around the marked @cell to @owner; returns its bounds in cells. */
static FbRect
flood (FbPieces *self, int cell, int owner, GArray *stack)
{
  int left = self->cells_x, right = 0, top = self->cells_y, bottom = 0;

  g_array_set_size (stack, 0);
  g_array_append_val (stack, cell);
  self->owners[cell] = owner;
  while (stack->len > 0)
    {
      int at = g_array_index (stack, int, stack->len - 1);
      int x  = at % self->cells_x, y = at / self->cells_x;

      g_array_set_size (stack, stack->len - 1);
      left   = MIN (left, x);
      right  = MAX (right, x);
      top    = MIN (top, y);
      bottom = MAX (bottom, y);
      for (int ny = MAX (y - 1, 0); ny <= MIN (y + 1, self->cells_y - 1); ny++)
        for (int nx = MAX (x - 1, 0); nx <= MIN (x + 1, self->cells_x - 1); nx++)
          {
            int next = ny * self->cells_x + nx;

            if (self->owners[next] == -2)
              {
                self->owners[next] = owner;
                g_array_append_val (stack, next);
              }
          }
    }

  return (FbRect) { left, top, right + 1 - left, bottom + 1 - top };
}

static void
cells_init (FbPieces *self, const FbImage *mask, const FbView *view)
{
  self->view    = *view;
  self->cells_x = (view->width + FB_PIECE_CELL - 1) / FB_PIECE_CELL;
  self->cells_y = (view->height + FB_PIECE_CELL - 1) / FB_PIECE_CELL;
  self->owners  = g_new (gint8, (size_t) self->cells_x * self->cells_y);
  mark_cells (self, mask);
}

double
fb_mask_diagonal (const FbImage *mask, const FbView *view, const FbRect *bounds, int native, int *longest)
{
  g_autoptr(FbPieces) cells   = g_new0 (FbPieces, 1);
  g_autoptr(GArray)   stack   = g_array_new (FALSE, FALSE, sizeof (int));
  double              whole   = hypot (bounds->width, bounds->height);
  double              island  = 0.0;
  int                 n       = 0;

  cells_init (cells, mask, view);
  for (int i = 0; i < cells->cells_x * cells->cells_y; i++)
    if (cells->owners[i] == -2)
      {
        FbRect r = flood (cells, i, 0, stack);

        island = MAX (island, hypot (r.width, r.height) * FB_PIECE_CELL);
        n++;
      }

  if (n == 1)
    return whole;
  island   = MIN (island, whole);
  *longest = MIN (*longest, MAX (2 * native, (int) (4.0 * island)));
  return island;
}

/* What a client would have cut for the pixels in @cells alone */
static FbRect
crop_of (FbRect cells, const FbView *view, int native)
{
  FbInpaintPlace place = { .canvas_width = view->width, .canvas_height = view->height, .strength = 1.0, .native = native };
  FbRect         crop  = { 0, 0, view->width, view->height };

  place.mask = (FbRect) { cells.x * FB_PIECE_CELL, cells.y * FB_PIECE_CELL, cells.width * FB_PIECE_CELL, cells.height * FB_PIECE_CELL };
  fb_inpaint_context (&place, &crop);

  return crop;
}

static FbRect
together (FbRect a, FbRect b)
{
  int left = MIN (a.x, b.x), top = MIN (a.y, b.y);

  return (FbRect) { left, top, MAX (a.x + a.width, b.x + b.width) - left, MAX (a.y + a.height, b.y + b.height) - top };
}

/* pixels that the network needs to see a crop in full detail */
static double
cost (FbRect crop, int native)
{
  return MAX ((double) crop.width * crop.height, (double) native * native);
}

/* Joins the two of the @n islands, given by their @cells, that gain most by it; FALSE where none gains and there are few enough. */
static gboolean
join_two (FbPieces *self, FbRect *cells, int native)
{
  const FbView *view = &self->view;
  double best = self->n > FB_MAX_PIECES ? INFINITY : 0.0;
  int    a = -1, b = -1;

  for (int i = 0; i < self->n; i++)
    for (int j = i + 1; j < self->n; j++)
      {
        double loss = cost (crop_of (together (cells[i], cells[j]), view, native), native) -
                      cost (crop_of (cells[i], view, native), native) - cost (crop_of (cells[j], view, native), native);

        if (loss <= best)
          {
            best = loss;
            a    = i;
            b    = j;
          }
      }
  if (a < 0)
    return FALSE;

  cells[a] = together (cells[a], cells[b]);
  self->n--;
  cells[b] = cells[self->n];
  for (int i = 0; i < self->cells_x * self->cells_y; i++)
    if (self->owners[i] == b)
      self->owners[i] = a;
    else if (self->owners[i] == self->n)
      self->owners[i] = b;

  return TRUE;
}

/* all islands in one */
static void
join_all (FbPieces *self)
{
  for (int i = 0; i < self->cells_x * self->cells_y; i++)
    if (self->owners[i] != -1)
      self->owners[i] = 0;
  self->n = 1;
}

/* the sides of its crop that the piece @index draws at, within a cell's size */
static FbSides
drawn_sides (const FbPieces *self, int index)
{
  const FbRect *c = &self->pieces[index].crop;
  const FbRect  b = fb_pieces_bounds (self, index);

  return (FbSides) { b.x <= c->x, b.y <= c->y, b.x + b.width >= c->x + c->width, b.y + b.height >= c->y + c->height };
}

FbPieces *
fb_pieces_new (const FbImage *denoise, const FbView *view, int native, int resolution, gboolean mirrors)
{
  enum { MOST_ISLANDS = 48 };                                   /* a strewn mask is one */

  FbPieces          *self  = g_new0 (FbPieces, 1);
  g_autoptr(GArray)  stack = g_array_new (FALSE, FALSE, sizeof (int));
  FbRect             cells[MOST_ISLANDS];

  self->pieces = g_new0 (FbPiece, FB_MAX_PIECES);
  cells_init (self, denoise, view);

  for (int i = 0; i < self->cells_x * self->cells_y && self->n < MOST_ISLANDS; i++)
    if (self->owners[i] == -2)
      {
        cells[self->n] = flood (self, i, self->n, stack);
        self->n++;
      }
  if (self->n == MOST_ISLANDS)
    join_all (self);
  while (self->n > 1 && join_two (self, cells, native))
    ;

  for (int i = 0; i < self->n; i++)
    self->pieces[i].crop = crop_of (cells[i], view, native);
  if (self->n == 1)
    self->pieces[0].crop = (FbRect) { 0, 0, view->width, view->height };      /* as the client chose */
  for (int i = 0; i < self->n; i++)
    {
      if (mirrors)
        self->pieces[i].margins = drawn_sides (self, i);
      fb_piece_fit (&self->pieces[i], native, resolution);
    }

  return self;
}

FbRect
fb_pieces_bounds (const FbPieces *self, int index)
{
  int left = self->cells_x, right = 0, top = self->cells_y, bottom = 0;

  for (int i = 0; i < self->cells_x * self->cells_y; i++)
    if (self->owners[i] == index)
      {
        left   = MIN (left, i % self->cells_x);
        right  = MAX (right, i % self->cells_x + 1);
        top    = MIN (top, i / self->cells_x);
        bottom = MAX (bottom, i / self->cells_x + 1);
      }
  left *= FB_PIECE_CELL;
  top  *= FB_PIECE_CELL;

  return (FbRect) { left, top, MIN (right * FB_PIECE_CELL, self->view.width) - left, MIN (bottom * FB_PIECE_CELL, self->view.height) - top };
}

double
fb_inpaint_detail (const FbImage *cells, int width, int height, int native)
{
  g_autoptr(FbPieces) self  = g_new0 (FbPieces, 1);
  g_autoptr(GArray)   stack = g_array_new (FALSE, FALSE, sizeof (int));
  FbPiece             whole = { .crop = { 0, 0, width, height } };
  int                 n     = 0;
  double              scale = 1.0;

  self->cells_x = cells->width;
  self->cells_y = cells->height;
  self->owners  = g_new (gint8, (size_t) cells->width * cells->height);
  for (int i = 0; i < cells->width * cells->height; i++)
    self->owners[i] = cells->pixels[i] > 0.0f ? -2 : -1;
  for (int i = 0; i < cells->width * cells->height && n < 2; i++)
    if (self->owners[i] == -2)
      {
        flood (self, i, 0, stack);
        n++;
      }
  if (n != 1)
    return 1.0;
  fb_piece_fit (&whole, native, 0);

  while (scale / 2.0 >= 2.0 * whole.inner.width / whole.crop.width)
    scale /= 2.0;

  return scale;
}

void
fb_pieces_free (FbPieces *self)
{
  g_free (self->pieces);
  g_free (self->owners);
  g_free (self);
}
