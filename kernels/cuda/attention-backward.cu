/* kernels/cuda/attention-backward.cu: gradients of attention by our own kernels. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * In bands of queries as in attention.cu: weights and their gradients lie in memory for one band at a time, between products. Gradients of
 * keys and values are added up over the bands in f32. */

#include "kernels/cuda/attention-backward.h"
#include "kernels/cuda/product.h"
#include "kernels/cuda/values.h"

#define BAND_BYTES ((size_t) 32 << 20)      /* of scores, and as much of their gradients */
#define BLOCK      256

/* One call's sizes and the band that is computed */
typedef struct
{
  int   T, S, C, D, n_heads;
  float scale;
  bool  causal;
  int   n, t0, n_queries;
} Band;

/* One block per row of @scores and @gradients [heads, queries, S]: scores become weights; gradients of the weights become those of q·k.
 * grid: queries, heads. @weights and @out_gradients may be @scores and @gradients. */
template <typename T> __global__ void
row_kernel (T *weights, T *out_gradients, const float *scores, const float *gradients, const T *__restrict__ dout, const T *__restrict__ out, Band b)
{
  __shared__ float shared[32];
  size_t row     = ((size_t) blockIdx.y * b.n_queries + blockIdx.x) * b.S;
  int    t       = b.t0 + (int) blockIdx.x;
  size_t token   = ((size_t) b.n * b.T + t) * b.C + (size_t) blockIdx.y * b.D;
  int    visible = b.causal ? t + 1 : b.S;
  float  largest = -INFINITY, total = 0.0f, given = 0.0f;

  for (int d = threadIdx.x; d < b.D; d += BLOCK)
    given += widen (dout[token + d]) * widen (out[token + d]);
  given = block_sum (given, shared);

  for (int s = threadIdx.x; s < visible; s += BLOCK)
    largest = fmaxf (largest, scores[row + s]);
  largest = warp_max (largest);
  __syncthreads ();
  if (threadIdx.x % 32 == 0)
    shared[threadIdx.x / 32] = largest;
  __syncthreads ();
  for (int i = 0; i < BLOCK / 32; i++)
    largest = fmaxf (largest, shared[i]);

  for (int s = threadIdx.x; s < visible; s += BLOCK)
    total += expf (scores[row + s] - largest);
  total = block_sum (total, shared);

  for (int s = threadIdx.x; s < b.S; s += BLOCK)
    {
      float weight   = s < visible ? expf (scores[row + s] - largest) / total : 0.0f;
      float gradient = s < visible ? b.scale * weight * (gradients[row + s] - given) : 0.0f;

      weights[row + s]       = narrow<T> (weight);
      out_gradients[row + s] = narrow<T> (gradient);
    }
}

/* The rows of token @t0 of image @n, one head after another, as an operand */
static FbCudaMatrix
heads (const FbTensor *t, const Band &b, int n_tokens, int t0, gboolean transposed)
{
  size_t       first  = ((size_t) b.n * n_tokens + t0) * b.C;
  FbCudaMatrix matrix = { (const char *) t->data + first * fb_dtype_size (t->dtype), (size_t) b.C, (size_t) b.D, transposed };

  return matrix;
}

/* [queries, S], or its transpose, of every head */
static FbCudaMatrix
scores_of (const void *data, const Band &b, gboolean transposed)
{
  FbCudaMatrix matrix = { data, (size_t) b.S, (size_t) b.n_queries * b.S, transposed };

  return matrix;
}

/* out [queries, S] = scale · left · rightᵀ, f32 */
static void
multiply_to_scores (FbDevice *dev, const Band &b, FbDtype dtype, float *out, float scale, FbCudaMatrix left, FbCudaMatrix right)
{
  FbCudaProduct p = {};

  p.dtype      = dtype;
  p.out_dtype  = FB_DTYPE_F32;
  p.n_rows     = b.n_queries;
  p.n_columns  = b.S;
  p.depth      = b.D;
  p.n_products = b.n_heads;
  p.scale      = scale;
  p.left       = left;
  p.right      = right;
  p.out        = out;
  p.out_step   = b.S;
  p.out_batch  = (size_t) b.n_queries * b.S;
  fb_cuda_product (dev, &p);
}

