/* core/engine/kind-generate.c: the job "generate". SPDX-License-Identifier: LGPL-3.0-or-later */
#include "config.h"

#include "core/engine/bench.h"
#include "core/engine/fingerprints.h"
#include "core/engine/trade.h"
#include "core/tasks/generate.h"

/* --- estimate --------------------------------------------------------------------------------------------------------- */

/* the request with everything filled in, and the paths of what it names */
static GVariant *
describe (GVariant *request, const FbModelUse *use, FbModel *model, const FbGenerate *resolved)
{
  g_autoptr(GVariant) values = fb_generate_to_variant (resolved);
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

gboolean
fb_kind_generate_estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error)
{
  FbDesk                *desk    = fb_desk_get (workshop, error);
  g_autoptr(FbModelUse)  use     = desk != NULL ? fb_model_use_new ("generate", request, desk->store, desk->cpu, workshop->settings, error) : NULL;
  FbModel               *model   = use != NULL ? fb_desk_open_model (desk, use, error) : NULL;
  g_autoptr(FbGenerate)  wanted  = model != NULL ? fb_generate_from_variant (request, error) : NULL;
  FbEstimate             result  = { .seconds = -1.0 };

  if (wanted == NULL)
    return FALSE;
  if (wanted->strength < 1.0)                              /* the picture itself comes with the job; that it will be encoded counts */
    wanted->init = fb_image_new (1, 1, 3);
  if (!fb_generate_resolve (wanted, model, error) || !fb_generate_estimate (wanted, model, &result, error))
    return FALSE;

  estimate->peak_bytes      = result.peak_bytes;
  estimate->seconds         = result.seconds;
  estimate->available_bytes = result.available_bytes;
  estimate->resolved        = describe (request, use, model, wanted);
  return TRUE;
}

/* --- run -------------------------------------------------------------------------------------------------------------- */

typedef struct
{
  FbTask     *task;
  FbModel    *model;
  FbModelUse *use;
  FbGenerate *wanted;             /* what is still to be made: after a retry, less than was asked for */
  int         count;              /* what was asked for */
  int         n_done;
  double      fraction;           /* told last */
  FbStage     stage;
  gint64      stage_start;
  double      seconds[FB_N_STAGES];
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
  int            first   = run->count - run->wanted->count;               /* pictures before the present attempt */
  double         reached = (first + progress->fraction * run->wanted->count) / run->count;
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

static void
on_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  Run                 *run   = user_data;
  g_autoptr(GVariant)  known = describe (fb_task_request (run->task), run->use, run->model, run->wanted);
  GVariantDict         dict;

  g_variant_dict_init (&dict, known);
  g_variant_dict_insert (&dict, "seed",  "x", seed);
  g_variant_dict_insert (&dict, "count", "i", 1);                         /* with this seed it is made alone again */
  fb_task_add_picture (run->task, picture, seed, g_variant_dict_end (&dict));
  run->n_done++;
}

/* One attempt; when bf16 has run out of numbers, a second one in f32 for what is missing. @retried (out) */
static gboolean
attempt (Run *run, gboolean *retried, GError **error)
{
  g_autoptr(GError) local = NULL;

  if (fb_generate_run (run->wanted, run->model, on_progress, on_picture, run, fb_task_cancellable (run->task), &local))
    return TRUE;

  if (g_error_matches (local, FB_MODEL_ERROR, FB_MODEL_ERROR_NOT_FINITE) && fb_model_dtype (run->model) != FB_DTYPE_F32)
    {
      g_message ("%s; trying again in f32", local->message);
      *retried           = TRUE;
      run->wanted->seed  = (gint64) ((guint64) run->wanted->seed + run->n_done);
      run->wanted->count = run->count - run->n_done;
      fb_bench_prefer_f32 (fb_task_workshop (run->task), run->model);
      return fb_generate_run (run->wanted, run->model, on_progress, on_picture, run, fb_task_cancellable (run->task), error);
    }
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

/* how the LoRAs met the model: path, tensors that matched, tensors that didn't, and the first names of those */
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

static GVariant *
summarise (Run *run, gboolean retried, FbFingerprints *fingerprints)
{
  GVariantBuilder seconds;
  GVariantDict    dict;

  enter_stage (run, run->stage);
  g_variant_builder_init (&seconds, G_VARIANT_TYPE ("a{sd}"));
  for (int stage = 0; stage < FB_N_STAGES; stage++)
    g_variant_builder_add (&seconds, "{sd}", fb_stage_name (stage), run->seconds[stage]);

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "engine-version", "s", FB_VERSION);
  g_variant_dict_insert_value (&dict, "stage-seconds", g_variant_builder_end (&seconds));
  if (run->use->n_loras > 0)
    g_variant_dict_insert_value (&dict, "lora-reports", lora_reports (run->model));
  if (retried)
    g_variant_dict_insert (&dict, "retried-in-f32", "b", TRUE);
  fb_fingerprints_finish (fingerprints, &dict);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static gboolean
make_room (FbTask *task, const FbModelUse *use, const FbGenerate *wanted, FbModel *model, GError **error)
{
  FbEstimate estimate = { .seconds = -1.0 };

  return fb_generate_estimate (wanted, model, &estimate, error) &&
         fb_task_make_room (task, use->path, estimate.peak_bytes, estimate.available_bytes, error);
}

GVariant *
fb_kind_generate_run (FbTask *task, GError **error)
{
  FbWorkshop            *workshop = fb_task_workshop (task);
  GVariant              *request  = fb_task_request (task);
  FbBench               *bench    = fb_bench_get (workshop, error);
  g_autoptr(FbModelUse)  use      = bench != NULL ? fb_model_use_new ("generate", request, bench->store, bench->dev, workshop->settings, error) : NULL;
  g_autoptr(FbGenerate)  wanted   = use != NULL ? fb_generate_from_variant (request, error) : NULL;
  Run                    run      = { .task = task, .use = use, .wanted = wanted, .stage_start = g_get_monotonic_time () };
  gboolean               retried  = FALSE;
  FbFingerprints        *fingerprints;
  GVariant              *result;
  gboolean               made;

  if (wanted == NULL)
    return NULL;
  if (fb_task_picture (task, "init") != NULL)
    wanted->init = fb_image_ref (fb_task_picture (task, "init"));
  run.model = fb_bench_open_model (workshop, use, fb_task_cancellable (task), error);
  if (run.model == NULL || !fb_generate_resolve (wanted, run.model, error) || !make_room (task, use, wanted, run.model, error))
    return NULL;
  run.count = wanted->count;

  fingerprints = fb_fingerprints_start (use, fb_task_cancellable (task));
  made = attempt (&run, &retried, error);
  if (!made)
    g_cancellable_cancel (fb_task_cancellable (task));     /* nobody needs the fingerprints of a failure */
  result = summarise (&run, retried, fingerprints);
  fb_device_trim (bench->dev);                             /* between jobs, only weights are kept */
  if (!made)
    g_clear_pointer (&result, g_variant_unref);
  return result;
}
