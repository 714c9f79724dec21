/* core/tasks/inpaint-seam.c: takes a result's local offset from its surroundings away. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>

enum { FINEST = 2 };          /* levels left out: detail smaller than 4 pixels is not an offset */

/* Code values: up to the first it counts in full, from the second on not at all */
#define FLAT_FULLY  (2.0f / 255.0f)
#define FLAT_HARDLY (8.0f / 255.0f)
#define NEAR_FULLY  (12.0f / 255.0f)
#define NEAR_HARDLY (24.0f / 255.0f)

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

/* what @fine has at (x, y), by its weight, into one value of the level above */
static void
gather (const Level *fine, int x, int y, float *value, float *weight)
{
  const size_t i = (size_t) y * fine->width + x;

  *weight += fine->weights[i];
  for (int c = 0; c < 3; c++)
    value[c] += fine->weights[i] * fine->values[3 * i + c];
}

/* means of 2 × 2 pixels, by their weights */
static Level
halved (const Level *fine)
{
  Level l = level_new ((fine->width + 1) / 2, (fine->height + 1) / 2);

#pragma omp parallel for schedule(static) if (l.height > 16)
  for (int y = 0; y < l.height; y++)
    for (int x = 0; x < l.width; x++)
      {
        const size_t to     = (size_t) y * l.width + x;
        float       *value  = l.values + 3 * to;
        float        weight = 0.0f;

        for (int fy = 2 * y; fy < MIN (2 * y + 2, fine->height); fy++)
          for (int fx = 2 * x; fx < MIN (2 * x + 2, fine->width); fx++)
            gather (fine, fx, fy, value, &weight);
        for (int c = 0; c < 3 && weight > 0.0f; c++)
          value[c] /= weight;
        l.weights[to] = MIN (weight, 1.0f);
      }

  return l;
}

/* where between two of @size numbers a coordinate lies */
typedef struct
{
  int   low, high;
  float part;
} Between;

static Between
between_new (float at, int size)
{
  const int low = CLAMP ((int) at - (at < 0.0f), 0, size - 1);

  return (Between) { low, MIN (low + 1, size - 1), CLAMP (at - low, 0.0f, 1.0f) };
}

/* the three channels of @l at a place between its pixels */
static void
look_up (const Level *l, const Between *x, const Between *y, float *value)
{
  const float *top    = l->values + 3 * (size_t) y->low * l->width;
  const float *bottom = l->values + 3 * (size_t) y->high * l->width;

  for (int c = 0; c < 3; c++)
    value[c] = (1 - y->part) * ((1 - x->part) * top[3 * x->low + c] + x->part * top[3 * x->high + c]) +
               y->part * ((1 - x->part) * bottom[3 * x->low + c] + x->part * bottom[3 * x->high + c]);
}

/* What @fine doesn't know, it takes from @coarse. */
static void
complete (Level *fine, const Level *coarse)
{
#pragma omp parallel for schedule(static) if (fine->height > 16)
  for (int y = 0; y < fine->height; y++)
    {
      const Between down = between_new (y * 0.5f - 0.25f, coarse->height);

      for (int x = 0; x < fine->width; x++)
        {
          const size_t  i     = (size_t) y * fine->width + x;
          const Between along = between_new (x * 0.5f - 0.25f, coarse->width);
          float         value[3];

          if (fine->weights[i] >= 1.0f)
            continue;
          look_up (coarse, &along, &down, value);
          for (int c = 0; c < 3; c++)
            fine->values[3 * i + c] = fine->weights[i] * fine->values[3 * i + c] + (1.0f - fine->weights[i]) * value[c];
        }
    }
}

/* 1 up to @fully, 0 from @hardly on */
static float
falling (float value, float fully, float hardly)
{
  return CLAMP ((hardly - value) / (hardly - fully), 0.0f, 1.0f);
}

