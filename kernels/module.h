/* kernels/module.h: devices that are loaded at run time. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/device-private.h"

/* (transfer full): where the module @name should be: flashbrush-NAME.so in FLASHBRUSH_MODULES, else where it was installed */
char * fb_module_path (const char *name);

/**
 * fb_module_load:
 * @name: "cuda"
 *
 * Loads the module from fb_module_path() and keeps it until the process ends: a library of that size, with threads of its own, does not leave
 * cleanly. Before that the driver is asked, so that a machine without one loads nothing.
 *
 * Returns: (transfer none): the device's table; %NULL with %FB_DEVICE_ERROR_UNKNOWN and the reason where driver, card or module is missing.
 */
const FbDeviceOps * fb_module_load (const char *name, GError **error);

/* What a module exports, under the name "fb_device_module_ops": its table, or NULL where the sizes are not those it was compiled with. */
typedef const FbDeviceOps * (* FbModuleOps) (size_t ops_size, size_t device_size);
