/* core/engine/drawing.c: what all jobs that make pictures have in common. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "config.h"

#include "core/engine/drawing.h"

#include "core/engine/bench.h"
#include "core/engine/fingerprints.h"
#include "core/tasks/pace.h"

/* --- memory ------------------------------------------------------------------------------------------------------------ */

/* What the job will take, with @model's weights kept in 16 bits where it is to be frugal; those that are there already stay as they are. */
static gboolean
estimate_frugally (const FbDrawing *drawing, FbWorkshop *workshop, const FbDevice *dev, FbModelUse *use, FbModel *model, gconstpointer wanted,
                   FbEstimate *estimate, GError **error)
{
  if (!fb_model_has_loaded (model))
    fb_model_set_half (model, FALSE);
  if (!drawing->estimate (wanted, model, estimate, error))
    return FALSE;
  if (!fb_model_can_be_half (model, dev) || !fb_bench_frugal (workshop, estimate->peak_bytes, estimate->weight_bytes, estimate->saved_bytes))
    return TRUE;

  fb_model_use_add_own_lora (use, model);
  fb_model_set_loras (model, use->loras, use->n_loras, NULL, NULL);          /* their weights are f32 in any case */
  if (!drawing->estimate (wanted, model, estimate, error))
    return FALSE;
  if (!fb_bench_frugal (workshop, estimate->peak_bytes, estimate->weight_bytes, estimate->saved_bytes))
    return TRUE;

  fb_model_set_half (model, TRUE);
  return drawing->estimate (wanted, model, estimate, error);
}

/* --- estimate --------------------------------------------------------------------------------------------------------- */

