/* core/models/model.h: an opened checkpoint with its parts. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <gio/gio.h>

#include "kernels/device.h"

/**
 * FbModel: a checkpoint (diffusers folder or single file) with tokenizer, text encoder, UNet, autoencoder and, if found, TAESD.
 * Opening reads headers and configs only; each part is loaded when it is first asked for, and stays until fb_model_unload().
 * Not thread-safe: one job at a time.
 */
typedef struct FbModel FbModel;

typedef struct
{
  char  *path;          /* a LoRA file */
  double strength;      /* the user's factor; 0 leaves the LoRA out */
} FbLoraUse;

/**
 * fb_model_open:
 * @path: a diffusers folder or a single .safetensors file
 * @vae_path: (nullable): an autoencoder that replaces the checkpoint's own
 * @taesd_path: (nullable): a TAESD to use instead of looking for one beside the checkpoint
 * @dev: the device to load on; referenced
 * @dtype: type to compute in; the sampler, norms and the output convolution stay f32
 */
FbModel *    fb_model_open  (const char *path, const char *vae_path, const char *taesd_path, FbDevice *dev, FbDtype dtype, GError **error);
void         fb_model_free  (FbModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbModel, fb_model_free)

/**
 * fb_model_set_loras:
 *
 * Makes @loras the ones in force. Weights that an earlier set touched are read again from the file, so that no LoRA leaves a trace.
 * On failure the earlier set stays in force.
 */
gboolean     fb_model_set_loras (FbModel *model, const FbLoraUse *loras, int n_loras, GCancellable *cancellable, GError **error);

/* Drops all loaded weights; the next use loads them again. */
void         fb_model_unload (FbModel *model);

/* (transfer none): the checkpoint's path and family ("sd-1.5") */
const char * fb_model_path   (FbModel *model);
const char * fb_model_family (FbModel *model);
