/* core/distill/random-mask.h: what an inpainting model is to paint, by chance. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/distill/philox.h"

/* share of the masks in training that cover everything: the model card of Stable Diffusion inpainting */
#define FB_RANDOM_MASK_FULL 0.25

/**
 * fb_random_mask:
 * @draw: of the sample; the same gives the same mask
 * @full: share of masks that cover everything; the others are strokes of a brush, half of them, or rectangles and ellipses
 * @height, @width: pixels, ≥ 8
 * @mask: (out): [height, width], 1 where the model is to paint, else 0
 *
 * Source: the strokes are those of arXiv:1806.03589, appendix: lines from point to point, each turning off the last.
 */
void fb_random_mask (const FbDraw *draw, double full, int height, int width, float *mask);
