/* ui/mask-private.h: a mask's tiles. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "ui/mask.h"

#define TILE 256

/* written to only by the one mask that holds it; others may hold it in other threads */
typedef struct
{
  gatomicrefcount n_refs;
  guint8          pixels[TILE * TILE];
} Tile;

/* @tiles: [n_rows, n_columns]; NULL is all 0 */
struct FbMask
{
  int    width, height;
  int    n_columns, n_rows;
  Tile **tiles;
};

/* (transfer none): pixels [TILE, TILE] of a tile that no copy shares */
guint8 * fb_mask_tile_for_writing (FbMask *mask, int column, int row);

/* the part of @area that is on the canvas; %FALSE when there is none */
gboolean fb_mask_clip             (const FbMask *mask, const GdkRectangle *area, GdkRectangle *inside);
