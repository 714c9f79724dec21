/* kernels/cpu/product.c: pixels times packed weights. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The output is cut into tiles of some pixels times a block of 64 (24) channels. A thread sums a tile in f32 in its workspace, over chunks of the
 * input channels whose weights fit in the second-level cache, then finishes it (bias, residual, activation, rounding) while it is still there.
 * Tiles and the order of their sums follow from the shape alone, so results do not depend on the number of threads. Of a weight kept in 16 bits,
 * each chunk is widened into the workspace just before it is multiplied: 128 pixels to a tile make that a small part of the work. */

#include "kernels/cpu/product.h"
#include "kernels/cpu/vector.h"

#define TILE_PIXELS    ((int) 128)          /* 32 KB of sums */
#define CHUNK_BYTES    ((size_t) 384 << 10) /* of weights; a second-level cache has 1 MB or more where AVX-512 is, and the input needs room */
#define CHUNK_CHANNELS 256                  /* with narrow blocks: a tile of the input is read for each, and half a MB of cache holds both */

/* How a product is cut */
typedef struct
{
  int           rows_per_tile;       /* each row is its own micro-kernel call */
  int           pieces;              /* a long row is cut into pieces of … */
  int           piece_pixels;        /* … so many pixels, the last one fewer */
  int           n_row_tiles;
  int           n_blocks;            /* of output channels */
  int           n_chunks;            /* of input channels */
  int           chunk_channels;
  gint64       *offsets;             /* [2 block widths][n_taps][2] for fb_gemm_run */
  size_t        widened_bytes;       /* of a chunk, 0 where weights are multiplied with as they lie */
  const FbGemm *kernels[2][2][2][2]; /* last piece?, last block?, last chunk?, adding? */
} Plan;

static gboolean
plan_kernels (FbDevice *dev, const FbProduct *p, Plan *plan)
{
  const FbPacked *w    = p->packed;
  int             size = fb_dtype_size (p->weight_dtype);
  int             N[2] = { w->block, fb_packed_n_columns (w, (plan->n_blocks - 1) * w->block) };
  int             K[2] = { plan->chunk_channels, w->K - (plan->n_chunks - 1) * plan->chunk_channels };
  int             M[2] = { plan->piece_pixels, p->n_pixels - (plan->pieces - 1) * plan->piece_pixels };

  for (int i = 0; i < 16; i++)
    {
      int         m = i >> 3 & 1, n = i >> 2 & 1, k = i >> 1 & 1, add = i & 1;
      FbGemmShape shape = { .dtype = p->weight_dtype, .add = add, .M = M[m], .N = N[n], .K = K[k], .n_batch = w->n_taps,
                            .lda = p->in_pixel / size, .ldb = N[n], .ldc = N[n] };

      if ((m == 0 && plan->pieces == 1) || (n == 0 && plan->n_blocks == 1) || (k == 0 && plan->n_chunks == 1) || (add && plan->n_chunks == 1))
        continue;                                                /* no such piece, block or chunk */
      plan->kernels[m][n][k][add] = fb_gemm_get (fb_cpu (dev)->kernels, &shape);
      if (plan->kernels[m][n][k][add] == NULL)
        {
          fb_device_fail (dev, FB_DEVICE_ERROR_FAILED, "oneDNN makes no %s micro-kernel of %d × %d × %d.",
                          fb_dtype_name (p->weight_dtype), M[m], N[n], K[k]);
          return FALSE;
        }
    }

  for (int n = 0; n < 2; n++)
    for (int tap = 0; tap < w->n_taps; tap++)
      {
        plan->offsets[(n * w->n_taps + tap) * 2]     = p->tap_offset[tap];
        plan->offsets[(n * w->n_taps + tap) * 2 + 1] = (size_t) tap * (w->half ? plan->chunk_channels : w->K) * N[n] * size;
      }
  return TRUE;
}

