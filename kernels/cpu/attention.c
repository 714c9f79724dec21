/* kernels/cpu/attention.c: kernels/attention.h, tile by tile with a running softmax. SPDX-License-Identifier: LGPL-3.0-or-later
 * Source: arXiv:2205.14135, algorithm 1, with the loops exchanged: each block of queries meets all keys before the next one starts.
 *
 * Keys and values of a head are packed once into blocks of KEYS tokens: keys transposed [D, KEYS], values [KEYS, D], the right operands of the
 * two products. A thread holds the scores of QUERIES × KEYS tokens, their exponentials, and QUERIES rows of the output: all in the
 * second-level cache. */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

#define QUERIES 64
#define KEYS    512                             /* at most; 128 KB of scores */
#define BLOCK_BYTES ((size_t) 192 << 10)        /* of packed keys, about: those of wide heads come in smaller blocks */
#define SHARED_BYTES ((size_t) 64 << 20)       /* packed keys and values to hold at a time: as many heads as fit, at least one */

/**
 * Plan:
 * @Dk: D as the keys are packed: even in bf16
 * @Dv: D as the values are packed: a multiple of 16
 * @tail: rounded up to a multiple of 16
 * @kernels: [last block of queries?][last block of keys?]; @values also [adding?]
 */
typedef struct
{
  FbDtype       dtype;
  size_t        N, T, S, C, D;
  int           n_heads;
  float         scale;                /* times log₂ e: the softmax is taken with powers of two */
  gboolean      causal;
  int           Dk, Dv;
  int           n_query_blocks, n_key_blocks;
  int           keys, tail;           /* keys per block, and in the last one */
  size_t        head_bytes;           /* of packed keys; values lie behind */
  size_t        value_bytes;
  gboolean      copy_queries;         /* odd D in bf16: micro-kernels read pairs */
  const FbGemm *scores[2][2];
  const FbGemm *values[2][2][2];
} Plan;

static int
block_keys (const Plan *plan, int block)
{
  return block == plan->n_key_blocks - 1 ? plan->tail : plan->keys;
}

/* Keys [n_keys, D] of one head, rows C apart, to [Dk, width], in bf16 [Dk / 2, width, 2]; what is beyond D and n_keys becomes zero */
FB_INLINE void
pack_keys_body (void *to, const void *from, int n_keys, int width, int D, int Dk, size_t C, FbDtype dtype)
{
  if (dtype == FB_DTYPE_F32)
    {
      const float *in  = from;
      float       *out = to;

      for (int d = 0; d < Dk; d++)
        for (int s = 0; s < width; s++)
          out[d * width + s] = s < n_keys ? in[s * C + d] : 0.0f;
    }
  else
    {
      const guint16 *in  = from;
      guint16       *out = to;

      for (int d = 0; d < Dk; d += 2)
        for (int s = 0; s < width; s++)
          {
            out[d * width + 2 * s]     = s < n_keys ? in[s * C + d] : 0;
            out[d * width + 2 * s + 1] = s < n_keys && d + 1 < D ? in[s * C + d + 1] : 0;
          }
    }
}

/* Values [n_keys, D] of one head, rows C apart, to [width, Dv], in bf16 [width / 2, Dv, 2] */
FB_INLINE void
pack_values_body (void *to, const void *from, int n_keys, int width, int D, int Dv, size_t C, FbDtype dtype)
{
  if (dtype == FB_DTYPE_F32)
    {
      const float *in  = from;
      float       *out = to;

      for (int s = 0; s < width; s++)
        for (int d = 0; d < Dv; d++)
          out[s * Dv + d] = s < n_keys && d < D ? in[s * C + d] : 0.0f;
    }
  else
    {
      const guint16 *in  = from;
      guint16       *out = to;

      for (int s = 0; s < width; s += 2)
        for (int d = 0; d < Dv; d++)
          {
            out[s * Dv + 2 * d]     = s < n_keys && d < D ? in[s * C + d] : 0;
            out[s * Dv + 2 * d + 1] = s + 1 < n_keys && d < D ? in[(s + 1) * C + d] : 0;
          }
    }
}

FB_VECTOR_VARIANTS (pack_keys,
                    (void *to, const void *from, int n_keys, int width, int D, int Dk, size_t C, FbDtype dtype),
                    (to, from, n_keys, width, D, Dk, C, dtype))
FB_VECTOR_VARIANTS (pack_values,
                    (void *to, const void *from, int n_keys, int width, int D, int Dv, size_t C, FbDtype dtype),
                    (to, from, n_keys, width, D, Dv, C, dtype))

