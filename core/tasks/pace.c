/* core/tasks/pace.c: how fast this process gets through the stages of a job. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/pace.h"

#include <sys/resource.h>
#include <unistd.h>

#include <string.h>

/* Seconds per unit of work. They describe the machine, not a model, hence one set for the process. */
static GMutex   mutex;
static double   rates[FB_N_STAGES] = { 1e-9, 1 / 200e9, 1 / 300e9, 1 / 300e9, 1 / 300e9 };   /* guesses: 1 GB/s, 300 GFLOP/s */
static gboolean known[FB_N_STAGES];

double
fb_pace_work (FbModel *model, FbStage stage, FbModelPart part, int n, int height, int width)
{
  if (stage == FB_STAGE_LOAD)
    return fb_model_is_loaded (model, part) ? 0.0 : fb_model_weight_bytes (model, part);

  return fb_model_call_flop (model, part, n, height, width);
}

double
fb_pace_seconds (FbStage stage, double work)
{
  double seconds;

  g_mutex_lock (&mutex);
  seconds = rates[stage] * work;
  g_mutex_unlock (&mutex);

  return seconds;
}

void
fb_pace_measured (FbStage stage, double work, double seconds)
{
  if (work <= 0.0 || seconds <= 0.0)
    return;

  g_mutex_lock (&mutex);
  rates[stage] = known[stage] ? 0.5 * (rates[stage] + seconds / work) : seconds / work;   /* follows a machine whose speed drifts */
  known[stage] = TRUE;
  g_mutex_unlock (&mutex);
}

gboolean
fb_pace_known (void)
{
  gboolean result;

  g_mutex_lock (&mutex);
  result = known[FB_STAGE_STEP];
  g_mutex_unlock (&mutex);

  return result;
}

static guint64
read_number (const char *path, guint64 otherwise)
{
  g_autofree char *text = NULL;
  guint64          value;

  if (!g_file_get_contents (path, &text, NULL, NULL) || !g_ascii_string_to_unsigned (g_strstrip (text), 10, 0, G_MAXUINT64, &value, NULL))
    return otherwise;                                                      /* "max" too */
  return value;
}

/* what the control group of a container or of a systemd unit leaves; page cache it can drop counts as free */
static guint64
control_group_available (void)
{
  guint64          limit = read_number ("/sys/fs/cgroup/memory.max", G_MAXUINT64);
  guint64          used  = read_number ("/sys/fs/cgroup/memory.current", 0);
  guint64          cache = 0;
  g_autofree char *stat  = NULL;
  const char      *line;

  if (limit == G_MAXUINT64)
    return G_MAXUINT64;
  if (g_file_get_contents ("/sys/fs/cgroup/memory.stat", &stat, NULL, NULL) && (line = strstr (stat, "\ninactive_file ")) != NULL)
    cache = g_ascii_strtoull (line + strlen ("\ninactive_file "), NULL, 10);

  used -= MIN (used, cache);
  return limit - MIN (limit, used);
}

/* bytes that the process's own limit on its address space leaves */
static guint64
address_space_available (void)
{
  g_autofree char *text = NULL;
  struct rlimit    limit;
  guint64          used;

  if (getrlimit (RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
      !g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    return G_MAXUINT64;
  used = g_ascii_strtoull (text, NULL, 10) * (guint64) sysconf (_SC_PAGESIZE);

  return limit.rlim_cur - MIN (limit.rlim_cur, used);
}

guint64
fb_memory_available (void)
{
  g_autofree char *text  = NULL;
  guint64          bytes = 0;
  const char      *line;

  if (g_file_get_contents ("/proc/meminfo", &text, NULL, NULL) && (line = strstr (text, "MemAvailable:")) != NULL)
    bytes = g_ascii_strtoull (line + strlen ("MemAvailable:"), NULL, 10) * 1024;

  return MIN (MIN (bytes, control_group_available ()), address_space_available ());
}

guint64
fb_memory_available_on (FbDevice *dev)
{
  const guint64 free   = fb_device_bytes_free (dev);
  const guint64 system = fb_device_has_memory (dev) ? 0 : fb_memory_available ();

  if (system > 0)
    return MIN (free, system);

  return free < G_MAXSIZE ? free : 0;
}
