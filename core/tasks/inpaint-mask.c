/* core/tasks/inpaint-mask.c: two masks from one: what is drawn anew, and what is shown of it. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>
#include <string.h>

#include "core/image/wide.h"

/* --- distance ------------------------------------------------------------------------------------------------------------ */

/* Room for the lower envelope of n parabolas */
typedef struct
{
  int   *where;               /* [n] of each parabola's lowest point */
  float *from;                /* [n + 1] where it begins to be the lowest */
  float *row;                 /* [n] */
} Envelope;

static void
envelope_init (Envelope *e, int n)
{
  e->where = g_new (int, n);
  e->from  = g_new (float, n + 1);
  e->row   = g_new (float, n);
}

static void
envelope_clear (Envelope *e)
{
  g_free (e->where);
  g_free (e->from);
  g_free (e->row);
}

/* what lies from @from up to @to of a row, with zeros where @left and @right say, at most as far apart as @most says */
static void
fill_gap (float *f, int from, int to, gboolean left, gboolean right, float most)
{
  const int before = from - 1;

  for (int p = from; p < to; p++)
    {
      const float a = left ? p - before : INFINITY;
      const float b = right ? to - p : INFINITY;
      const float d = MIN (a, b);

      f[p] = MIN (d * d, most);
    }
}

/* the same for a row of nothing but 0 and @most */
static void
sweep_row (float *f, int n, float most)
{
  for (int p = 0; p < n; )
    {
      int end = p;

      while (end < n && f[end] > 0.0f)
        end++;
      if (end > p)
        fill_gap (f, p, end, p > 0, end < n, most);
      p = end + 1;
    }
}

static gboolean
is_binary (const float *f, int n, float most)
{
  for (int p = 0; p < n; p++)
    if (f[p] > 0.0f && f[p] < most)
      return FALSE;
  return TRUE;
}

/* f[p] = the least, over all q, of f[q] + (p − q)² */
static void
transform_row (float *f, int n, float most, Envelope *e)
{
  int k     = -1;
  int first = 0;

  while (first < n && f[first] >= most)                         /* nothing near: as it was */
    first++;
  if (first == n)
    return;
  if (is_binary (f, n, most))
    {
      sweep_row (f, n, most);
      return;
    }

  for (int q = 0; q < n; q++)
    {
      double start = -INFINITY;

      if (k >= 0 && q > 0 && q + 1 < n && f[q] == f[q - 1] && f[q] == f[q + 1])
        continue;                                               /* within a plain, the parabolas of its rim do for all others; itself is seen to below */
      while (k >= 0)
        {
          int r = e->where[k];

          start = (((double) f[q] - f[r]) + ((double) q * q - (double) r * r)) / (2.0 * (q - r));
          if (start > e->from[k])
            break;
          k--;
          start = -INFINITY;
        }
      e->where[++k] = q;
      e->from[k]    = start;
    }
  e->from[k + 1] = INFINITY;

  for (int p = 0, i = 0; p < n; p++)
    {
      float d;

      if (f[p] <= 0.0f)
        {
          e->row[p] = 0.0f;
          continue;
        }
      while (e->from[i + 1] < p)
        i++;
      d         = p - e->where[i];
      e->row[p] = MIN (f[p], f[e->where[i]] + d * d);
    }
  memcpy (f, e->row, n * sizeof (float));
}

/* [height, width] -> [width, height], in blocks that stay in the cache */
static void
transpose (const float *in, int width, int height, float *out)
{
  enum { BLOCK = 32 };

#pragma omp parallel for schedule(static)
  for (int y0 = 0; y0 < height; y0 += BLOCK)
    for (int x0 = 0; x0 < width; x0 += BLOCK)
      for (int y = y0; y < MIN (y0 + BLOCK, height); y++)
        for (int x = x0; x < MIN (x0 + BLOCK, width); x++)
          out[(size_t) x * height + y] = in[(size_t) y * width + x];
}

/* each of @n_rows rows of @n */
static void
transform_rows (float *square, int n, int n_rows, float most)
{
#pragma omp parallel
  {
    Envelope envelope;

    envelope_init (&envelope, n);
#pragma omp for schedule(dynamic, 16)
    for (int y = 0; y < n_rows; y++)
      transform_row (square + (size_t) y * n, n, most, &envelope);
    envelope_clear (&envelope);
  }
}

enum { COLUMNS = 64 };        /* at once: a processor does several at a time, and four lines of the cache are read of each row */

/* @n columns side by side, of nothing but 0 and @most, in @n_rows rows that are @width apart */
FB_WIDE static void
sweep_columns (float *square, int width, int n, int n_rows, float most)
{
  float d[COLUMNS];

  for (int x = 0; x < n; x++)
    d[x] = INFINITY;
  for (int y = 0; y < n_rows; y++)
    {
      float *row = square + (size_t) y * width;

#pragma omp simd
      for (int x = 0; x < n; x++)
        {
          d[x]   = row[x] > 0.0f ? d[x] + 1.0f : 0.0f;
          row[x] = MIN (d[x] * d[x], most);
        }
    }
  for (int x = 0; x < n; x++)
    d[x] = INFINITY;
  for (int y = n_rows - 1; y >= 0; y--)
    {
      float *row = square + (size_t) y * width;

#pragma omp simd
      for (int x = 0; x < n; x++)
        {
          d[x]   = row[x] > 0.0f ? d[x] + 1.0f : 0.0f;
          row[x] = MIN (d[x] * d[x], row[x]);
        }
    }
}

