/* tests/core/engine/engine.c: an engine without models. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Its one kind of job, "test-sleep", does on request what a real one would do by accident.
 */
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/engine/server.h"
#include "core/tasks/pace.h"

/* a model that is only a number of bytes */
typedef struct
{
  guint64 bytes;
} FakeModel;

static int n_loads;

static guint64
fake_bytes (gpointer model)
{
  return ((FakeModel *) model)->bytes;
}

static gboolean
get_flag (GVariant *request, const char *key)
{
  gboolean value = FALSE;

  g_variant_lookup (request, key, "b", &value);
  return value;
}

static int
get_int (GVariant *request, const char *key, int otherwise)
{
  g_variant_lookup (request, key, "i", &otherwise);
  return otherwise;
}

static double
get_double (GVariant *request, const char *key, double otherwise)
{
  g_variant_lookup (request, key, "d", &otherwise);
  return otherwise;
}

static FbImage *
make_picture (GVariant *request, float value)
{
  int      side  = get_int (request, "side", 8);
  FbImage *image = fb_image_new (side, side, 3);

  for (int i = 0; i < side * side * 3; i++)
    image->pixels[i] = value;
  return image;
}

static void
use_model (FbTask *task, GVariant *request)
{
  FbResidents *residents = fb_task_workshop (task)->residents;
  const char  *name      = NULL;
  FakeModel   *model;

  if (!g_variant_lookup (request, "model", "&s", &name) || fb_residents_get (residents, name) != NULL)
    return;
  model        = g_new (FakeModel, 1);
  model->bytes = (guint64) get_double (request, "bytes", 1e6);
  fb_residents_add (residents, name, g_variant_new_parsed ("{'path': <%s>}", name), model, fake_bytes, g_free);
  n_loads++;
}

static gboolean
estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error)
{
  const char *fault = NULL;

  if (g_variant_lookup (request, "fault", "&s", &fault))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "fault: %s", fault);
      return FALSE;
    }
  estimate->peak_bytes      = (guint64) get_double (request, "peak", 1e6);
  estimate->seconds         = get_double (request, "seconds", 0.0);
  estimate->available_bytes = fb_memory_available ();
  return TRUE;
}

/* sleeps for a step in slices; TRUE when cancelled. A job that hangs doesn't look. */
static gboolean
sleep_step (FbTask *task, double seconds, gboolean hang)
{
  gint64 until = g_get_monotonic_time () + (gint64) (seconds * 1e6);

  for (gint64 left; (left = until - g_get_monotonic_time ()) > 0; )
    {
      if (!hang && g_cancellable_is_cancelled (fb_task_cancellable (task)))
        return TRUE;
      g_usleep ((gulong) MIN (left, 2000));
    }
  return !hang && g_cancellable_is_cancelled (fb_task_cancellable (task));
}

static GVariant *
run (FbTask *task, GError **error)
{
  GVariant *request = fb_task_request (task);
  int       count   = get_int (request, "count", 1);
  int       n_steps = get_int (request, "n-steps", 4);
  double    seconds = get_double (request, "seconds", 0.0);
  FbImage  *init    = fb_task_picture (task, "init");

  if (!fb_task_make_room (task, NULL, (guint64) get_double (request, "peak", 1e6), (guint64) get_double (request, "peak", 1e6),
                          fb_memory_available (), error))
    return NULL;
  use_model (task, request);
  for (int i = 0; i < count; i++)
    {
      g_autoptr(FbImage) picture = init != NULL ? fb_image_ref (init) : make_picture (request, i);

      for (int step = 0; step < n_steps; step++)
        {
          FbJobProgress       progress = { "step", i, step + 1, n_steps, (i * n_steps + step + 1.0) / (count * n_steps), -1.0, NULL };
          g_autoptr(FbImage)  preview  = get_flag (request, "previews") ? make_picture (request, i * n_steps + step) : NULL;

          if (step == get_int (request, "crash-at", -1) && i == get_int (request, "crash-picture", 0))
            abort ();
          if (sleep_step (task, seconds / count / n_steps, get_flag (request, "hang")))
            {
              g_cancellable_set_error_if_cancelled (fb_task_cancellable (task), error);
              return NULL;
            }
          progress.preview = preview;
          fb_task_progress (task, &progress);
        }
      fb_task_add_picture (task, picture, 1000 + i, g_variant_new_parsed ("{'picture-number': <%i>}", i));
    }

  if (get_flag (request, "fail"))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "asked to fail");
      return NULL;
    }
  return g_variant_ref_sink (g_variant_new_parsed ("{'n-loads': <%i>, 'nice': <%i>}", n_loads, getpriority (PRIO_PROCESS, 0)));
}

static const FbJobKind kinds[] =
{
  { "test-sleep", estimate, run },
  { NULL }
};

int
main (int argc, char **argv)
{
  static const FbTrade trade    = { kinds };
  const struct rlimit  no_cores = { 0, 0 };

  setrlimit (RLIMIT_CORE, &no_cores);
  return fb_server_main (argc, argv, &trade);
}
