/* tests/gimp/engine-distill.c: distillation without models, for what GIMP's side does with it. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Nothing runs: how far a job is follows from the clock when somebody asks. All kinds are done on the one thread for errands.
 */
#include "tests/gimp/engine-distill.h"

#include <math.h>
#include <stdlib.h>

#define N_STEPS      100
#define SAMPLE_EVERY 20
#define SIZE         128
#define TOO_LARGE    2048

typedef struct
{
  char       *path, *name;
  const char *state;
  const char *problem;
  gint64      created;
  int         n_steps;
  double      done;            /* steps, with parts of them; negative while it is measured */
  gint64      since;           /* when it was looked at last */
} Job;

static GPtrArray *jobs;

static double
step_seconds (void)
{
  const char *ms = g_getenv ("FB_TEST_STEP_MS");

  return (ms != NULL ? atoi (ms) : 50) / 1000.0;
}

/* in steps */
static int
measuring_takes (void)
{
  const char *n = g_getenv ("FB_TEST_MEASURE");

  return n != NULL ? atoi (n) : 0;
}

static gboolean
is_in (const Job *job, const char *state)
{
  return g_str_equal (job->state, state);
}

/* the first job that is not at its end runs, as far as the time since the last look goes */
static void
look (void)
{
  gboolean busy = FALSE;

  if (jobs == NULL)
    jobs = g_ptr_array_new ();
  for (guint i = 0; i < jobs->len; i++)
    {
      Job    *job = jobs->pdata[i];
      gint64  now = g_get_monotonic_time ();

      if (is_in (job, "measuring") || is_in (job, "running"))
        {
          job->done = MIN (job->n_steps, job->done + (now - job->since) / 1e6 / step_seconds ());
          if (job->done >= 0.0)
            job->state = "running";
          if (g_str_has_prefix (job->name, "fail") && job->done > 10)
            {
              job->state   = "failed";
              job->problem = "The loss of step 11 is no number.";
            }
          else if (job->done >= job->n_steps)
            job->state = "done";
        }
      if (is_in (job, "waiting") && !busy)
        job->state = job->done >= 0.0 ? "running" : "measuring";
      busy       = busy || is_in (job, "measuring") || is_in (job, "running");
      job->since = now;
    }
}

static GVariant *
describe (const Job *job)
{
  GVariantDict     dict;
  g_autofree char *output = g_strdup_printf ("/loras/%s.safetensors", job->name);
  gboolean         ended  = is_in (job, "done") || is_in (job, "stopped");

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "job", "s", job->path);
  g_variant_dict_insert (&dict, "name", "s", job->name);
  g_variant_dict_insert (&dict, "created", "x", job->created);
  g_variant_dict_insert (&dict, "teacher", "s", "test");
  g_variant_dict_insert (&dict, "state", "s", job->state);
  g_variant_dict_insert (&dict, "step", "i", MAX (0, (int) job->done));
  g_variant_dict_insert (&dict, "n-steps", "i", job->n_steps);
  g_variant_dict_insert (&dict, "seconds-left", "d", job->done >= 0.0 ? (job->n_steps - job->done) * step_seconds () : -1.0);
  g_variant_dict_insert (&dict, "seconds-total", "d", job->done >= 0.0 ? job->n_steps * step_seconds () : -1.0);
  g_variant_dict_insert (&dict, "peak-bytes", "t", (guint64) (job->done >= 0.0 ? 1200 * 1000 * 1000 : 0));
  if (job->problem != NULL)
    g_variant_dict_insert (&dict, "problem", "s", job->problem);
  if (ended)
    {
      g_variant_dict_insert (&dict, "output", "s", output);
      g_variant_dict_insert (&dict, "lora", "s", "ink");
    }

  return g_variant_dict_end (&dict);
}

static const char *
string_of (FbTask *task, const char *key)
{
  const char *text = "";

  g_variant_lookup (fb_task_request (task), key, "&s", &text);

  return text;
}

static int
int_of (FbTask *task, const char *key, int otherwise)
{
  g_variant_lookup (fb_task_request (task), key, "i", &otherwise);

  return otherwise;
}

static Job *
find (FbTask *task, GError **error)
{
  look ();
  for (guint i = 0; i < jobs->len; i++)
    if (g_str_equal (((Job *) jobs->pdata[i])->path, string_of (task, "job")))
      return jobs->pdata[i];
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "There is no job “%s”.", string_of (task, "job"));

  return NULL;
}

GVariant *
fb_test_distill_presets (FbTask *task, GError **error)
{
  return g_variant_ref_sink (g_variant_new_parsed ("{'presets': <[{'name': <'small'>, 'label': <'Small'>, 'size': <%i>, 'steps': <%i>}]>}", SIZE, N_STEPS));
}

static GVariant *
needs (GVariant *request)
{
  int size = SIZE, steps = N_STEPS;

  g_variant_lookup (request, "size", "i", &size);
  g_variant_lookup (request, "steps", "i", &steps);

  return g_variant_ref_sink (g_variant_new_parsed ("{'size': <%i>, 'steps': <%i>, 'n-pictures': <12>, 'n-without-caption': <3>}", size, steps));
}

