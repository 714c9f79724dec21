/* core/distill/random-mask.c: what an inpainting model is to paint, by chance. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/distill/random-mask.h"

#include <math.h>

#define MAX_STROKES  3
#define MAX_POINTS   6          /* that a stroke goes to */
#define MAX_SHAPES   3
#define N_NUMBERS    64         /* what the masks below take at most, and some */

/* A row of random numbers, taken one after another */
typedef struct
{
  double numbers[N_NUMBERS];
  int    n;
} Numbers;

static double
next (Numbers *self, double min, double max)
{
  g_assert (self->n < N_NUMBERS);
  return min + (max - min) * self->numbers[self->n++];
}

/* 1 … @max */
static int
next_count (Numbers *self, int max)
{
  return 1 + (int) next (self, 0.0, max);
}

/* Covers what is at most @radius away from the line; points are pixels */
static void
cover_line (double x0, double y0, double x1, double y1, double radius, int height, int width, float *mask)
{
  const int    left   = MAX (0, (int) floor (MIN (x0, x1) - radius)), right  = MIN (width - 1, (int) ceil (MAX (x0, x1) + radius));
  const int    top    = MAX (0, (int) floor (MIN (y0, y1) - radius)), bottom = MIN (height - 1, (int) ceil (MAX (y0, y1) + radius));
  const double dx     = x1 - x0, dy = y1 - y0;
  const double length = dx * dx + dy * dy;

  for (int y = top; y <= bottom; y++)
    for (int x = left; x <= right; x++)
      {
        const double along = length > 0.0 ? CLAMP (((x - x0) * dx + (y - y0) * dy) / length, 0.0, 1.0) : 0.0;
        const double off_x = x - x0 - along * dx, off_y = y - y0 - along * dy;

        if (off_x * off_x + off_y * off_y <= radius * radius)
          mask[(size_t) y * width + x] = 1.0f;
      }
}

static void
cover_strokes (Numbers *numbers, int height, int width, float *mask)
{
  const double side = MIN (height, width);

  for (int n = next_count (numbers, MAX_STROKES); n > 0; n--)
    {
      const double radius = side * next (numbers, 0.04, 0.15);
      double       x      = next (numbers, 0.0, width), y = next (numbers, 0.0, height);
      double       angle  = next (numbers, 0.0, 2.0 * G_PI);

      for (int points = next_count (numbers, MAX_POINTS); points > 0; points--)
        {
          const double length = side * next (numbers, 0.1, 0.5);
          const double to_x   = CLAMP (x + length * cos (angle), 0.0, width), to_y = CLAMP (y + length * sin (angle), 0.0, height);

          cover_line (x, y, to_x, to_y, radius, height, width, mask);
          x = to_x;
          y = to_y;
          angle += G_PI + next (numbers, -0.6 * G_PI, 0.6 * G_PI);            /* back and forth, as a hand does */
        }
    }
}

static void
cover_shapes (Numbers *numbers, int height, int width, float *mask)
{
  for (int n = next_count (numbers, MAX_SHAPES); n > 0; n--)
    {
      const gboolean round = next (numbers, 0.0, 1.0) < 0.5;
      const double   half_width = 0.5 * width * next (numbers, 0.15, 0.7), half_height = 0.5 * height * next (numbers, 0.15, 0.7);
      const double   cx = next (numbers, 0.0, width), cy = next (numbers, 0.0, height);

      for (int y = MAX (0, (int) (cy - half_height)); y < MIN (height, (int) (cy + half_height)); y++)
        for (int x = MAX (0, (int) (cx - half_width)); x < MIN (width, (int) (cx + half_width)); x++)
          {
            const double off_x = (x - cx) / half_width, off_y = (y - cy) / half_height;

            if (!round || off_x * off_x + off_y * off_y <= 1.0)
              mask[(size_t) y * width + x] = 1.0f;
          }
    }
}

void
fb_random_mask (const FbDraw *draw, double full, int height, int width, float *mask)
{
  Numbers      numbers = { .n = 0 };
  const size_t n       = (size_t) height * width;
  double       kind;

  fb_draw_uniforms (draw, FB_DRAW_MASK, numbers.numbers, N_NUMBERS);
  kind = next (&numbers, 0.0, 1.0);
  for (size_t i = 0; i < n; i++)
    mask[i] = kind < full ? 1.0f : 0.0f;
  if (kind < full)
    return;
  if (kind < full + 0.5 * (1.0 - full))
    cover_strokes (&numbers, height, width, mask);
  else
    cover_shapes (&numbers, height, width, mask);
}
