/* core/nn/nn.c: layers over kernels' ops. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/nn/nn.h"

#include <math.h>

#include "kernels/elementwise.h"
#include "kernels/group-norm.h"
#include "kernels/layer-norm.h"

struct FbContext
{
  FbDevice  *dev;
  FbDtype    dtype;
  GPtrArray *tensors;      /* owned, in the order they were made */
  GArray    *scopes;       /* of guint: how many tensors there were at each begin */
};

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

static FbTensor *
own (FbContext *ctx, FbTensor *t)
{
  g_ptr_array_add (ctx->tensors, t);
  return t;
}

static FbTensor *
like (FbContext *ctx, const FbTensor *x)
{
  return own (ctx, fb_tensor_new (ctx->dev, x->dtype, x->n_dims, x->shape));
}

/* an uninitialised tensor of @x's shape but for its last size */
static FbTensor *
with_channels (FbContext *ctx, FbDtype dtype, const FbTensor *x, int channels)
{
  int shape[FB_MAX_DIMS];

  for (int i = 0; i < x->n_dims; i++)
    shape[i] = x->shape[i];
  shape[x->n_dims - 1] = channels;

  return own (ctx, fb_tensor_new (ctx->dev, dtype, x->n_dims, shape));
}

FbTensor *
fb_nn_upload (FbContext *ctx, FbDtype dtype, const float *data, int n_dims, const int *shape)
{
  FbTensor *t = own (ctx, fb_tensor_new (ctx->dev, dtype, n_dims, shape));

  fb_tensor_upload (t, data, FB_DTYPE_F32);

  return t;
}

FbTensor *
fb_nn_as_tokens (FbContext *ctx, FbTensor *t)
{
  const int shape[] = { t->shape[0], t->shape[1] * t->shape[2], t->shape[3] };

  g_assert (t->n_dims == 4);

  return own (ctx, fb_tensor_view (t, 3, shape, 0));
}

FbTensor *
fb_nn_as_picture (FbContext *ctx, FbTensor *t, int height, int width)
{
  const int shape[] = { t->shape[0], height, width, t->shape[2] };

  g_assert (t->n_dims == 3 && t->shape[1] == height * width);

  return own (ctx, fb_tensor_view (t, 4, shape, 0));
}

FbTensor *
fb_nn_as_vector (FbContext *ctx, FbTensor *t)
{
  g_assert (t->n_dims == 2 && t->shape[0] == 1);

  return own (ctx, fb_tensor_view (t, 1, &t->shape[1], 0));
}

static FbTensor *
conv2d (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbTensor *bias, FbTensor *residual, FbActivation act, FbDtype dtype)
{
  const FbConv2dParams *p = &m->params;
  const int            *w = fb_weight_shape (m->weight);
  const int             shape[] = {
    x->shape[0],
    (x->shape[1] * p->upsample + p->pad_top + p->pad_bottom - w[2]) / p->stride + 1,
    (x->shape[2] * p->upsample + p->pad_left + p->pad_right - w[3]) / p->stride + 1,
    w[0],
  };
  FbTensor             *out = own (ctx, fb_tensor_new (ctx->dev, dtype, 4, shape));

  fb_op_conv2d (ctx->dev, out, x, m->weight, bias, residual, p, act);

  return out;
}

FbTensor *
fb_nn_conv2d (FbContext *ctx, const FbConv2d *m, FbTensor *x)
{
  return conv2d (ctx, m, x, m->bias, NULL, FB_ACT_NONE, ctx->dtype);
}

FbTensor *
fb_nn_conv2d_act (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbActivation act)
{
  return conv2d (ctx, m, x, m->bias, NULL, act, ctx->dtype);
}

FbTensor *
fb_nn_conv2d_add (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbTensor *residual, FbActivation act)
{
  return conv2d (ctx, m, x, m->bias, residual, act, ctx->dtype);
}

FbTensor *
fb_nn_conv2d_shift (FbContext *ctx, const FbConv2d *m, FbTensor *x, FbTensor *shift)
{
  FbTensor *bias = m->bias != NULL ? fb_nn_add (ctx, shift, m->bias) : shift;

  return conv2d (ctx, m, x, bias->shape[0] == 1 ? fb_nn_as_vector (ctx, bias) : bias, NULL, FB_ACT_NONE, ctx->dtype);
}

