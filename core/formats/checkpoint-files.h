/* core/formats/checkpoint-files.h: finds the files of a component. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "core/formats/model-error.h"

/**
 * FbCheckpointFiles:
 * @weights: of char *: safetensors files that share one naming (a whole file, or the shards of one)
 * @weights_2: of char *: a second set with its own naming: the encoder that lies beside a TAESD decoder; or %NULL
 * @index: (nullable): the shards' index
 * @config: (nullable): config.json
 * @scheduler_config: (nullable): scheduler/scheduler_config.json
 * @low_res_config: (nullable): low_res_scheduler/scheduler_config.json
 */
typedef struct
{
  GPtrArray *weights;
  GPtrArray *weights_2;
  char      *index;
  char      *config;
  char      *scheduler_config;
  char      *low_res_config;
} FbCheckpointFiles;

/* Errors: NOT_FOUND, PICKLE, BAD_CONFIG (index), IO. */
gboolean fb_checkpoint_files_find  (FbCheckpointFiles *files, const char *path, const char *component, GError **error);
void     fb_checkpoint_files_clear (FbCheckpointFiles *files);
