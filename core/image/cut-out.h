/* core/image/cut-out.h: a thing from its plain background. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/image/image.h"

/**
 * fb_image_cut_out:
 * @picture: RGB
 *
 * The background is what has nearly the colour of most of the border and hangs together with it; holes that do not reach the border stay. Along
 * the rim, a pixel is taken for a mixture of background and thing: it gets the thing's colour, and as alpha the thing's share.
 *
 * Returns: (transfer full) (nullable): RGBA; %NULL where the border is not plain (or all is background), or when memory runs out
 */
FbImage * fb_image_cut_out (const FbImage *picture);
