/* core/formats/checkpoint.h: the tensors of one component of a model. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "core/formats/safetensors.h"

/**
 * FbCheckpoint:
 *
 * One component ("unet", "vae", "text_encoder", "text_encoder_2", "taesd", "lpips") of a model on disk, under canonical names: those of the
 * diffusers state dict ("down_blocks.0.resnets.0.norm1.weight", "text_model.encoder.layers.0.mlp.fc1.bias", "decoder.up_blocks.0.…",
 * taesd: "decoder.layers.0.weight"; lpips: of the package of that name, "net.slice1.0.weight"), whatever the file calls them. Reading from several threads at once is fine.
 */
typedef struct FbCheckpoint FbCheckpoint;

/**
 * fb_checkpoint_open:
 * @path: a diffusers folder (@component in a sub-folder, or the folder itself; whole or sharded, fp16 variants too), or a single file
 *   (LDM names, or one component's own). For "taesd" also a folder with, or one of, taesd_decoder.safetensors and taesd_encoder.safetensors.
 *
 * Opens the files and names their tensors; reads no tensor data.
 * Errors: those of fb_safetensors_open(); NOT_FOUND when there is no such component in @path, UNSUPPORTED when it is one of a family that
 * is not known here, PICKLE when there are only pickled weights, BAD_CONFIG for a broken JSON file.
 */
FbCheckpoint * fb_checkpoint_open  (const char *path, const char *component, GError **error);
FbCheckpoint * fb_checkpoint_ref   (FbCheckpoint *self);
void           fb_checkpoint_unref (FbCheckpoint *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbCheckpoint, fb_checkpoint_unref)

/* (transfer none) */
const char *         fb_checkpoint_path      (const FbCheckpoint *self);
const char *         fb_checkpoint_component (const FbCheckpoint *self);

/* (transfer none) (nullable): type and shape as in the file, so a 1×1 convolution may stand where a linear layer is meant. */
const FbTensorInfo * fb_checkpoint_lookup (const FbCheckpoint *self, const char *name);

/* Finds out from the header alone whether fb_checkpoint_read_f32() could read the tensor. Errors: MISSING_TENSOR, SHAPE, DTYPE. */
gboolean fb_checkpoint_check (FbCheckpoint *self, const char *name, int n_dims, const int *shape, GError **error);

/**
 * fb_checkpoint_read_f32:
 * @name: canonical
 * @n_dims, @shape: what the model expects. Trailing ones do not matter: [C, C, 1, 1] in the file is good for [C, C], and the reverse.
 * @dst: room for all elements
 *
 * Reads a whole tensor as floats, in the file's (PyTorch's) order.
 * Errors, all naming file and tensor: MISSING_TENSOR, SHAPE (with both shapes), DTYPE, NOT_FINITE, TRUNCATED, IO, %G_IO_ERROR_CANCELLED.
 */
gboolean fb_checkpoint_read_f32 (FbCheckpoint *self, const char *name, int n_dims, const int *shape, float *dst,
                                 GCancellable *cancellable, GError **error);

/**
 * fb_checkpoint_read_raw:
 * @dst: room for the n_bytes that fb_checkpoint_lookup() tells; elements of the file's dtype, which is F32, F16 or BF16
 *
 * As fb_checkpoint_read_f32(), without the conversion. F64 is refused with DTYPE.
 */
gboolean fb_checkpoint_read_raw (FbCheckpoint *self, const char *name, int n_dims, const int *shape, void *dst,
                                 GCancellable *cancellable, GError **error);

/* (transfer none): canonical names, sorted, %NULL-terminated */
const char * const * fb_checkpoint_names (const FbCheckpoint *self);

/**
 * fb_checkpoint_unclaimed:
 *
 * To be asked when the model has been built: the file's names of those tensors of the component that nobody has read, whether no key map
 * knows them or no layer wanted them. Known ballast (position_ids, model_ema.*, sampling constants) is left out. In a single file,
 * names outside every component count as the "unet"'s.
 *
 * Returns: (transfer full): sorted, %NULL-terminated.
 */
char ** fb_checkpoint_unclaimed (FbCheckpoint *self);

/* (transfer none): paths of all files that make up the component (weights, index, config), for hashing; %NULL-terminated */
const char * const * fb_checkpoint_files (const FbCheckpoint *self);

/* (transfer none) (nullable): the component's config.json, and the model's scheduler/scheduler_config.json and low_res_scheduler/scheduler_config.json;
 * %NULL for single files */
JsonObject * fb_checkpoint_config           (const FbCheckpoint *self);
JsonObject * fb_checkpoint_scheduler_config (const FbCheckpoint *self);
JsonObject * fb_checkpoint_low_res_config   (const FbCheckpoint *self);
