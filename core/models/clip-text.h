/* core/models/clip-text.h: CLIP's text encoder, as Hugging Face's CLIPTextModel. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "core/formats/model-error.h"
#include "core/nn/params.h"

typedef struct
{
  int          vocabulary;       /* token ids */
  int          width;
  int          mlp_width;
  int          n_layers;
  int          n_heads;
  int          n_positions;      /* tokens per chunk; 77 */
  float        eps;
  FbActivation activation;       /* QUICK_GELU in CLIP-L, GELU in OpenCLIP's */
} FbClipTextConfig;

/* Reads a config.json; @path names it in errors: BAD_CONFIG, UNSUPPORTED. */
gboolean fb_clip_text_config_parse (FbClipTextConfig *config, JsonObject *json, const char *path, GError **error);

typedef struct FbClipText FbClipText;

FbClipText *             fb_clip_text_new    (const FbClipTextConfig *config);
void                     fb_clip_text_free   (FbClipText *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbClipText, fb_clip_text_free)

FbParams *               fb_clip_text_params (FbClipText *m);
const FbClipTextConfig * fb_clip_text_config (const FbClipText *m);

/**
 * fb_clip_text_forward:
 * @ids: [n, n_positions], each 0 … vocabulary − 1
 * @skip: last layers to leave out, 0 … n_layers − 1
 * @final_norm: whether the final layer norm follows: web UIs and diffusers apply it after a skip too; SDXL takes the layer's bare output
 *
 * Returns: (transfer none): [n, n_positions, width]
 */
FbTensor *               fb_clip_text_forward (FbContext *ctx, const FbClipText *m, const int *ids, int n, int skip, gboolean final_norm);
