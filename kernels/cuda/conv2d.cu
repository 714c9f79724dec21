/* kernels/cuda/conv2d.cu: convolution by our own loops. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The product of pixels with kernels that a convolution is, without the matrix of the pixels under each tap ever being written: a block
 * gathers 64 pixels' inputs for 16 (tap, channel) pairs at a time. It takes every parameter and pair of types, and serves where cuDNN has no
 * engine; cuDNN is many times faster where it has one. */

#include "kernels/cuda/values.h"

#define TILE  64             /* pixels, and output channels, of a block */
#define DEPTH 16             /* (tap, channel) pairs in shared memory */
#define BLOCK 256            /* 16 × 16 threads with 4 × 4 sums each */

typedef struct
{
  int H, W, Cin, Ho, Wo, Cout, kH, kW;
  int stride, top, left, upsample;
  size_t n_pixels;           /* of all output images */
} Sizes;

/* The input under pair @k of output pixel @pixel; 0 in the padding */
template <typename T> __device__ inline float
read_input (const T *__restrict__ x, const Sizes &s, size_t pixel, int k)
{
  int    c     = k % s.Cin, tap = k / s.Cin;
  int    ox    = (int) (pixel % s.Wo), oy = (int) (pixel / s.Wo % s.Ho);
  size_t image = pixel / s.Wo / s.Ho;
  int    y     = oy * s.stride + tap / s.kW - s.top;                              /* in the enlarged picture */
  int    u     = ox * s.stride + tap % s.kW - s.left;

  if (y < 0 || u < 0 || y >= s.H * s.upsample || u >= s.W * s.upsample)
    return 0.0f;
  return widen (x[((image * s.H + y / s.upsample) * s.W + u / s.upsample) * s.Cin + c]);
}

/* grid: tiles of pixels, tiles of output channels. @bias: a row for all images, or one each where @bias_step is Cout. */
template <typename T, typename Out> __global__ void
conv2d_kernel (Out *out, const T *__restrict__ x, const T *__restrict__ weight, const float *__restrict__ bias, int bias_step,
               const Out *residual, Sizes s, FbActivation act)
{
  __shared__ float inputs[DEPTH][TILE + 1], kernels[DEPTH][TILE + 1];             /* + 1: columns lie in different banks */
  int    n_pairs = s.kH * s.kW * s.Cin;
  size_t pixel0  = (size_t) blockIdx.x * TILE;
  int    oc0     = blockIdx.y * TILE;
  int    row     = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;           /* of this thread's sums in the tile */
  float  sums[4][4] = { { 0.0f } };

  for (int k0 = 0; k0 < n_pairs; k0 += DEPTH)
    {
      for (int i = threadIdx.x; i < DEPTH * TILE; i += BLOCK)
        {
          int k = k0 + i % DEPTH, j = i / DEPTH;                                  /* neighbours read neighbouring channels */

          inputs[i % DEPTH][j]  = k < n_pairs && pixel0 + j < s.n_pixels ? read_input (x, s, pixel0 + j, k) : 0.0f;
          kernels[i % DEPTH][j] = k < n_pairs && oc0 + j < s.Cout ? widen (weight[(size_t) (oc0 + j) * n_pairs + k]) : 0.0f;
        }
      __syncthreads ();
#pragma unroll 4
      for (int k = 0; k < DEPTH; k++)
        for (int i = 0; i < 4; i++)
          for (int j = 0; j < 4; j++)
            sums[i][j] += inputs[k][row + i] * kernels[k][column + j];
      __syncthreads ();
    }

  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      {
        size_t pixel = pixel0 + row + i;
        int    oc    = oc0 + column + j;
        size_t at    = pixel * s.Cout + oc;
        float  v     = sums[i][j];

        if (pixel >= s.n_pixels || oc >= s.Cout)
          continue;
        if (bias != NULL)
          v += bias[pixel / s.Wo / s.Ho * bias_step + oc];
        if (residual != NULL)
          v += widen (residual[at]);
        out[at] = narrow<Out> (activate (v, act));
      }
}

template <typename T, typename Out> static void
launch (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias, const FbTensor *residual,
        const Sizes &s, FbActivation act)
{
  dim3 grid ((unsigned) ((s.n_pixels + TILE - 1) / TILE), (unsigned) ((s.Cout + TILE - 1) / TILE));

  FB_LAUNCH (dev, (conv2d_kernel<T, Out>), grid, BLOCK, (Out *) out->data, (const T *) x->data, (const T *) weight->packed,
             bias != NULL ? (const float *) bias->data : (const float *) NULL, bias != NULL && bias->n_dims == 2 ? s.Cout : 0,
             residual != NULL ? (const Out *) residual->data : (const Out *) NULL, s, act);
}

extern "C" void
fb_cuda_convolve_plainly (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                          const FbTensor *residual, const FbConv2dParams *params, FbActivation act)
{
  Sizes s = { x->shape[1], x->shape[2], x->shape[3], out->shape[1], out->shape[2], out->shape[3], weight->shape[2], weight->shape[3],
              params->stride, params->pad_top, params->pad_left, params->upsample,
              (size_t) out->shape[0] * out->shape[1] * out->shape[2] };

  if (out->dtype == x->dtype)
    FB_BY_DTYPE (x->dtype, T, launch<T, T> (dev, out, x, weight, bias, residual, s, act))
  else
    FB_BY_DTYPE (x->dtype, T, launch<T, float> (dev, out, x, weight, bias, residual, s, act))
}
