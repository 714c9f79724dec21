/* core/models/linear-preview.c: latents to colours by one matrix. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/models/linear-preview.h"

#include <math.h>

#include "core/samplers/torch-random.h"

#define SIZE  FB_LINEAR_PREVIEW_SIZE
#define RIDGE 1e-2

/* The half-size noise @from, [SIZE / 2, SIZE / 2, n], between its pixels: at the centre of pixel @i of SIZE */
static void
smooth (int i, int *first, int *second, float *share)
{
  const float at = CLAMP (0.5f * (i + 0.5f) - 0.5f, 0.0f, SIZE / 2 - 1.0f);

  *first = (int) at;
  *second = MIN (*first + 1, SIZE / 2 - 1);
  *share = at - *first;
}

void
fb_linear_preview_probe (float *latents, int n_channels)
{
  const int         n_coarse = SIZE / 2 * (SIZE / 2) * n_channels, n = SIZE * SIZE * n_channels;
  g_autofree float *coarse   = g_new (float, n_coarse);
  FbTorchRandom     random;
  double            squares  = 0.0;

  fb_torch_random_init (&random, 0);
  fb_torch_random_normal (&random, coarse, n_coarse);

  for (int y = 0; y < SIZE; y++)
    for (int x = 0; x < SIZE; x++)
      {
        int   y0, y1, x0, x1;
        float ty, tx;

        smooth (y, &y0, &y1, &ty);
        smooth (x, &x0, &x1, &tx);
        for (int c = 0; c < n_channels; c++)
          {
#define AT(row, column) coarse[((row) * (SIZE / 2) + (column)) * n_channels + c]
            const float value = (1.0f - ty) * ((1.0f - tx) * AT (y0, x0) + tx * AT (y0, x1)) +
                                ty * ((1.0f - tx) * AT (y1, x0) + tx * AT (y1, x1));
#undef AT

            latents[(y * SIZE + x) * n_channels + c] = value;
            squares += value * value;
          }
      }
  for (int i = 0; i < n; i++)
    latents[i] /= sqrt (squares / n);
}

/* mean of channel @c under latent pixel (@y, @x), of colours as they will be shown */
static double
mean_colour (const float *pixels, int y, int x, int scale, int c)
{
  double sum = 0.0;

  for (int i = 0; i < scale; i++)
    for (int j = 0; j < scale; j++)
      sum += CLAMP (pixels[(((gsize) y * scale + i) * SIZE * scale + (gsize) x * scale + j) * 3 + c], -1.0f, 1.0f);

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
fb_linear_preview_fit (FbLinearPreview *preview, const float *latents, int n_channels, const float *pixels, int scale)
{
  const int          n   = n_channels + 1;                               /* the last unknown is the offset */
  g_autofree double *a   = g_new0 (double, n * n);
  g_autofree double *b   = g_new0 (double, n * 3);
  g_autofree double *row = g_new (double, n);

  g_assert (n_channels <= FB_LINEAR_PREVIEW_MAX_CHANNELS);

  for (int y = 0; y < SIZE; y++)
    for (int x = 0; x < SIZE; x++)
      {
        for (int i = 0; i < n_channels; i++)
          row[i] = latents[(y * SIZE + x) * n_channels + i];
        row[n_channels] = 1.0;
        for (int c = 0; c < 3; c++)
          {
            const double colour = mean_colour (pixels, y, x, scale, c);

            for (int i = 0; i < n; i++)
              b[i * 3 + c] += row[i] * colour / (SIZE * SIZE);
          }
        for (int i = 0; i < n; i++)
          for (int j = 0; j < n; j++)
            a[i * n + j] += row[i] * row[j] / (SIZE * SIZE);
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
