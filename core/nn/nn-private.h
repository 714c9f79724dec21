/* core/nn/nn-private.h: what a context is made of; for core/nn. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/nn/nn.h"

struct FbContext
{
  FbDevice  *dev;
  FbDtype    dtype;
  GPtrArray *tensors;        /* owned, in the order they were made */
  GArray    *scopes;         /* of guint: how many tensors there were at each begin */
  FbTape    *tape;           /* NULL = nothing is recorded */
  gboolean   lora_enabled;
};

/* @t (transfer full), now @ctx's */
FbTensor * fb_nn_own  (FbContext *ctx, FbTensor *t);
/* An uninitialised tensor of @x's shape and dtype */
FbTensor * fb_nn_like (FbContext *ctx, const FbTensor *x);
/* An uninitialised tensor of @x's shape but for its last size */
FbTensor * fb_nn_with_channels (FbContext *ctx, FbDtype dtype, const FbTensor *x, int channels);

/* The type of outputs that go on in full precision: f32, or f64 where all is f64 */
static inline FbDtype
fb_nn_wide (const FbContext *ctx)
{
  return ctx->dtype == FB_DTYPE_F64 ? FB_DTYPE_F64 : FB_DTYPE_F32;
}
