/* core/engine/pixels.h: pictures on their way through the socket. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "core/image/image.h"

/* Longest piece of a picture in one inline message; a slow forwarded line still answers in between */
#define FB_PIXELS_CHUNK ((gsize) 4 << 20)

/**
 * fb_pixels_check_shape:
 * @n_bytes: (out) (optional): size of such a picture
 *
 * Refuses sizes that no picture has, before anything is allocated or read.
 */
gboolean  fb_pixels_check_shape (guint width, guint height, guint n_channels, gsize *n_bytes, GError **error);

/* Returns: a sealed memfd with @image's pixels, close-on-exec; -1 with @error set */
int       fb_pixels_to_fd   (const FbImage *image, GError **error);

/**
 * fb_pixels_from_fd:
 * @fd: from a peer, so nothing about it is believed: it must be a memfd, sealed against writing and resizing, of exactly the promised size
 *
 * The bytes are read, never mapped: whatever the sender does, there is no page to fault on.
 */
FbImage * fb_pixels_from_fd (int fd, guint width, guint height, guint n_channels, GError **error);

/* Returns: (transfer floating): "ay", at most %FB_PIXELS_CHUNK bytes of @image from byte @offset; %NULL with @error set when @offset lies outside */
GVariant * fb_pixels_get_chunk (FbImage *image, guint64 offset, GError **error);

/* Adds a chunk at byte *@n_filled, which @offset must equal, and moves *@n_filled on. */
gboolean  fb_pixels_put_chunk (FbImage *image, gsize *n_filled, guint64 offset, GVariant *chunk, GError **error);

/* Refuses NaN and infinite values, which a network would spread over the whole picture. */
gboolean  fb_pixels_check_finite (const FbImage *image, GError **error);