/* each of @width columns of a mask of 0 and 1 */
static void
transform_columns (float *square, int width, int height, float most)
{
#pragma omp parallel for schedule(static)
  for (int x = 0; x < width; x += COLUMNS)
    sweep_columns (square + x, width, MIN (COLUMNS, width - x), height, most);
}

float *
fb_mask_distance (const float *mask, int width, int height, float reach)
{
  const size_t n        = (size_t) width * height;
  float       *square   = g_new (float, n);
  const float  most     = reach * reach;
  size_t       n_partly = 0;

#pragma omp parallel for simd schedule(static) reduction(+ : n_partly)
  for (size_t i = 0; i < n; i++)
    {
      square[i] = most * (1.0f - mask[i]);
      n_partly += mask[i] > 0.0f && mask[i] < 1.0f;
    }

  if (n_partly == 0)
    transform_columns (square, width, height, most);
  else
    {
      g_autofree float *turned = g_new (float, n);

      transpose (square, width, height, turned);
      transform_rows (turned, height, width, most);
      transpose (turned, height, width, square);
    }
  transform_rows (square, width, height, most);

#pragma omp parallel for simd schedule(static)
  for (size_t i = 0; i < n; i++)
    square[i] = sqrtf (square[i]);

  return square;
}

/* --- masks --------------------------------------------------------------------------------------------------------------- */

gboolean
fb_mask_bounds (const FbImage *mask, FbRect *bounds)
{
  int left = mask->width, right = -1, top = mask->height, bottom = -1;

#pragma omp parallel for schedule(static) reduction(min : left, top) reduction(max : right, bottom)
  for (int y = 0; y < mask->height; y++)
    {
      const float *row   = mask->pixels + (size_t) y * mask->width;
      int          first = 0, last = mask->width - 1;

      while (first <= last && row[first] <= 0.0f)
        first++;
      if (first > last)
        continue;
      while (row[last] <= 0.0f)
        last--;
      left   = MIN (left, first);
      right  = MAX (right, last);
      top    = MIN (top, y);
      bottom = MAX (bottom, y);
    }
  if (right < 0)
    return FALSE;

  *bounds = (FbRect) { left, top, right + 1 - left, bottom + 1 - top };
  return TRUE;
}

static FbImage *
copy_mask (const FbImage *mask)
{
  const size_t  w    = mask->width;
  FbImage      *copy = fb_image_new (mask->width, mask->height, 1);

#pragma omp parallel for schedule(static)
  for (int y = 0; y < (copy != NULL ? mask->height : 0); y++)
    memcpy (copy->pixels + y * w, mask->pixels + y * w, w * sizeof (float));

  return copy;
}

/* One row: @out becomes at least 1 up to @inner and 0 from @outer on, a quintic in between, whose first pixel shows less than a cubic's: beside a flat
 * surface, a step of one code value is seen. */
FB_WIDE static void
raise_row (const float *distance, float inner, float outer, int n, float *out)
{
  const float width = MAX (outer - inner, 1e-30f);              /* distances end at the outer one, even where both are the same */

#pragma omp simd
  for (int x = 0; x < n; x++)
    {
      const float t = MIN (MAX ((outer - distance[x]) / width, 0.0f), 1.0f);
      const float r = t * t * t * (10.0f + t * (6.0f * t - 15.0f));

      out[x] = MAX (out[x], MIN (r, 1.0f));
    }
}

/* (transfer full): what @r has of @mask */
static float *
part_of (const FbImage *mask, FbRect r)
{
  float *part = g_new (float, (size_t) r.width * r.height);

  for (int y = 0; y < r.height; y++)
    memcpy (part + (size_t) y * r.width, mask->pixels + (size_t) (r.y + y) * mask->width + r.x, r.width * sizeof (float));
  return part;
}

void
fb_mask_grow (const FbImage *mask, const FbRamps *ramps, FbImage **denoise, FbImage **composite)
{
  g_autofree float *part     = NULL;
  g_autofree float *distance = NULL;
  FbRect            r;

  *denoise   = copy_mask (mask);
  *composite = copy_mask (mask);
  if (*denoise == NULL || *composite == NULL || ramps->outer <= 0 || !fb_mask_bounds (mask, &r))
    return;

  r = fb_rect_grown (r, ramps->outer, mask->width, mask->height);                            /* the rest stays 0, at no cost */
  if (r.width < mask->width || r.height < mask->height)
    part = part_of (mask, r);
  distance = fb_mask_distance (part != NULL ? part : mask->pixels, r.width, r.height, ramps->outer);

#pragma omp parallel for schedule(static)
  for (int y = 0; y < r.height; y++)
    {
      const size_t to = (size_t) (r.y + y) * mask->width + r.x;

      raise_row (distance + (size_t) y * r.width, ramps->inner, ramps->outer, r.width, (*denoise)->pixels + to);
      raise_row (distance + (size_t) y * r.width, ramps->blend_inner, ramps->outer, r.width, (*composite)->pixels + to);
    }
}
