/* core/tasks/inpaint-fill.c: what stands in the hole before the network begins. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>
#include <string.h>

#define NEUTRAL 0.5f

FbHole *
fb_hole_new (const float *mask, int width, int height)
{
  FbHole           *self    = g_new0 (FbHole, 1);
  size_t            n       = (size_t) width * height;
  g_autofree float *outside = g_new (float, n);

  for (size_t i = 0; i < n; i++)
    outside[i] = mask[i] > 0.99f ? 0.0f : 1.0f;
  self->width  = width;
  self->height = height;
  self->depth  = fb_mask_distance (outside, width, height, hypotf (width, height));
  for (size_t i = 0; i < n; i++)
    self->deepest = MAX (self->deepest, self->depth[i]);

  return self;
}

void
fb_hole_free (FbHole *self)
{
  g_free (self->depth);
  g_free (self);
}

/* --- border -------------------------------------------------------------------------------------------------------------- */

enum { REACH = 4 };                     /* pixels around that a pixel looks at */

/* (transfer full): indices of the hole's pixels, from its border inwards; of equal depth in the order of the rows */
static guint *
inwards (const FbHole *hole, size_t *n_pixels)
{
  size_t           n       = (size_t) hole->width * hole->height;
  size_t           n_bins  = (size_t) (hole->deepest * 4.0f) + 2;
  g_autofree guint *ends   = g_new0 (guint, n_bins + 1);
  guint           *order;

  for (size_t i = 0; i < n; i++)
    if (hole->depth[i] > 0.0f)
      ends[(size_t) (hole->depth[i] * 4.0f) + 1]++;
  for (size_t k = 1; k <= n_bins; k++)
    ends[k] += ends[k - 1];
  *n_pixels = ends[n_bins];

  order = g_new (guint, *n_pixels + 1);
  for (size_t i = 0; i < n; i++)
    if (hole->depth[i] > 0.0f)
      order[ends[(size_t) (hole->depth[i] * 4.0f)]++] = i;
  return order;
}

/* the way inwards at (x, y): the depth's gradient */
static void
direction (const FbHole *hole, int x, int y, float *nx, float *ny)
{
  const float *depth = hole->depth;
  int          w     = hole->width;

  *nx = depth[(size_t) y * w + MIN (x + 1, w - 1)] - depth[(size_t) y * w + MAX (x - 1, 0)];
  *ny = depth[(size_t) MIN (y + 1, hole->height - 1) * w + x] - depth[(size_t) MAX (y - 1, 0) * w + x];
}

/* of a pixel's neighbours within reach: 1 / distance and its square; 0 beyond */
typedef struct
{
  float near[2 * REACH + 1][2 * REACH + 1], nearer[2 * REACH + 1][2 * REACH + 1];
} Nearness;

static void
nearness_init (Nearness *n)
{
  for (int dy = -REACH; dy <= REACH; dy++)
    for (int dx = -REACH; dx <= REACH; dx++)
      {
        const float square = dx * dx + dy * dy;

        n->nearer[dy + REACH][dx + REACH] = square > 0.0f && square <= REACH * REACH ? 1.0f / square : 0.0f;
        n->near[dy + REACH][dx + REACH]   = sqrtf (n->nearer[dy + REACH][dx + REACH]);
      }
}

static void
spread_one (const FbHole *hole, const Nearness *nearness, const guint8 *known, int x, int y, float *pixels)
{
  const int   w      = hole->width;
  const float here   = hole->depth[(size_t) y * w + x];
  float       sum[3] = { 0.0f }, total = 0.0f;
  float       nx, ny;

  direction (hole, x, y, &nx, &ny);
  for (int qy = MAX (y - REACH, 0); qy <= MIN (y + REACH, hole->height - 1); qy++)
    for (int qx = MAX (x - REACH, 0); qx <= MIN (x + REACH, w - 1); qx++)
      {
        size_t q  = (size_t) qy * w + qx;
        float  dx = x - qx, dy = y - qy;
        float  nearer = nearness->nearer[qy - y + REACH][qx - x + REACH];
        float  weight;

        if (!known[q] || nearer <= 0.0f)
          continue;
        weight = (fabsf (dx * nx + dy * ny) * nearness->near[qy - y + REACH][qx - x + REACH] + 0.01f) * nearer /
                 (1.0f + fabsf (here - hole->depth[q]));
        total += weight;
        for (int c = 0; c < 3; c++)
          sum[c] += weight * pixels[3 * q + c];
      }
  for (int c = 0; c < 3; c++)
    pixels[3 * ((size_t) y * w + x) + c] = total > 0.0f ? sum[c] / total : NEUTRAL;
}

void
fb_spread_inwards (const FbHole *hole, FbImage *image)
{
  size_t             n        = (size_t) hole->width * hole->height;
  g_autofree guint8 *known    = g_new (guint8, n);
  size_t             n_pixels = 0;
  g_autofree guint  *order    = inwards (hole, &n_pixels);
  Nearness           nearness;

  nearness_init (&nearness);
  for (size_t i = 0; i < n; i++)
    known[i] = hole->depth[i] <= 0.0f && n_pixels < n;
  for (size_t k = 0; k < n_pixels; k++)
    {
      spread_one (hole, &nearness, known, order[k] % hole->width, order[k] / hole->width, image->pixels);
      known[order[k]] = n_pixels < n;
    }
}

