/* kernels/cpu/winograd.c: 3×3 convolutions in f32 with 4/9 of the multiplications. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Source: Lavin & Gray, arXiv:1509.09308, F(2×2, 3×3). A tile of 2×2 output pixels reads 4×4 input pixels; brought into another basis, the
 * convolution is one product for each of its 16 components, summed over the channels:
 *   Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A
 * Errors grow by a small factor only (all entries of A, B and G are 0, ±½ and ±1), which f32 can afford and bf16 could not.
 *
 * The weights are brought into the basis anew at each call: to keep them would take 16/9 of the memory. Weights of some output channels, and
 * input of some tiles, lie in shared memory of a size that the third-level cache holds. */

#include "kernels/cpu/winograd.h"

#include "kernels/cpu/product.h"
#include "kernels/cpu/vector.h"

#define COMPONENTS   16
#define BLOCK_TILES  64                      /* rows of a micro-kernel's product */
#define CHUNK        512                     /* input channels that it sums at a time */
#define STRIP        32                      /* channels that are transformed at a time, on the stack */
#define PAD          16                      /* floats between components, so that they don't meet in the same cache sets */
#define WEIGHT_BYTES ((size_t) 16 << 20)
#define INPUT_BYTES  ((size_t) 8 << 20)
#define FEWEST_TILES 128                     /* in an image: below, bringing the weights over costs more than it saves */

/**
 * Plan:
 * @n_tiles: of all images, row by row
 * @band_blocks: blocks of BLOCK_TILES tiles in shared memory at a time
 * @slice: blocks of output channels, as @packed has them, in shared memory at a time
 * @weight_step, @input_step, @sum_step: floats from one component to the next
 * @kernels: [last block of channels?][fewer tiles?][last chunk?][adding?]
 */
typedef struct
{
  FbTensor             *out;
  const FbTensor       *x, *bias, *residual;
  const FbPacked       *packed;
  const FbConv2dParams *params;
  FbActivation          act;
  int                   tile_rows, tile_columns, n_tiles;
  int                   n_tile_blocks, band_blocks;
  int                   n_blocks, slice;
  int                   n_chunks;
  size_t                weight_step, input_step, sum_step;
  float                *weights;             /* [blocks of the slice][components][K][columns] */
  float                *inputs;              /* [blocks of the band][components][BLOCK_TILES][K] */
  const FbGemm         *kernels[2][2][2][2];
} Plan;

gboolean
fb_winograd_pays (const FbWeight *weight, const FbConv2dParams *params, const FbTensor *out)
{
  const FbPacked *packed = weight->packed;

  return weight->dtype == FB_DTYPE_F32 && out->dtype == FB_DTYPE_F32 && packed->n_sets == 1
         && weight->shape[2] == 3 && weight->shape[3] == 3 && params->stride == 1 && params->upsample == 1
         && packed->K >= STRIP && packed->N >= STRIP
         && ((out->shape[1] + 1) / 2) * ((out->shape[2] + 1) / 2) >= FEWEST_TILES;
}

/* --- into the basis ------------------------------------------------------------------------------------------------------- */

/* [3 taps] → [4] */
#define G_ROW(u, g0, g1, g2, n)                                                                                                          \
  for (int i = 0; i < (n); i++)                                                                                                          \
    {                                                                                                                                    \
      float half = 0.5f * ((g0)[i] + (g2)[i]);                                                                                           \
                                                                                                                                         \
      (u)[0][i] = (g0)[i];                                                                                                               \
      (u)[1][i] = half + 0.5f * (g1)[i];                                                                                                 \
      (u)[2][i] = half - 0.5f * (g1)[i];                                                                                                 \
      (u)[3][i] = (g2)[i];                                                                                                               \
    }

