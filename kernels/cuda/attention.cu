/* kernels/cuda/attention.cu: attention by our own kernels. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * 16-bit types with heads of up to 160 channels: one kernel on tensor cores that never writes a score to memory (arXiv:2205.14135, with the
 * inner loop over keys as in arXiv:2307.08691). All else, f32, the VAE's 512 channels and cards before compute capability 8.0: bands of
 * queries, whose scores lie in memory that the second-level cache holds, by two products and a softmax between them. */

#include "kernels/cuda/product.h"
#include "kernels/cuda/values.h"

/* --- on tensor cores ---------------------------------------------------------------------------------------------------- */

#define QUERIES 64           /* of a block: four warps with 16 rows each, what one mma takes */
#define KEYS    64           /* in shared memory at a time: with 160 channels keys and values take 45 KB of the 48 that need no asking */
#define BLOCK   (QUERIES / 16 * 32)
#define PAD     8            /* elements behind each row in shared memory: the eight rows that a fragment reads lie in different banks */

typedef unsigned short Bits;

/* Rounds both to T; @first in the lower half */
template <typename T> __device__ inline unsigned
pack (float first, float second)
{
  T pair[2] = { narrow<T> (first), narrow<T> (second) };

  return *(const Bits *) &pair[0] | (unsigned) *(const Bits *) &pair[1] << 16;
}

/* Two neighbours in one register; @p is aligned to 4 bytes */
__device__ inline unsigned
load_pair (const Bits *p)
{
  return *(const unsigned *) p;
}

/* The largest of, or the sum over, the four lanes that share a row of a fragment */
__device__ inline float
row_max (float v)
{
  v = fmaxf (v, __shfl_xor_sync (FB_ALL_LANES, v, 1));
  return fmaxf (v, __shfl_xor_sync (FB_ALL_LANES, v, 2));
}

__device__ inline float
row_sum (float v)
{
  v += __shfl_xor_sync (FB_ALL_LANES, v, 1);
  return v + __shfl_xor_sync (FB_ALL_LANES, v, 2);
}

/* One image's one head: tokens of @D channels, @C apart */
typedef struct
{
  int   n_queries, n_keys, C, D;
  float scale;               /* times log2 e: powers of two are what the card computes */
  bool  causal;
} Head;

/* Keys @s0 … into @keys [KEYS][DP + PAD], values transposed into @values [DP][KEYS + PAD]; zeros beyond the last key and channel */
template <int DP> __device__ inline void
load_tile (Bits *keys, Bits *values, const Bits *__restrict__ k, const Bits *__restrict__ v, const Head &h, int s0)
{
  for (int i = threadIdx.x; i < KEYS * (DP / 8); i += BLOCK)
    {
      int   s = i / (DP / 8), d = i % (DP / 8) * 8;                               /* neighbours read along a token */
      uint4 eight = make_uint4 (0, 0, 0, 0);

      if (s0 + s < h.n_keys && d < h.D)
        eight = *(const uint4 *) (k + (size_t) (s0 + s) * h.C + d);
      *(uint4 *) (keys + s * (DP + PAD) + d) = eight;
    }
  for (int i = threadIdx.x; i < KEYS * (DP / 8); i += BLOCK)
    {
      int   s = i % KEYS, d = i / KEYS * 8;                                       /* neighbours write along a row of the transpose */
      uint4 eight = make_uint4 (0, 0, 0, 0);

      if (s0 + s < h.n_keys && d < h.D)
        eight = *(const uint4 *) (v + (size_t) (s0 + s) * h.C + d);
      for (int j = 0; j < 8; j++)
        values[(d + j) * (KEYS + PAD) + s] = ((const Bits *) &eight)[j];
    }
}

