/* tests/gimp/digest.h: all that an image holds, as one number. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

/**
 * fb_test_digest:
 * @ignored: (nullable): a layer that does not count
 *
 * Returns: (transfer full): SHA-256 over every layer, group, mask and channel and over the selection: names, places, formats,
 * parasites, and the bytes of the pixels in their own format
 */
char * fb_test_digest        (GimpImage *image, GimpLayer *ignored);

/* the same over one drawable's pixels in its own format */
char * fb_test_digest_pixels (GimpDrawable *drawable);
