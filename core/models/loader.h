/* core/models/loader.h: fills a network's parameters from a checkpoint. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/formats/checkpoint.h"
#include "core/nn/params.h"

/**
 * FbLoader: where a network's weights come from and where they go
 * @checkpoint: names as @params has them
 * @dtype: type to pack weights in
 * @half: to compute in f32, but keep weights in 16 bits where the file has no more and no LoRA changes them; results are the same
 * @touches: (nullable): whether a LoRA changes the tensor @name
 * @change: (nullable): adds the LoRAs' deltas to @values, [n_dims sizes], f32
 * @change_data: for both
 */
typedef struct
{
  FbParams     *params;
  FbCheckpoint *checkpoint;
  FbDevice     *dev;
  FbDtype       dtype;
  gboolean      half;
  gboolean   (* touches) (const char *name, gpointer change_data);
  gboolean   (* change)  (const FbParam *param, float *values, gpointer change_data, GCancellable *cancellable, GError **error);
  gpointer      change_data;
} FbLoader;

typedef void (* FbLoaderProgressFunc) (double fraction, gpointer user_data);

/**
 * fb_loader_fill:
 * @progress: (nullable): called after each tensor with the share of bytes read
 *
 * Reads every parameter that is not filled yet. One tensor is in memory at a time besides the packed ones. On failure what has been read
 * stays, and the next call goes on from there.
 * Errors: those of fb_checkpoint_read_f32(), which name file and tensor; FB_DEVICE_ERROR_NO_MEMORY.
 */
gboolean fb_loader_fill        (const FbLoader *loader, FbLoaderProgressFunc progress, gpointer user_data,
                                GCancellable *cancellable, GError **error);
gboolean fb_loader_is_complete (const FbLoader *loader);

/* Bytes of all parameters once filled */
guint64  fb_loader_bytes       (const FbLoader *loader);

/* Checks from the header alone that every parameter is there in the right shape. Errors: MISSING_TENSOR, SHAPE, DTYPE. */
gboolean fb_loader_check       (const FbLoader *loader, GError **error);