/* @width ≤ 16 columns of one input channel */
FB_INLINE void
transform_taps (float *to, size_t to_step, const float *from, size_t from_step, int width)
{
  float rows[3][4][16], u[4][16];

  for (int kx = 0; kx < 3; kx++)
    G_ROW (rows[kx], from + kx * from_step, from + (3 + kx) * from_step, from + (6 + kx) * from_step, width)
  for (int y = 0; y < 4; y++)
    {
      G_ROW (u, rows[0][y], rows[1][y], rows[2][y], width)
      for (int c = 0; c < 4; c++)
        memcpy (to + (y * 4 + c) * to_step, u[c], width * sizeof (float));
    }
}

/* One input channel's weights to @n_columns output channels, a multiple of 8: U = G g Gᵀ */
FB_INLINE void
transform_weight_body (float *to, size_t to_step, const float *from, size_t from_step, int n_columns)
{
  int n = 0;

  for (; n + 16 <= n_columns; n += 16)
    transform_taps (to + n, to_step, from + n, from_step, 16);
  if (n < n_columns)
    transform_taps (to + n, to_step, from + n, from_step, 8);
}

FB_VECTOR_VARIANTS (transform_weight, (float *to, size_t to_step, const float *from, size_t from_step, int n_columns),
                    (to, to_step, from, from_step, n_columns))

/* @n ≤ STRIP channels of the 4×4 pixels @d: V = Bᵀ d B */
FB_INLINE void
transform_strip (float *to, size_t to_step, const float * const d[16], int c0, int n)
{
  float rows[4][4][STRIP];

  for (int x = 0; x < 4; x++)
    {
      const float *d0 = d[x] + c0, *d1 = d[4 + x] + c0, *d2 = d[8 + x] + c0, *d3 = d[12 + x] + c0;

#pragma omp simd
      for (int i = 0; i < n; i++)
        {
          rows[0][x][i] = d0[i] - d2[i];
          rows[1][x][i] = d1[i] + d2[i];
          rows[2][x][i] = d2[i] - d1[i];
          rows[3][x][i] = d1[i] - d3[i];
        }
    }
  for (int y = 0; y < 4; y++)
    {
      float *v = to + 4 * y * to_step + c0;

#pragma omp simd
      for (int i = 0; i < n; i++)
        {
          v[i]               = rows[y][0][i] - rows[y][2][i];
          v[to_step + i]     = rows[y][1][i] + rows[y][2][i];
          v[2 * to_step + i] = rows[y][2][i] - rows[y][1][i];
          v[3 * to_step + i] = rows[y][1][i] - rows[y][3][i];
        }
    }
}

FB_INLINE void
transform_input_body (float *to, size_t to_step, const float * const d[16], int n_channels)
{
  int c = 0;

  for (; c + STRIP <= n_channels; c += STRIP)
    transform_strip (to, to_step, d, c, STRIP);
  if (c < n_channels)
    transform_strip (to, to_step, d, c, n_channels - c);
}

FB_VECTOR_VARIANTS (transform_input, (float *to, size_t to_step, const float * const d[16], int n_channels), (to, to_step, d, n_channels))

/* --- and back --------------------------------------------------------------------------------------------------------------- */

/* @width ≤ 16 columns of one tile's sums @m to its pixels @y, @pixel_step apart */
FB_INLINE void
transform_tile (float *y, size_t row_step, size_t pixel_step, const float *m, size_t from_step, int width)
{
  float rows[2][4][16];

  for (int x = 0; x < 4; x++)
    for (int i = 0; i < width; i++)
      {
        float m0 = m[x * from_step + i], m1 = m[(4 + x) * from_step + i], m2 = m[(8 + x) * from_step + i], m3 = m[(12 + x) * from_step + i];

        rows[0][x][i] = m0 + m1 + m2;
        rows[1][x][i] = m1 - m2 - m3;
      }
  for (int row = 0; row < 2; row++)
    for (int i = 0; i < width; i++)
      {
        y[row * row_step + i]              = rows[row][0][i] + rows[row][1][i] + rows[row][2][i];
        y[row * row_step + pixel_step + i] = rows[row][1][i] - rows[row][2][i] - rows[row][3][i];
      }
}

