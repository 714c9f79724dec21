/* kernels/devices.c: which devices there are, and which is chosen. SPDX-License-Identifier: LGPL-3.0-or-later */

#define _GNU_SOURCE   /* sched_getaffinity */
#include <glib/gi18n-lib.h>
#include <sched.h>
#include <string.h>

#include "kernels/device-private.h"
#include "kernels/module.h"

/* best first; a device without a table lies in a module of its name */
static const struct { const char *name; const FbDeviceOps *ops; } devices[] =
{
  { "cuda",      NULL },
  { "cpu",       &fb_cpu_ops },
  { "reference", &fb_reference_ops },
};

/* Two hardware threads of one core share its multipliers, so an op gains nothing from the second. Counts the cores this process may run on. */
static int
count_physical_cores (void)
{
  g_autoptr(GHashTable) cores = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  cpu_set_t             set;

  if (sched_getaffinity (0, sizeof set, &set) != 0)
    return MAX (1, (int) g_get_num_processors ());

  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET (cpu, &set))
      {
        g_autofree char *path = g_strdup_printf ("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        char            *siblings;

        if (!g_file_get_contents (path, &siblings, NULL, NULL))
          siblings = g_strdup_printf ("%d", cpu);
        g_hash_table_add (cores, siblings);
      }

  return MAX (1, (int) g_hash_table_size (cores));
}

/* Bytes that FLASHBRUSH_DEVICE_MEMORY (MiB) allows */
static size_t
read_limit (void)
{
  const char *text = g_getenv ("FLASHBRUSH_DEVICE_MEMORY");
  guint64     mib  = 0;

  if (text == NULL)
    return G_MAXSIZE;
  if (!g_ascii_string_to_unsigned (text, 10, 1, G_MAXSIZE >> 20, &mib, NULL))
    {
      g_warning ("FLASHBRUSH_DEVICE_MEMORY=%s is not a number of MiB and was not followed", text);
      return G_MAXSIZE;
    }
  return (size_t) mib << 20;
}

static FbDevice *
open_device (const FbDeviceOps *ops, int place, int n_threads, GError **error)
{
  FbDevice *dev = g_new0 (FbDevice, 1);

  dev->ops       = ops;
  dev->ref_count = 1;
  dev->n_threads = n_threads > 0 ? n_threads : count_physical_cores ();
  dev->place     = place;
  dev->limit     = read_limit ();
  if (!dev->ops->open (dev, error))
    g_clear_pointer (&dev, g_free);
  return dev;
}

static FbDevice *
find_device (const char *name, int place, int n_threads, GError **error)
{
  g_autoptr(GString) names = g_string_new (NULL);

  g_assert (n_threads >= 0);

  for (size_t i = 0; i < G_N_ELEMENTS (devices); i++)
    {
      g_string_append_printf (names, "%s%s", i > 0 ? ", " : "", devices[i].name);
      if (g_strcmp0 (name, devices[i].name) == 0)
        {
          const FbDeviceOps *ops = devices[i].ops != NULL ? devices[i].ops : fb_module_load (name, error);

          return ops != NULL ? open_device (ops, place, n_threads, error) : NULL;
        }
    }

  g_set_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN,
               _("There is no compute device called “%s”; this build has: %s."), name, names->str);
  return NULL;
}

FbDevice *
fb_device_new (const char *name, int n_threads, GError **error)
{
  return find_device (name, -1, n_threads, error);
}

FbDevice *
fb_device_new_chosen (int n_threads, GError **error)
{
  return fb_device_new_in_place (-1, n_threads, error);
}

FbDevice *
fb_device_new_in_place (int place, int n_threads, GError **error)
{
  const char        *wanted = g_getenv ("FLASHBRUSH_DEVICE");
  g_autoptr(GError)  reason = NULL;
  FbDevice          *dev;

  if (wanted == NULL || *wanted == '\0')
    wanted = "cpu";                                              /* until the card's code has passed its tests on a card */
  if (strcmp (wanted, "auto") != 0)
    return find_device (wanted, place, n_threads, error);

  dev = find_device ("cuda", place, n_threads, &reason);
  if (dev == NULL)
    {
      g_debug ("not on a graphics card: %s", reason->message);
      dev = fb_device_new ("cpu", n_threads, error);
    }
  return dev;
}

const char * const *
fb_device_names (void)
{
  static const char *names[G_N_ELEMENTS (devices) + 1];

  for (size_t i = 0; i < G_N_ELEMENTS (devices); i++)
    names[i] = devices[i].name;
  return names;
}