/* grid: tiles of queries, heads, images. @DP: channels, rounded up to what an mma takes. */
template <typename T, int DP> __global__ void __launch_bounds__ (BLOCK)
attention_kernel (Bits *__restrict__ out, const Bits *__restrict__ q, const Bits *__restrict__ k, const Bits *__restrict__ v, Head h)
{
  __shared__ __align__ (16) Bits keys[KEYS * (DP + PAD)];
  __shared__ __align__ (16) Bits values[DP * (KEYS + PAD)];
  int      lane   = threadIdx.x % 32;
  int      row    = blockIdx.x * QUERIES + threadIdx.x / 32 * 16 + lane / 4;      /* and row + 8 */
  int      pair   = lane % 4 * 2;
  int      end    = h.causal && (int) (blockIdx.x + 1) * QUERIES < h.n_keys ? (blockIdx.x + 1) * QUERIES : h.n_keys;
  size_t   of_q   = (size_t) blockIdx.z * h.n_queries * h.C + blockIdx.y * h.D;
  size_t   of_k   = (size_t) blockIdx.z * h.n_keys * h.C + blockIdx.y * h.D;
  unsigned queries[DP / 16][4];
  float    sums[DP / 8][4];                                                       /* of values, weighted; the output in the end */
  float    largest[2] = { -INFINITY, -INFINITY }, total[2] = { 0.0f, 0.0f };      /* of this lane's two rows; @total of its columns only */

#pragma unroll
  for (int i = 0; i < DP / 16; i++)
#pragma unroll
    for (int j = 0; j < 4; j++)
      {
        int t = row + j % 2 * 8, d = i * 16 + j / 2 * 8 + pair;

        queries[i][j] = t < h.n_queries && d < h.D ? load_pair (q + of_q + (size_t) t * h.C + d) : 0;
      }
#pragma unroll
  for (int i = 0; i < DP / 8; i++)
#pragma unroll
    for (int j = 0; j < 4; j++)
      sums[i][j] = 0.0f;

  for (int s0 = 0; s0 < end; s0 += KEYS)
    {
      float scores[KEYS / 8][4];
      float factor[2];

      __syncthreads ();
      load_tile<DP> (keys, values, k + of_k, v + of_k, h, s0);
      __syncthreads ();

#pragma unroll
      for (int i = 0; i < KEYS / 8; i++)
        {
          const Bits *key = keys + (i * 8 + lane / 4) * (DP + PAD) + pair;

#pragma unroll
          for (int j = 0; j < 4; j++)
            scores[i][j] = 0.0f;
#pragma unroll
          for (int j = 0; j < DP / 16; j++)
            fb_mma (scores[i], queries[j], load_pair (key + j * 16), load_pair (key + j * 16 + 8), T ());
#pragma unroll
          for (int j = 0; j < 4; j++)
            {
              int s = s0 + i * 8 + pair + j % 2;

              scores[i][j] = s >= h.n_keys || (h.causal && s > row + j / 2 * 8) ? -INFINITY : scores[i][j] * h.scale;
            }
        }

#pragma unroll
      for (int r = 0; r < 2; r++)
        {
          float before = largest[r];
          float base;

#pragma unroll
          for (int i = 0; i < KEYS / 8; i++)
            largest[r] = fmaxf (largest[r], fmaxf (scores[i][2 * r], scores[i][2 * r + 1]));
          largest[r] = row_max (largest[r]);
          base       = largest[r] == -INFINITY ? 0.0f : largest[r];               /* no key so far: −∞ less −∞ is no number */
          factor[r]  = exp2f (before - base);
          total[r]  *= factor[r];
#pragma unroll
          for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
            for (int j = 2 * r; j < 2 * r + 2; j++)
              {
                scores[i][j] = exp2f (scores[i][j] - base);
                total[r]    += scores[i][j];
              }
        }

#pragma unroll
      for (int i = 0; i < DP / 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
          sums[i][j] *= factor[j / 2];
#pragma unroll
      for (int i = 0; i < KEYS / 16; i++)
        {
          /* two tiles of scores side by side are the left operand of the next product */
          unsigned weights[4] = { pack<T> (scores[2 * i][0], scores[2 * i][1]),         pack<T> (scores[2 * i][2], scores[2 * i][3]),
                                  pack<T> (scores[2 * i + 1][0], scores[2 * i + 1][1]), pack<T> (scores[2 * i + 1][2], scores[2 * i + 1][3]) };

#pragma unroll
          for (int j = 0; j < DP / 8; j++)
            {
              const Bits *value = values + (j * 8 + lane / 4) * (KEYS + PAD) + i * 16 + pair;

              fb_mma (sums[j], weights, load_pair (value), load_pair (value + 8), T ());
            }
        }
    }

#pragma unroll
  for (int r = 0; r < 2; r++)
    {
      float all = row_sum (total[r]);
      int   t   = row + 8 * r;

#pragma unroll
      for (int i = 0; i < DP / 8; i++)
        if (t < h.n_queries && i * 8 + pair < h.D)
          *(unsigned *) (out + of_q + (size_t) t * h.C + i * 8 + pair) = pack<T> (sums[i][2 * r] / all, sums[i][2 * r + 1] / all);
    }
}

template <typename T, int DP> static void
launch (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v, int n_heads, const Head &h)
{
  dim3 grid ((unsigned) ((h.n_queries + QUERIES - 1) / QUERIES), (unsigned) n_heads, (unsigned) q->shape[0]);

  FB_LAUNCH (dev, (attention_kernel<T, DP>), grid, BLOCK, (Bits *) out->data, (const Bits *) q->data, (const Bits *) k->data,
             (const Bits *) v->data, h);
}

template <typename T> static void
attend_at_once (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v, int n_heads, const Head &h)
{
  if (h.D <= 48)
    launch<T, 48> (dev, out, q, k, v, n_heads, h);
  else if (h.D <= 64)
    launch<T, 64> (dev, out, q, k, v, n_heads, h);
  else if (h.D <= 80)
    launch<T, 80> (dev, out, q, k, v, n_heads, h);
  else
    launch<T, 160> (dev, out, q, k, v, n_heads, h);
}

/* --- in bands ------------------------------------------------------------------------------------------------------------ */

#define BAND_BYTES    ((size_t) 32 << 20)      /* of scores: within the second-level cache of the larger cards */
#define SOFTMAX_BLOCK 256

/* One block per row of @scores [n_rows, S]; row r is that of query @t0 + r % @n_queries. @out may be @scores. */
template <typename T> __global__ void
softmax_kernel (T *out, float *scores, int S, int n_queries, int t0, bool causal)
{
  __shared__ float shared[32];
  float *row     = scores + (size_t) blockIdx.x * S;
  T     *to      = out + (size_t) blockIdx.x * S;
  int    visible = causal ? t0 + (int) (blockIdx.x % n_queries) + 1 : S;
  float  largest = -INFINITY, total = 0.0f;

  for (int s = threadIdx.x; s < visible; s += SOFTMAX_BLOCK)
    largest = fmaxf (largest, row[s]);
  largest = warp_max (largest);
  if (threadIdx.x % 32 == 0)
    shared[threadIdx.x / 32] = largest;
  __syncthreads ();
  for (int i = 0; i < SOFTMAX_BLOCK / 32; i++)
    largest = fmaxf (largest, shared[i]);

  for (int s = threadIdx.x; s < visible; s += SOFTMAX_BLOCK)
    total += expf (row[s] - largest);
  total = block_sum (total, shared);

  for (int s = threadIdx.x; s < S; s += SOFTMAX_BLOCK)
    to[s] = narrow<T> (s < visible ? expf (row[s] - largest) / total : 0.0f);
}

/* The softmax weights of queries @t0 … of image @n, all heads, left in @weights [heads, n_queries, S]; f32 weights are @scores itself */
static void
weigh (FbDevice *dev, void *weights, float *scores, const FbTensor *q, const FbTensor *k, int n_heads, float scale, gboolean causal,
       int n, int t0, int n_queries)
{
  int           C = q->shape[2], S = k->shape[1], D = C / n_heads;
  size_t        size = fb_dtype_size (q->dtype);
  FbCudaProduct p    = {};

  p.dtype      = q->dtype;
  p.out_dtype  = FB_DTYPE_F32;
  p.n_rows     = n_queries;
  p.n_columns  = S;
  p.depth      = D;
  p.n_products = n_heads;
  p.scale      = scale;
  p.left       = { (const char *) q->data + ((size_t) n * q->shape[1] + t0) * C * size, (size_t) C, (size_t) D, FALSE };
  p.right      = { (const char *) k->data + (size_t) n * S * C * size, (size_t) C, (size_t) D, TRUE };
  p.out        = scores;
  p.out_step   = S;
  p.out_batch  = (size_t) n_queries * S;
  fb_cuda_product (dev, &p);

  FB_BY_DTYPE (q->dtype, T,
               FB_LAUNCH (dev, softmax_kernel<T>, n_heads * n_queries, SOFTMAX_BLOCK, (T *) weights, scores, S, n_queries, t0,
                          causal != FALSE));
}

static void
attend_in_bands (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v, int n_heads, float scale, gboolean causal)
{
  int     N = q->shape[0], n_all = q->shape[1], C = q->shape[2], S = k->shape[1];
  size_t  size          = fb_dtype_size (q->dtype);
  size_t  query_scores  = (size_t) n_heads * S;
  int     band          = (int) CLAMP (BAND_BYTES / 4 / query_scores, 1, (size_t) n_all);
  size_t  score_bytes   = band * query_scores * sizeof (float);
  size_t  weight_bytes  = q->dtype == FB_DTYPE_F32 ? 0 : band * query_scores * size;
  float  *scores        = (float *) fb_device_alloc (dev, score_bytes);
  void   *weights       = weight_bytes > 0 ? fb_device_alloc (dev, weight_bytes) : scores;

  for (int n = 0; n < N; n++)
    for (int t0 = 0; t0 < n_all && dev->failure == NULL; t0 += band)
      {
        int           n_queries = MIN (band, n_all - t0);
        FbCudaProduct p         = {};

        weigh (dev, weights, scores, q, k, n_heads, scale, causal, n, t0, n_queries);

        p.dtype      = q->dtype;
        p.out_dtype  = q->dtype;
        p.n_rows     = n_queries;
        p.n_columns  = C / n_heads;
        p.depth      = S;
        p.n_products = n_heads;
        p.scale      = 1.0f;
        p.left       = { weights, (size_t) S, (size_t) n_queries * S, FALSE };
        p.right      = { (const char *) v->data + (size_t) n * S * C * size, (size_t) C, (size_t) (C / n_heads), FALSE };
        p.out        = (char *) out->data + ((size_t) n * n_all + t0) * C * size;
        p.out_step   = C;
        p.out_batch  = C / n_heads;
        fb_cuda_product (dev, &p);
      }

  if (weight_bytes > 0)
    fb_device_free (dev, weights, weight_bytes);
  fb_device_free (dev, scores, score_bytes);
}

/* --- either -------------------------------------------------------------------------------------------------------------- */

static gboolean
is_aligned (const FbTensor *t)
{
  return (size_t) t->data % 16 == 0;
}

extern "C" void
fb_cuda_attend_plainly (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                        int n_heads, float scale, gboolean causal)
{
  Head h = { q->shape[1], k->shape[1], q->shape[2], q->shape[2] / n_heads, scale * 1.44269504f, causal != FALSE };

  if (q->dtype == FB_DTYPE_F32 || fb_cuda (dev)->capability < 80 || h.D > 160 || h.D % 8 != 0 ||
      !is_aligned (q) || !is_aligned (k) || !is_aligned (v) || !is_aligned (out))
    attend_in_bands (dev, out, q, k, v, n_heads, scale, causal);
  else if (q->dtype == FB_DTYPE_F16)
    attend_at_once<__half> (dev, out, q, k, v, n_heads, h);
  else
    attend_at_once<__nv_bfloat16> (dev, out, q, k, v, n_heads, h);
}