/* out [n_rows, D] of each head, @C apart, = left · right, and what is there where @add */
static void
multiply_to_tokens (FbDevice *dev, const Band &b, FbDtype dtype, FbDtype out_dtype, void *out, int n_rows, int depth,
                    FbCudaMatrix left, FbCudaMatrix right, gboolean add)
{
  FbCudaProduct p = {};

  p.dtype      = dtype;
  p.out_dtype  = out_dtype;
  p.n_rows     = n_rows;
  p.n_columns  = b.D;
  p.depth      = depth;
  p.n_products = b.n_heads;
  p.scale      = 1.0f;
  p.left       = left;
  p.right      = right;
  p.out        = out;
  p.out_step   = b.C;
  p.out_batch  = b.D;
  p.addend     = add ? out : NULL;
  fb_cuda_product (dev, &p);
}

/* Rounds the sums over the bands of one image into its place in @to */
static void
store_image (FbDevice *dev, FbTensor *to, FbTensor *sums, int n)
{
  int        shape[2] = { sums->shape[0], sums->shape[1] };
  FbTensor  *place    = fb_tensor_view (to, 2, shape, (size_t) n * shape[0] * shape[1]);

  fb_cuda_cast (dev, place, sums);
  fb_tensor_unref (place);
}

extern "C" void
fb_cuda_attend_backward_plainly (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q,
                                 const FbTensor *k, const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal)
{
  FbDtype   dtype     = q->dtype;
  gboolean  narrows   = dtype != FB_DTYPE_F32;
  Band      b         = { q->shape[1], k->shape[1], q->shape[2], q->shape[2] / n_heads, n_heads, scale, causal != FALSE, 0, 0, 0 };
  size_t    per_query = (size_t) n_heads * b.S;
  int       band      = (int) CLAMP (BAND_BYTES / 4 / per_query, 1, (size_t) b.T);
  int       n_scores  = (int) (band * per_query);                                 /* 32 MB of them, or one query's */
  FbTensor *scores    = fb_tensor_new_1d (dev, FB_DTYPE_F32, n_scores);
  FbTensor *gradients = fb_tensor_new_1d (dev, FB_DTYPE_F32, n_scores);
  FbTensor *weights   = narrows ? fb_tensor_new_1d (dev, dtype, n_scores) : fb_tensor_ref (scores);
  FbTensor *narrowed  = narrows ? fb_tensor_new_1d (dev, dtype, n_scores) : fb_tensor_ref (gradients);
  FbTensor *key_sums  = fb_tensor_new_2d (dev, FB_DTYPE_F32, b.S, b.C);
  FbTensor *value_sums = fb_tensor_new_2d (dev, FB_DTYPE_F32, b.S, b.C);

  for (b.n = 0; b.n < q->shape[0] && dev->failure == NULL; b.n++)
    {
      for (b.t0 = 0; b.t0 < b.T && dev->failure == NULL; b.t0 += band)
        {
          b.n_queries = MIN (band, b.T - b.t0);
          multiply_to_scores (dev, b, dtype, (float *) scores->data, scale, heads (q, b, b.T, b.t0, FALSE), heads (k, b, b.S, 0, TRUE));
          multiply_to_scores (dev, b, dtype, (float *) gradients->data, 1.0f, heads (dout, b, b.T, b.t0, FALSE), heads (v, b, b.S, 0, TRUE));
          FB_BY_DTYPE (dtype, T,
                       FB_LAUNCH (dev, row_kernel<T>, dim3 ((unsigned) b.n_queries, (unsigned) n_heads), BLOCK, (T *) weights->data,
                                  (T *) narrowed->data, (const float *) scores->data, (const float *) gradients->data,
                                  (const T *) dout->data, (const T *) out->data, b));

          multiply_to_tokens (dev, b, dtype, dtype, (char *) dq->data + ((size_t) b.n * b.T + b.t0) * b.C * fb_dtype_size (dtype), b.n_queries,
                              b.S, scores_of (narrowed->data, b, FALSE), heads (k, b, b.S, 0, FALSE), FALSE);
          if (dk == NULL)
            continue;
          multiply_to_tokens (dev, b, dtype, FB_DTYPE_F32, key_sums->data, b.S, b.n_queries, scores_of (narrowed->data, b, TRUE),
                              heads (q, b, b.T, b.t0, FALSE), b.t0 > 0);
          multiply_to_tokens (dev, b, dtype, FB_DTYPE_F32, value_sums->data, b.S, b.n_queries, scores_of (weights->data, b, TRUE),
                              heads (dout, b, b.T, b.t0, FALSE), b.t0 > 0);
        }
      if (dk != NULL && dev->failure == NULL)
        {
          store_image (dev, dk, key_sums, b.n);
          store_image (dev, dv, value_sums, b.n);
        }
    }

  fb_tensor_unref (value_sums);
  fb_tensor_unref (key_sums);
  fb_tensor_unref (narrowed);
  fb_tensor_unref (weights);
  fb_tensor_unref (gradients);
  fb_tensor_unref (scores);
}
