/* kernels/cpu/weight-gradient.c: dyᵀ · x for linear layers and convolutions. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Rows (tokens, output pixels) are what is summed over. Some thousand at a time are packed: dy turned, so that a row of it holds one channel's
 * STEP rows, and, for each tap of the kernel, the pixels of x under that tap. A thread then sums one tile of the gradient over all of them, in
 * order: results do not depend on the number of threads. */

#include "kernels/cpu/cpu-private.h"
#include "kernels/cpu/vector.h"

#define STEP         512                        /* rows per micro-kernel call */
#define TILE         64
#define SMALL_TILE   32                         /* where there would be too few tiles for a machine's cores */
#define FEW_TILES    16
#define PACKED_BYTES ((size_t) 32 << 20)        /* about */

/**
 * Job:
 * @M, @N: output and input channels
 * @n_rows: in all
 * @chunk_rows: packed at a time, a multiple of STEP
 * @tile: channels per side
 */
typedef struct
{
  FbDtype               dtype;
  float                *dw;
  const char           *dy, *x;
  int                   M, N;
  size_t                n_rows, chunk_rows;
  int                   tile, n_m, n_n;
  int                   H, W, Ho, Wo, kH, kW;
  const FbConv2dParams *params;
  char                 *turned;      /* [steps][n_m][tile][STEP] of dtype: dy */
  char                 *pixels;      /* [steps][n_n][STEP][tile] of dtype, in bf16 [STEP / 2][tile][2]: x */
} Job;

/* One step's @n_rows of @n channels, rows @stride elements apart, to [n][STEP]; zeros up to @width */
FB_INLINE void
turn_rows_body (void *to, const void *from, int n_rows, int width, int n, size_t stride, FbDtype dtype)
{
  for (int r0 = 0; r0 < width; r0 += 16)                         /* few rows at a time: their lines stay in the cache from channel to channel */
    {
      int rows = CLAMP (n_rows - r0, 0, 16);

      if (dtype == FB_DTYPE_F32)
        {
          const float *in  = (const float *) from + r0 * stride;
          float       *out = (float *) to + r0;

          for (int m = 0; m < n; m++)
            for (int r = 0; r < 16; r++)
              out[m * STEP + r] = r < rows ? in[r * stride + m] : 0.0f;
        }
      else
        {
          const guint16 *in  = (const guint16 *) from + r0 * stride;
          guint16       *out = (guint16 *) to + r0;

          for (int m = 0; m < n; m++)
            for (int r = 0; r < 16; r++)
              out[m * STEP + r] = r < rows ? in[r * stride + m] : 0;
        }
    }
}

FB_VECTOR_VARIANTS (turn_rows, (void *to, const void *from, int n_rows, int width, int n, size_t stride, FbDtype dtype),
                    (to, from, n_rows, width, n, stride, dtype))

static int
columns_of (const Job *job, int block)
{
  return MIN (job->tile, (job->N - block * job->tile + 15) / 16 * 16);
}

/* Rows of a step, and what they are rounded up to: micro-kernels read pairs */
static int
step_width (size_t n_rows, int step)
{
  return (MIN (STEP, (int) (n_rows - (size_t) step * STEP)) + 15) / 16 * 16;
}

/* @width rows of x, NULL for zeros, to the panels of all blocks of channels from @to on; row after row, because that is how they lie in memory */
FB_INLINE void
gather_rows_body (char *to, const void * const *rows, int width, const Job *job)
{
  static const float zeros[TILE];
  size_t             panel_bytes = (size_t) job->tile * STEP * fb_dtype_size (job->dtype);

  for (int r = 0; r < width; r += 2)
    for (int block = 0; block < job->n_n; block++)
      {
        size_t first     = (size_t) block * job->tile;
        int    n         = MIN (job->tile, job->N - block * job->tile);
        int    n_columns = columns_of (job, block);

        if (job->dtype == FB_DTYPE_F32)
          {
            for (int i = 0; i < 2; i++)
              {
                const float *in  = rows[r + i] != NULL ? (const float *) rows[r + i] + first : zeros;
                float       *out = (float *) (to + block * panel_bytes) + (r + i) * n_columns;

                memcpy (out, in, n * sizeof (float));
                for (int c = n; c < n_columns; c++)
                  out[c] = 0.0f;
              }
          }
        else
          {
            const guint16 *even = rows[r] != NULL ? (const guint16 *) rows[r] + first : (const guint16 *) zeros;
            const guint16 *odd  = rows[r + 1] != NULL ? (const guint16 *) rows[r + 1] + first : (const guint16 *) zeros;
            guint32       *out  = (guint32 *) (to + block * panel_bytes) + r / 2 * n_columns;

#pragma omp simd
            for (int c = 0; c < n; c++)
              out[c] = even[c] | (guint32) odd[c] << 16;
            for (int c = n; c < n_columns; c++)
              out[c] = 0;
          }
      }
}

