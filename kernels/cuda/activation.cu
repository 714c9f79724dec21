/* kernels/cuda/activation.cu: kernels/activation.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cuda/values.h"

#define BLOCK 256      /* eight warps: memory is the limit, and any size from 128 on keeps it busy */

template <typename T> __global__ void
activation_kernel (T *out, const T *x, size_t n, FbActivation act)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    out[i] = narrow<T> (activate (widen (x[i]), act));
}

extern "C" void
fb_cuda_activation (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act)
{
  size_t n = fb_tensor_n_elements (x);

  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, activation_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) out->data, (const T *) x->data, n, act));
}

template <typename T> __global__ void
activation_backward_kernel (T *dx, const T *dy, const T *x, size_t n, FbActivation act)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    dx[i] = narrow<T> (widen (dy[i]) * slope (widen (x[i]), act));
}

extern "C" void
fb_cuda_activation_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act)
{
  size_t n = fb_tensor_n_elements (x);

  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, activation_backward_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) dx->data, (const T *) dy->data,
                          (const T *) x->data, n, act));
}

/* @n: elements of @out, in rows of @C */
template <typename T> __global__ void
geglu_kernel (T *__restrict__ out, const T *__restrict__ x, size_t n, size_t C)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      size_t value = i / C * 2 * C + i % C;

      out[i] = narrow<T> (widen (x[value]) * activate (widen (x[value + C]), FB_ACT_GELU));
    }
}

extern "C" void
fb_cuda_geglu (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  size_t n = fb_tensor_n_elements (out);
  size_t C = out->shape[out->n_dims - 1];

  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, geglu_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) out->data, (const T *) x->data, n, C));
}

template <typename T> __global__ void
geglu_backward_kernel (T *__restrict__ dx, const T *__restrict__ dy, const T *__restrict__ x, size_t n, size_t C)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      size_t at    = i / C * 2 * C + i % C;
      float  value = widen (x[at]), gate = widen (x[at + C]), g = widen (dy[i]);

      dx[at]     = narrow<T> (g * activate (gate, FB_ACT_GELU));
      dx[at + C] = narrow<T> (g * value * slope (gate, FB_ACT_GELU));
    }
}

extern "C" void
fb_cuda_geglu_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x)
{
  size_t n = fb_tensor_n_elements (dy);
  size_t C = dy->shape[dy->n_dims - 1];

  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, geglu_backward_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) dx->data, (const T *) dy->data,
                          (const T *) x->data, n, C));
}

/* @C: channels; @n_per_image: elements that share a row of @bias, all of them where it has one row */
template <typename T> __global__ void
finish_kernel (T *out, const T *sum, const float *bias, const T *residual, size_t n, size_t C, size_t n_per_image, FbActivation act,
               bool residual_last)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      float v = widen (sum[i]);

      if (bias != NULL)
        v += bias[i / n_per_image * C + i % C];
      if (residual != NULL && !residual_last)
        v += widen (residual[i]);
      v = activate (v, act);
      if (residual != NULL && residual_last)
        v += widen (residual[i]);
      out[i] = narrow<T> (v);
    }
}

extern "C" void
fb_cuda_finish (FbDevice *dev, FbTensor *out, const void *sum, const FbTensor *bias, const FbTensor *residual, FbActivation act,
                gboolean residual_last)
{
  size_t       n           = fb_tensor_n_elements (out);
  size_t       C           = out->shape[out->n_dims - 1];
  size_t       n_per_image = bias != NULL && bias->n_dims == 2 ? n / out->shape[0] : n;
  const float *b           = bias != NULL ? (const float *) bias->data : NULL;

  FB_BY_DTYPE (out->dtype, T,
               FB_LAUNCH (dev, finish_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) out->data, (const T *) sum, b,
                          residual != NULL ? (const T *) residual->data : (const T *) NULL, n, C, n_per_image, act, residual_last != FALSE));
}
