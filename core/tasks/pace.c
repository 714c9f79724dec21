/* core/tasks/pace.c: how fast this machine gets through the stages of a job. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/pace.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { N_SIZES = 32 };        /* of a call's work, each four times the one before: small calls reach less of what a processor can */

/* Seconds per unit of work. They describe the machine, not a model, hence one set for the process. */
static GMutex        mutex;
static double        rates[FB_N_STAGES][N_SIZES];                /* 0: not known */
static const double  guesses[FB_N_STAGES] = { 1e-9, 1 / 200e9, 1 / 300e9, 1 / 300e9, 1 / 300e9 };   /* 1 GB/s, 300 GFLOP/s */
static double        kept[FB_N_STAGES][N_SIZES];                 /* of the rates, what the file has */
static char         *machine;                                    /* whose rates are kept in a file; NULL: nobody's */

double
fb_pace_work (FbModel *model, FbStage stage, FbModelPart part, int n, int height, int width)
{
  if (stage == FB_STAGE_LOAD)
    return fb_model_is_loaded (model, part) ? 0.0 : fb_model_weight_bytes (model, part);

  return fb_model_call_flop (model, part, n, height, width);
}

static int
size_of (double work)
{
  return CLAMP ((int) (log2 (MAX (work, 1.0)) / 2.0), 0, N_SIZES - 1);
}

/* of calls as large as this, or of the nearest that have been measured; 0: none has. Under the mutex */
static double
known_rate (FbStage stage, int size)
{
  for (int off = 0; off < N_SIZES; off++)
    {
      if (size + off < N_SIZES && rates[stage][size + off] > 0.0)
        return rates[stage][size + off];
      if (size >= off && rates[stage][size - off] > 0.0)
        return rates[stage][size - off];
    }

  return 0.0;
}

double
fb_pace_seconds (FbStage stage, double work)
{
  double rate;

  g_mutex_lock (&mutex);
  rate = known_rate (stage, size_of (work));
  g_mutex_unlock (&mutex);

  return (rate > 0.0 ? rate : guesses[stage]) * work;
}

void
fb_pace_measured (FbStage stage, double work, double seconds)
{
  double *rate = &rates[stage][size_of (work)];

  if (work <= 0.0 || seconds <= 0.0)
    return;

  g_mutex_lock (&mutex);
  *rate = *rate > 0.0 ? 0.5 * (*rate + seconds / work) : seconds / work;   /* follows a machine whose speed drifts */
  g_mutex_unlock (&mutex);
}

gboolean
fb_pace_known (void)
{
  gboolean result;

  g_mutex_lock (&mutex);
  result = known_rate (FB_STAGE_STEP, 0) > 0.0;
  g_mutex_unlock (&mutex);

  return result;
}

/* --- for the next process ------------------------------------------------------------------------------------------------ */

static char *
file_path (void)
{
  return g_build_filename (g_get_user_cache_dir (), "flashbrush", "pace", NULL);
}

/* rates that the file has and this process has not; what is no such number is passed over */
static void
take_rates (GKeyFile *file)
{
  for (int stage = 0; stage < FB_N_STAGES; stage++)
    {
      gsize              n    = 0;
      g_autofree double *list = g_key_file_get_double_list (file, machine, fb_stage_name (stage), &n, NULL);

      for (gsize i = 0; i < MIN (n, N_SIZES); i++)
        if (rates[stage][i] == 0.0 && list[i] > 0.0 && list[i] < 1.0)
          rates[stage][i] = kept[stage][i] = list[i];
    }
}

void
fb_pace_remember (const FbDevice *dev)
{
  g_autoptr(GKeyFile) file = g_key_file_new ();
  g_autofree char    *path = file_path ();

  g_mutex_lock (&mutex);
  if (machine == NULL)
    {
      machine = g_strcanon (fb_device_describe (dev), G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS ".-_ ", '-');      /* a group's name has no brackets */
      if (g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL))
        take_rates (file);
    }
  g_mutex_unlock (&mutex);
}

/* whether a rate is new, or another by a quarter: drafts end several times a second, and no file is written for each */
static gboolean
has_news (void)
{
  for (int stage = 0; stage < FB_N_STAGES; stage++)
    for (int i = 0; i < N_SIZES; i++)
      if (fabs (rates[stage][i] - kept[stage][i]) > 0.25 * kept[stage][i])
        return TRUE;

  return FALSE;
}

static void
write_file (void)
{
  g_autoptr(GKeyFile) file   = g_key_file_new ();
  g_autofree char    *path   = file_path ();
  g_autofree char    *folder = g_path_get_dirname (path);

  g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL);           /* what other devices do stays */
  for (int stage = 0; stage < FB_N_STAGES; stage++)
    g_key_file_set_double_list (file, machine, fb_stage_name (stage), rates[stage], N_SIZES);
  if (g_mkdir_with_parents (folder, 0700) == 0)
    g_key_file_save_to_file (file, path, NULL);                            /* where nothing can be written, the next process measures again */
  memcpy (kept, rates, sizeof kept);
}

void
fb_pace_keep (void)
{
  g_mutex_lock (&mutex);
  if (machine != NULL && has_news ())
    write_file ();
  g_mutex_unlock (&mutex);
}

/* --- memory -------------------------------------------------------------------------------------------------------------- */

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