FbTensor *
fb_nn_conv2d_enlarge (FbContext *ctx, const FbConv2d *m, FbTensor *x, int height, int width)
{
  const int shape[] = { x->shape[0], height, width, x->shape[3] };
  FbConv2d  plain   = *m;
  FbTensor *large, *out;

  if (height == 2 * x->shape[1] && width == 2 * x->shape[2])
    return fb_nn_conv2d (ctx, m, x);

  fb_nn_scope_begin (ctx);
  plain.params.upsample = 1;
  large = own (ctx, fb_tensor_new (ctx->dev, x->dtype, 4, shape));
  fb_op_upsample (ctx->dev, large, x);
  out = fb_nn_conv2d (ctx, &plain, large);

  return fb_nn_scope_end (ctx, out);
}

FbTensor *
fb_nn_conv2d_f32 (FbContext *ctx, const FbConv2d *m, FbTensor *x)
{
  return conv2d (ctx, m, x, m->bias, NULL, FB_ACT_NONE, FB_DTYPE_F32);
}

static FbTensor *
linear (FbContext *ctx, const FbLinear *m, FbTensor *x, FbTensor *residual, FbActivation act, FbDtype dtype)
{
  FbTensor *out = with_channels (ctx, dtype, x, fb_weight_shape (m->weight)[0]);

  fb_op_linear (ctx->dev, out, x, m->weight, m->bias, residual, act);

  return out;
}

FbTensor *
fb_nn_linear (FbContext *ctx, const FbLinear *m, FbTensor *x)
{
  return linear (ctx, m, x, NULL, FB_ACT_NONE, ctx->dtype);
}

FbTensor *
fb_nn_linear_act (FbContext *ctx, const FbLinear *m, FbTensor *x, FbActivation act)
{
  return linear (ctx, m, x, NULL, act, ctx->dtype);
}

FbTensor *
fb_nn_linear_add (FbContext *ctx, const FbLinear *m, FbTensor *x, FbTensor *residual)
{
  return linear (ctx, m, x, residual, FB_ACT_NONE, ctx->dtype);
}

FbTensor *
fb_nn_linear_f32 (FbContext *ctx, const FbLinear *m, FbTensor *x)
{
  return linear (ctx, m, x, NULL, FB_ACT_NONE, FB_DTYPE_F32);
}

FbTensor *
fb_nn_group_norm (FbContext *ctx, const FbNorm *m, FbTensor *x, FbActivation act)
{
  FbTensor *out = like (ctx, x);

  fb_op_group_norm (ctx->dev, out, x, m->weight, m->bias, m->n_groups, m->eps, act);

  return out;
}

FbTensor *
fb_nn_layer_norm (FbContext *ctx, const FbNorm *m, FbTensor *x)
{
  FbTensor *out = like (ctx, x);

  fb_op_layer_norm (ctx->dev, out, x, m->weight, m->bias, m->eps);

  return out;
}

FbTensor *
fb_nn_attention (FbContext *ctx, FbTensor *q, FbTensor *k, FbTensor *v, int n_heads, gboolean causal)
{
  FbTensor *out = like (ctx, q);

  fb_op_attention (ctx->dev, out, q, k, v, n_heads, 1.0f / sqrtf ((float) (q->shape[2] / n_heads)), causal);

  return out;
}

FbTensor *
fb_nn_activation (FbContext *ctx, FbTensor *x, FbActivation act)
{
  FbTensor *out = like (ctx, x);

  fb_op_activation (ctx->dev, out, x, act);

  return out;
}

FbTensor *
fb_nn_geglu (FbContext *ctx, FbTensor *x)
{
  FbTensor *out = with_channels (ctx, x->dtype, x, x->shape[x->n_dims - 1] / 2);

  fb_op_geglu (ctx->dev, out, x);

  return out;
}

FbTensor *
fb_nn_add (FbContext *ctx, FbTensor *a, FbTensor *b)
{
  FbTensor *out = like (ctx, a);

  fb_op_add (ctx->dev, out, a, b);

  return out;
}

FbTensor *
fb_nn_concat (FbContext *ctx, FbTensor *a, FbTensor *b)
{
  FbTensor *out = with_channels (ctx, a->dtype, a, a->shape[a->n_dims - 1] + b->shape[b->n_dims - 1]);

  fb_op_concat (ctx->dev, out, a, b);

  return out;
}
