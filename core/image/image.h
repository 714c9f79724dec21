/* core/image/image.h: pictures between tasks, engine and clients. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/**
 * FbImage:
 * @width, @height: pixels, ≥ 1
 * @n_channels: 1 (mask), 3 (RGB) or 4 (RGBA, straight alpha)
 * @pixels: [height, width, n_channels] f32, sRGB primaries and curve, 0 … 1 (values outside occur and are kept)
 *
 * Reference-counted, atomically, because pictures cross from the engine's worker to its main thread.
 */
typedef struct
{
  int     width, height, n_channels;
  float  *pixels;
  gint    ref_count;
} FbImage;

/* (transfer full): uninitialised pixels, or NULL when memory runs out */
FbImage * fb_image_new   (int width, int height, int n_channels);
FbImage * fb_image_ref   (FbImage *image);
void      fb_image_unref (FbImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbImage, fb_image_unref)

/* bytes of @image's pixels */
size_t    fb_image_n_bytes (const FbImage *image);

/* (transfer full): the pixels from (@x, @y) on, @width × @height of them; a reference where that is all of @image; NULL when memory runs out */
FbImage * fb_image_cut   (FbImage *image, int x, int y, int width, int height);

/**
 * fb_image_from_network, fb_image_to_network:
 * @data: [height, width, 3] in −1 … 1, as the autoencoder takes and gives
 *
 * To 0 … 1, clamped, as 3-channel picture, and back. Alpha of a 4-channel @image is composited over white on the way in; a mask
 * becomes grey.
 */
FbImage * fb_image_from_network (const float *data, int width, int height);
void      fb_image_to_network   (const FbImage *image, float *data);

/**
 * fb_image_resize:
 *
 * Returns: (transfer full): @image at another size; Lanczos-3, area-weighted when it shrinks, computed on the stored values; NULL when memory runs out.
 */
FbImage * fb_image_resize (const FbImage *image, int width, int height);

/* (transfer full): the pixels from (@x, @y) on, @part_width × @part_height of them, of what fb_image_resize() to @width × @height would give */
FbImage * fb_image_resize_part (const FbImage *image, int width, int height, int x, int y, int part_width, int part_height);

/* (transfer full): what fb_image_resize() to @width × @height would give of a picture of @whole_width × @whole_height that is 0 but for @image, whose
 * first pixel is its pixel (@x, @y) */
FbImage * fb_image_resize_from (const FbImage *image, int x, int y, int whole_width, int whole_height, int width, int height);