/* Sums of @n_tiles tiles to two rows of 2 · @n_tiles pixels, @row_step floats apart: Y = Aᵀ M A */
FB_INLINE void
transform_sums_body (float *to, size_t row_step, const float *from, size_t from_step, int n_tiles, int n_columns)
{
  for (int tile = 0; tile < n_tiles; tile++)
    {
      const float *m = from + (size_t) tile * n_columns;
      float       *y = to + (size_t) 2 * tile * n_columns;
      int          n = 0;

      for (; n + 16 <= n_columns; n += 16)
        transform_tile (y + n, row_step, n_columns, m + n, from_step, 16);
      if (n < n_columns)
        transform_tile (y + n, row_step, n_columns, m + n, from_step, 8);
    }
}

FB_VECTOR_VARIANTS (transform_sums, (float *to, size_t row_step, const float *from, size_t from_step, int n_tiles, int n_columns),
                    (to, row_step, from, from_step, n_tiles, n_columns))

/* --- plan ------------------------------------------------------------------------------------------------------------------- */

static int
n_block_columns (const Plan *plan, int block)
{
  return fb_packed_n_columns (plan->packed, block * plan->packed->block);
}

static int
chunk_channels (const Plan *plan, int chunk)
{
  return MIN (CHUNK, plan->packed->K - chunk * CHUNK);
}

static void
plan_kernels (FbDevice *dev, Plan *plan)
{
  for (int i = 0; i < 16; i++)
    {
      int         n = i >> 3 & 1, m = i >> 2 & 1, k = i >> 1 & 1, add = i & 1;
      int         N     = n_block_columns (plan, n ? plan->n_blocks - 1 : 0);
      int         M     = m ? plan->n_tiles - (plan->n_tile_blocks - 1) * BLOCK_TILES : BLOCK_TILES;
      FbGemmShape shape = { .dtype = FB_DTYPE_F32, .add = add, .M = M, .N = N, .K = chunk_channels (plan, k ? plan->n_chunks - 1 : 0),
                            .n_batch = 1, .lda = plan->packed->K, .ldb = N, .ldc = N };

      if ((!n && plan->n_blocks == 1) || (!m && plan->n_tile_blocks == 1) || (!k && plan->n_chunks == 1) || (add && plan->n_chunks == 1))
        continue;                                                            /* no such block or chunk */
      plan->kernels[n][m][k][add] = fb_gemm_get (fb_cpu (dev)->kernels, &shape);          /* in f32 there is always one */
    }
}

static gboolean
plan_winograd (FbDevice *dev, Plan *plan)
{
  const int    K = plan->packed->K, n_columns = plan->packed->block;
  const size_t block_bytes[2] = { sizeof (float) * COMPONENTS * ((size_t) K * n_columns + PAD),
                                  sizeof (float) * COMPONENTS * ((size_t) K * BLOCK_TILES + PAD) };
  size_t       weight_bytes;

  plan->tile_rows     = (plan->out->shape[1] + 1) / 2;
  plan->tile_columns  = (plan->out->shape[2] + 1) / 2;
  plan->n_tiles       = (int) plan->out->shape[0] * plan->tile_rows * plan->tile_columns;
  plan->n_tile_blocks = (plan->n_tiles + BLOCK_TILES - 1) / BLOCK_TILES;
  plan->n_blocks      = (plan->packed->N + n_columns - 1) / n_columns;
  plan->n_chunks      = (K + CHUNK - 1) / CHUNK;
  plan->weight_step   = (size_t) K * n_columns + PAD;
  plan->input_step    = (size_t) K * BLOCK_TILES + PAD;
  plan->sum_step      = n_columns * BLOCK_TILES + PAD;
  plan->slice         = (int) CLAMP (WEIGHT_BYTES / block_bytes[0], 1, (size_t) plan->n_blocks);
  plan->band_blocks   = (int) CLAMP (INPUT_BYTES / block_bytes[1], 1, (size_t) plan->n_tile_blocks);

  weight_bytes = plan->slice * block_bytes[0];
  plan_kernels (dev, plan);
  if (!fb_cpu_reserve_shared (dev, weight_bytes + plan->band_blocks * block_bytes[1]) ||
      !fb_cpu_reserve_workspaces (dev, sizeof (float) * (COMPONENTS * plan->sum_step + 4 * BLOCK_TILES * FB_PACK_N)))
    return FALSE;
  plan->weights = fb_cpu (dev)->shared;
  plan->inputs  = plan->weights + weight_bytes / sizeof (float);
  return TRUE;
}

