/* core/image/cut-out.c: a thing from its plain background. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/image/cut-out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEAR         0.1f      /* largest difference of a channel that still passes for the background; autoencoders make it uneven */
#define PLAIN        0.7       /* share of the border that must be like that */
#define RIM          3         /* pixels from the background in which the thing's own colour is looked for */
#define OFF_THE_LINE 0.12f     /* a pixel this far from all mixtures is a colour of the thing */
#define SPECKS       2000      /* what covers less than this part of the picture is noise */

enum { UNKNOWN, OUTSIDE, THING };

typedef struct
{
  const FbImage *picture;
  float          colour[3];    /* of the background */
  guint8        *place;        /* [height, width]: UNKNOWN … */
} CutOut;

static const float *
pixel (const CutOut *self, int x, int y)
{
  return self->picture->pixels + 3 * ((size_t) y * self->picture->width + x);
}

static float
difference (const CutOut *self, int x, int y)
{
  const float *p       = pixel (self, x, y);
  float        largest = 0.0f;

  for (int c = 0; c < 3; c++)
    largest = MAX (largest, fabsf (p[c] - self->colour[c]));
  return largest;
}

/* --- the background ----------------------------------------------------------------------------------------------------- */

static void
border_point (const FbImage *picture, int i, int *x, int *y)
{
  const int w = picture->width, h = picture->height;

  if (i < 2 * w)
    {
      *x = i % w;
      *y = i < w ? 0 : h - 1;
    }
  else
    {
      *x = (i - 2 * w) % 2 == 0 ? 0 : w - 1;
      *y = (i - 2 * w) / 2;
    }
}

static int
compare (gconstpointer a, gconstpointer b)
{
  const float x = *(const float *) a, y = *(const float *) b;

  return (x > y) - (x < y);
}

/* The median of the border; whether most of it is like that */
static gboolean
find_colour (CutOut *self)
{
  const int         n      = 2 * (self->picture->width + self->picture->height);
  g_autofree float *values = g_new (float, n);
  int               plain  = 0;
  int               x, y;

  for (int c = 0; c < 3; c++)
    {
      for (int i = 0; i < n; i++)
        {
          border_point (self->picture, i, &x, &y);
          values[i] = pixel (self, x, y)[c];
        }
      qsort (values, n, sizeof *values, compare);
      self->colour[c] = values[n / 2];
    }
  for (int i = 0; i < n; i++)
    {
      border_point (self->picture, i, &x, &y);
      plain += difference (self, x, y) < NEAR;
    }
  return plain >= PLAIN * n;
}

/* Marks (@x, @y) with @mark and queues it if it has @from and, for the background, the colour too. */
static void
visit (CutOut *self, GArray *queue, int x, int y, guint8 from, guint8 mark)
{
  const gsize at = (gsize) y * self->picture->width + x;

  if (x < 0 || y < 0 || x >= self->picture->width || y >= self->picture->height || self->place[at] != from ||
      (mark == OUTSIDE && difference (self, x, y) >= NEAR))
    return;
  self->place[at] = mark;
  g_array_append_val (queue, at);
}

/* Goes on from what is queued. */
static void
flood (CutOut *self, GArray *queue, guint8 from, guint8 mark)
{
  for (guint i = 0; i < queue->len; i++)
    {
      const gsize at = g_array_index (queue, gsize, i);
      const int   x  = (int) (at % self->picture->width), y = (int) (at / self->picture->width);

      visit (self, queue, x - 1, y, from, mark);
      visit (self, queue, x + 1, y, from, mark);
      visit (self, queue, x, y - 1, from, mark);
      visit (self, queue, x, y + 1, from, mark);
    }
}

static void
find_outside (CutOut *self)
{
  g_autoptr(GArray) queue = g_array_new (FALSE, FALSE, sizeof (gsize));

  for (int i = 0; i < 2 * (self->picture->width + self->picture->height); i++)
    {
      int x, y;

      border_point (self->picture, i, &x, &y);
      visit (self, queue, x, y, UNKNOWN, OUTSIDE);
    }
  flood (self, queue, UNKNOWN, OUTSIDE);
}

