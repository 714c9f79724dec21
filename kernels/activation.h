/* kernels/activation.h: pointwise nonlinearities. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

typedef enum
{
  FB_ACT_NONE,
  FB_ACT_SILU,        /* x · σ(x) */
  FB_ACT_GELU,        /* x · Φ(x), by erf */
  FB_ACT_QUICK_GELU,  /* x · σ(1.702 x); CLIP-L */
  FB_ACT_RELU,        /* TAESD */
  FB_ACT_TANH,
  FB_ACT_CLAMP,       /* to −1 … 1, what a picture's pixels can be */
} FbActivation;

/**
 * fb_op_activation:
 * @out: shape and dtype of @x; may be @x itself
 *
 * Applies @act to every element, in f32 whatever the dtype.
 * Tolerance against reference/: 2e-6 (f32), 4e-3 (bf16), relative to the largest output.
 */
void fb_op_activation (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act);

/**
 * fb_op_activation_backward:
 * @dx: shape and dtype of @x; overwritten; may be @dy itself
 * @dy: gradient of fb_op_activation()'s output; shape and dtype of @x
 *
 * dx = dy · act′(x), the slope in f32 whatever the dtype; ReLU's at 0 is 0, the clamp's at its ends 1. Tolerance as fb_op_activation().
 */
void fb_op_activation_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act);

/**
 * fb_op_geglu:
 * @out: [N, T, C]
 * @x: [N, T, 2 C], value half first, then gate half
 *
 * out = value · gelu (gate), gelu by erf. Tolerance as fb_op_activation().
 * Source: arXiv:2002.05202; diffusers' GEGLU for the order of the halves.
 */
void fb_op_geglu (FbDevice *dev, FbTensor *out, const FbTensor *x);

/**
 * fb_op_geglu_backward:
 * @dx: [N, T, 2 C]; overwritten
 * @dy: [N, T, C], gradient of fb_op_geglu()'s output
 * @x: [N, T, 2 C]
 *
 * Value half: dy · gelu (gate); gate half: dy · value · gelu′(gate). Tolerance as fb_op_activation().
 */
void fb_op_geglu_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x);
