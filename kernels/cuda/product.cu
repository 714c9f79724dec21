/* kernels/cuda/product.cu: kernels/cuda/product.h by our own loops, where cuBLASLt has no algorithm. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cuda/product.h"
#include "kernels/cuda/values.h"

#define TILE  64
#define DEPTH 16
#define BLOCK 256            /* 16 × 16 threads with 4 × 4 sums each */

/* Where element [row, column] of an operand lies */
__device__ inline size_t
place (const FbCudaMatrix &m, size_t row, size_t column)
{
  return m.transposed ? column * m.step + row : row * m.step + column;
}

/* grid: tiles of rows, of which there can be more than 65,535, tiles of columns, products */
template <typename T, typename Out> __global__ void
product_kernel (FbCudaProduct p)
{
  __shared__ float left[DEPTH][TILE + 1], right[DEPTH][TILE + 1];
  const T   *l      = (const T *) p.left.data + blockIdx.z * p.left.batch;
  const T   *r      = (const T *) p.right.data + blockIdx.z * p.right.batch;
  int        row0   = blockIdx.x * TILE, column0 = blockIdx.y * TILE;
  int        row    = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;
  float      sums[4][4] = { { 0.0f } };

  for (int k0 = 0; k0 < p.depth; k0 += DEPTH)
    {
      for (int i = threadIdx.x; i < DEPTH * TILE; i += BLOCK)
        {
          int k = k0 + i % DEPTH, j = i / DEPTH;

          left[i % DEPTH][j]  = k < p.depth && row0 + j < p.n_rows ? widen (l[place (p.left, row0 + j, k)]) : 0.0f;
          right[i % DEPTH][j] = k < p.depth && column0 + j < p.n_columns ? widen (r[place (p.right, k, column0 + j)]) : 0.0f;
        }
      __syncthreads ();
#pragma unroll 4
      for (int k = 0; k < DEPTH; k++)
        for (int i = 0; i < 4; i++)
          for (int j = 0; j < 4; j++)
            sums[i][j] += left[k][row + i] * right[k][column + j];
      __syncthreads ();
    }

  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      {
        size_t at = blockIdx.z * p.out_batch + (size_t) (row0 + row + i) * p.out_step + column0 + column + j;
        float  v  = p.scale * sums[i][j];

        if (row0 + row + i >= p.n_rows || column0 + column + j >= p.n_columns)
          continue;
        if (p.addend != NULL)
          v += widen (((const Out *) p.addend)[at]);
        if (p.bias != NULL)
          v += widen (((const Out *) p.bias)[column0 + column + j]);
        ((Out *) p.out)[at] = narrow<Out> (v);
      }
}

extern "C" void
fb_cuda_multiply_plainly (FbDevice *dev, const FbCudaProduct *p)
{
  dim3 grid ((unsigned) ((p->n_rows + TILE - 1) / TILE), (unsigned) ((p->n_columns + TILE - 1) / TILE), (unsigned) p->n_products);

  if (p->dtype == p->out_dtype)
    FB_BY_DTYPE (p->dtype, T, FB_LAUNCH (dev, (product_kernel<T, T>), grid, BLOCK, *p))
  else
    FB_BY_DTYPE (p->dtype, T, FB_LAUNCH (dev, (product_kernel<T, float>), grid, BLOCK, *p))
}
