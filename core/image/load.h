/* core/image/load.h: pictures from files of any kind we read. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "core/image/image.h"

/**
 * fb_image_load:
 *
 * Reads a PNG or JPEG file, by what it holds and not by its name. JPEG files are turned as their Exif orientation says, and are taken for sRGB.
 *
 * Returns: (transfer full): 3 or 4 channels; %NULL with @error set, naming the file
 */
FbImage * fb_image_load (const char *path, GError **error);

/* Whether a file of this name may be one of those: by its ending */
gboolean  fb_image_is_named_like_one (const char *path);