/* the request with everything filled in, and the paths of what it names */
static GVariant *
describe (const FbDrawing *drawing, GVariant *request, const FbModelUse *use, FbModel *model, gconstpointer resolved)
{
  g_autoptr(GVariant) values = drawing->to_variant (resolved);
  g_autofree char    *base   = g_path_get_basename (use->path);
  g_autoptr(GVariant) loras  = g_variant_lookup_value (request, "loras", G_VARIANT_TYPE ("a(sd)"));
  GVariantDict        dict;
  const char         *name   = "";

  g_variant_lookup (request, "model", "&s", &name);
  g_variant_dict_init (&dict, values);
  g_variant_dict_insert (&dict, "model",      "s", *name != '\0' ? name : base);
  g_variant_dict_insert (&dict, "model-path", "s", use->path);
  g_variant_dict_insert (&dict, "family",     "s", fb_model_family (model));
  g_variant_dict_insert (&dict, "dtype",      "s", fb_dtype_name (fb_model_dtype (model)));
  if (use->vae != NULL)
    g_variant_dict_insert (&dict, "vae", "s", use->vae);
  if (use->taesd != NULL)
    g_variant_dict_insert (&dict, "taesd", "s", use->taesd);
  if (loras != NULL)
    g_variant_dict_insert_value (&dict, "loras", loras);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* What there is where a job would compute, besides the residents: the desk's model knows no device */
static guint64
desk_available (FbWorkshop *workshop, FbDesk *desk)
{
  const guint64 limit = fb_device_limit (desk->dev);

  return MIN (fb_memory_available_on (desk->dev), limit - MIN (limit, fb_residents_bytes (workshop->residents)));
}

gboolean
fb_drawing_estimate (const FbDrawing *drawing, FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GError **error)
{
  FbDesk                *desk   = fb_desk_get (workshop, error);
  g_autoptr(FbModelUse)  use    = desk != NULL ? fb_model_use_new (drawing->task, request, desk->store, desk->dev, workshop->settings, error) : NULL;
  FbModel               *model  = use != NULL ? fb_desk_open_model (desk, use, error) : NULL;
  gpointer               wanted = model != NULL ? drawing->from_variant (request, error) : NULL;
  FbEstimate             result = { .seconds = -1.0 };
  gboolean               done;

  if (wanted == NULL)
    return FALSE;
  drawing->foresee_pictures (wanted);
  done = drawing->resolve (wanted, model, error) && estimate_frugally (drawing, workshop, desk->dev, use, model, wanted, &result, error);
  if (done)
    {
      g_autoptr(GVariant) known = describe (drawing, request, use, model, wanted);
      GVariantDict        dict;

      g_variant_dict_init (&dict, known);
      g_variant_dict_insert (&dict, "width",  "i", drawing->generate (wanted)->width);
      g_variant_dict_insert (&dict, "height", "i", drawing->generate (wanted)->height);
      estimate->peak_bytes      = result.peak_bytes;
      estimate->seconds         = result.seconds;
      estimate->available_bytes = desk_available (workshop, desk);
      estimate->least_bytes     = result.least_bytes;
      estimate->resolved        = g_variant_ref_sink (g_variant_dict_end (&dict));
    }
  drawing->free (wanted);
  return done;
}

/* --- run -------------------------------------------------------------------------------------------------------------- */

typedef struct
{
  const FbDrawing *drawing;
  FbTask          *task;
  FbModel         *model;
  FbModelUse      *use;
  FbFingerprints  *fingerprints;
  gpointer         wanted;        /* what is still to be made: after a retry, less than was asked for */
  FbGenerate      *generate;      /* its common part */
  int              count;         /* what was asked for */
  int              n_done;
  gboolean         retried;       /* in f32, after 16 bits had run out of numbers */
  double           fraction;      /* told last */
  FbStage          stage;
  gint64           stage_start;
  double           seconds[FB_N_STAGES];
} Run;

/* counts the time since the last change for the stage that was on */
static void
enter_stage (Run *run, FbStage stage)
{
  gint64 now = g_get_monotonic_time ();

  run->seconds[run->stage] += (now - run->stage_start) / 1e6;
  run->stage       = stage;
  run->stage_start = now;
}

static void
on_progress (const FbProgress *progress, gpointer user_data)
{
  Run           *run     = user_data;
  int            first   = run->count - run->generate->count;               /* pictures before the present attempt */
  double         reached = (first + progress->fraction * run->generate->count) / run->count;
  FbJobProgress  state   =
  {
    .stage        = fb_stage_name (progress->stage),
    .picture      = first + progress->picture,
    .step         = progress->step,
    .n_steps      = progress->n_steps,
    .fraction     = MAX (run->fraction, reached),
    .seconds_left = progress->seconds_left,
    .preview      = progress->preview,
  };

  enter_stage (run, progress->stage);
  run->fraction = state.fraction;
  fb_task_progress (run->task, &state);
}

/* how the LoRAs met the model: path, layers that matched, layers that didn't, and the first names of those */
static GVariant *
lora_reports (FbModel *model)
{
  int                 n       = 0;
  const FbLoraReport *reports = fb_model_lora_reports (model, &n);
  GVariantBuilder     builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(siias)"));
  for (int i = 0; i < n; i++)
    {
      int n_unmatched = (int) g_strv_length (reports[i].unmatched);

      g_variant_builder_add (&builder, "(sii@as)", reports[i].path, reports[i].n_matched, n_unmatched,
                             g_variant_new_strv ((const char * const *) reports[i].unmatched, MIN (n_unmatched, 8)));
    }
  return g_variant_builder_end (&builder);
}

/* what is true of all pictures, as far as it is known by now: a picture of a job that is cancelled later has nothing else to tell it */
static void
add_common (const Run *run, GVariantDict *dict)
{
  g_variant_dict_insert (dict, "engine-version", "s", FB_VERSION);
  if (run->use->n_loras > 0)
    g_variant_dict_insert_value (dict, "lora-reports", lora_reports (run->model));
  if (run->retried)
    g_variant_dict_insert (dict, "retried-in-f32", "b", TRUE);
}

static void
on_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  Run                 *run   = user_data;
  g_autoptr(GVariant)  known = describe (run->drawing, fb_task_request (run->task), run->use, run->model, run->wanted);
  GVariantDict         dict;

  g_variant_dict_init (&dict, known);
  g_variant_dict_insert (&dict, "seed",  "x", seed);
  g_variant_dict_insert (&dict, "count", "i", 1);                         /* with this seed it is made alone again */
  add_common (run, &dict);
  fb_fingerprints_add (run->fingerprints, &dict);
  if (run->drawing->add_metadata != NULL)
    run->drawing->add_metadata (picture, &dict);
  fb_task_add_picture (run->task, picture, seed, g_variant_dict_end (&dict));
  run->n_done++;
}

