/* core/nn/nn.h: layers over kernels' ops. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/attention.h"
#include "kernels/conv2d.h"
#include "kernels/device.h"
#include "kernels/linear.h"

typedef struct FbTape FbTape;     /* core/nn/tape.h */

/**
 * FbContext:
 *
 * Where a forward pass happens: a device, the type it computes in, and the tensors it has made. Tensors that layers return belong to the
 * context; whoever wants one for longer takes a reference. Every computation of a model goes through this header: a tape that is hung into
 * the context (core/nn/tape.h) keeps what a backward pass needs, whatever the forward function drops early.
 */
typedef struct FbContext FbContext;

FbContext * fb_nn_context_new  (FbDevice *dev, FbDtype dtype);
void        fb_nn_context_free (FbContext *ctx);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbContext, fb_nn_context_free)

FbDevice *  fb_nn_device (const FbContext *ctx);
FbDtype     fb_nn_dtype  (const FbContext *ctx);

/* @tape (nullable, not owned) records what layers do from here on. */
void        fb_nn_set_tape (FbContext *ctx, FbTape *tape);

/* Whether layers take their LoRA branches: with them a network is the student, without them its own teacher. Off at first. */
void        fb_nn_set_lora_enabled (FbContext *ctx, gboolean enabled);

/**
 * fb_nn_scope_begin, fb_nn_scope_end:
 * @result: (nullable): a tensor made since the begin, or an older one
 *
 * Free all tensors made since the begin but @result, which passes to the scope around. Blocks use them to keep memory small:
 * `fb_nn_scope_begin (ctx); … return fb_nn_scope_end (ctx, h);`
 *
 * Returns: (transfer none): @result
 */
void        fb_nn_scope_begin (FbContext *ctx);
FbTensor *  fb_nn_scope_end   (FbContext *ctx, FbTensor *result);

/* Frees @t before its scope ends, for the large ones; does nothing with a tensor that is not this scope's. */
void        fb_nn_drop (FbContext *ctx, FbTensor *t);

/* @next, after dropping @t: `x = fb_nn_then (ctx, x, fb_resnet_forward (ctx, m, x));` keeps one link of a chain alive */
FbTensor *  fb_nn_then (FbContext *ctx, FbTensor *t, FbTensor *next);

/* Frees everything. */
void        fb_nn_reset (FbContext *ctx);

/**
 * FbLoraBranch: a low-rank change beside a layer, y += up (down (x)); owned by whoever trains it (core/distill/lora-set.h)
 * @down: [rank, Cin]; beside a convolution one with its settings, [rank, Cin, kH, kW]
 * @up: [Cout, rank], beside a convolution [Cout, rank, 1, 1]; times alpha / rank
 * @ddown, @dup: (nullable): gradients of the two as they stand here, in their shapes, f32 (f64 where all is f64); backward adds to them
 */
typedef struct
{
  FbWeight *down, *up;
  FbTensor *ddown, *dup;
} FbLoraBranch;

/**
 * FbConv2d, FbLinear, FbNorm: layers as a model holds them; filled by core/nn/params.h
 * @weight: of a norm: scale, f32
 * @bias: (nullable): f32
 * @dweight, @dbias: (nullable): gradients in the weights' shapes, f32 (f64 where all is f64), that backward adds to; %NULL: frozen
 * @lora: (nullable)
 */
typedef struct
{
  FbWeight      *weight;
  FbTensor      *bias;
  FbTensor      *dweight, *dbias;
  FbConv2dParams params;
  FbLoraBranch  *lora;
} FbConv2d;

typedef struct
{
  FbWeight     *weight;
  FbTensor     *bias;
  FbTensor     *dweight, *dbias;
  FbLoraBranch *lora;
} FbLinear;

typedef struct
{
  FbTensor *weight;
  FbTensor *bias;
  FbTensor *dweight, *dbias;
  int       n_groups;       /* 1 and unused for a layer norm */
  float     eps;
} FbNorm;

/**
 * FbBlockFunc:
 * @layer: a part of a model
 * @inputs: what it computes with; each nullable
 *
 * The forward code of one block. It computes the same each time, and from nothing else that wants a gradient.
 */
typedef FbTensor * (* FbBlockFunc) (FbContext *ctx, const void *layer, FbTensor **inputs);

