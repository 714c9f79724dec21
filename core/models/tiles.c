/* core/models/tiles.c: runs a network over a large picture in overlapping tiles. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/tiles.h"

#include <string.h>

/* One direction: @n tiles of @size, spread evenly over @length */
typedef struct
{
  int length, size, n;
} Axis;

static Axis
axis_new (int length, int tile)
{
  const int size   = MIN (length, tile);
  const int stride = MAX (size - size / 4, 1);

  return (Axis) { length, size, 1 + (length - size + stride - 1) / stride };
}

int
fb_tiles_count (int height, int width, int tile)
{
  return axis_new (height, tile).n * axis_new (width, tile).n;
}

static int
axis_start (const Axis *a, int i)
{
  return a->n > 1 ? (int) ((gint64) i * (a->length - a->size) / (a->n - 1)) : 0;
}

/* Weight of tile @i at the output pixel @p of it, before all weights there are brought to the sum 1 */
static double
axis_ramp (const Axis *a, int i, int p, int scale)
{
  const int size  = a->size * scale;
  const int before = i > 0 ? (axis_start (a, i - 1) + a->size - axis_start (a, i)) * scale : 0;
  const int after  = i < a->n - 1 ? (axis_start (a, i) + a->size - axis_start (a, i + 1)) * scale : 0;
  double    weight = 1.0;

  if (p < before)
    weight = MIN (weight, (p + 0.5) / before);
  if (size - 1 - p < after)
    weight = MIN (weight, (size - 1 - p + 0.5) / after);

  return weight;
}

/* (transfer full): [n][size · scale]: shares of each tile's pixels; over all tiles they add up to 1 at every pixel */
static float *
axis_weights (const Axis *a, int scale)
{
  const int          size   = a->size * scale;
  g_autofree double *sum    = g_new0 (double, (gsize) a->length * scale);
  float             *weight = g_new (float, (gsize) a->n * size);

  for (int i = 0; i < a->n; i++)
    for (int p = 0; p < size; p++)
      sum[axis_start (a, i) * scale + p] += axis_ramp (a, i, p, scale);
  for (int i = 0; i < a->n; i++)
    for (int p = 0; p < size; p++)
      weight[(gsize) i * size + p] = axis_ramp (a, i, p, scale) / sum[axis_start (a, i) * scale + p];

  return weight;
}

static void
cut (const FbTiles *t, const float *in, int y0, int x0, int height, int width, float *tile)
{
  const gsize row = (gsize) width * t->in_scale * t->in_channels;

  for (int y = 0; y < height * t->in_scale; y++)
    memcpy (tile + y * row,
            in + ((gsize) (y0 * t->in_scale + y) * t->width + x0) * t->in_scale * t->in_channels,
            row * sizeof (float));
}

static void
blend (const FbTiles *t, float *out, int y0, int x0, int height, int width, const float *tile, const float *wy, const float *wx)
{
  const int scale = t->out_scale, channels = t->out_channels;

  for (int y = 0; y < height * scale; y++)
    {
      const float *from = tile + (gsize) y * width * scale * channels;
      float       *to   = out + ((gsize) (y0 * scale + y) * t->width + x0) * scale * channels;

      for (int x = 0; x < width * scale; x++)
        for (int c = 0; c < channels; c++)
          *to++ += wy[y] * wx[x] * *from++;
    }
}

gboolean
fb_tiles_run (const FbTiles *t, const float *in, float *out, FbTileFunc func, gpointer user_data, GError **error)
{
  const Axis        ay       = axis_new (t->height, t->tile), ax = axis_new (t->width, t->tile);
  g_autofree float *wy       = NULL;
  g_autofree float *wx       = NULL;
  g_autofree float *tile_in  = NULL;
  g_autofree float *tile_out = NULL;

  if (ay.n == 1 && ax.n == 1)
    return func (in, t->height, t->width, out, user_data, error);

  wy = axis_weights (&ay, t->out_scale);
  wx = axis_weights (&ax, t->out_scale);
  tile_in = g_new (float, (gsize) ay.size * ax.size * t->in_scale * t->in_scale * t->in_channels);
  tile_out = g_new (float, (gsize) ay.size * ax.size * t->out_scale * t->out_scale * t->out_channels);
  memset (out, 0, (gsize) t->height * t->width * t->out_scale * t->out_scale * t->out_channels * sizeof (float));

  for (int i = 0; i < ay.n; i++)
    for (int j = 0; j < ax.n; j++)
      {
        const int y = axis_start (&ay, i), x = axis_start (&ax, j);

        cut (t, in, y, x, ay.size, ax.size, tile_in);
        if (!func (tile_in, ay.size, ax.size, tile_out, user_data, error))
          return FALSE;
        blend (t, out, y, x, ay.size, ax.size, tile_out, wy + (gsize) i * ay.size * t->out_scale, wx + (gsize) j * ax.size * t->out_scale);
      }

  return TRUE;
}
