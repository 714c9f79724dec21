/* kernels/module.c: devices that are loaded at run time. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "config.h"

#include <dlfcn.h>
#include <glib/gi18n-lib.h>

#include "kernels/module.h"

/* Whether NVIDIA's driver is there and has a card; FLASHBRUSH_CUDA_DRIVER: a library in its place, for tests */
static gboolean
driver_answers (GError **error)
{
  const char *name            = g_getenv ("FLASHBRUSH_CUDA_DRIVER");
  void       *driver          = dlopen (name != NULL ? name : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  int      (* init) (unsigned flags);
  int      (* count) (int *n);
  int         status = -1, n = 0;

  if (driver == NULL)
    {
      g_set_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN,
                   _("There is no compute device “cuda” here: NVIDIA's driver is not installed (%s)."), dlerror ());
      return FALSE;
    }

  init  = (int (*) (unsigned)) dlsym (driver, "cuInit");
  count = (int (*) (int *)) dlsym (driver, "cuDeviceGetCount");
  if (init != NULL && count != NULL)
    {
      status = init (0);
      if (status == 0)
        status = count (&n);
    }
  if (status != 0 || n == 0)
    {
      g_set_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN,
                   _("There is no compute device “cuda” here: NVIDIA's driver finds no card (code %d)."), status);
      return FALSE;
    }
  return TRUE;
}

char *
fb_module_path (const char *name)
{
  const char      *folder = g_getenv ("FLASHBRUSH_MODULES");
  g_autofree char *file   = g_strdup_printf ("flashbrush-%s.so", name);

  return g_build_filename (folder != NULL ? folder : FB_MODULEDIR, file, NULL);
}

const FbDeviceOps *
fb_module_load (const char *name, GError **error)
{
  g_autofree char   *path = fb_module_path (name);
  const FbDeviceOps *ops  = NULL;
  FbModuleOps        get;
  void              *module;

  if (!driver_answers (error))
    return NULL;

  module = dlopen (path, RTLD_NOW | RTLD_LOCAL);
  if (module == NULL)
    {
      g_set_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN,
                   /* Translators: the second %s is the system's own reason, in English */
                   _("There is no compute device “%s” here: its module could not be loaded (%s). It needs CUDA 13 and cuDNN 9."), name, dlerror ());
      return NULL;
    }

  get = (FbModuleOps) dlsym (module, "fb_device_module_ops");
  if (get != NULL)
    ops = get (sizeof (FbDeviceOps), sizeof (FbDevice));
  if (ops == NULL)
    g_set_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN,
                 _("There is no compute device “%s” here: %s belongs to another version of this program; install both anew."), name, path);
  return ops;
}
