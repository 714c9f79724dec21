/* kernels/cuda/launch.h: how kernels are started, and the few things that only a card's compiler knows. SPDX-License-Identifier: LGPL-3.0-or-later
 * tests/kernels/fake-cuda/ has another file of this name, with which the same kernels run on the processor. */
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "kernels/cuda/cuda-private.h"

/* Starts @kernel, in parentheses where its template arguments have commas, with the arguments that follow, on @dev's stream */
#define FB_LAUNCH(dev, kernel, grid, block, ...)                                          \
  do                                                                                      \
    if (fb_cuda_ready (dev))                                                              \
      {                                                                                   \
        (kernel)<<<(grid), (block), 0, fb_cuda (dev)->stream>>> (__VA_ARGS__);            \
        FB_CUDA (dev, cudaGetLastError ());                                               \
      }                                                                                   \
  while (0)

/* c [16, 8] += a [16, 16] · b [16, 8], by one warp; fragments lie in registers as PTX's mma.m16n8k16 says: lane l holds of c the rows
 * l / 4 and l / 4 + 8, columns 2 (l % 4) and the next; of a and b pairs along the 16 in one register. Needs compute capability 8.0. */
__device__ inline void
fb_mma (float c[4], const unsigned a[4], unsigned b0, unsigned b1, __half)
{
#if __CUDA_ARCH__ >= 800
  asm volatile ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+f" (c[0]), "+f" (c[1]), "+f" (c[2]), "+f" (c[3])
                : "r" (a[0]), "r" (a[1]), "r" (a[2]), "r" (a[3]), "r" (b0), "r" (b1));
#endif
}

__device__ inline void
fb_mma (float c[4], const unsigned a[4], unsigned b0, unsigned b1, __nv_bfloat16)
{
#if __CUDA_ARCH__ >= 800
  asm volatile ("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+f" (c[0]), "+f" (c[1]), "+f" (c[2]), "+f" (c[3])
                : "r" (a[0]), "r" (a[1]), "r" (a[2]), "r" (a[3]), "r" (b0), "r" (b1));
#endif
}
