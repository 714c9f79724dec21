/* kernels/cuda/layer-norm.cu: kernels/layer-norm.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cuda/values.h"

#define BLOCK 128      /* four rows at a time; a row is read three times, twice from the first-level cache */

/* One warp per row. The mean is counted from the row's first element: a mean far from 0 would not leave f32 enough digits. */
template <typename T> __global__ void
layer_norm_kernel (T *out, const T *x, const float *__restrict__ weight, const float *__restrict__ bias, size_t n_rows, int C, float eps)
{
  size_t row  = blockIdx.x * (size_t) (blockDim.x / 32) + threadIdx.x / 32;
  int    lane = threadIdx.x % 32;
  float  first, sum = 0.0f, squares = 0.0f, mean, factor;

  if (row >= n_rows)
    return;

  x    += row * C;
  out  += row * C;
  first = widen (x[0]);
  for (int c = lane; c < C; c += 32)
    sum += widen (x[c]) - first;
  mean = warp_sum (sum) / C;                                                      /* less @first */
  for (int c = lane; c < C; c += 32)
    {
      float d = widen (x[c]) - first - mean;
      squares += d * d;
    }
  factor = 1.0f / sqrtf (warp_sum (squares) / C + eps);
  for (int c = lane; c < C; c += 32)
    {
      float v = (widen (x[c]) - first - mean) * factor;
      out[c]  = narrow<T> (v * (weight != NULL ? weight[c] : 1.0f) + (bias != NULL ? bias[c] : 0.0f));
    }
}

extern "C" void
fb_cuda_layer_norm (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps)
{
  int      C        = x->shape[x->n_dims - 1];
  size_t   n_rows   = fb_tensor_n_elements (x) / C;
  unsigned n_blocks = (unsigned) ((n_rows + BLOCK / 32 - 1) / (BLOCK / 32));

  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, layer_norm_kernel<T>, n_blocks, BLOCK, (T *) out->data, (const T *) x->data,
                          weight != NULL ? (const float *) weight->data : NULL, bias != NULL ? (const float *) bias->data : NULL,
                          n_rows, C, eps));
}

/* One row's mean, as a sum of two floats, and 1 / deviation */
typedef struct
{
  float first, mean, factor;
} Row;

__device__ inline float
normalised (float x, const Row &row)
{
  return (x - row.first - row.mean) * row.factor;
}

/* One warp per row */
template <typename T> __global__ void
row_kernel (Row *rows, const T *__restrict__ x, size_t n_rows, int C, float eps)
{
  size_t i    = blockIdx.x * (size_t) (blockDim.x / 32) + threadIdx.x / 32;
  int    lane = threadIdx.x % 32;
  float  sum  = 0.0f, squares = 0.0f;
  Row    row;

  if (i >= n_rows)
    return;

  x        += i * C;
  row.first = widen (x[0]);
  for (int c = lane; c < C; c += 32)
    sum += widen (x[c]) - row.first;
  row.mean = warp_sum (sum) / C;
  for (int c = lane; c < C; c += 32)
    {
      float d = widen (x[c]) - row.first - row.mean;
      squares += d * d;
    }
  row.factor = 1.0f / sqrtf (warp_sum (squares) / C + eps);
  if (lane == 0)
    rows[i] = row;
}

#define SUM_LINES 8          /* rows that a block of 32 channels adds up at a time */

/* Σ dy · x̂ and Σ dy of 32 channels, over all rows, added to what is there; without @rows Σ dy alone. grid: tiles of channels, images of @n_rows. */
template <typename T> __global__ void
column_kernel (float *dweight, float *dbias, const T *__restrict__ dy, const T *__restrict__ x, const Row *__restrict__ rows, size_t n_rows, int C)
{
  __shared__ float weights[SUM_LINES][32], biases[SUM_LINES][32];
  int    lane = threadIdx.x % 32, line = threadIdx.x / 32;
  int    c    = blockIdx.x * 32 + lane;
  size_t row0 = blockIdx.y * n_rows;
  float  w    = 0.0f, b = 0.0f;

  if (c < C)
    for (size_t i = row0 + line; i < row0 + n_rows; i += SUM_LINES)
      {
        float g = widen (dy[i * C + c]);

        b += g;
        if (rows != NULL)
          w += g * normalised (widen (x[i * C + c]), rows[i]);
      }
  weights[line][lane] = w;
  biases[line][lane]  = b;
  __syncthreads ();

  if (line == 0 && c < C)
    {
      for (int i = 1; i < SUM_LINES; i++)
        {
          w += weights[i][lane];
          b += biases[i][lane];
        }
      if (dweight != NULL)
        dweight[c] += w;
      if (dbias != NULL)
        dbias[blockIdx.y * (size_t) C + c] += b;
    }
}

