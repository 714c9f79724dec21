/* core/formats/lora-private.h: what a LoRA file is made of. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "core/formats/lora.h"

typedef enum
{
  FB_LORA_DOWN,     /* [rank, in(, kH, kW)] */
  FB_LORA_UP,       /* [out, rank(, 1, 1)] */
  FB_LORA_MID,      /* [rank, rank, kH, kW]: the core of a Tucker decomposition, between down [rank, in, 1, 1] and up */
  FB_LORA_ALPHA,    /* a number */
  FB_LORA_N_PARTS,
} FbLoraPart;

/**
 * FbLoraLayer:
 * @key: the file's names for the parts, without their endings
 * @part: (nullable): their tensors
 * @component: (nullable): %NULL until matched
 * @module: (nullable): canonical path
 * @n_out, @n_in, @n_kernel: of the matched module; n_kernel = kH · kW
 * @rank: rows of down
 * @scale: ΔW = scale · up · down
 */
typedef struct
{
  char               *key;
  const FbTensorInfo *part[FB_LORA_N_PARTS];
  char               *component;
  char               *module;
  int                 n_out, n_in, n_kernel, rank;
  float               scale;
} FbLoraLayer;

struct FbLora
{
  int            ref_count;
  char          *path;
  FbSafetensors *file;
  JsonObject    *config;      /* (nullable): PEFT's, from adapter_config.json or the header */
  GPtrArray     *layers;      /* of FbLoraLayer, in the order of the file */
  GHashTable    *by_key;      /* key -> FbLoraLayer */
  GHashTable    *matched;     /* "component module" -> FbLoraLayer */
  GPtrArray     *strays;      /* names that end in no known way; not owned */
  GPtrArray     *files;
};

/* Splits a tensor's name into key and part; FALSE when it ends in no known way. @key_length in bytes. */
gboolean     fb_lora_split_name (const char *name, gsize *key_length, FbLoraPart *part);

/* The kind of adapter that a tensor of this name belongs to, if it is one we refuse: "LoHa" …, or NULL. */
const char * fb_lora_refused_kind (const char *name);

/* (transfer full): all the keys under which files may have @module of @component; %NULL-terminated */
char **      fb_lora_spellings (const char *component, const char *module);

/**
 * fb_lora_config_scale:
 * @config: (nullable): PEFT's configuration
 *
 * What PEFT multiplies up · down with when the file has no alpha tensors: lora_alpha / rank, or / √rank; 1 without a configuration.
 */
double       fb_lora_config_scale (JsonObject *config, const char *component, const char *module, int rank);

/* Refuses configurations that ask for more than that. UNSUPPORTED. */
gboolean     fb_lora_config_check (JsonObject *config, const char *path, GError **error);