/* A thread's working memory, in this order */
typedef struct
{
  float *scores;      /* [QUERIES, width of the block of keys] */
  float *sums;        /* [QUERIES, Dv] */
  float *largest;     /* [QUERIES], of the scores so far · scale · log₂ e */
  float *total;       /* [QUERIES], of 2^(score − largest) */
  char  *weights;     /* [QUERIES, keys] of dtype */
  char  *queries;     /* [QUERIES, Dk] of dtype, when they are copied */
  char  *scratch;
} Work;

/*
 * One row of scores → weights 2^(score · scale − largest), in f32 or rounded to bf16; returns their sum. Scores beyond @n_seen (behind the last
 * key, or in the future) get weight 0.
 */
FB_INLINE float
weigh_row (void *weights, FbDtype dtype, const float *scores, int n_seen, int width, float scale, float largest)
{
  float sum = 0.0f;

  if (dtype == FB_DTYPE_F32)
    {
      float *w = weights;

#pragma omp simd reduction (+ : sum)
      for (int s = 0; s < n_seen; s++)
        {
          w[s] = fb_exp2_negative (scores[s] * scale - largest);
          sum += w[s];
        }
      for (int s = n_seen; s < width; s++)
        w[s] = 0.0f;
    }
  else
    {
      guint16 *w = weights;

#pragma omp simd reduction (+ : sum)
      for (int s = 0; s < n_seen; s++)
        {
          float e = fb_exp2_negative (scores[s] * scale - largest);

          w[s] = (fb_bits_of_float (e) + 0x8000) >> 16;          /* ties go up, not to even: cheaper, and e is never infinite */
          sum += e;
        }
      for (int s = n_seen; s < width; s++)
        w[s] = 0;
    }
  return sum;
}

/* All rows of a block: row t sees @n_seen + t · @causal keys of this block. Earlier sums shrink when a larger score turns up. */
FB_INLINE void
weigh_block_body (const Work *work, FbDtype dtype, int n_queries, int n_seen, int causal, int width, int stride, float scale, int Dv)
{
  size_t size = fb_dtype_size (dtype);

  for (int t = 0; t < n_queries; t++)
    {
      const float *scores = work->scores + (size_t) t * width;
      float       *sums   = work->sums + (size_t) t * Dv;
      int          seen   = CLAMP (n_seen + t * causal, 0, width);
      float        most   = -INFINITY;
      float        shrink;

#pragma omp simd reduction (max : most)
      for (int s = 0; s < seen; s++)
        most = scores[s] > most ? scores[s] : most;
      most = MAX (work->largest[t], most * scale);

      if (most > work->largest[t] && work->total[t] > 0.0f)
        {
          shrink          = fb_exp2_negative (work->largest[t] - most);
          work->total[t] *= shrink;
#pragma omp simd
          for (int d = 0; d < Dv; d++)
            sums[d] *= shrink;
        }
      work->largest[t] = most;
      work->total[t]  += weigh_row (work->weights + (size_t) t * stride * size, dtype, scores, seen, width, scale, most);
    }
}

FB_VECTOR_VARIANTS (weigh_block,
                    (const Work *work, FbDtype dtype, int n_queries, int n_seen, int causal, int width, int stride, float scale, int Dv),
                    (work, dtype, n_queries, n_seen, causal, width, stride, scale, Dv))

FB_INLINE void
finish_block_body (const Work *work, void *out, size_t C, FbDtype dtype, int n_queries, int D, int Dv)
{
  for (int t = 0; t < n_queries; t++)
    {
      float *sums   = work->sums + (size_t) t * Dv;
      float  factor = 1.0f / work->total[t];

#pragma omp simd
      for (int d = 0; d < D; d++)
        sums[d] *= factor;
      fb_store_row (out, t * C, sums, D, dtype);
    }
}

FB_VECTOR_VARIANTS (finish_block, (const Work *work, void *out, size_t C, FbDtype dtype, int n_queries, int D, int Dv),
                    (work, out, C, dtype, n_queries, D, Dv))

