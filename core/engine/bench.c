/* core/engine/bench.c: where the worker keeps device and models, and the clerk its own. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/bench.h"

#include "core/tasks/pace.h"

/* a resident model, with what it was opened from */
typedef struct
{
  FbModel  *model;
  FbDevice *dev;
  char     *vae, *taesd;
  char     *stamp;
  gboolean  needs_f32;
} Held;

static void
held_free (gpointer data)
{
  Held *held = data;

  fb_model_free (held->model);
  fb_device_trim (held->dev);                              /* what a model held goes back to the system, not into the device's pool */
  fb_device_unref (held->dev);
  g_free (held->vae);
  g_free (held->taesd);
  g_free (held->stamp);
  g_free (held);
}

static guint64
held_bytes (gpointer data)
{
  return fb_model_held_bytes (((Held *) data)->model);
}

/* makes @store anew when the user has added or removed folders since */
static void
refresh_store (FbStore **store, char **stamp)
{
  g_autofree char *conf = g_build_filename (g_get_user_config_dir (), "flashbrush", "folders.conf", NULL);
  g_autofree char *now  = fb_store_stamp (conf);

  if (*store != NULL && g_strcmp0 (*stamp, now) == 0)
    return;
  g_clear_pointer (store, fb_store_free);
  *store = fb_store_new ();
  g_free (*stamp);
  *stamp = g_steal_pointer (&now);
}

static void
bench_free (gpointer data)
{
  FbBench *self = data;

  fb_store_free (self->store);
  g_free (self->store_stamp);
  fb_device_unref (self->dev);
  g_free (self);
}

FbBench *
fb_bench_get (FbWorkshop *workshop, GError **error)
{
  FbBench *self = workshop->bench;

  if (self == NULL)
    {
      FbDevice *dev = fb_device_new_chosen (workshop->settings->threads, error);

      if (dev == NULL)
        return NULL;
      fb_pace_remember (dev);
      self                 = g_new0 (FbBench, 1);
      self->dev            = dev;
      workshop->bench      = self;
      workshop->free_bench = bench_free;
    }
  refresh_store (&self->store, &self->store_stamp);
  return self;
}

static Held *
open_held (FbWorkshop *workshop, FbBench *bench, const FbModelUse *use, GError **error)
{
  FbModel *model = fb_model_open (use->path, use->vae, use->taesd, bench->dev, use->dtype, error);
  Held    *held;

  if (model == NULL)
    return NULL;
  fb_model_use_find_taesd (use, bench->store, model);

  held        = g_new0 (Held, 1);
  held->model = model;
  held->dev   = fb_device_ref (bench->dev);
  held->vae   = g_strdup (use->vae);
  held->taesd = g_strdup (use->taesd);
  held->stamp = fb_store_stamp (use->path);
  fb_residents_add (workshop->residents, use->path, g_variant_new_parsed ("{'path': <%s>, 'dtype': <%s>}", use->path, fb_dtype_name (use->dtype)),
                    held, held_bytes, held_free);
  return held;
}

FbModel *
fb_bench_open_model (FbWorkshop *workshop, FbModelUse *use, GCancellable *cancellable, GError **error)
{
  FbBench         *bench = fb_bench_get (workshop, error);
  g_autofree char *stamp = fb_store_stamp (use->path);
  Held            *held;
  FbDtype          dtype;

  if (bench == NULL)
    return NULL;
  held = fb_residents_get (workshop->residents, use->path);
  if (held != NULL && (g_strcmp0 (held->vae, use->vae) != 0 || g_strcmp0 (held->taesd, use->taesd) != 0 || g_strcmp0 (held->stamp, stamp) != 0))
    {
      fb_residents_drop (workshop->residents, use->path);
      held = NULL;
    }
  if (held == NULL)
    held = open_held (workshop, bench, use, error);
  else if (use->wants_taesd)
    fb_model_use_find_taesd (use, bench->store, held->model);
  if (held == NULL)
    return NULL;

  dtype = use->any_dtype && held->needs_f32 ? FB_DTYPE_F32 : use->dtype;
  if (fb_model_dtype (held->model) != dtype)
    fb_model_set_dtype (held->model, dtype);
  fb_model_use_add_own_lora (use, held->model);
  if (!fb_model_set_loras (held->model, use->loras, use->n_loras, cancellable, error))
    return NULL;
  return held->model;
}

gboolean
fb_bench_frugal (FbWorkshop *workshop, guint64 peak, guint64 weights, guint64 saved)
{
  const guint64 available = fb_memory_available ();
  const guint64 limit     = available > 0 ? available + fb_residents_bytes (workshop->residents) : 0;      /* they make room */

  return fb_half_pays (peak, saved, limit) || fb_half_pays (weights, saved, fb_residents_budget (workshop->residents));
}

void
fb_bench_prefer_f32 (FbWorkshop *workshop, FbModel *model)
{
  Held *held = fb_residents_get (workshop->residents, fb_model_path (model));

  held->needs_f32 = TRUE;
  fb_model_set_dtype (model, FB_DTYPE_F32);
}

/* --- the clerk -------------------------------------------------------------------------------------------------------- */

static void
desk_free (gpointer data)
{
  FbDesk *self = data;

  g_clear_pointer (&self->model, fb_model_free);
  g_free (self->model_key);
  fb_store_free (self->store);
  g_free (self->store_stamp);
  fb_device_unref (self->dev);
  g_free (self);
}

FbDesk *
fb_desk_get (FbWorkshop *workshop, GError **error)
{
  FbDesk *self = workshop->desk;

  if (self == NULL)
    {
      FbDevice *dev = fb_device_new_chosen (workshop->settings->threads, error);

      if (dev == NULL)
        return NULL;
      fb_pace_remember (dev);
      self                = g_new0 (FbDesk, 1);
      self->dev           = dev;
      workshop->desk      = self;
      workshop->free_desk = desk_free;
    }
  refresh_store (&self->store, &self->store_stamp);
  return self;
}

FbModel *
fb_desk_open_model (FbDesk *self, const FbModelUse *use, GError **error)
{
  g_autofree char *stamp = fb_store_stamp (use->path);
  g_autofree char *key   = g_strdup_printf ("%s\n%s\n%s\n%s\n%d", use->path, use->vae != NULL ? use->vae : "", use->taesd != NULL ? use->taesd : "",
                                            stamp, use->dtype);

  if (self->model == NULL || g_strcmp0 (key, self->model_key) != 0)
    {
      g_clear_pointer (&self->model, fb_model_free);
      self->model = fb_model_open (use->path, use->vae, use->taesd, NULL, use->dtype, error);
      if (self->model == NULL)
        return NULL;
      fb_model_use_find_taesd (use, self->store, self->model);
      g_free (self->model_key);
      self->model_key = g_steal_pointer (&key);
    }
  else if (use->wants_taesd)
    fb_model_use_find_taesd (use, self->store, self->model);
  return self->model;
}