/* how much @image differs from (x, y) to @reach pixels from there, in any channel */
static float
unevenness (const FbImage *image, int x, int y, int reach)
{
  const int    xs[] = { MAX (x - reach, 0), MIN (x + reach, image->width - 1), x, x };
  const int    ys[] = { y, y, MAX (y - reach, 0), MIN (y + reach, image->height - 1) };
  const float *here = image->pixels + 3 * ((size_t) y * image->width + x);
  float        most = 0.0f;

  for (int k = 0; k < 4; k++)
    for (int c = 0; c < 3; c++)
      most = MAX (most, fabsf (image->pixels[3 * ((size_t) ys[k] * image->width + xs[k]) + c] - here[c]));

  return most;
}

/* How much the offset of @difference says of a pixel that is new in part only. Beside something with detail, what is new is another thing. Beside what is
 * flat it is to go on, and does but for a shade; if it is far off, it is a thing again, unless there are to be none. */
static float
trust (const FbImage *image, int x, int y, const float *difference, gboolean goes_on)
{
  const float far = MAX (MAX (fabsf (difference[0]), fabsf (difference[1])), fabsf (difference[2]));

  return falling (MAX (unevenness (image, x, y, 1), unevenness (image, x, y, 4)), FLAT_FULLY, FLAT_HARDLY) *
         (goes_on ? 1.0f : falling (far, NEAR_FULLY, NEAR_HARDLY));
}

/* (transfer full): what is known of the offset between @image and @picture; @total: pixels' worth of it */
static Level
known_offset (const FbImage *image, const FbImage *picture, const float *weights, gboolean goes_on, double *total)
{
  Level  l = level_new (picture->width, picture->height);
  size_t n_known = 0;

#pragma omp parallel for schedule(static) reduction(+ : n_known)
  for (int y = 0; y < l.height; y++)
    for (int x = 0; x < l.width; x++)
      {
        const size_t  i     = (size_t) y * l.width + x;
        float        *value = l.values + 3 * i;

        for (int c = 0; c < 3; c++)
          value[c] = image->pixels[3 * i + c] - picture->pixels[3 * i + c];
        l.weights[i] = weights[i] > FB_WHOLLY_KNOWN ? 1.0f : weights[i] > 0.0f ? weights[i] * trust (image, x, y, value, goes_on) : 0.0f;
        n_known     += weights[i] > FB_WHOLLY_KNOWN;
      }
  *total = n_known;

  return l;
}

/* Adds @offset, whose pixels are @scale times as wide; one row of @picture. */
static void
add_row (const Level *offset, float scale, const FbHole *hole, int y, FbImage *picture)
{
  const Between down = between_new ((y + 0.5f) * scale - 0.5f, offset->height);

  for (int x = 0; x < picture->width; x++)
    {
      const size_t  i     = (size_t) y * picture->width + x;
      const Between along = between_new ((x + 0.5f) * scale - 0.5f, offset->width);
      const float   deep  = hole != NULL && hole->deepest > 0.0f ? hole->depth[i] / hole->deepest : 0.0f;
      const float   fade  = 1.0f - deep * deep * (3.0f - 2.0f * deep);
      float         value[3];

      if (fade <= 0.0f)
        continue;
      look_up (offset, &along, &down, value);
      for (int c = 0; c < 3; c++)
        picture->pixels[3 * i + c] = CLAMP (picture->pixels[3 * i + c] + fade * value[c], 0.0f, 1.0f);
    }
}

void
fb_match_seam (FbImage *picture, const FbImage *image, const float *weights, const FbHole *hole, gboolean goes_on)
{
  enum { MOST = 16 };

  Level  levels[MOST];
  int    n_levels = 1;
  double total    = 0.0;

  levels[0] = known_offset (image, picture, weights, goes_on, &total);
  while (n_levels < MOST && (levels[n_levels - 1].width > 1 || levels[n_levels - 1].height > 1))
    {
      levels[n_levels] = halved (&levels[n_levels - 1]);
      n_levels++;
    }

  if (total >= FB_LEAST_KNOWN && n_levels > FINEST + 1)
    {
      for (int k = n_levels - 2; k >= FINEST; k--)
        complete (&levels[k], &levels[k + 1]);
#pragma omp parallel for schedule(static)
      for (int y = 0; y < picture->height; y++)
        add_row (&levels[FINEST], 1.0f / (1 << FINEST), hole, y, picture);
    }
  for (int k = 0; k < n_levels; k++)
    level_clear (&levels[k]);
}
