/* core/tasks/inpaint-match.c: brings a result's colours to its surroundings'. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include <math.h>

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

static void
rgb_to_lab (const float *rgb, float *lab)
{
  float linear[3], f[3];

  for (int c = 0; c < 3; c++)
    {
      float v = CLAMP (rgb[c], 0.0f, 1.0f);

      linear[c] = v <= 0.04045f ? v / 12.92f : powf ((v + 0.055f) / 1.055f, 2.4f);
    }
  for (int c = 0; c < 3; c++)
    {
      float t = (to_xyz[c][0] * linear[0] + to_xyz[c][1] * linear[1] + to_xyz[c][2] * linear[2]) / white[c];

      f[c] = t > 0.008856452f ? cbrtf (t) : 7.787037f * t + 4.0f / 29.0f;
    }
  lab[0] = 116.0f * f[1] - 16.0f;
  lab[1] = 500.0f * (f[0] - f[1]);
  lab[2] = 200.0f * (f[1] - f[2]);
}

static void
lab_to_rgb (const float *lab, float *rgb)
{
  float y = (lab[0] + 16.0f) / 116.0f;
  float f[3] = { y + lab[1] / 500.0f, y, y - lab[2] / 200.0f };
  float xyz[3];

  for (int c = 0; c < 3; c++)
    xyz[c] = white[c] * (f[c] > 6.0f / 29.0f ? f[c] * f[c] * f[c] : (f[c] - 4.0f / 29.0f) / 7.787037f);
  for (int c = 0; c < 3; c++)
    {
      float v = from_xyz[c][0] * xyz[0] + from_xyz[c][1] * xyz[1] + from_xyz[c][2] * xyz[2];

      v      = CLAMP (v, 0.0f, 1.0f);
      rgb[c] = v <= 0.0031308f ? v * 12.92f : 1.055f * powf (v, 1.0f / 2.4f) - 0.055f;
    }
}

/* weighted, per channel: Σ w x / Σ w, and the root of Σ w (x − mean)² / Σ w */
static double
statistics (const FbImage *image, const float *weights, double *mean, double *deviation)
{
  size_t n = (size_t) image->width * image->height;
  double sum[3] = { 0.0 }, squares[3] = { 0.0 }, total = 0.0;

  for (size_t i = 0; i < n; i++)
    if (weights[i] > 0.0f)
      {
        float lab[3];

        rgb_to_lab (image->pixels + 3 * i, lab);
        total += weights[i];
        for (int c = 0; c < 3; c++)
          {
            sum[c]     += (double) weights[i] * lab[c];
            squares[c] += (double) weights[i] * lab[c] * lab[c];
          }
      }
  for (int c = 0; c < 3 && total > 0.0; c++)
    {
      mean[c]      = sum[c] / total;
      deviation[c] = sqrt (MAX (squares[c] / total - mean[c] * mean[c], 0.0));
    }

  return total;
}

void
fb_match_colours (FbImage *picture, const FbImage *image, const float *weights, const FbHole *hole)
{
  size_t n = (size_t) picture->width * picture->height;
  double mean[3], deviation[3], wanted[3], spread[3], gain[3];

  if (statistics (image, weights, wanted, spread) < FB_LEAST_KNOWN || statistics (picture, weights, mean, deviation) < FB_LEAST_KNOWN)
    return;

  for (int c = 0; c < 3; c++)
    gain[c] = deviation[c] > 1e-3 ? CLAMP (spread[c] / deviation[c], LEAST_GAIN, MOST_GAIN) : 1.0;
  for (size_t i = 0; i < n; i++)
    {
      float deep = hole != NULL && hole->deepest > 0.0f ? hole->depth[i] / hole->deepest : 0.0f;
      float fade = 1.0f - deep * deep * (3.0f - 2.0f * deep);
      float lab[3], rgb[3];

      rgb_to_lab (picture->pixels + 3 * i, lab);
      for (int c = 0; c < 3; c++)
        lab[c] = (lab[c] - mean[c]) * gain[c] + wanted[c];
      lab_to_rgb (lab, rgb);
      for (int c = 0; c < 3; c++)
        picture->pixels[3 * i + c] += fade * (rgb[c] - picture->pixels[3 * i + c]);
    }
}