static gboolean
plan_product (FbDevice *dev, const FbProduct *p, Plan *plan)
{
  const FbPacked *w           = p->packed;
  size_t          block_bytes = (size_t) w->n_taps * w->K * w->block * fb_dtype_size (p->weight_dtype);
  int             rows        = p->n_images * p->n_rows;

  memset (plan->kernels, 0, sizeof plan->kernels);
  plan->pieces         = (p->n_pixels + TILE_PIXELS - 1) / TILE_PIXELS;
  plan->piece_pixels   = (p->n_pixels + plan->pieces - 1) / plan->pieces;
  plan->pieces         = (p->n_pixels + plan->piece_pixels - 1) / plan->piece_pixels;
  plan->rows_per_tile  = MAX (1, TILE_PIXELS / plan->piece_pixels);
  plan->n_row_tiles    = (rows + plan->rows_per_tile - 1) / plan->rows_per_tile;
  plan->n_blocks       = (w->N + w->block - 1) / w->block;
  plan->n_chunks       = (block_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
  if (w->block < FB_PACK_N)
    plan->n_chunks = MAX (plan->n_chunks, (w->K + CHUNK_CHANNELS - 1) / CHUNK_CHANNELS);
  plan->chunk_channels = MIN (w->K, ((w->K + plan->n_chunks - 1) / plan->n_chunks + 15) / 16 * 16);
  plan->n_chunks       = (w->K + plan->chunk_channels - 1) / plan->chunk_channels;
  plan->offsets        = g_new (gint64, (size_t) 4 * w->n_taps);
  plan->widened_bytes  = w->half ? (sizeof (float) * w->n_taps * plan->chunk_channels * w->block + 63) / 64 * 64 : 0;

  return plan_kernels (dev, p, plan);
}

/* @sums [n_pixels, n_columns] to @n channels of as many output pixels */
FB_INLINE void
finish_row_body (void *out, const void *residual, size_t first, size_t pixel_step, FbDtype dtype, const float *sums, int n_columns,
                 const float *bias, int n_pixels, int n, FbActivation act, gboolean residual_last)
{
  static const float zeros[FB_PACK_N];

  for (int pixel = 0; pixel < n_pixels; pixel++)
    {
      const float *sum = sums + (size_t) pixel * n_columns;
      size_t       at  = first + pixel * pixel_step;
      float        v[FB_PACK_N], r[FB_PACK_N];

      if (dtype == FB_DTYPE_F32 && act == FB_ACT_NONE)             /* most of them: straight from the sums */
        {
          const float *added = residual != NULL ? (const float *) residual + at : zeros;
          float       *to    = (float *) out + at;

#pragma omp simd
          for (int i = 0; i < n; i++)
            to[i] = sum[i] + bias[i] + added[i];
          continue;
        }

#pragma omp simd
      for (int i = 0; i < n; i++)
        v[i] = sum[i] + bias[i];

      if (residual != NULL)
        fb_load_row (r, residual, at, n, dtype);
      if (residual != NULL && !residual_last)
        {
#pragma omp simd
          for (int i = 0; i < n; i++)
            v[i] += r[i];
        }
      if (act != FB_ACT_NONE)
        fb_activate_row (v, n, act);
      if (residual != NULL && residual_last)
        {
#pragma omp simd
          for (int i = 0; i < n; i++)
            v[i] += r[i];
        }
      fb_store_row (out, at, v, n, dtype);
    }
}

FB_VECTOR_VARIANTS (finish_row,
                    (void *out, const void *residual, size_t first, size_t pixel_step, FbDtype dtype, const float *sums, int n_columns,
                     const float *bias, int n_pixels, int n, FbActivation act, gboolean residual_last),
                    (out, residual, first, pixel_step, dtype, sums, n_columns, bias, n_pixels, n, act, residual_last))

void
fb_cpu_finish_row (void *out, const void *residual, size_t first, size_t pixel_step, FbDtype dtype, const float *sums, int n_columns,
                   const float *bias, int n_pixels, int n, FbActivation act, gboolean residual_last)
{
  finish_row (out, residual, first, pixel_step, dtype, sums, n_columns, bias, n_pixels, n, act, residual_last);
}

/* (transfer none): what to multiply with: @n channels from @k0 on of the block of columns from @n0 on, at the plan's offsets */
static const void *
find_chunk (const FbProduct *p, const Plan *plan, int n0, int k0, int n, float *room)
{
  const FbPacked *w    = p->packed;
  size_t          step = (size_t) plan->chunk_channels * fb_packed_n_columns (w, n0);

  for (int tap = 1; w->half && tap < w->n_taps; tap++)
    fb_packed_rows (w, p->set, tap, n0, k0, n, room + tap * step);
  return fb_packed_rows (w, p->set, 0, n0, k0, n, room);
}

/* @room: for a widened chunk */
static void
compute_tile (const FbProduct *p, const Plan *plan, int row_tile, int piece, int block, float *sums, float *room, void *scratch)
{
  static const float no_bias[FB_PACK_N];
  const FbPacked    *w         = p->packed;
  int                size      = fb_dtype_size (p->weight_dtype);
  int                n0        = block * w->block;
  int                n_columns = fb_packed_n_columns (w, n0);
  int                pixel0    = piece * plan->piece_pixels;
  int                n_pixels  = MIN (plan->piece_pixels, p->n_pixels - pixel0);
  int                row0      = row_tile * plan->rows_per_tile;
  int                row1      = MIN (row0 + plan->rows_per_tile, p->n_images * p->n_rows);
  gboolean           last      = block == plan->n_blocks - 1;
  const gint64      *offsets   = plan->offsets + (size_t) last * 2 * w->n_taps;

  for (int chunk = 0; chunk < plan->n_chunks; chunk++)
    {
      const FbGemm *kernel = plan->kernels[piece == plan->pieces - 1][last][chunk == plan->n_chunks - 1][chunk > 0];
      int           k0     = chunk * plan->chunk_channels;
      const void   *b      = find_chunk (p, plan, n0, k0, MIN (plan->chunk_channels, w->K - k0), room);

      for (int row = row0; row < row1; row++)
        fb_gemm_run (kernel, p->in + row / p->n_rows * p->in_image + row % p->n_rows * p->in_row + pixel0 * p->in_pixel + (size_t) k0 * size,
                     b, offsets, sums + (size_t) (row - row0) * n_pixels * n_columns, scratch);
    }

  for (int row = row0; row < row1; row++)
    {
      int    image = row / p->n_rows;
      size_t first = image * p->out_image + row % p->n_rows * p->out_row + pixel0 * p->out_pixel + n0;

      finish_row (p->out, p->residual, first, p->out_pixel, p->out_dtype, sums + (size_t) (row - row0) * n_pixels * n_columns, n_columns,
                  p->bias != NULL ? p->bias + image * p->bias_image + n0 : no_bias, n_pixels, MIN (w->block, w->N - n0),
                  p->act, p->residual_last);
    }
}

void
fb_cpu_product (FbDevice *dev, const FbProduct *p)
{
  const size_t sum_bytes = sizeof (float) * TILE_PIXELS * FB_PACK_N;
  Plan         plan;

  if (plan_product (dev, p, &plan) && fb_cpu_reserve_workspaces (dev, sum_bytes + plan.widened_bytes))
    {
      int    n_tiles      = plan.n_row_tiles * plan.pieces;
      size_t weight_bytes = p->packed->set_bytes;
      size_t input_bytes  = (size_t) p->n_images * p->n_rows * p->n_pixels * p->packed->K * fb_dtype_size (p->weight_dtype);
      /* The inner loop's operand is read once per turn of the outer one */
      gboolean blocks_inside = n_tiles * weight_bytes <= plan.n_blocks * input_bytes;

#pragma omp parallel num_threads(dev->n_threads)
      {
        char *workspace = fb_cpu_workspace (dev);

#pragma omp for schedule(dynamic)
        for (int i = 0; i < n_tiles * plan.n_blocks; i++)
          {
            int tile  = blocks_inside ? i / plan.n_blocks : i % n_tiles;
            int block = blocks_inside ? i % plan.n_blocks : i / n_tiles;

            if (!fb_device_cancel_requested (dev))
              compute_tile (p, &plan, tile / plan.pieces, tile % plan.pieces, block, (float *) workspace,
                            (float *) (gpointer) (workspace + sum_bytes), workspace + sum_bytes + plan.widened_bytes);
          }
        fb_gemm_thread_done ();
      }
    }

  g_free (plan.offsets);
}