/* One attempt; when 16 bits have run out of numbers, a second one in f32 for what is missing */
static gboolean
attempt (Run *run, GError **error)
{
  g_autoptr(GError) local = NULL;

  if (run->drawing->run (run->wanted, run->model, on_progress, on_picture, run, fb_task_cancellable (run->task), &local))
    return TRUE;

  if (g_error_matches (local, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE) && fb_model_dtype (run->model) != FB_DTYPE_F32)
    {
      g_message ("%s; trying again in f32", local->message);
      run->retried         = TRUE;
      run->generate->seed  = (gint64) ((guint64) run->generate->seed + run->n_done);
      run->generate->count = run->count - run->n_done;
      fb_bench_prefer_f32 (fb_task_workshop (run->task), run->model);
      return run->drawing->run (run->wanted, run->model, on_progress, on_picture, run, fb_task_cancellable (run->task), error);
    }
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

static GVariant *
summarise (Run *run)
{
  GVariantBuilder seconds;
  GVariantDict    dict;

  enter_stage (run, run->stage);
  g_variant_builder_init (&seconds, G_VARIANT_TYPE ("a{sd}"));
  for (int stage = 0; stage < FB_N_STAGES; stage++)
    g_variant_builder_add (&seconds, "{sd}", fb_stage_name (stage), run->seconds[stage]);

  g_variant_dict_init (&dict, NULL);
  add_common (run, &dict);
  g_variant_dict_insert_value (&dict, "stage-seconds", g_variant_builder_end (&seconds));
  fb_fingerprints_finish (run->fingerprints, &dict);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static gboolean
make_room (const Run *run, const FbDevice *dev, GError **error)
{
  FbWorkshop *workshop = fb_task_workshop (run->task);
  FbEstimate  estimate = { .seconds = -1.0 };

  return estimate_frugally (run->drawing, workshop, dev, run->use, run->model, run->wanted, &estimate, error) &&
         fb_task_make_room (run->task, run->use->path, estimate.peak_bytes, estimate.least_bytes, estimate.available_bytes, error);
}

/* with @run's request parsed */
static GVariant *
run_job (Run *run, FbBench *bench, GError **error)
{
  FbWorkshop *workshop = fb_task_workshop (run->task);
  GVariant   *result;
  gboolean    made;

  run->drawing->take_pictures (run->wanted, run->task);
  run->model = fb_bench_open_model (workshop, run->use, fb_task_cancellable (run->task), error);
  if (run->model == NULL || !run->drawing->resolve (run->wanted, run->model, error) || !make_room (run, bench->dev, error))
    return NULL;
  run->count        = run->generate->count;
  run->fingerprints = fb_fingerprints_start (run->use, fb_task_cancellable (run->task));

  made = attempt (run, error);
  if (!made)
    g_cancellable_cancel (fb_task_cancellable (run->task));     /* nobody needs the fingerprints of a failure */
  result = summarise (run);
  fb_device_trim (bench->dev);                             /* between jobs, only weights are kept */
  fb_pace_keep ();
  if (!made)
    g_clear_pointer (&result, g_variant_unref);
  return result;
}

GVariant *
fb_drawing_run (const FbDrawing *drawing, FbTask *task, GError **error)
{
  FbWorkshop            *workshop = fb_task_workshop (task);
  GVariant              *request  = fb_task_request (task);
  FbBench               *bench    = fb_bench_get (workshop, error);
  g_autoptr(FbModelUse)  use      = bench != NULL ? fb_model_use_new (drawing->task, request, bench->store, bench->dev, workshop->settings, error) : NULL;
  gpointer               wanted   = use != NULL ? drawing->from_variant (request, error) : NULL;
  Run                    run      = { .drawing = drawing, .task = task, .use = use, .wanted = wanted, .stage_start = g_get_monotonic_time () };
  GVariant              *result;

  if (wanted == NULL)
    return NULL;
  run.generate = drawing->generate (wanted);
  result = run_job (&run, bench, error);
  drawing->free (wanted);
  return result;
}