/* One warp per row; @dx may be @dy */
template <typename T> __global__ void
layer_norm_backward_kernel (T *dx, const T *dy, const T *__restrict__ x, const float *__restrict__ weight, const Row *__restrict__ rows,
                            size_t n_rows, int C)
{
  size_t i    = blockIdx.x * (size_t) (blockDim.x / 32) + threadIdx.x / 32;
  int    lane = threadIdx.x % 32;
  float  mean = 0.0f, mean_x = 0.0f;

  if (i >= n_rows)
    return;

  x  += i * C;
  dy += i * C;
  dx += i * C;
  for (int c = lane; c < C; c += 32)
    {
      float g = widen (dy[c]) * (weight != NULL ? weight[c] : 1.0f);

      mean   += g;
      mean_x += g * normalised (widen (x[c]), rows[i]);
    }
  mean   = warp_sum (mean) / C;
  mean_x = warp_sum (mean_x) / C;
  for (int c = lane; c < C; c += 32)
    {
      float g = widen (dy[c]) * (weight != NULL ? weight[c] : 1.0f);

      dx[c] = narrow<T> ((g - mean - normalised (widen (x[c]), rows[i]) * mean_x) * rows[i].factor);
    }
}

extern "C" void
fb_cuda_layer_norm_backward (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                             const FbTensor *weight, const FbTensor *bias, float eps)
{
  int          C        = x->shape[x->n_dims - 1];
  size_t       n_rows   = fb_tensor_n_elements (x) / C;
  unsigned     n_blocks = (unsigned) ((n_rows + BLOCK / 32 - 1) / (BLOCK / 32));
  unsigned     n_tiles  = (unsigned) ((C + 31) / 32);
  Row         *rows     = (Row *) fb_device_alloc (dev, n_rows * sizeof (Row));
  const float *w        = weight != NULL ? (const float *) weight->data : NULL;
  float       *dw       = dweight != NULL ? (float *) dweight->data : NULL;
  float       *db       = dbias != NULL ? (float *) dbias->data : NULL;

  if (rows == NULL)
    return;
  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, row_kernel<T>, n_blocks, BLOCK, rows, (const T *) x->data, n_rows, C, eps);
               if (dw != NULL || db != NULL)
                 FB_LAUNCH (dev, column_kernel<T>, n_tiles, 32 * SUM_LINES, dw, db, (const T *) dy->data, (const T *) x->data, rows, n_rows, C);
               FB_LAUNCH (dev, layer_norm_backward_kernel<T>, n_blocks, BLOCK, (T *) dx->data, (const T *) dy->data, (const T *) x->data, w,
                          rows, n_rows, C));
  fb_device_free (dev, rows, n_rows * sizeof (Row));
}

/* kernels/linear.h's sum over rows is the same as that of a shift */
extern "C" void
fb_cuda_bias_backward (FbDevice *dev, FbTensor *db, const FbTensor *dy)
{
  int    C        = dy->shape[dy->n_dims - 1];
  int    n_images = db->n_dims == 2 ? db->shape[0] : 1;
  size_t n_rows   = fb_tensor_n_elements (dy) / C / n_images;
  dim3   grid ((unsigned) ((C + 31) / 32), (unsigned) n_images);

  FB_BY_DTYPE (dy->dtype, T,
               FB_LAUNCH (dev, column_kernel<T>, grid, 32 * SUM_LINES, (float *) NULL, (float *) db->data, (const T *) dy->data,
                          (const T *) NULL, (const Row *) NULL, n_rows, C));
}
