/* core/models/tiles.h: runs a network over a large picture in overlapping tiles. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/**
 * FbTiles:
 * @height, @width: in latent pixels
 * @tile: latent pixels per side; a side of the picture that is no longer is not cut
 * @in_scale, @in_channels: pixels per latent pixel of the input and its channels; 1 for decoding, 8 for encoding
 * @out_scale, @out_channels: of the output
 */
typedef struct
{
  int height, width;
  int tile;
  int in_scale, in_channels;
  int out_scale, out_channels;
} FbTiles;

/* How many tiles a picture of so many latent pixels is cut into */
int      fb_tiles_count (int height, int width, int tile);

/* Runs the network on one tile: @in [in_scale · height, in_scale · width, in_channels] -> @out, likewise; %FALSE with @error set stops. */
typedef gboolean (* FbTileFunc) (const float *in, int height, int width, float *out, gpointer user_data, GError **error);

/**
 * fb_tiles_run:
 * @in, @out: the whole pictures
 *
 * All tiles have one size and overlap by a quarter or more. In an overlap the weights of a tile rise linearly from its border, so that
 * neither side shows an edge. A network that normalises over its whole input gives each tile its own statistics: tones can differ a little
 * from tile to tile and pass smoothly into each other.
 */
gboolean fb_tiles_run (const FbTiles *tiles, const float *in, float *out, FbTileFunc func, gpointer user_data, GError **error);
