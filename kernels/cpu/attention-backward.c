/* kernels/cpu/attention-backward.c: the gradients of kernels/attention.h, tile by tile. SPDX-License-Identifier: LGPL-3.0-or-later
 * Source: arXiv:2205.14135, algorithm 4.
 *
 * Tiles are scores of some keys (rows) against QUERIES queries (columns): so the products with keys and values on the left need no operand
 * turned, and only the gradient of the queries is summed turned. A first pass takes each query's log Σ exp; in the second, one thread meets all
 * queries with a group of a head's keys and sums the gradients in order, so results do not depend on the number of threads. The gradient of
 * the queries is summed per group, and the groups at the end. */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

#define QUERIES      64
#define KEYS         256                        /* per tile, at most: 64 KB of scores */
#define SUM_ELEMENTS 32768                      /* of a tile's gradients of keys; wide heads have tiles of fewer keys */
#define UNITS        16                         /* heads, or groups of their keys, that there should be for threads to share */
#define SHARED_BYTES ((size_t) 96 << 20)        /* for packed heads: as many at a time as fit, at least one */

/* Where in a head's shared memory its packed operands lie; sizes of one block in bytes */
typedef struct
{
  size_t at, block;
} Piece;

/**
 * Plan:
 * @Dk: D rounded up to even in bf16
 * @Dv: D rounded up to a multiple of 16
 * @keys, @tail: keys per block, and in the last one, rounded up to a multiple of 16
 * @group_blocks: blocks of keys per group
 * @k_rows, @v_rows: [keys, Dk]; @k_turned: [Dk, keys]
 * @q_turned, @d_turned: queries and dout, right operands [Dk, QUERIES]; @q_rows, @d_rows: right operands [QUERIES, Dv]
 * @stats: f32 [2, QUERIES]: log₂ Σ 2^score, and dout · out
 * @dq: f32 [groups] of [query blocks] of [Dk, QUERIES]
 */
typedef struct
{
  FbDtype       dtype;
  size_t        T, S, C, D;
  int           n_heads;
  float         scale, log2_scale;
  gboolean      causal, keys_too;
  int           Dk, Dv;
  int           n_query_blocks, n_key_blocks, keys, tail;
  int           n_groups, group_blocks;
  Piece         k_rows, v_rows, k_turned, q_turned, d_turned, q_rows, d_rows, stats, dq;
  size_t        head_bytes;
  const FbGemm *scores[2];           /* last block of keys?, and adding? */
  const FbGemm *to_keys[2][2];
  const FbGemm *to_queries[2][2];
} Plan;

typedef struct
{
  FbTensor       *dq, *dk, *dv;
  const FbTensor *dout, *q, *k, *v, *out;
} Arguments;

static int
block_width (const Plan *plan, int block)
{
  return block == plan->n_key_blocks - 1 ? plan->tail : plan->keys;
}

/* Rows [n, D], @C apart, to [width, Dk]; zeros around them */
static void
copy_rows (void *to, const void *from, int n, int width, const Plan *plan)
{
  size_t size = fb_dtype_size (plan->dtype);

  memset (to, 0, width * plan->Dk * size);
  for (int i = 0; i < n; i++)
    memcpy ((char *) to + i * plan->Dk * size, (const char *) from + i * plan->C * size, plan->D * size);
}

/* Rows [n, D], @C apart, to [Dk, stride]; in pairs of rows of the result where @pairs */
FB_INLINE void
turn_rows_body (void *to, const void *from, int n, int width, int stride, int D, int Dk, size_t C, FbDtype dtype, gboolean pairs)
{
  if (dtype == FB_DTYPE_F32)
    {
      const float *in  = from;
      float       *out = to;

      for (int d = 0; d < Dk; d++)
        for (int i = 0; i < width; i++)
          out[d * stride + i] = i < n ? in[i * C + d] : 0.0f;
    }
  else if (pairs)
    {
      const guint16 *in  = from;
      guint16       *out = to;

      for (int d = 0; d < Dk; d += 2)
        for (int i = 0; i < width; i++)
          {
            out[d * stride + 2 * i]     = i < n ? in[i * C + d] : 0;
            out[d * stride + 2 * i + 1] = i < n && d + 1 < D ? in[i * C + d + 1] : 0;
          }
    }
  else
    {
      const guint16 *in  = from;
      guint16       *out = to;

      for (int d = 0; d < Dk; d++)
        for (int i = 0; i < width; i++)
          out[d * stride + i] = i < n && d < D ? in[i * C + d] : 0;
    }
}

