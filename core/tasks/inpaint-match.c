/* core/tasks/inpaint-match.c: brings a result's colours to its surroundings'. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>

#include "core/image/curve.h"
#include "core/image/wide.h"

#define LEAST_GAIN   0.8
#define MOST_GAIN    1.25

/* white of D65 in XYZ, as the sRGB primaries give it */
static const float white[3] = { 0.95047f, 1.0f, 1.08883f };

static const float to_xyz[3][3] =
{
  { 0.4124564f, 0.3575761f, 0.1804375f },
  { 0.2126729f, 0.7151522f, 0.0721750f },
  { 0.0193339f, 0.1191920f, 0.9503041f },
};

static const float from_xyz[3][3] =
{
  {  3.2404542f, -1.5371385f, -0.4985314f },
  { -0.9692660f,  1.8760108f,  0.0415560f },
  {  0.0556434f, -0.2040259f,  1.0572252f },
};

/* Some pixels, a channel at a time, so that a processor does several of them at once */
#define CHUNK 256
typedef float Planes[3][CHUNK];

FB_WIDE static void
rgb_to_lab (const float *rgb, int n, Planes lab)
{
  Planes linear;

  for (int i = 0; i < n; i++)
    for (int c = 0; c < 3; c++)
      lab[c][i] = MIN (MAX (rgb[3 * i + c], 0.0f), 1.0f);
  for (int c = 0; c < 3; c++)
    {
#pragma omp simd
      for (int i = 0; i < n; i++)
        linear[c][i] = fb_to_linear (lab[c][i]);
    }
  for (int c = 0; c < 3; c++)
    {
#pragma omp simd
      for (int i = 0; i < n; i++)
        {
          float t = (to_xyz[c][0] * linear[0][i] + to_xyz[c][1] * linear[1][i] + to_xyz[c][2] * linear[2][i]) / white[c];
          float f = fb_cube_root (MAX (t, 0.008856452f));

          lab[c][i] = t > 0.008856452f ? f : 7.787037f * t + 4.0f / 29.0f;
        }
    }
#pragma omp simd
  for (int i = 0; i < n; i++)
    {
      float x = lab[0][i], y = lab[1][i], z = lab[2][i];

      lab[0][i] = 116.0f * y - 16.0f;
      lab[1][i] = 500.0f * (x - y);
      lab[2][i] = 200.0f * (y - z);
    }
}

/* @lab becomes RGB. */
FB_WIDE static void
lab_to_rgb (Planes lab, int n)
{
  Planes xyz;

#pragma omp simd
  for (int i = 0; i < n; i++)
    {
      float y = (lab[0][i] + 16.0f) / 116.0f;

      xyz[0][i] = y + lab[1][i] / 500.0f;
      xyz[1][i] = y;
      xyz[2][i] = y - lab[2][i] / 200.0f;
    }
  for (int c = 0; c < 3; c++)
    {
#pragma omp simd
      for (int i = 0; i < n; i++)
        {
          float f = xyz[c][i];

          xyz[c][i] = white[c] * (f > 6.0f / 29.0f ? f * f * f : (f - 4.0f / 29.0f) / 7.787037f);
        }
    }
  for (int c = 0; c < 3; c++)
    {
#pragma omp simd
      for (int i = 0; i < n; i++)
        {
          float v = from_xyz[c][0] * xyz[0][i] + from_xyz[c][1] * xyz[1][i] + from_xyz[c][2] * xyz[2][i];

          lab[c][i] = fb_from_linear (MIN (MAX (v, 0.0f), 1.0f));      /* not CLAMP(): GCC makes no vectors of that */
        }
    }
}

typedef struct
{
  double total, sum[3], squares[3];
} Sums;

/* of @n pixels */
static void
add_up (const float *rgb, const float *weights, int n, Sums *sums)
{
  Planes lab;

  rgb_to_lab (rgb, n, lab);
  for (int i = 0; i < n; i++)
    {
      sums->total += weights[i];
      for (int c = 0; c < 3; c++)
        {
          sums->sum[c]     += (double) weights[i] * lab[c][i];
          sums->squares[c] += (double) weights[i] * lab[c][i] * lab[c][i];
        }
    }
}

