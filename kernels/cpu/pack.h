/* kernels/cpu/pack.h: the layout of a packed weight. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/weight.h"

#define FB_PACK_N    64   /* columns of a block: four AVX-512 registers, which leaves 24 for sums of six rows */
#define FB_PACK_AVX2 24   /* three of AVX2's sixteen, for sums of four rows: 92 GFLOP/s where blocks of 64 reach 57, by the second-level cache */

/**
 * FbPacked:
 * @n_sets: 4 for a folded upsampling kernel, one set per parity (row parity · 2 + column parity) of the output pixel, else 1
 * @n_taps: positions of the kernel, row by row; 1 for a linear weight
 * @K: input channels, rounded up to even in bf16
 * @N: output channels
 * @block: columns of a block: FB_PACK_AVX2 in f32 where the processor has no more, else FB_PACK_N
 * @kept: type of @data
 * @half: whether @data is to be widened to f32 as it is read; nothing is paired then
 * @set_bytes: of a set; of all of them where @half
 * @data: [n_sets][blocks of output channels][n_taps][K][columns], and in bf16 [K / 2][columns][2]. The last block has what remains, rounded
 *   up with zeros to a multiple of 16, or of 8 where blocks are narrow. Of a folded kernel where @half, the nine taps it is folded from, once.
 */
typedef struct
{
  int      n_sets;
  int      n_taps;
  int      K;
  int      N;
  int      block;
  FbDtype  kept;
  gboolean half;
  size_t   set_bytes;
  void    *data;
  size_t   n_bytes;
} FbPacked;

static inline int
fb_packed_n_channels (int n_channels, FbDtype dtype)
{
  return dtype == FB_DTYPE_BF16 ? (n_channels + 1) / 2 * 2 : n_channels;
}

/* Sets @block of a new weight, by its dtype and this processor. */
void fb_packed_choose_block (FbPacked *packed, FbDtype dtype);

/* of the block from @n0 on */
static inline int
fb_packed_n_columns (const FbPacked *packed, int n0)
{
  const int step = packed->block == FB_PACK_N ? 16 : 8;

  return MIN (packed->block, (packed->N - n0 + step - 1) / step * step);
}

/* of all blocks */
static inline int
fb_packed_all_columns (const FbPacked *packed)
{
  const int last = (packed->N - 1) / packed->block * packed->block;

  return last + fb_packed_n_columns (packed, last);
}

/**
 * fb_packed_rows:
 * @k0, @n: input channels of the block of columns from @n0 on, at one tap of one set
 * @room: [@n][columns], used only where @packed is half
 *
 * Returns: (transfer none): [@n][columns] values to multiply with: where they lie, or widened into @room
 */
const void *  fb_packed_rows (const FbPacked *packed, int set, int tap, int n0, int k0, int n, float *room);

/**
 * fb_packed_channel:
 * @packed: f32 or half, of one set
 * @room: [n_taps][columns], used only where @packed is half
 * @step: (out): floats from one tap to the next
 *
 * Returns: (transfer none): as fb_packed_rows(), of all taps and one channel
 */
const float * fb_packed_channel (const FbPacked *packed, int n0, int k, float *room, size_t *step);

#define FB_MAX_TAPS_SUMMED 4

/* One tap of a transposed weight: the sum of @n taps of its source, each of some set */
typedef struct
{
  int n;
  int set[FB_MAX_TAPS_SUMMED], tap[FB_MAX_TAPS_SUMMED];
} FbTapSum;

/**
 * fb_packed_transpose:
 * @taps: @n_taps
 * @c0, @n_channels: which of @weight's input channels; @c0 is a multiple of its block
 *
 * Returns: (transfer full): @weight with input and output channels exchanged, and its taps chosen anew, in one set; %NULL when @dev has failed.
 * Incomplete when the cancel flag is set.
 */
FbPacked * fb_packed_transpose (FbDevice *dev, const FbWeight *weight, const FbTapSum *taps, int n_taps, int c0, int n_channels);
/* How many input channels to transpose at a time: a copy of some megabytes at most, which the third-level cache holds, but not so few that reading
 * @dy for each slice costs more than that saves */
int        fb_packed_slice     (const FbWeight *weight, int n_taps, const FbTensor *dy);
void       fb_packed_free      (FbDevice *dev, FbPacked *packed);

/* @t without its first @c0 channels: for a product that writes, or adds, the channels from there on */
static inline FbTensor
fb_tensor_from_channel (const FbTensor *t, int c0)
{
  FbTensor rest = *t;

  rest.data = (char *) t->data + c0 * fb_dtype_size (t->dtype);
  return rest;
}