FB_VECTOR_VARIANTS (turn_rows,
                    (void *to, const void *from, int n, int width, int stride, int D, int Dk, size_t C, FbDtype dtype, gboolean pairs),
                    (to, from, n, width, stride, D, Dk, C, dtype, pairs))

/* Rows [n, D], @C apart, to the right operand [QUERIES, Dv] */
FB_INLINE void
pair_rows_body (void *to, const void *from, int n, int D, int Dv, size_t C, FbDtype dtype)
{
  if (dtype == FB_DTYPE_F32)
    {
      const float *in  = from;
      float       *out = to;

      for (int i = 0; i < QUERIES; i++)
        for (int d = 0; d < Dv; d++)
          out[i * Dv + d] = i < n && d < D ? in[i * C + d] : 0.0f;
    }
  else
    {
      const guint16 *in  = from;
      guint16       *out = to;

      for (int i = 0; i < QUERIES; i += 2)
        for (int d = 0; d < Dv; d++)
          {
            out[i * Dv + 2 * d]     = i < n && d < D ? in[i * C + d] : 0;
            out[i * Dv + 2 * d + 1] = i + 1 < n && d < D ? in[(i + 1) * C + d] : 0;
          }
    }
}

FB_VECTOR_VARIANTS (pair_rows, (void *to, const void *from, int n, int D, int Dv, size_t C, FbDtype dtype), (to, from, n, D, Dv, C, dtype))

/* Σ over D of a · b for @n rows */
FB_INLINE void
dot_rows_body (float *sums, const void *a, const void *b, int n, int D, size_t C, FbDtype dtype)
{
  float v[64], w[64];

  for (int i = 0; i < n; i++)
    {
      float sum = 0.0f;

      for (int d = 0; d < D; d += 64)
        {
          int m = MIN (64, D - d);

          fb_load_row (v, a, i * C + d, m, dtype);
          fb_load_row (w, b, i * C + d, m, dtype);
#pragma omp simd reduction (+ : sum)
          for (int k = 0; k < m; k++)
            sum += v[k] * w[k];
        }
      sums[i] = sum;
    }
}

FB_VECTOR_VARIANTS (dot_rows, (float *sums, const void *a, const void *b, int n, int D, size_t C, FbDtype dtype), (sums, a, b, n, D, C, dtype))

/* A thread's working memory, in this order */
typedef struct
{
  float *scores;      /* [keys, QUERIES] */
  float *slopes;      /* [keys, QUERIES]: of the probabilities */
  float *dk, *dv;     /* [keys, Dv] */
  char  *weights;     /* [keys, QUERIES] of dtype: probabilities */
  char  *dscores;     /* [keys, QUERIES] of dtype: gradients of the scores / scale */
  char  *pairs;       /* the same as a right operand; in f32 that is @dscores */
  char  *scratch;
} Work;

/* Scores → the running maximum and sum of each query; row i is seen by queries from @first_seer + i on */
FB_INLINE void
measure_block_body (const float *scores, int n_keys, int first_seer, float scale, float *largest, float *total)
{
  float most[QUERIES];

  memcpy (most, largest, sizeof most);
  for (int s = 0; s < n_keys; s++)
    {
      const float *row = scores + s * QUERIES;

#pragma omp simd
      for (int j = 0; j < QUERIES; j++)
        most[j] = j >= first_seer + s && row[j] * scale > most[j] ? row[j] * scale : most[j];
    }
#pragma omp simd
  for (int j = 0; j < QUERIES; j++)
    total[j] *= fb_exp2_negative (largest[j] - most[j]);
  memcpy (largest, most, sizeof most);
  for (int s = 0; s < n_keys; s++)
    {
      const float *row = scores + s * QUERIES;

#pragma omp simd
      for (int j = 0; j < QUERIES; j++)
        total[j] += j >= first_seer + s ? fb_exp2_negative (row[j] * scale - most[j]) : 0.0f;
    }
}

FB_VECTOR_VARIANTS (measure_block, (const float *scores, int n_keys, int first_seer, float scale, float *largest, float *total),
                    (scores, n_keys, first_seer, scale, largest, total))

/* One row: probabilities, and gradients of the scores */
FB_INLINE void
slope_row (float *p, float *ds, const float *scores, const float *slopes, int first_seer, float scale, const float *log_sum, const float *dot)
{
#pragma omp simd
  for (int j = 0; j < QUERIES; j++)
    {
      p[j]  = j >= first_seer ? fb_exp2_negative (scores[j] * scale - log_sum[j]) : 0.0f;
      ds[j] = p[j] * (slopes[j] - dot[j]);
    }
}

