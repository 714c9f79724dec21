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