static gboolean
get_kernel (FbDevice *dev, const FbGemm **kernel, const Plan *plan, int M, int N, int K, int lda, int add)
{
  *kernel = fb_gemm_get (fb_cpu (dev)->kernels, &(FbGemmShape) { .dtype = plan->dtype, .add = add, .M = M, .N = N, .K = K, .n_batch = 1,
                                                                 .lda = lda, .ldb = N, .ldc = N });
  if (*kernel == NULL)
    fb_device_fail (dev, FB_DEVICE_ERROR_FAILED, "oneDNN makes no %s micro-kernel of %d × %d × %d.", fb_dtype_name (plan->dtype), M, N, K);
  return *kernel != NULL;
}

static gboolean
plan_kernels (FbDevice *dev, Plan *plan)
{
  int last_queries = plan->T - (size_t) (plan->n_query_blocks - 1) * QUERIES;

  for (int q = 0; q < 2; q++)
    for (int s = 0; s < 2; s++)
      {
        int M     = q == 1 ? last_queries : QUERIES;
        int width = s == 1 ? plan->tail : plan->keys;

        if ((q == 0 && plan->n_query_blocks == 1) || (s == 0 && plan->n_key_blocks == 1))
          continue;
        if (!get_kernel (dev, &plan->scores[q][s], plan, M, width, plan->Dk, plan->copy_queries ? plan->Dk : (int) plan->C, 0)
            || !get_kernel (dev, &plan->values[q][s][0], plan, M, plan->Dv, width, plan->keys, 0)
            || !get_kernel (dev, &plan->values[q][s][1], plan, M, plan->Dv, width, plan->keys, 1))
          return FALSE;
      }
  return TRUE;
}

static void
pack_block (FbDevice *dev, const Plan *plan, const FbTensor *k, const FbTensor *v, size_t head, int slot, int block)
{
  size_t size   = fb_dtype_size (plan->dtype);
  size_t first  = ((head / plan->n_heads * plan->S + (size_t) block * plan->keys) * plan->C + head % plan->n_heads * plan->D) * size;
  char  *packed = (char *) fb_cpu (dev)->shared + slot * (plan->head_bytes + plan->value_bytes);
  int    n_keys = MIN (plan->keys, (int) (plan->S - (size_t) block * plan->keys));
  int    width  = block_keys (plan, block);

  pack_keys (packed + (size_t) block * plan->keys * plan->Dk * size, (const char *) k->data + first, n_keys, width, plan->D, plan->Dk, plan->C, plan->dtype);
  pack_values (packed + plan->head_bytes + (size_t) block * plan->keys * plan->Dv * size, (const char *) v->data + first,
               n_keys, width, plan->D, plan->Dv, plan->C, plan->dtype);
}

static size_t
work_layout (Work *work, const Plan *plan, char *memory)
{
  size_t size  = fb_dtype_size (plan->dtype);
  size_t at    = 0;
  size_t bytes[] = { sizeof (float) * QUERIES * KEYS, sizeof (float) * QUERIES * plan->Dv, sizeof (float) * QUERIES, sizeof (float) * QUERIES,
                     size * QUERIES * KEYS, plan->copy_queries ? size * QUERIES * plan->Dk : 0 };
  char  *piece[7];

  for (int i = 0; i < 6; i++)
    {
      piece[i] = memory + at;
      at      += (bytes[i] + 63) / 64 * 64;
    }
  if (memory != NULL)
    *work = (Work) { (float *) piece[0], (float *) piece[1], (float *) piece[2], (float *) piece[3], piece[4], piece[5], memory + at };
  return at;
}

static void
attend_block (const Plan *plan, const Work *work, const char *q, const char *packed, char *out, int query_block)
{
  static const gint64 offsets[2] = { 0, 0 };
  size_t              size       = fb_dtype_size (plan->dtype);
  int                 t0         = query_block * QUERIES;
  int                 n_queries  = MIN (QUERIES, (int) plan->T - t0);
  gboolean            last       = query_block == plan->n_query_blocks - 1;
  int                 n_keys     = plan->causal ? t0 + n_queries : (int) plan->S;

  for (int t = 0; t < n_queries; t++)
    {
      work->largest[t] = -INFINITY;
      work->total[t]   = 0.0f;
    }

  for (int block = 0; block * plan->keys < n_keys; block++)
    {
      gboolean last_keys = block == plan->n_key_blocks - 1;
      int      width     = block_keys (plan, block);

      fb_gemm_run (plan->scores[last][last_keys], q, packed + (size_t) block * plan->keys * plan->Dk * size, offsets, work->scores, work->scratch);
      weigh_block (work, plan->dtype, n_queries, (plan->causal ? t0 + 1 : n_keys) - block * plan->keys, plan->causal, width, plan->keys, plan->scale, plan->Dv);
      fb_gemm_run (plan->values[last][last_keys][block > 0], work->weights,
                   packed + plan->head_bytes + (size_t) block * plan->keys * plan->Dv * size, offsets, work->sums, work->scratch);
    }

  finish_block (work, out, plan->C, plan->dtype, n_queries, plan->D, plan->Dv);
}

