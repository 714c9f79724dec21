/* kernels/cuda/max-pool.cu: kernels/max-pool.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cuda/values.h"

#define BLOCK 256      /* as in activation.cu */

/* Which of the four values of a square is the largest: the first of equal ones, or the first NaN; @step: from row to row */
template <typename T> __device__ inline int
find_largest (const T *x, size_t step, size_t C)
{
  float best  = widen (x[0]);
  int   which = 0;

  for (int k = 1; k < 4; k++)
    {
      float v = widen (x[k / 2 * step + k % 2 * C]);

      if (!(best >= v || best != best))
        {
          best  = v;
          which = k;
        }
    }
  return which;
}

template <typename T> __global__ void
max_pool_kernel (T *__restrict__ out, const T *__restrict__ x, size_t n, int H, int W, int C)
{
  int    Ho   = H / 2, Wo = W / 2;
  size_t step = (size_t) W * C;

  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      size_t   u     = i / C % Wo, y = i / C / Wo % Ho, image = i / C / Wo / Ho;
      const T *from  = x + ((image * H + 2 * y) * W + 2 * u) * C + i % C;
      int      which = find_largest (from, step, C);

      out[i] = from[which / 2 * step + which % 2 * C];
    }
}

extern "C" void
fb_cuda_max_pool (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  size_t n = fb_tensor_n_elements (out);

  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, max_pool_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) out->data, (const T *) x->data, n,
                          x->shape[1], x->shape[2], x->shape[3]));
}

/* A thread per element of @dx: it looks whether it is its square's largest */
template <typename T> __global__ void
max_pool_backward_kernel (T *__restrict__ dx, const T *__restrict__ dout, const T *__restrict__ x, size_t n, int H, int W, int C)
{
  int    Ho   = H / 2, Wo = W / 2;
  size_t step = (size_t) W * C;

  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      int    u     = (int) (i / C % W), y = (int) (i / C / W % H);
      size_t image = i / C / W / H;
      float  g     = 0.0f;

      if (u / 2 < Wo && y / 2 < Ho)                                               /* an odd last row or column is in no square */
        {
          const T *from = x + ((image * H + y / 2 * 2) * W + u / 2 * 2) * C + i % C;

          if (find_largest (from, step, C) == y % 2 * 2 + u % 2)
            g = widen (dout[((image * Ho + y / 2) * Wo + u / 2) * C + i % C]);
        }
      dx[i] = narrow<T> (g);
    }
}

extern "C" void
fb_cuda_max_pool_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout, const FbTensor *x)
{
  size_t n = fb_tensor_n_elements (dx);

  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, max_pool_backward_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) dx->data, (const T *) dout->data,
                          (const T *) x->data, n, x->shape[1], x->shape[2], x->shape[3]));
}