static gboolean
any (const float *weights, int n)
{
  for (int i = 0; i < n; i++)
    if (weights[i] > 0.0f)
      return TRUE;
  return FALSE;
}

/* weighted, per channel: Σ w x / Σ w, and the root of Σ w (x − mean)² / Σ w. Each chunk has sums of its own, which are added in their order, so that
 * the number of threads doesn't matter. */
static double
statistics (const FbImage *image, const float *weights, double *mean, double *deviation)
{
  const size_t     n        = (size_t) image->width * image->height;
  const int        n_chunks = (int) ((n + CHUNK - 1) / CHUNK);
  g_autofree Sums *sums     = g_new0 (Sums, n_chunks);
  Sums             all      = { 0.0 };

#pragma omp parallel for schedule(static)
  for (int k = 0; k < n_chunks; k++)
    {
      const size_t from = (size_t) k * CHUNK;
      const int    m    = (int) MIN (CHUNK, n - from);

      if (any (weights + from, m))
        add_up (image->pixels + 3 * from, weights + from, m, &sums[k]);
    }
  for (int k = 0; k < n_chunks; k++)
    {
      all.total += sums[k].total;
      for (int c = 0; c < 3; c++)
        {
          all.sum[c]     += sums[k].sum[c];
          all.squares[c] += sums[k].squares[c];
        }
    }
  for (int c = 0; c < 3 && all.total > 0.0; c++)
    {
      mean[c]      = all.sum[c] / all.total;
      deviation[c] = sqrt (MAX (all.squares[c] / all.total - mean[c] * mean[c], 0.0));
    }

  return all.total;
}

/* what each channel of CIE Lab is multiplied with, and what is added then */
typedef struct
{
  float gain[3], offset[3];
} Change;

/* @depth: of the first pixel in the hole, or NULL; the change fades to nothing at @deepest */
static void
change_some (const Change *change, const float *depth, float deepest, int n, float *rgb)
{
  Planes lab;

  rgb_to_lab (rgb, n, lab);
  for (int c = 0; c < 3; c++)
    {
#pragma omp simd
      for (int i = 0; i < n; i++)
        lab[c][i] = lab[c][i] * change->gain[c] + change->offset[c];
    }
  lab_to_rgb (lab, n);
  for (int i = 0; i < n; i++)
    {
      float deep = depth != NULL ? depth[i] / deepest : 0.0f;
      float fade = 1.0f - deep * deep * (3.0f - 2.0f * deep);

      for (int c = 0; c < 3; c++)
        rgb[3 * i + c] += fade * (lab[c][i] - rgb[3 * i + c]);
    }
}

void
fb_match_colours (FbImage *picture, const FbImage *image, const float *weights, const FbHole *hole)
{
  const size_t n     = (size_t) picture->width * picture->height;
  const float *depth = hole != NULL && hole->deepest > 0.0f ? hole->depth : NULL;
  Change       change;
  double       mean[3], deviation[3], wanted[3], spread[3];

  if (statistics (image, weights, wanted, spread) < FB_LEAST_KNOWN || statistics (picture, weights, mean, deviation) < FB_LEAST_KNOWN)
    return;

  for (int c = 0; c < 3; c++)
    {
      double gain = deviation[c] > 1e-3 ? CLAMP (spread[c] / deviation[c], LEAST_GAIN, MOST_GAIN) : 1.0;

      change.gain[c]   = gain;
      change.offset[c] = wanted[c] - mean[c] * gain;
    }
#pragma omp parallel for schedule(static)
  for (size_t from = 0; from < n; from += CHUNK)
    change_some (&change, depth != NULL ? depth + from : NULL, hole != NULL ? hole->deepest : 0.0f, (int) MIN (CHUNK, n - from),
                 picture->pixels + 3 * from);
}