FB_VECTOR_VARIANTS (gather_rows, (char *to, const void * const *rows, int width, const Job *job), (to, rows, width, job))

static void
turn_block (const Job *job, size_t row0, size_t n_rows, int step, int block)
{
  size_t size = fb_dtype_size (job->dtype);
  size_t row  = row0 + (size_t) step * STEP;

  turn_rows (job->turned + ((size_t) step * job->n_m + block) * job->tile * STEP * size,
             job->dy + (row * job->M + block * job->tile) * size, MIN (STEP, (int) (n_rows - (size_t) step * STEP)),
             step_width (n_rows, step), MIN (job->tile, job->M - block * job->tile), job->M, job->dtype);
}

/* The pixel of x that tap (@ky, @kx) of output pixel @row meets; NULL in the padding */
static const void *
pixel_under (const Job *job, size_t row, int ky, int kx)
{
  const FbConv2dParams *p = job->params;
  int                   y = (int) (row / job->Wo % job->Ho) * p->stride + ky - p->pad_top;
  int                   u = (int) (row % job->Wo) * p->stride + kx - p->pad_left;

  if (y < 0 || u < 0 || y >= job->H * p->upsample || u >= job->W * p->upsample)
    return NULL;

  return job->x + (((row / job->Wo / job->Ho * job->H + y / p->upsample) * job->W) + u / p->upsample) * job->N * fb_dtype_size (job->dtype);
}

static void
gather_step (const Job *job, size_t row0, size_t n_rows, int step, int tap)
{
  size_t      size  = fb_dtype_size (job->dtype);
  int         width = step_width (n_rows, step);
  const void *rows[STEP];

  for (int r = 0; r < width; r++)
    rows[r] = (size_t) step * STEP + r < n_rows ? pixel_under (job, row0 + (size_t) step * STEP + r, tap / job->kW, tap % job->kW) : NULL;
  gather_rows (job->pixels + (size_t) step * job->n_n * job->tile * STEP * size, rows, width, job);
}

typedef const FbGemm *Kernels[2][2][2][2];      /* last block of output channels?, of input channels?, last step?, adding? */

static gboolean
plan_kernels (FbDevice *dev, const Job *job, size_t n_rows, Kernels kernels)
{
  int n_steps = (n_rows + STEP - 1) / STEP;
  int M[2] = { job->tile, job->M - (job->n_m - 1) * job->tile };
  int N[2] = { job->tile, columns_of (job, job->n_n - 1) };
  int K[2] = { STEP, step_width (n_rows, n_steps - 1) };

  for (int i = 0; i < 16; i++)
    {
      int         m = i >> 3 & 1, n = i >> 2 & 1, k = i >> 1 & 1, add = i & 1;
      FbGemmShape shape = { .dtype = job->dtype, .add = add, .M = M[m], .N = N[n], .K = K[k], .n_batch = 1,
                            .lda = STEP, .ldb = N[n], .ldc = N[n] };

      kernels[m][n][k][add] = NULL;
      if ((m == 0 && job->n_m == 1) || (n == 0 && job->n_n == 1) || ((k == 0 || add) && n_steps == 1))
        continue;
      kernels[m][n][k][add] = fb_gemm_get (fb_cpu (dev)->kernels, &shape);
      if (kernels[m][n][k][add] == NULL)
        {
          fb_device_fail (dev, FB_DEVICE_ERROR_FAILED, "oneDNN makes no %s micro-kernel of %d × %d × %d.",
                          fb_dtype_name (job->dtype), M[m], N[n], K[k]);
          return FALSE;
        }
    }
  return TRUE;
}