/* What is left are things, but for specks of noise, which go to the background. Whether a thing was found */
static gboolean
find_things (CutOut *self)
{
  const gsize       n     = (gsize) self->picture->width * self->picture->height;
  g_autoptr(GArray) queue = g_array_new (FALSE, FALSE, sizeof (gsize));
  gboolean          found = FALSE;

  for (gsize at = 0; at < n; at++)
    {
      if (self->place[at] != UNKNOWN)
        continue;
      g_array_set_size (queue, 0);
      visit (self, queue, (int) (at % self->picture->width), (int) (at / self->picture->width), UNKNOWN, THING);
      flood (self, queue, UNKNOWN, THING);
      if (queue->len > n / SPECKS)
        found = TRUE;
      else
        for (guint i = 0; i < queue->len; i++)
          self->place[g_array_index (queue, gsize, i)] = OUTSIDE;
    }
  return found;
}

/* --- the rim ------------------------------------------------------------------------------------------------------------ */

static gboolean
is_outside (const CutOut *self, int x, int y)
{
  return self->place[(gsize) y * self->picture->width + x] == OUTSIDE;
}

/* Whether a pixel at most @reach away is on the other side; @best: (out) (nullable): the colour there that is farthest from the background */
static gboolean
looks_across (const CutOut *self, int x, int y, int reach, gboolean side, const float **best)
{
  gboolean found   = FALSE;
  float    largest = -1.0f;

  for (int v = MAX (y - reach, 0); v <= MIN (y + reach, self->picture->height - 1); v++)
    for (int u = MAX (x - reach, 0); u <= MIN (x + reach, self->picture->width - 1); u++)
      if (is_outside (self, u, v) == side)
        {
          found = TRUE;
          if (best != NULL && difference (self, u, v) > largest)
            {
              largest = difference (self, u, v);
              *best   = pixel (self, u, v);
            }
        }
  return found;
}

/* The share of @thing in @p, a mixture of it and the background; 1 where it is none. */
static float
share (const CutOut *self, const float *p, const float *thing)
{
  float along = 0.0f, length = 0.0f, off = 0.0f, alpha;

  for (int c = 0; c < 3; c++)
    {
      const float d = thing[c] - self->colour[c];

      along  += (p[c] - self->colour[c]) * d;
      length += d * d;
    }
  alpha = length > 0.0f ? CLAMP (along / length, 0.0f, 1.0f) : 1.0f;
  for (int c = 0; c < 3; c++)
    off = MAX (off, fabsf (p[c] - self->colour[c] - alpha * (thing[c] - self->colour[c])));
  return off > OFF_THE_LINE ? 1.0f : alpha;
}

static void
fill_pixel (const CutOut *self, int x, int y, float *out)
{
  const gboolean  outside = is_outside (self, x, y);
  const float    *p       = pixel (self, x, y);
  const float    *thing   = NULL;
  float           alpha   = outside ? 0.0f : 1.0f;

  if (looks_across (self, x, y, 1, !outside, NULL))
    {
      looks_across (self, x, y, RIM, FALSE, &thing);
      alpha = share (self, p, thing);
    }
  for (int c = 0; c < 3; c++)
    out[c] = alpha > 0.0f && alpha < 1.0f ? CLAMP (self->colour[c] + (p[c] - self->colour[c]) / alpha, 0.0f, 1.0f) : p[c];
  out[3] = alpha;
}

FbImage *
fb_image_cut_out (const FbImage *picture)
{
  const gsize         n     = (gsize) picture->width * picture->height;
  g_autofree guint8  *place = g_try_malloc0 (n);
  CutOut              self  = { picture, { 0.0f }, place };
  g_autoptr(FbImage)  out   = NULL;

  g_return_val_if_fail (picture->n_channels == 3, NULL);

  if (place == NULL || !find_colour (&self))
    return NULL;
  find_outside (&self);
  if (!find_things (&self))
    return NULL;
  out = fb_image_new (picture->width, picture->height, 4);
  for (int y = 0; out != NULL && y < picture->height; y++)
    for (int x = 0; x < picture->width; x++)
      fill_pixel (&self, x, y, out->pixels + 4 * ((size_t) y * picture->width + x));
  return g_steal_pointer (&out);
}
