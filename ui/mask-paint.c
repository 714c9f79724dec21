/* ui/mask-paint.c: brush strokes and outlines on a mask. SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "ui/mask-private.h"

/* the smallest rectangle of whole pixels around these, one more on each side */
static GdkRectangle
around (double x0, double y0, double x1, double y1)
{
  int left = (int) floor (CLAMP (x0, -1e8, 1e8)) - 1, right  = (int) ceil (CLAMP (x1, -1e8, 1e8)) + 1;
  int top  = (int) floor (CLAMP (y0, -1e8, 1e8)) - 1, bottom = (int) ceil (CLAMP (y1, -1e8, 1e8)) + 1;

  return (GdkRectangle) { left, top, right - left, bottom - top };
}

static guint8
combine (guint8 old, guint8 value, gboolean erase)
{
  return erase ? MIN (old, 255 - value) : MAX (old, value);
}

/* --- a stroke ------------------------------------------------------------------------------------------------------------ */

typedef struct
{
  double   x0, y0, radius0;
  double   dx, dy, d_radius;       /* to the other end */
  double   length2;
  double   hardness;
  gboolean erase;
} Piece;

/* how much a pixel at this distance is painted: fully inside, one pixel of smooth edge at least */
static guint8
coverage (double distance, double radius, double hardness)
{
  double fade = MAX (1.0, radius * (1.0 - hardness));
  double t    = CLAMP ((radius + 0.5 - distance) / fade, 0.0, 1.0);

  if (radius < 0.5)                /* less than a pixel wide: paler instead */
    t *= radius / 0.5;

  return (guint8) lround (255.0 * (fade > 1.0 ? t * t * (3.0 - 2.0 * t) : t));
}

/* @away2: the squared distance; most pixels of a large brush are wholly in or out, and need no root */
static guint8
coverage_at (double away2, double radius, double hardness)
{
  const double outer = radius + 0.5, inner = outer - MAX (1.0, radius * (1.0 - hardness));

  if (away2 >= outer * outer)
    return 0;
  return inner > 0.0 && away2 <= inner * inner ? 255 : coverage (sqrt (away2), radius, hardness);
}

static void
paint_tile (guint8 *tile, const GdkRectangle *part, const Piece *piece)
{
  const guint8 done = piece->erase ? 0 : 255;

  for (int y = part->y; y < part->y + part->height; y++)
    for (int x = part->x; x < part->x + part->width; x++)
      {
        guint8 *pixel = tile + (y % TILE) * TILE + x % TILE;
        double  px    = x + 0.5 - piece->x0;
        double  py    = y + 0.5 - piece->y0;
        double  along, dx, dy;

        if (*pixel == done)
          continue;
        along  = piece->length2 > 0.0 ? CLAMP ((px * piece->dx + py * piece->dy) / piece->length2, 0.0, 1.0) : 0.0;
        dx     = px - along * piece->dx;
        dy     = py - along * piece->dy;
        *pixel = combine (*pixel, coverage_at (dx * dx + dy * dy, piece->radius0 + along * piece->d_radius, piece->hardness), piece->erase);
      }
}

GdkRectangle
fb_mask_stroke (FbMask *mask, double x0, double y0, double radius0, double x1, double y1, double radius1,
                double hardness, gboolean erase)
{
  double       radius = MAX (radius0, radius1);
  Piece        piece  = { x0, y0, radius0, x1 - x0, y1 - y0, radius1 - radius0, 0.0, hardness, erase };
  GdkRectangle area   = around (MIN (x0, x1) - radius, MIN (y0, y1) - radius, MAX (x0, x1) + radius, MAX (y0, y1) + radius);
  GdkRectangle inside, part;

  piece.length2 = piece.dx * piece.dx + piece.dy * piece.dy;
  if (!fb_mask_clip (mask, &area, &inside))
    return (GdkRectangle) { 0 };
  for (int row = inside.y / TILE; row <= (inside.y + inside.height - 1) / TILE; row++)
    for (int column = inside.x / TILE; column <= (inside.x + inside.width - 1) / TILE; column++)
      if (gdk_rectangle_intersect (&inside, &(GdkRectangle) { column * TILE, row * TILE, TILE, TILE }, &part) &&
          (!erase || mask->tiles[row * mask->n_columns + column] != NULL))
        paint_tile (fb_mask_tile_for_writing (mask, column, row), &part, &piece);

  return inside;
}

/* --- an outline ---------------------------------------------------------------------------------------------------------- */

/* Draws what cairo covers of the outline in the row of tiles that begins at (@x, @y): all of them at once, as each call looks at all of the outline. */
static void
draw_row (cairo_surface_t *surface, int x, int y, const double *points, int n)
{
  cairo_t *cr = cairo_create (surface);

  cairo_set_operator (cr, CAIRO_OPERATOR_CLEAR);
  cairo_paint (cr);
  cairo_set_operator (cr, CAIRO_OPERATOR_OVER);
  cairo_translate (cr, -x, -y);
  for (int i = 0; i < n; i++)
    cairo_line_to (cr, points[2 * i], points[2 * i + 1]);
  cairo_close_path (cr);
  cairo_fill (cr);
  cairo_destroy (cr);
  cairo_surface_flush (surface);
}

/* @tile gets what the row of tiles has @left pixels from its beginning. */
static void
fill_tile (guint8 *tile, cairo_surface_t *surface, int left, gboolean erase)
{
  const guint8 *from   = cairo_image_surface_get_data (surface) + left;
  const int     stride = cairo_image_surface_get_stride (surface);

  for (int y = 0; y < TILE; y++)
    for (int x = 0; x < TILE; x++)
      tile[y * TILE + x] = combine (tile[y * TILE + x], from[y * stride + x], erase);
}

GdkRectangle
fb_mask_polygon (FbMask *mask, const double *points, int n, gboolean erase)
{
  cairo_surface_t *surface;
  GdkRectangle     area, inside;
  double           x0 = G_MAXDOUBLE, y0 = G_MAXDOUBLE, x1 = -G_MAXDOUBLE, y1 = -G_MAXDOUBLE;
  int              first, last;

  for (int i = 0; i < n; i++)
    {
      x0 = MIN (x0, points[2 * i]);
      x1 = MAX (x1, points[2 * i]);
      y0 = MIN (y0, points[2 * i + 1]);
      y1 = MAX (y1, points[2 * i + 1]);
    }
  area = around (x0, y0, x1, y1);
  if (n < 3 || !fb_mask_clip (mask, &area, &inside))
    return (GdkRectangle) { 0 };

  first   = inside.x / TILE;
  last    = (inside.x + inside.width - 1) / TILE;
  surface = cairo_image_surface_create (CAIRO_FORMAT_A8, (last + 1 - first) * TILE, TILE);
  for (int row = inside.y / TILE; row <= (inside.y + inside.height - 1) / TILE; row++)
    {
      draw_row (surface, first * TILE, row * TILE, points, n);
      for (int column = first; column <= last; column++)
        if (!erase || mask->tiles[row * mask->n_columns + column] != NULL)
          fill_tile (fb_mask_tile_for_writing (mask, column, row), surface, (column - first) * TILE, erase);
    }
  cairo_surface_destroy (surface);

  return inside;
}
