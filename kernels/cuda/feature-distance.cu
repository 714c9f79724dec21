/* kernels/cuda/feature-distance.cu: kernels/feature-distance.h. SPDX-License-Identifier: LGPL-3.0-or-later */

#include "kernels/cuda/values.h"

#define BLOCK     128      /* four pixels at a time, as the rows in layer-norm.cu */
#define SUM_BLOCK 256      /* threads that add up a picture's pixels */

/* |x| over a warp's pixel, in every lane */
template <typename T> __device__ inline float
length (const T *x, int C, int lane)
{
  float squares = 0.0f;

  for (int c = lane; c < C; c += 32)
    squares += widen (x[c]) * widen (x[c]);
  return sqrtf (warp_sum (squares));
}

/* One warp per pixel */
template <typename T> __global__ void
pixel_kernel (float *__restrict__ sums, const T *__restrict__ a, const T *__restrict__ b, const float *__restrict__ weight, size_t n_pixels, int C,
              float eps)
{
  size_t pixel = blockIdx.x * (size_t) (blockDim.x / 32) + threadIdx.x / 32;
  int    lane  = threadIdx.x % 32;
  float  ia, ib, total = 0.0f;

  if (pixel >= n_pixels)
    return;

  a += pixel * C;
  b += pixel * C;
  ia = 1.0f / (length (a, C, lane) + eps);
  ib = 1.0f / (length (b, C, lane) + eps);
  for (int c = lane; c < C; c += 32)
    {
      float difference = widen (a[c]) * ia - widen (b[c]) * ib;

      total += weight[c] * difference * difference;
    }
  total = warp_sum (total);
  if (lane == 0)
    sums[pixel] = total;
}

/* One block per picture; each thread its pixels in their order, so that the sum is the same each time */
__global__ void
mean_kernel (float *__restrict__ out, const float *__restrict__ sums, size_t n_pixels)
{
  __shared__ double shared[32];
  double sum = 0.0;

  sums += blockIdx.x * n_pixels;
  for (size_t i = threadIdx.x; i < n_pixels; i += blockDim.x)
    sum += sums[i];
  sum = block_sum (sum, shared);
  if (threadIdx.x == 0)
    out[blockIdx.x] = (float) (sum / (double) n_pixels);
}

static unsigned
n_pixel_blocks (size_t n_pixels)
{
  return (unsigned) ((n_pixels + BLOCK / 32 - 1) / (BLOCK / 32));
}

extern "C" void
fb_cuda_feature_distance (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps)
{
  int    C        = a->shape[3];
  size_t n_pixels = fb_tensor_n_elements (a) / C;
  float *sums     = (float *) fb_cuda_workspace (dev, n_pixels * sizeof (float));

  if (sums == NULL)
    return;

  FB_BY_DTYPE (a->dtype, T,
               FB_LAUNCH (dev, pixel_kernel<T>, n_pixel_blocks (n_pixels), BLOCK, sums, (const T *) a->data, (const T *) b->data,
                          (const float *) weight->data, n_pixels, C, eps));
  FB_LAUNCH (dev, mean_kernel, (unsigned) a->shape[0], SUM_BLOCK, (float *) out->data, sums, n_pixels / a->shape[0]);
}

/* One warp per pixel; @n_pixels: of all pictures, @per_picture of each */
template <typename T> __global__ void
pixel_backward_kernel (T *__restrict__ da, const float *__restrict__ dout, const T *__restrict__ a, const T *__restrict__ b,
                       const float *__restrict__ weight, size_t n_pixels, size_t per_picture, int C, float eps)
{
  size_t pixel = blockIdx.x * (size_t) (blockDim.x / 32) + threadIdx.x / 32;
  int    lane  = threadIdx.x % 32;
  float  la, ia, ib, scale, along = 0.0f, back;

  if (pixel >= n_pixels)
    return;

  da   += pixel * C;
  a    += pixel * C;
  b    += pixel * C;
  la    = length (a, C, lane);
  ia    = la > 0.0f ? 1.0f / (la + eps) : la == 0.0f ? 0.0f : la;                 /* in this order NaN passes */
  ib    = 1.0f / (length (b, C, lane) + eps);
  scale = 2.0f * dout[pixel / per_picture] / (float) per_picture;
  for (int c = lane; c < C; c += 32)
    {
      float unit = widen (a[c]) * ia;

      along += scale * weight[c] * (unit - widen (b[c]) * ib) * unit;
    }
  along = warp_sum (along);
  back  = la > 0.0f ? along / la : along;
  for (int c = lane; c < C; c += 32)
    {
      float unit = widen (a[c]) * ia;

      da[c] = narrow<T> (scale * weight[c] * (unit - widen (b[c]) * ib) * ia - unit * back);
    }
}

extern "C" void
fb_cuda_feature_distance_backward (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                   const FbTensor *weight, float eps)
{
  int    C        = a->shape[3];
  size_t n_pixels = fb_tensor_n_elements (a) / C;

  FB_BY_DTYPE (a->dtype, T,
               FB_LAUNCH (dev, pixel_backward_kernel<T>, n_pixel_blocks (n_pixels), BLOCK, (T *) da->data, (const float *) dout->data,
                          (const T *) a->data, (const T *) b->data, (const float *) weight->data, n_pixels, n_pixels / a->shape[0], C, eps));
}
