/* ui/shrink.h: a picture in fewer pixels, for the screen. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/client.h"

/**
 * fb_image_shrunk:
 * @factor: > 0
 *
 * (transfer full): a pixel for each @factor × @factor of @image, at the ends for as many as are left: their mean, of colours by their alpha. @image itself
 * for a @factor of 1, or when memory runs out. For looking at: of 12 megapixels in some 30 ms, where fb_image_resize() takes many times that
 */
FbImage * fb_image_shrunk (FbImage *image, int factor);
