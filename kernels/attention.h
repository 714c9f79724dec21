/* kernels/attention.h: scaled dot-product attention. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

/**
 * fb_op_attention:
 * @out: [N, T, n_heads · D], dtype of @q
 * @q: [N, T, n_heads · D]; head h holds channels h·D … h·D + D − 1
 * @k, @v: [N, S, n_heads · D], dtype of @q
 * @n_heads: divides the channels; D may be any size (40, 64, 80, 160 and the VAE's 512 occur)
 * @scale: > 0, factor on q·k; 1/√D in every network here
 * @causal: token t sees tokens 0 … t only; needs T = S
 *
 * out = softmax (scale · q kᵀ) v per head. Softmax and sums are f32. The T×S matrix never exists for a whole layer: tiles of it stay in
 * cache. Tolerance against reference/: 1e-5 (f32), 1.5e-2 (bf16), relative to the largest output.
 * Source: arXiv:1706.03762; tiling as arXiv:2205.14135.
 */
void fb_op_attention (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                      int n_heads, float scale, gboolean causal);

/**
 * fb_op_attention_backward:
 * @dq: [N, T, n_heads · D]; overwritten
 * @dk, @dv: (nullable, both or neither): [N, S, n_heads · D]; overwritten; %NULL where keys and values come from a frozen context
 * @dout: [N, T, n_heads · D], gradient of fb_op_attention()'s output; dtype of @q, as all here
 * @out: that output
 * the rest: as in the forward call
 *
 * With P = softmax (scale · q kᵀ), dP = dout vᵀ and dS = scale · P · (dP − row sums of dout · out): dv = Pᵀ dout, dq = dS k, dk = dSᵀ q.
 * P is computed anew, tile by tile; the T×S matrix never exists for a whole layer. A card may keep dS of one image, in 16 bits.
 * Tolerance against reference/: 2e-5 (f32), 2e-2 (bf16), relative to the largest element of each gradient.
 * Source: arXiv:2205.14135, appendix B.4.
 */
void fb_op_attention_backward (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q, const FbTensor *k,
                               const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal);