FB_INLINE void
slope_block_body (const Work *work, FbDtype dtype, int n_keys, int width, int first_seer, float scale, const float *stats)
{
  for (int s = 0; s < width; s += 2)
    {
      float p[2][QUERIES], ds[2][QUERIES];

      for (int i = 0; i < 2; i++)
        if (s + i < n_keys)
          slope_row (p[i], ds[i], work->scores + (s + i) * QUERIES, work->slopes + (s + i) * QUERIES, first_seer + s + i, scale,
                     stats, stats + QUERIES);
        else                                                     /* a row behind the last key */
          {
            memset (p[i], 0, sizeof p[i]);
            memset (ds[i], 0, sizeof ds[i]);
          }

      fb_store_row (work->weights, s * QUERIES, p[0], 2 * QUERIES, dtype);
      fb_store_row (work->dscores, s * QUERIES, ds[0], 2 * QUERIES, dtype);
      if (dtype == FB_DTYPE_BF16)
        {
          guint32 *pairs = (guint32 *) work->pairs + s / 2 * QUERIES;

#pragma omp simd
          for (int j = 0; j < QUERIES; j++)
            pairs[j] = fb_round_bf16 (ds[0][j]) | (guint32) fb_round_bf16 (ds[1][j]) << 16;
        }
    }
}

FB_VECTOR_VARIANTS (slope_block, (const Work *work, FbDtype dtype, int n_keys, int width, int first_seer, float scale, const float *stats),
                    (work, dtype, n_keys, width, first_seer, scale, stats))

/* Sums [n, Dv] · factor to rows of D elements, @C apart */
FB_INLINE void
store_rows_body (void *out, float *sums, float factor, int n, int D, int Dv, size_t C, FbDtype dtype)
{
  for (int i = 0; i < n; i++)
    {
#pragma omp simd
      for (int d = 0; d < D; d++)
        sums[i * Dv + d] *= factor;
      fb_store_row (out, i * C, sums + i * Dv, D, dtype);
    }
}

FB_VECTOR_VARIANTS (store_rows, (void *out, float *sums, float factor, int n, int D, int Dv, size_t C, FbDtype dtype),
                    (out, sums, factor, n, D, Dv, C, dtype))

static char *
piece (FbDevice *dev, const Plan *plan, int slot, Piece p, int block)
{
  return (char *) fb_cpu (dev)->shared + slot * plan->head_bytes + p.at + block * p.block;
}

/* Element of the first of a block's tokens; @length: of the sequence */
static size_t
first_element (const Plan *plan, size_t head, size_t length, size_t token)
{
  return (head / plan->n_heads * length + token) * plan->C + head % plan->n_heads * plan->D;
}

static void
pack_keys (FbDevice *dev, const Plan *plan, const Arguments *a, size_t head, int slot, int block)
{
  size_t      at     = first_element (plan, head, plan->S, (size_t) block * plan->keys) * fb_dtype_size (plan->dtype);
  int         n      = MIN (plan->keys, (int) (plan->S - (size_t) block * plan->keys));
  int         width  = block_width (plan, block);
  const char *k      = (const char *) a->k->data + at;

  copy_rows (piece (dev, plan, slot, plan->k_rows, block), k, n, width, plan);
  copy_rows (piece (dev, plan, slot, plan->v_rows, block), (const char *) a->v->data + at, n, width, plan);
  turn_rows (piece (dev, plan, slot, plan->k_turned, block), k, n, width, plan->keys, plan->D, plan->Dk, plan->C, plan->dtype, FALSE);
}

static void
pack_queries (FbDevice *dev, const Plan *plan, const Arguments *a, size_t head, int slot, int block)
{
  size_t      at    = first_element (plan, head, plan->T, (size_t) block * QUERIES) * fb_dtype_size (plan->dtype);
  int         n     = MIN (QUERIES, (int) (plan->T - (size_t) block * QUERIES));
  const char *q     = (const char *) a->q->data + at, *dout = (const char *) a->dout->data + at;
  float      *stats = (float *) piece (dev, plan, slot, plan->stats, block);

  turn_rows (piece (dev, plan, slot, plan->q_turned, block), q, n, QUERIES, QUERIES, plan->D, plan->Dk, plan->C, plan->dtype, TRUE);
  turn_rows (piece (dev, plan, slot, plan->d_turned, block), dout, n, QUERIES, QUERIES, plan->D, plan->Dk, plan->C, plan->dtype, TRUE);
  if (plan->keys_too)
    {
      pair_rows (piece (dev, plan, slot, plan->q_rows, block), q, n, plan->D, plan->Dv, plan->C, plan->dtype);
      pair_rows (piece (dev, plan, slot, plan->d_rows, block), dout, n, plan->D, plan->Dv, plan->C, plan->dtype);
    }
  memset (stats, 0, plan->stats.block);
  dot_rows (stats + QUERIES, dout, (const char *) a->out->data + at, n, plan->D, plan->C, plan->dtype);
}

