/* core/tasks/inpaint-private.h: the steps of inpainting, each for itself. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/tasks/inpaint.h"

/* --- geometry: core/tasks/inpaint-place.c ---------------------------------------------------------------------------- */

/* How much of a new picture @strength means: 1 at 1, 0 up to 0.8. Context and fill follow it, so that nothing jumps just below 1. */
double fb_inpaint_whole (double strength);

/* What fixed widths are multiplied with: @longest side of what is looked at, @whole the one at which they are as they are, @native as in
 * FbInpaintPlace. */
double fb_inpaint_unit  (int longest, int whole, int native);

/* @feather, @grow and @blend of FbInpaint */
typedef struct
{
  double feather, grow, blend;
} FbRampWishes;

/**
 * FbRamps: distances from the mask in pixels
 * @width, @grow, @blend: of the wide ramp, from the mask to its middle, of the narrow ramp
 * @inner, @outer: where the denoise mask begins to fall, and where it ends
 * @blend_inner: where the composite mask begins to fall; it ends at @outer, too
 */
typedef struct
{
  int width, grow, blend;
  int inner, outer, blend_inner;
} FbRamps;

/**
 * fb_ramps_init:
 * @diagonal: of the mask's bounds
 * @unit: fb_inpaint_unit()
 *
 * Width: the feather's share of the diagonal times the strength, at least 32 · unit · strength. The ramp begins 4 · unit outside the mask.
 * Blend: 25 · unit or a twentieth of the diagonal, at most as much as there is.
 */
void   fb_ramps_init    (FbRamps *ramps, double diagonal, double unit, double strength, const FbRampWishes *wishes);
