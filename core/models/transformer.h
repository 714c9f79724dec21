/* core/models/transformer.h: the UNet's attention over a picture and a prompt. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/nn/params.h"

typedef struct
{
  FbLinear q, k, v, out;
} FbAttention;

typedef struct
{
  FbNorm      norm1, norm2, norm3;
  FbAttention attn1;                 /* over the picture; over the prompt too where @only_cross */
  FbAttention attn2;                 /* over the prompt */
  FbLinear    ff_in, ff_out;         /* GEGLU feed-forward */
} FbTransformerBlock;

/**
 * FbTransformer: norm, projection in, blocks, projection out, residual. The projections are 1×1 convolutions in SD 1.x files and linear
 * layers later: over channels-last pictures the two are the same product.
 */
typedef struct
{
  FbNorm              norm;
  FbLinear            proj_in, proj_out;
  FbTransformerBlock *blocks;
  int                 depth;
  int                 n_heads;
  gboolean            only_cross;    /* the x4 upscaler's blocks never attend over the picture */
} FbTransformer;

void       fb_transformer_init    (FbTransformer *m, FbParams *params, int channels, int context_width, int depth, int n_heads,
                                   gboolean only_cross, int n_groups);
void       fb_transformer_clear   (FbTransformer *m);

/* x [N, H, W, C], context [N, S, context_width] -> [N, H, W, C] */
FbTensor * fb_transformer_forward (FbContext *ctx, const FbTransformer *m, FbTensor *x, FbTensor *context);
