/* kernels/cuda/attention-backward.h: gradients of attention by our own kernels. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/cuda/cuda-private.h"

G_BEGIN_DECLS

/* As fb_op_attention_backward(): any sizes and types; what cuDNN has no engine for comes here */
void fb_cuda_attend_backward_plainly (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q,
                                      const FbTensor *k, const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal);

G_END_DECLS
