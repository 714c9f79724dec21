/* tests/kernels/fake-cuda/kernels/cuda/launch.h: stands in for kernels/cuda/launch.h, so that the kernels run on the processor.
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * One thread of the card is one fiber; barriers and exchanges within a warp switch between them. Shared memory is static, since one block
 * runs at a time. */
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <string.h>
#include <tuple>

#include "kernels/cuda/cuda-private.h"
#include "tests/kernels/fake-cuda/capture.h"

#undef __shared__
#define __shared__ static
#undef __launch_bounds__
#define __launch_bounds__(...)

G_BEGIN_DECLS

typedef struct
{
  uint3 thread, block;
  dim3  block_size, grid_size;
  int   warp, lane;
} FbFakePlace;

extern FbFakePlace fb_fake_here;                           /* of the fiber that runs */

/* Runs @kernel for every thread of every block */
void   fb_fake_run     (dim3 grid, dim3 block, void (* kernel) (void *data), void *data);
/* Switch to other fibers until the whole block, or the warp, is here */
void   fb_fake_barrier (void);
void   fb_fake_warp    (void);
/* 64 bytes of each lane of this warp */
char * fb_fake_slot    (int lane);

G_END_DECLS

#define threadIdx (fb_fake_here.thread)
#define blockIdx  (fb_fake_here.block)
#define blockDim  (fb_fake_here.block_size)
#define gridDim   (fb_fake_here.grid_size)

/* A launch with its arguments' values, as they were when it was asked for */
template <typename... Arguments> struct FbFakeLaunch
{
  dim3                     grid, block;
  void                  (* kernel) (Arguments...);
  std::tuple<Arguments...> arguments;
};

template <typename... Arguments> static void
fb_fake_call (void *data)
{
  FbFakeLaunch<Arguments...> *launch = (FbFakeLaunch<Arguments...> *) data;

  std::apply (launch->kernel, launch->arguments);
}

template <typename... Arguments> static void
fb_fake_launch_now (void *data)
{
  FbFakeLaunch<Arguments...> *launch = (FbFakeLaunch<Arguments...> *) data;

  fb_fake_run (launch->grid, launch->block, fb_fake_call<Arguments...>, launch);
}

template <typename... Arguments> static void
fb_fake_launch_free (void *data)
{
  delete (FbFakeLaunch<Arguments...> *) data;
}

template <typename... Arguments, typename... Given> static void
fb_fake_launch (dim3 grid, dim3 block, void (* kernel) (Arguments...), Given... given)
{
  FbFakeLaunch<Arguments...> launch = { grid, block, kernel, std::tuple<Arguments...> (given...) };

  fb_fake_do (fb_fake_launch_now<Arguments...>, new FbFakeLaunch<Arguments...> (launch), fb_fake_launch_free<Arguments...>);
}

#define FB_LAUNCH(dev, kernel, grid, block, ...)                                  \
  do                                                                              \
    if (fb_cuda_ready (dev))                                                      \
      fb_fake_launch (grid, block, (kernel), __VA_ARGS__);                        \
  while (0)

static inline void
__syncthreads (void)
{
  fb_fake_barrier ();
}

template <typename V> static inline V
__shfl_xor_sync (unsigned mask, V v, int step)
{
  V other;

  memcpy (fb_fake_slot (fb_fake_here.lane), &v, sizeof v);
  fb_fake_warp ();
  memcpy (&other, fb_fake_slot (fb_fake_here.lane ^ step), sizeof other);
  fb_fake_warp ();
  return other;
}

/* Half @upper of register @bits as a float */
template <typename T> static inline float
fb_fake_half (unsigned bits, int upper)
{
  unsigned short half = (unsigned short) (bits >> (16 * upper));
  T              value;

  memcpy ((void *) &value, &half, sizeof value);
  return (float) value;
}

/* The fragments as PTX's documentation of mma.m16n8k16 draws them: element [row, k] of a in lane 4 (row % 8) + (k % 8) / 2 */
template <typename T> static inline void
fb_mma (float c[4], const unsigned a[4], unsigned b0, unsigned b1, T)
{
  unsigned mine[6] = { a[0], a[1], a[2], a[3], b0, b1 };

  memcpy (fb_fake_slot (fb_fake_here.lane), mine, sizeof mine);
  fb_fake_warp ();
  for (int i = 0; i < 4; i++)
    {
      int row = fb_fake_here.lane / 4 + i / 2 * 8, column = fb_fake_here.lane % 4 * 2 + i % 2;

      for (int k = 0; k < 16; k++)
        {
          const unsigned *left  = (const unsigned *) (void *) fb_fake_slot (row % 8 * 4 + k % 8 / 2);
          const unsigned *right = (const unsigned *) (void *) fb_fake_slot (column * 4 + k % 8 / 2);

          c[i] += fb_fake_half<T> (left[row / 8 + k / 8 * 2], k % 2) * fb_fake_half<T> (right[4 + k / 8], k % 2);
        }
    }
  fb_fake_warp ();
}