static const char *
copy_queries (const Plan *plan, const Work *work, const char *q, int n_queries)
{
  size_t size = fb_dtype_size (plan->dtype);

  for (int t = 0; t < n_queries; t++)
    {
      memset (work->queries + (size_t) t * plan->Dk * size, 0, plan->Dk * size);
      memcpy (work->queries + (size_t) t * plan->Dk * size, q + t * plan->C * size, plan->D * size);
    }
  return work->queries;
}

static void
attend_heads (FbDevice *dev, const Plan *plan, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v, size_t head0, int n_heads)
{
  size_t size = fb_dtype_size (plan->dtype);

#pragma omp parallel num_threads(dev->n_threads)
  {
    Work work;

    work_layout (&work, plan, fb_cpu_workspace (dev));

#pragma omp for collapse(2) schedule(dynamic)
    for (int i = 0; i < n_heads; i++)
      for (int block = 0; block < plan->n_key_blocks; block++)
        pack_block (dev, plan, k, v, head0 + i, i, block);

#pragma omp for collapse(2) schedule(dynamic)
    for (int i = 0; i < n_heads; i++)
      for (int block = 0; block < plan->n_query_blocks; block++)
        {
          size_t      head      = head0 + i;
          size_t      t0        = (size_t) block * QUERIES;
          size_t      first     = ((head / plan->n_heads * plan->T + t0) * plan->C + head % plan->n_heads * plan->D) * size;
          const char *queries   = (const char *) q->data + first;

          if (fb_device_cancel_requested (dev))
            continue;
          if (plan->copy_queries)
            queries = copy_queries (plan, &work, queries, MIN (QUERIES, (int) (plan->T - t0)));
          attend_block (plan, &work, queries, (const char *) fb_cpu (dev)->shared + i * (plan->head_bytes + plan->value_bytes),
                        (char *) out->data + first, block);
        }
    fb_gemm_thread_done ();
  }
}

void
fb_cpu_attention (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                  int n_heads, float scale, gboolean causal)
{
  int    even = q->dtype == FB_DTYPE_BF16 ? 2 : 1;
  size_t size = fb_dtype_size (q->dtype);
  size_t total_heads, at_a_time;
  Work   work;
  Plan   plan =
  {
    .dtype = q->dtype, .N = q->shape[0], .T = q->shape[1], .S = k->shape[1], .C = q->shape[2], .D = q->shape[2] / n_heads,
    .n_heads = n_heads, .scale = scale * (float) M_LOG2E, .causal = causal,
  };

  plan.Dk             = (plan.D + even - 1) / even * even;
  plan.Dv             = (plan.D + 15) / 16 * 16;
  plan.n_query_blocks = (plan.T + QUERIES - 1) / QUERIES;
  plan.keys           = CLAMP (BLOCK_BYTES / (plan.Dv * size) / 64 * 64, 64, KEYS);
  plan.n_key_blocks   = (plan.S + plan.keys - 1) / plan.keys;
  plan.tail           = (plan.S - (size_t) (plan.n_key_blocks - 1) * plan.keys + 15) / 16 * 16;
  plan.head_bytes     = (size_t) plan.n_key_blocks * plan.keys * plan.Dk * size;
  plan.value_bytes    = (size_t) plan.n_key_blocks * plan.keys * plan.Dv * size;
  plan.copy_queries   = plan.Dk != (int) plan.D;
  total_heads         = plan.N * n_heads;
  at_a_time           = CLAMP (SHARED_BYTES / (plan.head_bytes + plan.value_bytes), 1, total_heads);

  fb_gemm_set_tidy (fb_cpu (dev)->kernels);
  if (!plan_kernels (dev, &plan)
      || !fb_cpu_reserve_shared (dev, at_a_time * (plan.head_bytes + plan.value_bytes))
      || !fb_cpu_reserve_workspaces (dev, work_layout (&work, &plan, NULL)))
    return;

  for (size_t head = 0; head < total_heads; head += at_a_time)
    if (!fb_device_cancelled (dev))
      attend_heads (dev, &plan, out, q, k, v, head, MIN (at_a_time, total_heads - head));
  fb_device_cancelled (dev);
}
