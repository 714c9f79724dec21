/* tests/kernels/fake-cuda/driver.c: a driver that answers; FB_FAKE_CARDS says how many cards it finds. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <stdlib.h>

int cuInit           (unsigned flags);
int cuDeviceGetCount (int *n);

int
cuInit (unsigned flags)
{
  return 0;
}

int
cuDeviceGetCount (int *n)
{
  const char *text = getenv ("FB_FAKE_CARDS");

  *n = text != NULL ? atoi (text) : 1;
  return 0;
}
