/* core/image/png.h: pictures as PNG files. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "core/image/image.h"

/**
 * fb_image_save_png:
 *
 * Writes @image in 8 bits per channel, rounded; values outside 0 … 1 are clamped. The file appears whole or not at all;
 * a folder, a device or a pipe of that name is left alone. Errors name the file.
 */
gboolean  fb_image_save_png (const FbImage *image, const char *path, GError **error);

/* Returns: (transfer full): 3 or 4 channels, sRGB as libpng understands the file; %NULL with @error set, naming the file */
FbImage * fb_image_load_png (const char *path, GError **error);