/**
 * fb_nn_block:
 * @layer: stays where it is until a tape has been walked back
 * @n_inputs: 1 … 3
 *
 * Calls @forward. Under a tape whose memory budget is spent, only @inputs are kept, and the way back calls @forward once more.
 * Source: gradient checkpointing, arXiv:1604.06174.
 *
 * Returns: (transfer none): what @forward returned
 */
FbTensor *  fb_nn_block (FbContext *ctx, FbBlockFunc forward, const void *layer, FbTensor **inputs, int n_inputs);

/**
 * fb_nn_upload:
 * @data: host f32, dense
 *
 * Returns: (transfer none): a context tensor of @dtype with @data's values.
 */
FbTensor *  fb_nn_upload (FbContext *ctx, FbDtype dtype, const float *data, int n_dims, const int *shape);

/* A context tensor that shares @t's memory: [N, H, W, C] as tokens [N, H · W, C], tokens as a picture, [1, C] as [C] */
FbTensor *  fb_nn_as_tokens (FbContext *ctx, FbTensor *t);
FbTensor *  fb_nn_as_picture (FbContext *ctx, FbTensor *t, int height, int width);
FbTensor *  fb_nn_as_vector (FbContext *ctx, FbTensor *t);

/* x [N, H, W, Cin] -> [N, Ho, Wo, Cout] */
FbTensor *  fb_nn_conv2d      (FbContext *ctx, const FbConv2d *m, FbTensor *x);
/* with an activation after it */
FbTensor *  fb_nn_conv2d_act  (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbActivation act);
/* act (conv (x) + residual) */
FbTensor *  fb_nn_conv2d_add  (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbTensor *residual, FbActivation act);
/* conv (x) + shift, f32 [N, Cout] or [1, Cout], one value per picture and channel */
FbTensor *  fb_nn_conv2d_shift (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbTensor *shift);
/**
 * fb_nn_conv2d_enlarge: convolution of @x enlarged 2×, to @height × @width; one less per side is what an odd picture had before it was halved.
 * Such a size needs the weight as a plain kernel: fb_params_set_odd_sizes().
 */
FbTensor *  fb_nn_conv2d_enlarge (FbContext *ctx, const FbConv2d *m, FbTensor *x, int height, int width);
/* with an f32 result, for a network's last layer */
FbTensor *  fb_nn_conv2d_f32  (FbContext *ctx, const FbConv2d *m, FbTensor *x);

/* x [..., Cin] -> [..., Cout] */
FbTensor *  fb_nn_linear      (FbContext *ctx, const FbLinear *m, FbTensor *x);
FbTensor *  fb_nn_linear_act  (FbContext *ctx, const FbLinear *m, FbTensor *x, FbActivation act);
/* linear (x) + residual */
FbTensor *  fb_nn_linear_add  (FbContext *ctx, const FbLinear *m, FbTensor *x, FbTensor *residual);
FbTensor *  fb_nn_linear_f32  (FbContext *ctx, const FbLinear *m, FbTensor *x);

FbTensor *  fb_nn_group_norm  (FbContext *ctx, const FbNorm *m, FbTensor *x, FbActivation act);
FbTensor *  fb_nn_layer_norm  (FbContext *ctx, const FbNorm *m, FbTensor *x);

/* q [N, T, C], k and v [N, S, C] -> [N, T, C]; scaled by 1 / √(C / n_heads) */
FbTensor *  fb_nn_attention   (FbContext *ctx, FbTensor *q, FbTensor *k, FbTensor *v, int n_heads, gboolean causal);

FbTensor *  fb_nn_activation  (FbContext *ctx, FbTensor *x, FbActivation act);
FbTensor *  fb_nn_geglu       (FbContext *ctx, FbTensor *x);
FbTensor *  fb_nn_add         (FbContext *ctx, FbTensor *a, FbTensor *b);
FbTensor *  fb_nn_concat      (FbContext *ctx, FbTensor *a, FbTensor *b);

/* x [N, H, W, C] -> [N, H / 2, W / 2, C]: the largest of each 2×2 pixels */
FbTensor *  fb_nn_max_pool    (FbContext *ctx, FbTensor *x);
/* a, b [N, H, W, C], weight [C], f32 -> [N], f32: how far the features' directions are apart (kernels/feature-distance.h) */
FbTensor *  fb_nn_feature_distance (FbContext *ctx, FbTensor *a, FbTensor *b, FbTensor *weight, float eps);

/* @x in @ctx's dtype, though it may come from a context of another */
FbTensor *  fb_nn_cast        (FbContext *ctx, FbTensor *x);