/* Scores of a block of keys, or with dout and values the slopes of the probabilities */
static void
multiply (FbDevice *dev, const Plan *plan, const Work *work, int slot, Piece left, int key_block, Piece right, int query_block, float *to)
{
  static const gint64 offsets[2] = { 0, 0 };

  fb_gemm_run (plan->scores[key_block == plan->n_key_blocks - 1], piece (dev, plan, slot, left, key_block),
               piece (dev, plan, slot, right, query_block), offsets, to, work->scratch);
}

/* The first query, counted from the block's own, that sees the first of a block's keys */
static int
first_seer (const Plan *plan, int key_block, int query_block)
{
  return plan->causal ? key_block * plan->keys - query_block * QUERIES : -KEYS;
}

static void
measure_queries (FbDevice *dev, const Plan *plan, const Work *work, int slot, int block)
{
  float *stats  = (float *) piece (dev, plan, slot, plan->stats, block);
  int    n_seen = plan->causal ? MIN (plan->S, (size_t) (block + 1) * QUERIES) : plan->S;
  float  largest[QUERIES], total[QUERIES];

  for (int j = 0; j < QUERIES; j++)
    {
      largest[j] = -INFINITY;
      total[j]   = 0.0f;
    }
  for (int key_block = 0; key_block * plan->keys < n_seen; key_block++)
    {
      multiply (dev, plan, work, slot, plan->k_rows, key_block, plan->q_turned, block, work->scores);
      measure_block (work->scores, MIN (plan->keys, (int) plan->S - key_block * plan->keys), first_seer (plan, key_block, block),
                     plan->log2_scale, largest, total);
    }
  for (int j = 0; j < QUERIES; j++)
    stats[j] = largest[j] + log2f (total[j]);
}

/* All that one block of keys and one of queries give */
static void
meet (FbDevice *dev, const Plan *plan, const Work *work, int slot, int key_block, int query_block, gboolean first_queries, gboolean first_keys,
      char *dq)
{
  static const gint64 offsets[2] = { 0, 0 };
  gboolean            last       = key_block == plan->n_key_blocks - 1;
  int                 n_keys     = MIN (plan->keys, (int) (plan->S - (size_t) key_block * plan->keys));

  multiply (dev, plan, work, slot, plan->k_rows, key_block, plan->q_turned, query_block, work->scores);
  multiply (dev, plan, work, slot, plan->v_rows, key_block, plan->d_turned, query_block, work->slopes);
  slope_block (work, plan->dtype, n_keys, block_width (plan, key_block), first_seer (plan, key_block, query_block), plan->log2_scale,
               (const float *) piece (dev, plan, slot, plan->stats, query_block));
  if (plan->keys_too)
    {
      fb_gemm_run (plan->to_keys[last][!first_queries], work->weights, piece (dev, plan, slot, plan->d_rows, query_block), offsets,
                   work->dv, work->scratch);
      fb_gemm_run (plan->to_keys[last][!first_queries], work->dscores, piece (dev, plan, slot, plan->q_rows, query_block), offsets,
                   work->dk, work->scratch);
    }
  fb_gemm_run (plan->to_queries[last][!first_keys], piece (dev, plan, slot, plan->k_turned, key_block), work->pairs, offsets,
               (float *) (dq + query_block * plan->dq.block), work->scratch);
}