static void
sum_tile (const Job *job, Kernels kernels, size_t n_rows, int m, int n, int tap, float *sums, void *scratch)
{
  static const gint64 offsets[2] = { 0, 0 };
  size_t              size       = fb_dtype_size (job->dtype);
  int                 n_steps    = (n_rows + STEP - 1) / STEP;
  int                 n_columns  = columns_of (job, n);
  int                 n_taps     = job->kH * job->kW;

  for (int step = 0; step < n_steps; step++)
    fb_gemm_run (kernels[m == job->n_m - 1][n == job->n_n - 1][step == n_steps - 1][step > 0],
                 job->turned + ((size_t) step * job->n_m + m) * job->tile * STEP * size,
                 job->pixels + ((size_t) step * job->n_n + n) * job->tile * STEP * size, offsets, sums, scratch);

  for (int i = 0; i < MIN (job->tile, job->M - m * job->tile); i++)
    {
      float *to = job->dw + ((size_t) (m * job->tile + i) * job->N + n * job->tile) * n_taps + tap;

      for (int j = 0; j < MIN (job->tile, job->N - n * job->tile); j++)
        to[(size_t) j * n_taps] += sums[i * n_columns + j];
    }
}

static void
add_rows (FbDevice *dev, const Job *job, Kernels kernels, size_t row0, size_t n_rows)
{
  int n_steps = (n_rows + STEP - 1) / STEP;

#pragma omp parallel num_threads(dev->n_threads)
  {
    float *sums = (float *) fb_cpu_workspace (dev);

#pragma omp for collapse(2) schedule(dynamic)
    for (int step = 0; step < n_steps; step++)
      for (int block = 0; block < job->n_m; block++)
        turn_block (job, row0, n_rows, step, block);

    for (int tap = 0; tap < job->kH * job->kW; tap++)
      {
#pragma omp for schedule(dynamic)
        for (int step = 0; step < n_steps; step++)
          if (!fb_device_cancel_requested (dev))
            gather_step (job, row0, n_rows, step, tap);

#pragma omp for collapse(2) schedule(dynamic)
        for (int m = 0; m < job->n_m; m++)
          for (int n = 0; n < job->n_n; n++)
            if (!fb_device_cancel_requested (dev))
              sum_tile (job, kernels, n_rows, m, n, tap, sums, sums + TILE * TILE);
      }
    fb_gemm_thread_done ();
  }
}

static void
run (FbDevice *dev, Job *job)
{
  size_t  size = fb_dtype_size (job->dtype);
  Kernels kernels;
  size_t  row_bytes;

  job->tile       = ((job->M + TILE - 1) / TILE) * ((job->N + TILE - 1) / TILE) < FEW_TILES ? SMALL_TILE : TILE;
  job->n_m        = (job->M + job->tile - 1) / job->tile;
  job->n_n        = (job->N + job->tile - 1) / job->tile;
  row_bytes       = (size_t) (job->n_m + job->n_n) * job->tile * size;
  job->chunk_rows = MIN (MAX (PACKED_BYTES / row_bytes / STEP, 1), (job->n_rows + STEP - 1) / STEP) * STEP;

  fb_gemm_set_tidy (fb_cpu (dev)->kernels);
  for (size_t row = 0; row < job->n_rows; row += job->chunk_rows)
    {
      size_t n_rows = MIN (job->chunk_rows, job->n_rows - row);

      if (fb_device_cancelled (dev) || !plan_kernels (dev, job, n_rows, kernels)
          || !fb_cpu_reserve_shared (dev, job->chunk_rows * row_bytes)
          || !fb_cpu_reserve_workspaces (dev, TILE * TILE * sizeof (float)))
        return;
      job->turned = fb_cpu (dev)->shared;
      job->pixels = job->turned + job->chunk_rows * job->n_m * job->tile * size;
      add_rows (dev, job, kernels, row, n_rows);
    }
  fb_device_cancelled (dev);
}

void
fb_cpu_linear_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x)
{
  static const FbConv2dParams one_by_one = { .stride = 1, .upsample = 1 };
  size_t                      n_rows     = fb_tensor_n_elements (dy) / dw->shape[0];
  Job                         job        = { x->dtype, dw->data, dy->data, x->data, dw->shape[0], dw->shape[1], n_rows,
                                             .H = n_rows, .W = 1, .Ho = n_rows, .Wo = 1, .kH = 1, .kW = 1, .params = &one_by_one };

  run (dev, &job);
}

void
fb_cpu_conv2d_backward_weight (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *params)
{
  Job job = { x->dtype, dw->data, dy->data, x->data, dw->shape[0], dw->shape[1], fb_tensor_n_elements (dy) / dw->shape[0],
              .H = x->shape[1], .W = x->shape[2], .Ho = dy->shape[1], .Wo = dy->shape[2], .kH = dw->shape[2], .kW = dw->shape[3],
              .params = params };

  run (dev, &job);
}
