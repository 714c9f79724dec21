/* core/models/linear-preview.c: latents to colours by one matrix. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/linear-preview.h"

#include <math.h>

#define SIZE  FB_LINEAR_PREVIEW_SIZE
#define PATCH 16                          /* pixels; a latent pixel or more inside each */
#define RIDGE 1e-3

/* Element @i of the sequence that fills the unit interval evenly in base @base; van der Corput, 1935 */
static double
radical_inverse (int i, int base)
{
  double value = 0.0, digit = 1.0 / base;

  for (; i > 0; i /= base, digit /= base)
    value += digit * (i % base);

  return value;
}

void
fb_linear_preview_chart (float *pixels)
{
  static const int bases[] = { 2, 3, 5 };
  const int        n       = SIZE / PATCH;

  for (int y = 0; y < SIZE; y++)
    for (int x = 0; x < SIZE; x++)
      for (int c = 0; c < 3; c++)
        {
          const int    patch  = y / PATCH * n + x / PATCH;
          const double colour = 2.0 * radical_inverse (patch + 1, bases[c]) - 1.0;
          const double slope  = ((x % PATCH) + (y % PATCH) - PATCH) / (double) PATCH;

          pixels[((gsize) y * SIZE + x) * 3 + c] = CLAMP (colour + (patch % 2 ? 0.25 : 0.0) * slope, -1.0, 1.0);
        }
}

/* mean of channel @c under latent pixel (@y, @x) */
static double
chart_mean (const float *chart, int y, int x, int scale, int c)
{
  double sum = 0.0;

  for (int i = 0; i < scale; i++)
    for (int j = 0; j < scale; j++)
      sum += chart[(((gsize) y * scale + i) * SIZE + (gsize) x * scale + j) * 3 + c];

  return sum / (scale * scale);
}

/* Solves the symmetric positive definite system a x = b for three right-hand sides, in place, by elimination */
static void
solve (double *a, double *b, int n)
{
  for (int k = 0; k < n; k++)
    for (int i = k + 1; i < n; i++)
      {
        const double factor = a[i * n + k] / a[k * n + k];

        for (int j = k; j < n; j++)
          a[i * n + j] -= factor * a[k * n + j];
        for (int c = 0; c < 3; c++)
          b[i * 3 + c] -= factor * b[k * 3 + c];
      }
  for (int k = n - 1; k >= 0; k--)
    for (int c = 0; c < 3; c++)
      {
        for (int j = k + 1; j < n; j++)
          b[k * 3 + c] -= a[k * n + j] * b[j * 3 + c];
        b[k * 3 + c] /= a[k * n + k];
      }
}

void
fb_linear_preview_fit (FbLinearPreview *preview, const float *latents, int n_channels, int scale)
{
  const int          side  = SIZE / scale, n = n_channels + 1;           /* the last unknown is the offset */
  g_autofree float  *chart = g_new (float, SIZE * SIZE * 3);
  g_autofree double *a     = g_new0 (double, n * n);
  g_autofree double *b     = g_new0 (double, n * 3);
  g_autofree double *row   = g_new (double, n);

  g_assert (n_channels <= FB_LINEAR_PREVIEW_MAX_CHANNELS && SIZE % scale == 0);

  fb_linear_preview_chart (chart);
  for (int y = 0; y < side; y++)
    for (int x = 0; x < side; x++)
      {
        for (int i = 0; i < n_channels; i++)
          row[i] = latents[((gsize) y * side + x) * n_channels + i];
        row[n_channels] = 1.0;
        for (int i = 0; i < n; i++)
          {
            for (int j = 0; j < n; j++)
              a[i * n + j] += row[i] * row[j] / (side * side);
            for (int c = 0; c < 3; c++)
              b[i * 3 + c] += row[i] * chart_mean (chart, y, x, scale, c) / (side * side);
          }
      }
  for (int i = 0; i < n; i++)
    a[i * n + i] += RIDGE;
  solve (a, b, n);

  preview->n_channels = n_channels;
  for (int c = 0; c < 3; c++)
    {
      for (int i = 0; i < n_channels; i++)
        preview->matrix[c][i] = b[i * 3 + c];
      preview->offset[c] = b[n_channels * 3 + c];
    }
}

void
fb_linear_preview_apply (const FbLinearPreview *preview, const float *latents, gsize n, float *pixels)
{
  for (gsize i = 0; i < n; i++)
    for (int c = 0; c < 3; c++)
      {
        float value = preview->offset[c];

        for (int k = 0; k < preview->n_channels; k++)
          value += preview->matrix[c][k] * latents[i * preview->n_channels + k];
        pixels[i * 3 + c] = CLAMP (value, -1.0f, 1.0f);
      }
}