static void
meet_group (FbDevice *dev, const Plan *plan, const Work *work, const Arguments *a, size_t head, int slot, int group)
{
  int   block0 = group * plan->group_blocks;
  int   block1 = MIN (block0 + plan->group_blocks, plan->n_key_blocks);
  char *dq     = piece (dev, plan, slot, plan->dq, group * plan->n_query_blocks);

  for (int key_block = block0; key_block < block1; key_block++)
    {
      size_t key0  = (size_t) key_block * plan->keys;
      int    n     = MIN (plan->keys, (int) (plan->S - key0));
      int    first = plan->causal ? key0 / QUERIES : 0;          /* earlier queries see none of these keys */
      size_t at    = first_element (plan, head, plan->S, key0) * fb_dtype_size (plan->dtype);

      if (key_block == block0)
        memset (dq, 0, first * plan->dq.block);
      for (int query_block = first; query_block < plan->n_query_blocks; query_block++)
        if (!fb_device_cancel_requested (dev))
          meet (dev, plan, work, slot, key_block, query_block, query_block == first, key_block == block0, dq);
      if (plan->keys_too && !fb_device_cancel_requested (dev))
        {
          store_rows ((char *) a->dk->data + at, work->dk, plan->scale, n, plan->D, plan->Dv, plan->C, plan->dtype);
          store_rows ((char *) a->dv->data + at, work->dv, 1.0f, n, plan->D, plan->Dv, plan->C, plan->dtype);
        }
    }
}

/* The groups' gradients of one block of queries, added and turned; @rows: [QUERIES, Dk] */
static void
finish_queries (FbDevice *dev, const Plan *plan, float *rows, FbTensor *dq, size_t head, int slot, int block)
{
  size_t at = first_element (plan, head, plan->T, (size_t) block * QUERIES) * fb_dtype_size (plan->dtype);

  memset (rows, 0, sizeof (float) * QUERIES * plan->Dk);
  for (int group = 0; group < plan->n_groups; group++)
    {
      const float *sums = (const float *) piece (dev, plan, slot, plan->dq, group * plan->n_query_blocks + block);

      for (int d = 0; d < plan->Dk; d++)
        for (int j = 0; j < QUERIES; j++)
          rows[j * plan->Dk + d] += sums[d * QUERIES + j];
    }
  store_rows ((char *) dq->data + at, rows, plan->scale, MIN (QUERIES, (int) (plan->T - (size_t) block * QUERIES)), plan->D, plan->Dk, plan->C,
              plan->dtype);
}

static size_t
work_layout (Work *work, const Plan *plan, char *memory)
{
  size_t size    = fb_dtype_size (plan->dtype);
  size_t tile    = (size_t) plan->keys * QUERIES;
  size_t sums    = sizeof (float) * MAX (plan->keys, QUERIES) * plan->Dv;
  size_t bytes[] = { sizeof (float) * tile, sizeof (float) * tile, sums, sums, size * tile, size * tile, plan->dtype == FB_DTYPE_BF16 ? size * tile : 0 };
  size_t at      = 0;
  char  *part[7];

  for (int i = 0; i < 7; i++)
    {
      part[i] = memory + at;
      at     += (bytes[i] + 63) / 64 * 64;
    }
  if (memory != NULL)
    *work = (Work) { (float *) part[0], (float *) part[1], (float *) part[2], (float *) part[3], part[4], part[5],
                     plan->dtype == FB_DTYPE_BF16 ? part[6] : part[5], memory + at };
  return at;
}

static void
run_heads (FbDevice *dev, const Plan *plan, const Arguments *a, size_t head0, int n_heads)
{
#pragma omp parallel num_threads(dev->n_threads)
  {
    Work work;

    work_layout (&work, plan, fb_cpu_workspace (dev));

#pragma omp for collapse(2) schedule(dynamic) nowait
    for (int i = 0; i < n_heads; i++)
      for (int block = 0; block < plan->n_key_blocks; block++)
        if (!fb_device_cancel_requested (dev))
          pack_keys (dev, plan, a, head0 + i, i, block);

#pragma omp for collapse(2) schedule(dynamic)
    for (int i = 0; i < n_heads; i++)
      for (int block = 0; block < plan->n_query_blocks; block++)
        if (!fb_device_cancel_requested (dev))
          pack_queries (dev, plan, a, head0 + i, i, block);

#pragma omp for collapse(2) schedule(dynamic)
    for (int i = 0; i < n_heads; i++)
      for (int block = 0; block < plan->n_query_blocks; block++)
        if (!fb_device_cancel_requested (dev))
          measure_queries (dev, plan, &work, i, block);

#pragma omp for collapse(2) schedule(dynamic)
    for (int i = 0; i < n_heads; i++)
      for (int group = 0; group < plan->n_groups; group++)
        meet_group (dev, plan, &work, a, head0 + i, i, group);

#pragma omp for collapse(2) schedule(dynamic)
    for (int i = 0; i < n_heads; i++)
      for (int block = 0; block < plan->n_query_blocks; block++)
        if (!fb_device_cancel_requested (dev))
          finish_queries (dev, plan, work.dk, a->dq, head0 + i, i, block);
    fb_gemm_thread_done ();
  }
}

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
  for (int last = plan->n_key_blocks == 1; last < 2; last++)
    {
      int width = last ? plan->tail : plan->keys;

      if (!get_kernel (dev, &plan->scores[last], plan, width, QUERIES, plan->Dk, plan->Dk, 0))
        return FALSE;
      for (int add = 0; add < 2; add++)
        if (!get_kernel (dev, &plan->to_keys[last][add], plan, width, plan->Dv, QUERIES, QUERIES, add)
            || !get_kernel (dev, &plan->to_queries[last][add], plan, plan->Dk, QUERIES, width, plan->keys, add))
          return FALSE;
    }
  return TRUE;
}

