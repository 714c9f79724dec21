/* core/engine/model-use.h: which model a request means. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/settings.h"
#include "core/models/model.h"
#include "core/store/store.h"

/**
 * FbModelUse: the keys "model", "vae", "taesd", "loras", "sampler", "decoder", "preview" and "dtype" of a request, names turned into paths
 * @path: the checkpoint's
 * @vae, @taesd: (nullable): separate ones
 * @n_asked: of @loras, those that the request names; one that the model brings follows
 * @sampler: "" is what the model recommends
 * @wants_taesd: decoder or preview is to be one
 * @any_dtype: the request left the choice to us
 */
typedef struct
{
  char      *path, *vae, *taesd;
  FbLoraUse *loras;
  int        n_loras, n_asked;
  char      *sampler;
  FbDtype    dtype;
  gboolean   any_dtype, wants_taesd;
} FbModelUse;

/**
 * fb_model_use_new:
 * @task: one of fb_store_tasks(), whose default model is meant where none is named
 * @dev: the device whose best type "auto" is
 *
 * Returns: (transfer full): %NULL with %FB_ENGINE_ERROR_REQUEST for a wrong type or value, naming the key, or the store's error for a name nobody knows
 */
FbModelUse * fb_model_use_new  (const char *task, GVariant *request, FbStore *store, FbDevice *dev, const FbSettings *settings, GError **error);
void         fb_model_use_free (FbModelUse *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbModelUse, fb_model_use_free)

/* Adds the LoRA that @model brings for few-step samplers, where the sampler is one of those and the request doesn't name the LoRA itself. */
void         fb_model_use_add_own_lora (FbModelUse *self, FbModel *model);

/* Gives a model that has none the TAESD beside it, or the first of the store that fits it: looks anew each time, because one may have come meanwhile. */
void         fb_model_use_find_taesd (const FbModelUse *self, FbStore *store, FbModel *model);

/* Sets @text (transfer none) to the string under @key, or leaves it; %FALSE with @error when it is no string. */
gboolean     fb_request_string (GVariant *request, const char *key, const char **text, GError **error);
