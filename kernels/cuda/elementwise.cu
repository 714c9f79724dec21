/* kernels/cuda/elementwise.cu: kernels/elementwise.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cuda/values.h"

#define BLOCK 256      /* as in activation.cu */

/* @b repeats after @period elements; @out may be @a or @b: a thread reads only where it then writes, or what nobody writes */
template <typename T> __global__ void
add_kernel (T *out, const T *a, const T *b, size_t n, size_t period)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    out[i] = narrow<T> (widen (a[i]) + widen (b[i % period]));
}

extern "C" void
fb_cuda_add (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b)
{
  size_t n = fb_tensor_n_elements (a);

  FB_BY_DTYPE (a->dtype, T,
               FB_LAUNCH (dev, add_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) out->data, (const T *) a->data,
                          (const T *) b->data, n, fb_tensor_n_elements (b)));
}

template <typename T> __global__ void
concat_kernel (T *__restrict__ out, const T *__restrict__ a, const T *__restrict__ b, size_t n, size_t Ca, size_t Cb)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      size_t row = i / (Ca + Cb);
      size_t c   = i % (Ca + Cb);

      out[i] = c < Ca ? a[row * Ca + c] : b[row * Cb + c - Ca];
    }
}

extern "C" void
fb_cuda_concat (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b)
{
  size_t n  = fb_tensor_n_elements (out);
  size_t Ca = a->shape[a->n_dims - 1];
  size_t Cb = b->shape[b->n_dims - 1];

  FB_BY_DTYPE (a->dtype, T,
               FB_LAUNCH (dev, concat_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) out->data, (const T *) a->data,
                          (const T *) b->data, n, Ca, Cb));
}

/* Channels @first … of each row of @width, as rows of @C */
template <typename T> __global__ void
cut_kernel (T *__restrict__ out, const T *__restrict__ x, size_t n, size_t C, size_t width, size_t first)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    out[i] = x[i / C * width + first + i % C];
}

static void
cut (FbDevice *dev, FbTensor *out, const FbTensor *x, size_t first)
{
  size_t n     = fb_tensor_n_elements (out);
  size_t C     = out->shape[out->n_dims - 1];
  size_t width = x->shape[x->n_dims - 1];

  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, cut_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) out->data, (const T *) x->data, n, C, width, first));
}

extern "C" void
fb_cuda_concat_backward (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout)
{
  if (da != NULL)
    cut (dev, da, dout, 0);
  if (db != NULL)
    cut (dev, db, dout, (size_t) (dout->shape[dout->n_dims - 1] - db->shape[db->n_dims - 1]));
}

template <typename T> __global__ void
upsample_kernel (T *__restrict__ out, const T *__restrict__ x, size_t n, int H, int W, int Ho, int Wo, int C)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      size_t c     = i % C;
      size_t u     = i / C % Wo;
      size_t y     = i / C / Wo % Ho;
      size_t image = i / C / Wo / Ho;

      out[i] = x[((image * H + y / 2) * W + u / 2) * C + c];
    }
}

extern "C" void
fb_cuda_upsample (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  size_t n = fb_tensor_n_elements (out);

  FB_BY_DTYPE (x->dtype, T,
               FB_LAUNCH (dev, upsample_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) out->data, (const T *) x->data, n,
                          x->shape[1], x->shape[2], out->shape[1], out->shape[2], x->shape[3]));
}

template <typename T> __global__ void
upsample_backward_kernel (T *__restrict__ dx, const T *__restrict__ dout, size_t n, int H, int W, int Ho, int Wo, int C)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    {
      size_t c     = i % C;
      int    u     = (int) (i / C % W) * 2;
      int    y     = (int) (i / C / W % H) * 2;
      size_t image = i / C / W / H;
      float  sum   = 0.0f;

      for (int row = y; row < y + 2 && row < Ho; row++)
        for (int column = u; column < u + 2 && column < Wo; column++)
          sum += widen (dout[((image * Ho + row) * Wo + column) * C + c]);
      dx[i] = narrow<T> (sum);
    }
}

extern "C" void
fb_cuda_upsample_backward (FbDevice *dev, FbTensor *dx, const FbTensor *dout)
{
  size_t n = fb_tensor_n_elements (dx);

  FB_BY_DTYPE (dx->dtype, T,
               FB_LAUNCH (dev, upsample_backward_kernel<T>, fb_cuda_n_blocks (dev, n, BLOCK), BLOCK, (T *) dx->data, (const T *) dout->data, n,
                          dx->shape[1], dx->shape[2], dout->shape[1], dout->shape[2], dx->shape[3]));
}

/* All 16 pairs; from f64 at once, since a second rounding on the way could differ from the reference */
__device__ inline void convert (float *to, double v)         { *to = (float) v; }
__device__ inline void convert (double *to, double v)        { *to = v; }
__device__ inline void convert (__half *to, double v)        { *to = __double2half (v); }
__device__ inline void convert (__nv_bfloat16 *to, double v) { *to = __double2bfloat16 (v); }

template <typename To, typename From> __device__ inline void
convert (To *to, From v)
{
  *to = narrow<To> (widen (v));
}

template <typename From> __device__ inline void
convert (double *to, From v)
{
  *to = widen (v);
}

template <typename To, typename From> __global__ void
cast_kernel (To *out, const From *x, size_t n)
{
  for (size_t i = blockIdx.x * (size_t) blockDim.x + threadIdx.x; i < n; i += (size_t) gridDim.x * blockDim.x)
    convert (&out[i], x[i]);
}

template <typename From> static void
cast_from (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  size_t      n        = fb_tensor_n_elements (x);
  unsigned    n_blocks = fb_cuda_n_blocks (dev, n, BLOCK);
  const From *in       = (const From *) x->data;

  if (out->dtype == FB_DTYPE_F64)
    FB_LAUNCH (dev, (cast_kernel<double, From>), n_blocks, BLOCK, (double *) out->data, in, n);
  else
    FB_BY_DTYPE (out->dtype, T, FB_LAUNCH (dev, (cast_kernel<T, From>), n_blocks, BLOCK, (T *) out->data, in, n));
}

extern "C" void
fb_cuda_cast (FbDevice *dev, FbTensor *out, const FbTensor *x)
{
  if (x->dtype == FB_DTYPE_F64)
    cast_from<double> (dev, out, x);
  else
    FB_BY_DTYPE (x->dtype, T, cast_from<T> (dev, out, x));
}
