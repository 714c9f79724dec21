/* kernels/cuda/values.h: element types in kernels, nonlinearities, sums over threads. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/cuda/launch.h"

/* Runs what follows with @T as the C++ type of @dtype */
#define FB_BY_DTYPE(dtype, T, ...)                                        \
  switch (dtype)                                                          \
    {                                                                     \
    case FB_DTYPE_F32:  { typedef float T;         __VA_ARGS__; } break;  \
    case FB_DTYPE_BF16: { typedef __nv_bfloat16 T; __VA_ARGS__; } break;  \
    case FB_DTYPE_F16:  { typedef __half T;        __VA_ARGS__; } break;  \
    default:            g_assert_not_reached ();                          \
    }

__device__ inline float widen (float v)         { return v; }
__device__ inline float widen (__half v)        { return __half2float (v); }
__device__ inline float widen (__nv_bfloat16 v) { return __bfloat162float (v); }

/* To nearest even; beyond the largest value to infinity */
template <typename T> __device__ inline T narrow (float v);
template <> __device__ inline float         narrow<float> (float v)         { return v; }
template <> __device__ inline __half        narrow<__half> (float v)        { return __float2half_rn (v); }
template <> __device__ inline __nv_bfloat16 narrow<__nv_bfloat16> (float v) { return __float2bfloat16_rn (v); }

__device__ inline float
sigmoid (float x)
{
  return 1.0f / (1.0f + expf (-x));
}

__device__ inline float
activate (float x, FbActivation act)
{
  switch (act)
    {
    case FB_ACT_SILU:       return x / (1.0f + expf (-x));
    case FB_ACT_GELU:       return 0.5f * x * erfcf (-x * 0.70710678f);           /* erfc: 1 + erf would cancel far left of zero */
    case FB_ACT_QUICK_GELU: return x / (1.0f + expf (-1.702f * x));
    case FB_ACT_RELU:       return x <= 0.0f ? 0.0f : x;                          /* not fmaxf: a NaN stays one */
    case FB_ACT_TANH:       return tanhf (x);
    case FB_ACT_CLAMP:      return x < -1.0f ? -1.0f : x > 1.0f ? 1.0f : x;
    default:                return x;
    }
}

/* activate()'s derivative at @x */
__device__ inline float
slope (float x, FbActivation act)
{
  switch (act)
    {
    case FB_ACT_SILU:
      {
        float s = sigmoid (x);
        return s * (1.0f + x * (1.0f - s));
      }
    case FB_ACT_GELU:
      return 0.5f * erfcf (-x * 0.70710678f) + x * 0.39894228f * expf (-0.5f * x * x);
    case FB_ACT_QUICK_GELU:
      {
        float s = sigmoid (1.702f * x);
        return s * (1.0f + 1.702f * x * (1.0f - s));
      }
    case FB_ACT_RELU:
      return x > 0.0f ? 1.0f : x <= 0.0f ? 0.0f : x;
    case FB_ACT_TANH:
      {
        float t = tanhf (x);
        return 1.0f - t * t;
      }
    case FB_ACT_CLAMP:
      return x < -1.0f || x > 1.0f ? 0.0f : 1.0f;
    default:
      return 1.0f;
    }
}

#define FB_ALL_LANES 0xffffffffu

/* The sum over a warp, in every lane; the same order of additions each time */
template <typename V> __device__ inline V
warp_sum (V v)
{
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync (FB_ALL_LANES, v, step);
  return v;
}

__device__ inline float
warp_max (float v)
{
  for (int step = 16; step > 0; step /= 2)
    v = fmaxf (v, __shfl_xor_sync (FB_ALL_LANES, v, step));
  return v;
}

/* The sum over a block of at most 1024 threads, in every thread. @shared: 32 values; all threads of the block call it. */
template <typename V> __device__ inline V
block_sum (V v, V *shared)
{
  int n_warps = (blockDim.x + 31) / 32;

  v = warp_sum (v);
  __syncthreads ();                                                               /* of an earlier sum in @shared */
  if (threadIdx.x % 32 == 0)
    shared[threadIdx.x / 32] = v;
  __syncthreads ();
  v = 0;
  for (int i = 0; i < n_warps; i++)
    v += shared[i];
  return v;
}
