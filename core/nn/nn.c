/* core/nn/nn.c: where a forward pass happens, and who owns its tensors. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/nn/nn-private.h"

FbContext *
fb_nn_context_new (FbDevice *dev, FbDtype dtype)
{
  FbContext *ctx = g_new0 (FbContext, 1);

  ctx->dev = fb_device_ref (dev);
  ctx->dtype = dtype;
  ctx->tensors = g_ptr_array_new_with_free_func ((GDestroyNotify) fb_tensor_unref);
  ctx->scopes = g_array_new (FALSE, FALSE, sizeof (guint));

  return ctx;
}

void
fb_nn_context_free (FbContext *ctx)
{
  if (ctx == NULL)
    return;

  g_ptr_array_unref (ctx->tensors);
  g_array_unref (ctx->scopes);
  fb_device_unref (ctx->dev);
  g_free (ctx);
}

FbDevice *
fb_nn_device (const FbContext *ctx)
{
  return ctx->dev;
}

FbDtype
fb_nn_dtype (const FbContext *ctx)
{
  return ctx->dtype;
}

void
fb_nn_set_tape (FbContext *ctx, FbTape *tape)
{
  ctx->tape = tape;
}

void
fb_nn_set_lora_enabled (FbContext *ctx, gboolean enabled)
{
  ctx->lora_enabled = enabled;
}

static guint
scope_start (const FbContext *ctx)
{
  return ctx->scopes->len > 0 ? g_array_index (ctx->scopes, guint, ctx->scopes->len - 1) : 0;
}

void
fb_nn_scope_begin (FbContext *ctx)
{
  g_array_append_val (ctx->scopes, ctx->tensors->len);
}

FbTensor *
fb_nn_scope_end (FbContext *ctx, FbTensor *result)
{
  guint start = scope_start (ctx), i;

  g_assert (ctx->scopes->len > 0);

  for (i = start; i < ctx->tensors->len; i++)            /* @result moves to the front of the scope and stays there */
    if (ctx->tensors->pdata[i] == result)
      {
        ctx->tensors->pdata[i] = ctx->tensors->pdata[start];
        ctx->tensors->pdata[start++] = result;
        break;
      }
  g_ptr_array_set_size (ctx->tensors, start);
  g_array_set_size (ctx->scopes, ctx->scopes->len - 1);

  return result;
}

void
fb_nn_drop (FbContext *ctx, FbTensor *t)
{
  const guint start = scope_start (ctx);

  for (guint i = ctx->tensors->len; i > start; i--)
    if (ctx->tensors->pdata[i - 1] == t)
      {
        g_ptr_array_remove_index (ctx->tensors, i - 1);
        return;
      }
}

FbTensor *
fb_nn_then (FbContext *ctx, FbTensor *t, FbTensor *next)
{
  if (next != t)
    fb_nn_drop (ctx, t);

  return next;
}

void
fb_nn_reset (FbContext *ctx)
{
  g_ptr_array_set_size (ctx->tensors, 0);
  g_array_set_size (ctx->scopes, 0);
}

FbTensor *
fb_nn_own (FbContext *ctx, FbTensor *t)
{
  g_ptr_array_add (ctx->tensors, t);
  return t;
}

FbTensor *
fb_nn_like (FbContext *ctx, const FbTensor *x)
{
  return fb_nn_own (ctx, fb_tensor_new (ctx->dev, x->dtype, x->n_dims, x->shape));
}

FbTensor *
fb_nn_with_channels (FbContext *ctx, FbDtype dtype, const FbTensor *x, int channels)
{
  int shape[FB_MAX_DIMS];

  for (int i = 0; i < x->n_dims; i++)
    shape[i] = x->shape[i];
  shape[x->n_dims - 1] = channels;

  return fb_nn_own (ctx, fb_tensor_new (ctx->dev, dtype, x->n_dims, shape));
}

FbTensor *
fb_nn_upload (FbContext *ctx, FbDtype dtype, const float *data, int n_dims, const int *shape)
{
  FbTensor *t = fb_nn_own (ctx, fb_tensor_new (ctx->dev, dtype, n_dims, shape));

  fb_tensor_upload (t, data, FB_DTYPE_F32);

  return t;
}

FbTensor *
fb_nn_as_tokens (FbContext *ctx, FbTensor *t)
{
  const int shape[] = { t->shape[0], t->shape[1] * t->shape[2], t->shape[3] };

  g_assert (t->n_dims == 4);

  return fb_nn_own (ctx, fb_tensor_view (t, 3, shape, 0));
}

FbTensor *
fb_nn_as_picture (FbContext *ctx, FbTensor *t, int height, int width)
{
  const int shape[] = { t->shape[0], height, width, t->shape[2] };

  g_assert (t->n_dims == 3 && t->shape[1] == height * width);

  return fb_nn_own (ctx, fb_tensor_view (t, 4, shape, 0));
}

FbTensor *
fb_nn_as_vector (FbContext *ctx, FbTensor *t)
{
  g_assert (t->n_dims == 2 && t->shape[0] == 1);

  return fb_nn_own (ctx, fb_tensor_view (t, 1, &t->shape[1], 0));
}