/* --- work of one thread ------------------------------------------------------------------------------------------------------ */

/* Input channel @k of block @block, the @i-th of the slice */
static void
bring_weight (const Plan *plan, int block, int i, int k)
{
  const FbPacked *w         = plan->packed;
  const int       n_columns = n_block_columns (plan, block);
  float           room[9 * FB_PACK_N];
  size_t          from_step;
  const float    *from      = fb_packed_channel (w, block * w->block, k, room, &from_step);

  transform_weight (plan->weights + i * COMPONENTS * plan->weight_step + (size_t) k * n_columns, plan->weight_step,
                    from, from_step, n_columns);
}

/* Tile @tile of all, in block @i of the band; @zeros: [K] */
static void
bring_input (const Plan *plan, int tile, int i, const float *zeros)
{
  const FbTensor *x        = plan->x;
  const int       H        = (int) x->shape[1], W = (int) x->shape[2];
  const int       per_image = plan->tile_rows * plan->tile_columns;
  const float    *image    = (const float *) x->data + (size_t) (tile / per_image) * H * W * x->shape[3];
  const int       row      = tile % per_image / plan->tile_columns * 2 - plan->params->pad_top;
  const int       column   = tile % plan->tile_columns * 2 - plan->params->pad_left;
  const float    *d[16];

  for (int p = 0; p < 16; p++)
    {
      const int y = row + p / 4, u = column + p % 4;

      d[p] = y >= 0 && y < H && u >= 0 && u < W ? image + ((size_t) y * W + u) * x->shape[3] : zeros;
    }
  transform_input (plan->inputs + i * COMPONENTS * plan->input_step + (size_t) (tile % BLOCK_TILES) * plan->packed->K, plan->input_step, d, plan->packed->K);
}

/* Tiles @tile … @tile + @n of one row of tiles, at sums @from, to channels @n0 … of the output */
static void
finish_run (const Plan *plan, int tile, int n, int n0, int n_columns, const float *from, float *rows)
{
  static const float no_bias[FB_PACK_N];
  const FbTensor    *out       = plan->out;
  const int          per_image = plan->tile_rows * plan->tile_columns;
  const int          image     = tile / per_image;
  const int          y         = tile % per_image / plan->tile_columns * 2;
  const int          u         = tile % plan->tile_columns * 2;
  const size_t       row_step  = (size_t) 2 * BLOCK_TILES * n_columns;
  const float       *bias      = no_bias;

  transform_sums (rows, row_step, from, plan->sum_step, n, n_columns);
  if (plan->bias != NULL)
    bias = (const float *) plan->bias->data + (plan->bias->n_dims == 2 ? (size_t) image * out->shape[3] : 0) + n0;
  for (int row = 0; row < 2 && y + row < out->shape[1]; row++)
    {
      const size_t first = (((size_t) image * out->shape[1] + y + row) * out->shape[2] + u) * out->shape[3] + n0;

      fb_cpu_finish_row (out->data, plan->residual != NULL ? plan->residual->data : NULL, first, out->shape[3], FB_DTYPE_F32, rows + row * row_step,
                         n_columns, bias, (int) MIN (2 * n, out->shape[2] - u), MIN (plan->packed->block, plan->packed->N - n0), plan->act, FALSE);
    }
}

