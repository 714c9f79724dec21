/* core/models/linear-preview.h: latents to colours by one matrix. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

#define FB_LINEAR_PREVIEW_MAX_CHANNELS 32
#define FB_LINEAR_PREVIEW_SIZE         128    /* pixels per side of the chart */

/**
 * FbLinearPreview: colour = matrix · latent + offset
 *
 * Autoencoders keep colour nearly linear in their latents. The matrix is not copied from anywhere: it is the least squares fit between a
 * chart and what the model's own encoder makes of it, so it suits every autoencoder, replaced ones and small ones too.
 */
typedef struct
{
  int   n_channels;
  float matrix[3][FB_LINEAR_PREVIEW_MAX_CHANNELS];
  float offset[3];
} FbLinearPreview;

/**
 * fb_linear_preview_chart:
 * @pixels: [FB_LINEAR_PREVIEW_SIZE, FB_LINEAR_PREVIEW_SIZE, 3], −1 … 1
 *
 * Draws patches of colours spread over the cube, with soft slopes and edges between them as pictures have.
 */
void     fb_linear_preview_chart (float *pixels);

/**
 * fb_linear_preview_fit:
 * @latents: [size / scale, size / scale, n_channels]: the chart, encoded
 * @scale: pixels per latent pixel; divides FB_LINEAR_PREVIEW_SIZE
 *
 * Fits the chart's mean colour under each latent pixel. A ridge of 10⁻³ keeps a channel that says nothing about colour near 0.
 */
void     fb_linear_preview_fit   (FbLinearPreview *preview, const float *latents, int n_channels, int scale);

/* latents [n, n_channels] -> pixels [n, 3], clamped to −1 … 1 */
void     fb_linear_preview_apply (const FbLinearPreview *preview, const float *latents, gsize n, float *pixels);
