/* core/engine/bench.h: where the worker keeps device and models, and the clerk its own. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/job-kind.h"
#include "core/engine/model-use.h"

/**
 * FbBench: made at the first job, because starting has to be quick
 * @dev: the device that computes
 */
typedef struct
{
  FbDevice *dev;
  FbStore  *store;
  char     *store_stamp;
} FbBench;

FbBench * fb_bench_get (FbWorkshop *workshop, GError **error);

/**
 * fb_bench_open_model:
 *
 * The model that @use means: the resident one if it is there and its files haven't changed, else newly opened. LoRAs and type are those of @use.
 *
 * Returns: (transfer none): a resident, under the key @use->path
 */
FbModel * fb_bench_open_model  (FbWorkshop *workshop, FbModelUse *use, GCancellable *cancellable, GError **error);

/**
 * fb_bench_frugal:
 * @peak: bytes a job needs, and
 * @weights: its model's weights, when these are f32
 * @saved: what keeping them in 16 bits would save
 *
 * Whether they are to be kept so: to have the job done at all, or to have the model stay for the next one. Any thread.
 */
gboolean  fb_bench_frugal (FbWorkshop *workshop, guint64 peak, guint64 weights, guint64 saved);

/* From now on, @model is computed in f32 for requests that leave the choice to us: in 16 bits it gave values that are no numbers. */
void      fb_bench_prefer_f32  (FbWorkshop *workshop, FbModel *model);

/**
 * FbDesk: the clerk's models are opened without a device, so that a question neither waits for a job nor takes memory
 * @dev: tells the type that "auto" is
 */
typedef struct
{
  FbDevice *dev;
  FbStore  *store;
  char     *store_stamp;
  FbModel  *model;                /* the one asked about last */
  char     *model_key;
} FbDesk;

FbDesk *  fb_desk_get        (FbWorkshop *workshop, GError **error);
/* (transfer none) */
FbModel * fb_desk_open_model (FbDesk *self, const FbModelUse *use, GError **error);
