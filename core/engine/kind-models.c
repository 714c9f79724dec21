/* core/engine/kind-models.c: the jobs "load" and "unload". SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/bench.h"
#include "core/engine/trade.h"

static FbModelUse *
get_use (FbTask *task, GError **error)
{
  FbWorkshop *workshop = fb_task_workshop (task);
  FbBench    *bench    = fb_bench_get (workshop, error);

  return bench != NULL ? fb_model_use_new ("generate", fb_task_request (task), bench->store, bench->dev, workshop->settings, error) : NULL;
}

static GVariant *
result_with (const char *key, GVariant *value)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  if (key != NULL)
    g_variant_dict_insert_value (&dict, key, value);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* --- load ------------------------------------------------------------------------------------------------------------- */

typedef struct
{
  FbTask *task;
  double  before, share;          /* of the bytes: loaded before this part, and this part's */
} Loading;

static void
on_progress (double fraction, gpointer user_data)
{
  Loading       *loading  = user_data;
  FbJobProgress  progress = { .stage = "load", .fraction = loading->before + loading->share * fraction, .seconds_left = -1.0 };

  fb_task_progress (loading->task, &progress);
}

/* what text to image needs; the encoder comes when a picture is to be read */
static gboolean
is_wanted (FbModel *model, FbModelPart part)
{
  return part != FB_MODEL_VAE_ENCODER && fb_model_weight_bytes (model, part) > 0;
}

/* as the job will be that the model is loaded for */
static void
be_frugal (FbModel *model, FbWorkshop *workshop, const FbDevice *dev)
{
  guint64 weights = 0, saved = 0;

  if (fb_model_has_loaded (model))
    return;
  fb_model_set_half (model, FALSE);
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    if (is_wanted (model, part))
      {
        weights += fb_model_weight_bytes (model, part);
        saved   += fb_model_half_saves (model, part);
      }
  fb_model_set_half (model, fb_model_can_be_half (model, dev) && fb_bench_frugal (workshop, weights, weights, saved));
}

GVariant *
fb_kind_load_run (FbTask *task, GError **error)
{
  g_autoptr(FbModelUse)  use     = get_use (task, error);
  FbModel               *model   = use != NULL ? fb_bench_open_model (fb_task_workshop (task), use, fb_task_cancellable (task), error) : NULL;
  FbBench               *bench   = model != NULL ? fb_bench_get (fb_task_workshop (task), error) : NULL;
  Loading                loading = { .task = task };
  double                 total   = 0.0;

  if (bench == NULL)
    return NULL;
  be_frugal (model, fb_task_workshop (task), bench->dev);
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    if (is_wanted (model, part))
      total += fb_model_weight_bytes (model, part);
  for (int part = 0; part < FB_MODEL_N_PARTS; part++)
    if (is_wanted (model, part))
      {
        loading.share = fb_model_weight_bytes (model, part) / total;
        if (!fb_model_load (model, part, on_progress, &loading, fb_task_cancellable (task), error))
          return NULL;
        loading.before += loading.share;
      }
  return result_with ("family", g_variant_new_string (fb_model_family (model)));
}

/* --- unload ----------------------------------------------------------------------------------------------------------- */

GVariant *
fb_kind_unload_run (FbTask *task, GError **error)
{
  FbWorkshop            *workshop = fb_task_workshop (task);
  const char            *name     = "";
  g_autoptr(FbModelUse)  use      = NULL;

  if (!fb_request_string (fb_task_request (task), "model", &name, error))
    return NULL;
  if (*name != '\0' && (use = get_use (task, error)) == NULL)
    return NULL;
  return result_with ("n-unloaded", g_variant_new_int32 (fb_residents_drop (workshop->residents, use != NULL ? use->path : NULL)));
}
