/* core/formats/lora.h: LoRA files of all the usual conventions. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/formats/safetensors.h"

/**
 * FbLoraModule:
 * @path: canonical name of a layer, without ".weight": "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
 * @n_dims: 2 for a linear layer [out, in], 4 for a convolution [out, in, kH, kW]
 * @shape: of its weight
 */
typedef struct
{
  const char *path;
  int         n_dims;
  int         shape[4];
} FbLoraModule;

/**
 * FbLora:
 *
 * A file of low-rank changes to the weights of a model: ΔW = alpha / rank · up · down for each layer it knows. Names of the kohya
 * ("lora_unet_…", with diffusers' or LDM's block names), diffusers ("unet.….lora.down", "….processor.to_q_lora.down") and PEFT
 * ("base_model.model.….lora_A") conventions are understood, also mixed.
 *
 * Open it, match it with each component of the model, look at the counts, then add its changes to the weights. Adding from several
 * threads at once is fine.
 */
typedef struct FbLora FbLora;

/**
 * fb_lora_open:
 * @path: a safetensors file, or a folder with one (adapter_model.safetensors beside adapter_config.json, or
 *   pytorch_lora_weights.safetensors)
 *
 * Errors: those of fb_safetensors_open(); UNSUPPORTED, with the name of the kind, for LoHa, LoKr, OFT, DoRA, GLoRA, full differences and
 * trained norms or biases; NOT_FOUND for a folder or file without any LoRA; BAD_CONFIG; BAD_HEADER for an up without its down.
 */
FbLora * fb_lora_open  (const char *path, GError **error);
FbLora * fb_lora_ref   (FbLora *self);
void     fb_lora_unref (FbLora *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbLora, fb_lora_unref)

/* (transfer none) */
const char * fb_lora_path     (const FbLora *self);
/* (transfer none): files that make it up, for hashing; %NULL-terminated */
const char * const * fb_lora_files (const FbLora *self);

/* (transfer none) (nullable): what the file says it was made for ("sd_v1"), or the family that its names tell ("SDXL") */
const char * fb_lora_base     (const FbLora *self);

/* Columns of the keys of a UNet's cross-attention, which tell families apart: 768, 1024, 2048 …; 0 when the file changes none. */
int          fb_lora_context_width (const FbLora *self);

/**
 * fb_lora_match:
 * @component: "unet", "text_encoder" or "text_encoder_2"
 * @modules: (array length=n_modules): all linear layers and convolutions of it
 *
 * Finds out which layers of @component the file changes. Names are never taken apart (an underscore may be part of a name): all the
 * spellings of all modules are made and looked up.
 * Errors: FAMILY when a layer that the file names has another shape here: the LoRA was made for another family of models.
 */
gboolean fb_lora_match (FbLora *self, const char *component, const FbLoraModule *modules, size_t n_modules, GError **error);

/**
 * fb_lora_check:
 *
 * To be asked when all components have been matched.
 * Returns: %FALSE with FAMILY if not a single layer has matched: the message says what the LoRA seems to be made for.
 */
gboolean fb_lora_check (const FbLora *self, GError **error);

/* Layers that the file changes, and those of them that have been matched. */
guint   fb_lora_n_layers  (const FbLora *self);
guint   fb_lora_n_matched (const FbLora *self);
/* (transfer full): what has not been matched, by the file's names, sorted; %NULL-terminated */
char ** fb_lora_unmatched (const FbLora *self);

/* Whether the file changes this layer. */
gboolean fb_lora_changes (const FbLora *self, const char *component, const char *module);

/**
 * fb_lora_add_delta:
 * @module: as it was matched
 * @strength: the user's factor; any finite number
 * @weight: [out, in · kH · kW], row by row: what fb_checkpoint_read_f32() gives. Undefined after an error.
 *
 * Adds strength · ΔW to @weight; does nothing for a layer the file does not change. Computed in f32.
 * Errors: NOT_FINITE, DTYPE, TRUNCATED, IO, %G_IO_ERROR_CANCELLED; @error names file and tensor.
 */
gboolean fb_lora_add_delta (FbLora *self, const char *component, const char *module, float strength, float *weight,
                            GCancellable *cancellable, GError **error);