/* --- blur ---------------------------------------------------------------------------------------------------------------- */

/* One pass over a row: means over @radius to both sides, by running sums; the ends are repeated. [n, 3] */
static void
blur_pass (const float *in, int n, int radius, float *out)
{
  const float share  = 1.0f / (2 * radius + 1);
  double      sum[3] = { 0.0 };

  for (int k = -radius; k <= radius; k++)
    for (int c = 0; c < 3; c++)
      sum[c] += in[3 * CLAMP (k, 0, n - 1) + c];
  for (int x = 0; x < n; x++)
    for (int c = 0; c < 3; c++)
      {
        out[3 * x + c] = sum[c] * share;
        sum[c] += (double) in[3 * MIN (x + radius + 1, n - 1) + c] - in[3 * MAX (x - radius, 0) + c];
      }
}

/* Rows, blurred by a box as wide as @radius per side three times over, which is close to a Gaussian of σ = radius. [n_rows, n, 3] */
static void
blur_rows (float *pixels, int n, int n_rows, int radius)
{
#pragma omp parallel
  {
    g_autofree float *one   = g_new (float, 3 * (size_t) n);
    g_autofree float *other = g_new (float, 3 * (size_t) n);

#pragma omp for schedule(static)
    for (int y = 0; y < n_rows; y++)
      {
        float *row = pixels + (size_t) y * n * 3;

        blur_pass (row, n, radius, one);
        blur_pass (one, n, radius, other);
        blur_pass (other, n, radius, row);
      }
  }
}

static void
turn (const float *in, int width, int height, float *out)
{
  enum { BLOCK = 16 };

#pragma omp parallel for schedule(static)
  for (int y0 = 0; y0 < height; y0 += BLOCK)
    for (int x = 0; x < width; x++)
      for (int y = y0; y < MIN (y0 + BLOCK, height); y++)
        memcpy (out + ((size_t) x * height + y) * 3, in + ((size_t) y * width + x) * 3, 3 * sizeof (float));
}

static void
blur (FbImage *image, int radius)
{
  const int         w = image->width, h = image->height;
  g_autofree float *turned = g_new (float, (size_t) w * h * 3);

  blur_rows (image->pixels, w, h, radius);
  turn (image->pixels, w, h, turned);
  blur_rows (turned, h, w, radius);
  turn (turned, h, w, image->pixels);
}

/* --- all of them --------------------------------------------------------------------------------------------------------- */

/* Mixes @other into @image's hole, fully from @fall pixels inside on. */
static void
mix (const FbHole *hole, const FbImage *other, double amount, float fall, FbImage *image)
{
  size_t n = (size_t) hole->width * hole->height;

  for (size_t i = 0; i < n; i++)
    if (hole->depth[i] > 0.0f)
      {
        float t = fall > 0.0f ? MIN (hole->depth[i] / fall, 1.0f) : 1.0f;

        t *= t * (3.0f - 2.0f * t);
        for (int c = 0; c < 3; c++)
          image->pixels[3 * i + c] += amount * t * ((other != NULL ? other->pixels[3 * i + c] : NEUTRAL) - image->pixels[3 * i + c]);
      }
}

static FbImage *
copy_rgb (const FbImage *image)
{
  FbImage *copy = fb_image_new (image->width, image->height, 3);

  if (copy != NULL)
    memcpy (copy->pixels, image->pixels, fb_image_n_bytes (image));
  return copy;
}

void
fb_hole_fill (const FbHole *hole, FbInpaintFill fill, double amount, gboolean sharp, FbImage *image)
{
  const double       unit  = sqrt ((double) image->width * image->height) / 512.0;     /* widths are meant for 512 × 512 */
  g_autoptr(FbImage) other = NULL;

  if (hole->deepest <= 0.0f || amount <= 0.0)
    return;

  switch (fill)
    {
    case FB_FILL_NEUTRAL:
      mix (hole, NULL, amount, sharp ? 0.0f : 9.0f * unit, image);
      break;

    case FB_FILL_BLUR:
      other = copy_rgb (image);
      if (other != NULL)
        {
          blur (other, MAX (1, (int) rint (11.0 * unit)));
          mix (hole, other, amount, 9.0f * unit, image);
        }
      break;

    case FB_FILL_BORDER:
      other = copy_rgb (image);
      if (other != NULL)
        {
          fb_spread_inwards (hole, other);
          mix (hole, other, amount, 0.0f, image);
          blur (other, MAX (1, (int) rint (11.0 * unit)));          /* streaks end away from the border */
          mix (hole, other, amount, 18.0f * unit, image);
        }
      break;

    case FB_FILL_AUTO:
    case FB_FILL_ORIGINAL:
    case FB_FILL_NOISE:
      break;
    }
}