/* @block: bytes of each of @n_blocks */
static Piece
add_piece (Plan *plan, size_t block, int n_blocks)
{
  Piece p = { plan->head_bytes, (block + 63) / 64 * 64 };

  plan->head_bytes += n_blocks * p.block;
  return p;
}

static void
plan_pieces (Plan *plan)
{
  size_t size = fb_dtype_size (plan->dtype);
  int    nq = plan->n_query_blocks, nk = plan->n_key_blocks;

  plan->k_rows   = add_piece (plan, plan->keys * plan->Dk * size, nk);
  plan->v_rows   = add_piece (plan, plan->keys * plan->Dk * size, nk);
  plan->k_turned = add_piece (plan, plan->keys * plan->Dk * size, nk);
  plan->q_turned = add_piece (plan, QUERIES * plan->Dk * size, nq);
  plan->d_turned = add_piece (plan, QUERIES * plan->Dk * size, nq);
  plan->q_rows   = add_piece (plan, QUERIES * plan->Dv * size, plan->keys_too ? nq : 0);
  plan->d_rows   = add_piece (plan, QUERIES * plan->Dv * size, plan->keys_too ? nq : 0);
  plan->stats    = add_piece (plan, QUERIES * 2 * sizeof (float), nq);
  plan->dq       = add_piece (plan, QUERIES * plan->Dk * sizeof (float), plan->n_groups * nq);
}

void
fb_cpu_attention_backward (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q, const FbTensor *k,
                           const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal)
{
  Arguments a     = { dq, dk, dv, dout, q, k, v, out };
  int       even  = q->dtype == FB_DTYPE_BF16 ? 2 : 1;
  size_t    total = (size_t) q->shape[0] * n_heads;
  size_t    at_a_time;
  Work      work;
  Plan      plan =
  {
    .dtype = q->dtype, .T = q->shape[1], .S = k->shape[1], .C = q->shape[2], .D = q->shape[2] / n_heads, .n_heads = n_heads,
    .scale = scale, .log2_scale = scale * (float) M_LOG2E, .causal = causal, .keys_too = dk != NULL,
  };

  plan.Dk             = (plan.D + even - 1) / even * even;
  plan.Dv             = (plan.D + 15) / 16 * 16;
  plan.n_query_blocks = (plan.T + QUERIES - 1) / QUERIES;
  plan.keys           = CLAMP (SUM_ELEMENTS / plan.Dv / 64 * 64, 64, KEYS);
  plan.n_key_blocks   = (plan.S + plan.keys - 1) / plan.keys;
  plan.tail           = (plan.S - (size_t) (plan.n_key_blocks - 1) * plan.keys + 15) / 16 * 16;
  plan.n_groups       = CLAMP ((UNITS + total - 1) / total, 1, (size_t) plan.n_key_blocks);
  plan.group_blocks   = (plan.n_key_blocks + plan.n_groups - 1) / plan.n_groups;
  plan.n_groups       = (plan.n_key_blocks + plan.group_blocks - 1) / plan.group_blocks;
  plan_pieces (&plan);
  at_a_time           = CLAMP (SHARED_BYTES / plan.head_bytes, 1, total);

  fb_gemm_set_tidy (fb_cpu (dev)->kernels);
  if (!plan_kernels (dev, &plan)
      || !fb_cpu_reserve_shared (dev, at_a_time * plan.head_bytes)
      || !fb_cpu_reserve_workspaces (dev, work_layout (&work, &plan, NULL)))
    return;

  for (size_t head = 0; head < total; head += at_a_time)
    if (!fb_device_cancelled (dev))
      run_heads (dev, &plan, &a, head, MIN (at_a_time, total - head));
  fb_device_cancelled (dev);
}