/* Block @tile_block of tiles, the @i-th of the band, by block @block of channels, the @j-th of the slice */
static void
multiply_block (const Plan *plan, int tile_block, int i, int block, int j, float *workspace, void *scratch)
{
  static const gint64 offsets[2];
  const int           n_columns = n_block_columns (plan, block);
  const int           tile0     = tile_block * BLOCK_TILES;
  const int           n_tiles   = MIN (BLOCK_TILES, plan->n_tiles - tile0);
  const float        *a         = plan->inputs + i * COMPONENTS * plan->input_step;
  const float        *b         = plan->weights + j * COMPONENTS * plan->weight_step;

  for (int c = 0; c < COMPONENTS; c++)
    for (int chunk = 0; chunk < plan->n_chunks; chunk++)
      fb_gemm_run (plan->kernels[block == plan->n_blocks - 1][tile_block == plan->n_tile_blocks - 1][chunk == plan->n_chunks - 1][chunk > 0],
                   a + c * plan->input_step + chunk * CHUNK, b + c * plan->weight_step + (size_t) chunk * CHUNK * n_columns, offsets,
                   workspace + c * plan->sum_step, scratch);

  for (int t = 0, n; t < n_tiles; t += n)
    {
      n = MIN (n_tiles - t, plan->tile_columns - (tile0 + t) % plan->tile_columns);
      finish_run (plan, tile0 + t, n, block * plan->packed->block, n_columns, workspace + (size_t) t * n_columns, workspace + COMPONENTS * plan->sum_step);
    }
}

void
fb_cpu_winograd (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                 const FbTensor *residual, const FbConv2dParams *params, FbActivation act)
{
  Plan              plan  = { .out = out, .x = x, .bias = bias, .residual = residual, .packed = weight->packed, .params = params, .act = act };
  const int         K     = plan.packed->K;
  g_autofree float *zeros = g_new0 (float, K);

  fb_gemm_set_tidy (fb_cpu (dev)->kernels);
  if (!plan_winograd (dev, &plan))
    return;

#pragma omp parallel num_threads(dev->n_threads)
  {
    float *workspace = (float *) fb_cpu_workspace (dev);
    void  *scratch   = workspace + COMPONENTS * plan.sum_step + 4 * BLOCK_TILES * FB_PACK_N;

    for (int block0 = 0; block0 < plan.n_blocks; block0 += plan.slice)
      {
        const int n_blocks = MIN (plan.slice, plan.n_blocks - block0);

#pragma omp for schedule(dynamic, 8)
        for (int i = 0; i < n_blocks * K; i++)
          if (!fb_device_cancel_requested (dev))
            bring_weight (&plan, block0 + i / K, i / K, i % K);

        for (int tiles0 = 0; tiles0 < plan.n_tile_blocks; tiles0 += plan.band_blocks)
          {
            const int n_tile_blocks = MIN (plan.band_blocks, plan.n_tile_blocks - tiles0);
            const int n_tiles       = MIN (n_tile_blocks * BLOCK_TILES, plan.n_tiles - tiles0 * BLOCK_TILES);

            if (block0 == 0 || plan.band_blocks < plan.n_tile_blocks)        /* else all of them are still there */
              {
#pragma omp for schedule(dynamic, 8)
                for (int i = 0; i < n_tiles; i++)
                  if (!fb_device_cancel_requested (dev))
                    bring_input (&plan, tiles0 * BLOCK_TILES + i, i / BLOCK_TILES, zeros);
              }
#pragma omp for schedule(dynamic)
            for (int i = 0; i < n_tile_blocks * n_blocks; i++)
              if (!fb_device_cancel_requested (dev))
                multiply_block (&plan, tiles0 + i / n_blocks, i / n_blocks, block0 + i % n_blocks, i % n_blocks, workspace, scratch);
          }
      }
    fb_gemm_thread_done ();
  }
  fb_device_cancelled (dev);
}