static gboolean
check_size (GVariant *resolved, GError **error)
{
  int size = 0;

  g_variant_lookup (resolved, "size", "i", &size);
  if (size < TOO_LARGE)
    return TRUE;
  g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_NO_MEMORY, "“New job” needs at least 77 GB of memory and 8 GB may be used. A smaller size would help.");

  return FALSE;
}

gboolean
fb_test_distill_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error)
{
  g_autoptr(GVariant) resolved = needs (request);

  if (!check_size (resolved, error))
    return FALSE;
  *estimate = (FbJobEstimate) { 300 * 1000 * 1000, -1.0, (guint64) 8000 * 1000 * 1000, g_steal_pointer (&resolved) };

  return TRUE;
}

GVariant *
fb_test_distill_start (FbTask *task, GError **error)
{
  g_autoptr(GVariant)  resolved = needs (fb_task_request (task));
  const char          *name     = string_of (task, "name");
  Job                 *job;

  look ();
  if (!check_size (resolved, error))
    return NULL;
  if (!g_file_test (string_of (task, "pictures"), G_FILE_TEST_IS_DIR))
    {
      g_set_error (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, "The folder of pictures “%s” does not exist.", string_of (task, "pictures"));
      return NULL;
    }
  job          = g_new0 (Job, 1);
  job->name    = g_strdup (*name != '\0' ? name : "student");
  job->path    = g_strdup_printf ("/jobs/%s.json", job->name);
  job->created = g_get_real_time ();
  job->state   = "waiting";
  job->n_steps = int_of (task, "steps", N_STEPS);
  job->done    = -measuring_takes ();
  g_ptr_array_add (jobs, job);
  look ();

  return g_variant_ref_sink (describe (job));
}

GVariant *
fb_test_distill_list (FbTask *task, GError **error)
{
  GVariantBuilder list;
  GVariantDict    dict;

  look ();
  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < jobs->len; i++)
    g_variant_builder_add_value (&list, describe (jobs->pdata[i]));
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert_value (&dict, "jobs", g_variant_builder_end (&list));

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static GVariant *
change (FbTask *task, const char *state, GError **error)
{
  Job *job = find (task, error);

  if (job == NULL)
    return NULL;
  if (!is_in (job, "done"))
    job->state = state;
  look ();

  return g_variant_ref_sink (describe (job));
}

GVariant *
fb_test_distill_pause (FbTask *task, GError **error)
{
  return change (task, "paused", error);
}

GVariant *
fb_test_distill_resume (FbTask *task, GError **error)
{
  return change (task, "waiting", error);
}

GVariant *
fb_test_distill_stop (FbTask *task, GError **error)
{
  return change (task, "stopped", error);
}

GVariant *
fb_test_distill_remove (FbTask *task, GError **error)
{
  Job      *job    = find (task, error);
  GVariant *answer = job != NULL ? g_variant_ref_sink (describe (job)) : NULL;

  if (job != NULL)
    g_ptr_array_remove (jobs, job);

  return answer;
}

/* two squares: the teacher's, and the student's, which comes nearer to it */
static FbImage *
paint_sample (int step)
{
  FbImage *image = fb_image_new (128, 64, 3);

  for (int i = 0; i < 128 * 64; i++)
    {
      int    x     = i % 128 % 64, y = i / 128;
      double shape = hypot (x - 32, y - 32) < 24 ? 1.0 : 0.1;
      double blur  = i % 128 < 64 ? 0.0 : exp (-step / 40.0);

      image->pixels[3 * i]     = (float) (shape * (1.0 - blur) + 0.5 * blur);
      image->pixels[3 * i + 1] = (float) (0.4 * shape);
      image->pixels[3 * i + 2] = (float) (0.2 + 0.5 * blur);
    }

  return image;
}

GVariant *
fb_test_distill_watch (FbTask *task, GError **error)
{
  Job             *job = find (task, error);
  GVariantBuilder  rows;
  GVariantDict     dict;
  int              sample;

  if (job == NULL)
    return NULL;
  g_variant_builder_init (&rows, G_VARIANT_TYPE ("a(idddd)"));
  for (int step = int_of (task, "from", 0) + 1; step <= (int) job->done; step++)
    {
      double noise = 0.1 * sin (12.9898 * step) * sin (78.233 * step);

      g_variant_builder_add (&rows, "(idddd)", step, exp (-step / 30.0) + noise, 0.5 + 0.3 * exp (-step / 50.0) + noise,
                             0.7 + noise, 0.6 - 0.2 * exp (-step / 20.0) + noise);
    }
  sample = (int) job->done / SAMPLE_EVERY * SAMPLE_EVERY;
  if (sample > 0 && sample > int_of (task, "sample", -1))
    {
      g_autoptr(FbImage) image = paint_sample (sample);

      fb_task_add_picture (task, image, sample, g_variant_new_parsed ("@a{sv} {}"));
    }
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert_value (&dict, "rows", g_variant_builder_end (&rows));

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}
