/* ui/size.h: the size a picture is generated at, for the place it goes to. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

/**
 * fb_size_choose:
 * @place_width, @place_height: pixels of the place the picture goes to, ≥ 1
 * @model_width, @model_height: pixels the model was trained at, ≥ 8
 * @width, @height: (out): multiples of 8, from a short list so that the engine finds its shapes prepared
 *
 * The shape of the place at an area between the model's own and 2.25 times that: below, pictures lose their composition,
 * above, they repeat it. The longer side is at most three times the shorter.
 */
void fb_size_choose (int place_width, int place_height, int model_width, int model_height, int *width, int *height);
