/* core/tasks/inpaint-piece.c: one piece, to the network's size and back. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>
#include <string.h>

/* (transfer full): RGBA with its colours multiplied by its alpha */
static FbImage *
premultiplied (const FbImage *image)
{
  FbImage *out = fb_image_new (image->width, image->height, 4);
  size_t   n   = (size_t) image->width * image->height;

  for (size_t i = 0; out != NULL && i < n; i++)
    {
      const float *p = image->pixels + 4 * i;

      for (int c = 0; c < 3; c++)
        out->pixels[4 * i + c] = p[c] * p[3];
      out->pixels[4 * i + 3] = p[3];
    }
  return out;
}

static void
divide_by_alpha (FbImage *image)
{
  size_t n = (size_t) image->width * image->height;

  for (size_t i = 0; i < n; i++)
    {
      float *p = image->pixels + 4 * i;

      for (int c = 0; c < 3; c++)
        p[c] *= p[3] > 1e-4f ? 1.0f / p[3] : 0.0f;
    }
}

/* where a coordinate beyond the border is found in a picture that is mirrored there, as often as need be */
static int
mirrored (int i, int n)
{
  int period = 2 * n;
  int k      = ((i % period) + period) % period;

  return k < n ? k : period - 1 - k;
}

/* (transfer full) (nullable): the network's picture with @scaled, of the inner part's size, in its middle */
static FbImage *
mirror (const FbPiece *piece, const FbImage *scaled)
{
  const FbRect *inner = &piece->inner;
  const int     C     = scaled->n_channels;
  FbImage      *out   = fb_image_new (piece->width, piece->height, C);

  for (int y = 0; out != NULL && y < piece->height; y++)
    {
      const float *row = scaled->pixels + (size_t) mirrored (y - inner->y, inner->height) * inner->width * C;
      float       *to  = out->pixels + (size_t) y * piece->width * C;

      for (int x = 0; x < piece->width; x++)
        memcpy (to + (size_t) x * C, row + (size_t) mirrored (x - inner->x, inner->width) * C, C * sizeof (float));
    }

  return out;
}

FbImage *
fb_piece_take (const FbPiece *piece, FbImage *image)
{
  const FbRect       *inner  = &piece->inner;
  const int           C      = image->n_channels;
  g_autoptr(FbImage)  part   = fb_image_cut (image, piece->crop.x, piece->crop.y, piece->crop.width, piece->crop.height);
  g_autoptr(FbImage)  scaled = NULL;

  if (part != NULL && C == 4)
    {
      FbImage *multiplied = premultiplied (part);

      fb_image_unref (part);
      part = multiplied;
    }
  scaled = part != NULL ? fb_image_resize (part, inner->width, inner->height) : NULL;
  if (scaled != NULL && C == 4)
    divide_by_alpha (scaled);

  return scaled != NULL ? mirror (piece, scaled) : NULL;
}

FbImage *
fb_piece_take_mask (const FbPiece *piece, FbImage *mask, FbRect shown)
{
  const FbRect       *c      = &piece->crop;
  g_autoptr(FbImage)  part   = NULL;
  g_autoptr(FbImage)  scaled = NULL;
  FbRect              r;

  if (!fb_rect_intersect (*c, shown, &r))
    r = (FbRect) { c->x, c->y, 1, 1 };                          /* nothing of it: any pixel that is 0 */
  part = fb_image_cut (mask, r.x - shown.x, r.y - shown.y, r.width, r.height);
  if (part != NULL)
    scaled = fb_image_resize_from (part, r.x - c->x, r.y - c->y, c->width, c->height, piece->inner.width, piece->inner.height);

  return scaled != NULL ? mirror (piece, scaled) : NULL;
}

FbPiece
fb_piece_scaled (const FbPiece *piece, const FbView *view, int width, int height)
{
  const double  fx   = (double) width / view->width, fy = (double) height / view->height;
  const FbRect *c    = &piece->crop;
  const int     x    = MIN ((int) rint (c->x * fx), width - 1), y = MIN ((int) rint (c->y * fy), height - 1);
  FbPiece       self = *piece;

  self.crop = (FbRect) { x, y, MAX ((int) rint ((c->x + c->width) * fx) - x, 1), MAX ((int) rint ((c->y + c->height) * fy) - y, 1) };

  return self;
}

FbImage *
fb_piece_give (const FbPiece *piece, FbImage *picture, int width, int height, FbRect wanted)
{
  double             x = (double) picture->width / piece->width;
  double             y = (double) picture->height / piece->height;
  FbRect             r = { (int) rint (piece->inner.x * x), (int) rint (piece->inner.y * y),
                           MAX (1, (int) rint (piece->inner.width * x)), MAX (1, (int) rint (piece->inner.height * y)) };
  g_autoptr(FbImage) part = NULL;

  r.x      = MIN (r.x, picture->width - 1);
  r.y      = MIN (r.y, picture->height - 1);
  r.width  = MIN (r.width, picture->width - r.x);
  r.height = MIN (r.height, picture->height - r.y);
  part     = fb_image_cut (picture, r.x, r.y, r.width, r.height);

  return part != NULL ? fb_image_resize_part (part, width, height, wanted.x, wanted.y, wanted.width, wanted.height) : NULL;
}
