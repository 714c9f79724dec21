/* tests/kernels/per-device.h: tests that every device has to pass. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

typedef struct
{
  const char   *name;
  GTestDataFunc run;          /* is given the device's name */
} FbDeviceTest;

/* Adds /kernels/@suite/DEVICE/NAME for the devices of FB_TEST_DEVICES, or else for cpu and reference. */
static inline void
add_device_tests (const char *suite, const FbDeviceTest *tests, size_t n)
{
  const char    *picked  = g_getenv ("FB_TEST_DEVICES");
  g_auto(GStrv)  devices = g_strsplit (picked != NULL ? picked : "cpu,reference", ",", -1);

  for (size_t d = 0; devices[d] != NULL; d++)
    for (size_t i = 0; i < n; i++)
      {
        g_autofree char *path = g_strdup_printf ("/kernels/%s/%s/%s", suite, devices[d], tests[i].name);

        g_test_add_data_func_full (path, g_strdup (devices[d]), tests[i].run, g_free);
      }
}
