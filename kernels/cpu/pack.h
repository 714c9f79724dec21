/* kernels/cpu/pack.h: the layout of a packed weight. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/weight.h"

#define FB_PACK_N 64   /* columns of a block: four AVX-512 registers, which leaves 24 for sums of six rows */

/**
 * FbPacked:
 * @n_sets: 4 for a folded upsampling kernel, one set per parity (row parity · 2 + column parity) of the output pixel, else 1
 * @n_taps: positions of the kernel, row by row; 1 for a linear weight
 * @K: input channels, rounded up to even in bf16
 * @N: output channels
 * @data: [n_sets][blocks of output channels][n_taps][K][columns], and in bf16 [K / 2][columns][2]. A block has FB_PACK_N columns, the last
 *   one what remains, rounded up to a multiple of 16 with zeros.
 */
typedef struct
{
  int    n_sets;
  int    n_taps;
  int    K;
  int    N;
  size_t set_bytes;
  void  *data;
  size_t n_bytes;
} FbPacked;

static inline int
fb_packed_n_columns (const FbPacked *packed, int n0)
{
  return MIN (FB_PACK_N, (packed->N - n0 + 15) / 16 * 16);
}
