/* core/tasks/inpaint-tiles.c: where a second pass draws at a higher resolution. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Section 4.5 of the survey of peers has one crop of any size there, which is what fills memory; these are tiles of the model's own size, few enough
 * that the second pass stays as long as the first.
 */
#include "core/tasks/inpaint-private.h"

#include <math.h>

#define LEAST_GAIN 1.5        /* in length; for less, a second pass shows nothing new */

/* the scale at which @n tiles of @native pixels, a quarter of which they share, are as long as @size; 1 at most */
static double
scale_of (int n, int native, int size)
{
  return MIN (1.0, (native * n - native / 4 * (n - 1)) / (double) size);
}

/* how many tiles in a row and in a column give the most detail, @most in all, the fewest of equal ones; returns its scale */
static double
choose (int width, int height, int native, int most, int *n_x, int *n_y)
{
  double best = 0.0;

  for (int n = 1; n <= most; n++)
    for (int y = 1; y <= n; y++)
      {
        double scale = n % y == 0 ? MIN (scale_of (n / y, native, width), scale_of (y, native, height)) : 0.0;

        if (scale > best * 1.01)
          {
            best = scale;
            *n_x = n / y;
            *n_y = y;
          }
      }
  return best;
}

/* where the @i-th of @n tiles of @length begins, that together cover from @start on @size pixels as far as they can, within 0 … @canvas */
static int
begin (int i, int n, int length, int start, int size, int canvas)
{
  int first = n > 1 ? start : start + (size - length) / 2;
  int last  = n > 1 ? start + size - length : first;
  int at    = n > 1 ? first + (int) rint ((double) (last - first) * i / (n - 1)) : first;

  return CLAMP (at, 0, canvas - length);
}

/* What is shown of the tile in column @x and row @y, of @n_x and @n_y: not what lies at its sides, where it shares a quarter with others. */
static FbPart
part_of (FbRect crop, int side, int x, int y, int n_x, int n_y)
{
  const int margin = side / 16;
  const int left = x > 0 ? margin : 0, right = x + 1 < n_x ? margin : 0;
  const int top  = y > 0 ? margin : 0, bottom = y + 1 < n_y ? margin : 0;

  return (FbPart) { { crop.x + left, crop.y + top, crop.width - left - right, crop.height - top - bottom },
                    x > 0 ? 2 * margin : 0, y > 0 ? 2 * margin : 0 };
}

gboolean
fb_tiles_init (FbTiles *tiles, const FbPiece *piece, FbRect bounds, int width, int height, int native, int most)
{
  const double coarse = (double) piece->inner.width / piece->crop.width;
  int          n_x = 1, n_y = 1;
  double       scale  = choose (bounds.width, bounds.height, native, most, &n_x, &n_y);
  int          side   = (int) ceil (native / scale);
  FbRect       crop   = { .width = MIN (side, width), .height = MIN (side, height) };

  tiles->n_x = tiles->n_y = 0;
  if (scale < LEAST_GAIN * coarse)
    return FALSE;

  tiles->n_x  = n_x;
  tiles->n_y  = n_y;
  for (int i = 0; i < n_x * n_y; i++)
    {
      crop.x = begin (i % n_x, n_x, crop.width, bounds.x, bounds.width, width);
      crop.y = begin (i / n_x, n_y, crop.height, bounds.y, bounds.height, height);
      tiles->pieces[i] = (FbPiece) { .crop = crop };
      fb_piece_fit (&tiles->pieces[i], native, 0);
      tiles->parts[i]  = part_of (crop, side, i % n_x, i / n_x, n_x, n_y);
    }

  return TRUE;
}
