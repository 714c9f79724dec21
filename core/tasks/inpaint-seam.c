/* core/tasks/inpaint-seam.c: takes a result's local offset from its surroundings away. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>
#include <string.h>

enum { FINEST = 2 };          /* levels left out: detail smaller than 4 pixels is not an offset */

/* One level of a pyramid: [h, w, 3] values, known as far as the weight [h, w] says */
typedef struct
{
  int    width, height;
  float *values, *weights;
} Level;

static Level
level_new (int width, int height)
{
  size_t n = (size_t) width * height;

  return (Level) { width, height, g_new0 (float, 3 * n), g_new0 (float, n) };
}

static void
level_clear (Level *l)
{
  g_free (l->values);
  g_free (l->weights);
}

/* means of 2 × 2 pixels, by their weights */
static Level
halved (const Level *fine)
{
  Level l = level_new ((fine->width + 1) / 2, (fine->height + 1) / 2);

  for (int y = 0; y < fine->height; y++)
    for (int x = 0; x < fine->width; x++)
      {
        size_t from = (size_t) y * fine->width + x, to = (size_t) (y / 2) * l.width + x / 2;

        l.weights[to] += fine->weights[from];
        for (int c = 0; c < 3; c++)
          l.values[3 * to + c] += fine->weights[from] * fine->values[3 * from + c];
      }
  for (size_t i = 0; i < (size_t) l.width * l.height; i++)
    {
      for (int c = 0; c < 3 && l.weights[i] > 0.0f; c++)
        l.values[3 * i + c] /= l.weights[i];
      l.weights[i] = MIN (l.weights[i], 1.0f);
    }

  return l;
}

/* channel @c of @l at a place between its pixels */
static float
between (const Level *l, float x, float y, int c)
{
  const int   x0 = CLAMP ((int) floorf (x), 0, l->width - 1), x1 = MIN (x0 + 1, l->width - 1);
  const int   y0 = CLAMP ((int) floorf (y), 0, l->height - 1), y1 = MIN (y0 + 1, l->height - 1);
  const float fx = CLAMP (x - x0, 0.0f, 1.0f), fy = CLAMP (y - y0, 0.0f, 1.0f);
  const float *v = l->values + c;

  return (1 - fy) * ((1 - fx) * v[3 * ((size_t) y0 * l->width + x0)] + fx * v[3 * ((size_t) y0 * l->width + x1)]) +
         fy * ((1 - fx) * v[3 * ((size_t) y1 * l->width + x0)] + fx * v[3 * ((size_t) y1 * l->width + x1)]);
}

/* What @fine doesn't know, it takes from @coarse. */
static void
complete (Level *fine, const Level *coarse)
{
  for (int y = 0; y < fine->height; y++)
    for (int x = 0; x < fine->width; x++)
      {
        size_t i = (size_t) y * fine->width + x;

        for (int c = 0; c < 3 && fine->weights[i] < 1.0f; c++)
          fine->values[3 * i + c] = fine->weights[i] * fine->values[3 * i + c] +
                                    (1.0f - fine->weights[i]) * between (coarse, x * 0.5f - 0.25f, y * 0.5f - 0.25f, c);
      }
}

void
fb_match_seam (FbImage *picture, const FbImage *image, const float *weights, const FbHole *hole)
{
  enum { MOST = 16 };

  const size_t n       = (size_t) picture->width * picture->height;
  Level        levels[MOST];
  int          n_levels = 1;
  double       total    = 0.0;

  levels[0] = level_new (picture->width, picture->height);
  for (size_t i = 0; i < n; i++)
    {
      levels[0].weights[i] = weights[i] > 0.99f ? 1.0f : 0.0f;      /* what is half new is half another thing */
      total += levels[0].weights[i];
      for (int c = 0; c < 3; c++)
        levels[0].values[3 * i + c] = image->pixels[3 * i + c] - picture->pixels[3 * i + c];
    }
  while (n_levels < MOST && (levels[n_levels - 1].width > 1 || levels[n_levels - 1].height > 1))
    {
      levels[n_levels] = halved (&levels[n_levels - 1]);
      n_levels++;
    }

  if (total >= FB_LEAST_KNOWN && n_levels > FINEST + 1)
    {
      const float scale = 1.0f / (1 << FINEST);

      for (int k = n_levels - 2; k >= FINEST; k--)
        complete (&levels[k], &levels[k + 1]);
      for (size_t i = 0; i < n; i++)
        {
          const float x    = (i % picture->width + 0.5f) * scale - 0.5f, y = (i / picture->width + 0.5f) * scale - 0.5f;
          const float deep = hole != NULL && hole->deepest > 0.0f ? hole->depth[i] / hole->deepest : 0.0f;
          const float fade = 1.0f - deep * deep * (3.0f - 2.0f * deep);

          for (int c = 0; c < 3 && fade > 0.0f; c++)
            picture->pixels[3 * i + c] = CLAMP (picture->pixels[3 * i + c] + fade * between (&levels[FINEST], x, y, c), 0.0f, 1.0f);
        }
    }
  for (int k = 0; k < n_levels; k++)
    level_clear (&levels[k]);
}
